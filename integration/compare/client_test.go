package compare

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"net"
	"time"

	"github.com/go-mysql-org/go-mysql/mysql"

	"github.com/stickyproxy/stickyproxy/internal/mysqltest"
	"github.com/stickyproxy/stickyproxy/mysqlwire"
)

// client speaks the protocol itself, so that it can do what drivers do not, and sees every packet. Login and responses
// are read by the rules of the protocol and without the proxy's code for that.
type client struct {
	conn net.Conn
	caps mysqlwire.Capability
	id   uint32 // as it was greeted
	salt []byte
	seq  byte   // of the next packet
	file []byte // what LOCAL INFILE gets
	over error  // why the connection is over

	statements map[string]uint32 // prepared ones by the script's name
	thread     string            // CONNECTION_ID(), once it was asked for
	cursors    map[string]bool   // the statements that may have one open
	sent       []byte            // the command of .send, of which the response is still to come
}

// login is who logs in and how.
type login struct {
	account mysqltest.Account
	schema  string
	caps    mysqlwire.Capability

	collation byte // the low byte of its id; 0: of utf8mb4_general_ci
}

const (
	// plainCaps is what clients of all ages ask for.
	plainCaps = mysqlwire.CapLongPassword | mysqlwire.CapLongFlag | mysqlwire.CapProtocol41 | mysqlwire.CapTransactions |
		mysqlwire.CapSecureConnection | mysqlwire.CapPluginAuth | mysqlwire.CapMultiStatements | mysqlwire.CapMultiResults |
		mysqlwire.CapPSMultiResults | mysqlwire.CapLocalFiles
	// newCaps is what newer ones ask for too.
	newCaps = plainCaps | mysqlwire.CapDeprecateEOF | mysqlwire.CapSessionTrack | mysqlwire.CapQueryAttributes
)

// patience ends whatever is waited for: long enough for a busy machine.
const patience = 8 * time.Second

// errRefused is a server's ERR packet at a login, its payload.
type errRefused []byte

func (e errRefused) Error() string { return mysqlwire.ParseError(e).Error() }

// dial logs in to the server at addr. The last packet of the login is returned too, also if it is a refusal.
func dial(addr string, l login) (*client, []byte, error) {
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		return nil, nil, err
	}
	c := &client{conn: conn, statements: make(map[string]uint32), cursors: make(map[string]bool)}
	last, err := c.login(l)
	if err != nil {
		_ = conn.Close()
		return nil, last, err
	}
	return c, last, nil
}

// login is the dialogue of an honest client.
func (c *client) login(l login) ([]byte, error) {
	p, err := c.read()
	if err != nil {
		return nil, err
	}
	g, err := mysqlwire.ParseGreeting(p)
	if err != nil {
		return nil, err
	}
	if l.schema != "" {
		l.caps |= mysqlwire.CapConnectWithDB
	}
	c.id, c.salt = g.ConnectionID, g.Salt
	c.caps = l.caps & (g.Capabilities | mysqlwire.CapLongPassword)
	if c.caps&(mysqlwire.CapExtendedMetadata|mysqlwire.CapBulkExecute) != 0 {
		c.caps &^= mysqlwire.CapLongPassword // it says that there are none of MariaDB's own flags
	}
	collation := cmp.Or(l.collation, 45)
	r := mysqlwire.LoginRequest{Capabilities: c.caps, MaxPacket: 1 << 30, Collation: collation, User: l.account.User, Schema: l.schema, Plugin: g.Plugin}
	r.Answer = scramble(g.Plugin, g.Salt, l.account.Password)
	if err := c.write(r.Append(nil)); err != nil {
		return nil, err
	}
	return c.prove(l.account.Password, g.Salt)
}

// changeUser is COM_CHANGE_USER and its dialogue.
func (c *client) changeUser(l login) ([]byte, error) {
	c.seq = 0
	b := append([]byte{mysql.COM_CHANGE_USER}, l.account.User...)
	answer := mysqlwire.ScrambleCachingSHA2(c.salt, l.account.Password)
	b = append(b, 0, byte(len(answer)))
	b = append(b, answer...)
	b = append(append(b, l.schema...), 0, 45, 0)
	b = append(append(b, mysqlwire.PluginCachingSHA2...), 0)
	if err := c.write(b); err != nil {
		return nil, err
	}
	clear(c.statements)
	return c.prove(l.account.Password, c.salt)
}

func scramble(plugin string, salt []byte, password string) []byte {
	if plugin == mysqlwire.PluginNative {
		return mysqlwire.ScrambleNative(salt, password)
	}
	return mysqlwire.ScrambleCachingSHA2(salt, password)
}

