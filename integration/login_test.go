package integration

import (
	"strconv"
	"strings"
	"testing"

	gomysql "github.com/go-mysql-org/go-mysql/mysql"

	"github.com/stickyproxy/stickyproxy/internal/mysqltest"
	"github.com/stickyproxy/stickyproxy/internal/mysqltest/clustertest"
	"github.com/stickyproxy/stickyproxy/mysqlwire"
	"github.com/stickyproxy/stickyproxy/router"
)

// How many packets a login takes that is right.
const (
	fastLogin = 4 // greeting, login request, "fast", OK
	fullLogin = 7 // greeting, login request, "full", the question for the key, the key, the password, OK
)

// The second login of an account takes the fast way. A password that was changed, and an account that was locked or
// dropped, is refused at the next login, as by the primary itself, and the way back is as short as the way out.
func TestLoginRevoked(t *testing.T) {
	clustertest.EachEngine(t, func(t *testing.T, e mysqltest.Engine) {
		p := sharedRig(t, e)
		p.accounts("CREATE USER leaver IDENTIFIED BY PW")
		a := loginAccount("leaver")
		for i, want := range []int{fullLogin, fastLogin, fastLogin} {
			if got := p.mustEnter(a); got != want {
				t.Errorf("login %d took %d packets, want %d", i+1, got, want)
			}
		}
		p.root("ALTER USER leaver ACCOUNT LOCK")
		p.mustNotEnter(a, loginCaps, "")
		p.root("ALTER USER leaver ACCOUNT UNLOCK")
		if got := p.mustEnter(a); got != fastLogin {
			t.Errorf("after the lock a login took %d packets, want %d", got, fastLogin)
		}
		p.root("ALTER USER leaver IDENTIFIED BY 'another'")
		p.mustNotEnter(a, loginCaps, "")
		changed := mysqltest.Account{User: "leaver", Password: "another"}
		if got := p.mustEnter(changed); got != fullLogin {
			t.Errorf("the first login with the new password took %d packets, want %d", got, fullLogin)
		}
		p.root("RENAME USER leaver TO gone")
		p.mustNotEnter(changed, loginCaps, "")
		p.root("RENAME USER gone TO leaver")
		p.mustEnter(changed)
	})
}

// A wrong user, a wrong password and a wrong password of somebody who has just logged in look the same.
func TestLoginHidesWhoExists(t *testing.T) {
	clustertest.EachEngine(t, func(t *testing.T, e mysqltest.Engine) {
		p := sharedRig(t, e)
		p.accounts("CREATE USER somebody IDENTIFIED BY PW", "CREATE USER knownone IDENTIFIED BY PW")
		p.mustEnter(loginAccount("knownone"))
		for _, user := range []string{"nobodyat", "somebody", "knownone"} {
			if got := p.mustNotEnter(mysqltest.Account{User: user, Password: "wrong"}, loginCaps, ""); got != fullLogin {
				t.Errorf("%s: %d packets, want %d", user, got, fullLogin)
			}
		}
		p.mustNotEnter(mysqltest.Account{User: "somebody"}, loginCaps, "")
		p.mustNotEnter(mysqltest.Account{User: "nobodyat"}, loginCaps, "")
		p.mustNotEnter(loginAccount("somebody"), loginCaps, "no_such_schema")
		p.mustNotEnter(loginAccount("somebody"), loginCaps, mysqltest.AppSchema)
	})
}

