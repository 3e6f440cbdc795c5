package main

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestConfigErrors(t *testing.T) {
	for _, row := range []struct {
		name, file string
		flags      []string
		want       string
	}{
		// The form of the file.
		{"not YAML", "primary: [a\n", nil, `f.yaml:1:10: sequence end token ']' not found; it is not YAML as it stands`},
		{"a tab", "primary: p\n\tlisten: x\n", nil, "f.yaml:2:1: found character '\t' that cannot start any token; it is not YAML as it stands"},
		{"a key twice", "primary: p\nprimary: q\n", nil, `f.yaml:2:1: mapping key "primary" already defined at [1:1]; it is not YAML as it stands`},
		{"two documents", "primary: p\n---\nlisten: x\n", nil, "f.yaml:3:1: a second document begins here; put everything into one"},
		{"a list at the top", "- primary\n", nil, "f.yaml:1:1: it is a list; write keys and values, like name: value"},
		{"text at the top", "primary\n", nil, "f.yaml:1:1: it is text; write keys and values, like name: value"},
		{"an unknown key", "primary: p\nfoo: 1\n", nil, `f.yaml:2:1: unknown key "foo"; known here: listen, listeners, primary, replicas, consistency, overload, monitor, users, tls, admin, drain_timeout, connect_timeout, max_connections, local_infile, log`},
		{"a misspelt key", "primary: p\nreplica: [a]\n", nil, `f.yaml:2:1: unknown key "replica"; did you mean "replicas"?`},
		{"a misspelt key inside", "primary: p\nconsistency:\n  windows: 1s\n", nil, `f.yaml:3:3: unknown key "consistency.windows"; did you mean "window"?`},
		{"a key of another list", "primary: {address: p, weight: 2}\n", nil, `f.yaml:1:23: unknown key "primary.weight"; known here: address, tls, send_proxy_protocol`},
		{"a number as key", "primary: p\n1: 2\n", nil, `f.yaml:2:1: unknown key "1"; known here: listen, listeners, primary, replicas, consistency, overload, monitor, users, tls, admin, drain_timeout, connect_timeout, max_connections, local_infile, log`},
		{"a key without value", "primary:\n", nil, "f.yaml:1:1: primary: it has no value; give one or remove the key"},
		{"an element without value", "primary: p\nreplicas:\n  -\n", nil, "f.yaml:3:3: replicas[0]: it has no value; remove the dash"},
		{"an anchor", "primary: &x p\n", nil, "f.yaml:1:10: primary: it is an anchor or alias, which this file cannot have; write a single value"},
		{"a tag", "primary: !!str p\n", nil, "f.yaml:1:10: primary: it is a tag, which this file cannot have; write a single value"},

		// Values.
		{"a list for an address", "primary: [p]\n", nil, "f.yaml:1:10: primary: it is a list; write a single value"},
		{"text for a list", "primary: p\nreplicas: a\n", nil, "f.yaml:2:11: replicas: it is text; write a list, each element on a line that begins with a dash"},
		{"a server without host", "primary: ':3306'\n", nil, `f.yaml:1:10: primary: ":3306" has no host; write host:port`},
		{"a server with port 0", "primary: p:0\n", nil, `f.yaml:1:10: primary: "p:0" has port 0; use a number from 1 to 65535`},
		{"a bad port", "primary: p:x\n", nil, `f.yaml:1:10: primary: "p:x" has no usable port; use a number from 1 to 65535`},
		{"a bad listener", "primary: p\nlisten: a/b\n", nil, `f.yaml:2:9: listen: "a/b" is not an address; write host:port, [IPv6]:port or unix:/path`},
		{"a duration without unit", "primary: p\nconsistency: {window: 15}\n", nil, `f.yaml:2:23: consistency.window: "15" is not a duration; write a number and a unit, like 15s, 500ms or 2m`},
		{"a window of nothing", "primary: p\nconsistency: {window: 0s}\n", nil, "f.yaml:2:23: consistency.window: 0s is out of range; use 1ms to 24h0m0s"},
		{"a negative lag", "primary: p\nconsistency:\n  max_lag: -1s\n", nil, "f.yaml:3:12: consistency.max_lag: -1s is out of range; use 1ms to 24h0m0s"},
		{"a drain without end", "primary: p\ndrain_timeout: 48h\n", nil, "f.yaml:2:16: drain_timeout: 48h0m0s is out of range; use 0s to 24h0m0s"},
		{"no time to connect", "primary: p\nconnect_timeout: 0s\n", nil, "f.yaml:2:18: connect_timeout: 0s is out of range; use 1ms to 1h0m0s"},
		{"an unknown mode", "primary: p\nconsistency: {mode: strong}\n", nil, `f.yaml:2:21: consistency.mode: unknown mode "strong": want auto, window, gtid, eventual or primary`},
		{"an unknown mode of a listener", "primary: p\nlisteners: [{address: ':1', mode: x}]\n", nil, `f.yaml:2:35: listeners[0].mode: unknown mode "x": want auto, window, gtid, eventual or primary`},
		{"an unknown scope", "primary: p\nconsistency: {scope: world}\n", nil, `f.yaml:2:22: consistency.scope: unknown scope "world": want session, global or fleet`},
		{"a scope of a listener", "primary: p\nlisteners:\n- address: :1\n  scope: none\n", nil, `f.yaml:4:10: listeners[0].scope: unknown scope "none": want session, global or fleet`},
		{"a long wait", "primary: p\nconsistency: {wait: 2m}\n", nil, `f.yaml:2:21: consistency.wait: 2m0s is out of range; use 0s to 1m0s`},
		{"nobody on the primary", "primary: p\noverload: {reads: 0}\n", nil, `f.yaml:2:19: overload.reads: "0" is not possible; use a whole number from 1 to 1000000`},
		{"an unknown way out", "primary: p\noverload: {beyond: never}\n", nil, `f.yaml:2:20: overload.beyond: unknown setting "never": want wait, error or primary`},
		{"no connections", "primary: p\nmax_connections: 0\n", nil, `f.yaml:2:18: max_connections: "0" is not possible; use a whole number from 1 to 1000000`},
		{"half a connection", "primary: p\nmax_connections: 1.5\n", nil, `f.yaml:2:18: max_connections: "1.5" is not possible; use a whole number from 1 to 1000000`},
		{"a weight of nothing", "primary: p\nreplicas:\n- address: a\n  weight: 0\n", nil, `f.yaml:4:11: replicas[0].weight: "0" is not possible; use a whole number from 1 to 1000`},
		{"a zone that is a number", "primary: p\nreplicas:\n- {address: a, zone: 1}\n", nil, `f.yaml:3:22: replicas[0].zone: it is a number; put it in quotes to make it text`},
		{"a truth that is text", "primary: p\ntls: {required: yes}\n", nil, "f.yaml:2:17: tls.required: it is text; write true or false"},
		{"a log level", "primary: p\nlog: {level: loud}\n", nil, `f.yaml:2:14: log.level: "loud" is not a log level; use debug, info, warn or error`},
		{"a log format", "primary: p\nlog: {format: xml}\n", nil, `f.yaml:2:15: log.format: "xml" is not a log format; use text or json`},

		// What does not fit together.
		{"no primary", "listen: :1\n", nil, "f.yaml:1:1: primary: no primary is given; name the server that takes writes, host:port"},
		{"an empty file", "# nothing\n", nil, "f.yaml:1:1: primary: no primary is given; name the server that takes writes, host:port"},
		{"listen and listeners", "listen: :1\nprimary: p\nlisteners: [{address: ':2'}]\n", nil, "f.yaml:1:9: listen: listeners is given too, and listen is the short form of one listener; keep one of the two"},
		{"a listener without address", "primary: p\nlisteners:\n  - mode: auto\n", nil, "f.yaml:3:5: listeners[0]: it has no address; add address: host:port"},
		{"an address twice", "primary: p\nlisteners: [{address: 'a:1'}, {address: 'A:1'}]\n", nil, "f.yaml:2:41: listeners[1].address: a:1 is listed twice; remove one"},
		{"listening where a server is", "primary: a:1\nlisten: a:1\n", nil, "f.yaml:2:9: listen: a:1 is the address of a MySQL server; use another one, stickyproxy listens on 127.0.0.1:6033 if nothing is said"},
		{"admin where clients are", "primary: p\nadmin: 127.0.0.1:6033\n", nil, "f.yaml:2:8: admin: 127.0.0.1:6033 is where clients connect; use another port, 6034 if nothing is said"},
		{"a replica without address", "primary: p\nreplicas: [{weight: 2}]\n", nil, "f.yaml:2:12: replicas[0]: it has no address; add address: host:port"},
		{"the primary is a replica", "primary: p\nreplicas:\n  - a\n  - P:3306\n", nil, "f.yaml:4:5: replicas[1]: p:3306 is the primary too; remove it here, reads that no replica may serve go to the primary anyway"},
		{"a replica twice", "primary: p\nreplicas: [a, {address: 'a:3306'}]\n", nil, "f.yaml:2:25: replicas[1].address: a:3306 is listed twice; give one replica a weight instead"},
		{"a CA without effect", "primary: {address: p, tls: {ca: x}}\n", nil, "f.yaml:1:28: primary.tls: mode as-client leaves ca or server_name without effect; use mode verify-identity, or verify-ca without server_name"},
		{"a name without effect", "primary: {address: p, tls: {mode: verify-ca, server_name: x}}\n", nil, "f.yaml:1:28: primary.tls: mode verify-ca leaves ca or server_name without effect; use mode verify-identity, or verify-ca without server_name"},
		{"no TLS mode", "primary: {address: p, tls: true}\n", nil, `f.yaml:1:28: primary.tls: "true" is not a TLS mode; use as-client, disabled, preferred, required, verify-ca, verify-identity`},
		{"TLS to a socket", "primary: {address: 'unix:/s', tls: verify-identity}\n", nil, "f.yaml:1:36: primary.tls: server unix:/s: a unix socket has no host name to check; give a server name or use verify-ca"},
		{"no CA", "primary: {address: p, tls: {mode: verify-ca, ca: none.pem}}\n", nil, "f.yaml:1:28: primary.tls: ca cannot be read: open none.pem: no such file or directory; check the path"},
		{"a CA without certificate", "primary: {address: p, tls: {mode: verify-ca, ca: f.yaml}}\n", nil, "f.yaml:1:28: primary.tls: f.yaml has no certificate in PEM; name the file with the certificates to trust"},
		{"half a certificate of ours", "primary: {address: p, tls: {cert: x}}\n", nil, "f.yaml:1:28: primary.tls: cert and key go together; add the one that is missing"},
		{"a certificate without effect", "primary: {address: p, tls: {mode: disabled, cert: x, key: y}}\n", nil, "f.yaml:1:28: primary.tls: mode disabled leaves cert and key without effect; remove them or use another mode"},
		{"no CA for clients", "primary: p\ntls: {ca: none.pem}\n", nil, "f.yaml:2:6: tls: ca cannot be read: open none.pem: no such file or directory; check the path"},
		{"PROXY protocol from anywhere", "primary: p\nlisteners: [{address: ':1', proxy_protocol: {}}]\n", nil, "f.yaml:2:45: listeners[0].proxy_protocol: it has no from; add from: [10.0.0.0/8], the networks of the load balancers"},
		{"PROXY protocol from no network", "primary: p\nlisteners: [{address: ':1', proxy_protocol: {from: [everywhere]}}]\n", nil, "f.yaml:2:53: listeners[0].proxy_protocol.from[0]: it is not a network; write an address and the bits that count, like 10.0.0.0/8 or 10.1.2.3/32"},
		{"a network with more bits", "primary: p\nlisteners: [{address: ':1', proxy_protocol: {from: [10.1.2.3/8]}}]\n", nil, "f.yaml:2:53: listeners[0].proxy_protocol.from[0]: 10.1.2.3/8 has bits set behind the ones that count; write 10.0.0.0/8"},
		{"a certificate without key", "primary: p\ntls: {cert: c.pem}\n", nil, "f.yaml:2:6: tls: cert and key go together; add the one that is missing, or remove both to have a certificate made at the start"},
		{"a bad certificate", "primary: p\ntls: {cert: f.yaml, key: f.yaml}\n", nil, "f.yaml:2:6: tls: the certificate cannot be used: tls: failed to find any PEM data in certificate input; cert and key must be files in PEM that belong together"},

		// Accounts.
		{"a monitor without user", "primary: p\nmonitor: {password_env: EMPTY}\n", nil, "f.yaml:2:10: monitor: it has no user; add user: NAME, an account with REPLICATION CLIENT"},
		{"a monitor that is text", "primary: p\nmonitor: m\n", nil, "f.yaml:2:10: monitor: it is text; write keys and values, like name: value"},
		{"a monitor with a password", "primary: p\nmonitor: {user: m, password: x}\n", nil, `f.yaml:2:20: unknown key "monitor.password"; known here: user, password_file, password_env`},
		{"a variable that is not set", "primary: p\nmonitor:\n  user: m\n  password_env: NONE\n", nil, `f.yaml:4:17: monitor.password_env: the environment variable NONE with the password of "m" is not set; set it for this program`},
		{"two sources", "primary: p\nmonitor: {user: m, password_env: EMPTY, password_file: f.yaml}\n", nil, "f.yaml:2:56: monitor.password_file: the password is given twice; keep one of password, password_file and password_env"},
		{"no password file", "primary: p\nmonitor: {user: m, password_file: none}\n", nil, "f.yaml:2:35: monitor.password_file: none: it cannot be read: no such file or directory; check the path and the permissions"},
		{"a password file with more in it", "primary: p\nmonitor: {user: m, password_file: f.yaml}\n", nil, "f.yaml:2:35: monitor.password_file: f.yaml has more than one line; it must hold the password alone"},
		{"a user without name", "primary: p\nusers: [{password: x}]\n", nil, "f.yaml:2:9: users[0]: it has no name; add name: NAME, as the client logs in"},
		{"a user without password", "primary: p\nusers: [{name: u}]\n", nil, "f.yaml:2:9: users[0]: it has nothing; add password_file or password_env, or mode, scope or wait"},
		{"a user twice", "primary: p\nusers: [{name: u, password: x}, {name: u, password: y}]\n", nil, `f.yaml:2:33: users[1]: the user "u" is listed twice; remove one`},
		{"a user twice, without passwords", "primary: p\nusers: [{name: u, mode: window}, {name: u, scope: global}]\n", nil, `f.yaml:2:34: users[1]: the user "u" is listed twice; remove one`},
		{"a user with a mode that is none", "primary: p\nusers: [{name: u, mode: often}]\n", nil, `f.yaml:2:25: users[0].mode: unknown mode "often": want auto, window, gtid, eventual or primary`},
		{"a user with an unknown key", "primary: p\nusers: [{name: u, route: primary}]\n", nil, `f.yaml:2:19: unknown key "users[0].route"; known here: name, password, password_file, password_env, mode, scope, wait`},
		{"a password that is a number", "primary: p\nusers: [{name: u, password: 0123}]\n", nil, "f.yaml:2:29: users[0].password: it is a number; put it in quotes to make it text"},
		{"a name without letters", "primary: p\nusers: [{name: '', password: x}]\n", nil, "f.yaml:2:16: users[0].name: it is empty; give a value or leave the setting out"},

		// Flags.
		{"no primary at all", "", nil, "--primary: no primary is given; name the server that takes writes, host:port"},
		{"a bad flag", "", []string{"--primary", "p", "--window", "15"}, `--window: "15" is not a duration; write a number and a unit, like 15s, 500ms or 2m`},
		{"an empty flag", "", []string{"--primary", ""}, "--primary: the address is empty; write host:port or unix:/path"},
		{"a replica is the primary", "", []string{"--primary", "p", "--replica", "p"}, "--replica: p:3306 is the primary too; remove it here, reads that no replica may serve go to the primary anyway"},
		{"a file that is not there", "", []string{"--config", "/nowhere/f.yaml"}, "/nowhere/f.yaml: it cannot be read: no such file or directory; check the path and the permissions"},
		{"a folder", "", []string{"--config", "/"}, "/: it is a directory; name a file"},
		{"no file", "", []string{"--config", ""}, ": it cannot be read: no such file or directory; check the path and the permissions"},
		{"admin by flag", "", []string{"--primary", "p", "--admin", ":6033"}, "--admin: 127.0.0.1:6033 is where clients connect; use another port, 6034 if nothing is said"},
		{"no monitor user", "", []string{"--primary", "p", "--monitor-user", ""}, "--monitor-user: it is empty; give a value or leave the setting out"},

		// Everything at once, in the order of the file.
		{"many", "primary: p:x\nListen: 1\nconsistency: {mode: x, window: 1}\n", []string{"--log-level", "x"}, strings.Join([]string{
			`--log-level: "x" is not a log level; use debug, info, warn or error`,
			`f.yaml:1:10: primary: "p:x" has no usable port; use a number from 1 to 65535`,
			`f.yaml:2:1: unknown key "Listen"; did you mean "listen"?`,
			`f.yaml:3:21: consistency.mode: unknown mode "x": want auto, window, gtid, eventual or primary`,
			`f.yaml:3:32: consistency.window: "1" is not a duration; write a number and a unit, like 15s, 500ms or 2m`,
		}, "\n")},
	} {
		t.Run(row.name, func(t *testing.T) {
			_, err := load(t, row.file, row.flags...)
			if err == nil {
				t.Fatalf("got no error, want %s", row.want)
			}
			if got := err.Error(); got != row.want {
				t.Errorf("got\n%s\nwant\n%s", got, row.want)
			}
		})
	}
}

