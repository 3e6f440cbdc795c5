package integration

import (
	"errors"
	"fmt"
	"testing"

	gomysql "github.com/go-mysql-org/go-mysql/mysql"
	"github.com/go-sql-driver/mysql"

	"github.com/stickyproxy/stickyproxy/internal/mysqltest"
	"github.com/stickyproxy/stickyproxy/internal/mysqltest/clustertest"
	"github.com/stickyproxy/stickyproxy/mysqlwire"
	"github.com/stickyproxy/stickyproxy/proxy"
)

// hintRig is a proxy with named sessions before replicas that are an hour late: they have nothing that is written now.
func hintRig(t *testing.T, e mysqltest.Engine) *rig {
	t.Helper()
	p := transactionRig(t, e, withSessions(t, proxy.ScopeSession))
	p.late()
	return p
}

// say runs statements that the proxy answers itself: no server runs them, and no trace tells of them.
func (c *client) say(statements ...string) {
	c.t.Helper()
	for _, s := range statements {
		if _, err := c.ExecContext(c.p.ctx, s); err != nil {
			c.t.Fatalf("%s: %v", s, err)
		}
	}
}

// hears is the value of one of the proxy's variables, read in both protocols.
func (c *client) hears(name string) string {
	c.t.Helper()
	text, err := scan(c.QueryContext(c.p.ctx, "SELECT @"+name))
	if err != nil {
		c.t.Fatalf("@%s: %v", name, err)
	}
	st, err := c.PrepareContext(c.p.ctx, "SELECT @"+name+" AS v")
	if err != nil {
		c.t.Fatalf("prepare @%s: %v", name, err)
	}
	defer st.Close()
	if prepared, err := scan(st.QueryContext(c.p.ctx)); err != nil || prepared != text {
		c.t.Errorf("@%s: got %s by text and %s, %v prepared", name, text, prepared, err)
	}
	return text
}

// Two connections of a pool that work for the same user see what either of them wrote; one that works for another user
// does not have to.
func TestSetSessionOnPool(t *testing.T) {
	clustertest.EachEngine(t, func(t *testing.T, e mysqltest.Engine) {
		p := hintRig(t, e)
		writer, reader := p.connect(), p.connect("interpolateParams=true")
		writer.say("SET @sticky_session = 'user-42'")
		reader.wants(readT, "1", true)
		if _, err := reader.ExecContext(p.ctx, "SET @sticky_session = ?", "user-42"); err != nil {
			t.Fatal(err)
		}
		if got := reader.hears("sticky_session"); got != "user-42" {
			t.Errorf("the reader works for %s", got)
		}
		writer.exec("UPDATE t SET v = 2 WHERE id = 1")
		reader.wants(readT, "2", false)
		set, err := reader.PrepareContext(p.ctx, "SET @sticky_session = ?, @sticky_route = ?")
		if err != nil {
			t.Fatal(err)
		}
		defer set.Close()
		for _, row := range []struct {
			session, route any
			want           string
			replica        bool
		}{{"user-7", nil, "1", true}, {"user-42", "replica", "2", false}, {nil, "auto", "1", true}, {nil, "primary", "2", false}} {
			if _, err := set.ExecContext(p.ctx, row.session, row.route); err != nil {
				t.Fatal(err)
			}
			reader.wants(readT, row.want, row.replica)
		}
		p.lag(0)
		p.waitFresh()
		reader.say("SET @sticky_session = 'user-42', @sticky_route = 'auto'")
		reader.wants(readT, "2", true)
	})
}

// A comment names the session of one statement, wherever it stands, also of a prepared one.
func TestCommentHints(t *testing.T) {
	clustertest.EachEngine(t, func(t *testing.T, e mysqltest.Engine) {
		p := hintRig(t, e)
		writer, reader := p.connect(), p.connect()
		update := writer.prepare("UPDATE t SET v = v + ? WHERE id = 1 /*controller='posts',sticky_session='user%2042'*/")
		if _, err := update.ExecContext(p.ctx, 1); err != nil {
			t.Fatal(err)
		}
		p.next()
		for _, row := range []struct {
			query   string
			want    string
			replica bool
		}{
			{readT, "1", true},
			{"/*sticky_session='user%2042'*/ " + readT, "2", false},
			{readT + " -- sticky_session='user%2042'", "2", false},
			{"SELECT v # sticky_session=\"user%2042\"\nFROM t WHERE id = 1", "2", false},
			{readT + " /* sticky_session=other */", "1", true},
			{readT + " AND '/* sticky_session=user%2042 */' <> ''", "1", true},
		} {
			reader.wants(row.query, row.want, row.replica)
		}
		hinted := reader.prepare(readT + " /* sticky_session='user%2042' */")
		for range 3 {
			if got, where := hinted.query(); got != "2" || where.replica {
				t.Errorf("got %s from %v", got, where)
			}
			reader.wants(readT, "1", true)
		}
		reader.wants(readT+" /* sticky_route=primary */", "2", false) // and who has seen that does not go back
		reader.wants(readT, "2", false)
		if got := reader.failsAt("SELECT 1 /* sticky_sesion=user-42 */"); got != gomysql.ER_UNKNOWN_SYSTEM_VARIABLE {
			t.Errorf("a hint that is none: error %d", got)
		}
	})
}

