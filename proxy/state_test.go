package proxy

import (
	"slices"
	"strings"
	"testing"

	"github.com/go-mysql-org/go-mysql/mysql"

	"github.com/stickyproxy/stickyproxy/backend"
	"github.com/stickyproxy/stickyproxy/internal/mysqltest/fakeserver"
	"github.com/stickyproxy/stickyproxy/router"
)

func variable(name, value string) fakeserver.OK {
	return fakeserver.OK{Track: []fakeserver.Track{fakeserver.TrackVariable(name, value), fakeserver.TrackStateChange()}}
}

// A replica is told the schema and the variables that the client has, once, and again what changed.
func TestReplicaIsToldTheState(t *testing.T) {
	r := startRig(t, rigOptions{replicas: 1})
	replica := r.replicas[0]
	r.primary.on(answering(map[string]fakeserver.OK{
		"SET time_zone = 'UTC'": variable("time_zone", "UTC"), "SET sql_select_limit = 5": variable("sql_select_limit", "5"),
	}))
	c := r.connectAs(usualClient, "a", "")
	c.ok("SET time_zone = 'UTC'")
	c.from(replica, "SELECT 1")
	c.from(replica, "SELECT 2")
	replica.wantSent("SET @@SESSION.time_zone='UTC'", "SELECT 1", "SELECT 2")
	c.ok("USE b")
	c.from(replica, "SELECT 3")
	replica.wantSent("INIT DB b", "SET @@SESSION.time_zone='UTC'", "SELECT 3")
	if got := c.ask(mysql.COM_INIT_DB, "c"); got.err != nil {
		t.Fatal(got)
	}
	c.from(replica, "SELECT 4")
	replica.wantSent("INIT DB c", "SET @@SESSION.time_zone='UTC'", "SELECT 4")
	c.ok("SET time_zone = 'UTC'") // no change
	c.from(replica, "SELECT 5")
	replica.wantSent("SELECT 5")
	if got := replica.Conns()[0].Schema; got != "c" {
		t.Errorf("the replica's schema is %q", got)
	}
}

// What a replica says about the state that it was told is no news to the primary.
func TestToldStateIsNoNews(t *testing.T) {
	r := startRig(t, rigOptions{replicas: 1})
	r.primary.on(answering(map[string]fakeserver.OK{"SET max_join_size = 7": variable("max_join_size", "7")}))
	const told = "SET @@SESSION.max_join_size=7,@@SESSION.sql_big_selects='OFF'"
	r.replicas[0].on(answering(map[string]fakeserver.OK{told: {Track: []fakeserver.Track{
		fakeserver.TrackVariable("max_join_size", "7"), fakeserver.TrackVariable("sql_big_selects", "OFF"), fakeserver.TrackStateChange(),
	}}}))
	c := r.connect()
	c.ok("SET max_join_size = 7")
	c.from(r.replicas[0], "SELECT 1")
	c.from(r.replicas[0], "SELECT 2")
	c.ok("DELETE FROM t")
	r.replicas[0].wantSent(told, "SELECT 1", "SELECT 2")
	r.primary.wantSent("SET max_join_size = 7", "DELETE FROM t")
}

// A change of max_join_size is one of sql_big_selects, too, unless that was set with it.
func TestLimitedJoins(t *testing.T) {
	r := startRig(t, rigOptions{replicas: 1})
	r.primary.on(answering(map[string]fakeserver.OK{
		"SET sql_big_selects = 1":                    variable("sql_big_selects", "ON"),
		"SET max_join_size = 7":                      variable("max_join_size", "7"),
		"SET max_join_size = DEFAULT":                variable("max_join_size", noJoinLimit),
		"SET sql_big_selects = 1, max_join_size = 8": {Track: []fakeserver.Track{fakeserver.TrackVariable("sql_big_selects", "ON"), fakeserver.TrackVariable("max_join_size", "8")}},
	}))
	c, replica := r.connect(), r.replicas[0]
	c.ok("SET sql_big_selects = 1")
	c.ok("SET max_join_size = 7")
	c.from(replica, "SELECT 1")
	c.ok("SET sql_big_selects = 1")
	c.from(replica, "SELECT 2")
	c.ok("SET max_join_size = 7")
	c.ok("SET max_join_size = DEFAULT")
	c.from(replica, "SELECT 3")
	c.ok("SET sql_big_selects = 1, max_join_size = 8")
	c.from(replica, "SELECT 4")
	replica.wantSent("SET @@SESSION.max_join_size=7,@@SESSION.sql_big_selects='OFF'", "SELECT 1",
		"SET @@SESSION.max_join_size=7,@@SESSION.sql_big_selects='ON'", "SELECT 2",
		"SET @@SESSION.max_join_size="+noJoinLimit+",@@SESSION.sql_big_selects='ON'", "SELECT 3",
		"SET @@SESSION.max_join_size=8,@@SESSION.sql_big_selects='ON'", "SELECT 4")
}

