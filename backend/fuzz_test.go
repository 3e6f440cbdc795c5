package backend

import (
	"bytes"
	"net"
	"testing"
	"time"

	"github.com/stickyproxy/stickyproxy/mysqlwire"
)

// script is a connection on which the peer has said all that it ever will.
type script struct {
	net.Conn
	in *bytes.Reader
}

func (s script) Read(b []byte) (int, error)  { return s.in.Read(b) }
func (s script) Write(b []byte) (int, error) { return len(b), nil }
func (s script) Close() error                { return nil }
func (script) SetDeadline(time.Time) error   { return nil }
func (script) RemoteAddr() net.Addr          { return &net.TCPAddr{} }

// FuzzLogin feeds a server's side of a login and set-up. What comes out is a connection or an error, whatever comes in.
func FuzzLogin(f *testing.F) {
	ok := mysqlwire.OK{Status: mysqlwire.StatusAutocommit}
	greeting := func(caps mysqlwire.Capability, plugin string) []byte {
		g := mysqlwire.Greeting{Version: "8.4.3", Salt: testSalt, Capabilities: caps, Plugin: plugin}
		return mysqlwire.AppendPacket(nil, 0, g.Append(nil))
	}
	then := func(b []byte, payloads ...[]byte) []byte {
		b = bytes.Clone(b)
		for i, p := range payloads {
			b = mysqlwire.AppendPacket(b, byte(i+2), p)
		}
		return b
	}
	native := greeting(allCaps, mysqlwire.PluginNative)
	sw := mysqlwire.AuthSwitch{Plugin: mysqlwire.PluginEd25519, Salt: testSalt}
	f.Add(native)
	f.Add(greeting(allCaps|mysqlwire.CapSSL, mysqlwire.PluginCachingSHA2))
	f.Add(then(native, ok.Append(nil, false, true)))
	f.Add(then(native, sw.Append(nil), ok.Append(nil, false, true)))
	parsec := mysqlwire.AuthSwitch{Plugin: mysqlwire.PluginParsec, Salt: bytes.Repeat([]byte{7}, 32)}
	f.Add(then(native, parsec.Append(nil), []byte("\x01P\x00some salt"), ok.Append(nil, false, true)))
	f.Add(then(greeting(allCaps, mysqlwire.PluginCachingSHA2), mysqlwire.AppendAuthMore(nil, mysqlwire.FullAuth), mysqlwire.AppendAuthMore(nil, []byte("-----BEGIN PUBLIC KEY-----\n")...)))
	f.Add(mysqlwire.AppendPacket(nil, 0, mysqlwire.NewError(1040, "full").Append(nil)))
	f.Add([]byte{0, 0, 0, 0})
	s, err := NewServer(ServerConfig{Address: "h:1"})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		for _, useTLS := range []bool{false, true} {
			var c *Conn
			r, err := s.meet(script{in: bytes.NewReader(in)})
			if err == nil {
				c, err = r.dialogue.logIn(Login{User: testUser, Password: testPassword, TLS: useTLS})
			}
			if err == nil {
				err = c.setUp(Login{})
			}
			if err == nil && c.Incarnation == "" && !c.Expired {
				t.Error("logged in to nobody")
			}
		}
	})
}

// FuzzResult feeds the answer to a question of our own, in both of its forms.
func FuzzResult(f *testing.F) {
	definition := []byte("\x03def\x00\x00\x00\x01a\x00\x0c\x2d\x00\x01\x00\x00\x00\xfd\x00\x00\x00\x00\x00")
	frames := func(payloads ...[]byte) (b []byte) {
		for i, p := range payloads {
			b = mysqlwire.AppendPacket(b, byte(i), p)
		}
		return b
	}
	f.Add(frames([]byte{1}, definition, []byte{1, 'x'}, []byte{0xfe, 0, 0, 2, 0, 0, 0}))
	f.Add(frames([]byte{1}, definition, []byte{0xfe, 0, 0, 2, 0}, []byte{0xfb}, []byte{0xfe, 0, 0, 2, 0}))
	f.Add(frames([]byte{0, 0, 0, 2, 0, 0, 0}))
	f.Add(frames([]byte{0xff, 1, 2}))
	f.Fuzz(func(t *testing.T, in []byte) {
		for _, caps := range []mysqlwire.Capability{allCaps, 0} {
			c := &Conn{Conn: script{in: bytes.NewReader(in)}, Capabilities: caps}
			c.reader.Reset(c.Conn)
			rows, _, err := c.query("SELECT 1")
			if err != nil {
				continue
			}
			for _, row := range rows.Values {
				if len(row) != len(rows.Columns) {
					t.Errorf("a row of %d values, %d columns", len(row), len(rows.Columns))
				}
			}
		}
	})
}
