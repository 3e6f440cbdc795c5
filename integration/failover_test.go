package integration

import (
	"net"
	"sync/atomic"
	"testing"

	"github.com/stickyproxy/stickyproxy/backend"
	"github.com/stickyproxy/stickyproxy/internal/mysqltest"
	"github.com/stickyproxy/stickyproxy/internal/mysqltest/clustertest"
	"github.com/stickyproxy/stickyproxy/proxy"
	"github.com/stickyproxy/stickyproxy/router"
)

// A write that only the old primary had, which is gone, holds its session until the new primary is known to lack it: that is
// told once, and then the session reads from replicas again.
func TestFailoverLosesAWrite(t *testing.T) {
	clustertest.EachEngine(t, func(t *testing.T, e mysqltest.Engine) {
		var ways []*way
		var lost atomic.Int32
		p := startRig(t, clustertest.Start(t, mysqltest.Config{Engine: e, GTID: true}), withSessions(t, proxy.ScopeSession), overWays(t, &ways),
			func(s *setup) { s.proxy.Trace.Lost = func() { lost.Add(1) } })
		p.do("CREATE TABLE t (id INT PRIMARY KEY, v INT)", "INSERT INTO t VALUES (1, 1)")
		p.waitFresh()
		heir, other := p.cluster.Replicas[0], p.cluster.Replicas[1]
		for _, r := range p.cluster.Replicas {
			if err := p.cluster.Cut(p.ctx, r); err != nil {
				t.Fatal(err)
			}
		}
		const mine = "connectionAttributes=sticky_session:mine"
		writer := p.connect(mine)
		writer.exec("UPDATE t SET v = 2 WHERE id = 1")
		writer.wants(readT, "2", false)

		old := p.fleet.Snapshot().GTIDPrimary
		p.cluster.Primary.Kill()
		promote(t, e, heir, other)
		ways[2].turn(heir.Addr())
		p.waitFor("the new primary and a replica that follows it", func(v *backend.Snapshot) bool {
			return v.PrimaryUp && v.GTIDPrimary != "" && v.GTIDPrimary != old && eligible(v.Replicas[1]) && !v.Replicas[1].FreshAsOf.IsZero()
		})
		for reader, told := p.connect(mine), false; ; {
			got, where := reader.text(readT)
			if got != "1" {
				t.Fatalf("got %s from %v: who has that?", got, where)
			}
			if where.replica {
				if !told {
					t.Error("a replica served before it was told that the write is lost")
				}
				break
			}
			told = told || where.reason == router.ReasonWriteLost
		}
		p.connect(mine).wants(readT, "1", true)
		if n := lost.Load(); n != 1 {
			t.Errorf("told %d times that a write is lost, want once", n)
		}
	})
}

// promote makes a replica the primary of another one.
func promote(t *testing.T, e mysqltest.Engine, heir, other *mysqltest.Server) {
	t.Helper()
	_, port, err := net.SplitHostPort(heir.Addr())
	if err != nil {
		t.Fatal(err)
	}
	if e == mysqltest.MariaDB {
		clustertest.Exec(t, heir, "STOP SLAVE; RESET SLAVE ALL; SET GLOBAL read_only=OFF;")
		clustertest.Exec(t, other, "STOP SLAVE; CHANGE MASTER TO MASTER_PORT=%s; START SLAVE;", port)
		return
	}
	clustertest.Exec(t, heir, "STOP REPLICA; RESET REPLICA ALL; SET GLOBAL super_read_only=OFF; SET GLOBAL read_only=OFF;")
	clustertest.Exec(t, other, "STOP REPLICA; CHANGE REPLICATION SOURCE TO SOURCE_PORT=%s; START REPLICA;", port)
}
