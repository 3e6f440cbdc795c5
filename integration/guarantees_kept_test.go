package integration

import (
	"context"
	"fmt"
	"net"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stickyproxy/stickyproxy/backend"
	"github.com/stickyproxy/stickyproxy/integration/guarantees"
	"github.com/stickyproxy/stickyproxy/internal/mysqltest"
	"github.com/stickyproxy/stickyproxy/internal/mysqltest/clustertest"
	"github.com/stickyproxy/stickyproxy/proxy"
	"github.com/stickyproxy/stickyproxy/router"
	"github.com/stickyproxy/stickyproxy/session"
)

// hints are the ways to name a session that go to the same place whatever the engine is.
func hints(e mysqltest.Engine) []guarantees.Hint {
	list := []guarantees.Hint{guarantees.ByConnection, guarantees.ByVariable, guarantees.ByComment, guarantees.ByConnectionAttribute}
	if e == mysqltest.MySQL { // MariaDB has no query attributes
		list = append(list, guarantees.ByAttribute)
	}
	return list
}

// The proxy keeps the guarantees before replicas that are late: with each kind of hint, from proxy to
// proxy by tokens, and without a word in the scopes fleet and global.
func TestGuarantees(t *testing.T) {
	clustertest.EachEngine(t, func(t *testing.T, e mysqltest.Engine) {
		p := sharedRig(t, e)
		for _, row := range []struct {
			name    string
			scope   proxy.Scope
			hints   []guarantees.Hint
			proxies int
			lag     time.Duration
		}{
			{"hints", proxy.ScopeSession, hints(e), 1, late},
			{"tokens", proxy.ScopeSession, []guarantees.Hint{guarantees.ByToken}, 2, late},
			{"fleet", proxy.ScopeFleet, []guarantees.Hint{guarantees.ByNothing}, 2, 0},
			{"global", proxy.ScopeGlobal, []guarantees.Hint{guarantees.ByNothing}, 1, 0},
		} {
			t.Run(row.name, func(t *testing.T) {
				setLag(t, p.cluster, row.lag)
				var to []string
				ran := new(where)
				for range row.proxies {
					p.another(proxy.Options{Sessions: newSessions(t, time.Time{}), Trace: ran.trace(), Window: 200 * time.Millisecond}, proxy.Policy{Scope: row.scope})
					to = append(to, p.addr)
				}
				o := checker(t, p.cluster, to...)
				o.Hints = row.hints
				o.Renewal, o.WriteShare = 15, 0.05 // whoever has written reads on the primary, so there must be others
				wantKept(t, mustCheck(t, o))
				ran.wantUsed(t)
			})
		}
	})
}

// where counts the statements that a proxy answered, by the kind of server that did.
type where struct {
	replica atomic.Int64
	primary [256]atomic.Int64 // by reason
}

// trace counts in w.
func (w *where) trace() proxy.Trace {
	return proxy.Trace{Query: func(replica bool, reason router.Reason, _ time.Duration) {
		if replica {
			w.replica.Add(1)
			return
		}
		w.primary[reason].Add(1)
	}}
}

// wantUsed fails the test if hardly anything ran on replicas: then nothing was proven.
func (w *where) wantUsed(t *testing.T) {
	t.Helper()
	text := ""
	for r := range w.primary {
		if n := w.primary[r].Load(); n > 0 {
			text += fmt.Sprintf(", %s: %d", router.Reason(r), n)
		}
	}
	t.Logf("%d statements on replicas; on the primary%s", w.replica.Load(), text)
	if w.replica.Load() < 50 {
		t.Error("replicas were not used")
	}
}

// wantKept fails the test if a guarantee was broken.
func wantKept(t *testing.T, r *guarantees.Report) {
	t.Helper()
	for _, v := range r.Samples {
		t.Error(v)
	}
}