// State that a replica refuses keeps the reads on the primary, until a reset.
func TestRefusedState(t *testing.T) {
	r := startRig(t, rigOptions{replicas: 1})
	r.primary.on(answering(map[string]fakeserver.OK{"SET a_new_variable = 7": variable("a_new_variable", "7")}))
	r.replicas[0].on(refusing("SET @@SESSION.a_new_variable=7", mysql.ER_UNKNOWN_SYSTEM_VARIABLE))
	c := r.connect()
	c.ok("SET a_new_variable = 7")
	c.from(r.primary, "SELECT 1")
	c.from(r.primary, "SELECT 2")
	if got := r.fleet.failures(); got != 0 {
		t.Errorf("the fleet heard of %d failures", got)
	}
	if got := c.ask(mysql.COM_RESET_CONNECTION, ""); got.err != nil {
		t.Fatal(got)
	}
	c.from(r.replicas[0], "SELECT 3")
}

// A reset is done on every server, before the next statement there.
func TestResetOnAllServers(t *testing.T) {
	r := startRig(t, rigOptions{replicas: 1})
	r.primary.on(answering(map[string]fakeserver.OK{"SET time_zone = 'UTC'": variable("time_zone", "UTC")}))
	c := r.connectAs(usualClient, "a", "")
	c.ok("SET time_zone = 'UTC'")
	c.from(r.replicas[0], "SELECT 1")
	if got := c.ask(mysql.COM_RESET_CONNECTION, ""); got.err != nil {
		t.Fatal(got)
	}
	c.from(r.replicas[0], "SELECT 2")
	r.replicas[0].wantSent("SET @@SESSION.time_zone='UTC'", "SELECT 1", "RESET", "SELECT 2")
}

// What was queued for a replica, and not sent because the request went elsewhere, does not outlive a reset.
func TestResetBehindWhatIsQueued(t *testing.T) {
	r := startRig(t, rigOptions{})
	r.primary.on(answering(map[string]fakeserver.OK{"SET time_zone = 'UTC'": variable("time_zone", "UTC")}))
	c := r.connectAs(usualClient, "a", "")
	r.fleet.only(r.replicas[0].name)
	id := c.prepare("SELECT a FROM t")
	c.executes(r.replicas[0], execution(id, 0, ""))
	c.ok("SET time_zone = 'UTC'")
	r.fleet.only(r.replicas[1].name)
	c.executes(r.primary, execution(id, 0, "")) // which prepares it in the state of then
	if got := c.ask(mysql.COM_RESET_CONNECTION, ""); got.err != nil {
		t.Fatal(got)
	}
	c.from(r.replicas[1], "SELECT 2")
	r.replicas[1].wantSent("SET @@SESSION.time_zone='UTC'", "RESET", "SELECT 2")
}

// A primary that does not take a reset ends the client's connection: answers of it may be outstanding.
func TestRefusedReset(t *testing.T) {
	r := startRig(t, rigOptions{replicas: 1})
	r.primary.on(func(c *fakeserver.Conn, cmd fakeserver.Command) error {
		if cmd.Code != mysql.COM_RESET_CONNECTION {
			return errDefault
		}
		return c.Error(mysql.ER_UNKNOWN_COM_ERROR, "08S01", "Unknown command")
	})
	c := r.connect()
	if got := c.ask(mysql.COM_RESET_CONNECTION, ""); got.lost == nil {
		t.Fatal(got)
	}
}

