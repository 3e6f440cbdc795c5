package proxy

import (
	"io"
	"net"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-mysql-org/go-mysql/mysql"

	"github.com/stickyproxy/stickyproxy/backend"
	"github.com/stickyproxy/stickyproxy/internal/mysqltest/fakeserver"
	"github.com/stickyproxy/stickyproxy/internal/mysqltest/faultyconn"
	"github.com/stickyproxy/stickyproxy/mysqlwire"
	"github.com/stickyproxy/stickyproxy/router"
)

// pipeConn is a server connection over a pipe, which synctest knows.
func pipeConn(t *testing.T, server *backend.Server, incarnation string, serve func(nc net.Conn)) *backend.Conn {
	t.Helper()
	near, far := net.Pipe()
	go serve(far)
	t.Cleanup(func() { _ = near.Close(); _ = far.Close() })
	return &backend.Conn{Conn: near, Server: server, Incarnation: incarnation, Status: mysqlwire.StatusAutocommit, Tracked: true,
		Capabilities: modern | mysqlwire.CapSessionTrack}
}

// A read that waits for a replica that went silent is taken from it when the fleet knows, and runs on the primary.
func TestSilentReplicaLosesItsReads(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server, err := backend.NewServer(backend.ServerConfig{Address: "127.0.0.1:1"})
		if err != nil {
			t.Fatal(err)
		}
		replica := router.Replica{Name: "r", Incarnation: "r", Up: true, ReadOnly: true, Replicating: true, FreshAsOf: time.Now().Add(time.Hour)}
		fleet := &scriptedFleet{}
		snapshot := &backend.Snapshot{Servers: []*backend.Server{server}, Primary: server}
		snapshot.Monitored, snapshot.Replicas = true, []router.Replica{replica}
		fleet.snapshot.Store(snapshot)
		s, err := New(Options{Fleet: fleet, MaxLag: 2 * time.Hour})
		if err != nil {
			t.Fatal(err)
		}
		answer := pointSelect(nil)
		inside, outside := net.Pipe()
		c := newConn(s, 1, router.Auto, &Client{Conn: inside, Capabilities: modern, Primary: pipeConn(t, server, "p", func(nc net.Conn) {
			serveAnswers(nc, func([]byte) []byte { return answer })
		})})
		c.replica = newLink(pipeConn(t, server, "r", func(nc net.Conn) { _, _ = io.Copy(io.Discard, nc) }), true, c.state.version)
		s.clients[&client{nc: inside, conn: c}] = struct{}{}
		s.watched.Go(s.watch)
		var served sync.WaitGroup
		served.Go(func() { _ = c.serve(); c.close() })
		if _, err := outside.Write(query("SELECT a FROM t")); err != nil {
			t.Fatal(err)
		}
		synctest.Wait() // for the read to wait, too
		fleet.change(func(snap *backend.Snapshot) { snap.Replicas[0].Up = false })
		if _, err := io.ReadFull(outside, make([]byte, len(answer))); err != nil {
			t.Fatal(err)
		}
		if fleet.failures() != 1 || c.previous != c.primary {
			t.Errorf("%d failures", fleet.failures())
		}
		_ = outside.Close()
		served.Wait()
		s.cancel()
		s.watched.Wait()
	})
}

// A wait is ended by the watch, or its answer has begun, and never both.
func TestWaitEndsOnce(t *testing.T) {
	p := startPath(t, modern, prepareThen(pointSelect(nil)))
	c := p.conn
	l := c.replica
	for _, tt := range []struct {
		name  string
		wake  bool
		begun bool
	}{
		{"answered", false, true}, {"ended", true, false},
	} {
		l.dead = false
		if err := c.await(l, true); err != nil {
			t.Fatal(err)
		}
		if tt.wake && !c.waits.CompareAndSwap(l, nil) {
			t.Fatal("nothing waits")
		}
		if got := c.begun(l); got != tt.begun {
			t.Errorf("%s: begun %v", tt.name, got)
		}
		if c.waits.Load() != nil || c.awaited() != l {
			t.Errorf("%s: it can be ended still", tt.name)
		}
		c.arrived(l)
		if c.awaited() != nil {
			t.Errorf("%s: still awaited", tt.name)
		}
	}
	if err := c.await(l, true); err != nil {
		t.Fatal(err)
	}
	c.waits.Store(nil) // as the watch does, before an answer that was refused
	if c.arrived(l); !l.dead {
		t.Error("a connection whose deadline has passed is to be used again")
	}
	l.dead = false
}

