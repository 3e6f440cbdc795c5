package integration

import (
	"testing"

	"github.com/stickyproxy/stickyproxy/internal/mysqltest"
	"github.com/stickyproxy/stickyproxy/internal/mysqltest/clustertest"
)

// transactionRig has a table t with one row, which every replica has.
func transactionRig(t *testing.T, e mysqltest.Engine, change ...func(*setup)) *rig {
	t.Helper()
	p := sharedRig(t, e, change...)
	p.do("CREATE TABLE t (id INT PRIMARY KEY, v INT)", "INSERT INTO t VALUES (1, 1)")
	p.waitFresh()
	return p
}

const readT = "SELECT v FROM t WHERE id = 1"

// What is in a transaction runs on the primary, and its end is what pins.
func TestTransaction(t *testing.T) {
	clustertest.EachEngine(t, func(t *testing.T, e mysqltest.Engine) {
		p := transactionRig(t, e)
		p.late()
		c, other := p.connect(), p.connect()
		c.wants(readT, "1", true)
		c.exec("BEGIN")
		c.wants(readT, "1", false)
		c.exec("UPDATE t SET v = 2 WHERE id = 1")
		c.wants(readT, "2", false)
		other.wants(readT, "1", true)
		c.exec("SAVEPOINT a", "UPDATE t SET v = 3 WHERE id = 1", "ROLLBACK TO SAVEPOINT a")
		c.wants(readT, "2", false)
		c.exec("COMMIT")
		c.wants(readT, "2", false) // the replicas do not have it
		p.lag(0)
		p.waitFresh()
		c.wants(readT, "2", true)
	})
}

// A transaction that only reads pins nobody when it ends.
func TestTransactionThatReads(t *testing.T) {
	clustertest.EachEngine(t, func(t *testing.T, e mysqltest.Engine) {
		p := transactionRig(t, e)
		c := p.connect()
		c.exec("BEGIN")
		c.wants(readT, "1", false)
		c.exec("COMMIT")
		p.waitFresh() // a replica has what was read
		c.wants(readT, "1", true)
	})
}

// DDL commits what was open: the connection is pinned by it as by a COMMIT, and reads are free of the transaction.
func TestImplicitCommit(t *testing.T) {
	clustertest.EachEngine(t, func(t *testing.T, e mysqltest.Engine) {
		p := transactionRig(t, e)
		p.late()
		c := p.connect()
		c.exec("BEGIN", "UPDATE t SET v = 2 WHERE id = 1", "CREATE TABLE u (id INT)")
		c.wants(readT, "2", false)
		p.lag(0)
		p.waitFresh()
		c.wants(readT, "2", true)
		c.wants("SELECT COUNT(*) FROM u", "0", true)
	})
}

// With autocommit off every statement is in a transaction.
func TestAutocommitOff(t *testing.T) {
	clustertest.EachEngine(t, func(t *testing.T, e mysqltest.Engine) {
		p := transactionRig(t, e)
		c := p.connect()
		c.exec("SET autocommit = 0")
		c.wants(readT, "1", false)
		c.exec("COMMIT")
		c.wants(readT, "1", false)
		p.late()
		c.exec("UPDATE t SET v = 2 WHERE id = 1", "SET autocommit = 1") // that commits
		c.wants(readT, "2", false)
		p.lag(0)
		p.waitFresh()
		c.wants(readT, "2", true)
	})
}

// Where sessions begin with autocommit off, reads go to replicas once a client has turned it on, and are of no snapshot there.
func TestAutocommitOffFromTheStart(t *testing.T) {
	clustertest.EachEngine(t, func(t *testing.T, e mysqltest.Engine) {
		p := transactionRig(t, e)
		begin := func(value string) {
			for _, s := range p.cluster.Servers() {
				if _, err := s.Exec(p.ctx, "SET GLOBAL autocommit="+value); err != nil {
					t.Error(err)
				}
			}
		}
		defer begin("ON")
		begin("OFF")
		c, writer := p.connect(), p.connect()
		c.wants(readT, "1", false)
		c.exec("COMMIT")
		c.wants(readT, "1", false)
		c.exec("SET autocommit = 0")
		c.wants(readT, "1", false)
		c.exec("SET autocommit = 1")
		writer.exec("SET autocommit = 1")
		p.waitFresh()
		c.wants(readT, "1", true)
		writer.exec("UPDATE t SET v = 2 WHERE id = 1")
		p.waitFresh()
		c.wants(readT, "2", true)
		c.exec("SET autocommit = 0")
		c.wants(readT, "2", false)
		c.exec("ROLLBACK")
		c.wants(readT, "2", false)
	})
}

