package proxy

import (
	"bufio"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"strings"
	"testing"

	"github.com/go-mysql-org/go-mysql/mysql"

	"github.com/stickyproxy/stickyproxy/mysqlwire"
)

// checker is a client that checks the sequence number of every packet it gets, and reads responses by its own
// understanding of the protocol.
type checker struct {
	t    testing.TB
	nc   net.Conn
	in   *bufio.Reader
	caps mysqlwire.Capability
	seq  byte // of the next packet
	id   uint32
}

// reply is a whole response.
type reply struct {
	err   *mysqlwire.Error
	ends  []mysqlwire.OK   // of its results
	rows  []string         // the first value of every row
	told  int              // how many of them are in said
	early mysqlwire.Status // of the last EOF behind definitions
	said  []string         // the results in their order: ok, or the rows; with + if more follow
	lost  error            // the connection ended
}

const (
	usualClient   = defaultCapabilities | mysqlwire.CapTransactions | mysqlwire.CapMultiResults | mysqlwire.CapPSMultiResults
	classicClient = usualClient &^ (mysqlwire.CapDeprecateEOF | mysqlwire.CapSessionTrack)
)

func (r *rig) connect() *checker { return r.connectAs(usualClient, "", "") }

// connectAs logs in as app, without a password. Session, if not empty, is the sticky_session attribute.
func (r *rig) connectAs(caps mysqlwire.Capability, schema, sessionName string) *checker {
	r.t.Helper()
	c := r.dial(r.address)
	raw := &rawClient{t: r.t, conn: c.nc, capabilities: caps, schema: schema}
	if schema != "" {
		raw.capabilities |= mysqlwire.CapConnectWithDB
	}
	if sessionName != "" {
		raw.attributes = attribute("sticky_session", sessionName)
	}
	if refused := raw.login("app", ""); refused != nil {
		r.t.Fatal(refused)
	}
	c.caps, c.id = caps&mysqlwire.Capability(raw.greeting.Capabilities), raw.greeting.ConnectionID
	return c
}

func attribute(name, value string) []byte {
	b := append([]byte{byte(len(name))}, name...)
	b = binary.LittleEndian.AppendUint16(append(b, 0xFC), uint16(len(value)))
	return append(b, value...)
}

// dial opens a connection on which nothing was said.
func (r *rig) dial(address string) *checker {
	r.t.Helper()
	nc, err := net.Dial("tcp", address)
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { _ = nc.Close() })
	return &checker{t: r.t, nc: nc, in: bufio.NewReader(nc)}
}

// send sends a command.
func (c *checker) send(code byte, body string) {
	c.t.Helper()
	b := mysqlwire.AppendPacket(nil, 0, append([]byte{code}, body...))
	c.write(b)
	c.seq = byte(1 + (len(body)+1)/mysqlwire.MaxFrame)
}

func (c *checker) write(b []byte) {
	c.t.Helper()
	if _, err := c.nc.Write(b); err != nil {
		c.t.Fatal(err)
	}
}

// packet reads one packet.
func (c *checker) packet() ([]byte, error) {
	c.t.Helper()
	var payload []byte
	for {
		var h [mysqlwire.HeaderSize]byte
		if _, err := io.ReadFull(c.in, h[:]); err != nil {
			return nil, err
		}
		if h[3] != c.seq {
			c.t.Fatalf("packet %d, want %d", h[3], c.seq)
		}
		c.seq++
		at := len(payload)
		payload = append(payload, make([]byte, mysqlwire.FrameLen(h[:]))...)
		if _, err := io.ReadFull(c.in, payload[at:]); err != nil {
			return nil, err
		}
		if mysqlwire.FrameLen(h[:]) < mysqlwire.MaxFrame {
			return payload, nil
		}
	}
}

// ask sends a command and reads the response.
func (c *checker) ask(code byte, body string) reply {
	c.t.Helper()
	c.send(code, body)
	return c.response(code)
}

func (c *checker) query(sql string) reply {
	c.t.Helper()
	if c.caps.Has(mysqlwire.CapQueryAttributes) {
		sql = "\x00\x01" + sql
	}
	return c.ask(mysql.COM_QUERY, sql)
}

// response reads the response to a command that is answered with results.
func (c *checker) response(code byte) reply {
	c.t.Helper()
	var r reply
	for more := true; more; {
		more = c.result(&r, code == mysql.COM_STMT_FETCH)
	}
	return r
}

// result reads one result and reports whether another follows.
func (c *checker) result(r *reply, inRows bool) bool {
	c.t.Helper()
	if !inRows {
		p, err := c.packet()
		switch {
		case err != nil:
			return r.fail(err)
		case p[0] == 0xFF:
			return r.refused(p)
		case p[0] == 0x00:
			return c.end(r, p, false)
		}
		for range p[0] {
			if _, err := c.packet(); err != nil {
				return r.fail(err)
			}
		}
		if !c.caps.Has(mysqlwire.CapDeprecateEOF) {
			p, err := c.packet()
			if err != nil {
				return r.fail(err)
			}
			if len(p) != 5 || p[0] != 0xFE {
				c.t.Fatalf("behind the definitions: % x, want an EOF packet", p)
			}
			r.early = mysqlwire.Status(p[3]) | mysqlwire.Status(p[4])<<8
		}
	}
	for {
		p, err := c.packet()
		switch {
		case err != nil:
			return r.fail(err)
		case p[0] == 0xFF:
			return r.refused(p)
		case p[0] == 0xFE && len(p) < 1<<24-1:
			return c.end(r, p, true)
		}
		r.rows = append(r.rows, firstValue(p))
	}
}

