package proxy

import (
	"bytes"
	"encoding/binary"
	"strings"
	"testing"

	"github.com/go-mysql-org/go-mysql/mysql"

	"github.com/stickyproxy/stickyproxy/backend"
	"github.com/stickyproxy/stickyproxy/internal/mysqltest/fakeserver"
	"github.com/stickyproxy/stickyproxy/mysqlwire"
	"github.com/stickyproxy/stickyproxy/router"
)

// executions collects what executions and long data have behind the id, and checks that ids are those of the server.
func (s *scriptedServer) executions() *[]string {
	var got []string
	s.on(func(_ *fakeserver.Conn, cmd fakeserver.Command) error {
		if cmd.Code == mysql.COM_STMT_EXECUTE || cmd.Code == mysql.COM_STMT_SEND_LONG_DATA {
			if id := binary.LittleEndian.Uint32(cmd.Payload); !s.owns(id) && id > 0xFF {
				s.t.Errorf("%s is to execute statement %#x, which is not its own", s.name, id)
			} else if id > 0xFF { // else it is one that the client does not have
				got = append(got, string(cmd.Payload[4:]))
			}
		}
		return errDefault
	})
	return &got
}

// One statement, executed on two servers: each has its own id of it, and is sent the types of its parameters once.
func TestStatementOnTwoServers(t *testing.T) {
	r := startRig(t, rigOptions{replicas: 1})
	r.fleet.withoutGTIDs() // so that what writes pins by the window
	replica := r.replicas[0]
	onReplica, onPrimary := replica.executions(), r.primary.executions()
	c := r.connect()
	const text = "SELECT a FROM t WHERE id = ?"
	id := c.prepare(text)
	if id != 1 {
		t.Errorf("statement %d, want 1", id)
	}
	const types = "\x01\x08\x00"
	value := "12345678"
	c.executes(replica, execution(id, 0, "\x00"+types+value))
	c.executes(replica, execution(id, 0, "\x00\x00"+value))
	c.ok("INSERT INTO t VALUES (1)") // no GTID: reads go to the primary for a window
	c.executes(r.primary, execution(id, 0, "\x00\x00"+value))
	c.executes(r.primary, execution(id, 0, "\x00\x00"+value))
	const head = "\x00\x01\x00\x00\x00\x00"
	wantTexts(t, "replica", *onReplica, head+types+value, head+"\x00"+value)
	wantTexts(t, "primary", *onPrimary, head+types+value, head+"\x00"+value)
	replica.wantSent("PREPARE "+text, "EXECUTE", "EXECUTE")
	r.primary.wantSent("INSERT INTO t VALUES (1)", "PREPARE "+text, "EXECUTE", "EXECUTE")
	c.send(mysql.COM_STMT_CLOSE, statementBody(id, ""))
	c.ok("INSERT INTO t VALUES (2)")
	r.primary.wantSent("CLOSE", "INSERT INTO t VALUES (2)")
	if got := c.ask(mysql.COM_STMT_EXECUTE, execution(id, 0, "")); got.err == nil || got.err.Code != mysql.ER_UNKNOWN_STMT_HANDLER {
		t.Errorf("closed: got %v", got)
	}
}

func wantTexts(t *testing.T, who string, got []string, want ...string) {
	t.Helper()
	if strings.Join(got, "|") != strings.Join(want, "|") {
		t.Errorf("%s: got %q, want %q", who, got, want)
	}
}

// An execution that a replica fails has the other server's id and types when it runs there, also if both had been sent
// types before.
func TestExecutionRunsElsewhere(t *testing.T) {
	r := startRig(t, rigOptions{replicas: 1})
	r.fleet.withoutGTIDs() // so that what writes pins by the window
	replica := r.replicas[0]
	c := r.connect()
	c.ok("INSERT INTO t VALUES (1)")
	const text = "SELECT a FROM t WHERE id = ?"
	id := c.prepare(text)
	c.executes(r.primary, execution(id, 0, "\x00\x01\x08\x0012345678"))
	r.clock.advance(DefaultWindow)
	executed := r.primary.executions()
	hangUp := true
	replica.on(func(_ *fakeserver.Conn, cmd fakeserver.Command) error {
		if cmd.Code != mysql.COM_STMT_EXECUTE || !hangUp {
			return errDefault
		}
		hangUp = false
		return errHangUp
	})
	c.executes(r.primary, execution(id, 0, "\x00\x00abcdefgh"))
	c.executes(replica, execution(id, 0, "\x00\x00abcdefgh"))
	wantTexts(t, "primary", *executed, "\x00\x01\x00\x00\x00\x00\x00abcdefgh")
}

