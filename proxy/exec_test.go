package proxy

import (
	"errors"
	"testing"
	"time"

	"github.com/go-mysql-org/go-mysql/mysql"

	"github.com/stickyproxy/stickyproxy/backend"
	"github.com/stickyproxy/stickyproxy/internal/mysqltest/fakeserver"
	"github.com/stickyproxy/stickyproxy/mysqlwire"
	"github.com/stickyproxy/stickyproxy/router"
)

// A read whose replica fails it before a byte of the answer has run elsewhere, and the client sees one good answer.
func TestReadRunsElsewhere(t *testing.T) {
	const read = "SELECT a FROM t"
	for _, tt := range []struct {
		name    string
		broken  func(r *rig, s *scriptedServer)
		primary bool // the primary answers, and not the other replica
		failed  int  // how often the fleet hears of it
	}{
		{"it hangs up", func(_ *rig, s *scriptedServer) { s.on(hangingUp(read)) }, false, 1},
		{"it refuses connections", func(_ *rig, s *scriptedServer) { s.refuse.Store(true) }, false, 1},
		{"it refuses the statement", func(_ *rig, s *scriptedServer) { s.on(refusing(read, mysql.ER_NO_SUCH_TABLE)) }, true, 0},
		{"another server answers", func(r *rig, s *scriptedServer) {
			r.fleet.change(func(snap *backend.Snapshot) {
				for i := range snap.Replicas {
					if snap.Replicas[i].Name == s.name {
						snap.Replicas[i].Incarnation = "another one"
					}
				}
			})
		}, false, 1},
		{"half a packet and then the end", func(_ *rig, s *scriptedServer) {
			s.on(func(c *fakeserver.Conn, cmd fakeserver.Command) error {
				c.CloseAfter(3)
				return c.OK(fakeserver.OK{})
			})
		}, false, 1},
		{"it says good-bye", func(_ *rig, s *scriptedServer) {
			s.on(func(c *fakeserver.Conn, cmd fakeserver.Command) error {
				if cmd.SQL != read {
					return errDefault
				}
				_, err := c.Write([]byte("\x0a\x00\x00\x00\xff\x1d\x04#08S01bye"))
				return errors.Join(err, errHangUp)
			})
		}, false, 1},
		{"it makes no sense", func(_ *rig, s *scriptedServer) {
			s.on(func(c *fakeserver.Conn, cmd fakeserver.Command) error {
				if cmd.SQL != read {
					return errDefault
				}
				return c.Packet([]byte{0xFD, 1})
			})
		}, false, 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var retried []bool
			r := startRig(t, rigOptions{trace: Trace{Retried: func(refused bool) { retried = append(retried, refused) }}})
			first, other := r.replicas[0], r.replicas[1]
			tt.broken(r, first)
			r.fleet.change(func(s *backend.Snapshot) { s.Replicas[1].FreshAsOf = clockStart.Add(-time.Hour) })
			c := r.connect()
			if !tt.primary {
				// Both are eligible, and the choice between them is by chance: the one that is broken has all the weight.
				r.fleet.change(func(s *backend.Snapshot) {
					s.Replicas[0].Weight, s.Replicas[1].FreshAsOf = 1<<40, clockStart
				})
			}
			answer := other
			if tt.primary {
				answer = r.primary
			}
			c.from(answer, read)
			if len(retried) != 1 || retried[0] != tt.primary {
				t.Errorf("retried: got %v", retried)
			}
			if got := r.fleet.failures(); got != tt.failed {
				t.Errorf("the fleet heard of %d failures, want %d", got, tt.failed)
			}
		})
	}
}

// A read that fails on a replica while it runs, before the client has seen of it, gets the primary's answer, and
// what FOUND_ROWS() is about is that.
func TestReadFailsBehindDefinitions(t *testing.T) {
	const read = "SELECT a FROM t"
	for _, caps := range []mysqlwire.Capability{usualClient | mysqlwire.CapDeprecateEOF, usualClient &^ mysqlwire.CapDeprecateEOF} {
		for _, rows := range [][][]any{nil, {{"1"}, {"2"}}} {
			r := startRig(t, rigOptions{replicas: 1})
			r.replicas[0].on(func(c *fakeserver.Conn, cmd fakeserver.Command) error {
				if cmd.SQL != read {
					return errDefault
				}
				return c.RowsThenError([]string{"a"}, rows, 1814)
			})
			c := r.connectAs(caps, "", "")
			c.from(r.primary, read)
			c.from(r.primary, "SELECT FOUND_ROWS()")
			r.replicas[0].wantSent(read)

			r.primary.on(refusing(read, mysql.ER_NO_SUCH_TABLE))
			c.fails(read, mysql.ER_NO_SUCH_TABLE)
		}
	}
}

