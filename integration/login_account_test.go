package integration

import (
	"context"
	"crypto/tls"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strings"
	"testing"

	"github.com/pires/go-proxyproto"

	"github.com/stickyproxy/stickyproxy/backend"
	"github.com/stickyproxy/stickyproxy/internal/mysqltest"
	"github.com/stickyproxy/stickyproxy/internal/mysqltest/clustertest"
	"github.com/stickyproxy/stickyproxy/mysqlwire"
	"github.com/stickyproxy/stickyproxy/proxy"
)

// loginPlugins are the accounts of each plugin that takes a password and that the lab's servers have.
func loginPlugins(e mysqltest.Engine) map[string]string {
	if e == mysqltest.MySQL {
		return map[string]string{
			"by_caching": "CREATE USER by_caching IDENTIFIED WITH caching_sha2_password BY PW",
			"by_sha256":  "CREATE USER by_sha256 IDENTIFIED WITH sha256_password BY PW",
		}
	}
	accounts := map[string]string{
		"by_native":  "CREATE USER by_native IDENTIFIED VIA mysql_native_password USING PASSWORD(PW)",
		"by_ed25519": "CREATE USER by_ed25519 IDENTIFIED VIA ed25519 USING PASSWORD(PW)",
		"by_second":  "CREATE USER by_second IDENTIFIED VIA ed25519 USING PASSWORD('other') OR mysql_native_password USING PASSWORD(PW)",
		"by_first":   "CREATE USER by_first IDENTIFIED VIA ed25519 USING PASSWORD(PW) OR mysql_native_password USING PASSWORD('other')",
		"by_socket":  "CREATE USER by_socket IDENTIFIED VIA unix_socket OR mysql_native_password USING PASSWORD(PW)",
	}
	if newerMariaDB() {
		accounts["by_parsec"] = "CREATE USER by_parsec IDENTIFIED VIA parsec USING PASSWORD(PW)"
	}
	return accounts
}

