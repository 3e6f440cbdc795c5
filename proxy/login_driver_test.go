package proxy

import (
	"context"
	"crypto/rsa"
	"errors"
	"net"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/go-sql-driver/mysql"

	"github.com/stickyproxy/stickyproxy/mysqlwire"
)

// listener serves logins, and pings after them, on a real socket.
type listener struct {
	net.Listener
	admission *Admission
	keys      atomic.Int32 // how often the RSA key was needed
	all       sync.WaitGroup
	mu        sync.Mutex
	conns     []net.Conn
}

func startListener(t *testing.T, network, address string, a *Admission) *listener {
	t.Helper()
	nl, err := net.Listen(network, address)
	if err != nil {
		t.Fatal(err)
	}
	l := &listener{Listener: nl, admission: a}
	a.Key = func() (*rsa.PrivateKey, error) { l.keys.Add(1); return testKey() }
	l.all.Go(l.accept)
	t.Cleanup(l.stop)
	return l
}

func (l *listener) accept() {
	for {
		nc, err := l.Accept()
		if err != nil {
			return
		}
		l.mu.Lock()
		l.conns = append(l.conns, nc)
		l.mu.Unlock()
		l.all.Go(func() { l.serve(nc) })
	}
}

// stop ends everything and waits for it.
func (l *listener) stop() {
	_ = l.Close()
	l.mu.Lock()
	for _, c := range l.conns {
		_ = c.Close()
	}
	l.mu.Unlock()
	l.all.Wait()
}

func (l *listener) serve(nc net.Conn) {
	defer func() { _ = nc.Close() }()
	client, err := l.admission.Login(context.Background(), nc, Hello{Version: "9.7.4", Capabilities: everything, Collation: 255})
	if err != nil {
		return
	}
	for {
		payload, _, err := mysqlwire.ReadPacket(client, 1<<20)
		if err != nil || payload[0] == 1 { // COM_QUIT
			return
		}
		ok := mysqlwire.OK{Status: mysqlwire.StatusAutocommit}
		if _, err := client.Write(mysqlwire.AppendPacket(nil, 1, ok.Append(nil, false, false))); err != nil {
			return
		}
	}
}

// ping logs in with the driver and sends one command.
func (l *listener) ping(t *testing.T, user, password, tls string) error {
	t.Helper()
	c := mysql.NewConfig()
	c.User, c.Passwd, c.TLSConfig = user, password, tls
	c.Net, c.Addr = l.Addr().Network(), l.Addr().String()
	connector, err := mysql.NewConnector(c)
	if err != nil {
		t.Fatal(err)
	}
	conn, err := connector.Connect(context.Background())
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }()
	return conn.(interface{ Ping(context.Context) error }).Ping(context.Background())
}

func (l *listener) mustPing(t *testing.T, user, password, tls string) {
	t.Helper()
	if err := l.ping(t, user, password, tls); err != nil {
		t.Errorf("%s: %v", user, err)
	}
}

func (l *listener) mustNotPing(t *testing.T, user, password, tls string, code uint16, text string) {
	t.Helper()
	err := l.ping(t, user, password, tls)
	var refused *mysql.MySQLError
	if !errors.As(err, &refused) || refused.Number != code || refused.Message != text {
		t.Errorf("%s: got %v, want error %d: %s", user, err, code, text)
	}
}

// Ensure that a driver logs in over each kind of connection, and that the password crosses plain TCP encrypted, once.
func TestLoginOfADriver(t *testing.T) {
	for _, row := range []struct {
		name, network, tls, host string
		keys                     int32 // how often the key is needed for a password: to send it and to decrypt
	}{
		{"TCP", "tcp", "", "127.0.0.1", 2},
		{"TLS", "tcp", "skip-verify", "127.0.0.1", 0},
		{"unix", "unix", "", "localhost", 0},
		{"TLS over unix", "unix", "skip-verify", "localhost", 0},
	} {
		t.Run(row.name, func(t *testing.T) {
			address := "127.0.0.1:0"
			if row.network == "unix" {
				address = filepath.Join(t.TempDir(), "s")
			}
			p := newPrimary()
			a := newAdmission(t, p)
			a.TLS = newTLS(t)
			l := startListener(t, row.network, address, a)
			for range 3 {
				l.mustPing(t, "app", "secret", row.tls)
			}
			if got := l.keys.Load(); got != row.keys {
				t.Errorf("the key was needed %d times, want %d", got, row.keys)
			}
			l.mustPing(t, "open", "", row.tls)
			for _, user := range []string{"app", "nob"} {
				l.mustNotPing(t, user, "wrong", row.tls, 1045, "Access denied for user '"+user+"'@'"+row.host+"' (using password: YES)")
				l.mustNotPing(t, user, "", row.tls, 1045, "Access denied for user '"+user+"'@'"+row.host+"' (using password: NO)")
			}
			p.set("app", "other")
			l.mustNotPing(t, "app", "secret", row.tls, 1045, "Access denied for user 'app'@'"+row.host+"' (using password: YES)")
			l.mustPing(t, "app", "other", row.tls)
		})
	}
}

// Ensure that where TLS is required a unix socket is as good.
func TestLoginOfADriverTLSRequired(t *testing.T) {
	a := newAdmission(t, newPrimary())
	a.TLS, a.TLSRequired = newTLS(t), true
	tcp := startListener(t, "tcp", "127.0.0.1:0", a)
	tcp.mustNotPing(t, "app", "secret", "", 3159, textInsecure)
	tcp.mustPing(t, "app", "secret", "skip-verify")
	unix := startListener(t, "unix", filepath.Join(t.TempDir(), "s"), a)
	unix.mustPing(t, "app", "secret", "")
}

// Ensure that many can log in at the same time.
func TestLoginConcurrently(t *testing.T) {
	a := newAdmission(t, newPrimary())
	l := startListener(t, "tcp", "127.0.0.1:0", a)
	var all sync.WaitGroup
	for i := range 40 {
		all.Go(func() {
			if i%4 == 0 {
				l.mustNotPing(t, "app", "wrong", "", 1045, "Access denied for user 'app'@'127.0.0.1' (using password: YES)")
				return
			}
			l.mustPing(t, "app", "secret", "")
		})
	}
	all.Wait()
}

// Ensure that an error reaches a client over TCP that is still sending, which a plain close would prevent.
func TestLoginErrorSurvivesUnreadBytes(t *testing.T) {
	l := startListener(t, "tcp", "127.0.0.1:0", newAdmission(t, newPrimary()))
	nc, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = nc.Close() }()
	c := &rawClient{t: t, conn: nc}
	c.hello()
	c.seq = 1
	if _, err := nc.Write(append([]byte{0xFF, 0xFF, 0xFF, 1}, make([]byte, 8<<20)...)); err != nil {
		t.Fatal(err)
	}
	c.seq = 2
	if got := mysqlwire.ParseError(c.read()); got.Code != 1153 {
		t.Errorf("got %v", got)
	}
}