// A statement that the replica does not know, or refuses, is prepared on the primary.
func TestPrepareRunsElsewhere(t *testing.T) {
	r := startRig(t, rigOptions{replicas: 1})
	const text = "SELECT a FROM t WHERE id = ?"
	r.replicas[0].on(refusing(text, mysql.ER_NO_SUCH_TABLE))
	c := r.connect()
	id := c.prepare(text)
	c.executes(r.primary, execution(id, 0, "\x00\x01\x08\x0012345678"))

	// An answer of the replica that makes no sense in the end, and a refusal by the primary.
	r = startRig(t, rigOptions{replicas: 1})
	r.replicas[0].on(func(c *fakeserver.Conn, cmd fakeserver.Command) error {
		if cmd.Code != mysql.COM_STMT_PREPARE {
			return errDefault
		}
		_, err := c.Write([]byte("\x0c\x00\x00\x01\x00\x01\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00" + "\x00\x00\x00\x02"))
		return err
	})
	r.primary.on(refusing(text, mysql.ER_NO_SUCH_TABLE))
	c = r.connect()
	if _, refused := c.tryPrepare(text); refused == nil || refused.Code != mysql.ER_NO_SUCH_TABLE {
		t.Errorf("got %v", refused)
	}
	if got := c.ask(mysql.COM_STMT_EXECUTE, execution(1, 0, "\x00\x01\x08\x0012345678")); got.err == nil || got.err.Code != mysql.ER_UNKNOWN_STMT_HANDLER {
		t.Errorf("got %v", got)
	}
}

// A statement keeps the schema in which it was prepared, wherever it is executed.
func TestStatementKeepsItsSchema(t *testing.T) {
	r := startRig(t, rigOptions{replicas: 1})
	r.fleet.withoutGTIDs() // so that what writes pins by the window
	replica := r.replicas[0]
	c := r.connectAs(usualClient, "a", "")
	const text = "SELECT a FROM t WHERE id = ?"
	id := c.prepare(text)
	c.ok("USE b")
	c.executes(replica, execution(id, 0, "\x00\x01\x08\x0012345678"))
	replica.wantSent("PREPARE "+text, "INIT DB b", "EXECUTE")
	c.ok("INSERT INTO t VALUES (1)")
	r.primary.sent()
	c.executes(r.primary, execution(id, 0, "\x00\x01\x08\x0012345678"))
	r.primary.wantSent("INIT DB a", "PREPARE "+text, "INIT DB b", "EXECUTE")
	c.executes(r.primary, execution(id, 0, "\x00\x01\x08\x0012345678"))
	r.primary.wantSent("EXECUTE")

	// A schema that is gone is the primary's to complain about.
	id = c.prepare(text)
	r.clock.advance(DefaultWindow)
	other := c.prepare(text)
	c.ok("USE c")
	c.ok("INSERT INTO t VALUES (1)")
	_ = id
	r.primary.on(func(c *fakeserver.Conn, cmd fakeserver.Command) error {
		if cmd.Code != mysql.COM_INIT_DB {
			return errDefault
		}
		return c.Error(mysql.ER_BAD_DB_ERROR, "42000", "no such schema")
	})
	if got := c.ask(mysql.COM_STMT_EXECUTE, execution(other, 0, "\x00\x01\x08\x0012345678")); got.err == nil || got.err.Code != mysql.ER_BAD_DB_ERROR {
		t.Errorf("got %v", got)
	}
	c.ok("DELETE FROM t")
}

// A statement that was prepared under other settings is not prepared on a replica: its text may mean something else.
func TestStatementOfAnotherState(t *testing.T) {
	r := startRig(t, rigOptions{replicas: 1})
	r.fleet.withoutGTIDs() // so that what writes pins by the window
	r.primary.on(answering(map[string]fakeserver.OK{
		"SET sql_mode = 'ANSI_QUOTES'": {Track: []fakeserver.Track{fakeserver.TrackVariable("sql_mode", "ANSI_QUOTES")}},
	}))
	c := r.connect()
	c.ok("INSERT INTO t VALUES (1)")
	id := c.prepare(`SELECT "a" FROM t`)
	r.clock.advance(DefaultWindow)
	c.ok("SET sql_mode = 'ANSI_QUOTES'")
	c.executes(r.primary, execution(id, 0, ""))
}