// The accounts of the MariaDB of Debian's next suite, in a process of its own: the suite is a setting of the process.
func TestNewerMariaDBLogins(t *testing.T) {
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestLoginPlugins$/mariadb/password", "-test.count=1")
	cmd.Env = append(os.Environ(), "STICKYPROXY_MARIADB_SUITE=trixie")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

// An account logs in whatever its plugin, over plain TCP, TLS and a unix socket, whichever way the proxy takes to the
// server, and the second time by the fast way. A wrong password is one for every plugin.
func TestLoginPlugins(t *testing.T) {
	clustertest.EachEngine(t, func(t *testing.T, e mysqltest.Engine) {
		c, own := loginLab(t, e)
		t.Run("password", func(t *testing.T) { loginByPlugin(t, c) })
		t.Run("own client", func(t *testing.T) { loginNeedsClient(t, c) })
		t.Run("operating system", func(t *testing.T) { loginByOwnSocket(t, c) })
		t.Run("TLS", func(t *testing.T) { loginRequiresTLS(t, c, own) })
		if e == mysqltest.MariaDB {
			t.Run("old password", func(t *testing.T) { loginByOldPassword(t, c) })
			t.Run("PROXY protocol", func(t *testing.T) { loginBehindLoadBalancer(t, c) })
		}
	})
}

func loginByPlugin(t *testing.T, c *mysqltest.Cluster) {
	shared := startRig(t, c, offerTLS(t))
	socket := shared.socket()
	for user, statement := range loginPlugins(c.Engine()) {
		t.Run(user, func(t *testing.T) {
			p := *shared
			p.t = t
			encrypted := overTLS(t, nil)
			p.accounts(statement)
			a := loginAccount(user)
			if got := p.mustEnter(a); got != fullLogin {
				t.Errorf("the first login took %d packets, want %d", got, fullLogin)
			}
			if got := p.mustEnter(a); got != fastLogin {
				t.Errorf("the second login took %d packets, want %d", got, fastLogin)
			}
			p.root("FLUSH PRIVILEGES") // the server forgets what it has seen of passwords
			for _, way := range []struct{ network, addr, parameters string }{
				{"tcp", p.addr, encrypted}, {"unix", socket, ""}, {"tcp", p.addr, ""},
			} {
				if got, err := p.withDriver(way.network, way.addr, a, "SELECT CURRENT_USER()", way.parameters); err != nil || got != user+"@%" {
					t.Errorf("over %s %s: got %q, %v", way.network, way.parameters, got, err)
				}
			}
			_, _, refused := p.attempt(p.addr, mysqltest.Account{User: user, Password: "wrong"}, loginCaps, "")
			if refused == nil || refused.Code != 1045 {
				t.Errorf("got %v, want error 1045", refused)
			}
		})
	}
}

// socket lets the proxy listen on a unix socket too, until the test ends, which ends the proxy.
func (p *rig) socket() string {
	p.t.Helper()
	dir, err := os.MkdirTemp("", "sp") // t.TempDir may be too long for a socket
	if err != nil {
		p.t.Fatal(err)
	}
	p.t.Cleanup(func() { _ = os.RemoveAll(dir) })
	addr := p.serve("unix", filepath.Join(dir, "s"))
	p.t.Cleanup(func() { _ = p.proxy.Shutdown(context.Background()) })
	return addr
}

// osUser is the user of the operating system that this test runs as.
func osUser(t testing.TB) string {
	t.Helper()
	u, err := user.Current()
	if err != nil {
		t.Fatal(err)
	}
	return u.Username
}

// offerTLS lets the proxy offer TLS to clients.
func offerTLS(t testing.TB) func(*setup) {
	t.Helper()
	certificate, err := proxy.SelfSigned()
	if err != nil {
		t.Fatal(err)
	}
	return func(s *setup) { s.policy.TLS = proxy.ServerTLS(certificate, nil) }
}

// An account that only its own client can log in to gets an error that says so, unless it has another plugin too.
func loginNeedsClient(t *testing.T, c *mysqltest.Cluster) {
	if c.Engine() == mysqltest.MySQL {
		t.Log("MySQL's plugins of that kind are not in Debian's package")
		return
	}
	p := startRig(t, c)
	p.accounts("CREATE USER by_pam IDENTIFIED VIA pam", "CREATE USER by_rest IDENTIFIED VIA pam OR mysql_native_password USING PASSWORD(PW)")
	p.mustEnter(loginAccount("by_rest"))
	_, _, refused := p.attempt(p.addr, loginAccount("by_pam"), loginCaps, "")
	if refused == nil || refused.Code != 1251 || !strings.Contains(refused.Message, "'dialog'") || strings.Contains(refused.Message, "127.0.0.1") {
		t.Errorf("got %v", refused)
	}
}

// An account with the plugin of MySQL before 4.1 logs in where nobody listens to what the proxy says to the server.
func loginByOldPassword(t *testing.T, c *mysqltest.Cluster) {
	overSocket := startRig(t, c, func(s *setup) { s.fleet.Primary.Address = "unix:" + c.Primary.Socket() })
	overTCP := startRig(t, c)
	overTCP.root("SET GLOBAL secure_auth = 0")
	t.Cleanup(func() {
		if _, err := c.Primary.Exec(context.Background(), "SET GLOBAL secure_auth = 1"); err != nil {
			t.Error(err)
		}
	})
	overTCP.accounts("CREATE USER by_old IDENTIFIED VIA mysql_old_password USING PASSWORD(PW)")
	overSocket.mustEnter(loginAccount("by_old"))
	if got := overSocket.mustEnter(loginAccount("by_old")); got != fastLogin {
		t.Errorf("the second login took %d packets, want %d", got, fastLogin)
	}
	_, _, refused := overSocket.attempt(overSocket.addr, mysqltest.Account{User: "by_old", Password: "wrong"}, loginCaps, "")
	if refused == nil || refused.Code != 1045 {
		t.Errorf("got %v, want error 1045", refused)
	}
	_, _, refused = overTCP.attempt(overTCP.addr, loginAccount("by_old"), loginCaps, "")
	if refused == nil || refused.Code != 1251 || !strings.Contains(refused.Message, "mysql_old_password") {
		t.Errorf("got %v, want error 1251", refused)
	}
}

// A server that is reached by a unix socket sees the user of the operating system that the proxy runs as. Nobody is let
// in for that, but for who has a password of his own.
func loginByOwnSocket(t *testing.T, c *mysqltest.Cluster) {
	p := startRig(t, c, func(s *setup) { s.fleet.Primary.Address = "unix:" + c.Primary.Socket() })
	name := osUser(t)
	me := mysqltest.Account{User: name, Password: "x"}
	if c.Engine() == mysqltest.MySQL {
		p.accounts("CREATE USER osuser@localhost IDENTIFIED WITH auth_socket AS '" + name + "'")
		me.User = "osuser"
	} else if name == "root" {
		p.root("ALTER USER root@localhost IDENTIFIED VIA unix_socket")
	} else {
		p.accounts("CREATE USER " + name + "@localhost IDENTIFIED VIA unix_socket")
	}
	if got, err := p.withDriver("unix", c.Primary.Socket(), me, "SELECT CURRENT_USER()", ""); err != nil || got != me.User+"@localhost" {
		t.Fatalf("directly: got %q, %v", got, err)
	}
	_, _, refused := p.attempt(p.addr, me, loginCaps, "")
	if refused == nil || refused.Code != 1251 || !strings.Contains(refused.Message, "unix_socket") {
		t.Errorf("got %v", refused)
	}
	p.mustEnter(c.App)
	if got := p.mustEnter(c.App); got != fastLogin {
		t.Errorf("a login with a password took %d packets, want %d", got, fastLogin)
	}
	p.root("SET GLOBAL autocommit=0") // a question of ours may begin a transaction then
	defer p.root("SET GLOBAL autocommit=1")
	if got, err := p.withDriver("tcp", p.addr, c.App, "SELECT @@autocommit", ""); err != nil || got != "0" {
		t.Errorf("where sessions begin with autocommit off: got %q, %v", got, err)
	}
}

// Accounts that REQUIRE SSL or X509 are for those who bring it: from a client without TLS the answer is the server's
// own. A certificate of the client ends at the proxy, which says so; one of the proxy's does instead.
func loginRequiresTLS(t *testing.T, c *mysqltest.Cluster, own tls.Certificate) {
	p := startRig(t, c, offerTLS(t))
	p.accounts("CREATE USER by_ssl IDENTIFIED BY PW REQUIRE SSL", "CREATE USER by_x509 IDENTIFIED BY PW REQUIRE X509")
	for _, user := range []string{"by_ssl", "by_x509"} {
		p.mustNotEnter(loginAccount(user), loginCaps, "")
	}
	plainTLS := overTLS(t, nil)
	ask := func(addr, user, parameters string) error {
		_, err := p.withDriver("tcp", addr, loginAccount(user), "SELECT 1", parameters)
		return err
	}
	if err := ask(p.addr, "by_ssl", plainTLS); err != nil {
		t.Errorf("with TLS: %v", err)
	}
	want := refusedBy(t, ask(p.cluster.Primary.Addr(), "by_x509", plainTLS))
	if got := refusedBy(t, ask(p.addr, "by_x509", plainTLS)); got.Number != want.Number || got.Message != want.Message {
		t.Errorf("without a certificate: got %v, directly %v", got, want)
	}
	t.Run("with a certificate", func(t *testing.T) {
		shown := overTLS(t, &own)
		if err := ask(p.cluster.Primary.Addr(), "by_x509", shown); err != nil {
			t.Fatalf("directly: %v", err)
		}
		if got := refusedBy(t, ask(p.addr, "by_x509", shown)); got.Number != 1045 || !strings.Contains(got.Message, "REQUIRE X509") {
			t.Errorf("got %v", got)
		}
		q := startRig(t, c, offerTLS(t), func(s *setup) {
			s.fleet.Primary.TLS = backend.TLS{Mode: backend.TLSVerifyIdentity, Roots: c.CertPool(), Certificates: []tls.Certificate{own}}
		})
		if _, err := q.withDriver("tcp", q.addr, loginAccount("by_x509"), "SELECT 1", shown); err != nil {
			t.Errorf("with a certificate of the proxy's: %v", err)
		}
	})
}

// A load balancer tells the proxy for whom a connection is, and the proxy tells the server.
func loginBehindLoadBalancer(t *testing.T, c *mysqltest.Cluster) {
	p := startRig(t, c, func(s *setup) {
		s.fleet.Primary.SendProxyProtocol = true
		s.policy.ProxyProtocol = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
	})
	p.accounts("CREATE USER far@'203.0.113.%' IDENTIFIED BY PW")
	for _, version := range []byte{1, 2} {
		client := dialRaw(t, p.addr)
		from := &net.TCPAddr{IP: net.IPv4(203, 0, 113, 9), Port: 1234}
		if _, err := proxyproto.HeaderProxyFromAddrs(version, from, client.conn.RemoteAddr()).WriteTo(client.conn); err != nil {
			t.Fatal(err)
		}
		if err := client.login(loginAccount("far"), plainCaps, ""); err != nil {
			t.Fatal(err)
		}
		if got, err := client.values(client.query("SELECT USER()")); err != nil || strings.Join(got, "") != "far@203.0.113.9" {
			t.Errorf("version %d: got %v, %v", version, got, err)
		}
	}
	p.mustNotEnter(loginAccount("far"), loginCaps, "") // who comes from here is from here
	if v, err := p.withDriver("tcp", p.addr, c.App, "SELECT USER()", ""); err != nil || v != c.App.User+"@127.0.0.1" {
		t.Errorf("without a header: got %q, %v", v, err)
	}
	socket := p.socket()
	if v, err := p.withDriver("unix", socket, c.App, "SELECT USER()", ""); err != nil {
		t.Errorf("on a unix socket: got %q, %v", v, err)
	}
	q := startRig(t, c)
	stranger := dialRaw(t, q.addr)
	if _, err := stranger.read(); err != nil {
		t.Fatal(err)
	}
	if _, err := stranger.conn.Write([]byte("PROXY TCP4 203.0.113.9 203.0.113.1 1 2\r\n")); err != nil {
		t.Fatal(err)
	}
	stranger.seq = 'X' + 1
	answer, _, err := mysqlwire.ReadPacket(stranger.conn, 1<<10)
	if err != nil || mysqlwire.ParseError(answer).Code != 1043 {
		t.Errorf("from an address that is not listed: got %q, %v", answer, err)
	}
}
