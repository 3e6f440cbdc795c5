// Package client is the MySQL client of the laboratory. It does as little as a client can: commands are packets that are
// ready, the ends of responses are found without a look at rows, and after the login nothing is allocated, so that what
// is measured is the endpoint and not a driver.
package client

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/go-mysql-org/go-mysql/mysql"

	"github.com/stickyproxy/stickyproxy/backend"
	"github.com/stickyproxy/stickyproxy/mysqlwire"
)

// Modern are the capabilities of a usual driver, with one packet instead of two classic EOF packets around rows; Classic
// are those of a driver that wants these.
const (
	Classic = mysqlwire.CapProtocol41 | mysqlwire.CapSecureConnection | mysqlwire.CapPluginAuth | mysqlwire.CapPluginAuthLenenc |
		mysqlwire.CapConnectWithDB | mysqlwire.CapLongFlag | mysqlwire.CapTransactions | mysqlwire.CapMultiResults
	Modern = Classic | mysqlwire.CapDeprecateEOF
)

// loginLimit bounds a login when the context does not.
const loginLimit = 10 * time.Second

// longAgo as a deadline ends what waits on a connection now.
var longAgo = time.Unix(1, 0)

// Endpoint is where a client connects and as whom.
type Endpoint struct {
	Name     string // for people
	Address  string // host:port, or unix: and the path of a socket
	User     string
	Password string
	Schema   string // the connection's current schema; "": none
	TLS      backend.TLS
	CA       string // the file that TLS.Roots came from, for a proxy that is to reach the same server; "": there is none
}

// In returns the endpoint with another schema.
func (e Endpoint) In(schema string) Endpoint {
	e.Schema = schema
	return e
}

// Conn is a connection. It belongs to one goroutine; its owner closes it.
type Conn struct {
	conn *backend.Conn
	in   *mysqlwire.Reader
	caps mysqlwire.Capability
	stop func() bool
}

// Dial logs in to an endpoint with the wanted capabilities. The connection is cut when ctx ends, so that nothing that
// waits for an answer outlives the run that it is part of.
func Dial(ctx context.Context, e Endpoint, caps mysqlwire.Capability) (*Conn, error) {
	server, err := backend.NewServer(backend.ServerConfig{Address: e.Address, TLS: e.TLS})
	if err != nil {
		return nil, err
	}
	bounded, cancel := context.WithTimeout(ctx, loginLimit)
	defer cancel()
	c, err := server.LogIn(bounded, backend.Login{
		User: e.User, Password: e.Password, Schema: e.Schema, Collation: mysqlwire.CollationUTF8MB4, Capabilities: caps,
	})
	if err != nil {
		return nil, err
	}
	return &Conn{
		conn: c, in: mysqlwire.NewReader(c.Conn), caps: c.Capabilities,
		stop: context.AfterFunc(ctx, func() { c.SetDeadline(longAgo) }),
	}, nil
}

// Close closes the connection without a word to the server.
func (c *Conn) Close() error {
	c.stop()
	return c.conn.Close()
}

// Interrupt ends whatever waits for an answer, now and later. It may be called from any goroutine.
func (c *Conn) Interrupt() { c.conn.SetDeadline(longAgo) }

// Version is the server's, as it announced it.
func (c *Conn) Version() string { return c.conn.Version }

// Query runs one statement of which the answer is small, and returns its rows. After an error that is no
// [*mysqlwire.Error] the connection is of no more use.
func (c *Conn) Query(ctx context.Context, sql string) (*backend.Rows, error) {
	return c.conn.Query(ctx, sql)
}

// Exec runs one statement whose answer does not matter.
func (c *Conn) Exec(ctx context.Context, sql string) error {
	_, err := c.conn.Query(ctx, sql)
	return err
}

// Text is the packet of a COM_QUERY, for [Conn.Do].
func Text(sql string) []byte { return AppendText(nil, []byte(sql)) }

// AppendText is Text in memory that is there: dst is overwritten.
func AppendText(dst, sql []byte) []byte {
	dst = mysqlwire.AppendHeader(dst[:0], 1+len(sql), 0)
	return append(append(dst, mysql.COM_QUERY), sql...)
}

// Execute is the packet of a COM_STMT_EXECUTE with one parameter, a BIGINT that stands in the last eight bytes.
// https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_com_stmt_execute.html
func Execute(statement uint32, value int64) []byte {
	p := binary.LittleEndian.AppendUint32([]byte{mysql.COM_STMT_EXECUTE}, statement)
	p = append(p, 0, 1, 0, 0, 0)                      // no cursor, one iteration
	p = append(p, 0, 1, mysql.MYSQL_TYPE_LONGLONG, 0) // not NULL, types follow
	p = binary.LittleEndian.AppendUint64(p, uint64(value))
	return mysqlwire.AppendPacket(nil, 0, p)
}

