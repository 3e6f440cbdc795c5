package proxy

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/stickyproxy/stickyproxy/backend"
	"github.com/stickyproxy/stickyproxy/mysqlwire"
)

// Ensure that the first login asks for the password and the second does not, and what the primary is told.
func TestLoginFirstAndSecond(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		p := newPrimary()
		a := newAdmission(t, p)
		attributes := mysqlwire.AppendAttribute(nil, "sticky_session", "user-42")
		prepare := func(c *rawClient) {
			c.capabilities |= mysqlwire.CapConnectWithDB | mysqlwire.CapFoundRows
			c.schema, c.attributes = "shop", attributes
		}
		c, client := mustLogin(t, a, "app", "secret", prepare)
		wantSteps(t, c, "full key ok")
		if c.greeting.ConnectionID != 7 || c.greeting.Version != "9.7.4" || !c.greeting.Capabilities.Has(mysqlwire.CapLongPassword) {
			t.Errorf("greeting %+v", c.greeting)
		}
		want := backend.Login{User: "app", Password: "secret", Schema: "shop", Collation: 45, Capabilities: c.capabilities, Attributes: attributes}
		got := client.Login
		if string(got.Attributes) != string(want.Attributes) {
			t.Errorf("attributes %q", got.Attributes)
		}
		got.Attributes, want.Attributes = nil, nil
		if got.User != want.User || got.Password != want.Password || got.Schema != want.Schema || got.Collation != want.Collation ||
			got.Capabilities != want.Capabilities || got.TLS != want.TLS || client.MaxPacket != 1<<24 {
			t.Errorf("got %+v, want %+v", got, want)
		}
		ok, err := mysqlwire.ParseOK(c.heard[len(c.heard)-1], true)
		schema := mysqlwire.AppendChange(nil, mysqlwire.TrackSchema, nil, []byte("shop"))
		if err != nil || ok.Status != mysqlwire.StatusAutocommit|mysqlwire.StatusStateChanged || string(ok.Session) != string(schema) {
			t.Errorf("OK %+v %v", ok, err)
		}
		c, _ = mustLogin(t, a, "app", "secret")
		wantSteps(t, c, "fast ok")
		if p.tried() != 2 {
			t.Errorf("the primary was logged in to %d times", p.tried())
		}
	})
}

// Ensure that a password that was changed stops working at once, and the new one works.
func TestLoginChangedPassword(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		p := newPrimary()
		a := newAdmission(t, p)
		mustLogin(t, a, "app", "secret")
		p.set("app", "other")
		c := mustRefuse(t, a, "app", "secret", 1045, FaultClient)
		wantSteps(t, c, "full key error")
		before := p.tried()
		mustRefuse(t, a, "app", "secret", 1045, FaultClient)
		if got := p.tried() - before; got != 1 {
			t.Errorf("the primary was asked %d times about a password that it has refused before", got)
		}
		c, _ = mustLogin(t, a, "app", "other")
		wantSteps(t, c, "full key ok")
		c, _ = mustLogin(t, a, "app", "other")
		wantSteps(t, c, "fast ok")
	})
}

func TestLoginEmptyPassword(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		p := newPrimary()
		a := newAdmission(t, p)
		c, _ := mustLogin(t, a, "open", "")
		wantSteps(t, c, "ok")
		c = mustRefuse(t, a, "app", "", 1045, FaultClient)
		wantSteps(t, c, "error")
		if got := mysqlwire.ParseError(c.heard[0]).Message; got != "Access denied for user 'app'@'pipe' (using password: NO)" {
			t.Errorf("got %q", got)
		}
	})
}

// Ensure that a client that begins with another plugin is asked to switch, also when it has no answer yet.
func TestLoginSwitchesPlugin(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		a := newAdmission(t, newPrimary())
		for _, plugin := range []string{mysqlwire.PluginNative, mysqlwire.PluginClear, "dialog"} {
			a.Accounts.forget("app", "secret")
			c, _ := mustLogin(t, a, "app", "secret", func(c *rawClient) { c.plugin = plugin })
			wantSteps(t, c, "switch full key ok")
			c, _ = mustLogin(t, a, "app", "secret", func(c *rawClient) { c.plugin, c.noAnswer = plugin, true })
			wantSteps(t, c, "switch fast ok")
		}
	})
}