// A READ ONLY transaction is one read: one snapshot on one replica, where writes are refused as on a primary.
func TestReadOnlyTransaction(t *testing.T) {
	clustertest.EachEngine(t, func(t *testing.T, e mysqltest.Engine) {
		p := transactionRig(t, e)
		reader, writer := p.connect(), p.connect()
		reader.exec("START TRANSACTION READ ONLY")
		reader.wants(readT, "1", true)
		writer.exec("UPDATE t SET v = 2 WHERE id = 1")
		p.waitFresh()
		reader.wants(readT, "1", true) // its snapshot
		if code := reader.fails("UPDATE t SET v = 3 WHERE id = 1"); code != 1792 {
			t.Errorf("a write in a READ ONLY transaction gives error %d, want 1792", code)
		}
		reader.wants(readT, "1", true)
		if where := reader.exec("COMMIT"); !where.replica {
			t.Errorf("its COMMIT ran on %v", where)
		}
		reader.wants(readT, "2", true)

		reader.exec("START TRANSACTION READ ONLY")
		reader.wants(readT, "2", true)
		reader.exec("ROLLBACK")
		reader.wants(readT, "2", true)
	})
}

// A statement that begins a transaction ends a READ ONLY one, on whatever server that was.
func TestBeginInReadOnlyTransaction(t *testing.T) {
	clustertest.EachEngine(t, func(t *testing.T, e mysqltest.Engine) {
		p := transactionRig(t, e)
		c := p.connect()
		c.exec("START TRANSACTION READ ONLY")
		c.wants(readT, "1", true)
		c.exec("START TRANSACTION READ WRITE")
		c.wants(readT, "1", false)
		c.exec("UPDATE t SET v = 2 WHERE id = 1", "COMMIT")
		c.wants("SELECT v FROM t WHERE id = 1 FOR UPDATE", "2", false)
	})
}

// A READ ONLY transaction of a session that wrote sees what it wrote.
func TestReadOnlyTransactionAfterWrite(t *testing.T) {
	clustertest.EachEngine(t, func(t *testing.T, e mysqltest.Engine) {
		p := transactionRig(t, e)
		p.late()
		c := p.connect()
		c.exec("UPDATE t SET v = 2 WHERE id = 1", "START TRANSACTION READ ONLY")
		c.wants(readT, "2", false)
		c.exec("COMMIT")
		p.lag(0)
		p.waitFresh()
		c.exec("START TRANSACTION READ ONLY")
		c.wants(readT, "2", true)
		c.exec("COMMIT")
	})
}

// A connection that is reset keeps what it must see.
func TestResetKeepsThePin(t *testing.T) {
	clustertest.EachEngine(t, func(t *testing.T, e mysqltest.Engine) {
		p := transactionRig(t, e)
		p.late()
		c := p.raw(newCaps)
		c.query("UPDATE t SET v = 2 WHERE id = 1")
		c.query("SET @x = 1")
		c.query("SET sql_mode = 'ANSI_QUOTES'")
		if got := c.command(comResetConnection); got[0][0] != 0 {
			t.Fatalf("reset: %q", got)
		}
		for query, want := range map[string]string{readT: "2", "SELECT @x": "NULL", `SELECT "v"`: "v"} {
			if got, err := c.values(c.query(query)); err != nil || len(got) != 1 || got[0] != want {
				t.Errorf("%s: got %v, %v, want %s", query, got, err, want)
			}
		}
	})
}