// Do sends a whole command packet and reads the response, whose size in bytes it returns. An ERR packet is an error.
func (c *Conn) Do(packet []byte) (size int, err error) {
	size, _, err = c.exchange(packet)
	return size, err
}

// Prepare prepares a statement and returns its id.
func (c *Conn) Prepare(sql string) (uint32, error) {
	packet := mysqlwire.AppendPacket(nil, 0, append([]byte{mysql.COM_STMT_PREPARE}, sql...))
	_, id, err := c.exchange(packet)
	return id, err
}

func (c *Conn) exchange(packet []byte) (size int, statement uint32, err error) {
	if _, err := c.conn.Write(packet); err != nil {
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
			err = mysqlwire.ParseError(p[mysqlwire.HeaderSize:])
		case mysqlwire.EventPrepared:
			var prepared mysqlwire.Prepared
			prepared, err = mysqlwire.ParsePrepared(p[mysqlwire.HeaderSize:])
			statement = prepared.ID
		}
		c.in.Discard(pass + len(p))
		size += pass + len(p)
		if err != nil || resp.Done() {
			c.in.Release()
			return size, statement, err
		}
		if event == mysqlwire.EventMore {
			if err := c.in.Fill(); err != nil {
				return size, 0, err
			}
		}
	}
}

var errMalformed = errors.New("malformed result")

// Int sends a command packet whose answer is a small text result, and returns the number in the first column of its
// first row; found is false when there is no row or the value is NULL. Nothing is allocated.
func (c *Conn) Int(packet []byte) (value int64, found bool, err error) {
	if _, err := c.conn.Write(packet); err != nil {
		return 0, false, err
	}
	defer c.in.Release()
	first, err := c.packet()
	if err != nil {
		return 0, false, err
	}
	if first[0] == 0 {
		return 0, false, nil // an OK: no rows
	}
	columns, _ := mysqlwire.Lenenc(first)
	if !c.caps.Has(mysqlwire.CapDeprecateEOF) {
		columns++ // the EOF behind the definitions
	}
	for range columns {
		if _, err := c.packet(); err != nil {
			return 0, false, err
		}
	}
	return c.rows()
}

// rows reads rows to their end, and the number in the first.
func (c *Conn) rows() (value int64, found bool, err error) {
	for n := 0; ; n++ {
		row, err := c.packet()
		switch {
		case err != nil:
			return 0, false, err
		case row[0] == mysql.EOF_HEADER:
			return value, found, nil
		case n > 0 || row[0] == 0xFB: // NULL
			continue
		}
		size, at := mysqlwire.Lenenc(row)
		if at == 0 || uint64(len(row)-at) < size {
			return 0, false, errMalformed
		}
		if value, found = number(row[at : at+int(size)]); !found {
			return 0, false, errMalformed
		}
	}
}

// packet returns the next packet's payload, valid until the next call. An ERR packet is an error.
func (c *Conn) packet() ([]byte, error) {
	if err := c.in.Need(mysqlwire.HeaderSize); err != nil {
		return nil, unexpected(err)
	}
	n := mysqlwire.FrameLen(c.in.Bytes())
	if n == 0 {
		return nil, errMalformed
	}
	if err := c.in.Need(mysqlwire.HeaderSize + n); err != nil {
		return nil, unexpected(err)
	}
	p := c.in.Bytes()[mysqlwire.HeaderSize : mysqlwire.HeaderSize+n]
	c.in.Discard(mysqlwire.HeaderSize + n)
	if p[0] == mysql.ERR_HEADER {
		return nil, mysqlwire.ParseError(p)
	}
	return p, nil
}

func unexpected(err error) error {
	if err == io.EOF {
		return fmt.Errorf("the connection was closed: %w", io.ErrUnexpectedEOF)
	}
	return err
}

// number reads a decimal integer without making a string of it.
func number(b []byte) (n int64, ok bool) {
	negative := len(b) > 1 && b[0] == '-'
	if negative {
		b = b[1:]
	}
	for _, d := range b {
		if d < '0' || d > '9' || n > 1<<60/10 {
			return 0, false
		}
		n = n*10 + int64(d-'0')
	}
	if negative {
		n = -n
	}
	return n, len(b) > 0
}

// Quit ends the connection as clients do and waits until the other side is done with it.
func (c *Conn) Quit() error {
	if _, err := c.conn.Write(mysqlwire.AppendQuit(nil)); err != nil {
		return errors.Join(err, c.Close())
	}
	if err := c.in.Fill(); err != io.EOF {
		return errors.Join(fmt.Errorf("after COM_QUIT: %w", err), c.Close())
	}
	return c.Close()
}
