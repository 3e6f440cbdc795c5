package integration

import (
	"testing"
	"time"

	"github.com/stickyproxy/stickyproxy/internal/mysqltest"
	"github.com/stickyproxy/stickyproxy/internal/mysqltest/clustertest"
	"github.com/stickyproxy/stickyproxy/proxy"
	"github.com/stickyproxy/stickyproxy/router"
)

// A read that may wait is served by a replica, and sees what its session has just written; in scope fleet also what
// anybody has, through no proxy at all.
func TestReadsThatWait(t *testing.T) {
	clustertest.EachEngine(t, func(t *testing.T, e mysqltest.Engine) {
		p := sharedRig(t, e)
		p.do("CREATE TABLE t (v INT)", "INSERT INTO t VALUES (0)")
		p.waitFresh()
		for _, scope := range []proxy.Scope{proxy.ScopeSession, proxy.ScopeFleet} {
			t.Run(scope.String(), func(t *testing.T) {
				p.another(proxy.Options{Wait: 30 * time.Second, Trace: proxy.Trace{Query: p.traced}}, proxy.Policy{Scope: scope})
				c := p.connect()
				for range 20 {
					if scope == proxy.ScopeFleet {
						p.do("UPDATE t SET v = v + 1")
					} else {
						c.exec("UPDATE t SET v = v + 1")
					}
					want, _ := c.text("SELECT v FROM t FOR UPDATE")
					got, where := c.text("SELECT v FROM t")
					if got != want || where != (ran{true, router.ReasonRead}) {
						t.Fatalf("got %s from %v, want %s from a replica", got, where, want)
					}
				}
			})
		}
	})
}