// A password must be for one account's eyes, wherever it stands.
func TestReadableByOthers(t *testing.T) {
	for _, row := range []struct {
		name         string
		file         string
		mode, secret os.FileMode // of the configuration and of the file "secret"
		want         string
	}{
		{"no password, any mode", "primary: p\n", 0o644, 0o644, ""},
		{"a password, safe", "primary: p\nusers: [{name: u, password: x}]\n", 0o600, 0o600, ""},
		{"a password, the owner may only read", "primary: p\nusers: [{name: u, password: x}]\n", 0o400, 0o600, ""},
		{
			"a password, the group may read", "primary: p\nusers:\n- name: u\n  password: x\n", 0o640, 0o600,
			"f.yaml:4:13: users[0].password: others can read this file, which holds a password (its mode is 0640); run chmod 600 f.yaml, or use password_file or password_env",
		},
		{"a password file, safe", "primary: p\nmonitor: {user: m, password_file: secret}\n", 0o644, 0o600, ""},
		{
			"a password file, all may read", "primary: p\nmonitor: {user: m, password_file: secret}\n", 0o644, 0o604,
			"f.yaml:2:35: monitor.password_file: others can read secret, which holds a password (its mode is 0604); run chmod 600 secret",
		},
	} {
		t.Run(row.name, func(t *testing.T) {
			dir := t.TempDir()
			config, secret := filepath.Join(dir, "f.yaml"), filepath.Join(dir, "secret")
			writeFile(t, config, row.file)
			writeFile(t, secret, "x\n")
			if err := errors.Join(os.Chmod(config, row.mode), os.Chmod(secret, row.secret)); err != nil {
				t.Fatal(err)
			}
			got := ""
			if _, err := loadIn(t, dir, "--config", config); err != nil {
				got = err.Error()
			}
			if got != row.want {
				t.Errorf("got %q, want %q", got, row.want)
			}
		})
	}
}

