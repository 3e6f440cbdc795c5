package integration

import (
	"errors"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"

	gomysql "github.com/go-mysql-org/go-mysql/mysql"

	"github.com/stickyproxy/stickyproxy/internal/mysqltest"
	"github.com/stickyproxy/stickyproxy/internal/mysqltest/clustertest"
	"github.com/stickyproxy/stickyproxy/proxy"
	"github.com/stickyproxy/stickyproxy/router"
)

// A session that prepared a branch reads from the primary, whatever the replicas have, until somebody has committed it;
// then from a replica that has the commit. So does whoever committed.
func TestXAAcrossConnections(t *testing.T) {
	clustertest.EachEngine(t, func(t *testing.T, e mysqltest.Engine) {
		p := transactionRig(t, e, withSessions(t, proxy.ScopeSession))
		const author, manager = "connectionAttributes=sticky_session:author", "connectionAttributes=sticky_session:manager"
		worker, reader, decider := p.connect(author), p.connect(author), p.connect(manager)
		worker.exec("XA START 'across', 'b', 7", "UPDATE t SET v = 2 WHERE id = 1", "XA END 'across', 'b', 7", "XA PREPARE 'across', 'b', 7")
		if e == mysqltest.MariaDB {
			worker.close() // only then can others decide
		}
		p.waitFresh()
		p.late()
		got, where := reader.text(readT)
		if got != "1" || where != (ran{false, router.ReasonXA}) {
			t.Errorf("between PREPARE and COMMIT: got %s from %v", got, where)
		}
		decider.decides("XA COMMIT X'6163726f7373', 0x62, 7")
		reader.wants(readT, "2", false)
		decider.wants(readT, "2", false)
		p.lag(0)
		p.waitFresh()
		reader.wants(readT, "2", true)
		decider.wants(readT, "2", true)
		if e == mysqltest.MySQL {
			worker.wants(readT, "2", true)
		}
	})
}

// decides runs a statement about a branch whose connection may be ending still.
func (c *client) decides(statement string) {
	c.t.Helper()
	ticker := time.NewTicker(5 * time.Millisecond)
	defer ticker.Stop()
	for {
		_, err := c.ExecContext(c.p.ctx, statement)
		c.p.next()
		var refused *mysql.MySQLError
		switch {
		case err == nil:
			return
		case !errors.As(err, &refused) || refused.Number != gomysql.ER_XAER_NOTA:
			c.t.Fatalf("%s: %v", statement, err)
		}
		<-ticker.C
	}
}

// Who commits his own branch, in one phase or in two, or rolls it back, reads on replicas that have that.
func TestXAOfOneConnection(t *testing.T) {
	clustertest.EachEngine(t, func(t *testing.T, e mysqltest.Engine) {
		p := transactionRig(t, e, withSessions(t, proxy.ScopeSession))
		c := p.connect()
		for _, tt := range []struct {
			ends    []string
			want    string
			written bool // there is something that late replicas do not have
		}{
			{[]string{"XA COMMIT 'one' ONE PHASE"}, "2", true},
			{[]string{"XA ROLLBACK 'one'"}, "1", false},
			{[]string{"XA PREPARE 'one'", "XA COMMIT 'one'"}, "2", true},
			{[]string{"XA PREPARE 'one'", "XA ROLLBACK 'one'"}, "1", true},
		} {
			c.exec("UPDATE t SET v = 1 WHERE id = 1")
			p.waitFresh()
			p.late()
			c.exec("XA START 'one'", "UPDATE t SET v = 2 WHERE id = 1", "XA END 'one'")
			c.exec(tt.ends...)
			if tt.written {
				c.wants(readT, tt.want, false)
			}
			p.lag(0)
			p.waitFresh()
			got, where := c.text(readT)
			for ; !where.replica && where.reason == router.ReasonWroteRecently; got, where = c.text(readT) { // ROLLBACK reports no GTID
				p.waitFresh()
			}
			if got != tt.want || !where.replica {
				t.Errorf("%v: got %s from %v, want %s from a replica", tt.ends, got, where, tt.want)
			}
		}
	})
}