// Long data goes to the primary, and so does the execution that uses it.
func TestLongData(t *testing.T) {
	r := startRig(t, rigOptions{replicas: 1})
	replica := r.replicas[0]
	executed := r.primary.executions()
	c := r.connect()
	const text = "SELECT a FROM t WHERE blob = ?"
	id := c.prepare(text)
	long := strings.Repeat("x", 3<<20)
	c.send(mysql.COM_STMT_SEND_LONG_DATA, statementBody(id, "\x00\x00"+long))
	c.send(mysql.COM_STMT_SEND_LONG_DATA, statementBody(id, "\x00\x00y"))
	c.executes(r.primary, execution(id, 0, "\x00\x01\xfc\x00"))
	wantTexts(t, "primary", *executed, "\x00\x00"+long, "\x00\x00y", "\x00\x01\x00\x00\x00\x00\x01\xfc\x00")
	c.executes(replica, execution(id, 0, "\x00\x01\x08\x0012345678"))
	c.send(mysql.COM_STMT_SEND_LONG_DATA, statementBody(id, "\x00\x00y"))
	if got := c.ask(mysql.COM_STMT_RESET, statementBody(id, "")); got.err != nil {
		t.Error(got)
	}
	c.executes(replica, execution(id, 0, "\x00\x01\x08\x0012345678"))
	c.send(mysql.COM_STMT_SEND_LONG_DATA, statementBody(99, "\x00\x00"+long)) // of no statement: dropped
	c.from(replica, "SELECT 1")
	r.primary.wantSent("PREPARE "+text, "LONG DATA", "LONG DATA", "EXECUTE", "LONG DATA", "RESET STATEMENT")
}

// Long data for a statement that the primary refuses is read to its end all the same: none of it is taken for commands.
func TestRefusedLongData(t *testing.T) {
	r := startRig(t, rigOptions{replicas: 1})
	const text = "SELECT a FROM t WHERE blob = ?"
	r.primary.on(refusing(text, mysql.ER_NO_SUCH_TABLE))
	c := r.connect()
	id := c.prepare(text)
	smuggled := string(bytes.Repeat(query("DROP TABLE t"), 2<<20/len(query("DROP TABLE t"))))
	c.send(mysql.COM_STMT_SEND_LONG_DATA, statementBody(id, "\x00\x00"+smuggled))
	if got := c.ask(mysql.COM_STMT_EXECUTE, execution(id, 0, "\x00\x01\xfc\x00")); got.err == nil || got.err.Code != mysql.ER_NO_SUCH_TABLE {
		t.Errorf("got %v", got)
	}
	r.primary.wantSent("PREPARE "+text, "PREPARE "+text)
}

// A cursor is fetched from where it was opened, and keeps the connection to that replica.
func TestCursor(t *testing.T) {
	r := startRig(t, rigOptions{})
	r.fleet.only("r1")
	first, second := r.replicas[0], r.replicas[1]
	c := r.connect()
	id := c.prepare("SELECT a FROM t")
	if got := c.ask(mysql.COM_STMT_EXECUTE, execution(id, 1, "")); got.err != nil || len(got.rows) != 0 {
		t.Fatal(got)
	}
	r.fleet.only("r2")
	c.from(r.primary, "SELECT a FROM t")
	got := c.ask(mysql.COM_STMT_FETCH, statementBody(id, "\x01\x00\x00\x00"))
	if got.err != nil || len(got.rows) != 1 || got.rows[0] != "r1" {
		t.Fatal(got)
	}
	c.from(second, "SELECT a FROM t") // that was the last row
	first.wantSent("PREPARE SELECT a FROM t", "EXECUTE", "FETCH")
}

// What a client may not do with statements is answered as a server would.
func TestBadStatements(t *testing.T) {
	r := startRig(t, rigOptions{replicas: 1})
	c := r.connect()
	for _, tt := range []struct {
		code byte
		body string
		want uint16
	}{
		{mysql.COM_STMT_EXECUTE, execution(7, 0, ""), mysql.ER_UNKNOWN_STMT_HANDLER},
		{mysql.COM_STMT_FETCH, statementBody(7, "\x01\x00\x00\x00"), mysql.ER_UNKNOWN_STMT_HANDLER},
		{mysql.COM_STMT_RESET, statementBody(7, ""), mysql.ER_UNKNOWN_STMT_HANDLER},
		{mysql.COM_STMT_EXECUTE, "", mysql.ER_MALFORMED_PACKET},
		{mysql.COM_STMT_RESET, "\x01", mysql.ER_MALFORMED_PACKET},
		{mysql.COM_PROCESS_KILL, "\x01", mysql.ER_MALFORMED_PACKET},
		{0xFE, "", mysql.ER_UNKNOWN_COM_ERROR},
	} {
		if got := c.ask(tt.code, tt.body); got.err == nil || got.err.Code != tt.want {
			t.Errorf("command %#x: got %v, want error %d", tt.code, got, tt.want)
		}
	}
	id := c.prepare("SELECT a FROM t WHERE b = ? AND c = ?")
	for _, params := range []string{"", "\x00", "\x00\x01\x08"} {
		if got := c.ask(mysql.COM_STMT_EXECUTE, execution(id, 0, params)); got.err == nil || got.err.Code != mysql.ER_MALFORMED_PACKET {
			t.Errorf("parameters %q: got %v", params, got)
		}
	}
	c.send(mysql.COM_STMT_CLOSE, "")
	c.send(mysql.COM_STMT_CLOSE, statementBody(99, strings.Repeat("x", 2<<20)))
	c.send(mysql.COM_STMT_CLOSE, statementBody(id, strings.Repeat("x", 2<<20)))
	c.from(r.replicas[0], "SELECT 1")
}

