package proxy

import (
	"bytes"
	"errors"
	"io"
	"net"
	"net/netip"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/pires/go-proxyproto"

	"github.com/stickyproxy/stickyproxy/mysqlwire"
)

var (
	behind   = &net.TCPAddr{IP: net.IPv4(203, 0, 113, 9).To4(), Port: 1234}
	entrance = &net.TCPAddr{IP: net.IPv4(203, 0, 113, 1).To4(), Port: 3306}
)

// proxyHeader is a header of the PROXY protocol.
func proxyHeader(t testing.TB, version byte, from, to net.Addr) []byte {
	t.Helper()
	b, err := proxyproto.HeaderProxyFromAddrs(version, from, to).Format()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// loopback makes the connections of a pipe look as if they came from 127.0.0.1.
type loopback struct{ net.Conn }

func (loopback) RemoteAddr() net.Addr { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 4} }

// Ensure that a client behind a load balancer is who the load balancer says, that a listed one may come for himself, and
// that nobody else is believed.
func TestLoginBehindLoadBalancer(t *testing.T) {
	local, err := (&proxyproto.Header{Version: 2, Command: proxyproto.LOCAL}).Format()
	if err != nil {
		t.Fatal(err)
	}
	long := append(bytes.Clone(local[:14]), 0xFF, 0xFF)
	v6 := &net.TCPAddr{IP: net.ParseIP("2001:db8::9"), Port: 1234}
	for _, row := range []struct {
		name     string
		unlisted bool
		header   []byte
		want     string // the client's host, "" for an error
	}{
		{"text", false, proxyHeader(t, 1, behind, entrance), "203.0.113.9"},
		{"binary", false, proxyHeader(t, 2, behind, entrance), "203.0.113.9"},
		{"IPv6", false, proxyHeader(t, 2, v6, v6), "2001:db8::9"},
		{"the load balancer's own", false, local, "127.0.0.1"},
		{"unknown", false, []byte("PROXY UNKNOWN\r\n"), "127.0.0.1"},
		{"none", false, nil, "127.0.0.1"},
		{"none and not listed", true, nil, "127.0.0.1"},
		{"text, not listed", true, proxyHeader(t, 1, behind, entrance), ""},
		{"binary, not listed", true, proxyHeader(t, 2, behind, entrance), ""},
		{"too long a line", false, []byte("PROXY TCP4 " + strings.Repeat("1", 200)), ""},
		{"no addresses", false, []byte("PROXY TCP4 a b c d\r\n"), ""},
		{"too long", false, long, ""},
		{"half a signature", false, []byte("\r\n\r\nMySQLMySQL\x00\x00"), ""},
	} {
		t.Run(row.name, func(t *testing.T) {
			inBubble(t, func(t *testing.T) {
				a := newAdmission(t, newPrimary())
				if !row.unlisted {
					a.ProxyFrom = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
				}
				c, done := startLoginFrom(t, a, func(nc net.Conn) net.Conn { return loopback{nc} })
				c.hello()
				sent := make(chan struct{})
				go func() {
					defer close(sent)
					_, _ = c.conn.Write(row.header) // it is not read to its end when it is refused
				}()
				if row.want == "" {
					if got := mysqlwire.ParseError(c.read()); got.Code != 1043 {
						t.Errorf("got %v, want error 1043", got)
					}
					mustEnd(t, done, FaultClient)
					<-sent
					return
				}
				<-sent
				refused := c.login("nobody", "wrong")
				if refused == nil || !strings.Contains(refused.Message, "'nobody'@'"+row.want+"'") {
					t.Errorf("got %v, want host %s", refused, row.want)
				}
				<-done
			})
		})
	}
}

// Ensure that not a byte behind a header is taken from the dialogue.
func TestProxyHeaderIsReadExactly(t *testing.T) {
	for _, version := range []byte{1, 2} {
		text := append(proxyHeader(t, version, behind, entrance), "rest"...)
		r := bytes.NewReader(text)
		head := make([]byte, 4)
		if _, err := io.ReadFull(r, head); err != nil {
			t.Fatal(err)
		}
		h, err := readProxyHeader(r, head)
		if err != nil || h.SourceAddr.String() != behind.String() || r.Len() != len("rest") {
			t.Errorf("version %d: got %+v, %v, %d bytes left", version, h, err, r.Len())
		}
		short := iotest.TimeoutReader(iotest.OneByteReader(bytes.NewReader(text[4:])))
		if _, err := readProxyHeader(short, text[:4:4]); !errors.Is(err, iotest.ErrTimeout) {
			t.Errorf("version %d: got %v", version, err)
		}
	}
}

func TestForwarded(t *testing.T) {
	f := &forwarded{Conn: loopback{}, remote: behind, local: entrance}
	if f.RemoteAddr() != behind || f.LocalAddr() != entrance {
		t.Errorf("got %v and %v", f.RemoteAddr(), f.LocalAddr())
	}
	if _, err := f.SyscallConn(); err == nil {
		t.Error("there is no socket")
	}
	if f.CloseWrite() == nil {
		t.Error("a pipe has no half")
	}
}

func FuzzProxyHeader(f *testing.F) {
	f.Add(proxyHeader(f, 1, behind, entrance))
	f.Add(proxyHeader(f, 2, behind, entrance))
	f.Add([]byte("PROXY UNKNOWN ffff::1 ffff::2 1 2\r\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		if len(data) < 4 {
			return
		}
		r := bytes.NewReader(data[4:])
		if h, err := readProxyHeader(r, data[:4:4]); err == nil && h == nil {
			t.Error("neither a header nor an error")
		}
		if used := len(data) - r.Len(); used > proxyV2+maxProxyV2 {
			t.Errorf("%d bytes were read", used)
		}
	})
}
