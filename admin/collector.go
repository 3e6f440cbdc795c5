package admin

import (
	"runtime"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
)

// The descriptions of everything that is read when Prometheus asks. Names and
// labels are an interface: dashboards and alerts depend on them.
var (
	queriesDesc = prometheus.NewDesc("stickyproxy_queries_total",
		"Statements answered, by the kind of server that answered and the reason for choosing it.",
		[]string{"target", "reason"}, nil)
	connectionsDesc = prometheus.NewDesc("stickyproxy_connections",
		"Clients that are connected now.", nil, nil)
	connectionsTotalDesc = prometheus.NewDesc("stickyproxy_connections_total",
		"Clients that were accepted since the start.", nil, nil)
	pinsDesc = prometheus.NewDesc("stickyproxy_session_pins_total",
		"Writes that hold the reads of their session on the primary. proven=\"true\": until a replica is known to have the write, by its GTID or by the primary's position after the answer. proven=\"false\": for a window, since the outcome or the GTID is not known, in mode window, or for @sticky_pin.",
		[]string{"proven"}, nil)
	retriesDesc = prometheus.NewDesc("stickyproxy_replica_retries_total",
		"Reads that ran elsewhere after a replica refused them, or failed before it answered.",
		[]string{"cause"}, nil)
	waitsDesc = prometheus.NewDesc("stickyproxy_read_waits_total",
		"Reads that waited for a replica to have what they must see, by where they were answered then.",
		[]string{"target"}, nil)
	waitedDesc = prometheus.NewDesc("stickyproxy_read_wait_seconds_total",
		"How long reads have waited for a replica, all together.", nil, nil)
	movedDesc = prometheus.NewDesc("stickyproxy_moved_reads",
		"Reads on the primary now because no replica may serve them, as far as they are limited, and those that wait for room there.",
		[]string{"state"}, nil)
	overloadDesc = prometheus.NewDesc("stickyproxy_overload_reads_total",
		"Reads that no replica may serve and that found no room on the primary, by what became of them.", []string{"outcome"}, nil)
	lostDesc = prometheus.NewDesc("stickyproxy_writes_lost_total",
		"Sessions that were set free of a write because the primary does not have it any more.", nil, nil)
	unprovenDesc = prometheus.NewDesc("stickyproxy_unproven_reads_total",
		"Reads that a replica served although it was not proven that it has all that their sessions must see.", nil, nil)
	loginFailuresDesc = prometheus.NewDesc("stickyproxy_login_failures_total",
		"Clients that did not get in.", nil, nil)
	panicsDesc = prometheus.NewDesc("stickyproxy_panics_total",
		"Client connections that a mistake in stickyproxy has ended; the log has the stack of each.", nil, nil)
	sessionsDesc = prometheus.NewDesc("stickyproxy_sessions",
		"Sessions that are remembered now.", nil, nil)
	upDesc = prometheus.NewDesc("stickyproxy_server_up",
		"1 when the server's last health check succeeded, 0 when it failed. Absent while unknown: no check has ended, or there is no monitor account.",
		[]string{"server", "role"}, nil)
	lagDesc = prometheus.NewDesc("stickyproxy_server_lag_seconds",
		"How far a replica may be behind the primary. Absent while unknown; unknown is never 0.",
		[]string{"server"}, nil)
	lagKnownDesc = prometheus.NewDesc("stickyproxy_server_lag_known",
		"1 when the lag of a replica is known, else 0.", []string{"server"}, nil)
	findingsDesc = prometheus.NewDesc("stickyproxy_findings",
		"What is wrong with how the servers are set up, as stickyproxy check tells it. Absent where nothing is wrong, or nothing was looked at yet.",
		[]string{"severity", "server", "check"}, nil)
	drainingDesc = prometheus.NewDesc("stickyproxy_draining",
		"1 while the proxy takes no new clients because it is about to end, else 0.", nil, nil)
	buildDesc = prometheus.NewDesc("stickyproxy_build_info",
		"Always 1; the labels tell what is running.", []string{"version", "goversion"}, nil)
)

