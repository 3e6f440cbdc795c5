package backend

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"

	"github.com/go-mysql-org/go-mysql/mysql"

	"github.com/stickyproxy/stickyproxy/mysqlwire"
)

const (
	// maxResult bounds a result of a question of our own, bytes. The largest is a GTID set.
	maxResult = 4 << 20
	// maxColumns is the most a table can have.
	maxColumns = 4096
	// packetOverhead is what one packet counts at least, so that a result of many tiny ones is bounded too.
	packetOverhead = 64
)

// errBigResult says that a question of our own had an answer that nobody can have wanted.
var errBigResult = errors.New("the result is too large")

// Rows is the result of a small text query.
type Rows struct {
	Columns []string           // their names, empty where the client has set resultset_metadata to NONE
	Values  [][]sql.NullString // one slice a row, as long as Columns
}

// Query runs one statement and returns its rows; of a statement without rows, none. It is for small questions of our
// own: a result beyond 4 MiB is an error, and so is more than one result. It is bounded by ctx. After an error that is no
// [*mysqlwire.Error] the connection is in no known state: close it.
func (c *Conn) Query(ctx context.Context, query string) (*Rows, error) {
	rows, _, err := c.ask(ctx, query)
	return rows, err
}

// Execute is Query for a statement without rows. It returns the OK packet that answers it, which does not refer to any
// buffer.
func (c *Conn) Execute(ctx context.Context, statement string) (mysqlwire.OK, error) {
	_, ok, err := c.ask(ctx, statement)
	return ok, err
}

func (c *Conn) ask(ctx context.Context, query string) (*Rows, mysqlwire.OK, error) {
	release := bound(ctx, c.Conn)
	rows, ok, err := c.query(query)
	if err := release(err); err != nil {
		return nil, mysqlwire.OK{}, err
	}
	return rows, ok, nil
}

func (c *Conn) query(query string) (*Rows, mysqlwire.OK, error) {
	if _, err := c.Conn.Write(c.appendQuery(nil, query)); err != nil {
		return nil, mysqlwire.OK{}, err
	}
	rows, ok, err := c.readResult()
	return rows, ok, c.nothingBehind(err)
}

// Script is Query for one or more statements with semicolons between them, on a connection that was logged in with
// [mysqlwire.CapMultiStatements]. It returns the result of each, up to the first that is refused.
func (c *Conn) Script(ctx context.Context, statements string) ([]*Rows, error) {
	release := bound(ctx, c.Conn)
	all, err := c.script(statements)
	return all, release(err)
}

func (c *Conn) script(statements string) (all []*Rows, err error) {
	if _, err := c.Conn.Write(c.appendQuery(nil, statements)); err != nil {
		return nil, err
	}
	for more := true; more; {
		rows, ok, err := c.readOne()
		if err != nil {
			return all, c.nothingBehind(err)
		}
		all = append(all, rows)
		more = ok.Status&mysqlwire.StatusMoreResults != 0
	}
	return all, c.nothingBehind(nil)
}

// nothingBehind checks, after a whole answer, which may be an ERR, that the server is silent.
func (c *Conn) nothingBehind(err error) error {
	if early := c.reader.empty(); early != nil && (err == nil || answered(err)) {
		return early
	}
	return err
}

// appendQuery appends a COM_QUERY, with no query attributes where there may be some.
// https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_com_query.html
func (c *Conn) appendQuery(dst []byte, query string) []byte {
	p := make([]byte, 0, len(query)+3)
	p = append(p, mysql.COM_QUERY)
	if c.Capabilities.Has(mysqlwire.CapQueryAttributes) {
		p = append(p, 0, 1) // no attributes, one set of them
	}
	p = append(p, query...)
	return mysqlwire.AppendPacket(slices.Grow(dst, mysqlwire.HeaderSize+len(p)), 0, p)
}

// result is one response while it is read.
type result struct {
	conn *Conn
	left int // bytes it may still have
}

// next reads a packet. An ERR is an error wherever it comes.
func (r *result) next() ([]byte, error) {
	p, _, err := r.conn.reader.packet(max(r.left, 1))
	if errors.Is(err, mysqlwire.ErrTooLarge) {
		return nil, errBigResult
	}
	if err != nil {
		return nil, err
	}
	if p[0] == headerERR {
		return nil, mysqlwire.ParseError(p)
	}
	if r.left -= max(len(p), packetOverhead); r.left < 0 {
		return nil, errBigResult
	}
	return p, nil
}

// readResult reads the whole response to one command: an OK, or rows and what ends them.
// https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_com_query_response.html
func (c *Conn) readResult() (*Rows, mysqlwire.OK, error) {
	rows, ok, err := c.readOne()
	if err == nil && ok.Status&mysqlwire.StatusMoreResults != 0 {
		err = fmt.Errorf("%w: more than one result", errProtocol)
	}
	return rows, ok, err
}

