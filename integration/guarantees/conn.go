package guarantees

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/go-mysql-org/go-mysql/mysql"

	"github.com/stickyproxy/stickyproxy/backend"
	"github.com/stickyproxy/stickyproxy/mysqlwire"
)

// capabilities are what a usual driver asks for, and query attributes.
const capabilities = mysqlwire.CapProtocol41 | mysqlwire.CapSecureConnection | mysqlwire.CapPluginAuth | mysqlwire.CapPluginAuthLenenc |
	mysqlwire.CapConnectWithDB | mysqlwire.CapLongFlag | mysqlwire.CapTransactions | mysqlwire.CapMultiResults | mysqlwire.CapConnectAttrs |
	mysqlwire.CapDeprecateEOF | mysqlwire.CapQueryAttributes

const (
	// maxHandles bounds the prepared statements of a connection.
	maxHandles = 64
	// maxPacket is more than any packet of an answer has here.
	maxPacket = 1 << 20
)

var errMalformed = errors.New("the answer is malformed")

// Endpoint is where users connect, and as whom.
type Endpoint struct {
	Address        string // host:port, or unix: and the path of a socket
	User, Password string
	TLS            backend.TLS
}

// conn is a connection of an application. It belongs to one goroutine at a time; whoever has it last closes it.
type conn struct {
	wire     *backend.Conn
	in       *mysqlwire.Reader
	caps     mysqlwire.Capability
	handles  map[string]uint32 // prepared statements by their text
	endpoint int               // where it leads, by its place in Options.To
	session  string            // that it was told to work for; "": none
	broken   bool              // it is in no known state
}

// dial logs in, within ctx. Attribute is the connection attribute sticky_session; "": none.
func dial(ctx context.Context, e Endpoint, schema, attribute string) (*conn, error) {
	server, err := backend.NewServer(backend.ServerConfig{Address: e.Address, TLS: e.TLS})
	if err != nil {
		return nil, err
	}
	l := backend.Login{
		User: e.User, Password: e.Password, Schema: schema, Collation: mysqlwire.CollationUTF8MB4, Capabilities: capabilities,
		Attributes: mysqlwire.AppendAttribute(nil, "program_name", "stickyproxy bench check"), TLS: !strings.HasPrefix(e.Address, "unix:"),
	}
	if attribute != "" {
		l.Attributes = mysqlwire.AppendAttribute(l.Attributes, "sticky_session", attribute)
	}
	w, err := server.LogIn(ctx, l)
	if err != nil {
		return nil, err
	}
	return &conn{wire: w, in: mysqlwire.NewReader(w.Conn), caps: w.Capabilities, handles: make(map[string]uint32)}, nil
}

func (c *conn) close() {
	c.in.Close()
	c.wire.Close()
}

// statement is what a user sends.
type statement struct {
	sql       string   // with ? for each parameter
	params    []uint64 // at most a few
	prepared  bool     // in the binary protocol
	attribute string   // query attribute sticky_session; "": none
}

// answer is what comes back: an OK, or rows.
type answer struct {
	affected, insertID uint64
	rows               [][]string // NULL is ""
}

// do sends one statement and reads its answer, within ctx and limit. After an error that is no [*mysqlwire.Error] the
// connection is broken.
func (c *conn) do(ctx context.Context, limit time.Duration, s statement) (a answer, err error) {
	if err := c.wire.SetDeadline(time.Now().Add(limit)); err != nil {
		return a, err
	}
	stop := context.AfterFunc(ctx, func() { _ = c.wire.SetDeadline(time.Unix(1, 0)) })
	defer func() {
		var refused *mysqlwire.Error
		if !stop() || err != nil && !errors.As(err, &refused) {
			c.broken = true
		}
		if c.broken && err == nil {
			err = context.Cause(ctx)
		}
	}()
	if !s.prepared {
		return c.run(c.text(s), false)
	}
	id, err := c.prepare(s.sql)
	if err != nil {
		return a, err
	}
	return c.run(c.execute(id, s), true)
}

// text is the payload of a COM_QUERY, with the parameters in the text.
func (c *conn) text(s statement) []byte {
	p := []byte{mysql.COM_QUERY}
	if c.caps.Has(mysqlwire.CapQueryAttributes) {
		p = append(p, 0, 1) // no attributes, one set of them
		if s.attribute != "" {
			p = append(p[:1], 1, 1, 0, 1) // one attribute, not NULL, types follow
			p = appendAttribute(p, s.attribute)
		}
	}
	rest := s.sql
	for _, n := range s.params {
		before, after, _ := strings.Cut(rest, "?")
		p, rest = strconv.AppendUint(append(p, before...), n, 10), after
	}
	return append(p, rest...)
}

// appendAttribute appends the type, name and value of sticky_session. Both lengths are below 251.
func appendAttribute(p []byte, value string) []byte {
	return appendString(append(appendAttributeType(p), byte(len(value))), value)
}

func appendAttributeType(p []byte) []byte {
	return appendString(append(p, mysql.MYSQL_TYPE_STRING, 0, byte(len("sticky_session"))), "sticky_session")
}

func appendString(p []byte, s string) []byte { return append(p, s...) }

