package proxy

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"os"
	"runtime"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"

	"github.com/go-mysql-org/go-mysql/mysql"

	"github.com/stickyproxy/stickyproxy/backend"
	"github.com/stickyproxy/stickyproxy/internal/mysqltest/fakeserver"
	"github.com/stickyproxy/stickyproxy/router"
)

// A server without a fleet, or with accounts that make no sense, is not made.
func TestNew(t *testing.T) {
	if _, err := New(Options{}); err == nil {
		t.Error("made without a fleet")
	}
	s, err := New(Options{Fleet: fakeFleet{&backend.Snapshot{}}})
	if err != nil {
		t.Fatal(err)
	}
	if s.o.Window != DefaultWindow || s.o.MaxLag != DefaultMaxLag || s.o.ConnectTimeout != DefaultConnectTimeout || s.log == nil || s.now == nil {
		t.Errorf("defaults: got %+v", s.o)
	}
}

// One client more than allowed gets error 1040, and its place when another one goes.
func TestMaxConnections(t *testing.T) {
	gone := make(chan struct{}, 10)
	r := startRig(t, rigOptions{replicas: 1, options: Options{MaxConnections: 2}, trace: Trace{Closed: func() { gone <- struct{}{} }}})
	first := r.connect()
	r.connect()
	c := r.dial(r.address)
	c.ended(mysql.ER_CON_COUNT_ERROR)
	first.close()
	<-gone
	r.connect().from(r.replicas[0], "SELECT 1")
}

// A client is told when the primary cannot be reached.
func TestNoPrimary(t *testing.T) {
	var failed atomic.Int32
	r := startRig(t, rigOptions{replicas: 1, trace: Trace{LoginFailed: func(error) { failed.Add(1) }}})
	err := errors.New("nobody there")
	r.fleet.info.Store(&err)
	c := r.dial(r.address)
	c.ended(codeUnreachable)
	if failed.Load() != 1 {
		t.Errorf("%d failed logins", failed.Load())
	}
}