// readOne reads one result, which others may follow.
func (c *Conn) readOne() (*Rows, mysqlwire.OK, error) {
	r := result{conn: c, left: maxResult}
	p, err := r.next()
	if err != nil {
		return nil, mysqlwire.OK{}, err
	}
	if p[0] == headerOK {
		ok, err := mysqlwire.ParseOK(p, c.Capabilities.Has(mysqlwire.CapSessionTrack))
		return &Rows{}, ok, err
	}
	if p[0] == headerInfile {
		return nil, mysqlwire.OK{}, fmt.Errorf("%w: it asks for a file", errProtocol)
	}
	rows, err := r.columns(p)
	if err != nil {
		return nil, mysqlwire.OK{}, err
	}
	ok, err := r.rows(rows)
	return rows, ok, err
}

// columns reads the definitions that the packet with their number announces.
func (r *result) columns(count []byte) (*Rows, error) {
	n, silent, err := mysqlwire.ParseCount(count, r.conn.Capabilities.Has(mysqlwire.CapOptionalMetadata))
	if err != nil || n > maxColumns {
		return nil, fmt.Errorf("%w: a result of %d columns", errProtocol, n)
	}
	rows := &Rows{Columns: make([]string, n)}
	for i := 0; i < n && !silent; i++ {
		p, err := r.next()
		if err != nil {
			return nil, err
		}
		name, ok := columnName(p)
		if !ok {
			return nil, fmt.Errorf("%w: malformed column definition", errProtocol)
		}
		rows.Columns[i] = name
	}
	if r.conn.Capabilities.Has(mysqlwire.CapDeprecateEOF) {
		return rows, nil
	}
	p, err := r.next()
	if err == nil && p[0] != headerEOF {
		err = fmt.Errorf("%w: no end of the column definitions", errProtocol)
	}
	return rows, err
}

// columnName is the fifth text of a column definition: catalog, schema, table, original table, name.
// https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_com_query_response_text_resultset_column_definition.html
func columnName(p []byte) (name string, ok bool) {
	var s []byte
	for range 5 {
		if s, _, p, ok = cutText(p); !ok {
			return "", false
		}
	}
	return string(s), true
}

// rows reads the rows and what ends them.
func (r *result) rows(rows *Rows) (mysqlwire.OK, error) {
	for {
		p, err := r.next()
		if err != nil {
			return mysqlwire.OK{}, err
		}
		if p[0] == headerEOF { // no row: it would begin with a length beyond the largest result
			return r.end(p)
		}
		row := make([]sql.NullString, len(rows.Columns))
		for i := range row {
			s, null, rest, ok := cutText(p)
			if !ok {
				return mysqlwire.OK{}, fmt.Errorf("%w: malformed row", errProtocol)
			}
			row[i] = sql.NullString{String: string(s), Valid: !null}
			p = rest
		}
		r.left -= 32 * len(row)
		rows.Values = append(rows.Values, row)
	}
}

// end reads the packet that ends rows.
func (r *result) end(p []byte) (mysqlwire.OK, error) {
	if r.conn.Capabilities.Has(mysqlwire.CapDeprecateEOF) {
		return mysqlwire.ParseOK(p, r.conn.Capabilities.Has(mysqlwire.CapSessionTrack))
	}
	return mysqlwire.ParseEOF(p)
}

// cutText splits b after the text at its beginning, which may be NULL.
func cutText(b []byte) (s []byte, null bool, rest []byte, ok bool) {
	if len(b) > 0 && b[0] == headerNull {
		return nil, true, b[1:], true
	}
	n, rest, ok := cutLenenc(b)
	if !ok || n > uint64(len(rest)) {
		return nil, false, nil, false
	}
	return rest[:n], false, rest[n:], true
}

// cutLenenc splits b after the length-encoded integer at its beginning.
// https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_basic_dt_integers.html#sect_protocol_basic_dt_int_le
func cutLenenc(b []byte) (n uint64, rest []byte, ok bool) {
	if len(b) == 0 {
		return 0, nil, false
	}
	size := 0
	switch b[0] {
	case 0xFC:
		size = 2
	case 0xFD:
		size = 3
	case 0xFE:
		size = 8
	case headerNull, headerERR:
		return 0, nil, false
	default:
		return uint64(b[0]), b[1:], true
	}
	if len(b) < 1+size {
		return 0, nil, false
	}
	for i := size; i > 0; i-- {
		n = n<<8 | uint64(b[i])
	}
	return n, b[1+size:], true
}
