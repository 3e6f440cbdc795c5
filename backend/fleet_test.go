package backend

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/go-mysql-org/go-mysql/mysql"

	"github.com/stickyproxy/stickyproxy/mysqlwire"
)

// clock is a clock that stands still until it is set.
type clock struct{ t time.Time }

func (c *clock) now() time.Time { return c.t }

// newTestFleet returns a monitored fleet of one primary and so many replicas that asks nobody by itself.
func newTestFleet(t *testing.T, replicas int) (*Fleet, *clock) {
	t.Helper()
	c := &clock{t: at(0)}
	o := Options{Primary: ServerConfig{Address: "primary:3306"}, Monitor: &Account{User: "monitor"}, Now: c.now}
	for i := range replicas {
		o.Replicas = append(o.Replicas, ServerConfig{Address: fmt.Sprintf("replica%d:3306", i), Weight: i, Zone: "z"})
	}
	f, err := NewFleet(o)
	if err != nil {
		t.Fatal(err)
	}
	return f, c
}

// tell lets f learn an answer of m.
func tell(f *Fleet, m *member, got *facts) { f.learn(m, f.reports(m), got, nil) }

// primaryFacts is a good answer of the primary.
func primaryFacts(t *testing.T, n int, seconds float64) *facts {
	t.Helper()
	return &facts{sent: at(seconds), got: at(seconds + 0.1), incarnation: "p", id: "1", written: executed(t, n)}
}

// replicaFacts is a good answer of a replica.
func replicaFacts(t *testing.T, n int, seconds float64) *facts {
	t.Helper()
	return &facts{
		sent: at(seconds), got: at(seconds + 0.1), incarnation: "r", id: "2", readOnly: true, executed: executed(t, n),
		sources: []source{{id: "1", running: true}},
	}
}

func TestNewFleetKnowsNothing(t *testing.T) {
	f, _ := newTestFleet(t, 2)
	s := f.Snapshot()
	if s.PrimaryUp || !s.Monitored || s.PrimaryReason == "" || len(s.Replicas) != 2 || len(s.Servers) != 2 {
		t.Errorf("snapshot: %+v", s)
	}
	for i, r := range s.Replicas {
		if r.Up || !r.FreshAsOf.IsZero() || r.Weight != max(i, 1) || r.Zone != "z" || r.Name != s.Servers[i].Address() {
			t.Errorf("replica %d: %+v", i, r)
		}
	}
	for _, st := range f.Status() {
		if st.Asked || st.Up || st.Lag.Known || st.Problem == "" {
			t.Errorf("status: %+v", st)
		}
	}
}

// Ensure that a replica's freshness follows the primary's answers and its own, and never runs ahead of its own.
func TestFreshness(t *testing.T) {
	f, c := newTestFleet(t, 1)
	r := f.replicas[0]
	fresh := func() time.Time { return f.Snapshot().Replicas[0].FreshAsOf }
	tell(f, r, replicaFacts(t, 5, 0.5))
	if got := fresh(); !got.IsZero() {
		t.Errorf("before the primary answered: got %v, want zero", got)
	}
	tell(f, f.primary, primaryFacts(t, 5, 1))
	if got, want := fresh(), at(0.6); !got.Equal(want) {
		t.Errorf("the primary answered after it: got %v, want the time of its own answer %v", got, want)
	}
	tell(f, r, replicaFacts(t, 5, 1.5))
	if got, want := fresh(), at(1); !got.Equal(want) {
		t.Errorf("has all: got %v, want %v", got, want)
	}
	tell(f, f.primary, primaryFacts(t, 6, 2))
	tell(f, f.primary, primaryFacts(t, 7, 3))
	if got, want := fresh(), at(1); !got.Equal(want) {
		t.Errorf("the primary went on: got %v, want %v", got, want)
	}
	tell(f, r, replicaFacts(t, 6, 3.5))
	if got, want := fresh(), at(2); !got.Equal(want) {
		t.Errorf("caught up in part: got %v, want %v", got, want)
	}
	c.t = at(4)
	if got, want := f.Status()[1].Lag, (Lag{Known: true, D: time.Second}); got != want {
		t.Errorf("lag: got %+v, want %+v", got, want)
	}
	f.learn(r, f.reports(r), nil, os.ErrDeadlineExceeded)
	if got := f.Status()[1].Lag; got.Known {
		t.Errorf("lag of a silent replica: got %+v, want unknown", got)
	}
}