// Ensure that listed users get in by mysql_native_password, and by what the others use.
func TestLoginOfListedUsers(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		p := newPrimary()
		a := newAdmission(t, p, backend.Account{User: "app", Password: "secret"})
		native := func(c *rawClient) { c.plugin = mysqlwire.PluginNative }
		late := func(c *rawClient) { c.plugin, c.noAnswer = mysqlwire.PluginNative, true }
		c, client := mustLogin(t, a, "app", "secret", native)
		wantSteps(t, c, "ok")
		if client.Login.Password != "secret" {
			t.Errorf("got %q", client.Login.Password)
		}
		c, _ = mustLogin(t, a, "app", "secret", late)
		wantSteps(t, c, "switch ok")
		c, _ = mustLogin(t, a, "app", "secret")
		wantSteps(t, c, "fast ok")
		mustRefuse(t, a, "app", "wrong", 1045, FaultClient, late)

		p.set("app", "other")
		c = mustRefuse(t, a, "app", "secret", 1045, FaultClient, native)
		wantSteps(t, c, "error")
		c, _ = mustLogin(t, a, "app", "other")
		wantSteps(t, c, "full key ok")
	})
}

// Ensure that nobody can find out which users there are: a wrong user and a wrong password sound the same, whatever
// is known about the account.
func TestLoginHidesWhoExists(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		p := newPrimary()
		// Names that cannot stand in the public key by chance, which is base64.
		for _, user := range []string{"a_p", "k_o", "l_s"} {
			p.passwords[user] = "secret"
		}
		a := newAdmission(t, p, backend.Account{User: "l_s", Password: "secret"})
		a.TLS = newTLS(t)
		mustLogin(t, a, "k_o", "secret")
		for _, row := range []struct {
			name    string
			prepare func(*rawClient)
			want    string
		}{
			{"plain", func(*rawClient) {}, "full key error"},
			{"tls", func(c *rawClient) { c.hello(); c.startTLS() }, "full error"},
			{"native", func(c *rawClient) { c.plugin = mysqlwire.PluginNative }, "switch full key error"},
		} {
			var first string
			for _, user := range []string{"a_p", "k_o", "l_s", "n_b"} {
				c := mustRefuse(t, a, user, "wrong", 1045, FaultClient, row.prepare)
				wantSteps(t, c, row.want)
				last := mysqlwire.ParseError(c.heard[len(c.heard)-1])
				if want := "Access denied for user '" + user + "'@'pipe' (using password: YES)"; last.Message != want || last.State != "28000" {
					t.Errorf("%s: got %+v", row.name, last)
				}
				heard := transcript(c, user)
				if first == "" {
					first = heard
				} else if heard != first {
					t.Errorf("%s: %s sounds different:\n%q\n%q", row.name, user, heard, first)
				}
			}
		}
	})
}

// transcript is all that a client heard after the greeting, but for its own name and salt.
func transcript(c *rawClient, user string) string {
	var all []byte
	for _, p := range c.heard {
		all = append(all, p...)
	}
	return strings.NewReplacer(user, "USER", string(c.salt), "SALT").Replace(string(all))
}

// Ensure that what the primary says besides "access denied" reaches the client, and that nothing else about it does.
func TestLoginPrimaryRefuses(t *testing.T) {
	for _, row := range []struct {
		name   string
		err    error
		code   uint16
		state  string
		fault  Fault
		secret bool // the text of err must not be seen
	}{
		{"unknown schema", mysqlwire.NewError(1049, "Unknown database 'x'"), 1049, "42000", FaultClient, false},
		{"locked", mysqlwire.NewError(3118, "Account is locked."), 3118, "HY000", FaultClient, false},
		{"full, told before the handshake", &mysqlwire.Error{Code: 1040, Message: "Too many connections"}, 1040, "08004", FaultBackend, false},
		{"no password account", mysqlwire.NewError(1698, "Access denied for user 'app'@'10.1.2.3'"), 1045, "28000", FaultClient, true},
		{"unreachable", errors.New("dial tcp 10.1.2.3:3306: connection refused"), codeUnreachable, stateUnreachable, FaultBackend, true},
		{"an error of a client library", mysqlwire.NewError(2013, "Lost connection to 10.1.2.3"), codeUnreachable, stateUnreachable, FaultBackend, true},
	} {
		t.Run(row.name, func(t *testing.T) {
			inBubble(t, func(t *testing.T) {
				p := newPrimary()
				a := newAdmission(t, p)
				mustLogin(t, a, "app", "secret")
				p.fail(row.err)
				for _, password := range []string{"secret", "wrong"} {
					c := mustRefuse(t, a, "app", password, row.code, row.fault)
					got := mysqlwire.ParseError(c.heard[len(c.heard)-1])
					if got.State != row.state || row.secret && strings.Contains(got.Message, "10.1.2.3") {
						t.Errorf("got %+v", got)
					}
				}
				p.fail(nil)
				mustLogin(t, a, "app", "secret")
			})
		})
	}
}

