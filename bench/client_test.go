package bench

import (
	"errors"
	"fmt"
	"io"
	"net"

	"github.com/go-mysql-org/go-mysql/mysql"

	"github.com/stickyproxy/stickyproxy/internal/mysqltest"
	"github.com/stickyproxy/stickyproxy/mysqlwire"
)

// modern are the capabilities of a usual driver, with one packet instead of two classic EOF packets around rows;
// classic are those of a driver that wants these.
const (
	classic = mysqlwire.CapProtocol41 | mysqlwire.CapSecureConnection | mysqlwire.CapPluginAuth | mysqlwire.CapPluginAuthLenenc |
		mysqlwire.CapConnectWithDB | mysqlwire.CapLongFlag | mysqlwire.CapTransactions | mysqlwire.CapMultiResults
	modern = classic | mysqlwire.CapDeprecateEOF
)

const (
	utf8mb4        = 255      // utf8mb4_0900_ai_ci
	maxLoginPacket = 64 << 10 // bytes
	maxPacket      = 64 << 20 // bytes that the client says it takes in one packet
	loginTurns     = 4        // fast authentication takes two, the first one of an account four
)

// client is a connection of a client that does as little as a client can: it sends commands that are ready and finds
// the end of responses without a look at rows. After the login it allocates nothing. It belongs to one goroutine.
type client struct {
	net.Conn
	in   *mysqlwire.Reader
	caps mysqlwire.Capability
}

// connect logs in to a server or to the proxy. The caller closes the client.
func connect(address string, account mysqltest.Account, caps mysqlwire.Capability) (*client, error) {
	conn, err := net.Dial("tcp", address)
	if err != nil {
		return nil, err
	}
	c := &client{Conn: conn, caps: caps}
	if err := c.login(account); err != nil {
		return nil, fmt.Errorf("login at %s: %w", address, errors.Join(err, conn.Close()))
	}
	c.in = mysqlwire.NewReader(conn)
	return c, nil
}

// login proves the password by caching_sha2_password.
// https://dev.mysql.com/doc/dev/mysql-server/latest/page_caching_sha2_authentication_exchanges.html
func (c *client) login(account mysqltest.Account) error {
	payload, seq, err := mysqlwire.ReadPacket(c, maxLoginPacket)
	if err != nil {
		return err
	}
	g, err := mysqlwire.ParseGreeting(payload)
	if err != nil {
		return err
	}
	r := mysqlwire.LoginRequest{
		Capabilities: c.caps, MaxPacket: maxPacket, Collation: utf8mb4, User: account.User, Schema: mysqltest.AppSchema,
		Plugin: mysqlwire.PluginCachingSHA2, Answer: mysqlwire.ScrambleCachingSHA2(g.Salt, account.Password),
	}
	answer := r.Append(nil)
	for range loginTurns {
		if answer != nil {
			if _, err := c.Write(mysqlwire.AppendPacket(nil, seq+1, answer)); err != nil {
				return err
			}
		}
		if payload, seq, err = mysqlwire.ReadPacket(c, maxLoginPacket); err != nil {
			return err
		}
		done, err := loggedIn(payload)
		if done || err != nil {
			return err
		}
		if answer, err = prove(payload, g.Salt, account.Password); err != nil {
			return err
		}
	}
	return errors.New("the server asks on and on for the password")
}

// loggedIn reports whether the server's packet ends the login.
func loggedIn(payload []byte) (bool, error) {
	if len(payload) == 0 {
		return false, io.ErrUnexpectedEOF
	}
	switch payload[0] {
	case mysql.OK_HEADER:
		return true, nil
	case mysql.ERR_HEADER:
		return false, mysqlwire.ParseError(payload)
	}
	return false, nil
}

// prove answers what the server says about the first answer; nil when it needs no answer.
func prove(payload, salt []byte, password string) ([]byte, error) {
	more, ok := mysqlwire.ParseAuthMore(payload)
	switch {
	case !ok:
		return nil, fmt.Errorf("a packet that begins with 0x%02x in the login", payload[0])
	case len(more) == 1 && more[0] == mysqlwire.FastAuthOK:
		return nil, nil
	case len(more) == 1 && more[0] == mysqlwire.FullAuth:
		return []byte{mysqlwire.RequestKey}, nil
	}
	key, err := mysqlwire.ParsePublicKey(more)
	if err != nil {
		return nil, err
	}
	return mysqlwire.EncryptPassword(password, salt, key)
}

// do sends a whole command packet and reads the response, whose size in bytes it returns. An ERR packet is an error.
func (c *client) do(packet []byte) (size int, err error) {
	size, _, err = c.exchange(packet)
	return size, err
}

// prepare prepares a statement and returns its id.
func (c *client) prepare(sql string) (uint32, error) {
	packet := mysqlwire.AppendPacket(nil, 0, append([]byte{mysql.COM_STMT_PREPARE}, sql...))
	_, id, err := c.exchange(packet)
	return id, err
}

func (c *client) exchange(packet []byte) (size int, statement uint32, err error) {
	if _, err := c.Write(packet); err != nil {
		return 0, 0, err
	}
	var resp mysqlwire.Response
	resp.Begin(packet[mysqlwire.HeaderSize], c.caps)
	for {
		pass, p, event, err := resp.Scan(c.in.Bytes())
		if err != nil {
			return size, 0, err
		}
		switch event {
		case mysqlwire.EventErr:
			return size, 0, mysqlwire.ParseError(p[mysqlwire.HeaderSize:])
		case mysqlwire.EventPrepared:
			prepared, err := mysqlwire.ParsePrepared(p[mysqlwire.HeaderSize:])
			if err != nil {
				return size, 0, err
			}
			statement = prepared.ID
		}
		c.in.Discard(pass + len(p))
		size += pass + len(p)
		if resp.Done() {
			c.in.Release()
			return size, statement, nil
		}
		if event == mysqlwire.EventMore {
			if err := c.in.Fill(); err != nil {
				return size, 0, err
			}
		}
	}
}

// quit ends the connection as clients do and waits until the other side is done with it.
func (c *client) quit() error {
	if _, err := c.Write(mysqlwire.AppendPacket(nil, 0, []byte{mysql.COM_QUIT})); err != nil {
		return errors.Join(err, c.Close())
	}
	if err := c.in.Fill(); err != io.EOF {
		return errors.Join(fmt.Errorf("after COM_QUIT: %w", err), c.Close())
	}
	return c.Close()
}