// Ensure that what was known of a primary is not taken for knowledge of the server that came in its place.
func TestNewIncarnationForgets(t *testing.T) {
	f, _ := newTestFleet(t, 1)
	tell(f, f.primary, primaryFacts(t, 5, 1))
	tell(f, f.replicas[0], replicaFacts(t, 5, 1.5))
	restarted := primaryFacts(t, 6, 2)
	restarted.incarnation = "p2"
	tell(f, f.primary, restarted)
	if got := f.Snapshot().Replicas[0].FreshAsOf; !got.IsZero() {
		t.Errorf("fresh as of the old primary: got %v, want zero", got)
	}
}

// Ensure that a replica which still has what the primary had before a RESET MASTER is not taken for one that has what the
// primary wrote since, under the same numbers.
func TestPrimaryBeginsAnew(t *testing.T) {
	f, _ := newTestFleet(t, 1)
	replicating := func() bool { return f.Snapshot().Replicas[0].Replicating }
	tell(f, f.primary, primaryFacts(t, 50, 1))
	tell(f, f.replicas[0], replicaFacts(t, 49, 1.5))
	if !replicating() {
		t.Error("a replica that is behind: it does not count as replicating")
	}
	tell(f, f.primary, primaryFacts(t, 3, 2))
	if replicating() {
		t.Error("the primary began anew: its replica has what was before, and counts as replicating")
	}
	tell(f, f.replicas[0], replicaFacts(t, 3, 3))
	if !replicating() {
		t.Error("a replica that began anew, too: it does not count as replicating")
	}
}

// Ensure that without GTIDs only a replica of this very primary is compared with it.
func TestFilePositions(t *testing.T) {
	f, _ := newTestFleet(t, 1)
	p := primaryFacts(t, 0, 1)
	p.byFile, p.written = true, mustFile(t, "binlog.000002", 400)
	tell(f, f.primary, p)
	r := replicaFacts(t, 1000, 1.5)
	r.sources = []source{{id: "other", running: true, applied: mustFile(t, "binlog.000009", 1)}}
	tell(f, f.replicas[0], r)
	if got := f.Snapshot().Replicas[0].FreshAsOf; !got.IsZero() {
		t.Errorf("files of another source: got %v, want zero", got)
	}
	r.sources = append(r.sources, source{id: "1", running: true, applied: mustFile(t, "binlog.000002", 400)})
	tell(f, f.replicas[0], r)
	if got, want := f.Snapshot().Replicas[0].FreshAsOf, at(1); !got.Equal(want) {
		t.Errorf("files of the primary: got %v, want %v", got, want)
	}
	if got, want := f.Status()[1].Position, "binlog.000002:400"; got != want {
		t.Errorf("position: got %q, want %q", got, want)
	}
}

// Ensure that a reported failure stands until a question asked after it is answered.
func TestFailed(t *testing.T) {
	f, _ := newTestFleet(t, 2)
	tell(f, f.primary, primaryFacts(t, 5, 1))
	r := f.replicas[1]
	tell(f, r, replicaFacts(t, 5, 1.5))
	asked := f.reports(r)
	f.Failed(r.server, net.ErrClosed)
	if f.Snapshot().Replicas[1].Up {
		t.Error("up after a reported failure")
	}
	select {
	case <-r.kick:
	default:
		t.Error("nobody is told to ask it soon")
	}
	f.learn(r, asked, replicaFacts(t, 5, 1.6), nil)
	if f.Snapshot().Replicas[1].Up {
		t.Error("up after the answer to an older question")
	}
	tell(f, r, replicaFacts(t, 5, 2))
	if !f.Snapshot().Replicas[1].Up {
		t.Error("not up after a good answer")
	}
	f.Failed(f.primary.server, net.ErrClosed)
	if !f.Snapshot().PrimaryUp {
		t.Error("a client's broken connection put the primary down")
	}
}

