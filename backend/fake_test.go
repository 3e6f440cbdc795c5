package backend

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"math/big"
	"net"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stickyproxy/stickyproxy/internal/mysqltest/fakeserver"
	"github.com/stickyproxy/stickyproxy/mysqlwire"
)

// allCaps is what the fake server announces when a test does not say: everything but TLS and compression.
const allCaps mysqlwire.Capability = (1<<32 - 1) &^ (mysqlwire.CapSSL | mysqlwire.CapZstd | 1<<5)

var testSalt = []byte("abcdefghijklmnopqrst")

// fakeServer is a server that does what a test says.
type fakeServer struct {
	t        *testing.T
	listener net.Listener
	tls      *tls.Config
	mu       sync.Mutex
	conns    []net.Conn
	wg       sync.WaitGroup
}

// startFake serves each connection with serve, which may fail as it likes: the client's side is what a test looks at.
func startFake(t *testing.T, serve func(*fakeConn)) *fakeServer {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return startFakeOn(t, l, serve)
}

// startFakeOn is startFake on a listener, which it closes.
func startFakeOn(t *testing.T, l net.Listener, serve func(*fakeConn)) *fakeServer {
	t.Helper()
	checkGoroutines(t)
	f := &fakeServer{t: t, listener: l}
	f.wg.Go(func() { f.accept(serve) })
	t.Cleanup(f.close)
	return f
}

func (f *fakeServer) accept(serve func(*fakeConn)) {
	for {
		c, err := f.listener.Accept()
		if err != nil {
			return
		}
		f.mu.Lock()
		f.conns = append(f.conns, c)
		f.mu.Unlock()
		f.wg.Go(func() {
			defer c.Close()
			serve(&fakeConn{Conn: c, server: f})
		})
	}
}

func (f *fakeServer) close() {
	f.listener.Close()
	f.mu.Lock()
	for _, c := range f.conns {
		c.Close()
	}
	f.mu.Unlock()
	f.wg.Wait()
}

// server returns the server as the code under test reaches it.
func (f *fakeServer) server(c ServerConfig) *Server {
	f.t.Helper()
	c.Address = f.listener.Addr().String()
	if f.listener.Addr().Network() == "unix" {
		c.Address = "unix:" + c.Address
	}
	s, err := NewServer(c)
	if err != nil {
		f.t.Fatal(err)
	}
	return s
}

// fakeConn is the server's end of one connection.
type fakeConn struct {
	net.Conn
	server *fakeServer
	seq    byte
	caps   mysqlwire.Capability // announced
	login  mysqlwire.LoginRequest
}

// send sends one packet.
func (c *fakeConn) send(payload []byte) {
	_, _ = c.Write(mysqlwire.AppendPacket(nil, c.seq, payload))
	c.seq++
}

// recv receives one packet; nil when there is none.
func (c *fakeConn) recv() []byte {
	p, seq, err := mysqlwire.ReadPacket(c.Conn, 1<<20)
	if err != nil {
		return nil
	}
	c.seq = seq + 1
	return p
}

// greet sends the greeting and receives the login request, over TLS when the client wants it.
func (c *fakeConn) greet(plugin string, caps mysqlwire.Capability) bool {
	c.caps = caps
	c.greetAs("8.4.3", plugin)
	p := c.recv()
	if p != nil && mysqlwire.IsSSLRequest(p) {
		c.Conn = tls.Server(c.Conn, c.server.tls)
		p = c.recv()
	}
	if p == nil {
		return false
	}
	var err error
	c.login, err = mysqlwire.ParseLoginRequest(p, caps)
	return err == nil
}

func (c *fakeConn) greetAs(version, plugin string) {
	g := mysqlwire.Greeting{Version: version, ConnectionID: 77, Salt: testSalt, Capabilities: c.caps, Collation: 255, Status: mysqlwire.StatusAutocommit, Plugin: plugin}
	c.send(g.Append(nil))
}

func (c *fakeConn) ok() {
	ok := mysqlwire.OK{Status: mysqlwire.StatusAutocommit}
	c.send(ok.Append(nil, false, true))
}