// A server whose own defaults differ from the primary's is told the primary's.
func TestDifferentDefaults(t *testing.T) {
	r := startRig(t, rigOptions{replicas: 1})
	r.primary.variables = "sql_mode=ANSI_QUOTES\ntime_zone=SYSTEM\n"
	r.replicas[0].variables = "sql_mode=\ntime_zone=SYSTEM\n"
	c := r.connect()
	c.from(r.replicas[0], "SELECT 1")
	r.replicas[0].wantSent("SET @@SESSION.sql_mode='ANSI_QUOTES'", "SELECT 1")
}

// Text functions return NULL above max_allowed_packet, which no session can set: where a replica has another one than the
// primary, reads that may notice stay on the primary.
func TestOtherPacketLimit(t *testing.T) {
	r := startRig(t, rigOptions{replicas: 1})
	r.primary.variables = "time_zone=SYSTEM\nmax_allowed_packet=1024\n"
	r.replicas[0].variables = "time_zone=SYSTEM\nmax_allowed_packet=16777216\n"
	c := r.connect()
	c.from(r.primary, "SELECT REPEAT('a', 2000000)")
	c.from(r.replicas[0], "SELECT COUNT(*) FROM t")
	r.replicas[0].wantSent("SELECT COUNT(*) FROM t") // and nobody tried to set it
	c.from(r.primary, "SELECT LENGTH(CONCAT(a, b)) FROM t")
	c.from(r.primary, "SELECT CAST(a AS BINARY(2000000)) FROM t")
	c.from(r.primary, "SELECT CONVERT(a, CHAR(2000000)) FROM t")
	c.from(r.primary, "SELECT GROUP_CONCAT(a) FROM t")
	c.from(r.replicas[0], "SELECT LENGTH(a) FROM t; SELECT 2")
	c.from(r.primary, "SELECT a FROM t; SELECT JSON_ARRAY(a) FROM t")
	c.from(r.primary, "SELECT '"+strings.Repeat("a", 1024)+"'")
	c.ok("START TRANSACTION READ ONLY")
	c.from(r.primary, "SELECT REPEAT(a, 9) FROM t")
}

// Of a connection that has no current schema any more no other one is told.
func TestNoSchema(t *testing.T) {
	r := startRig(t, rigOptions{replicas: 1})
	r.primary.on(answering(map[string]fakeserver.OK{"DROP DATABASE a": {Track: []fakeserver.Track{fakeserver.TrackSchema("")}}}))
	r.server.reports("p")
	c := r.connectAs(usualClient, "a", "")
	c.from(r.replicas[0], "SELECT 1")
	c.ok("DROP DATABASE a")
	r.clock.advance(DefaultWindow)
	r.fleet.change(func(s *backend.Snapshot) { s.Replicas[0].FreshAsOf = r.clock.now().Add(1) })
	c.from(r.primary, "SELECT 2")     // the replica's connection has the schema
	c.from(r.replicas[0], "SELECT 3") // a new one has none
	none := func(c *fakeserver.Conn) bool { return c.Schema == "" }
	if !slices.ContainsFunc(r.replicas[0].Conns(), none) {
		t.Error("the replica has no connection without a schema")
	}
}

// A primary that reports no changes cannot have any replayed.
func TestUntrackedPrimary(t *testing.T) {
	s := newState(&backend.Conn{})
	if s.held.reason() != router.ReasonUnknownState {
		t.Errorf("held: %v", s.held.reason())
	}
	s = newState(&backend.Conn{Tracked: true, Schema: "a"})
	if s.held.reason() != router.ReasonNone || s.context.Schema != "a" {
		t.Errorf("held: %v, context %+v", s.held.reason(), s.context)
	}
}

