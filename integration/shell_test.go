package integration

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stickyproxy/stickyproxy/internal/mysqltest"
	"github.com/stickyproxy/stickyproxy/internal/mysqltest/clustertest"
)

// Both shells, before both engines, over plain TCP, TLS and a unix socket.
func TestShells(t *testing.T) {
	clustertest.EachEngine(t, func(t *testing.T, e mysqltest.Engine) {
		p := transactionRig(t, e, tlsOffered(t))
		socket := filepath.Join(t.TempDir(), "s")
		p.serve("unix", socket)
		for _, shell := range mysqltest.Engines() {
			for _, way := range []string{"plain", "TLS", "socket"} {
				t.Run(fmt.Sprintf("%s shell, %s", shell, way), func(t *testing.T) {
					s := &shellRun{p: p, engine: shell, args: shellArgs(p, shell, way, socket)}
					s.session(t)
				})
			}
			t.Run(fmt.Sprintf("%s shell, wrong password", shell), func(t *testing.T) {
				s := &shellRun{p: p, engine: shell, args: shellArgs(p, shell, "plain", socket), password: "wrong"}
				_, stderr, err := s.run(t, "SELECT 1;")
				var failed *exec.ExitError
				if !errors.As(err, &failed) || !strings.Contains(stderr, "ERROR 1045 (28000)") {
					t.Errorf("%v, %s", err, stderr)
				}
			})
		}
	})
}

// shellArgs says how a shell connects.
func shellArgs(p *rig, shell mysqltest.Engine, way, socket string) []string {
	if way == "socket" {
		return []string{"--protocol=SOCKET", "--socket=" + socket}
	}
	host, port, err := net.SplitHostPort(p.addr)
	if err != nil {
		p.t.Fatal(err)
	}
	args := []string{"--protocol=TCP", "--host=" + host, "--port=" + port}
	switch {
	case shell == mysqltest.MySQL && way == "plain":
		args = append(args, "--ssl-mode=DISABLED", "--get-server-public-key")
	case shell == mysqltest.MySQL:
		args = append(args, "--ssl-mode=REQUIRED")
	case way == "plain":
		args = append(args, "--skip-ssl")
	default:
		args = append(args, "--ssl")
	}
	return args
}

// shellRun is a way to start a shell.
type shellRun struct {
	p        *rig
	engine   mysqltest.Engine
	args     []string
	password string // empty: the right one
}

// run gives a shell its input.
func (s *shellRun) run(t *testing.T, input string, more ...string) (stdout, stderr string, err error) {
	t.Helper()
	password := s.p.account.Password
	if s.password != "" {
		password = s.password
	}
	args := append([]string{"--user=" + s.p.account.User, "--password=" + password, "--batch", "--raw"}, s.args...)
	if s.engine == mysqltest.MySQL {
		args = append(args, "--commands")
	}
	cmd, err := mysqltest.Shell(s.p.ctx, s.engine, append(append(args, more...), mysqltest.AppSchema)...)
	if err != nil {
		t.Fatal(err)
	}
	var out, errs bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(input), &out, &errs
	err = cmd.Run()
	return out.String(), errs.String(), err
}

// session is what somebody types.
func (s *shellRun) session(t *testing.T) {
	t.Helper()
	for _, row := range []struct {
		name, input string
		args, want  []string
	}{
		{"statements", "SELECT v + 41 AS answer FROM t; SHOW TABLES;", nil, []string{"answer\n42\n", "t\n"}},
		{"status", `\s`, nil, []string{"Connection id:", "Current database:\tapp", "Uptime:"}},
		{"use", "use information_schema\nSELECT DATABASE();\nuse app\nSELECT DATABASE();", nil, []string{"information_schema\n", "app\n"}},
		{"delimiter", "delimiter //\nSELECT 1; SELECT 22//\ndelimiter ;\nSELECT 333;", nil, []string{"1\n1\n", "22\n", "333\n"}},
		{"option -e", "", []string{"-e", "SELECT 'e' AS x; SELECT 'f' AS y"}, []string{"x\ne\ny\nf\n"}},
		{"binary mode", "SELECT 'a\\0b' AS x;", []string{"--binary-mode"}, []string{"a\x00b"}},
		{"writes", "CREATE TABLE s (id INT); INSERT INTO s VALUES (1), (2); SELECT COUNT(*) FROM s; DROP TABLE s;", nil, []string{"2\n"}},
		{"warnings", "SELECT CAST('abc' AS SIGNED) AS x;", []string{"--show-warnings"}, []string{"Truncated incorrect INTEGER value: 'abc'"}},
		{"charset", "charset latin1\nSELECT @@character_set_client;", nil, []string{"latin1\n"}},
	} {
		stdout, stderr, err := s.run(t, row.input, row.args...)
		if err != nil {
			t.Errorf("%s: %v: %s", row.name, err, stderr)
		}
		for _, want := range row.want {
			if !strings.Contains(stdout, want) {
				t.Errorf("%s: printed %q, want %q in it", row.name, stdout, want)
			}
		}
	}
	_, stderr, err := s.run(t, "SELECT 1; SELEC 2; SELECT 3;")
	if err == nil || !strings.Contains(stderr, "ERROR 1064 (42000) at line 1") {
		t.Errorf("a syntax error: %v, %s", err, stderr)
	}
}
