package integration

import (
	"errors"
	"fmt"
	"testing"
	"time"

	gomysql "github.com/go-mysql-org/go-mysql/mysql"
	"github.com/go-sql-driver/mysql"

	"github.com/stickyproxy/stickyproxy/backend"
	"github.com/stickyproxy/stickyproxy/internal/mysqltest"
	"github.com/stickyproxy/stickyproxy/internal/mysqltest/clustertest"
	"github.com/stickyproxy/stickyproxy/mysqlwire"
	"github.com/stickyproxy/stickyproxy/router"
)

// bigResult is a result of 256 rows of 1 MiB: more than all buffers on the way.
const bigResult = "SELECT REPEAT('x', 1048576) FROM r"

// bigRig has the table r for bigResult.
func bigRig(t *testing.T, e mysqltest.Engine, change ...func(*setup)) *rig {
	t.Helper()
	p := transactionRig(t, e, change...)
	c := p.connect()
	c.exec("CREATE TABLE r (id INT AUTO_INCREMENT PRIMARY KEY)", "INSERT INTO r VALUES (NULL)")
	for range 8 {
		c.exec("INSERT INTO r (id) SELECT NULL FROM r")
	}
	c.close()
	p.waitFresh()
	return p
}

// A replica that dies in the middle of a result ends the client's connection with an error, never the result.
func TestReplicaKilledInMidResult(t *testing.T) {
	clustertest.EachEngine(t, func(t *testing.T, e mysqltest.Engine) {
		var ways []*way
		p := bigRig(t, e, overWays(t, &ways))
		for _, caps := range []mysqlwire.Capability{newCaps, plainCaps} {
			mark := fmt.Sprintf("%s -- %x", bigResult, caps)
			c := p.raw(caps)
			c.send(gomysql.COM_QUERY, []byte(mark)...)
			for range 4 { // column count, definition, a row or two: the answer has begun
				if _, err := c.read(); err != nil {
					t.Fatal(err)
				}
			}
			p.cluster.Replicas[waitSeen(t, mark, ways...)].Kill()
			rows := 0
			var err error
			for err == nil {
				var packet []byte
				if packet, err = c.read(); err == nil {
					switch {
					case packet[0] == 0xFF:
						err = mysqlwire.ParseError(packet)
					case packet[0] == 0xFE && len(packet) < 9:
						t.Fatalf("the result ended as if it were whole, after %d rows", rows)
					}
					rows++
				}
			}
			if refused := new(mysqlwire.Error); errors.As(err, &refused) {
				t.Errorf("after half a result: %v, want the end of the connection", err)
			}
			if got, _ := p.connect().text(readT); got != "1" {
				t.Errorf("a new client reads %s", got)
			}
			if err := p.cluster.Reset(p.ctx); err != nil {
				t.Fatal(err)
			}
			p.waitFresh()
		}
	})
}

// The driver reports the loss of a replica in mid-result as an error of the rows.
func TestReplicaKilledInMidResultOfDriver(t *testing.T) {
	clustertest.EachEngine(t, func(t *testing.T, e mysqltest.Engine) {
		var ways []*way
		p := bigRig(t, e, overWays(t, &ways))
		rows, err := p.connect().QueryContext(p.ctx, bigResult)
		if err != nil {
			t.Fatal(err)
		}
		defer rows.Close()
		n := 0
		for rows.Next() {
			if n++; n == 2 {
				p.cluster.Replicas[waitSeen(t, bigResult, ways...)].Kill()
			}
		}
		if rows.Err() == nil {
			t.Errorf("%d rows and no error", n)
		}
	})
}

// answer is how a query ended.
type answer struct {
	value string
	err   error
}

// asker asks a question by one protocol while the test goes on. The server can see the mark.
type asker func(mark string) <-chan answer