// failsAt is fails for what the proxy refuses itself.
func (c *client) failsAt(statement string) uint16 {
	c.t.Helper()
	_, err := c.ExecContext(c.p.ctx, statement)
	var refused *mysql.MySQLError
	if !errors.As(err, &refused) {
		c.t.Fatalf("%s: got %v, want an error", statement, err)
	}
	return refused.Number
}

// A query attribute names the session of one execution. MariaDB and its clients have none.
func TestQueryAttributeHints(t *testing.T) {
	clustertest.EachEngine(t, func(t *testing.T, e mysqltest.Engine) {
		p := hintRig(t, e)
		writer := p.connect("connectionAttributes=sticky_session:user-42")
		writer.exec("UPDATE t SET v = 2 WHERE id = 1")
		c := p.raw(newCaps | mysqlwire.CapQueryAttributes)
		if want := e == mysqltest.MySQL; c.caps.Has(mysqlwire.CapQueryAttributes) != want {
			t.Fatalf("query attributes: %v, want %v", !want, want)
		} else if !want {
			return
		}
		ask := func(name, value string) string {
			attribute := fmt.Sprintf("\x01\x01\x00\x01\xfe\x00%c%s%c%s", len(name), name, len(value), value)
			got, err := c.values(c.command(gomysql.COM_QUERY, []byte(attribute+readT)...))
			if err != nil || len(got) != 1 {
				t.Fatalf("%s=%s: %v, %v", name, value, got, err)
			}
			return got[0]
		}
		if a, b, other := ask("sticky_session", "user-42"), ask("sticky_session", "x"), ask("application", "user-42"); a != "2" || b != "1" || other != "1" {
			t.Errorf("got %s for the session, %s for another, %s for none", a, b, other)
		}
		st := c.prepare("SELECT CONCAT(v, ?) FROM t WHERE id = 1")
		execute := func(name, value string) string {
			parameters := fmt.Sprintf("\x02\x00\x01\xfe\x00\x00\xfe\x00%c%s\x01!%c%s", len(name), name, len(value), value)
			row := lastRow(st.execute(parameterCount, []byte(parameters)...))
			return string(row[3:])
		}
		if a, b := execute("sticky_session", "user-42"), execute("sticky_session", "x"); a != "2!" || b != "1!" {
			t.Errorf("prepared: got %q for the session, %q for another", a, b)
		}
	})
}

// parameterCount is the flag that says that an execution has query attributes.
const parameterCount = 8

// What is said to the proxy stands among other statements of a text.
func TestHintsAmongStatements(t *testing.T) {
	clustertest.EachEngine(t, func(t *testing.T, e mysqltest.Engine) {
		p := hintRig(t, e)
		p.connect("connectionAttributes=sticky_session:user-42").exec("UPDATE t SET v = 2 WHERE id = 1")
		for _, caps := range []mysqlwire.Capability{newCaps, plainCaps} {
			c := p.raw(caps)
			packets := c.query("SET @sticky_session = 'user-42'; " + readT + "; SELECT @sticky_session; BEGIN; UPDATE t SET v = 2; SET @sticky_pin = 1; COMMIT")
			if p := packets[len(packets)-1]; p[0] != 0 || c.status(p).Has(mysqlwire.StatusMoreResults|mysqlwire.StatusInTrans) {
				t.Fatalf("the last packet is % x", p)
			}
			got, err := c.values(c.query(readT))
			if err != nil || len(got) != 1 || got[0] != "2" {
				t.Errorf("got %v, %v", got, err)
			}
		}
	})
}