// Many closed statements do not pile up.
func TestClosesAreFlushed(t *testing.T) {
	r := startRig(t, rigOptions{replicas: 1})
	c := r.connect()
	n := maxAhead/9 + 10
	for range n {
		c.send(mysql.COM_STMT_CLOSE, statementBody(c.prepare("SELECT a FROM t"), ""))
	}
	c.from(r.replicas[0], "SELECT a FROM t")
	closed := 0
	for _, command := range r.replicas[0].sent() {
		if command == "CLOSE" {
			closed++
		}
	}
	if closed != n {
		t.Errorf("closed %d, want %d", closed, n)
	}
}

// A reset, or another user, ends all statements, without any connection to a replica too.
func TestStatementsEnd(t *testing.T) {
	for _, replica := range []bool{false, true} {
		for _, end := range []struct {
			name string
			do   func(c *checker)
		}{
			{"reset", func(c *checker) {
				if got := c.ask(mysql.COM_RESET_CONNECTION, ""); got.err != nil || got.lost != nil {
					c.t.Fatal(got)
				}
			}},
			{"another user", (*checker).changeUser},
		} {
			r := startRig(t, rigOptions{replicas: 1})
			c := r.connect()
			c.ok("INSERT INTO t VALUES (1)")
			id := c.prepare("SELECT a FROM t")
			r.clock.advance(DefaultWindow)
			if replica {
				c.from(r.replicas[0], "SELECT a FROM t")
			}
			end.do(c)
			if got := c.ask(mysql.COM_STMT_EXECUTE, execution(id, 0, "")); got.err == nil || got.err.Code != mysql.ER_UNKNOWN_STMT_HANDLER {
				t.Errorf("%s: got %v", end.name, got)
			}
			c.from(r.replicas[0], "SELECT a FROM t")
		}
	}
}

// changeUser is COM_CHANGE_USER, to a user without a password.
func (c *checker) changeUser() {
	c.t.Helper()
	c.send(mysql.COM_CHANGE_USER, "app\x00\x00\x00\x2d\x00caching_sha2_password\x00\x00")
	p, err := c.packet()
	if err == nil && p[0] == 0xFE {
		seq := c.seq
		c.write(mysqlwire.AppendPacket(nil, seq, nil))
		c.seq = seq + 1
		p, err = c.packet()
	}
	if err != nil || p[0] != 0 {
		c.t.Fatalf("COM_CHANGE_USER: % x, %v", p, err)
	}
}

// Other classes of statements that a client prepares go where their texts would go.
func TestPreparedClasses(t *testing.T) {
	r := startRig(t, rigOptions{replicas: 1})
	c := r.connect()
	c.from(r.replicas[0], "SELECT 1")
	previous := c.prepare("SHOW WARNINGS")
	c.executes(r.replicas[0], execution(previous, 0, ""))
	begin := c.prepare("START TRANSACTION READ ONLY")
	if got := c.ask(mysql.COM_STMT_EXECUTE, execution(begin, 0, "")); got.err != nil {
		t.Error(got)
	}
	kinds := map[string]router.Kind{"SELECT 1": router.Read, "SELECT 1 FOR UPDATE": router.Primary}
	for text, want := range kinds {
		if got := router.Classify([]byte(text), router.Context{}).Kind; got != want {
			t.Errorf("%s: got %v", text, got)
		}
	}
	r.fleet.change(func(s *backend.Snapshot) { s.PrimaryDemoted = true })
	if _, refused := c.tryPrepare("INSERT INTO t VALUES (1)"); refused == nil {
		t.Error("prepared on a demoted primary")
	}
}