func byText(c *client) asker {
	return func(mark string) <-chan answer {
		done := make(chan answer, 1)
		go func() {
			v, err := scan(c.QueryContext(c.p.ctx, fmt.Sprintf("SELECT CONCAT(v, '%s') FROM t WHERE id = 1", mark)))
			done <- answer{v, err}
		}()
		return done
	}
}

func byStatement(c *client) asker {
	st := c.prepare("SELECT CONCAT(v, ?) FROM t WHERE id = 1")
	return func(mark string) <-chan answer {
		done := make(chan answer, 1)
		go func() {
			v, err := scan(st.Stmt.QueryContext(c.p.ctx, mark))
			done <- answer{v, err}
		}()
		return done
	}
}

// A read whose replica dies before it has said anything is answered by another server; with no replica left, by the
// primary; and a replica that comes back is used again.
func TestReplicaKilledBeforeTheFirstByte(t *testing.T) {
	clustertest.EachEngine(t, func(t *testing.T, e mysqltest.Engine) {
		var ways []*way
		p := transactionRig(t, e, overWays(t, &ways))
		for name, protocol := range map[string]func(*client) asker{"text": byText, "prepared": byStatement} {
			t.Run(name, func(t *testing.T) {
				c := p.connect()
				ask := protocol(c)
				for i, want := range []bool{true, false} {
					mark := fmt.Sprintf("%s-%d", name, i)
					if a := <-ask(mark + "-warm"); a.err != nil {
						t.Fatal(a.err)
					}
					p.forget(1)
					victim := p.cluster.Replicas[waitSeen(t, mark+"-warm", ways...)]
					if want {
						p.waitFresh() // the other one is known to have what was read
					}
					victim.Pause()
					done := ask(mark + "-cold")
					waitSeen(t, mark+"-cold", ways...)
					victim.Kill()
					if a := <-done; a.err != nil || a.value != "1"+mark+"-cold" {
						t.Errorf("got %v", a)
					}
					if where := p.next(); where.replica != want {
						t.Errorf("answered by %v", where)
					}
				}
				if err := p.cluster.Reset(p.ctx); err != nil {
					t.Fatal(err)
				}
				untilRan(t, c, ran{true, router.ReasonRead})
				p.waitFresh()
			})
		}
	})
}

// What is asked about a read whose replica is killed then is answered by the primary, and what nobody knows is an error.
func TestReplicaKilledBeforeQuestions(t *testing.T) {
	clustertest.EachEngine(t, func(t *testing.T, e mysqltest.Engine) {
		p := transactionRig(t, e)
		warned, found := p.connect(), p.connect()
		if got, where := warned.text("SELECT CAST('1x' AS SIGNED) FROM t WHERE id = 1"); got != "1" || !where.replica {
			t.Fatalf("got %s from %v", got, where)
		}
		found.wants(readT, "1", true)
		for _, r := range p.cluster.Replicas {
			r.Kill()
		}
		rows, err := warned.QueryContext(p.ctx, "SHOW WARNINGS")
		if err != nil {
			t.Fatal(err)
		}
		var level, text string
		var code int
		if !rows.Next() || rows.Scan(&level, &code, &text) != nil || code != gomysql.ER_TRUNCATED_WRONG_VALUE || rows.Close() != nil {
			t.Errorf("SHOW WARNINGS: %s %d %s, %v", level, code, text, rows.Err())
		}
		_, err = found.ExecContext(p.ctx, "SELECT FOUND_ROWS()")
		if refused := new(mysql.MySQLError); !errors.As(err, &refused) || refused.Number != gomysql.ER_UNKNOWN_ERROR {
			t.Errorf("SELECT FOUND_ROWS(): %v, want error 1105", err)
		}
		p.last()
		found.wants(readT, "1", false)
		if got, _ := found.text("SELECT FOUND_ROWS()"); got != "1" {
			t.Errorf("FOUND_ROWS() behind a read on the primary: %s", got)
		}
	})
}