// Ensure that a client is turned away whose primary, another one than that of the greeting, does not send results in the
// form that was agreed on, and that others are not.
func TestLoginOlderPrimary(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		p := newPrimary()
		a := newAdmission(t, p)
		choosing := func(c *rawClient) { c.capabilities |= mysqlwire.CapOptionalMetadata }
		mustRefuse(t, a, "app", "secret", codeUnreachable, FaultBackend, choosing)
		if p.open != 0 {
			t.Errorf("%d connections to the primary are left", p.open)
		}
		mustLogin(t, a, "app", "secret")
		a.Connect = func(ctx context.Context, l backend.Login) (*backend.Conn, error) {
			c, err := p.connect(ctx, l)
			c.Capabilities, c.Warnings, c.Told = l.Capabilities, 1, "\x00\x04\x01a\x01b"
			return c, err
		}
		c, _ := mustLogin(t, a, "app", "secret", choosing)
		ok, err := mysqlwire.ParseOK(c.heard[len(c.heard)-1], true)
		if err != nil || ok.Warnings != 1 || string(ok.Session) != "\x00\x04\x01a\x01b" || ok.Status&mysqlwire.StatusStateChanged == 0 {
			t.Errorf("got %+v, %v, want the warning that the primary has counted, and the variable that it told", ok, err)
		}
	})
}

// Ensure that the client of a login that was cut short does not leave a connection to the primary behind.
func TestLoginClientLeavesAtTheEnd(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		p := newPrimary()
		a := newAdmission(t, p)
		mustLogin(t, a, "app", "secret")
		c, done := startLogin(t, a)
		c.hello()
		a.Connect = func(ctx context.Context, l backend.Login) (*backend.Conn, error) {
			_ = c.conn.Close()
			return p.connect(ctx, l)
		}
		r := mysqlwire.LoginRequest{Capabilities: c.capabilities, User: "app", Plugin: c.plugin, Answer: c.answer("secret")}
		c.write(r.Append(nil))
		mustEnd(t, done, FaultClient)
		if p.open != 1 {
			t.Errorf("%d connections to the primary, want the first client's only", p.open)
		}
	})
}

func TestLoginTLS(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		a := newAdmission(t, newPrimary())
		a.TLS, a.TLSRequired = newTLS(t), true
		overTLS := func(c *rawClient) { c.hello(); c.startTLS() }
		c, client := mustLogin(t, a, "app", "secret", overTLS)
		wantSteps(t, c, "full ok")
		if _, is := client.Conn.(*tls.Conn); !is || !client.Login.TLS || !client.Capabilities.Has(mysqlwire.CapSSL) {
			t.Errorf("got %+v", client)
		}
		c, _ = mustLogin(t, a, "app", "secret", overTLS)
		wantSteps(t, c, "fast ok")
		c = mustRefuse(t, a, "app", "secret", 3159, FaultClient)
		if got := mysqlwire.ParseError(c.heard[0]); got.State != "HY000" {
			t.Errorf("got %+v", got)
		}
	})
}

// Ensure that a TLS version that is no longer secure is not spoken.
func TestLoginOldTLS(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		a := newAdmission(t, newPrimary())
		a.TLS = newTLS(t)
		c, done := startLogin(t, a)
		c.hello()
		r := mysqlwire.LoginRequest{Capabilities: c.capabilities}
		c.write(r.AppendSSLRequest(nil))
		old := tls.Client(c.conn, &tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11})
		if err := old.Handshake(); err == nil {
			t.Error("TLS 1.1 was spoken")
		}
		mustEnd(t, done, FaultClient)
	})
}