// collector reads a Metrics and a Sources when Prometheus asks. Every number
// that Sources can tell is asked for then, not kept in a second place.
type collector struct {
	metrics *Metrics
	sources *Sources
}

// newRegistry returns a registry with the proxy's own metrics and those of the
// Go runtime and the process. It is not the global one: two proxies in one
// process (a test) do not see each other.
func newRegistry(m *Metrics, s *Sources) *prometheus.Registry {
	r := prometheus.NewRegistry()
	r.MustRegister(
		&collector{metrics: m, sources: s},
		m.seconds,
		collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
	)
	return r
}

// Describe implements prometheus.Collector.
func (c *collector) Describe(out chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{
		queriesDesc, connectionsDesc, connectionsTotalDesc, loginFailuresDesc, panicsDesc,
		pinsDesc, retriesDesc, waitsDesc, waitedDesc, movedDesc, overloadDesc, lostDesc, unprovenDesc, sessionsDesc, upDesc, lagDesc, lagKnownDesc,
		findingsDesc, drainingDesc, buildDesc,
	} {
		out <- d
	}
}

// Collect implements prometheus.Collector.
func (c *collector) Collect(out chan<- prometheus.Metric) {
	gauge := func(d *prometheus.Desc, v float64, labels ...string) {
		out <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
	}
	counter := func(d *prometheus.Desc, v uint64, labels ...string) {
		out <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(v), labels...)
	}
	// Every series exists from the start: rate() over a counter that appears with
	// its first increment misses that increment.
	for t := range c.metrics.queries {
		for r, name := range c.metrics.reasons {
			if name != "" {
				counter(queriesDesc, c.metrics.queries[t][r].Load(), Target(t).String(), name)
			}
		}
	}
	gauge(connectionsDesc, float64(c.metrics.open.Load()))
	counter(connectionsTotalDesc, c.metrics.opened.Load())
	counter(loginFailuresDesc, c.metrics.loginFailures.Load())
	counter(panicsDesc, c.metrics.panics.Load())
	counter(pinsDesc, c.metrics.pins[index(true)].Load(), "true")
	counter(pinsDesc, c.metrics.pins[index(false)].Load(), "false")
	counter(retriesDesc, c.metrics.retries[index(true)].Load(), "refused")
	counter(retriesDesc, c.metrics.retries[index(false)].Load(), "failed")
	counter(waitsDesc, c.metrics.waits[index(true)].Load(), Replica.String())
	counter(waitsDesc, c.metrics.waits[index(false)].Load(), Primary.String())
	out <- prometheus.MustNewConstMetric(waitedDesc, prometheus.CounterValue, time.Duration(c.metrics.waited.Load()).Seconds())
	running, waiting := c.sources.moved()
	gauge(movedDesc, float64(running), "running")
	gauge(movedDesc, float64(waiting), "waiting")
	counter(overloadDesc, c.metrics.overloads[index(true)].Load(), "ran")
	counter(overloadDesc, c.metrics.overloads[index(false)].Load(), "refused")
	counter(lostDesc, c.metrics.lost.Load())
	counter(unprovenDesc, c.metrics.Unproven())
	gauge(sessionsDesc, float64(c.sources.sessions()))
	gauge(drainingDesc, float64(index(c.sources.draining())))
	gauge(buildDesc, 1, c.sources.Version, runtime.Version())
	for labels, n := range countFindings(c.sources.findings()) {
		gauge(findingsDesc, float64(n), labels[:]...)
	}
	for _, s := range c.sources.servers() {
		if s.Health != Unknown {
			gauge(upDesc, float64(index(s.Health == Up)), s.Address, string(s.Role))
		}
		if s.Role != RoleReplica {
			continue
		}
		gauge(lagKnownDesc, float64(index(s.LagKnown)), s.Address)
		if s.LagKnown {
			gauge(lagDesc, s.Lag.Seconds(), s.Address)
		}
	}
}

// countFindings counts findings by their labels: severity, server and check.
func countFindings(findings []Finding) map[[3]string]int {
	count := make(map[[3]string]int)
	for _, f := range findings {
		count[[3]string{f.Severity, f.Server, f.Check}]++
	}
	return count
}