// Who logs in with an expired password can set a new one, if the client is one that can, and nothing else.
func TestLoginExpiredPassword(t *testing.T) {
	clustertest.EachEngine(t, func(t *testing.T, e mysqltest.Engine) {
		p := sharedRig(t, e)
		p.accounts("CREATE USER tardy1 IDENTIFIED BY PW PASSWORD EXPIRE", "CREATE USER tardy2 IDENTIFIED BY PW PASSWORD EXPIRE")
		steps := []string{
			"SELECT 1", "SET NAMES latin1", "SELECT @x := 1", "BEGIN", "USE app",
			"ALTER USER CURRENT_USER() IDENTIFIED BY 'newer'", "SELECT 1", "SELECT CURRENT_USER()", "SELECT @@character_set_client",
			"BEGIN", "COMMIT", "SELECT DATABASE()",
		}
		if e == mysqltest.MariaDB {
			steps[5] = "SET PASSWORD = PASSWORD('newer')" // its ALTER USER wants a privilege
		}
		_, _, direct := p.attempt(p.cluster.Primary.Addr(), loginAccount("tardy1"), plainCaps, "")
		_, _, through := p.attempt(p.addr, loginAccount("tardy2"), plainCaps, "")
		if (direct == nil) != (through == nil) || direct != nil && *direct != *through {
			t.Errorf("a client that cannot handle it: got %v, directly %v", through, direct)
		}
		play := func(addr, user string) []string {
			c, _, refused := p.attempt(addr, loginAccount(user), plainCaps|mysqlwire.CapExpiredPasswords, "")
			if refused != nil {
				t.Fatalf("%s: %v", user, refused)
			}
			var said []string
			for _, s := range steps {
				said = append(said, packetsText(c.query(s)))
			}
			said = append(said, packetsText(c.command(gomysql.COM_PING)), packetsText(c.command(gomysql.COM_RESET_CONNECTION)))
			for i := range said {
				said[i] = strings.ReplaceAll(said[i], user, "USER")
			}
			return said
		}
		want, got := play(p.cluster.Primary.Addr(), "tardy1"), play(p.addr, "tardy2")
		for i := range want {
			if got[i] != want[i] {
				t.Errorf("step %d: got\n%s\ndirectly\n%s", i, got[i], want[i])
			}
		}
		p.mustEnter(mysqltest.Account{User: "tardy2", Password: "newer"})
	})
}

// packetsText is packets as text, for comparing.
func packetsText(packets [][]byte) string {
	var b strings.Builder
	for _, p := range packets {
		b.WriteString(strconv.Quote(string(p)) + "\n")
	}
	return b.String()
}

// A collation whose id has no room in a login comes with COM_CHANGE_USER, and is the session's on all servers.
func TestLoginWideCollation(t *testing.T) {
	clustertest.EachEngine(t, func(t *testing.T, e mysqltest.Engine) {
		p := sharedRig(t, e)
		const question = "SELECT CONCAT_WS(' ', @@collation_connection, @@character_set_client, @@character_set_results)"
		for _, id := range []uint16{255, 256, 305, 608, 1069, 9999, 45} {
			ask := func(addr string) []string {
				c := dialRaw(t, addr)
				salt := c.greeted(t, p.account)
				u := mysqlwire.ChangeUser{User: p.account.User, Answer: scramble(mysqlwire.PluginNative, salt, p.account.Password), Schema: "app", Collation: id, Plugin: mysqlwire.PluginNative}
				c.seq = 0
				if err := c.write(u.Append(nil, c.caps)); err != nil {
					t.Fatal(err)
				}
				if err := c.proveTo(p.account.Password, salt); err != nil {
					t.Fatal(err)
				}
				v, err := c.values(c.query(question))
				if err != nil {
					t.Fatal(err)
				}
				return v
			}
			want, got := ask(p.cluster.Primary.Addr()), ask(p.addr)
			if strings.Join(got, ",") != strings.Join(want, ",") {
				t.Errorf("collation %d: got %v, directly %v", id, got, want)
			}
		}
	})
}

// greeted logs in and returns the salt of the greeting.
func (c *raw) greeted(t testing.TB, a mysqltest.Account) []byte {
	t.Helper()
	payload, err := c.read()
	if err != nil {
		t.Fatal(err)
	}
	g, err := mysqlwire.ParseGreeting(payload)
	if err != nil {
		t.Fatal(err)
	}
	c.caps = plainCaps & (g.Capabilities | mysqlwire.CapLongPassword)
	r := mysqlwire.LoginRequest{Capabilities: c.caps, Collation: 45, User: a.User, Plugin: g.Plugin, Answer: scramble(g.Plugin, g.Salt, a.Password)}
	if err := c.write(r.Append(nil)); err != nil {
		t.Fatal(err)
	}
	if err := c.proveTo(a.Password, g.Salt); err != nil {
		t.Fatal(err)
	}
	return g.Salt
}

// The schema and the attributes that a client names at login are there from the first statement on, on every server.
func TestLoginSchemaAndAttributes(t *testing.T) {
	p := sharedRig(t, mysqltest.MySQL) // on MariaDB the table of the attributes is off unless the server is told
	c := p.connect("connectionAttributes=program_name:shop,request:42")
	c.wants("SELECT DATABASE()", mysqltest.AppSchema, true)
	const attribute = "SELECT ATTR_VALUE FROM performance_schema.session_account_connect_attrs " +
		"WHERE PROCESSLIST_ID = CONNECTION_ID() AND ATTR_NAME = 'request'"
	c.wants(attribute, "42", false)
}