// An answer that arrives when its wait was just ended is not used: the deadline might cut it in the middle.
func TestAnswerAfterTheWait(t *testing.T) {
	p := startPath(t, modern, prepareThen(pointSelect(nil)))
	s := p.conn.srv
	server := s.o.Fleet.Snapshot().Servers[0]
	near, far := tcpPair(t)
	go serveAnswers(far, func([]byte) []byte { return pointSelect(nil) })
	inside, outside := tcpPair(t)
	primary, other := tcpPair(t)
	go serveAnswers(other, func([]byte) []byte { return pointSelect(nil) })
	c := newConn(s, 2, router.Auto, &Client{Conn: inside, Capabilities: modern, Primary: &backend.Conn{Conn: primary, Server: server, Incarnation: "p",
		Status: mysqlwire.StatusAutocommit, Tracked: true, Capabilities: modern | mysqlwire.CapSessionTrack}})
	s.mu.Lock()
	s.clients[&client{nc: inside, conn: c}] = struct{}{}
	s.mu.Unlock()
	woken := 0
	wake := faultyconn.Fault{Do: func() {
		s.wake(server)
		if c.waits.Load() == nil {
			woken++
		}
		if err := near.SetReadDeadline(time.Time{}); err != nil { // so that the answer still arrives
			t.Error(err)
		}
	}}
	c.replica = newLink(&backend.Conn{Conn: faultyconn.Wrap(near, faultyconn.Plan{Reads: []faultyconn.Fault{wake}}), Server: server, Incarnation: "r",
		Status: mysqlwire.StatusAutocommit, Tracked: true, Capabilities: modern | mysqlwire.CapSessionTrack}, true, c.state.version)
	var served sync.WaitGroup
	served.Go(func() { _ = c.serve() })
	if _, err := outside.Write(query("SELECT a FROM t")); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(outside, make([]byte, len(pointSelect(nil)))); err != nil {
		t.Fatal(err)
	}
	_ = outside.Close()
	served.Wait()
	if woken != 1 || c.replica != nil || c.previous != c.primary {
		t.Errorf("woken %d times; the replica's answer was used", woken)
	}
}

// A client that goes away while a server works for it is gone for that server too, and one that waits is not.
func TestServersHearOfClientsThatAreGone(t *testing.T) {
	for _, sql := range []string{"DO SLEEP(100)", "SELECT SLEEP(100) FROM t"} {
		r := startRig(t, rigOptions{replicas: 1})
		heard, asked := make(chan error, 2), make(chan struct{}, 2)
		for _, s := range r.all() {
			s.on(func(c *fakeserver.Conn, cmd fakeserver.Command) error {
				if cmd.SQL != sql {
					return errDefault
				}
				asked <- struct{}{}
				heard <- c.WaitForClient()
				return errHangUp
			})
		}
		stays, goes := r.connect(), r.connect()
		stays.send(mysql.COM_QUERY, sql)
		goes.send(mysql.COM_QUERY, sql)
		<-asked
		<-asked
		goes.close()
		if err := <-heard; err != io.EOF {
			t.Errorf("%s: the server read %v, want the end", sql, err)
		}
		if len(heard) > 0 {
			t.Errorf("%s: the other client is said to be gone, too", sql)
		}
		stays.close()
		<-heard
		r.stop()
		if n := r.fleet.failures(); n > 0 {
			t.Errorf("%s: %d failures of servers", sql, n)
		}
		if len(asked) > 0 {
			t.Errorf("%s: it was asked again, for nobody", sql)
		}
	}
}
