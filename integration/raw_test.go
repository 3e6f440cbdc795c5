package integration

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"testing"
	"time"

	gomysql "github.com/go-mysql-org/go-mysql/mysql"

	"github.com/stickyproxy/stickyproxy/internal/mysqltest"
	"github.com/stickyproxy/stickyproxy/mysqlwire"
)

// raw is a client that speaks the protocol itself, so that it can do what drivers do not, and sees every packet. It
// reads responses by the rules of the protocol and without the proxy's code for that.
type raw struct {
	t    testing.TB
	conn net.Conn
	caps mysqlwire.Capability
	id   uint32 // that it was greeted with
	salt []byte // of the greeting
	seq  byte   // of the next packet
	file []byte // what LOCAL INFILE gets
}

const (
	// plainCaps is what clients of all ages ask for.
	plainCaps = mysqlwire.CapLongPassword | mysqlwire.CapLongFlag | mysqlwire.CapProtocol41 | mysqlwire.CapTransactions |
		mysqlwire.CapSecureConnection | mysqlwire.CapPluginAuth | mysqlwire.CapMultiStatements | mysqlwire.CapMultiResults |
		mysqlwire.CapPSMultiResults | mysqlwire.CapLocalFiles
	// newCaps is what newer ones ask for too.
	newCaps = plainCaps | mysqlwire.CapDeprecateEOF | mysqlwire.CapSessionTrack
)

// rawTimeout ends whatever a raw client waits for: long enough for a busy machine.
const rawTimeout = 2 * time.Minute

// raw logs in through the proxy.
func (p *rig) raw(caps mysqlwire.Capability) *raw {
	p.t.Helper()
	return p.rawTo(p.addr, caps)
}

func (p *rig) rawTo(addr string, caps mysqlwire.Capability) *raw {
	p.t.Helper()
	c := dialRaw(p.t, addr)
	if err := c.login(p.account, caps, mysqltest.AppSchema); err != nil {
		p.t.Fatal(err)
	}
	return c
}

// dialRaw connects and says nothing.
func dialRaw(t testing.TB, addr string) *raw {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(rawTimeout)); err != nil {
		t.Fatal(err)
	}
	return &raw{t: t, conn: conn}
}

// login is the dialogue of an honest client.
func (c *raw) login(a mysqltest.Account, caps mysqlwire.Capability, schema string) error {
	p, err := c.read()
	if err != nil {
		return err
	}
	g, err := mysqlwire.ParseGreeting(p)
	if err != nil {
		return err
	}
	c.id, c.salt = g.ConnectionID, g.Salt
	if schema != "" {
		caps |= mysqlwire.CapConnectWithDB
	}
	c.caps = caps & (g.Capabilities | mysqlwire.CapLongPassword)
	r := mysqlwire.LoginRequest{Capabilities: c.caps, MaxPacket: 1 << 30, Collation: 45, User: a.User, Schema: schema, Plugin: g.Plugin}
	if !c.caps.Has(mysqlwire.CapPluginAuth) {
		r.Plugin = mysqlwire.PluginNative // the only one that such a client knows
	}
	r.Answer = scramble(r.Plugin, g.Salt, a.Password)
	if err := c.write(r.Append(nil)); err != nil {
		return err
	}
	return c.proveTo(a.Password, g.Salt)
}

func scramble(plugin string, salt []byte, password string) []byte {
	if plugin == mysqlwire.PluginNative {
		return mysqlwire.ScrambleNative(salt, password)
	}
	return mysqlwire.ScrambleCachingSHA2(salt, password)
}

// proveTo answers until the other side has decided.
func (c *raw) proveTo(password string, salt []byte) error {
	for {
		p, err := c.read()
		if err != nil {
			return err
		}
		more, isMore := mysqlwire.ParseAuthMore(p)
		var answer []byte
		switch {
		case p[0] == 0xFF:
			return mysqlwire.ParseError(p)
		case p[0] == 0x00:
			return nil
		case mysqlwire.IsAuthSwitch(p):
			s, err := mysqlwire.ParseAuthSwitch(p)
			if err != nil {
				return err
			}
			salt, answer = s.Salt, scramble(s.Plugin, s.Salt, password)
		case isMore && bytes.Equal(more, []byte{mysqlwire.FastAuthOK}):
			continue
		case isMore && bytes.Equal(more, []byte{mysqlwire.FullAuth}):
			answer = []byte{mysqlwire.RequestKey}
		default:
			key, err := mysqlwire.ParsePublicKey(more)
			if err != nil {
				return err
			}
			if answer, err = mysqlwire.EncryptPassword(password, salt, key); err != nil {
				return err
			}
		}
		if err := c.write(answer); err != nil {
			return err
		}
	}
}

// read reads one packet and checks its number.
func (c *raw) read() ([]byte, error) {
	p, seq, err := mysqlwire.ReadPacket(c.conn, 1<<30)
	if err != nil {
		return nil, err
	}
	if want := c.seq + byte(len(p)/mysqlwire.MaxFrame); seq != want {
		return nil, fmt.Errorf("packet number %d, want %d", seq, want)
	}
	c.seq = seq + 1
	if len(p) == 0 {
		return nil, errors.New("empty packet")
	}
	return p, nil
}

func (c *raw) write(payload []byte) error {
	b := mysqlwire.AppendPacket(nil, c.seq, payload)
	c.seq += byte(len(payload)/mysqlwire.MaxFrame) + 1
	_, err := c.conn.Write(b)
	return err
}

// send sends a command.
func (c *raw) send(code byte, payload ...byte) {
	c.t.Helper()
	c.seq = 0
	if err := c.write(append([]byte{code}, payload...)); err != nil {
		c.t.Fatalf("send command %d: %v", code, err)
	}
}

