package proxy

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-mysql-org/go-mysql/mysql"

	"github.com/stickyproxy/stickyproxy/internal/mysqltest/fakeserver"
	"github.com/stickyproxy/stickyproxy/mysqlwire"
	"github.com/stickyproxy/stickyproxy/router"
	"github.com/stickyproxy/stickyproxy/session"
)

const readT = "SELECT a FROM t"

// multiClient sends several statements in a text, and query attributes.
const multiClient = usualClient | mysqlwire.CapMultiStatements | mysqlwire.CapQueryAttributes

// hintRig is a proxy whose primary gives every write the next GTID, and whose replicas have none of them.
func hintRig(t testing.TB, o rigOptions) *rig {
	t.Helper()
	if o.replicas == 0 {
		o.replicas = 1
	}
	r := startRig(t, o)
	r.server.reports("p")
	r.primary.on(func(c *fakeserver.Conn, cmd fakeserver.Command) error {
		switch {
		case strings.HasPrefix(cmd.SQL, "INSERT") && cmd.Code == mysql.COM_QUERY, cmd.SQL == "COMMIT", strings.HasPrefix(cmd.SQL, "CREATE TABLE"):
			return c.OK(writeGTID(sourceUUID + ":9"))
		case cmd.SQL == "SELECT @@GLOBAL.gtid_executed":
			return c.Rows([]string{"set"}, [][]any{{sourceUUID + ":1-9"}}, fakeserver.OK{})
		}
		return errDefault
	})
	return r
}

// sees is what a session must see, in short.
func (r *rig) sees(name string) string {
	return pinned(r.sessions.Need(session.Key{Account: "app", Name: name}))
}

func (r *rig) wantSees(want string, names ...string) {
	r.t.Helper()
	for _, name := range names {
		if got := r.sees(name); got != want {
			r.t.Errorf("session %s must see %q, want %q", name, got, want)
		}
	}
}

// reset is COM_RESET_CONNECTION.
func (c *checker) reset() {
	c.t.Helper()
	if got := c.ask(mysql.COM_RESET_CONNECTION, ""); got.err != nil || got.lost != nil {
		c.t.Fatalf("reset: %v", got)
	}
}

// shows checks what a variable of ours has; "NULL" for NULL.
func (c *checker) shows(name, want string) {
	c.t.Helper()
	got := c.query("SELECT @" + name)
	if got.err != nil || len(got.rows) != 1 || got.rows[0] != want && (want != "NULL" || got.rows[0] != "") {
		c.t.Fatalf("@%s: got %v, want %s", name, got, want)
	}
}

// A connection works for the session that it names until it names another, or none, or is reset. The servers hear nothing
// of it.
func TestSetSession(t *testing.T) {
	r := hintRig(t, rigOptions{})
	writer, reader := r.connect(), r.connect()
	replica := r.replicas[0]
	for _, c := range []*checker{writer, reader} {
		c.ok("SET @sticky_session = 'u1'")
		c.shows("sticky_session", "u1")
	}
	reader.from(replica, readT)
	writer.ok(write)
	r.wantSees("gtid 9", "u1")
	reader.from(r.primary, readT)
	reader.ok("SET @sticky_session = 'u2'")
	reader.from(replica, readT)
	reader.ok("set @STICKY_SESSION := \"u1\"")
	reader.from(r.primary, readT)
	reader.ok("SET @`sticky_session` = NULL")
	reader.shows("sticky_session", "NULL")
	reader.from(replica, readT)
	reader.ok("SET @sticky_session = 'u1'")
	reader.reset()
	reader.shows("sticky_session", "NULL")
	reader.from(replica, readT)
	for _, s := range r.all() {
		for _, sql := range s.sent() {
			if strings.Contains(strings.ToLower(sql), "sticky") {
				t.Errorf("%s was sent %s", s.name, sql)
			}
		}
	}
}

// Rule 17: a reset clears what was said, never what the connection must see; and what it wrote for a session, it must see
// itself.
func TestResetKeepsPin(t *testing.T) {
	r := hintRig(t, rigOptions{})
	c := r.connect()
	c.ok(write)
	c.reset()
	c.from(r.primary, readT)
	d := r.connect()
	d.ok("SET @sticky_session = 'u1', @sticky_route = 'primary', @sticky_pin = 0")
	d.ok(write)
	d.reset()
	d.shows("sticky_route", "auto")
	d.shows("sticky_pin", "NULL")
	d.from(r.primary, readT)
	e := r.connect()
	e.ok("SET @sticky_pin = 1")
	e.reset()
	e.from(r.primary, readT)
	r.clock.advance(DefaultWindow)
	e.from(r.replicas[0], readT)
}