// With local_infile off the proxy answers as a server does on which it is off.
func TestLoginWithoutLocalInfile(t *testing.T) {
	clustertest.EachEngine(t, func(t *testing.T, e mysqltest.Engine) {
		p := sharedRig(t, e, func(s *setup) { s.proxy.NoLocalInfile = true })
		p.root("CREATE TABLE app.f (a INT)")
		const load = "LOAD DATA LOCAL INFILE 'f' INTO TABLE f"
		p.root("SET GLOBAL local_infile=OFF")
		want := p.rawTo(p.cluster.Primary.Addr(), plainCaps).query(load)
		p.root("SET GLOBAL local_infile=ON")
		c := p.raw(plainCaps)
		if c.caps.Has(mysqlwire.CapLocalFiles) {
			t.Error("it is announced")
		}
		if got := c.query(load); packetsText(got) != packetsText(want) {
			t.Errorf("got %s, a server %s", packetsText(got), packetsText(want))
		}
	})
}

// Logins under way count as connections, and who is one too many is told so.
func TestLoginTooManyConnections(t *testing.T) {
	p := sharedRig(t, mysqltest.MariaDB, func(s *setup) { s.proxy.MaxConnections = 2 })
	first, second := dialRaw(t, p.addr), dialRaw(t, p.addr)
	for _, c := range []*raw{first, second} {
		if _, err := c.read(); err != nil { // the greeting: it is counted
			t.Fatal(err)
		}
	}
	_, _, refused := p.attempt(p.addr, p.account, loginCaps, "")
	if refused == nil || refused.Code != gomysql.ER_CON_COUNT_ERROR {
		t.Errorf("got %v, want error 1040", refused)
	}
	_ = first.conn.Close()
	clustertest.WaitFor(p.ctx, t, "room for another client", func() (bool, error) {
		_, _, refused := p.attempt(p.addr, p.account, loginCaps, "")
		return refused == nil, nil
	})
}

// A client that knows no plugin but mysql_native_password, and is listed nowhere, logs in where the account has that
// plugin: the primary checks its answer, and that of its COM_CHANGE_USER to the same salt. As nobody knows the password,
// its reads are the primary's too, until another client has told it.
func TestLoginOldClient(t *testing.T) {
	const oldCaps = plainCaps &^ mysqlwire.CapPluginAuth
	clustertest.EachEngine(t, func(t *testing.T, e mysqltest.Engine) {
		p := sharedRig(t, e)
		p.mustNotEnter(mysqltest.Account{User: p.account.User, Password: "wrong"}, oldCaps, "")
		if e == mysqltest.MySQL { // 9.7 has no account of that kind
			return
		}
		p.mustNotEnter(mysqltest.Account{User: "nobody", Password: "wrong"}, oldCaps, "")
		read := func() ran {
			c, _, refused := p.attempt(p.addr, p.account, oldCaps, "app")
			if refused != nil {
				t.Fatal(refused)
			}
			c.mustChangeUserNatively(p.account)
			if got := c.query("SELECT 'old'"); len(got) < 4 || !strings.Contains(string(got[3]), "old") {
				t.Errorf("%s", packetsText(got))
			}
			return p.last()
		}
		if got, want := read(), (ran{false, router.ReasonPasswordUnknown}); got != want {
			t.Errorf("the read of a client with a password that nobody knows ran on the %v, want %v", got, want)
		}
		p.mustEnter(p.account)
		if got := read(); !got.replica {
			t.Errorf("the read of a client with a known password ran on the %v", got)
		}
	})
}

// mustChangeUserNatively is COM_CHANGE_USER of a client that knows no plugin but mysql_native_password.
func (c *raw) mustChangeUserNatively(a mysqltest.Account) {
	c.t.Helper()
	u := mysqlwire.ChangeUser{User: a.User, Answer: mysqlwire.ScrambleNative(c.salt, a.Password), Schema: "app", Collation: 45}
	if got := c.command(gomysql.COM_CHANGE_USER, u.Append(nil, c.caps)[1:]...); got[0][0] != 0 {
		c.t.Fatalf("change of user: %q", got)
	}
}
