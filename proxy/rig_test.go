package proxy

import (
	"context"
	"fmt"
	"net"
	"runtime"
	"runtime/debug"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stickyproxy/stickyproxy/backend"
	"github.com/stickyproxy/stickyproxy/gtid"
	"github.com/stickyproxy/stickyproxy/internal/mysqltest/fakeserver"
	"github.com/stickyproxy/stickyproxy/mysqlwire"
	"github.com/stickyproxy/stickyproxy/router"
	"github.com/stickyproxy/stickyproxy/session"
)

// rig is a proxy in front of scripted servers: a primary and two replicas that have every write.
type rig struct {
	t        testing.TB
	server   *Server
	fleet    *scriptedFleet
	primary  *scriptedServer
	replicas []*scriptedServer
	sessions *session.Store
	clock    *clock
	address  string
}

// rigOptions are what tests vary. The zero value is a usual proxy.
type rigOptions struct {
	options             Options
	policy              Policy
	trace               Trace
	replicas            int                     // how many, 0 is two
	lacks, replicasLack mysqlwire.Capability    // of all servers, and of the replicas besides
	mariaDB             bool                    // what the servers are
	version             string                  // which they announce; "" is up to mariaDB
	wrap                func(net.Conn) net.Conn // around the clients' connections, on the proxy's side; nil: nothing
}

func startRig(t testing.TB, o rigOptions) *rig {
	t.Helper()
	r := &rig{t: t, clock: &clock{}}
	if o.replicas == 0 {
		o.replicas = 2
	}
	r.primary = startScripted(t, "p", o)
	for i := range o.replicas {
		of := o
		of.lacks |= o.replicasLack
		r.replicas = append(r.replicas, startScripted(t, fmt.Sprintf("r%d", i+1), of))
	}
	r.fleet = newScriptedFleet(r)
	var err error
	if r.sessions, err = session.NewStore(session.Options{Window: DefaultWindow, Now: r.clock.now}); err != nil {
		t.Fatal(err)
	}
	if o.trace.Panicked == nil {
		o.trace.Panicked = func() { t.Errorf("a panic:\n%s", debug.Stack()) }
	}
	o.options.Fleet, o.options.Sessions, o.options.Now, o.options.Trace = r.fleet, r.sessions, r.clock.now, o.trace
	if r.server, err = New(o.options); err != nil {
		t.Fatal(err)
	}
	r.address = r.listen(o.policy, o.wrap)
	return r
}

// listen opens one more listener and returns its address.
func (r *rig) listen(p Policy, wrap func(net.Conn) net.Conn) string {
	r.t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		r.t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- r.server.Serve(&wrapped{l, wrap}, p) }()
	r.t.Cleanup(func() {
		r.stop()
		if err := <-done; err != nil {
			r.t.Errorf("serve: %v", err)
		}
	})
	return l.Addr().String()
}

// stop cuts off what clients are left, and returns when they are gone.
func (r *rig) stop() {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	_ = r.server.Shutdown(ctx)
	if n := len(r.server.byID); n > 0 {
		r.t.Errorf("%d clients are known that are gone", n)
	}
}

// wrapped is a listener whose connections get something around them.
type wrapped struct {
	net.Listener
	wrap func(net.Conn) net.Conn
}

func (l *wrapped) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err == nil && l.wrap != nil {
		c = l.wrap(c)
	}
	return c, err
}

// all are the servers, the primary first.
func (r *rig) all() []*scriptedServer { return append([]*scriptedServer{r.primary}, r.replicas...) }

// wantSent checks what a server was sent since the last look at it.
func (s *scriptedServer) wantSent(want ...string) {
	s.t.Helper()
	if got := s.sent(); !slices.Equal(got, want) {
		s.t.Errorf("%s was sent %q, want %q", s.name, got, want)
	}
}

// clock is the proxy's time, which stands still.
type clock struct{ passed atomic.Int64 }

var clockStart = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

func (c *clock) now() time.Time          { return clockStart.Add(time.Duration(c.passed.Load())) }
func (c *clock) advance(d time.Duration) { c.passed.Add(int64(d)) }

// scriptedFleet knows what a test says.
type scriptedFleet struct {
	snapshot atomic.Pointer[backend.Snapshot]
	asks     atomic.Int32
	writes   atomic.Int32          // of which it was told
	info     atomic.Pointer[error] // why the primary's greeting is not known

	mu     sync.Mutex
	newer  chan struct{}
	failed []string // addresses of servers that failed, and whether it was their fault
}

func newScriptedFleet(r *rig) *scriptedFleet {
	f := &scriptedFleet{newer: make(chan struct{})}
	s := &backend.Snapshot{Primary: r.primary.backend, GTIDPrimary: r.primary.name, Newer: f.newer}
	s.Monitored, s.PrimaryUp = true, true
	for _, replica := range r.replicas {
		s.Servers = append(s.Servers, replica.backend)
		s.Replicas = append(s.Replicas, router.Replica{
			Name: replica.name, Incarnation: replica.name, Up: true, ReadOnly: true, Replicating: true, Weight: 1,
			FreshAsOf: clockStart.Add(time.Hour), ID: backend.ID(replica.name),
		})
	}
	f.snapshot.Store(s)
	return f
}

func (f *scriptedFleet) Snapshot() *backend.Snapshot { return f.snapshot.Load() }
func (f *scriptedFleet) Ask()                        { f.asks.Add(1) }
func (f *scriptedFleet) Wrote()                      { f.writes.Add(1) }

func (*scriptedFleet) Reach(context.Context, backend.Peer) *backend.Reached { return nil }

func (f *scriptedFleet) PrimaryInfo(context.Context) (backend.Greeting, error) {
	if err := f.info.Load(); err != nil {
		return backend.Greeting{}, *err
	}
	return backend.Greeting{Version: "8.4.0-fake", Capabilities: mysqlwire.Capability(fakeserver.DefaultCapabilities), Collation: 255}, nil
}

func (f *scriptedFleet) Failed(s *backend.Server, _ error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.failed = append(f.failed, s.Address())
}

func (f *scriptedFleet) failures() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.failed)
}

// change publishes a snapshot that differs from the last one.
func (f *scriptedFleet) change(edit func(*backend.Snapshot)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	s := *f.snapshot.Load()
	s.Replicas = slices.Clone(s.Replicas)
	edit(&s)
	older := f.newer
	f.newer = make(chan struct{})
	s.Newer = f.newer
	f.snapshot.Store(&s)
	if older != nil {
		close(older)
	}
}

// fresh says as of when every replica is fresh.
func (f *scriptedFleet) fresh(at time.Time) {
	f.change(func(s *backend.Snapshot) {
		for i := range s.Replicas {
			s.Replicas[i].FreshAsOf = at
		}
	})
}

// awaitAsked returns when the fleet was asked so often.
func (f *scriptedFleet) awaitAsked(n int32) {
	for f.asks.Load() < n {
		runtime.Gosched()
	}
}

// executed says what every replica has executed.
func (f *scriptedFleet) executed(set gtid.Set) {
	f.change(func(s *backend.Snapshot) {
		for i := range s.Replicas {
			s.Replicas[i].Executed = set
		}
	})
}

// withoutGTIDs says that the primary's transactions have no GTIDs, or that this is not known.
func (f *scriptedFleet) withoutGTIDs() {
	f.change(func(s *backend.Snapshot) { s.GTIDPrimary = "" })
}

// only leaves one replica up.
func (f *scriptedFleet) only(name string) {
	f.change(func(s *backend.Snapshot) {
		for i := range s.Replicas {
			s.Replicas[i].Up = s.Replicas[i].Name == name
		}
	})
}