// After a byte of the answer nothing is tried again: the connection ends.
func TestNothingRunsTwiceOnceAnswered(t *testing.T) {
	const read = "SELECT a FROM t"
	for _, tt := range []struct {
		name string
		then fakeserver.Handler // after the first row
	}{
		{"between two rows", func(*fakeserver.Conn, fakeserver.Command) error { return errHangUp }},
		{"in a row", func(c *fakeserver.Conn, _ fakeserver.Command) error {
			c.CloseAfter(6)
			return c.Row("12345678")
		}},
		{"no sense between two rows", func(c *fakeserver.Conn, _ fakeserver.Command) error {
			_, err := c.Write([]byte{1, 0, 0, 4, 0xFE})
			return err
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := startRig(t, rigOptions{replicas: 1})
			seen := make(chan struct{})
			r.replicas[0].on(func(c *fakeserver.Conn, cmd fakeserver.Command) error {
				if cmd.SQL != read {
					return errDefault
				}
				if err := errors.Join(c.Columns("a"), c.Row("1")); err != nil {
					return err
				}
				<-seen
				return tt.then(c, cmd)
			})
			c := r.connect()
			c.send(mysql.COM_QUERY, read)
			for range 3 {
				if _, err := c.packet(); err != nil {
					t.Fatal(err)
				}
			}
			close(seen)
			var rest reply
			c.result(&rest, true)
			if rest.lost == nil {
				t.Errorf("got %v", rest)
			}
			r.primary.wantSent()
		})
	}
}

// What a replica refuses as a write goes to the primary, and next time at once, on every connection.
func TestRefusedWriteIsRemembered(t *testing.T) {
	for _, code := range []uint16{mysql.ER_OPTION_PREVENTS_STATEMENT, mysql.ER_CANT_EXECUTE_IN_READ_ONLY_TRANSACTION, 1836} {
		r := startRig(t, rigOptions{replicas: 1})
		const read = "SELECT a FROM view_that_writes"
		r.replicas[0].on(refusing(read, code))
		c := r.connect()
		c.from(r.primary, read)
		r.replicas[0].wantSent(read)
		c.from(r.primary, read)
		r.connect().from(r.primary, read)
		id := c.prepare(read)
		c.executes(r.primary, execution(id, 0, ""))
		r.replicas[0].wantSent()
	}
}

// An ERR packet that says that the statement was stopped is the answer; any other is the primary's to give.
func TestInterruptionsAreAnswers(t *testing.T) {
	r := startRig(t, rigOptions{replicas: 1})
	const read = "SELECT a FROM t"
	for _, code := range []uint16{mysql.ER_QUERY_INTERRUPTED, mysql.ER_LOCK_WAIT_TIMEOUT, mysql.ER_LOCK_DEADLOCK, 3024, 1969} {
		r.replicas[0].on(refusing(read, code))
		r.connect().fails(read, code)
	}
	r.replicas[0].on(refusing(read, mysql.ER_NO_SUCH_TABLE))
	r.primary.on(refusing(read, mysql.ER_BAD_FIELD_ERROR))
	r.connect().fails(read, mysql.ER_BAD_FIELD_ERROR)
}

// Every replica is tried once, and the primary has the last word.
func TestAllReplicasAreTried(t *testing.T) {
	r := startRig(t, rigOptions{replicas: 3})
	const read = "SELECT a FROM t"
	for _, s := range r.replicas {
		s.on(hangingUp(read))
	}
	c := r.connect()
	c.from(r.primary, read)
	for _, s := range r.replicas {
		s.wantSent(read)
	}
}

