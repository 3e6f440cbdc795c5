package doctor

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/stickyproxy/stickyproxy/backend"
)

// DefaultTimeout is how long one server may take to answer everything when nothing else is said.
const DefaultTimeout = 10 * time.Second

// Options say what is examined.
type Options struct {
	Primary  backend.ServerConfig
	Replicas []backend.ServerConfig
	Monitor  *backend.Account  // that the servers are asked with; nil: there is none, and that is the only finding
	Accounts []backend.Account // of applications, as far as their passwords are known: may they write on replicas?
	GTIDOnly bool              // a listener is of mode gtid: without GTIDs no replica is ever used again after a write
	Timeout  time.Duration     // for one server; 0 is DefaultTimeout
}

// Examine looks at all servers, at the same time and within the timeout, and returns what it found: the primary first,
// then the replicas in their order, and at least one finding for each. When ctx ends before, the servers that had not
// answered are findings too.
func Examine(ctx context.Context, o Options) []Finding {
	if o.Monitor == nil {
		return []Finding{noMonitor(o)}
	}
	if o.Timeout == 0 {
		o.Timeout = DefaultTimeout
	}
	e := &examination{options: o}
	e.visitReplicas(ctx)
	e.visitPrimary(ctx)
	return e.judge()
}

// noMonitor is the finding where nothing can be asked. With replicas it is an error: none of them is ever used.
func noMonitor(o Options) Finding {
	f := Finding{Severity: Warning, Check: "monitor", Found: "there is no monitor account, so nothing can be looked at", Advice: monitorAdvice}
	if len(o.Replicas) > 0 {
		f.Severity, f.Found = Error, "there is no monitor account, so nothing is known about the replicas and every read goes to the primary"
	}
	return f
}

const monitorAdvice = "name an account with --monitor-user; it needs REPLICATION CLIENT, on MariaDB from 10.5 on REPLICA MONITOR"

// examination is the charts of all servers and what is made of them.
type examination struct {
	options  Options
	primary  *chart
	replicas []*chart
	findings []Finding
}

// visitReplicas asks all replicas at the same time.
func (e *examination) visitReplicas(ctx context.Context) {
	e.replicas = make([]*chart, len(e.options.Replicas))
	var wg sync.WaitGroup
	for i, server := range e.options.Replicas {
		wg.Go(func() {
			ctx, cancel := context.WithTimeout(ctx, e.options.Timeout)
			defer cancel()
			c := visit(ctx, server, backend.RoleReplica, *e.options.Monitor, nil)
			e.replicas[i] = c
			if c.err == nil && !c.expired {
				c.writers = append(c.writers, visitAccounts(ctx, server, c, e.options.Accounts)...)
			}
		})
	}
	wg.Wait()
}

// visitPrimary asks the primary, after the replicas: what they have, it must have.
func (e *examination) visitPrimary(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, e.options.Timeout)
	defer cancel()
	e.primary = visit(ctx, e.options.Primary, backend.RolePrimary, *e.options.Monitor, e.replicas)
}

// all are the charts, the primary's first.
func (e *examination) all() []*chart { return append([]*chart{e.primary}, e.replicas...) }

// judge reads the charts.
func (e *examination) judge() []Finding {
	for _, c := range e.all() {
		for _, k := range checks {
			if c.role == backend.RolePrimary && k.replica || c.role == backend.RoleReplica && k.primary {
				continue
			}
			if k.both && (c.err != nil || e.primary.err != nil || c.expired || e.primary.expired) {
				continue // the other one would be wrong for it
			}
			e.apply(k, c)
			if k.name == "reach" && (c.err != nil || c.expired) {
				break
			}
		}
	}
	return e.findings
}

// apply makes the findings of one check on one server.
func (e *examination) apply(k check, c *chart) {
	remarks := k.look(e, c)
	if len(remarks) == 0 && k.well != nil {
		if text := k.well(e, c); text != "" {
			e.findings = append(e.findings, Finding{Severity: OK, Server: c.address, Check: k.name, Found: text})
		}
	}
	for _, r := range remarks {
		e.findings = append(e.findings, Finding{Severity: r.severity, Server: c.address, Check: k.name, Found: r.found, Advice: r.advice})
	}
}

// check is one thing to look at.
type check struct {
	name             string
	primary, replica bool // only on these
	both             bool // it compares with the primary's chart
	look             func(*examination, *chart) []remark
	well             func(*examination, *chart) string // what to say when there is no remark; nil, or "": nothing
}

// checks are in the order in which they are shown.
var checks = []check{
	{name: "reach", look: lookReach},
	{name: "version", look: lookVersion, well: (*examination).product},
	{name: "release", replica: true, both: true, look: lookRelease},
	{name: "tls", look: lookTLS, well: (*examination).encryption},
	{name: "privileges", look: lookPrivileges, well: always("the monitor account may ask what it must, and no more")},
	{name: "tracking", look: lookTracking, well: always("it reports GTIDs and changes of the session")},
	{name: "gtid", look: lookGTID, well: always("every write has a GTID")},
	{name: "binlog", primary: true, look: lookBinlog, well: always("writes are logged, row by row where it matters")},
	{name: "role", primary: true, look: lookPrimary, well: always("it takes writes and follows nobody")},
	{name: "identity", replica: true, both: true, look: lookIdentity},
	{name: "read_only", replica: true, look: lookReadOnly, well: always("it takes no writes but those of replication")},
	{name: "replication", replica: true, look: lookReplication, well: (*examination).follows},
	{name: "complete", replica: true, look: lookComplete, well: always("it replicates everything, and skips no errors")},
	{name: "errant", replica: true, both: true, look: lookErrant, well: always("it has no transactions of its own")},
	{name: "defaults", replica: true, both: true, look: lookDefaults, well: always("a new session has the same settings as on the primary")},
	{name: "clock", replica: true, both: true, look: lookClock},
}

// remark is a problem before it is known where.
type remark struct {
	severity      Severity
	found, advice string
}

// is makes a remark.
func is(severity Severity, advice, format string, args ...any) remark {
	return remark{severity: severity, found: fmt.Sprintf(format, args...), advice: advice}
}

// always is the same words for every server.
func always(text string) func(*examination, *chart) string {
	return func(*examination, *chart) string { return text }
}