func TestPasswordFile(t *testing.T) {
	for _, row := range []struct{ name, content, want string }{
		{"a line", "secret\n", "secret"},
		{"no line end", "secret", "secret"},
		{"the line end of Windows", "secret\r\n", "secret"},
		{"spaces belong to it", " se cret \n", " se cret "},
		{"empty", "", "error: f.yaml:2:35: monitor.password_file: secret is empty; write the password into it"},
		{"an empty line", "\n", "error: f.yaml:2:35: monitor.password_file: secret is empty; write the password into it"},
		{"two lines", "a\nb\n", "error: f.yaml:2:35: monitor.password_file: secret has more than one line; it must hold the password alone"},
		{"too long", strings.Repeat("x", 5000), "error: f.yaml:2:35: monitor.password_file: secret: it is longer than 4096 bytes; is it the right file?"},
	} {
		t.Run(row.name, func(t *testing.T) {
			dir := t.TempDir()
			writeFile(t, filepath.Join(dir, "secret"), row.content)
			writeFile(t, filepath.Join(dir, "f.yaml"), "primary: p\nmonitor: {user: m, password_file: secret}\n")
			c, err := loadIn(t, dir, "--config", filepath.Join(dir, "f.yaml"))
			got := ""
			if err != nil {
				got = "error: " + err.Error()
			} else {
				got = c.Monitor.Password
			}
			if got != row.want {
				t.Errorf("got %q, want %q", got, row.want)
			}
		})
	}
}

// Whatever a file holds, reading it ends in a Config or in problems with a place.
func FuzzConfig(f *testing.F) {
	example, err := os.ReadFile("../../stickyproxy.example.yaml")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(string(example))
	f.Add("primary: [a\n")
	f.Add("? {a: b}\n: - c\n")
	f.Add("<<: *a\nlisten: &b [*b]\n")
	f.Add("primary: !!binary |\n  x\n--- {}\n...")
	f.Fuzz(func(t *testing.T, content string) {
		var found problems
		r := &reader{file: "f.yaml", found: &found}
		c := newConfig()
		if root := r.root([]byte(content)); root != nil {
			r.mapping(r.place("", root), root, c.settings()...)
		}
		for _, p := range found.list {
			if p.at.line < 1 || p.at.column < 0 || p.at.file != "f.yaml" {
				t.Errorf("a problem without a place: %v", p)
			}
		}
	})
}