// Hints of every kind name the session of one statement only.
func TestHintedStatement(t *testing.T) {
	r := hintRig(t, rigOptions{})
	replica := r.replicas[0]
	c := r.connectAs(multiClient, "", "")
	c.ok(write + " /* sticky_session=u1 */")
	r.wantSees("gtid 9", "u1")
	other := r.connectAs(multiClient, "", "attr")
	for _, tt := range []struct {
		name, sql string
		want      *scriptedServer
	}{
		{"nobody", readT, replica},
		{"a comment", readT + " /* sticky_session=u1 */", r.primary},
		{"sqlcommenter", readT + " /*action='%2Fx',sticky_session='u%31'*/", r.primary},
		{"a line", readT + " -- sticky_session=u1\n", r.primary},
		{"another", readT + " # sticky_session=u2", replica},
		{"two", readT + " /* sticky_session=u2 */ /* sticky_session=u1 */", r.primary},
		{"nobody again", readT, replica},
		{"a literal", "SELECT '/* sticky_session=u1 */'", replica},
		{"the primary", readT + " /* sticky_route=primary */", r.primary},
		{"a wish that cannot be", readT + " /* sticky_route=replica, sticky_session=u1 */", r.primary},
		{"a pin", readT + " /* sticky_session=u3, sticky_pin=1 */", r.primary},
	} {
		got := other.query(tt.sql)
		if got.err != nil || len(got.rows) != 1 || got.rows[0] != tt.want.name {
			t.Errorf("%s: got %v, want %s", tt.name, got, tt.want.name)
		}
	}
	r.wantSees("unproven", "u3")
	r.wantSees("", "attr", "u2")
	for _, tt := range []struct {
		name string
		want *scriptedServer
	}{{"u1", r.primary}, {"u2", replica}} {
		if got := other.ask(mysql.COM_QUERY, attributed("STICKY_session", tt.name)+readT); len(got.rows) != 1 || got.rows[0] != tt.want.name {
			t.Errorf("attribute %s: got %v", tt.name, got)
		}
	}
	if got := other.ask(mysql.COM_QUERY, attributed("sticky_session", strings.Repeat("x", 257))+readT); got.err == nil || got.err.Code != mysql.ER_WRONG_VALUE_FOR_VAR {
		t.Errorf("a long attribute: got %v", got)
	}
}

// attributed is the beginning of a COM_QUERY with one query attribute, a string.
func attributed(name, value string) string {
	b := []byte{1, 1, 0, 1, mysql.MYSQL_TYPE_STRING, 0, byte(len(name))}
	return string(b) + name + lenencText(value)
}

func lenencText(s string) string {
	if len(s) < 251 {
		return string(byte(len(s))) + s
	}
	return "\xfc" + string([]byte{byte(len(s)), byte(len(s) >> 8)}) + s
}

// A prepared statement has the hints of its text whenever it is executed, and the servers get it without them.
func TestHintsOfPrepared(t *testing.T) {
	r := hintRig(t, rigOptions{})
	replica := r.replicas[0]
	c := r.connectAs(multiClient, "", "")
	c.ok(write + " /* sticky_session=u1 */")
	r.primary.sent()
	d := r.connectAs(multiClient, "", "")
	hinted := d.prepare("/* sticky_session=u1 */ " + readT + " WHERE id = ?")
	plain := d.prepare(readT + " WHERE id = ?")
	replica.wantSent("PREPARE " + readT + " WHERE id = ?") // u1 may not read there
	const types = "\x00\x01\x03\x00\x00"
	one := "\x01" + types + "\x01\x00\x00\x00"
	d.executes(r.primary, execution(hinted, 0, one))
	r.primary.wantSent("PREPARE   "+readT+" WHERE id = ?", "EXECUTE")
	d.executes(replica, execution(plain, 0, one))
	attr := "\x02\x00\x01\x03\x00\x00\xfe\x00\x0esticky_session\x01\x00\x00\x00\x02u1"
	d.executes(r.primary, execution(plain, 0, attr))
	d.executes(replica, execution(plain, 0, one))
	d.executes(r.primary, execution(hinted, 0, one))
	if _, refused := d.tryPrepare("/* sticky_sesion=u1 */ " + readT); refused == nil || refused.Code != mysql.ER_UNKNOWN_SYSTEM_VARIABLE {
		t.Errorf("an unknown hint: %v", refused)
	}
}