// firstValue is the first column of a text row, or of a binary row of one text column.
func firstValue(p []byte) string {
	if p[0] == 0x00 {
		p = p[2:]
	}
	n, size := mysqlwire.Lenenc(p)
	return string(p[size : size+int(n)])
}

func (r *reply) fail(err error) bool {
	r.lost = err
	return false
}

func (r *reply) refused(p []byte) bool {
	r.err = mysqlwire.ParseError(p)
	return false
}

func (c *checker) end(r *reply, p []byte, rows bool) bool {
	c.t.Helper()
	var ok mysqlwire.OK
	var err error
	if rows && !c.caps.Has(mysqlwire.CapDeprecateEOF) {
		if len(p) != 5 {
			c.t.Fatalf("behind the rows: % x, want an EOF packet", p)
		}
		ok, err = mysqlwire.ParseEOF(p)
	} else {
		ok, err = mysqlwire.ParseOK(p, c.caps.Has(mysqlwire.CapSessionTrack))
	}
	if err != nil {
		c.t.Fatal(err)
	}
	said := "ok"
	if rows {
		said = strings.Join(r.rows[r.told:], ",")
		r.told = len(r.rows)
	}
	if ok.Status&mysqlwire.StatusMoreResults != 0 {
		said += "+"
	}
	r.ends, r.said = append(r.ends, ok), append(r.said, said)
	return ok.Status&mysqlwire.StatusMoreResults != 0
}

// from checks that a query is answered by a server, with its name.
func (c *checker) from(s *scriptedServer, sql string) {
	c.t.Helper()
	r := c.query(sql)
	if r.err != nil || r.lost != nil || len(r.rows) != 1 || r.rows[0] != s.name {
		c.t.Fatalf("%s: got %v, want the answer of %s", sql, r, s.name)
	}
}

// fromReplica is from for any replica, whose server is returned.
func (c *checker) fromReplica(r *rig, sql string) *scriptedServer {
	c.t.Helper()
	got := c.query(sql)
	for _, s := range r.replicas {
		if got.err == nil && len(got.rows) == 1 && got.rows[0] == s.name {
			return s
		}
	}
	c.t.Fatalf("%s: got %v, want the answer of a replica", sql, got)
	return nil
}

// ok checks that a query is answered with OK.
func (c *checker) ok(sql string) mysqlwire.OK {
	c.t.Helper()
	r := c.query(sql)
	if r.err != nil || r.lost != nil || len(r.ends) != 1 || len(r.rows) != 0 {
		c.t.Fatalf("%s: got %v, want OK", sql, r)
	}
	return r.ends[0]
}

// fails checks that a query is answered with an error.
func (c *checker) fails(sql string, code uint16) {
	c.t.Helper()
	if r := c.query(sql); r.err == nil || r.err.Code != code {
		c.t.Fatalf("%s: got %v, want error %d", sql, r, code)
	}
}

// loses sends a statement in whose place the connection ends.
func (c *checker) loses(sql string) {
	c.t.Helper()
	if r := c.query(sql); r.lost == nil {
		c.t.Fatalf("%s: got %v, want the end of the connection", sql, r)
	}
}

// ended checks that the connection is closed, after an ERR packet with this code unless that is 0.
func (c *checker) ended(code uint16) {
	c.t.Helper()
	p, err := c.packet()
	if code != 0 {
		if err != nil || p[0] != 0xFF || mysqlwire.ParseError(p).Code != code {
			c.t.Fatalf("got % x, %v, want error %d", p, err, code)
		}
		_, err = c.packet()
	}
	if !errors.Is(err, io.EOF) && !isReset(err) {
		c.t.Fatalf("got %v, want the end of the connection", err)
	}
}

func isReset(err error) bool {
	var op *net.OpError
	return errors.As(err, &op) && !op.Timeout()
}

// prepare prepares a statement and returns its id.
func (c *checker) prepare(sql string) uint32 {
	c.t.Helper()
	id, refused := c.tryPrepare(sql)
	if refused != nil {
		c.t.Fatalf("PREPARE %s: %v", sql, refused)
	}
	return id
}

func (c *checker) tryPrepare(sql string) (uint32, *mysqlwire.Error) {
	c.t.Helper()
	c.send(mysql.COM_STMT_PREPARE, sql)
	p, err := c.packet()
	if err != nil {
		c.t.Fatal(err)
	}
	if p[0] == 0xFF {
		return 0, mysqlwire.ParseError(p)
	}
	prepared, err := mysqlwire.ParsePrepared(p)
	if err != nil {
		c.t.Fatal(err)
	}
	for _, n := range []int{prepared.Params, prepared.Columns} {
		if n > 0 && !c.caps.Has(mysqlwire.CapDeprecateEOF) {
			n++
		}
		for range n {
			if _, err := c.packet(); err != nil {
				c.t.Fatal(err)
			}
		}
	}
	return prepared.ID, nil
}

// execution is the body of a COM_STMT_EXECUTE; params is all that follows the iteration count.
func execution(id uint32, flags byte, params string) string {
	b := append(binary.LittleEndian.AppendUint32(nil, id), flags, 1, 0, 0, 0)
	return string(b) + params
}

// statementBody is the body of a command about a statement.
func statementBody(id uint32, rest string) string {
	return string(binary.LittleEndian.AppendUint32(nil, id)) + rest
}

// executes checks that the execution of a statement is answered by a server.
func (c *checker) executes(s *scriptedServer, body string) {
	c.t.Helper()
	r := c.ask(mysql.COM_STMT_EXECUTE, body)
	if r.err != nil || r.lost != nil || len(r.rows) != 1 || r.rows[0] != s.name {
		c.t.Fatalf("EXECUTE: got %v, want the answer of %s", r, s.name)
	}
}

// close is what a client does that goes.
func (c *checker) close() { _ = c.nc.Close() }