func (c *fakeConn) err(code uint16, text string) {
	c.send(mysqlwire.NewError(code, "%s", text).Append(nil))
}

// command receives a query and returns its text; "" when there is none.
func (c *fakeConn) command() string {
	p := c.recv()
	if len(p) < 2 {
		return ""
	}
	text, _, err := mysqlwire.QueryText(p, c.login.Capabilities&c.caps)
	if err != nil {
		return ""
	}
	return string(text)
}

// rows answers with one row, the columns named as given before each value: name, value, name, value.
func (c *fakeConn) rows(pairs ...string) {
	c.send([]byte{byte(len(pairs) / 2)})
	for i := 0; i < len(pairs); i += 2 {
		def := []byte{3, 'd', 'e', 'f', 0, 0, 0, byte(len(pairs[i]))}
		def = append(append(def, pairs[i]...), 0, 12, 45, 0, 0, 1, 0, 0, 0xfd, 0, 0, 0, 0, 0)
		c.send(def)
	}
	end := mysqlwire.OK{Status: mysqlwire.StatusAutocommit}
	classic := !(c.login.Capabilities & c.caps).Has(mysqlwire.CapDeprecateEOF)
	if classic {
		c.send(end.AppendEOF(nil))
	}
	var row []byte
	for i := 1; i < len(pairs); i += 2 {
		row = append(append(row, byte(len(pairs[i]))), pairs[i]...)
	}
	c.send(row)
	if classic {
		c.send(end.AppendEOF(nil))
	} else {
		c.send(end.Append(nil, true, true))
	}
}

// setUp answers what a login is followed by.
func (c *fakeConn) setUp() bool {
	q := c.command()
	if !strings.HasPrefix(q, "SELECT CONCAT(") {
		return false
	}
	c.rows("inc", "server-1", "db", c.login.Schema, "variables", fakeserver.Values(q, "sql_mode=ANSI\ncharacter_set_client=utf8mb4\n"))
	if (c.login.Capabilities & c.caps).Has(mysqlwire.CapSessionTrack) {
		if q := c.command(); !strings.HasPrefix(q, "SET SESSION session_track") {
			return false
		}
		c.ok()
	}
	return true
}

// welcome serves a whole login that checks nothing.
func (c *fakeConn) welcome() bool {
	if !c.greet(mysqlwire.PluginNative, allCaps) {
		return false
	}
	c.ok()
	return c.setUp()
}

// hold waits until the client closes the connection.
func (c *fakeConn) hold() { _, _ = io.Copy(io.Discard, c.Conn) }

// checkGoroutines fails the test if it ends with more goroutines than it began with.
func checkGoroutines(t *testing.T) {
	t.Helper()
	before := runtime.NumGoroutine()
	t.Cleanup(func() {
		if t.Failed() {
			return
		}
		// Those that were told to end may need a moment, so the scheduler gets some chances.
		for range 1000 {
			if runtime.NumGoroutine() <= before {
				return
			}
			runtime.Gosched()
			runtime.GC()
		}
		buf := make([]byte, 64<<10)
		t.Errorf("%d goroutines before, %d after:\n%s", before, runtime.NumGoroutine(), buf[:runtime.Stack(buf, true)])
	})
}

// testCertificate makes a self-signed certificate for 127.0.0.1 and the pool that trusts it.
func testCertificate(t *testing.T) (*tls.Config, *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, &template, &template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(leaf)
	return &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}}, pool
}

// connect connects and closes with the test.
func connect(t *testing.T, s *Server, l Login) *Conn {
	t.Helper()
	c, err := s.Connect(t.Context(), l)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// refusal is the server's error in err, or fails the test.
func refusal(t *testing.T, err error) *mysqlwire.Error {
	t.Helper()
	var refused *mysqlwire.Error
	if !errors.As(err, &refused) {
		t.Fatalf("got %v, want an error of the server", err)
	}
	return refused
}

// canceled returns a context that is over.
func canceled() context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	return ctx
}
