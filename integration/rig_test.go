package integration

import (
	"context"
	"net"
	"runtime"
	"testing"
	"time"

	"github.com/stickyproxy/stickyproxy/backend"
	"github.com/stickyproxy/stickyproxy/internal/mysqltest"
	"github.com/stickyproxy/stickyproxy/internal/mysqltest/clustertest"
	"github.com/stickyproxy/stickyproxy/proxy"
	"github.com/stickyproxy/stickyproxy/router"
)

func TestMain(m *testing.M) { clustertest.Main(m) }

// rig is a proxy in this process before a cluster. It ends with the test, which fails if a goroutine stays behind.
type rig struct {
	t       testing.TB
	cluster *mysqltest.Cluster
	fleet   *backend.Fleet
	proxy   *proxy.Server
	policy  proxy.Policy // of every listener
	addr    string
	account mysqltest.Account // that the clients log in with
	ran     chan ran          // what the trace hook told
	served  *[]chan error     // the ends of the proxy's listeners
	now     func() time.Time  // the clock of the fleet
	ctx     context.Context   // bounds all that the test's clients do
}

// ran is where a statement ran and why.
type ran struct {
	replica bool
	reason  router.Reason
}

func (r ran) String() string {
	if r.replica {
		return "replica"
	}
	return "primary:" + r.reason.String()
}

// setup is what a test may change before the proxy starts.
type setup struct {
	fleet  backend.Options
	proxy  proxy.Options
	policy proxy.Policy
}

// probeInterval makes the fleet notice changes soon.
const probeInterval = 50 * time.Millisecond

// sharedRig is a proxy before the shared cluster of an engine.
func sharedRig(t *testing.T, e mysqltest.Engine, change ...func(*setup)) *rig {
	t.Helper()
	return startRig(t, clustertest.Shared(t, e), change...)
}

// startRig starts a proxy before c and waits until it reads from every replica.
func startRig(t testing.TB, c *mysqltest.Cluster, change ...func(*setup)) *rig {
	t.Helper()
	checkGoroutines(t)
	p := &rig{t: t, cluster: c, account: c.App, ran: make(chan ran, 10_000), ctx: clustertest.Context(t)}
	s := setup{
		fleet: backend.Options{
			Primary:  backend.ServerConfig{Address: c.Primary.Addr()},
			Monitor:  &backend.Account{User: c.Monitor.User, Password: c.Monitor.Password},
			Interval: probeInterval,
		},
		proxy: proxy.Options{Trace: proxy.Trace{Query: p.traced}},
	}
	for _, r := range c.Replicas {
		s.fleet.Replicas = append(s.fleet.Replicas, backend.ServerConfig{Address: r.Addr()})
	}
	for _, f := range change {
		f(&s)
	}
	if p.now = s.fleet.Now; p.now == nil {
		p.now = time.Now
	}
	p.start(s)
	p.waitFresh()
	return p
}

func (p *rig) traced(replica bool, reason router.Reason, _ time.Duration) {
	p.ran <- ran{replica, reason}
}

func (p *rig) start(s setup) {
	p.t.Helper()
	var err error
	if p.fleet, err = backend.NewFleet(s.fleet); err != nil {
		p.t.Fatal(err)
	}
	p.another(s.proxy, s.policy)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- p.fleet.Run(ctx) }()
	p.t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			p.t.Errorf("watching the servers: %v", err)
		}
	})
}

// another starts a proxy server on the rig's fleet; p.proxy and p.addr are this one's from now on.
func (p *rig) another(o proxy.Options, policy proxy.Policy) {
	p.t.Helper()
	o.Fleet, o.Trace.Panicked = p.fleet, clustertest.Panicked(p.t)
	server, err := proxy.New(o)
	if err != nil {
		p.t.Fatal(err)
	}
	p.proxy, p.policy = server, policy
	served := new([]chan error)
	p.served = served
	p.addr = p.serve("tcp", "127.0.0.1:0")
	p.t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		if err := server.Shutdown(ctx); err != nil {
			p.t.Errorf("clients were left at the end: %v\n%s", err, stacks())
		}
		for _, done := range *served {
			if err := <-done; err != nil {
				p.t.Errorf("serve: %v", err)
			}
		}
	})
}

// serve listens on another address and returns it.
func (p *rig) serve(network, address string) string {
	p.t.Helper()
	l, err := net.Listen(network, address)
	if err != nil {
		p.t.Fatal(err)
	}
	server, policy, done := p.proxy, p.policy, make(chan error, 1)
	go func() { done <- server.Serve(l, policy) }()
	*p.served = append(*p.served, done)
	return l.Addr().String()
}

// checkGoroutines fails the test if it ends with more goroutines than there are now.
func checkGoroutines(t testing.TB) {
	t.Helper()
	before := runtime.NumGoroutine()
	t.Cleanup(func() {
		if t.Failed() {
			return
		}
		deadline := time.Now().Add(20 * time.Second)
		for runtime.NumGoroutine() > before {
			if time.Now().After(deadline) {
				t.Errorf("%d goroutines at the end, %d at the beginning:\n%s", runtime.NumGoroutine(), before, stacks())
				return
			}
			runtime.Gosched()
		}
	})
}

func stacks() []byte {
	b := make([]byte, 1<<20)
	return b[:runtime.Stack(b, true)]
}

// waitFresh waits until every replica that runs is known to have every write that was acknowledged before the call.
func (p *rig) waitFresh() {
	p.t.Helper()
	if err := p.cluster.WaitCaughtUp(p.ctx); err != nil {
		p.t.Fatal(err)
	}
	since := p.now()
	p.waitFor("a view in which the replicas are fresh", func(v *backend.Snapshot) bool {
		for _, r := range v.Replicas {
			if !eligible(r) || !r.FreshAsOf.After(since) {
				return false
			}
		}
		return true
	})
}

func eligible(r router.Replica) bool { return r.Up && r.ReadOnly && r.Replicating }

// waitFor waits for a view of the fleet.
func (p *rig) waitFor(what string, ok func(*backend.Snapshot) bool) {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.t.Context(), time.Minute)
	defer cancel()
	ticker := time.NewTicker(5 * time.Millisecond)
	defer ticker.Stop()
	for !ok(p.fleet.Snapshot()) {
		select {
		case <-ctx.Done():
			p.t.Fatalf("waited in vain for %s: %+v", what, p.fleet.Status())
		case <-ticker.C:
		}
	}
}

// late makes every replica an hour late: it replicates, and shows nothing new. It waits until the fleet has seen
// the replicas replicate again.
func (p *rig) late() {
	p.t.Helper()
	p.lag(time.Hour)
	since := p.now()
	p.waitFor("replicas that are late", func(v *backend.Snapshot) bool {
		for _, r := range v.Replicas {
			if !eligible(r) || !r.FreshAsOf.After(since) {
				return false
			}
		}
		return true
	})
}

// lag sets how late every replica applies what it gets.
func (p *rig) lag(d time.Duration) {
	p.t.Helper()
	for _, r := range p.cluster.Replicas {
		if err := p.cluster.SetLag(p.ctx, r, d); err != nil {
			p.t.Fatal(err)
		}
	}
}