// A read-only primary that follows somebody is not used, and the connection goes on. What it is can be looked at, and changed.
func TestDemotedPrimaryIsNotUsed(t *testing.T) {
	r := startRig(t, rigOptions{replicas: 1})
	c := r.connect()
	r.fleet.change(func(s *backend.Snapshot) { s.PrimaryDemoted = true })
	c.fails("SET session_track_schema = 1", mysql.ER_OPTION_PREVENTS_STATEMENT)
	r.primary.sent()
	c.fails("INSERT INTO t VALUES (1)", mysql.ER_OPTION_PREVENTS_STATEMENT)
	c.from(r.replicas[0], "SELECT a FROM t")
	if got := c.ask(mysql.COM_PROCESS_KILL, "\x01\x00\x00\x00"); got.err == nil {
		t.Errorf("KILL: got %v", got)
	}
	other := r.connect()
	if got := c.ask(mysql.COM_PROCESS_KILL, statementBody(other.id, "")); got.err == nil {
		t.Errorf("KILL: got %v", got)
	}
	other.from(r.replicas[0], "SELECT a FROM t") // nobody has allowed that KILL
	c.fails("SET @a = 1", mysql.ER_OPTION_PREVENTS_STATEMENT)
	r.primary.wantSent()
	c.ok("USE app")
	c.from(r.primary, "SHOW REPLICA STATUS")
	c.ok("SET GLOBAL read_only = 0")
	r.primary.wantSent("USE app", "SHOW REPLICA STATUS", "SET GLOBAL read_only = 0")
	r.fleet.change(func(s *backend.Snapshot) { s.PrimaryDemoted = false })
	c.ok("INSERT INTO t VALUES (1)")
	r.primary.wantSent("INSERT INTO t VALUES (1)")
}

// A connection to the primary that timed out while reads went elsewhere is replaced, if nothing was lost with it.
func TestIdlePrimaryIsReplaced(t *testing.T) {
	const deletes = "DELETE FROM t"
	for _, tt := range []struct {
		name    string
		before  string
		ok      fakeserver.OK
		next    string
		replace bool
	}{
		{"nothing on it", "SET time_zone = 'UTC'", fakeserver.OK{Track: []fakeserver.Track{fakeserver.TrackVariable("time_zone", "UTC")}}, deletes, true},
		{"user variable", "SET @a = 1", fakeserver.OK{}, deletes, false},
		{"insert id", "INSERT INTO t VALUES ()", fakeserver.OK{InsertID: 3}, deletes, false},
		{"how many rows were changed", "UPDATE t SET a = 1", fakeserver.OK{AffectedRows: 1}, "SELECT ROW_COUNT()", false},
		{"transaction", "BEGIN", fakeserver.OK{Status: inTransaction}, deletes, false},
		{"next transaction", "SET TRANSACTION ISOLATION LEVEL SERIALIZABLE", fakeserver.OK{}, deletes, false},
		{"autocommit off", "SET autocommit = 0", fakeserver.OK{Status: uint16(0x0400)}, deletes, false},
		{"a change without a name", "SELECT 1 INTO @x", fakeserver.OK{Track: []fakeserver.Track{fakeserver.TrackStateChange()}}, deletes, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := startRig(t, rigOptions{replicas: 1})
			r.primary.on(answering(map[string]fakeserver.OK{tt.before: tt.ok}))
			c := r.connect()
			c.ok(tt.before)
			closed := r.primary.Conns()[0].Done()
			if err := r.primary.Push(4031, "08S01", "idle for too long"); err != nil {
				t.Fatal(err)
			}
			<-closed
			r.clock.advance(2 * time.Second)
			got := c.query(tt.next)
			if replaced := got.err == nil && got.lost == nil; replaced != tt.replace {
				t.Fatalf("got %v", got)
			}
			if tt.replace {
				r.primary.wantSent(tt.before, "SET @@SESSION.time_zone='UTC'", tt.next)
			}
		})
	}
}

// A connection to a replica that timed out is replaced without a word to the fleet about the replica.
func TestIdleReplicaIsReplaced(t *testing.T) {
	for _, tt := range []struct {
		name string
		end  func(t *testing.T, s *scriptedServer)
	}{
		{"with a good-bye", func(t *testing.T, s *scriptedServer) {
			if err := s.Push(4031, "08S01", "idle for too long"); err != nil {
				t.Error(err)
			}
		}},
		{"without", func(_ *testing.T, s *scriptedServer) { _ = s.Conns()[0].Close() }},
	} {
		for _, set := range []bool{false, true} {
			r := startRig(t, rigOptions{replicas: 1})
			r.primary.on(answering(map[string]fakeserver.OK{
				"SET time_zone = 'UTC'": {Track: []fakeserver.Track{fakeserver.TrackVariable("time_zone", "UTC")}},
			}))
			c := r.connect()
			c.from(r.replicas[0], "SELECT 1")
			if set {
				c.ok("SET time_zone = 'UTC'")
			}
			closed := r.replicas[0].Conns()[0].Done()
			tt.end(t, r.replicas[0])
			<-closed
			r.clock.advance(2 * time.Second)
			c.from(r.replicas[0], "SELECT 1")
			c.from(r.replicas[0], "SELECT 2")
			if got := r.fleet.failures(); got != 0 {
				t.Errorf("%s: the fleet heard of %d failures", tt.name, got)
			}
		}
	}
}