// prepare returns the handle of a statement, a new one or one of before.
// https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_com_stmt_prepare.html
func (c *conn) prepare(sql string) (uint32, error) {
	if id, ok := c.handles[sql]; ok {
		return id, nil
	}
	if err := c.forget(); err != nil {
		return 0, err
	}
	if err := c.send(append([]byte{mysql.COM_STMT_PREPARE}, sql...)); err != nil {
		return 0, err
	}
	first, err := c.packet()
	if err != nil {
		return 0, err
	}
	p, err := mysqlwire.ParsePrepared(first)
	if err != nil {
		return 0, err
	}
	for _, n := range [...]int{int(p.Params), int(p.Columns)} {
		if n > 0 && !c.caps.Has(mysqlwire.CapDeprecateEOF) {
			n++ // the EOF behind them
		}
		for range n {
			if _, err := c.packet(); err != nil {
				return 0, err
			}
		}
	}
	c.handles[sql] = p.ID
	return p.ID, nil
}

// forget closes all handles when there are many.
func (c *conn) forget() error {
	if len(c.handles) < maxHandles {
		return nil
	}
	for sql, id := range c.handles {
		delete(c.handles, sql)
		if err := c.send(binary.LittleEndian.AppendUint32([]byte{mysql.COM_STMT_CLOSE}, id)); err != nil { // it has no answer
			return err
		}
	}
	return nil
}

// parameterCountAvailable is the flag of a COM_STMT_EXECUTE whose parameters are counted and named.
const parameterCountAvailable = 8

// execute is the payload of a COM_STMT_EXECUTE: the parameters, each a BIGINT, and the attribute after them.
// https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_com_stmt_execute.html
func (c *conn) execute(id uint32, s statement) []byte {
	named := c.caps.Has(mysqlwire.CapQueryAttributes)
	attributes, flags := 0, byte(0)
	if named {
		flags = parameterCountAvailable
		if s.attribute != "" {
			attributes = 1
		}
	}
	p := binary.LittleEndian.AppendUint32([]byte{mysql.COM_STMT_EXECUTE}, id)
	p = append(p, flags, 1, 0, 0, 0) // no cursor, one iteration
	count := len(s.params) + attributes
	if named {
		p = append(p, byte(count))
	}
	if count == 0 {
		return p
	}
	p = append(p, make([]byte, (count+7)/8)...) // nothing is NULL
	p = append(p, 1)                            // types follow
	for range s.params {
		p = append(p, mysql.MYSQL_TYPE_LONGLONG, 0)
		if named {
			p = append(p, 0) // no name
		}
	}
	if attributes > 0 {
		p = appendAttributeType(p)
	}
	for _, n := range s.params {
		p = binary.LittleEndian.AppendUint64(p, n)
	}
	if attributes > 0 {
		p = appendString(append(p, byte(len(s.attribute))), s.attribute)
	}
	return p
}

func (c *conn) send(payload []byte) error {
	_, err := c.wire.Write(mysqlwire.AppendPacket(nil, 0, payload))
	return err
}

// run sends a command and reads its answer.
func (c *conn) run(payload []byte, binary bool) (answer, error) {
	if err := c.send(payload); err != nil {
		return answer{}, err
	}
	defer c.in.Release()
	first, err := c.packet()
	if err != nil {
		return answer{}, err
	}
	if first[0] == mysql.OK_HEADER {
		ok, err := mysqlwire.ParseOK(first, c.caps.Has(mysqlwire.CapSessionTrack))
		return answer{affected: ok.AffectedRows, insertID: ok.LastInsertID}, err
	}
	return c.result(first, binary)
}

// result reads definitions and rows.
func (c *conn) result(first []byte, binary bool) (a answer, err error) {
	columns, _ := mysqlwire.Lenenc(first)
	if columns == 0 || columns > 16 {
		return a, errMalformed
	}
	for range columns {
		if _, err := c.packet(); err != nil {
			return a, err
		}
	}
	if !c.caps.Has(mysqlwire.CapDeprecateEOF) {
		if _, err := c.packet(); err != nil {
			return a, err
		}
	}
	read := textRow
	if binary {
		read = binaryRow
	}
	for {
		p, err := c.packet()
		if err != nil {
			return a, err
		}
		if p[0] == mysql.EOF_HEADER {
			return a, nil
		}
		row, err := read(p, int(columns))
		if err != nil {
			return a, err
		}
		a.rows = append(a.rows, row)
	}
}

// packet returns the next packet's payload, valid until the next call. An ERR is an error.
func (c *conn) packet() ([]byte, error) {
	if err := c.in.Need(mysqlwire.HeaderSize); err != nil {
		return nil, unexpected(err)
	}
	n := mysqlwire.FrameLen(c.in.Bytes())
	if n == 0 || n > maxPacket {
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

// unexpected makes an end of the stream an error that says so.
func unexpected(err error) error {
	if errors.Is(err, io.EOF) {
		return fmt.Errorf("the connection was closed: %w", io.ErrUnexpectedEOF)
	}
	return err
}

// textRow reads a row of texts.
func textRow(p []byte, columns int) ([]string, error) {
	row := make([]string, columns)
	for i := range row {
		if len(p) > 0 && p[0] == 0xFB { // NULL
			p = p[1:]
			continue
		}
		n, size := mysqlwire.Lenenc(p)
		if size == 0 || n > uint64(len(p)-size) {
			return nil, errMalformed
		}
		row[i], p = string(p[size:size+int(n)]), p[size+int(n):]
	}
	return row, nil
}

// binaryRow reads a row of BIGINTs that are not NULL: there are no others in what is prepared here.
// https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_binary_resultset.html
func binaryRow(p []byte, columns int) ([]string, error) {
	head := 1 + (columns+7+2)/8
	if len(p) != head+8*columns {
		return nil, errMalformed
	}
	row := make([]string, columns)
	for i := range row {
		row[i] = strconv.FormatUint(binary.LittleEndian.Uint64(p[head+8*i:]), 10)
	}
	return row, nil
}