func TestBlames(t *testing.T) {
	for _, row := range []struct {
		name string
		err  error
		want bool
	}{
		{"nothing", nil, false},
		{"client went away", fmt.Errorf("login: %w", context.Canceled), false},
		{"account refused", fmt.Errorf("login: %w", mysqlwire.NewError(mysql.ER_ACCESS_DENIED_ERROR, "no")), false},
		{"shutting down", mysqlwire.NewError(mysql.ER_SERVER_SHUTDOWN, "bye"), true},
		{"full", mysqlwire.NewError(mysql.ER_CON_COUNT_ERROR, "full"), true},
		{"refused", syscall.ECONNREFUSED, true},
		{"too slow", context.DeadlineExceeded, true},
	} {
		t.Run(row.name, func(t *testing.T) {
			if got := blames(row.err); got != row.want {
				t.Errorf("got %v, want %v", got, row.want)
			}
		})
	}
}

// Ensure that a primary is down when nobody is there or it is the wrong server, and not for less.
func TestPrimaryUp(t *testing.T) {
	refused := fmt.Errorf("connecting: %w", &net.OpError{Op: "dial", Err: syscall.ECONNREFUSED})
	denied := fmt.Errorf("login: %w", mysqlwire.NewError(mysql.ER_ACCESS_DENIED_ERROR, "no"))
	slow := fmt.Errorf("login: %w", context.DeadlineExceeded)
	for _, row := range []struct {
		name string
		errs []error
		want bool
	}{
		{"answers", []error{nil}, true},
		{"refuses connections", []error{nil, refused}, false},
		{"comes back", []error{refused, nil}, true},
		{"refuses the monitor", []error{denied}, true},
		{"slow once", []error{nil, slow}, true},
		{"slow twice", []error{slow, slow}, true},
		{"slow on and on", []error{nil, slow, slow, slow}, false},
	} {
		t.Run(row.name, func(t *testing.T) {
			f, _ := newTestFleet(t, 0)
			for _, err := range row.errs {
				f.learn(f.primary, 0, primaryFacts(t, 1, 1), err)
			}
			s := f.Snapshot()
			if s.PrimaryUp != row.want || (s.PrimaryReason == "") != row.want {
				t.Errorf("got %v %q, want %v", s.PrimaryUp, s.PrimaryReason, row.want)
			}
		})
	}
}

// Ensure that a read-only server that follows another one does not count as the primary, and its position not as the
// primary's.
func TestWrongPrimary(t *testing.T) {
	f, _ := newTestFleet(t, 1)
	tell(f, f.primary, primaryFacts(t, 5, 1))
	tell(f, f.replicas[0], replicaFacts(t, 5, 1.5))
	p := primaryFacts(t, 5, 2)
	p.readOnly = true
	tell(f, f.primary, p)
	if !f.Snapshot().PrimaryUp {
		t.Error("read-only, but it follows nobody: want up")
	}
	p = primaryFacts(t, 5, 3)
	p.readOnly, p.sources = true, []source{{id: "7", running: true}}
	tell(f, f.primary, p)
	s := f.Snapshot()
	if s.PrimaryUp || !strings.Contains(s.PrimaryReason, "read-only") {
		t.Errorf("got %v %q, want down and why", s.PrimaryUp, s.PrimaryReason)
	}
	if got := s.Replicas[0].FreshAsOf; !got.IsZero() {
		t.Errorf("fresh as of a server that is not the primary: %v", got)
	}
}

