package integration

import (
	"testing"
	"time"

	"github.com/stickyproxy/stickyproxy/backend"
	"github.com/stickyproxy/stickyproxy/internal/mysqltest"
	"github.com/stickyproxy/stickyproxy/internal/mysqltest/clustertest"
	"github.com/stickyproxy/stickyproxy/proxy"
	"github.com/stickyproxy/stickyproxy/router"
)

// What the modes do with a replica that has not got the write, before and after the window, and when it has it.
func TestModes(t *testing.T) {
	clustertest.EachEngine(t, func(t *testing.T, e mysqltest.Engine) {
		clock := newClock()
		p := sharedRig(t, e, func(s *setup) { s.fleet.Now = clock.now })
		p.do("CREATE TABLE t (v INT)", "INSERT INTO t VALUES (1)")
		for _, row := range []struct {
			mode    router.Mode
			behind  ran // before replicas that have not got the write
			value   string
			release bool // it reads on replicas again when they have it
		}{
			{router.Auto, ran{false, router.ReasonReplicaBehind}, "2", true},
			{router.Window, ran{false, router.ReasonWroteRecently}, "2", true},
			{router.GTID, ran{false, router.ReasonReplicaBehind}, "2", true},
			{router.Eventual, ran{true, router.ReasonReadUnproven}, "1", true},
			{router.PrimaryOnly, ran{false, router.ReasonPrimaryMode}, "2", false},
		} {
			t.Run(row.mode.String(), func(t *testing.T) {
				p.another(proxy.Options{Window: time.Hour, MaxLag: 100 * time.Hour, Now: clock.now, Trace: proxy.Trace{Query: p.traced}}, proxy.Policy{Mode: row.mode})
				c := p.connect()
				c.exec("UPDATE t SET v = 1")
				clock.advance(2 * time.Hour) // the window of this write is over
				p.lag(0)
				p.waitFresh()
				p.late()
				c.exec("UPDATE t SET v = 2")
				for _, read := range []func() (string, ran){
					func() (string, ran) { return c.text("SELECT v FROM t") },
					func() (string, ran) {
						st := c.prepare("SELECT v FROM t WHERE v > ?")
						defer st.close()
						return st.query(0)
					},
				} {
					if got, where := read(); got != row.value || where != row.behind {
						t.Errorf("behind: got %s from %v, want %s from %v", got, where, row.value, row.behind)
					}
				}
				clock.advance(2 * time.Hour)
				if got, where := c.text("SELECT v FROM t"); got != row.value || where.replica != row.behind.replica {
					t.Errorf("behind, after the window: got %s from %v, want %s", got, where, row.value)
				}
				p.lag(0)
				p.waitFresh()
				if got, where := c.text("SELECT v FROM t"); got != "2" || where.replica != row.release {
					t.Errorf("caught up: got %s from %v", got, where)
				}
			})
		}
	})
}

// A write that failed tells no GTID. Where everything gets one, a replica that has what the primary had after the answer is
// proof enough, also of what it had written before it failed; a pin has no such proof, and lasts a window.
func TestModesWithoutProof(t *testing.T) {
	clustertest.EachEngine(t, func(t *testing.T, e mysqltest.Engine) {
		clock := newClock()
		p := sharedRig(t, e, func(s *setup) { s.fleet.Now = clock.now })
		p.do("CREATE TABLE t (v INT PRIMARY KEY)", "INSERT INTO t VALUES (1)")
		for _, mode := range []router.Mode{router.Auto, router.GTID} {
			t.Run(mode.String(), func(t *testing.T) {
				p.another(proxy.Options{Window: time.Hour, MaxLag: 100 * time.Hour, Now: clock.now, Trace: proxy.Trace{Query: p.traced}}, proxy.Policy{Mode: mode})
				c := p.connect()
				if code := c.fails("INSERT INTO t VALUES (1)"); code != 1062 { // it may have written before it failed
					t.Fatalf("error %d", code)
				}
				p.waitFresh()
				if _, where := c.text("SELECT v FROM t"); !where.replica {
					t.Errorf("after a write that failed: %v", where)
				}
				c.say("SET @sticky_pin = 1")
				p.waitFresh()
				if _, where := c.text("SELECT v FROM t"); where != (ran{false, router.ReasonWroteRecently}) {
					t.Errorf("after a pin: %v", where)
				}
				clock.advance(2 * time.Hour)
				p.waitFresh()
				if _, where := c.text("SELECT v FROM t"); !where.replica {
					t.Errorf("after the window: %v", where)
				}
			})
		}
	})
}

// Without a monitor account nothing is known, and the primary does everything.
func TestNoMonitor(t *testing.T) {
	clustertest.EachEngine(t, func(t *testing.T, e mysqltest.Engine) {
		cluster := clustertest.Shared(t, e)
		p := &rig{t: t, cluster: cluster, account: cluster.App, ran: make(chan ran, 100), ctx: clustertest.Context(t)}
		checkGoroutines(t)
		p.start(setup{
			fleet: backend.Options{
				Primary:  backend.ServerConfig{Address: cluster.Primary.Addr()},
				Replicas: []backend.ServerConfig{{Address: cluster.Replicas[0].Addr()}},
			},
			proxy: proxy.Options{Trace: proxy.Trace{Query: p.traced}},
		})
		if got, where := p.connect().text("SELECT 1"); got != "1" || where != (ran{false, router.ReasonNoMonitor}) {
			t.Errorf("got %s from %v", got, where)
		}
	})
}