// newSessions is the memory of a proxy that was started at a time; zero: there was none before it.
func newSessions(t *testing.T, start time.Time) *session.Store {
	t.Helper()
	o := session.Options{Window: proxy.DefaultWindow}
	if !start.IsZero() {
		o.Start = session.Need{WroteAt: start, UnprovenAt: start}
	}
	s, err := session.NewStore(o)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// The guarantees hold while replicas freeze, thaw, lose the primary, crash and come back, apply in parallel, and while
// the proxy is restarted.
func TestGuaranteesUnderFire(t *testing.T) {
	clustertest.EachEngine(t, func(t *testing.T, e mysqltest.Engine) {
		p := sharedRig(t, e)
		parallel(t, p.cluster, 4)
		t.Cleanup(func() { parallel(t, p.cluster, 0) })
		house := startHouse(t, p)
		o := checker(t, p.cluster, house.addr)
		o.Hints = hints(e)
		ended := make(chan error, 1)
		ctx, cancel := context.WithTimeout(t.Context(), *checkFor+2*time.Minute)
		o.WriteShare = 0.05
		o.Duration = *checkFor + 2*time.Minute // the last turn is taken when the fire is out
		caughtUp := o.Ready
		o.Ready = func() error {
			if err := caughtUp(); err != nil {
				return err
			}
			go func() {
				ended <- house.burn(ctx, *checkFor)
				cancel()
			}()
			return nil
		}
		o.Until = ctx.Done()
		r := mustCheck(t, o)
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		wantKept(t, r)
		house.ran.wantUsed(t)
	})
}

// setLag makes all replicas late. It may be called when the rig's own time is over.
func setLag(t *testing.T, c *mysqltest.Cluster, d time.Duration) {
	t.Helper()
	for _, r := range c.Replicas {
		if err := c.SetLag(clustertest.Context(t), r, d); err != nil {
			t.Fatal(err)
		}
	}
}

// parallel makes replicas apply with so many workers; 0 is what they had.
func parallel(t *testing.T, c *mysqltest.Cluster, workers int) {
	t.Helper()
	for _, r := range c.Replicas {
		if c.Engine() == mysqltest.MariaDB {
			clustertest.Exec(t, r, "STOP SLAVE; SET GLOBAL slave_parallel_threads=%d; START SLAVE;", workers)
			continue
		}
		if workers == 0 {
			workers = 4 // the default from MySQL 8.0.27 on
		}
		clustertest.Exec(t, r, "STOP REPLICA; SET GLOBAL replica_parallel_workers=%d; START REPLICA;", workers)
	}
}

// house is a proxy at one address that can be restarted, and the servers behind it.
type house struct {
	t       *testing.T
	cluster *mysqltest.Cluster
	fleet   *backend.Fleet
	addr    string
	proxy   *proxy.Server
	served  chan error
	ran     where
}

func startHouse(t *testing.T, p *rig) *house {
	t.Helper()
	h := &house{t: t, cluster: p.cluster, fleet: p.fleet}
	if err := h.open("127.0.0.1:0", time.Time{}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := h.shut(); err != nil {
			t.Error(err)
		}
	})
	return h
}

// open starts the proxy, which forgot everything.
func (h *house) open(addr string, start time.Time) error {
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return err
	}
	h.addr, h.served = l.Addr().String(), make(chan error, 1)
	trace := h.ran.trace()
	trace.Panicked = clustertest.Panicked(h.t)
	if h.proxy, err = proxy.New(proxy.Options{Fleet: h.fleet, Sessions: newSessions(h.t, start), Window: late, Trace: trace}); err != nil {
		return err
	}
	server, served := h.proxy, h.served
	go func() { served <- server.Serve(l, proxy.Policy{}) }()
	return nil
}

// shut cuts all clients off, as a crash would.
func (h *house) shut() error {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	_ = h.proxy.Shutdown(ctx) // it says that clients were cut off
	return <-h.served
}

// burn does all the harm, one thing after the other, so that the whole takes about so long, or until ctx ends.
func (h *house) burn(ctx context.Context, length time.Duration) error {
	a, b, c := h.cluster.Replicas[0], h.cluster.Replicas[1], h.cluster
	steps := []func() error{
		func() error { return c.Freeze(ctx, a) },
		func() error { b.Pause(); return nil },
		func() error { b.Resume(); return c.Thaw(ctx, a) },
		func() error { return c.Cut(ctx, b) },
		func() error { a.Kill(); return nil },
		func() error { return c.Join(ctx, b) },
		func() error { return a.Start(ctx) },
		func() error {
			if err := h.shut(); err != nil {
				return err
			}
			return h.open(h.addr, time.Now())
		},
	}
	pace := time.NewTicker(length / time.Duration(len(steps)))
	defer pace.Stop()
	for i, step := range steps {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-pace.C:
		}
		if err := step(); err != nil {
			return fmt.Errorf("step %d: %w", i, err)
		}
	}
	<-pace.C
	return nil
}
