package backend

import (
	"bytes"
	"errors"
	"net"
	"path/filepath"
	"strings"
	"testing"

	"github.com/go-mysql-org/go-mysql/mysql"
	"github.com/pires/go-proxyproto"

	"github.com/stickyproxy/stickyproxy/mysqlwire"
)

// Ensure that an account that only its own client can log in to is told from one with a wrong password, and that
// MariaDB's other plugins of the account get their turn.
func TestPluginsThatNeedTheClient(t *testing.T) {
	const mariaDB = allCaps &^ mysqlwire.CapLongPassword
	for _, row := range []struct {
		name  string
		caps  mysqlwire.Capability
		serve func(*fakeConn)
		want  string // "" for a login, "denied" for the server's refusal, else the plugin that is named
	}{
		{"Kerberos", allCaps, func(c *fakeConn) { switchTo(c, "authentication_kerberos_client", testSalt) }, "authentication_kerberos_client"},
		{"dialog", mariaDB, func(c *fakeConn) {
			if len(switchTo(c, "dialog", nil)) == 0 {
				c.err(mysql.ER_ACCESS_DENIED_ERROR, "denied")
			}
		}, "dialog"},
		{"dialog that goes on", mariaDB, func(c *fakeConn) {
			switchTo(c, "dialog", nil)
			c.send([]byte("\x04Password:"))
			if answer := c.recv(); len(answer) > 0 && !bytes.Contains(answer, []byte(testPassword)) {
				c.err(mysql.ER_ACCESS_DENIED_ERROR, "denied")
			}
		}, "dialog"},
		{"dialog that never ends", mariaDB, func(c *fakeConn) {
			switchTo(c, "dialog", nil)
			for range maxLoginTurns {
				c.send([]byte("\x04Password:"))
				c.recv()
			}
		}, "dialog"},
		{"dialog that asks for nothing", mariaDB, func(c *fakeConn) {
			switchTo(c, "dialog", nil)
			c.ok()
		}, "dialog"},
		{"dialog or a password", mariaDB, func(c *fakeConn) {
			switchTo(c, "dialog", nil)
			if mysqlwire.CheckNative(switchTo(c, mysqlwire.PluginNative, testSalt), testSalt, testPassword) {
				c.ok()
				c.setUp()
			}
		}, ""},
		{"dialog or a password, which is wrong", mariaDB, func(c *fakeConn) {
			switchTo(c, "dialog", nil)
			switchTo(c, mysqlwire.PluginNative, testSalt)
			c.err(mysql.ER_ACCESS_DENIED_ERROR, "denied")
		}, "denied"},
		{"the password in clear", allCaps, func(c *fakeConn) { switchTo(c, mysqlwire.PluginClear, nil) }, "mysql_clear_password"},
	} {
		t.Run(row.name, func(t *testing.T) {
			f := startFake(t, func(c *fakeConn) {
				if c.greet(mysqlwire.PluginNative, row.caps) {
					row.serve(c)
					c.hold()
				}
			})
			c, err := f.server(ServerConfig{}).Connect(t.Context(), Login{User: testUser, Password: testPassword})
			if err == nil {
				defer c.Close()
			}
			var account *AccountError
			switch {
			case row.want == "":
				if err != nil {
					t.Error(err)
				}
			case row.want == "denied":
				if got := refusal(t, err); got.Code != mysql.ER_ACCESS_DENIED_ERROR {
					t.Errorf("got %v", got)
				}
			case !errors.As(err, &account) || !strings.Contains(account.Why, row.want) || strings.Contains(account.Error(), "127.0.0.1"):
				t.Errorf("got %v, want an error that names %s", err, row.want)
			}
		})
	}
}

// Ensure that a login with an expired password ends in a connection that is good for a new password.
func TestExpiredPassword(t *testing.T) {
	for _, row := range []struct {
		name   string
		tracks bool // the server still lets trackers be set
	}{{"MySQL", false}, {"MariaDB", true}} {
		t.Run(row.name, func(t *testing.T) {
			f := startFake(t, func(c *fakeConn) {
				if !c.greet(mysqlwire.PluginNative, allCaps) {
					return
				}
				c.ok()
				for {
					q := c.command()
					if q == "" {
						return
					}
					if row.tracks && strings.HasPrefix(q, "SET SESSION session_track") {
						c.ok()
					} else {
						c.err(mysql.ER_MUST_CHANGE_PASSWORD, "You must reset your password")
					}
				}
			})
			c := connect(t, f.server(ServerConfig{}), Login{User: testUser, Password: testPassword, Capabilities: mysqlwire.CapExpiredPasswords})
			if !c.Expired || c.Tracked || c.Incarnation != "" || !c.Alive() {
				t.Errorf("connection: %+v", c)
			}
		})
	}
}