func TestReplicaProblem(t *testing.T) {
	for _, row := range []struct {
		name   string
		change func(*facts)
		want   string
	}{
		{"none", func(*facts) {}, ""},
		{"writable", func(r *facts) { r.readOnly = false }, "it is not read-only"},
		{"alone", func(r *facts) { r.sources = nil }, "it follows no server"},
		{"stopped", func(r *facts) { r.sources[0] = source{problem: "duplicate key"} }, "duplicate key"},
		{"far behind", func(r *facts) { r.executed = executed(t, 1) }, "it is not known how far it is behind"},
	} {
		t.Run(row.name, func(t *testing.T) {
			f, _ := newTestFleet(t, 1)
			tell(f, f.primary, primaryFacts(t, 5, 1))
			r := replicaFacts(t, 5, 1.5)
			row.change(r)
			tell(f, f.replicas[0], r)
			if got := f.Status()[1].Problem; got != row.want {
				t.Errorf("got %q, want %q", got, row.want)
			}
		})
	}
}

func TestUnmonitored(t *testing.T) {
	f, err := NewFleet(Options{Primary: ServerConfig{Address: "a:1"}, Replicas: []ServerConfig{{Address: "unix:/b"}}})
	if err != nil {
		t.Fatal(err)
	}
	if s := f.Snapshot(); s.Monitored || !s.PrimaryUp {
		t.Errorf("got monitored %v, primary up %v; want false, true", s.Monitored, s.PrimaryUp)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := f.Run(ctx); err != nil {
		t.Error(err)
	}
}

func TestOptionsValidate(t *testing.T) {
	good := ServerConfig{Address: "a:1"}
	for _, row := range []struct {
		name    string
		options Options
	}{
		{"no primary", Options{}},
		{"bad port", Options{Primary: ServerConfig{Address: "a"}}},
		{"no host", Options{Primary: ServerConfig{Address: ":3306"}}},
		{"no path", Options{Primary: ServerConfig{Address: "unix:"}}},
		{"bad replica", Options{Primary: good, Replicas: []ServerConfig{good, {Address: "b"}}}},
		{"negative weight", Options{Primary: good, Replicas: []ServerConfig{{Address: "b:1", Weight: -1}}}},
		{"negative interval", Options{Primary: good, Interval: -1}},
		{"nameless account", Options{Primary: good, Monitor: &Account{}}},
	} {
		t.Run(row.name, func(t *testing.T) {
			if _, err := NewFleet(row.options); err == nil {
				t.Error("no error")
			}
		})
	}
}

func TestBackoff(t *testing.T) {
	for _, row := range []struct {
		interval time.Duration
		failed   int
		want     time.Duration
	}{
		{time.Second, 0, time.Second},
		{time.Second, 1, time.Second},
		{time.Second, 2, 2 * time.Second},
		{time.Second, 1000, 4 * time.Second},
		{30 * time.Second, 9, 30 * time.Second},
		{3 * time.Second, 5, 4 * time.Second},
	} {
		if got := backoff(row.interval, row.failed); got != row.want {
			t.Errorf("backoff(%v, %d): got %v, want %v", row.interval, row.failed, got, row.want)
		}
	}
}

// Ensure that the first contact is waited for, and why it failed is told.
func TestPrimaryInfoWithMonitor(t *testing.T) {
	f, _ := newTestFleet(t, 0)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := f.PrimaryInfo(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("before: got %v, want canceled", err)
	}
	f.learn(f.primary, 0, nil, syscall.ECONNREFUSED)
	if _, err := f.PrimaryInfo(t.Context()); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("failed: got %v, want refused", err)
	}
	f.primary.server.greeting.Store(&Greeting{Version: "8.4.0"})
	if g, err := f.PrimaryInfo(t.Context()); err != nil || g.Version != "8.4.0" {
		t.Errorf("met: got %+v, %v", g, err)
	}
}