// A good-bye that is found when the client's state is to be told is no refusal of the state.
func TestGoodByeIsNoRefusalOfState(t *testing.T) {
	r := startRig(t, rigOptions{replicas: 1})
	r.primary.on(answering(map[string]fakeserver.OK{
		"SET time_zone = 'UTC'": {Track: []fakeserver.Track{fakeserver.TrackVariable("time_zone", "UTC")}},
	}))
	c := r.connect()
	c.from(r.replicas[0], "SELECT 1")
	c.ok("SET time_zone = 'UTC'")
	closed := r.replicas[0].Conns()[0].Done()
	if err := r.replicas[0].Push(4031, "08S01", "idle for too long"); err != nil {
		t.Fatal(err)
	}
	<-closed
	c.from(r.primary, "SELECT 1") // it was not idle for long, by the clock of the proxy: nobody looks first
	c.from(r.replicas[0], "SELECT 1")
}

// The end of the primary's connection is that of the client's, and what it says then reaches the client.
func TestLostPrimary(t *testing.T) {
	r := startRig(t, rigOptions{replicas: 1})
	r.primary.on(hangingUp("INSERT INTO t VALUES (1)"))
	c := r.connect()
	c.loses("INSERT INTO t VALUES (1)")

	c = r.connect()
	if err := r.primary.Push(mysql.ER_SERVER_SHUTDOWN, "08S01", "shutting down"); err != nil {
		t.Fatal(err)
	}
	c.fails("INSERT INTO t VALUES (2)", mysql.ER_SERVER_SHUTDOWN)
}

// Statements about the previous one follow it.
func TestPreviousStatementIsFollowed(t *testing.T) {
	r := startRig(t, rigOptions{replicas: 1})
	c := r.connect()
	c.from(r.replicas[0], "SELECT 1")
	if got := c.ask(mysql.COM_PING, ""); got.err != nil {
		t.Fatal(got)
	}
	c.from(r.replicas[0], "SHOW WARNINGS")
	c.ok("SET @a = 1")
	c.from(r.primary, "SHOW WARNINGS")
	c.from(r.replicas[0], "SELECT 1")
	r.replicas[0].on(hangingUp("SHOW WARNINGS"))
	c.from(r.primary, "SHOW WARNINGS") // there are none
}

// A read that finds no replica that has the write has the fleet look sooner, and once more when it has ended: then its
// session has seen what the primary had.
func TestBehindAsks(t *testing.T) {
	r := startRig(t, rigOptions{replicas: 1})
	r.primary.on(answering(map[string]fakeserver.OK{"INSERT INTO t VALUES (1)": writeGTID(sourceUUID + ":7")}))
	c := r.connect()
	c.ok("INSERT INTO t VALUES (1)")
	c.from(r.primary, "SELECT a FROM t")
	r.fleet.awaitAsked(2)
	r.fleet.executed(mustGTID(t, sourceUUID+":1-7"))
	c.from(r.replicas[0], "SELECT a FROM t")
}

// The reason and the target of every statement are told.
func TestTraceOfQueries(t *testing.T) {
	type told struct {
		replica bool
		reason  router.Reason
	}
	var got []told
	r := startRig(t, rigOptions{replicas: 1, trace: Trace{Query: func(replica bool, reason router.Reason, _ time.Duration) {
		got = append(got, told{replica, reason})
	}}})
	r.fleet.withoutGTIDs() // so that what writes pins by the window
	r.replicas[0].on(refusing("SELECT 2", mysql.ER_NO_SUCH_TABLE))
	c := r.connect()
	c.from(r.replicas[0], "SELECT 1")
	c.from(r.primary, "SELECT 2")
	c.ok("INSERT INTO t VALUES (1)")
	c.from(r.primary, "SELECT 3")
	c.close()
	r.stop() // and so the goroutine that wrote to got
	want := []told{
		{true, router.ReasonRead}, {false, router.ReasonReplicaRefused}, {false, router.ReasonWrite}, {false, router.ReasonWroteRecently},
	}
	if len(got) != len(want) {
		t.Fatalf("got %v, want %v", got, want)
	}
	for i := range want {
		if got[i] != want[i] {
			t.Errorf("statement %d: got %v, want %v", i, got[i], want[i])
		}
	}
}