// A connection attribute names a session too, and the route; what is said later comes first.
func TestConnectionAttributes(t *testing.T) {
	r := hintRig(t, rigOptions{})
	replica := r.replicas[0]
	r.connectAs(usualClient, "", "attr").ok(write)
	c := r.connectAs(usualClient, "", "attr")
	c.shows("sticky_session", "attr")
	c.from(r.primary, readT)
	c.from(replica, readT+" /* sticky_session=x */")
	c.ok("SET @sticky_session = 'x'")
	c.from(replica, readT)
	c.from(r.primary, readT+" /* sticky_session=attr */")
	c.reset()
	c.shows("sticky_session", "attr")
	c.from(r.primary, readT)

	d := r.connectWith(usualClient, slices.Concat(attribute("sticky_route", "primary"), attribute("sticky_other", "x")))
	d.shows("sticky_route", "primary")
	d.from(r.primary, readT)
	d.from(replica, readT+" /* sticky_route=auto */")
	d.ok("SET @sticky_route = 'replica'")
	d.shows("sticky_route", "replica")
	d.from(replica, readT)
	d.reset()
	d.from(r.primary, readT)
}

// connectWith logs in as app with these connection attributes.
func (r *rig) connectWith(caps mysqlwire.Capability, attributes []byte) *checker {
	r.t.Helper()
	c := r.dial(r.address)
	raw := &rawClient{t: r.t, conn: c.nc, capabilities: caps, attributes: attributes}
	if refused := raw.login("app", ""); refused != nil {
		r.t.Fatal(refused)
	}
	c.caps = caps & mysqlwire.Capability(raw.greeting.Capabilities)
	return c
}

// What is said in a way that cannot be served is an error with its number, says what to do, and does not repeat what may
// be a secret. The connection goes on, nothing was set, and nothing was sent.
func TestHintErrors(t *testing.T) {
	r := hintRig(t, rigOptions{})
	c := r.connectAs(multiClient, "", "")
	long := strings.Repeat("secret", 50)
	for _, tt := range []struct {
		sql  string
		code uint16
	}{
		{"SET @sticky_session = ''", mysql.ER_WRONG_VALUE_FOR_VAR},
		{"SET @sticky_session = '" + long + "'", mysql.ER_WRONG_VALUE_FOR_VAR},
		{"SELECT 1 /* sticky_session=" + long + " */", mysql.ER_WRONG_VALUE_FOR_VAR},
		{"SELECT 1 /*sticky_session=''*/", mysql.ER_WRONG_VALUE_FOR_VAR},
		{"SELECT 1 /*sticky_session='%secret'*/", mysql.ER_WRONG_VALUE_FOR_VAR},
		{"SET @sticky_route = 'secret'", mysql.ER_WRONG_VALUE_FOR_VAR},
		{"SET @sticky_pin = 'secret'", mysql.ER_WRONG_VALUE_FOR_VAR},
		{"SET @sticky_pin = 2", mysql.ER_WRONG_VALUE_FOR_VAR},
		{"SET @sticky_token = 'secret'", mysql.ER_WRONG_VALUE_FOR_VAR},
		{"SELECT 1 /* sticky_token=secret */", mysql.ER_WRONG_VALUE_FOR_VAR},
		{"SET @sticky_session = 'u', @sticky_route = 'secret'", mysql.ER_WRONG_VALUE_FOR_VAR},
		{"SET @x = 1, @sticky_route = 'secret'", mysql.ER_WRONG_VALUE_FOR_VAR},
		{"SET @sticky_session = ?", mysql.ER_PARSE_ERROR},
		{"SET @sticky_session = CONCAT('secret', 1)", mysql.ER_PARSE_ERROR},
		{"SELECT a FROM t WHERE u = @sticky_session", mysql.ER_PARSE_ERROR},
		{"SELECT @sticky_token, 1", mysql.ER_PARSE_ERROR},
		{"SELECT 1 /* sticky_sesion=secret */", mysql.ER_UNKNOWN_SYSTEM_VARIABLE},
	} {
		got := c.query(tt.sql)
		if got.err == nil || got.err.Code != tt.code || got.err.State != mysqlwire.StateOf(tt.code) || strings.Contains(got.err.Message, "secret") {
			t.Errorf("%.60s: got %v, want error %d", tt.sql, got, tt.code)
		}
	}
	c.shows("sticky_session", "NULL")
	c.ok("SET @sticky_posts = 1") // that is the application's own
	r.primary.wantSent("SET @sticky_posts = 1")
	r.replicas[0].wantSent()
	single := r.connect()
	single.fails("SET @sticky_session = 'u'; SELECT 1", mysql.ER_PARSE_ERROR)
	single.shows("sticky_session", "NULL")
}