// command sends a command and returns all packets of the response.
func (c *raw) command(code byte, payload ...byte) [][]byte {
	c.t.Helper()
	c.send(code, payload...)
	packets, err := c.response(code)
	if err != nil {
		c.t.Fatalf("response to command %d (%.60q): %v", code, payload, err)
	}
	return packets
}

// closeWrite tells the other side that nothing more comes.
func (c *raw) closeWrite() error { return c.conn.(*net.TCPConn).CloseWrite() }

// query sends a COM_QUERY.
func (c *raw) query(sql string) [][]byte {
	c.t.Helper()
	return c.command(gomysql.COM_QUERY, []byte(sql)...)
}

// response reads a response, and gives the file if it is asked for.
func (c *raw) response(code byte) (packets [][]byte, err error) {
	r := responseReader{c: c}
	switch code {
	case gomysql.COM_STMT_PREPARE:
		err = r.prepared()
	case gomysql.COM_STMT_FETCH:
		_, err = r.rows()
	case gomysql.COM_STATISTICS:
		_, err = r.next()
	default:
		err = r.results()
	}
	return r.packets, err
}

type responseReader struct {
	c       *raw
	packets [][]byte
}

func (r *responseReader) next() ([]byte, error) {
	p, err := r.c.read()
	if err == nil {
		r.packets = append(r.packets, p)
	}
	return p, err
}

// results reads results until no more follow.
func (r *responseReader) results() error {
	for more := true; more; {
		p, err := r.next()
		if err != nil {
			return err
		}
		if p[0] == 0xFB {
			if err := r.c.sendFile(); err != nil {
				return err
			}
			if p, err = r.next(); err != nil {
				return err
			}
		}
		switch p[0] {
		case 0xFF:
			return nil
		case 0x00, 0xFE:
			more = r.c.status(p).Has(mysqlwire.StatusMoreResults)
			continue
		}
		columns, _ := mysqlwire.Lenenc(p)
		status, err := r.definitions(int(columns))
		if err != nil || status.Has(mysqlwire.StatusCursorExists) {
			return err
		}
		if status, err = r.rows(); err != nil {
			return err
		}
		more = status.Has(mysqlwire.StatusMoreResults)
	}
	return nil
}

// definitions reads n definitions and the EOF packet behind them, if there is one.
func (r *responseReader) definitions(n int) (flags, error) {
	for range n {
		if _, err := r.next(); err != nil {
			return 0, err
		}
	}
	if n == 0 || r.c.caps.Has(mysqlwire.CapDeprecateEOF) {
		return 0, nil
	}
	p, err := r.next()
	if err != nil {
		return 0, err
	}
	status := r.c.status(p)
	// Warnings and most flags are those of the whole statement, which are not known yet where the server sends no such
	// packet: no client reads them here.
	const read = flags(mysqlwire.StatusCursorExists)
	binary.LittleEndian.PutUint16(p[1:], 0)
	binary.LittleEndian.PutUint16(p[3:], uint16(status&read))
	return status, nil
}

// rows reads rows up to what ends them.
func (r *responseReader) rows() (flags, error) {
	for {
		p, err := r.next()
		switch {
		case err != nil:
			return 0, err
		case p[0] == 0xFF:
			return 0, nil
		case p[0] == 0xFE && (len(p) < 9 || r.c.caps.Has(mysqlwire.CapDeprecateEOF) && len(p) < mysqlwire.MaxFrame):
			return r.c.status(p), nil
		}
	}
}

// prepared reads the response to COM_STMT_PREPARE.
func (r *responseReader) prepared() error {
	p, err := r.next()
	if err != nil || p[0] == 0xFF {
		return err
	}
	if len(p) < 12 {
		return fmt.Errorf("answer to a prepare: %q", p)
	}
	columns, params := binary.LittleEndian.Uint16(p[5:]), binary.LittleEndian.Uint16(p[7:])
	for _, n := range []uint16{params, columns} {
		if _, err := r.definitions(int(n)); err != nil {
			return err
		}
	}
	return nil
}

// flags are the status at the end of a result.
type flags uint16

func (s flags) Has(x mysqlwire.Status) bool { return mysqlwire.Status(s)&x != 0 }

// status reads the flags of an OK or EOF packet.
func (c *raw) status(p []byte) flags {
	if p[0] == 0xFE && !c.caps.Has(mysqlwire.CapDeprecateEOF) {
		return flags(binary.LittleEndian.Uint16(p[3:]))
	}
	at := 1
	for range 2 {
		_, n := mysqlwire.Lenenc(p[at:])
		at += n
	}
	return flags(binary.LittleEndian.Uint16(p[at:]))
}

// sendFile gives the file in packets of 1 MiB and an empty one.
func (c *raw) sendFile() error {
	for b := c.file; len(b) > 0; {
		n := min(len(b), 1<<20)
		if err := c.write(b[:n]); err != nil {
			return err
		}
		b = b[n:]
	}
	return c.write(nil)
}

// values are the first columns of the rows of a text result of one column definition; an ERR is the error.
func (c *raw) values(packets [][]byte) ([]string, error) {
	if p := packets[len(packets)-1]; p[0] == 0xFF {
		return nil, mysqlwire.ParseError(p)
	}
	if len(packets) < 3 {
		return nil, io.ErrUnexpectedEOF
	}
	first := 2
	if !c.caps.Has(mysqlwire.CapDeprecateEOF) {
		first++
	}
	var values []string
	for _, p := range packets[first : len(packets)-1] {
		if p[0] == 0xFB {
			values = append(values, "NULL")
			continue
		}
		n, size := mysqlwire.Lenenc(p)
		values = append(values, string(p[size:size+int(n)]))
	}
	return values, nil
}