// What statements leave behind that no server reports by name.
func TestStatementsLeaveState(t *testing.T) {
	for _, tt := range []struct {
		name, sql      string
		changed, named bool
		held           router.Reason
		attached, once bool
	}{
		{name: "nothing", sql: "SELECT 1"},
		{name: "user variable", sql: "SET @a = 1", changed: true, attached: true},
		{name: "system variable", sql: "SET time_zone = 'UTC'", changed: true},
		{name: "next transaction", sql: "SET TRANSACTION READ ONLY", changed: true, once: true},
		{name: "role", sql: "SET ROLE r", held: router.ReasonUnknownState, attached: true},
		{name: "tables locked", sql: "LOCK TABLES t READ", held: router.ReasonTablesLocked, attached: true},
		{name: "call", sql: "CALL p()", attached: true},
		{name: "call that changed something", sql: "CALL p()", changed: true, held: router.ReasonUnknownState, attached: true},
		{name: "call that changed something with a name, too", sql: "CALL p()", changed: true, named: true, held: router.ReasonUnknownState, attached: true},
		{name: "a change from nowhere", sql: "INSERT INTO t VALUES (1)", changed: true, held: router.ReasonUnknownState},
		{name: "a change from nowhere, with a name", sql: "DROP DATABASE a", changed: true, named: true},
		{name: "temporary table", sql: "CREATE TEMPORARY TABLE a.t (i INT)", changed: true, attached: true},
		{name: "temporary table without a known name", sql: "CREATE TEMPORARY TABLE `a``b` (i INT)", held: router.ReasonTemporaryTable, attached: true},
		{name: "lock by name", sql: "SELECT GET_LOCK('a', 1)", attached: true},
		{name: "prepared in SQL", sql: "PREPARE s FROM 'SELECT 1'", changed: true, attached: true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := newState(&backend.Conn{Tracked: true})
			s.ran(router.Classify([]byte(tt.sql), s.context), []byte(tt.sql), tt.changed, tt.named)
			if s.held.reason() != tt.held || s.attached != tt.attached || s.once != tt.once {
				t.Errorf("got held %v, attached %v, once %v", s.held.reason(), s.attached, s.once)
			}
		})
	}
}

// SET TRANSACTION is for the next transaction: SET does not use it up, anything else does.
func TestNextTransaction(t *testing.T) {
	s := newState(&backend.Conn{Tracked: true})
	for _, tt := range []struct {
		sql  string
		once bool
	}{
		{"SET TRANSACTION READ ONLY", true}, {"SET @a = 1", true}, {"SELECT 1", false}, {"SET @a = 1", false},
	} {
		if s.ran(router.Classify([]byte(tt.sql), s.context), []byte(tt.sql), false, false); s.once != tt.once {
			t.Errorf("after %s: %v", tt.sql, s.once)
		}
	}
}

// UNLOCK TABLES ends what LOCK TABLES began, and no other hold.
func TestUnlock(t *testing.T) {
	run := func(s *state, sql string) { s.ran(router.Classify([]byte(sql), s.context), []byte(sql), false, false) }
	s := newState(&backend.Conn{Tracked: true})
	run(&s, "LOCK TABLES t READ")
	run(&s, "UNLOCK TABLES")
	if s.held.reason() != router.ReasonNone {
		t.Errorf("held: %v", s.held.reason())
	}
	for _, tt := range []struct {
		sql  string
		held router.Reason
	}{
		{"COMMIT", router.ReasonTablesLocked},
		{"UNLOCK TABLES; SELECT 1", router.ReasonTablesLocked},
		{"START TRANSACTION", router.ReasonNone}, // it unlocks
	} {
		run(&s, "LOCK TABLES t READ")
		if run(&s, tt.sql); s.held.reason() != tt.held {
			t.Errorf("after %s: %v", tt.sql, s.held.reason())
		}
	}
	run(&s, "SET ROLE r")
	run(&s, "LOCK TABLES t READ")
	run(&s, "UNLOCK TABLES")
	if s.held.reason() != router.ReasonUnknownState {
		t.Errorf("held: %v", s.held.reason())
	}
}

// How texts are read follows the variables.
func TestContextFollowsVariables(t *testing.T) {
	s := newState(&backend.Conn{Tracked: true})
	s.setVariable("sql_mode", "NO_BACKSLASH_ESCAPES,ANSI_QUOTES")
	s.setVariable("character_set_client", "gbk")
	if c := s.context; !c.ANSIQuotes || !c.NoBackslashEscapes || !c.UnsafeCharset {
		t.Errorf("got %+v", c)
	}
	s.setVariable("sql_mode", "")
	s.setVariable("character_set_client", "utf8mb4")
	if c := s.context; c.ANSIQuotes || c.NoBackslashEscapes || c.UnsafeCharset {
		t.Errorf("got %+v", c)
	}
}