// A shutdown ends who is between two commands, and lets transactions and commands come to their end.
func TestShutdown(t *testing.T) {
	r := startRig(t, rigOptions{replicas: 1})
	second := r.listen(Policy{Mode: router.PrimaryOnly}, nil)
	arrived, answer := make(chan struct{}), make(chan struct{})
	r.primary.on(func(c *fakeserver.Conn, cmd fakeserver.Command) error {
		switch cmd.SQL {
		case "SELECT a FROM t FOR UPDATE":
			close(arrived)
			<-answer
		case "INSERT INTO t VALUES (1)":
			return c.OK(fakeserver.OK{Status: inTransaction})
		}
		return errDefault
	})
	idle, working, busy := r.connect(), r.connect(), r.connect()
	idle.from(r.replicas[0], "SELECT 1")
	working.ok("BEGIN")
	busy.send(mysql.COM_QUERY, "SELECT a FROM t FOR UPDATE")
	<-arrived
	done := make(chan error, 1)
	go func() { done <- r.server.Shutdown(context.Background()) }()
	idle.seq = 0
	idle.ended(mysql.ER_SERVER_SHUTDOWN)
	working.ok("INSERT INTO t VALUES (1)")
	for _, address := range []string{r.address, second} {
		if nc, err := net.Dial("tcp", address); err == nil {
			if n, err := nc.Read(make([]byte, 1)); n > 0 || err == nil {
				t.Errorf("%s still serves", address)
			}
			_ = nc.Close()
		}
	}
	close(answer)
	if got := busy.response(mysql.COM_QUERY); got.err != nil || len(got.rows) != 1 {
		t.Error(got)
	}
	busy.seq = 0
	busy.ended(mysql.ER_SERVER_SHUTDOWN)
	working.ok("COMMIT")
	working.seq = 0
	working.ended(mysql.ER_SERVER_SHUTDOWN)
	if err := <-done; err != nil {
		t.Error(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if err := r.server.Serve(l, Policy{}); err != nil {
		t.Errorf("serve after the end: %v", err)
	}
}

// When the time of a shutdown is up, everything ends, whatever it waits for.
func TestShutdownCutsOff(t *testing.T) {
	for _, tt := range []struct {
		name string
		sql  string
		on   func(r *rig) *scriptedServer
	}{
		{"a write", "INSERT INTO t VALUES (1)", func(r *rig) *scriptedServer { return r.primary }},
		{"a read", "SELECT a FROM t", func(r *rig) *scriptedServer { return r.replicas[0] }},
		{"what goes ahead of a statement", "INSERT INTO t VALUES (2)", func(r *rig) *scriptedServer { return r.primary }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := startRig(t, rigOptions{replicas: 1})
			arrived := make(chan struct{})
			c := r.connect()
			if strings.Contains(tt.sql, "(2)") {
				// A schema that was chosen on the replica is told to the primary first.
				snapshotServer(r.replicas[0], map[string]fakeserver.Handler{"USE other": func(c *fakeserver.Conn, _ fakeserver.Command) error {
					return c.OK(fakeserver.OK{Status: inTransaction, Track: []fakeserver.Track{fakeserver.TrackSchema("other")}})
				}})
				c.ok(beginReadOnly)
				c.from(r.replicas[0], "SELECT a FROM t")
				c.ok("USE other")
				c.ok("COMMIT")
			}
			server := tt.on(r)
			server.on(func(c *fakeserver.Conn, cmd fakeserver.Command) error {
				close(arrived)
				return c.WaitForClient()
			})
			c.send(mysql.COM_QUERY, tt.sql)
			<-arrived
			ctx, cancel := context.WithCancel(context.Background())
			cancel()
			if err := r.server.Shutdown(ctx); !errors.Is(err, context.Canceled) {
				t.Errorf("got %v", err)
			}
			if err := r.server.Shutdown(context.Background()); err != nil {
				t.Errorf("again: got %v", err)
			}
		})
	}
}

// Who cuts clients off may come a moment too early to see one wait: then it must not begin to.
func TestNobodyWaitsAfterTheCut(t *testing.T) {
	p := startPath(t, modern, func([]byte) []byte { return nil })
	c := p.conn
	for _, movable := range []bool{false, true} {
		if err := c.await(c.replica, movable); err != nil {
			t.Error(err)
		}
		c.arrived(c.replica)
	}
	c.srv.cancel()
	for _, movable := range []bool{false, true} {
		if err := c.await(c.replica, movable); err == nil {
			t.Error("it waits")
		}
		c.arrived(c.replica)
	}
}

// temporary is an error of Accept that passes.
type temporary struct{ error }

func (temporary) Temporary() bool { return true }

// brokenListener fails as it is told to.
type brokenListener struct {
	net.Listener
	errs []error
}

func (l *brokenListener) Accept() (net.Conn, error) {
	err := l.errs[0]
	l.errs = l.errs[1:]
	return nil, err
}
func (l *brokenListener) Close() error   { return nil }
func (l *brokenListener) Addr() net.Addr { return &net.TCPAddr{} }

// Errors of Accept that pass do not end a listener; others do.
func TestAcceptErrors(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, err := New(Options{Fleet: fakeFleet{&backend.Snapshot{}}})
		if err != nil {
			t.Fatal(err)
		}
		l := &brokenListener{errs: []error{temporary{syscall.EMFILE}, temporary{syscall.EMFILE}, os.ErrPermission}}
		if err := s.Serve(l, Policy{}); !errors.Is(err, os.ErrPermission) {
			t.Errorf("got %v", err)
		}
		if len(l.errs) != 0 {
			t.Errorf("%d errors left", len(l.errs))
		}
		if err := s.Shutdown(context.Background()); err != nil {
			t.Error(err)
		}
	})
}

// Every listener has a policy of its own.
func TestPolicies(t *testing.T) {
	r := startRig(t, rigOptions{replicas: 1})
	addresses := map[string]Policy{}
	for _, p := range []Policy{{Mode: router.PrimaryOnly}, {TLS: newTLS(t), RequireTLS: true}} {
		addresses[r.listen(p, nil)] = p
	}
	for address, p := range addresses {
		c := r.dial(address)
		raw := &rawClient{t: t, conn: c.nc, capabilities: usualClient}
		raw.hello()
		if p.RequireTLS {
			raw.startTLS()
			if _, ok := raw.conn.(*tls.Conn); !ok {
				t.Error("no TLS")
			}
			continue
		}
		if refused := raw.login("app", ""); refused != nil {
			t.Fatal(refused)
		}
		c.caps = usualClient
		c.from(r.primary, "SELECT a FROM t")
	}
}

// No goroutine and no connection to a server stays behind a client.
func TestNothingStaysBehind(t *testing.T) {
	gone := make(chan struct{}, 1)
	r := startRig(t, rigOptions{trace: Trace{Closed: func() { gone <- struct{}{} }}})
	r.connect().close()
	<-gone
	before := runtime.NumGoroutine()
	for range 20 {
		c := r.connect()
		c.fromReplica(r, "SELECT 1")
		c.ok("INSERT INTO t VALUES (1)")
		c.send(mysql.COM_QUIT, "")
		c.ended(0)
		<-gone
	}
	for _, s := range r.all() {
		s.Close() // and so the servers' own goroutines are over
	}
	if after := runtime.NumGoroutine(); after > before {
		t.Errorf("%d goroutines, were %d", after, before)
	}
}