// A replica that hangs, with its connections open, does not hold up the reads that wait for it.
func TestReplicaThatHangs(t *testing.T) {
	clustertest.EachEngine(t, func(t *testing.T, e mysqltest.Engine) {
		p := transactionRig(t, e)
		c := p.connect()
		c.wants(readT, "1", true)
		for _, r := range p.cluster.Replicas {
			r.Pause()
		}
		c.wants(readT, "1", false)
		p.connect().wants(readT, "1", false)
		for _, r := range p.cluster.Replicas {
			r.Resume()
		}
		untilRan(t, c, ran{true, router.ReasonRead})
	})
}

// What was known of a server says nothing about another one that answers at its address.
func TestReplicaReplaced(t *testing.T) {
	clustertest.EachEngine(t, func(t *testing.T, e mysqltest.Engine) {
		var ways []*way
		p := transactionRig(t, e, overWays(t, &ways), func(s *setup) { s.fleet.Replicas = s.fleet.Replicas[:1] })
		other := p.cluster.Replicas[1]
		if err := p.cluster.SetLag(p.ctx, other, time.Hour); err != nil {
			t.Fatal(err)
		}
		c := p.connect()
		c.exec("UPDATE t SET v = 2 WHERE id = 1")
		for where := (ran{}); !where.replica; {
			if _, where = c.text(readT); where.reason == router.ReasonNoReplica {
				t.Fatal("the replica is not used")
			}
		}
		ways[0].turn(other.Addr()) // it has the old row
		incarnation := p.fleet.Snapshot().Replicas[0].Incarnation
		replaced := func(v *backend.Snapshot) bool {
			return eligible(v.Replicas[0]) && v.Replicas[0].Incarnation != incarnation
		}
		for i := 0; i < 10 || !replaced(p.fleet.Snapshot()); i++ {
			if got, where := c.text(readT); got != "2" {
				t.Fatalf("got %s from %v, want 2", got, where)
			}
		}
		if err := p.cluster.SetLag(p.ctx, other, 0); err != nil {
			t.Fatal(err)
		}
		untilRan(t, c, ran{true, router.ReasonRead})
		c.wants(readT, "2", true)
	})
}

// A replica that is too late is not used, and is again when it has caught up.
func TestLateReplica(t *testing.T) {
	clustertest.EachEngine(t, func(t *testing.T, e mysqltest.Engine) {
		p := transactionRig(t, e, func(s *setup) { s.proxy.MaxLag = time.Second })
		p.late()
		if _, err := p.cluster.Primary.Exec(p.ctx, "UPDATE app.t SET v = 2"); err != nil {
			t.Fatal(err)
		}
		c := p.connect()
		untilRan(t, c, ran{false, router.ReasonReplicaLate})
		c.wants(readT, "2", false)
		p.lag(0)
		untilRan(t, c, ran{true, router.ReasonRead})
		c.wants(readT, "2", true)
	})
}

// A replica that no longer applies what it gets is not used.
func TestFrozenReplica(t *testing.T) {
	clustertest.EachEngine(t, func(t *testing.T, e mysqltest.Engine) {
		p := transactionRig(t, e)
		for _, r := range p.cluster.Replicas {
			if err := p.cluster.Freeze(p.ctx, r); err != nil {
				t.Fatal(err)
			}
		}
		c := p.connect()
		untilRan(t, c, ran{false, router.ReasonNoReplica})
		for _, r := range p.cluster.Replicas {
			if err := p.cluster.Thaw(p.ctx, r); err != nil {
				t.Fatal(err)
			}
		}
		untilRan(t, c, ran{true, router.ReasonRead})
	})
}

// untilRan reads until reads go where they should.
func untilRan(t *testing.T, c *client, want ran) {
	t.Helper()
	deadline := time.Now().Add(time.Minute)
	for {
		got, where := c.text("SELECT COUNT(*) FROM t")
		if got != "1" {
			t.Fatalf("got %s from %v", got, where)
		}
		if where == want {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("reads go to %v, want %v: %+v", where, want, c.p.fleet.Status())
		}
	}
}

