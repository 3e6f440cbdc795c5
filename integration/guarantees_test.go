package integration

import (
	"context"
	"errors"
	"flag"
	"strings"
	"testing"
	"time"

	"github.com/stickyproxy/stickyproxy/integration/guarantees"
	"github.com/stickyproxy/stickyproxy/internal/mysqltest"
	"github.com/stickyproxy/stickyproxy/internal/mysqltest/clustertest"
	"github.com/stickyproxy/stickyproxy/proxy"
	"github.com/stickyproxy/stickyproxy/router"
)

// checkFor is how long the checker's users work in one test; make soak gives them longer.
var checkFor = flag.Duration("check-for", 1500*time.Millisecond, "how long users work in each test of the session guarantees")

// late is how late the replicas are meanwhile.
const late = time.Second

// checker makes the account that the checker uses, and options for these endpoints. The schema is made on the primary
// itself.
func checker(t *testing.T, c *mysqltest.Cluster, to ...string) guarantees.Options {
	t.Helper()
	clustertest.Exec(t, c.Primary, "CREATE USER IF NOT EXISTS checker@'%%' IDENTIFIED BY 'checker'; GRANT ALL ON %s.* TO checker@'%%';", guarantees.Schema)
	t.Cleanup(func() { clustertest.Exec(t, c.Primary, "DROP USER IF EXISTS checker@'%%';") })
	o := guarantees.Options{Duration: *checkFor, Least: 1500, Prepared: true, Transactions: true, Think: 2 * time.Millisecond}
	endpoint := func(address string) guarantees.Endpoint {
		return guarantees.Endpoint{Address: address, User: "checker", Password: "checker"}
	}
	o.Ready = func() error { return c.WaitCaughtUp(clustertest.Context(t)) } // a replica without the schema would be left out
	setup := endpoint(c.Primary.Addr())
	o.Setup = &setup
	for _, address := range to {
		o.To = append(o.To, endpoint(address))
	}
	return o
}

// mustCheck runs the checker and fails the test if it did next to nothing, or the data are broken.
func mustCheck(t *testing.T, o guarantees.Options) *guarantees.Report {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), *checkFor+3*time.Minute)
	defer cancel()
	r, err := guarantees.Run(ctx, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("seed %d: %d reads, %d judged, %d behind, %d writes, %d unknown, errors %v, violations %v", r.Seed, r.Reads, r.Checked, r.Behind, r.Writes, r.Unknown, r.Errors, r.Violations)
	if r.Reads < 1000 || r.Checked < r.Reads/5 || r.Writes < 20 {
		t.Error("it did next to nothing")
	}
	if r.Violations["intact"] > 0 {
		t.Errorf("the data are broken: %v", r.Samples)
	}
	return r
}

// The checker can fail: what a naive split and mode eventual break, it finds.
func TestGuaranteesBroken(t *testing.T) {
	clustertest.EachEngine(t, func(t *testing.T, e mysqltest.Engine) {
		p := sharedRig(t, e, func(s *setup) {
			s.policy = proxy.Policy{Mode: router.Eventual}
			s.proxy.Trace = proxy.Trace{} // nobody reads what it would tell
		})
		setLag(t, p.cluster, late)
		for name, to := range map[string][]string{
			"split":    {p.cluster.Primary.Addr(), p.cluster.Replicas[0].Addr(), p.cluster.Replicas[1].Addr()},
			"eventual": {p.addr},
		} {
			t.Run(name, func(t *testing.T) {
				o := checker(t, p.cluster, to...)
				o.Split = len(to) > 1
				o.Duration = min(o.Duration, 10*time.Second) // it shows at once
				if r := mustCheck(t, o); r.Violations["read_your_writes"] == 0 {
					t.Error("replicas that are late break nothing")
				}
			})
		}
	})
}

// Nothing is left behind by a run that is interrupted, and nothing is touched that was there before.
func TestCheckerCleansUp(t *testing.T) {
	clustertest.EachEngine(t, func(t *testing.T, e mysqltest.Engine) {
		c := clustertest.Shared(t, e)
		schemas := "SELECT COUNT(*) FROM information_schema.schemata WHERE schema_name = '" + guarantees.Schema + "';"
		o := checker(t, c, c.Primary.Addr())
		ctx, interrupt := context.WithCancel(t.Context())
		o.Duration = time.Hour
		o.Ready = func() error { interrupt(); return nil }
		r, err := guarantees.Run(ctx, o)
		if err != nil || r.Broken() > 0 {
			t.Errorf("interrupted: %+v, %v", r, err)
		}
		if got := strings.TrimSpace(clustertest.Read(t, c.Primary, schemas)); got != "0" {
			t.Errorf("%s schemas are left", got)
		}
		clustertest.Exec(t, c.Primary, "CREATE DATABASE %s;", guarantees.Schema)
		if _, err := guarantees.Run(t.Context(), o); !errors.Is(err, guarantees.ErrSchemaExists) {
			t.Errorf("before another run's schema: %v", err)
		}
		if got := strings.TrimSpace(clustertest.Read(t, c.Primary, schemas)); got != "1" {
			t.Errorf("%s schemas, want the one of before", got)
		}
		clustertest.Exec(t, c.Primary, "DROP DATABASE %s;", guarantees.Schema)
	})
}
