package main

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/spf13/pflag"

	"github.com/stickyproxy/stickyproxy/backend"
	"github.com/stickyproxy/stickyproxy/proxy"
	"github.com/stickyproxy/stickyproxy/router"
)

// testEnvironment has the password of the monitor and one that is empty.
func testEnvironment(name string) (string, bool) {
	value, ok := map[string]string{monitorPasswordVariable: "from the environment", "EMPTY": "", "BATCH_PASSWORD": "x"}[name]
	return value, ok
}

// writeFile makes a file that only its owner can read.
func writeFile(t *testing.T, path, content string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

// load reads a configuration file with this content, and flags. Without content
// there is no file. The folder's name is taken out of errors.
func load(t *testing.T, content string, args ...string) (*Config, error) {
	t.Helper()
	dir := t.TempDir()
	if content != "" {
		path := filepath.Join(dir, "f.yaml")
		writeFile(t, path, content)
		args = append(args, "--config", path)
	}
	return loadIn(t, dir, args...)
}

// loadIn is load with a file that is in dir already.
func loadIn(t *testing.T, dir string, args ...string) (*Config, error) {
	t.Helper()
	set := pflag.NewFlagSet("test", pflag.ContinueOnError)
	set.SetOutput(io.Discard)
	flags := addServeFlags(set)
	if err := set.Parse(args); err != nil {
		t.Fatal(err)
	}
	c, err := loadConfig(flags, testEnvironment)
	if err != nil {
		err = fmt.Errorf("%s", strings.ReplaceAll(err.Error(), dir+"/", ""))
	}
	return c, err
}

// mustLoad is load where nothing is wrong.
func mustLoad(t *testing.T, content string, args ...string) *Config {
	t.Helper()
	c, err := load(t, content, args...)
	if err != nil {
		t.Fatalf("got error %v, want none", err)
	}
	return c
}

// summary shows what matters of a Config in one line.
func summary(c *Config) string {
	var b strings.Builder
	for _, l := range c.Listeners {
		fmt.Fprintf(&b, "listen %s %s; ", l.Address, l.Mode)
	}
	fmt.Fprintf(&b, "primary %s; ", c.Primary.Address)
	for _, r := range c.Replicas {
		fmt.Fprintf(&b, "replica %s %d %q; ", r.Address, r.Weight, r.Zone)
	}
	fmt.Fprintf(&b, "%s %s %s", c.Consistency.Mode, c.Consistency.Window, c.Consistency.MaxLag)
	if c.Monitor != nil {
		fmt.Fprintf(&b, "; monitor %s %q", c.Monitor.Name, c.Monitor.Password)
	}
	return b.String()
}

func TestConfig(t *testing.T) {
	for _, row := range []struct {
		name, file string
		flags      []string
		want       string
	}{
		{
			"flags alone", "", []string{"--primary", "p", "--replica", "a", "--replica", "b:3307"},
			`listen 127.0.0.1:6033 auto; primary p:3306; replica a:3306 1 ""; replica b:3307 1 ""; auto 15s 30s`,
		},
		{
			"file alone", "listen: :6000\nprimary: P:1\nreplicas: [a, {address: b, weight: 3, zone: west}]\n", nil,
			`listen :6000 auto; primary p:1; replica a:3306 1 ""; replica b:3306 3 "west"; auto 15s 30s`,
		},
		{
			"flags win", "listen: :6000\nprimary: p\nreplicas: [a, b]\nconsistency: {mode: gtid, window: 2s}\n",
			[]string{"--primary", "q", "--replica", "c", "--listen", "unix:/s", "--listen", "[::1]", "--mode", "window", "--window", "1m", "--max-lag", "1s"},
			`listen unix:/s window; listen [::1]:6033 window; primary q:3306; replica c:3306 1 ""; window 1m0s 1s`,
		},
		{
			"a listener has its own mode", "primary: p\nlisteners:\n- address: :1\n- {address: :2, mode: eventual, scope: session}\nconsistency:\n  mode: gtid\n", nil,
			`listen :1 gtid; listen :2 eventual; primary p:3306; gtid 15s 30s`,
		},
		{
			"monitor by flag", "", []string{"--primary", "p", "--monitor-user", "m"},
			`listen 127.0.0.1:6033 auto; primary p:3306; auto 15s 30s; monitor m "from the environment"`,
		},
		{
			"the flag replaces the file's monitor", "primary: p\nmonitor: {user: x, password_env: NONE}", []string{"--monitor-user", "m"},
			`listen 127.0.0.1:6033 auto; primary p:3306; auto 15s 30s; monitor m "from the environment"`,
		},
		{
			"monitor without a source of the password", "primary: p\nmonitor: {user: m}", nil,
			`listen 127.0.0.1:6033 auto; primary p:3306; auto 15s 30s; monitor m "from the environment"`,
		},
		{
			"an empty password is a password", "primary: p\nmonitor: {user: m, password_env: EMPTY}", nil,
			`listen 127.0.0.1:6033 auto; primary p:3306; auto 15s 30s; monitor m ""`,
		},
		{
			"an empty file and comments", "# nothing\n\n", []string{"--primary", "p"},
			`listen 127.0.0.1:6033 auto; primary p:3306; auto 15s 30s`,
		},
		{
			"waiting and the whole fleet", "primary: unix:/run/mysqld/mysqld.sock\nconsistency: {scope: fleet, wait: 20ms}", nil,
			`listen 127.0.0.1:6033 auto; primary unix:/run/mysqld/mysqld.sock; auto 15s 30s`,
		},
		{
			"two listeners on a port of the system's choice", "", []string{"--primary", "p", "--listen", "127.0.0.1:0", "--listen", "127.0.0.1:0"},
			`listen 127.0.0.1:0 auto; listen 127.0.0.1:0 auto; primary p:3306; auto 15s 30s`,
		},
	} {
		t.Run(row.name, func(t *testing.T) {
			if got := summary(mustLoad(t, row.file, row.flags...)); got != row.want {
				t.Errorf("got  %s\nwant %s", got, row.want)
			}
		})
	}
}

func TestConfigOfEverythingElse(t *testing.T) {
	c := mustLoad(t, `
primary: {address: p, tls: required, send_proxy_protocol: true}
admin: ":7000"
drain_timeout: 0s
connect_timeout: 250ms
max_connections: 1_000
log: {level: debug, format: json}
tls: {required: true}
local_infile: false
users:
  - {name: a, password: ""}
  - {name: b, password: "se#cret", mode: gtid}
  - {name: c, mode: primary, scope: global, wait: 50ms}
`)
	if got, want := c.Admin, "127.0.0.1:7000"; got != want {
		t.Errorf("admin: got %s, want %s", got, want)
	}
	if c.DrainTimeout != 0 || c.ConnectTimeout != 250*time.Millisecond || c.MaxConnections != 1000 {
		t.Errorf("limits: got %v %v %d", c.DrainTimeout, c.ConnectTimeout, c.MaxConnections)
	}
	if c.Log.Level.String() != "DEBUG" || !c.Log.JSON || !c.Listeners[0].TLS.Required {
		t.Errorf("log and tls: got %+v %+v", c.Log, c.Listeners[0].TLS)
	}
	if got, want := fmt.Sprint(c.Users), "map[a: b:se#cret]"; got != want {
		t.Errorf("users: got %s, want %s", got, want)
	}
	if b, d := c.Own["b"], c.Own["c"]; len(c.Own) != 2 || *b.Mode != router.GTID || b.Scope != nil || *d.Mode != router.PrimaryOnly || *d.Scope != proxy.ScopeGlobal || *d.Wait != 50*time.Millisecond {
		t.Errorf("what users have of their own: got %+v and %+v", b, d)
	}
	if got, want := sessionWindow(c), c.Consistency.Window+c.Consistency.MaxLag; got != want {
		t.Errorf("the times of writes matter for %s, want %s because of b", got, want)
	}
	if server, err := c.Primary.backend(); err != nil || server.TLS.Mode != backend.TLSRequired || !server.SendProxyProtocol {
		t.Errorf("the primary: got %+v, %v", server, err)
	}
	if c.LocalInfile {
		t.Error("local_infile: got true")
	}
}

func TestFlagsOfEverythingElse(t *testing.T) {
	c := mustLoad(t, "admin: 0.0.0.0\nprimary: p", "--admin", ":0", "--drain-timeout", "1s", "--connect-timeout", "2s",
		"--max-connections", "7", "--log-level", "error", "--log-format", "json", "--mode", "primary")
	got := fmt.Sprint(c.Admin, " ", c.DrainTimeout, c.ConnectTimeout, c.MaxConnections, c.Log, c.Consistency.Mode == router.PrimaryOnly)
	if want := "127.0.0.1:0 1s 2s 7 {ERROR true} true"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestServerTLS(t *testing.T) {
	for _, row := range []struct{ name, tls, want string }{
		{"as clients say it", "verify-identity", "verify-identity  roots=false own=0"},
		{"nothing but defaults", "{}", "as-client  roots=false own=0"},
		{"another name", "{mode: verify-identity, server_name: q}", "verify-identity q roots=false own=0"},
		{"own certificates", "{mode: verify-ca, ca: cert.pem}", "verify-ca  roots=true own=0"},
		{"a certificate of ours", "{cert: cert.pem, key: key.pem}", "as-client  roots=false own=1"},
	} {
		t.Run(row.name, func(t *testing.T) {
			dir := t.TempDir()
			writeCertificate(t, dir)
			writeFile(t, filepath.Join(dir, "f.yaml"), "primary: {address: 'p:3306', tls: "+row.tls+"}")
			c, err := loadIn(t, dir, "--config", filepath.Join(dir, "f.yaml"))
			if err != nil {
				t.Fatal(err)
			}
			server, err := c.Primary.backend()
			if err != nil {
				t.Fatal(err)
			}
			got := fmt.Sprintf("%v %s roots=%t own=%d", server.TLS.Mode, server.TLS.ServerName, server.TLS.Roots != nil, len(server.TLS.Certificates))
			if got != row.want {
				t.Errorf("got %q, want %q", got, row.want)
			}
		})
	}
}

func TestProxyProtocol(t *testing.T) {
	c := mustLoad(t, `
primary: p
listeners:
  - {address: ":1", proxy_protocol: {from: [10.0.0.0/8, 192.0.2.7, "2001:db8::/32"]}}
  - address: ":2"
`)
	if got, want := fmt.Sprint(c.Listeners[0].From, c.Listeners[1].From), "[10.0.0.0/8 192.0.2.7/32 2001:db8::/32] []"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestSetAddress(t *testing.T) {
	for _, row := range []struct{ in, want string }{
		{"localhost", "localhost:99"},
		{"LocalHost:7", "localhost:7"},
		{":7", "d:7"},
		{"10.0.0.1:0007", "10.0.0.1:7"},
		{"[::1]", "[::1]:99"},
		{"[0:0::1]:7", "[::1]:7"},
		{"unix:/run//x/../s.sock", "unix:/run/s.sock"},
		{"", "error: the address is empty; write host:port or unix:/path"},
		{"::1", `error: "::1" looks like IPv6; write it in brackets, like [::1]:3306`},
		{"a:b:c", `error: "a:b:c" looks like IPv6; write it in brackets, like [::1]:3306`},
		{"[::1", `error: "[::1" is not an IPv6 address; write [::1]:3306`},
		{"[::1]7", `error: "[::1]7" is not an IPv6 address; write [::1]:3306`},
		{"[::1]:", `error: "[::1]:" is not an IPv6 address; write [::1]:3306`},
		{"[10.0.0.1]:7", `error: "[10.0.0.1]:7" is not an IPv6 address; write [::1]:3306`},
		{"a:", `error: "a:" ends with a colon; add the port or take the colon away`},
		{"a:mysql", `error: "a:mysql" has no usable port; use a number from 1 to 65535`},
		{"a:65536", `error: "a:65536" has no usable port; use a number from 1 to 65535`},
		{"a:-1", `error: "a:-1" has no usable port; use a number from 1 to 65535`},
		{"mysql://a", `error: "mysql://a" is not an address; write host:port, [IPv6]:port or unix:/path`},
		{"a b", `error: "a b" is not an address; write host:port, [IPv6]:port or unix:/path`},
		{"unix:s.sock", "error: unix:s.sock needs a path from the root; write unix:/path"},
		{"unix:/" + strings.Repeat("x", 101), "error: the path of the socket has 102 bytes; use at most 101"},
	} {
		t.Run(row.in, func(t *testing.T) {
			got, err := parseAddress(row.in, "d", 99)
			if err != nil {
				got = "error: " + err.Error()
			}
			if got != row.want {
				t.Errorf("got %s, want %s", got, row.want)
			}
			if err == nil {
				if again, err := parseAddress(got, "", 0); again != got || err != nil {
					t.Errorf("parsed again: got %s, %v; want the same", again, err)
				}
			}
		})
	}
}

// writeCertificate puts cert.pem and key.pem into dir.
func writeCertificate(t *testing.T, dir string) {
	t.Helper()
	cert, key := certificatePEM(t)
	writeFile(t, filepath.Join(dir, "cert.pem"), cert)
	writeFile(t, filepath.Join(dir, "key.pem"), key)
}