// A transaction that is about two users pins both, although its COMMIT names nobody.
func TestTransactionForTwo(t *testing.T) {
	clustertest.EachEngine(t, func(t *testing.T, e mysqltest.Engine) {
		p := hintRig(t, e)
		c, reader := p.connect(), p.connect()
		for i, end := range []string{"COMMIT", "CREATE TABLE IF NOT EXISTS u (a INT)", "SET autocommit = 1"} {
			begin := "BEGIN"
			if i == 2 {
				begin = "SET autocommit = 0"
			}
			a, b := fmt.Sprintf(" /* sticky_session=a%d */", i), fmt.Sprintf(" /* sticky_session=b%d */", i)
			c.exec(begin, "UPDATE t SET v = v + 1 WHERE id = 1"+a, "INSERT INTO t VALUES ("+fmt.Sprint(i+10)+", 0)"+b, end)
			want := fmt.Sprint(i + 2)
			reader.wants(readT+a, want, false)
			reader.wants(readT+b, want, false)
			reader.wants(readT+" /* sticky_session=c */", "1", true)
		}
		p.lag(0)
		p.waitFresh()
		reader.wants(readT+" /* sticky_session=a0 */", "4", true)
	})
}

// Pools reset a connection when they hand it out: what was said is gone then, what was written must still be seen.
func TestResetKeepsPins(t *testing.T) {
	clustertest.EachEngine(t, func(t *testing.T, e mysqltest.Engine) {
		p := hintRig(t, e)
		for i, first := range []string{"DO 0", "SET @sticky_session = 'user-42', @sticky_route = 'replica'"} {
			c := p.raw(newCaps)
			c.query(first)
			c.query("UPDATE t SET v = v + 1 WHERE id = 1")
			if got := c.command(gomysql.COM_RESET_CONNECTION); got[0][0] != 0 {
				t.Fatalf("reset: % x", got)
			}
			if got, err := c.values(c.query(readT)); err != nil || got[0] != fmt.Sprint(i+2) {
				t.Errorf("after %s and a reset: %v, %v", first, got, err)
			}
			if got, err := c.values(c.query("SELECT @sticky_session")); err != nil || got[0] != "NULL" {
				t.Errorf("the session after a reset: %v, %v", got, err)
			}
		}
	})
}

// A token carries what one must see from one proxy to another, which know nothing of each other.
func TestTokenBetweenProxies(t *testing.T) {
	clustertest.EachEngine(t, func(t *testing.T, e mysqltest.Engine) {
		p := hintRig(t, e)
		writer := p.connect()
		if got := writer.hears("sticky_token"); got != "NULL" {
			t.Errorf("a token of nothing: %s", got)
		}
		writer.exec("UPDATE t SET v = 2 WHERE id = 1")
		token := writer.hears("sticky_token")
		p.another(proxy.Options{Trace: proxy.Trace{Query: p.traced}}, proxy.Policy{})
		reader := p.connect()
		reader.wants(readT, "1", true)
		reader.wants(readT+" /* sticky_token="+token+" */", "2", false)
		p.lag(0)
		p.waitFresh()
		reader.wants(readT, "2", true)
		if got := reader.failsAt("SET @sticky_token = '" + token[:len(token)-2] + "'"); got != gomysql.ER_WRONG_VALUE_FOR_VAR {
			t.Errorf("half a token: error %d", got)
		}
	})
}

// Everything that a driver does with the proxy's statements works, and no server hears of it: the application's own
// variables with similar names are the server's.
func TestOwnVariablesOnly(t *testing.T) {
	clustertest.EachEngine(t, func(t *testing.T, e mysqltest.Engine) {
		p := hintRig(t, e)
		c := p.connect("multiStatements=true", "@sticky_session=%27dsn%27", "wait_timeout=600")
		if got := c.hears("sticky_session"); got != "dsn" {
			t.Errorf("the session of the driver's parameters: %s", got)
		}
		if got, _ := c.text("SELECT @@wait_timeout"); got != "600" {
			t.Errorf("wait_timeout is %s", got)
		}
		c.exec("SET @sticky_posts = 3")
		if got, where := c.text("SELECT @sticky_posts"); got != "3" || where.replica {
			t.Errorf("got %s from %v", got, where)
		}
		c.exec("SET @sticky_posts = 4, @sticky_session = 'other'")
		if got := c.hears("sticky_session"); got != "other" {
			t.Errorf("the session is %s", got)
		}
		if got := c.failsAt("SELECT * FROM t WHERE v = @sticky_pin"); got != gomysql.ER_PARSE_ERROR {
			t.Errorf("error %d", got)
		}
	})
}
