package integration

import (
	"testing"
	"time"

	"github.com/stickyproxy/stickyproxy/backend"
	"github.com/stickyproxy/stickyproxy/internal/mysqltest"
	"github.com/stickyproxy/stickyproxy/internal/mysqltest/clustertest"
	"github.com/stickyproxy/stickyproxy/proxy"
)

// A process that takes over from another one knows nothing of its sessions. They see what they wrote all the same: as long
// as the old one may write, from the primary, and then by the position that the primary had.
func TestSessionsAcrossARestart(t *testing.T) {
	clustertest.EachEngine(t, func(t *testing.T, e mysqltest.Engine) {
		p := transactionRig(t, e, withSessions(t, proxy.ScopeSession))
		const mine = "connectionAttributes=sticky_session:mine"
		p.late()
		old := p.connect(mine)
		const drain = 300 * time.Millisecond
		s := setup{proxy: proxy.Options{Trace: proxy.Trace{Query: p.traced}, Earlier: drain}}
		withSessions(t, proxy.ScopeSession)(&s)
		p.another(s.proxy, s.policy)
		started := time.Now()
		old.exec("UPDATE t SET v = 2 WHERE id = 1") // it drains
		reader := p.connect(mine)
		reader.wants(readT, "2", false)
		p.waitFor("the primary's position after the time of the old process", func(v *backend.Snapshot) bool {
			return v.PrimaryAsked.After(started.Add(2 * drain))
		})
		reader.wants(readT, "2", false)
		p.connect("connectionAttributes=sticky_session:other").wants(readT, "2", false) // it may be one that wrote, too
		p.connect().wants(readT, "1", true)                                             // a connection of its own was not there before
		p.lag(0)
		p.waitFresh()
		p.connect(mine).wants(readT, "2", true)
	})
}