// With the primary gone there is an error and no old row, for clients that are there and for new ones; afterwards all is
// as before.
func TestPrimaryKilled(t *testing.T) {
	clustertest.EachEngine(t, func(t *testing.T, e mysqltest.Engine) {
		p := transactionRig(t, e)
		p.late()
		author, idle := p.raw(newCaps), p.raw(plainCaps)
		author.query("UPDATE t SET v = 2 WHERE id = 1")
		p.cluster.Primary.Kill()
		for c, query := range map[*raw]string{author: readT, idle: "UPDATE t SET v = 3"} {
			c.send(gomysql.COM_QUERY, []byte(query)...)
			if packets, err := c.response(gomysql.COM_QUERY); err == nil {
				t.Errorf("%s on a dead primary: %q, want the end of the connection", query, packets)
			}
		}
		newcomer := dialRaw(t, p.addr)
		var refused *mysqlwire.Error
		if err := newcomer.login(p.account, newCaps, "app"); !errors.As(err, &refused) || refused.Code != gomysql.ER_CONNECT_TO_FOREIGN_DATA_SOURCE {
			t.Errorf("a newcomer gets %v, want error 1429", err)
		}
		if err := p.cluster.Primary.Start(p.ctx); err != nil {
			t.Fatal(err)
		}
		p.waitFor("the primary", func(v *backend.Snapshot) bool { return v.PrimaryUp })
		c := p.connect()
		c.wants(readT+" FOR UPDATE", "2", false)
		p.lag(0)
		untilRan(t, c, ran{true, router.ReasonRead})
	})
}

// A primary whose connection is killed while its client only reads on replicas is reached anew when it is needed.
func TestPrimaryConnectionKilledWhileReading(t *testing.T) {
	clustertest.EachEngine(t, func(t *testing.T, e mysqltest.Engine) {
		clock := newClock()
		p := transactionRig(t, e, func(s *setup) { s.proxy.Now, s.fleet.Now = clock.now, clock.now })
		c := p.connect()
		c.exec("SET sql_mode = 'ANSI_QUOTES'")
		c.wants(readT, "1", true)
		if _, err := p.cluster.Primary.Exec(p.ctx, killApp(e)); err != nil {
			t.Fatal(err)
		}
		waitNobody(t, p, p.cluster.Primary)
		clock.advance(2 * time.Second)
		p.waitFresh()
		c.exec("UPDATE t SET v = 2 WHERE id = 1")
		if got, _ := c.text(`SELECT "v" FROM t WHERE id = 1`); got != "2" {
			t.Errorf("got %s: the sql_mode is lost", got)
		}
	})
}

// killApp ends the connections of the application.
func killApp(e mysqltest.Engine) string {
	if e == mysqltest.MariaDB {
		return "KILL USER app"
	}
	return `USE app;
		CREATE PROCEDURE kill_app() BEGIN
			DECLARE done INT DEFAULT 0;
			DECLARE i BIGINT;
			DECLARE c CURSOR FOR SELECT id FROM information_schema.processlist WHERE user = 'app';
			DECLARE CONTINUE HANDLER FOR NOT FOUND SET done = 1;
			OPEN c;
			FETCH c INTO i;
			WHILE NOT done DO KILL i; FETCH c INTO i; END WHILE;
		END;
		CALL kill_app();`
}

// waitNobody waits until the application has no connection to a server.
func waitNobody(t *testing.T, p *rig, s *mysqltest.Server) {
	t.Helper()
	clustertest.WaitFor(p.ctx, t, "the end of the application's connections to "+s.Name(), func() (bool, error) {
		n, err := s.Exec(p.ctx, "SELECT COUNT(*) FROM information_schema.processlist WHERE user = 'app'")
		return n == "0", err
	})
}