// A token carries what a session must see to another connection, which needs no name for it.
func TestToken(t *testing.T) {
	r := hintRig(t, rigOptions{})
	replica := r.replicas[0]
	c, d := r.connect(), r.connect()
	c.shows("sticky_token", "NULL")
	c.ok(write)
	token := c.query("SELECT @sticky_token").rows[0]
	if token == "" || len(token) > 128 {
		t.Fatalf("token %q", token)
	}
	d.from(replica, readT)
	d.from(r.primary, readT+" /* sticky_token="+token+", sticky_session=u1 */")
	d.from(replica, readT)
	r.wantSees("gtid 9", "u1")
	d.ok("SET @sticky_token = NULL")
	d.ok("SET @sticky_token = '" + token + "'")
	d.from(r.primary, readT)
	d.reset()
	d.from(r.primary, readT)
	first, err := session.ParseToken(token, clockStart, session.Clock{})
	again, err2 := session.ParseToken(d.query("SELECT @sticky_token").rows[0], clockStart, session.Clock{})
	if err != nil || err2 != nil || !again.GTID.Equal(first.GTID) {
		t.Errorf("the same need is %q (%v) and %q (%v)", first.GTID, err, again.GTID, err2)
	}
	r.fleet.executed(mustGTID(t, sourceUUID+":1-9"))
	d.from(replica, readT)

	foreign := session.Need{GTID: mustGTID(t, "4e11fa47-71ca-11e1-9e33-c80aa9429562:3")}.Token(session.Clock{})
	d.fails("SET @sticky_token = '"+foreign+"'", mysql.ER_WRONG_VALUE_FOR_VAR)
	d.fails("SET @sticky_token = '"+token[:len(token)-1]+"'", mysql.ER_WRONG_VALUE_FOR_VAR)
	d.from(replica, readT)
}

// In the session of everybody names mean nothing, and a token counts for its bearer only.
func TestHintsInScopeGlobal(t *testing.T) {
	r := hintRig(t, rigOptions{policy: Policy{Scope: ScopeGlobal}})
	replica := r.replicas[0]
	c, d := r.connect(), r.connect()
	c.ok("SET @sticky_session = 'u1'")
	c.shows("sticky_session", "u1")
	token := session.Need{GTID: mustGTID(t, sourceUUID+":8")}.Token(session.Clock{})
	c.ok("SET @sticky_token = '" + token + "'")
	c.from(r.primary, readT)
	d.from(replica, readT+" /* sticky_session=u1 */")
	c.ok(write)
	d.from(r.primary, readT+" /* sticky_session=u2 */")
	r.wantSees("", "u1", "u2")
}

// An account may have a mode and a scope of its own.
func TestOwnOfAccount(t *testing.T) {
	mode, scope, wait := router.PrimaryOnly, ScopeGlobal, time.Second
	r := hintRig(t, rigOptions{options: Options{Wait: time.Minute, Own: map[string]Own{"app": {Mode: &mode}, "other": {Scope: &scope, Wait: &wait}}}})
	r.connect().from(r.primary, readT)
	if got, wait := r.server.treat(Policy{}, "other"); got.Scope != ScopeGlobal || got.Mode != router.Auto || wait != time.Second {
		t.Errorf("other is treated by %+v and waits for %v", got, wait)
	}
	if got, wait := r.server.treat(Policy{Mode: router.GTID}, "somebody"); got.Mode != router.GTID || wait != time.Minute {
		t.Errorf("somebody is treated by %+v and waits for %v", got, wait)
	}
}

// The hints of a statement that streams are found at its beginning and in the comment at its end.
func TestHintsOfLongStatement(t *testing.T) {
	r := hintRig(t, rigOptions{})
	c := r.connect()
	long := "INSERT INTO t VALUES ('" + strings.Repeat("/* sticky_session=no */ ", 2*maxWhole/24) + "')"
	for _, tt := range []struct{ name, sql string }{
		{"first", strings.Replace(long, " ", " /* sticky_session=first */ ", 1)},
		{"last", long + " /*a='b',sticky_session='last'*/ ;\n"},
		{"frames", "INSERT INTO t VALUES ('" + strings.Repeat("x", mysqlwire.MaxFrame) + "') /* sticky_session=frames */"},
	} {
		c.ok(tt.sql)
		r.wantSees("gtid 9", tt.name)
	}
	r.wantSees("", "no")
	c.fails("/* sticky_session='' */ "+long, mysql.ER_WRONG_VALUE_FOR_VAR)
	c.ok(write)
	if got := c.query(long + "/*sticky_session=''*/"); got.lost == nil {
		t.Errorf("a wrong hint at the end: got %v", got)
	}
}
