package integration

import (
	"testing"
	"time"

	"github.com/stickyproxy/stickyproxy/internal/mysqltest"
	"github.com/stickyproxy/stickyproxy/internal/mysqltest/clustertest"
	"github.com/stickyproxy/stickyproxy/proxy"
	"github.com/stickyproxy/stickyproxy/session"
)

// withSessions gives the proxy the memory of sessions that span connections.
func withSessions(t *testing.T, scope proxy.Scope) func(*setup) {
	t.Helper()
	store, err := session.NewStore(session.Options{Window: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	return func(s *setup) {
		s.proxy.Sessions = store
		s.policy.Scope = scope
	}
}

// What one connection of a session wrote, its other connections see; those of another session, and those of none, may
// still read the old row on a replica.
func TestNamedSession(t *testing.T) {
	clustertest.EachEngine(t, func(t *testing.T, e mysqltest.Engine) {
		p := transactionRig(t, e, withSessions(t, proxy.ScopeSession))
		const mine = "connectionAttributes=sticky_session:mine"
		writer, reader := p.connect(mine), p.connect(mine)
		other, nobody := p.connect("connectionAttributes=sticky_session:other"), p.connect()
		p.late()
		writer.exec("UPDATE t SET v = 2 WHERE id = 1")
		reader.wants(readT, "2", false)
		p.connect(mine).wants(readT, "2", false)
		other.wants(readT, "1", true)
		nobody.wants(readT, "1", true)
		p.lag(0)
		p.waitFresh()
		reader.wants(readT, "2", true)
	})
}

// In scope global every connection sees what any other one wrote through the proxy.
func TestScopeGlobal(t *testing.T) {
	clustertest.EachEngine(t, func(t *testing.T, e mysqltest.Engine) {
		p := transactionRig(t, e, withSessions(t, proxy.ScopeGlobal))
		writer, reader := p.connect(), p.connect()
		p.late()
		reader.wants(readT, "1", true)
		writer.exec("UPDATE t SET v = 2 WHERE id = 1")
		reader.wants(readT, "2", false)
		p.connect().wants(readT, "2", false)
		p.lag(0)
		p.waitFresh()
		reader.wants(readT, "2", true)
	})
}

// What a session writes with sql_log_bin off never gets to a replica, however far that one is. Its connections read on
// the primary for the window; the one that wrote, until it is reset.
func TestUnloggedWriteOfSession(t *testing.T) {
	clustertest.EachEngine(t, func(t *testing.T, e mysqltest.Engine) {
		p := transactionRig(t, e, withSessions(t, proxy.ScopeSession))
		const mine, readU = "connectionAttributes=sticky_session:mine", "SELECT COUNT(*) FROM u"
		privilege := map[mysqltest.Engine]string{mysqltest.MySQL: "SESSION_VARIABLES_ADMIN", mysqltest.MariaDB: "BINLOG ADMIN"}[e]
		p.primary("CREATE TABLE app.u (id INT PRIMARY KEY); GRANT " + privilege + " ON *.* TO app")
		defer p.primary("DROP TABLE app.u; REVOKE " + privilege + " ON *.* FROM app")
		writer, reader := p.connect(mine), p.connect(mine)
		p.waitFresh()
		reader.wants(readU, "0", true)
		writer.exec("SET sql_log_bin = 0")
		writer.exec("INSERT INTO u VALUES (1)")
		writer.exec("SET sql_log_bin = 1")
		p.waitFresh()
		reader.wants(readU, "1", false)
		writer.wants(readU, "1", false)
	})
}
