package admin

import (
	"cmp"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Target is where a statement was sent.
type Target uint8

const (
	// Primary is the one server that takes writes.
	Primary Target = iota
	// Replica is any of the servers that only take reads.
	Replica

	targets = 2
)

// String returns the value of the label "target".
func (t Target) String() string {
	if t == Replica {
		return "replica"
	}
	return "primary"
}

// maxReasons is how many reasons a Metrics tells apart: a reason is a byte.
const maxReasons = 256

// latencyBuckets are upper bounds in seconds. A point select through the proxy
// takes 100 to 500 us on one machine and a few milliseconds between zones, so
// the bounds are dense there; above 10 s only "very slow" is of interest.
var latencyBuckets = []float64{
	.0001, .00025, .0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10,
}

// Metrics counts what happens on the query path. All methods may be called by
// any goroutine, take no lock and allocate nothing. Make one with NewMetrics; it
// lives as long as the process.
type Metrics struct {
	reasons []string // names by reason; an empty name is not a reason
	// queries is indexed by target and reason. A reason without a name counts as 0.
	queries [targets][maxReasons]atomic.Uint64
	latency [targets]prometheus.Observer
	seconds *prometheus.HistogramVec

	open          atomic.Int64
	opened        atomic.Uint64
	loginFailures atomic.Uint64
	panics        atomic.Uint64
	pins          [2]atomic.Uint64 // by whether a replica can be known to have the write
	retries       [2]atomic.Uint64 // by whether the replica refused
	waits         [2]atomic.Uint64 // by whether a replica served the read
	waited        atomic.Int64     // nanoseconds of all waits
	overloads     [2]atomic.Uint64 // by whether the read ran in the end
	lost          atomic.Uint64
}

// NewMetrics returns counters that all stand at zero. names[r] is the name of
// reason r, a constant in snake_case; empty for a number that is no reason. Names
// after the 256th are ignored. Reason 0 is "none" if it has no name.
func NewMetrics(names []string) *Metrics {
	reasons := make([]string, max(1, min(len(names), maxReasons)))
	copy(reasons, names)
	reasons[0] = cmp.Or(reasons[0], "none")
	m := &Metrics{
		reasons: reasons,
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "stickyproxy_query_seconds",
			Help:    "Time from the last byte of a command to the last byte of its response, by the kind of server that answered.",
			Buckets: latencyBuckets,
		}, []string{"target"}),
	}
	for t := range m.latency {
		m.latency[t] = m.seconds.WithLabelValues(Target(t).String())
	}
	return m
}

// Query counts one statement: where it was answered, the number of the reason
// for that, and how long it took. A number that is no reason counts as reason 0,
// a negative duration as zero.
func (m *Metrics) Query(t Target, reason uint8, took time.Duration) {
	if t >= targets {
		t = Primary
	}
	if int(reason) >= len(m.reasons) || m.reasons[reason] == "" {
		reason = 0
	}
	m.queries[t][reason].Add(1)
	m.latency[t].Observe(max(took, 0).Seconds())
}

// ConnectionOpened counts a client that was accepted.
func (m *Metrics) ConnectionOpened() {
	m.open.Add(1)
	m.opened.Add(1)
}

// ConnectionClosed counts a client that has gone. It is called once for each
// call of ConnectionOpened.
func (m *Metrics) ConnectionClosed() { m.open.Add(-1) }

// LoginFailed counts a client that did not get in.
func (m *Metrics) LoginFailed() { m.loginFailures.Add(1) }

// Panicked counts a client connection that a mistake in the proxy has ended.
func (m *Metrics) Panicked() { m.panics.Add(1) }

// Pinned counts a write that holds the reads of its session on the primary: until
// a replica is known to have it (proven), or for a window.
func (m *Metrics) Pinned(proven bool) { m.pins[index(proven)].Add(1) }

// Retried counts a read that ran elsewhere after a replica refused it, or failed
// before it answered.
func (m *Metrics) Retried(refused bool) { m.retries[index(refused)].Add(1) }

// Waited counts a read that waited, for so long, for a replica to have what it must
// see, and was then served by one or not.
func (m *Metrics) Waited(served bool, d time.Duration) {
	m.waits[index(served)].Add(1)
	m.waited.Add(int64(max(d, 0)))
}

// Overloaded counts a read that no replica may serve and that found no room on the primary; ran says that it ran there in
// the end.
func (m *Metrics) Overloaded(ran bool) { m.overloads[index(ran)].Add(1) }

// WriteLost counts a session that was set free of a write that the primary lost.
func (m *Metrics) WriteLost() { m.lost.Add(1) }

// index returns the place of a truth value in an array of two.
func index(b bool) int {
	if b {
		return 1
	}
	return 0
}

// Connections returns how many clients are connected now.
func (m *Metrics) Connections() int64 { return m.open.Load() }

// Queries returns the count of statements by target and reason. Counts of zero
// are left out. The map is the caller's.
func (m *Metrics) Queries() map[string]map[string]uint64 {
	all := make(map[string]map[string]uint64, targets)
	for t := range m.queries {
		byReason := make(map[string]uint64)
		for r, name := range m.reasons {
			if n := m.queries[t][r].Load(); n > 0 {
				byReason[name] = n
			}
		}
		all[Target(t).String()] = byReason
	}
	return all
}

// unproven is the reason of reads that a replica serves without proof.
const unproven = "read_unproven"

// Unproven returns how many reads a replica served without proof.
func (m *Metrics) Unproven() uint64 {
	for r, name := range m.reasons {
		if name == unproven {
			return m.queries[Replica][r].Load()
		}
	}
	return 0
}
