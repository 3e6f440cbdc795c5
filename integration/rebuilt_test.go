package integration

import (
	"testing"
	"time"

	"github.com/stickyproxy/stickyproxy/internal/mysqltest"
	"github.com/stickyproxy/stickyproxy/internal/mysqltest/clustertest"
	"github.com/stickyproxy/stickyproxy/proxy"
)

// A replica that was rebuilt with less data, under the same address, serves those who need no more than it has, and nobody
// else until it has that.
func TestReplicaRebuiltWithLess(t *testing.T) {
	clustertest.EachEngine(t, func(t *testing.T, e mysqltest.Engine) {
		var w *way
		p := transactionRig(t, e, withSessions(t, proxy.ScopeSession), func(s *setup) {
			w = newWay(t, s.fleet.Replicas[0].Address)
			s.fleet.Replicas = s.fleet.Replicas[:1]
			s.fleet.Replicas[0].Address = w.addr()
		})
		rebuilt := p.cluster.Replicas[1]
		if err := p.cluster.SetLag(p.ctx, rebuilt, time.Hour); err != nil {
			t.Fatal(err)
		}
		const mine = "connectionAttributes=sticky_session:mine"
		reader := p.connect(mine)
		reader.exec("UPDATE t SET v = 2 WHERE id = 1")
		reader.reads("2", true)
		w.turn(rebuilt.Addr())
		for where, visitor := (ran{}), p.connect(); !where.replica; { // until the rebuilt one serves
			var got string
			if got, where = visitor.text(readT); where.replica != (got == "1") {
				t.Fatalf("a visitor got %s from %v", got, where)
			}
			reader.reads("2", false)
			p.connect(mine).reads("2", false)
			visitor.close()
			visitor = p.connect()
		}
		for range 50 {
			if got, where := reader.text(readT); got != "2" || where.replica {
				t.Fatalf("got %s from %v", got, where)
			}
		}
		if err := p.cluster.SetLag(p.ctx, rebuilt, 0); err != nil {
			t.Fatal(err)
		}
		reader.reads("2", true)
	})
}

// reads reads the row, until a replica serves it if that is asked for, and always wants this value.
func (c *client) reads(want string, replica bool) {
	c.t.Helper()
	for {
		got, where := c.text(readT)
		if got != want {
			c.t.Fatalf("got %s from %v, want %s", got, where, want)
		}
		if where.replica || !replica {
			return
		}
	}
}