// Ensure that COM_CHANGE_USER runs the same authentication, with the salt of the greeting.
func TestChangeUser(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		p := newPrimary()
		p.passwords["other"] = "geheim"
		a := newAdmission(t, p)
		for _, row := range []struct{ user, password, want string }{
			{"other", "geheim", "full key ok"},
			{"other", "geheim", "fast ok"},
			{"open", "", "switch ok"},
			{"other", "wrong", "full key error"},
		} {
			c, client := mustLogin(t, a, "app", "secret")
			c.heard, c.seq = nil, 0
			u := mysqlwire.ChangeUser{User: row.user, Answer: c.answer(row.password), Schema: "s2", Collation: 303, Plugin: c.plugin}
			done := make(chan outcome, 1)
			go func() {
				again, err := a.ChangeUser(context.Background(), client, u.Append(nil, client.Capabilities), 0)
				done <- outcome{again, err}
			}()
			c.seq = 1
			refused := c.goOn(row.password)
			wantSteps(t, c, row.want)
			o := <-done
			if refused != nil {
				if o.err == nil || o.client != nil {
					t.Errorf("%v, but %+v", refused, o)
				}
				continue
			}
			if o.err != nil || o.client.Login.User != row.user || o.client.Login.Schema != "s2" || o.client.Login.Collation != 303 ||
				o.client.Primary == client.Primary || o.client.Conn != client.Conn {
				t.Errorf("got %+v %v", o.client, o.err)
			}
		}
	})
}

// Ensure that a client that leaves its answer out is asked for it, as a server would: MySQL's library always does.
func TestChangeUserWithoutAnswer(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		p := newPrimary()
		p.passwords["other"], p.passwords["third"] = "geheim", "geheim"
		a := newAdmission(t, p)
		for _, row := range []struct {
			user, password string
			mariaDB        bool
			want           string
		}{
			{"app", "secret", true, "switch ok"},
			{"other", "geheim", true, "switch switch full key ok"},
			{"other", "geheim", true, "switch ok"},
			{"open", "", true, "switch switch ok"},
			{"other", "wrong", true, "switch switch full key error"},
			{"open", "", false, "switch ok"},
			{"other", "geheim", false, "switch fast ok"},
			{"third", "geheim", false, "switch full key ok"},
			{"other", "wrong", false, "switch full key error"},
		} {
			c, client := mustLogin(t, a, "app", "secret")
			c.heard, c.seq = nil, 1
			client.Primary.MariaDB = row.mariaDB
			u := mysqlwire.ChangeUser{User: row.user, Plugin: mysqlwire.PluginCachingSHA2}
			done := make(chan error, 1)
			go func() {
				_, err := a.ChangeUser(context.Background(), client, u.Append(nil, client.Capabilities), 0)
				done <- err
			}()
			refused := c.goOn(row.password)
			wantSteps(t, c, row.want)
			if err := <-done; (err == nil) != (refused == nil) {
				t.Errorf("%s: %v here, %v there", row.user, err, refused)
			}
		}
	})
}

// Ensure that the end of the proxy ends a login.
func TestLoginEndsWithItsContext(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		a := newAdmission(t, newPrimary())
		ctx, cancel := context.WithCancel(context.Background())
		ours, theirs := net.Pipe()
		defer func() { _ = ours.Close(); _ = theirs.Close() }()
		done := make(chan outcome, 1)
		go func() {
			client, err := a.Login(ctx, ours, Hello{Capabilities: everything})
			done <- outcome{client, err}
		}()
		c := &rawClient{t: t, conn: theirs}
		c.hello()
		start := time.Now()
		cancel()
		if got := mysqlwire.ParseError(c.read()); got.Code != 1053 {
			t.Errorf("got %v", got)
		}
		mustEnd(t, done, FaultProxy)
		if got := time.Since(start); got != 0 {
			t.Errorf("it took %v", got)
		}
	})
}

// Ensure that the time limit of the login ends with it.
func TestLoginLeavesNoDeadline(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		c, client := mustLogin(t, newAdmission(t, newPrimary()), "open", "")
		<-time.After(2 * DefaultConnectTimeout)
		go func() { _, _ = c.conn.Write([]byte{1}) }()
		if _, err := io.ReadFull(client, make([]byte, 1)); err != nil {
			t.Error(err)
		}
	})
}

// Ensure that io errors are told apart for the log.
func TestLoginErrorText(t *testing.T) {
	e := &LoginError{User: "x\ny", Err: io.EOF, Fault: FaultClient}
	if got := e.Error(); got != `login of "x\ny": EOF` || !errors.Is(e, io.EOF) {
		t.Errorf("got %s", got)
	}
	if got := (&LoginError{Err: io.EOF}).Error(); got != "login: EOF" {
		t.Errorf("got %s", got)
	}
	for fault, want := range map[Fault]string{FaultClient: "client", FaultBackend: "backend", FaultProxy: "proxy", 0: "unknown"} {
		if fault.String() != want {
			t.Errorf("got %s, want %s", fault, want)
		}
	}
}