// Ensure that a collation that has no room in a login is set after it, and that one that the server does not know is no
// reason to refuse a client.
func TestWideCollation(t *testing.T) {
	for _, known := range []bool{true, false} {
		f := startFake(t, func(c *fakeConn) {
			if !c.greet(mysqlwire.PluginNative, allCaps) {
				return
			}
			c.ok()
			for _, want := range []string{"SET collation_connection=305", "SET character_set_client="} {
				if q := c.command(); !strings.HasPrefix(q, want) || c.login.Collation != 255 {
					return
				}
				if known {
					c.ok()
				} else {
					c.err(mysql.ER_UNKNOWN_COLLATION, "Unknown collation: '305'")
				}
			}
			c.setUp()
			c.hold()
		})
		if c := connect(t, f.server(ServerConfig{}), Login{User: testUser, Password: testPassword, Collation: 305}); c.Collation != 305 {
			t.Errorf("got collation %d", c.Collation)
		}
	}
}

// Ensure that nobody is let in because of the user of the operating system that we run as.
func TestOwnSocket(t *testing.T) {
	for _, row := range []struct {
		name, definition string
		client, fails    bool
	}{
		{"password", "CREATE USER `app`@`%` IDENTIFIED BY PASSWORD '*00'", true, false},
		{"MariaDB", "CREATE USER `root`@`localhost` IDENTIFIED VIA mysql_native_password USING 'invalid' OR unix_socket", true, true},
		{"MySQL", "CREATE USER `root`@`localhost` IDENTIFIED WITH 'auth_socket' AS 'root'", true, true},
		{"nobody may know", "", true, true},
		{"our own login", "", false, false},
	} {
		t.Run(row.name, func(t *testing.T) {
			l, err := net.Listen("unix", filepath.Join(t.TempDir(), "s"))
			if err != nil {
				t.Fatal(err)
			}
			f := startFakeOn(t, l, func(c *fakeConn) {
				if !c.greet(mysqlwire.PluginNative, allCaps) {
					return
				}
				c.ok()
				if row.client && c.command() != "SHOW CREATE USER CURRENT_USER()" {
					return
				}
				switch {
				case row.definition != "":
					c.rows("CREATE USER", row.definition)
				case row.client:
					c.err(mysql.ER_ACCESS_DENIED_ERROR, "denied")
				}
				if row.client {
					if c.command() != endOwner {
						return
					}
					c.ok()
				}
				c.setUp()
				c.hold()
			})
			login := Login{User: testUser, Password: testPassword}
			if row.client {
				login.From.Remote = &net.TCPAddr{IP: net.IPv4(10, 0, 0, 1), Port: 7}
			}
			c, err := f.server(ServerConfig{}).Connect(t.Context(), login)
			if err == nil {
				defer c.Close()
			}
			if (err != nil) != row.fails {
				t.Errorf("got %v, want an error: %v", err, row.fails)
			}
		})
	}
}

// Ensure that a server is told for whom a connection is, before all else.
func TestSendProxyProtocol(t *testing.T) {
	client := &net.TCPAddr{IP: net.IPv4(10, 0, 0, 1).To4(), Port: 7}
	local := &net.TCPAddr{IP: net.IPv4(10, 0, 0, 2).To4(), Port: 6033}
	for _, row := range []struct {
		name string
		from Peer
		want *proxyproto.Header
	}{
		{"a client", Peer{client, local}, proxyproto.HeaderProxyFromAddrs(2, client, local)},
		{"ourselves", Peer{}, &proxyproto.Header{Version: 2, Command: proxyproto.LOCAL}},
	} {
		t.Run(row.name, func(t *testing.T) {
			heard := make(chan []byte, 1)
			want, err := row.want.Format()
			if err != nil {
				t.Fatal(err)
			}
			f := startFake(t, func(c *fakeConn) {
				head := make([]byte, len(want))
				_, _ = c.Read(head)
				heard <- head
				c.welcome()
				c.hold()
			})
			connect(t, f.server(ServerConfig{SendProxyProtocol: true}), Login{User: testUser, Password: testPassword, From: row.from})
			if got := <-heard; !bytes.Equal(got, want) {
				t.Errorf("got %q, want %q", got, want)
			}
		})
	}
}

func TestTLSModes(t *testing.T) {
	for m := TLSAsClient; m <= TLSVerifyIdentity; m++ {
		if got, err := ParseTLSMode(m.String()); err != nil || got != m {
			t.Errorf("%v: got %v, %v", m, got, err)
		}
	}
	if _, err := ParseTLSMode("yes"); err == nil {
		t.Error("there is no mode yes")
	}
	for _, c := range []ServerConfig{
		{Address: "unix:/s", TLS: TLS{Mode: TLSVerifyIdentity}},
		{Address: "h:1", TLS: TLS{Mode: 99}},
	} {
		if err := c.Validate(); err == nil {
			t.Errorf("%+v is possible", c)
		}
	}
}

func TestCloseOfNothing(t *testing.T) {
	if err := new(Conn).Close(); err != nil {
		t.Error(err)
	}
}
