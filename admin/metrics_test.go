package admin

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
)

// Reasons of the tests; the gap at 1 is a number that is no reason.
var testReasons = []string{"not_understood", "", "read", "for_update"}

func TestCountingAllocatesNothing(t *testing.T) {
	m := NewMetrics(testReasons)
	got := testing.AllocsPerRun(1000, func() {
		m.ConnectionOpened()
		m.Query(Replica, 2, 150*time.Microsecond)
		m.Query(Primary, 3, 20*time.Second)
		m.Pinned(true)
		m.Retried(true)
		m.LoginFailed()
		m.ConnectionClosed()
	})
	if got != 0 {
		t.Errorf("allocations a query: got %v, want 0", got)
	}
}

func TestQueriesFromManyGoroutines(t *testing.T) {
	m := NewMetrics(testReasons)
	var done sync.WaitGroup
	for range 8 {
		done.Go(func() {
			for range 100 {
				m.Query(Replica, 2, time.Millisecond)
				m.Query(Primary, 3, time.Millisecond)
			}
		})
	}
	done.Wait()
	got := fmt.Sprint(m.Queries())
	if want := "map[primary:map[for_update:800] replica:map[read:800]]"; got != want {
		t.Errorf("queries: got %s, want %s", got, want)
	}
}

func TestQueryWithUnknownNumbers(t *testing.T) {
	m := NewMetrics(testReasons)
	m.Query(Primary, 1, time.Second)   // a gap in the list of reasons
	m.Query(Primary, 200, time.Second) // beyond the list
	m.Query(Target(7), 2, -time.Second)
	got := fmt.Sprint(m.Queries())
	if want := "map[primary:map[not_understood:2 read:1] replica:map[]]"; got != want {
		t.Errorf("queries: got %s, want %s", got, want)
	}
}

func TestMetricsWithoutReasons(t *testing.T) {
	m := NewMetrics(nil)
	m.Query(Primary, 5, time.Second)
	if got := m.Queries()["primary"]["none"]; got != 1 {
		t.Errorf("none: got %d, want 1", got)
	}
}

func TestCollectedMetrics(t *testing.T) {
	m := NewMetrics(testReasons)
	m.ConnectionOpened()
	m.ConnectionOpened()
	m.ConnectionClosed()
	m.Pinned(true)
	m.Retried(false)
	m.Waited(true, 250*time.Millisecond)
	m.WriteLost()
	m.Overloaded(true)
	m.LoginFailed()
	m.Panicked()
	m.Query(Replica, 2, time.Millisecond)
	h := NewHandler(m, Sources{
		Version:  "v1",
		Sessions: func() int { return 7 },
		Moved:    func() (int, int) { return 3, 2 },
		Draining: func() bool { return true },
		Findings: func() []Finding {
			return []Finding{{Severity: "error", Server: "a:3306", Check: "replication"}, {Severity: "error", Server: "a:3306", Check: "replication"}}
		},
		Servers: func() []ServerStatus {
			return []ServerStatus{
				{Address: "p:3306", Role: RolePrimary, Health: Up},
				{Address: "a:3306", Role: RoleReplica, Health: Up, Lag: 1500 * time.Millisecond, LagKnown: true},
				{Address: "b:3306", Role: RoleReplica, Health: Down},
				{Address: "c:3306", Role: RoleReplica},
			}
		},
	})
	page := mustGet(t, h, "GET", "/metrics").Body.String()
	const want = `stickyproxy_connections 1
stickyproxy_connections_total 2
stickyproxy_draining 1
stickyproxy_findings{check="replication",server="a:3306",severity="error"} 2
stickyproxy_login_failures_total 1
stickyproxy_moved_reads{state="running"} 3
stickyproxy_moved_reads{state="waiting"} 2
stickyproxy_overload_reads_total{outcome="ran"} 1
stickyproxy_overload_reads_total{outcome="refused"} 0
stickyproxy_panics_total 1
stickyproxy_queries_total{reason="for_update",target="primary"} 0
stickyproxy_queries_total{reason="for_update",target="replica"} 0
stickyproxy_queries_total{reason="not_understood",target="primary"} 0
stickyproxy_queries_total{reason="not_understood",target="replica"} 0
stickyproxy_queries_total{reason="read",target="primary"} 0
stickyproxy_queries_total{reason="read",target="replica"} 1
stickyproxy_read_wait_seconds_total 0.25
stickyproxy_read_waits_total{target="primary"} 0
stickyproxy_read_waits_total{target="replica"} 1
stickyproxy_replica_retries_total{cause="failed"} 1
stickyproxy_replica_retries_total{cause="refused"} 0
stickyproxy_server_lag_known{server="a:3306"} 1
stickyproxy_server_lag_known{server="b:3306"} 0
stickyproxy_server_lag_known{server="c:3306"} 0
stickyproxy_server_lag_seconds{server="a:3306"} 1.5
stickyproxy_server_up{role="primary",server="p:3306"} 1
stickyproxy_server_up{role="replica",server="a:3306"} 1
stickyproxy_server_up{role="replica",server="b:3306"} 0
stickyproxy_session_pins_total{proven="false"} 0
stickyproxy_session_pins_total{proven="true"} 1
stickyproxy_sessions 7
stickyproxy_unproven_reads_total 0
stickyproxy_writes_lost_total 1
`
	if got := ownSeries(page); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	problems, err := promlint.New(strings.NewReader(page)).Lint()
	if err != nil || len(problems) > 0 {
		t.Errorf("lint: got %v, %v; want nothing", problems, err)
	}
}

// ownSeries returns the lines of a page of metrics that only the proxy decides.
func ownSeries(page string) string {
	var own strings.Builder
	for line := range strings.Lines(page) {
		if strings.HasPrefix(line, "stickyproxy_") && !strings.HasPrefix(line, "stickyproxy_query_seconds") &&
			!strings.HasPrefix(line, "stickyproxy_build_info") {
			own.WriteString(line)
		}
	}
	return own.String()
}

// Two proxies in one process must not share a registry or fail to register.
func TestTwoRegistries(t *testing.T) {
	for range 2 {
		newRegistry(NewMetrics(testReasons), &Sources{})
	}
}

func BenchmarkQuery(b *testing.B) {
	m := NewMetrics(testReasons)
	b.ReportAllocs()
	for b.Loop() {
		m.Query(Replica, 2, 150*time.Microsecond)
	}
}