// withoutProof is the OK packet of a login, less what MariaDB from 11.4 on has in it for clients that do not know the
// server's certificate: a hash of the password and that certificate, which no two logins have in common.
func withoutProof(p []byte, tracking bool) []byte {
	ok, err := mysqlwire.ParseOK(p, tracking)
	if err != nil || !bytes.HasPrefix(ok.Info, []byte{1}) {
		return p
	}
	ok.Info = nil
	return ok.Append(nil, false, tracking)
}

// prove answers until the other side has decided.
func (c *client) prove(password string, salt []byte) ([]byte, error) {
	for {
		p, err := c.read()
		if err != nil {
			return nil, err
		}
		more, isMore := mysqlwire.ParseAuthMore(p)
		var answer []byte
		switch {
		case p[0] == 0xFF:
			return p, errRefused(p)
		case p[0] == 0x00:
			return withoutProof(p, c.caps.Has(mysqlwire.CapSessionTrack)), nil
		case mysqlwire.IsAuthSwitch(p):
			s, err := mysqlwire.ParseAuthSwitch(p)
			if err != nil {
				return nil, err
			}
			salt, answer = s.Salt, scramble(s.Plugin, s.Salt, password)
			c.salt = salt
		case isMore && bytes.Equal(more, []byte{mysqlwire.FastAuthOK}):
			continue
		case isMore && bytes.Equal(more, []byte{mysqlwire.FullAuth}):
			answer = []byte{mysqlwire.RequestKey}
		default:
			key, err := mysqlwire.ParsePublicKey(more)
			if err != nil {
				return nil, err
			}
			if answer, err = mysqlwire.EncryptPassword(password, salt, key); err != nil {
				return nil, err
			}
		}
		if err := c.write(answer); err != nil {
			return nil, err
		}
	}
}

// read reads one packet and checks its number.
func (c *client) read() ([]byte, error) {
	if err := c.conn.SetReadDeadline(time.Now().Add(patience)); err != nil {
		return nil, err
	}
	p, seq, err := mysqlwire.ReadPacket(c.conn, 1<<30)
	if err != nil {
		return nil, err
	}
	if want := c.seq + byte(len(p)/mysqlwire.MaxFrame); seq != want {
		return p, fmt.Errorf("packet number %d, want %d: %q", seq, want, p)
	}
	c.seq = seq + 1
	if len(p) == 0 {
		return nil, errors.New("empty packet")
	}
	return p, nil
}

func (c *client) write(payload []byte) error {
	b := mysqlwire.AppendPacket(nil, c.seq, payload)
	c.seq += byte(len(payload)/mysqlwire.MaxFrame) + 1
	_, err := c.conn.Write(b)
	return err
}

// send sends a command.
func (c *client) send(payload []byte) error {
	c.seq = 0
	return c.write(payload)
}

// query is the payload of a COM_QUERY with these query attributes, if there can be any.
func (c *client) query(sql string, attributes ...string) []byte {
	b := []byte{mysql.COM_QUERY}
	if !c.caps.Has(mysqlwire.CapQueryAttributes) {
		return append(b, sql...)
	}
	n := len(attributes) / 2
	b = append(b, byte(n), 1)
	if n > 0 {
		b = append(b, make([]byte, (n+7)/8)...)
		b = append(b, 1)
		for i := range n {
			b = append(b, mysql.MYSQL_TYPE_STRING, 0)
			b = appendString(b, attributes[2*i])
		}
		for i := range n {
			b = appendString(b, attributes[2*i+1])
		}
	}
	return append(b, sql...)
}

// appendString appends a short text with its length before it.
func appendString(b []byte, s string) []byte {
	return append(append(b, mysql.PutLengthEncodedInt(uint64(len(s)))...), s...)
}

// sendFile gives the file in one packet and an empty one.
func (c *client) sendFile() error {
	if len(c.file) > 0 {
		if err := c.write(c.file); err != nil {
			return err
		}
	}
	return c.write(nil)
}

// run sends a text and reads the response; an ERR packet in it is the error.
func (c *client) run(sql string) (response, error) {
	payload := c.query(sql)
	if err := c.send(payload); err != nil {
		return nil, err
	}
	r, err := c.response(payload[0])
	if err != nil {
		return nil, err
	}
	if p := r[len(r)-1].bytes; p[0] == 0xFF {
		return r, fmt.Errorf("%.200s: %w", sql, mysqlwire.ParseError(p))
	}
	return r, nil
}

// close says good-bye and waits until the server has hung up, so that what the connection held is free.
func (c *client) close() {
	if c.over == nil && c.send([]byte{mysql.COM_QUIT}) == nil {
		_ = c.conn.SetReadDeadline(time.Now().Add(patience))
		_, _ = io.Copy(io.Discard, c.conn)
	}
	_ = c.conn.Close()
}
