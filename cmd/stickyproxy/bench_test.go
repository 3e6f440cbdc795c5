package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/stickyproxy/stickyproxy/bench/lab"
	"github.com/stickyproxy/stickyproxy/bench/report"
	"github.com/stickyproxy/stickyproxy/internal/mysqltest"
	"github.com/stickyproxy/stickyproxy/internal/mysqltest/clustertest"
)

// asProgram makes the test's executable the program itself, which bench starts as a proxy.
const asProgram = "STICKYPROXY_TEST_AS_PROGRAM"

func TestMain(m *testing.M) {
	if os.Getenv(asProgram) != "" {
		main()
		return
	}
	clustertest.Main(m)
}

// benchLab is a cluster as somebody's own servers.
type benchLab struct {
	*mysqltest.Cluster
	args []string // that name the servers
}

func startBenchLab(t *testing.T, e mysqltest.Engine) *benchLab {
	t.Helper()
	c := clustertest.Shared(t, e)
	t.Setenv(benchPasswordVariable, c.Root.Password)
	t.Setenv(asProgram, "1")
	args := []string{"--user", c.Root.User, "--yes", "--primary", c.Primary.Addr()}
	for _, r := range c.Replicas {
		args = append(args, "--replica", r.Addr())
	}
	return &benchLab{c, args}
}

// hasSchema tells whether the laboratory's schema is on the primary.
func (l *benchLab) hasSchema(t *testing.T) bool {
	t.Helper()
	out, err := l.Primary.Exec(clustertest.Context(t), "SHOW DATABASES LIKE '"+lab.Schema+"'")
	if err != nil {
		t.Fatal(err)
	}
	return out != ""
}

// run runs bench and expects it to work and to leave nothing behind. It returns the table and the JSON file.
func (l *benchLab) run(t *testing.T, args ...string) (table string, file map[string]any) {
	t.Helper()
	dir := t.TempDir()
	out, page := filepath.Join(dir, "out.json"), filepath.Join(dir, "out.html")
	args = append(append(append([]string{"bench"}, args...), "--json", out, "--html", page), l.args...)
	status, table, stderr := runCommand(t, "", args...)
	if status != exitOK {
		t.Fatalf("status %d: %s", status, stderr)
	}
	if l.hasSchema(t) {
		t.Error("the schema is still there")
	}
	if b, err := os.ReadFile(page); err != nil || !bytes.Contains(b, []byte("</html>")) {
		t.Errorf("the page: %v, %d bytes", err, len(b))
	}
	return table, readJSON(t, out)
}

func readJSON(t *testing.T, path string) map[string]any {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var v map[string]any
	if err := json.Unmarshal(b, &v); err != nil {
		t.Fatal(err)
	}
	return v
}

// Every subcommand on real servers, as short as it can be.
func TestBenchOnServers(t *testing.T) {
	clustertest.EachEngine(t, func(t *testing.T, e mysqltest.Engine) {
		l := startBenchLab(t, e)
		t.Run("lag", func(t *testing.T) { testBenchLag(t, l) })
		t.Run("policies", func(t *testing.T) { testBenchPolicies(t, l) })
		t.Run("load", func(t *testing.T) { testBenchLoad(t, l) })
		t.Run("check", func(t *testing.T) { testBenchCheck(t, l) })
		t.Run("interrupted", func(t *testing.T) { testBenchInterrupted(t, l) })
		if e == mysqltest.MariaDB { // MySQL's answers have the same numbers
			t.Run("errors", func(t *testing.T) { testBenchErrors(t, l) })
		}
	})
}

func testBenchLag(t *testing.T, l *benchLab) {
	table, file := l.run(t, "lag", "--for", "1s", "--rounds", "4", "--warm-up", "200ms", "--rate", "200", "--least-probes", "20", "--storm",
		"--target", "again="+l.Replicas[0].Addr())
	for _, want := range []string{"Before the storm", "In the storm", "again", "99.9 %", "A window of "} {
		if !strings.Contains(table, want) {
			t.Errorf("the table has no %q:\n%s", want, table)
		}
	}
	replicas := map[string]bool{}
	for _, p := range file["visibility"].([]any) {
		point := p.(map[string]any)
		fresh, probes := point["fresh"].(float64), point["probes"].(float64)
		if fresh < 0 || fresh > probes || point["t_ms"].(float64) < 0.1 {
			t.Errorf("a point: %v", point)
		}
		replicas[point["replica"].(string)] = true
	}
	for _, name := range []string{l.Replicas[0].Addr(), l.Replicas[1].Addr(), "again", "any"} {
		if !replicas[name] {
			t.Errorf("no curve of %s in %v", name, replicas)
		}
	}
	advice := file["advice"].(map[string]any)
	if p99, p9999 := advice["p99_ms"].(float64), advice["p9999_ms"].(float64); p99 <= 0 || p9999 < p99 {
		t.Errorf("advice: %v", advice)
	}
	if repeat := file["repeat"].(string); !strings.HasPrefix(repeat, "stickyproxy bench lag ") || !strings.Contains(repeat, "--storm=true") || strings.Contains(repeat, l.Root.Password) {
		t.Errorf("to repeat it: %s", repeat)
	}
}

func testBenchPolicies(t *testing.T, l *benchLab) {
	_, file := l.run(t, "policies", "--for", "1s", "--rounds", "2", "--warm-up", "100ms", "--window", "1s", "--least-probes", "10",
		"--tls", "verify-identity", "--tls-ca", l.CAFile(), "--target", "rival="+l.Primary.Addr())
	outcomes := map[string]map[string]any{}
	for _, o := range file["policies"].(map[string]any)["outcomes"].([]any) {
		outcome := o.(map[string]any)
		outcomes[outcome["policy"].(string)] = outcome
	}
	for _, name := range []string{"auto", "auto-global", "primary", "rival"} {
		if o := outcomes[name]; o == nil || o["stale"].(float64) != 0 {
			t.Errorf("%s: %v", name, o)
		}
	}
	for name, want := range map[string]float64{"naive": 1, "primary": 0, "rival": 0} {
		if got, ok := outcomes[name]["replica_share"].(float64); !ok || got < want-0.05 || got > want+0.05 {
			t.Errorf("%s: %v of the reads on replicas, want %v", name, outcomes[name]["replica_share"], want)
		}
	}
}

func testBenchLoad(t *testing.T, l *benchLab) {
	table, file := l.run(t, "load", "--slice", "100ms", "--rounds", "2", "--clients", "2", "--logins", "5", "--idle", "5", "--rows", "5000",
		"--least-probes", "5", "--target", "replica="+l.Replicas[0].Addr()+",pid="+strconv.Itoa(l.Replicas[0].PID()))
	for _, want := range []string{"text, ratio to direct", "prepared, p99, us", "large result, rate, MB/s", "login, CPU, us", "memory of an idle client, kB", "stickyproxy to replica"} {
		if !strings.Contains(table, want) {
			t.Errorf("the table has no %q:\n%s", want, table)
		}
	}
	for _, f := range file["figures"].([]any) {
		figure := f.(map[string]any)
		if n := len(figure["rounds"].([]any)); n != 2 {
			t.Errorf("%v: %d rounds", figure["name"], n)
		}
	}
}

// Whoever interrupts a run gets no result and finds nothing left behind.
func testBenchInterrupted(t *testing.T, l *benchLab) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	root := newRootCommand()
	root.SetArgs(append([]string{"bench", "lag", "--for", "10m"}, l.args...))
	root.SetOut(t.Output())
	root.SetErr(t.Output())
	ended := make(chan error, 1)
	go func() { ended <- root.ExecuteContext(ctx) }()
	clustertest.WaitFor(clustertest.Context(t), t, "the measurement", func() (bool, error) {
		out, err := l.Primary.Exec(t.Context(), "SELECT COUNT(*) FROM information_schema.tables WHERE table_schema='"+lab.Schema+"' AND table_name='counter'")
		return out == "1", err
	})
	if status, _, stderr := runCommand(t, "", append([]string{"bench", "lag"}, l.args...)...); status == exitOK || !strings.Contains(stderr, "another run of the laboratory is going on") {
		t.Errorf("a second run at the same time: %d, %s", status, stderr)
	}
	cancel()
	if err := <-ended; !errors.Is(err, errInterrupted) {
		t.Errorf("got %v, want %v", err, errInterrupted)
	}
	if l.hasSchema(t) {
		t.Error("the schema is still there")
	}
}

func testBenchErrors(t *testing.T, l *benchLab) {
	primary, replica := l.Primary.Addr(), l.Replicas[0].Addr()
	mine := []string{"--user", l.Root.User, "--yes"}
	for _, row := range []struct {
		name string
		args []string
		want string
	}{
		{"not a replica", append(mine, "--primary", primary, "--replica", primary), "it is not a replica: it follows no other server"},
		{"not the primary", append(mine, "--primary", replica, "--replica", replica), "it is read-only"},
		{"nobody there", append(mine, "--primary", primary, "--replica", closedPort(t)), "connection refused"},
		{"a wrong password", []string{"--user", "app", "--yes", "--primary", primary, "--replica", replica}, "Access denied"},
		{"no consent", []string{"--user", l.Root.User, "--primary", primary, "--replica", replica}, "say --yes to agree"},
		{"too few probes", append(mine, "--primary", primary, "--replica", replica, "--rate", "5"), "and a result takes 200"},
		{"nowhere to write to", append(mine, "--primary", primary, "--replica", replica, "--json", "/nowhere/x.json"), "the report cannot be written"},
	} {
		t.Run(row.name, func(t *testing.T) {
			args := append([]string{"bench", "lag", "--for", "1s", "--rounds", "1", "--warm-up", "0"}, row.args...)
			status, stdout, stderr := runCommand(t, "", args...)
			if status == exitOK || stdout != "" || !strings.Contains(stderr, row.want) {
				t.Errorf("got %d, %q, %q; want %q", status, stdout, stderr, row.want)
			}
			if l.hasSchema(t) {
				t.Error("the schema is there")
			}
		})
	}
	t.Run("no privilege", func(t *testing.T) {
		t.Setenv(benchPasswordVariable, l.Monitor.Password)
		status, _, stderr := runCommand(t, "", "bench", "lag", "--yes", "--user", l.Monitor.User, "--primary", primary, "--replica", replica)
		if status == exitOK || !strings.Contains(stderr, "GRANT ALL ON "+lab.Schema+".* to the account") {
			t.Errorf("got %d, %s", status, stderr)
		}
	})
	t.Run("somebody else's schema", func(t *testing.T) {
		if _, err := l.Primary.Exec(t.Context(), "CREATE DATABASE "+lab.Schema); err != nil {
			t.Fatal(err)
		}
		status, _, stderr := runCommand(t, "", append([]string{"bench", "lag"}, l.args...)...)
		if status == exitOK || !strings.Contains(stderr, "exists and was not made by the laboratory") || !l.hasSchema(t) {
			t.Errorf("got %d, %s; still there: %v", status, stderr, l.hasSchema(t))
		}
		if _, err := l.Primary.Exec(t.Context(), "DROP DATABASE "+lab.Schema); err != nil {
			t.Fatal(err)
		}
	})
}

// The primary alone keeps what it promises, and the report is that of the other subcommands.
func testBenchCheck(t *testing.T, l *benchLab) {
	whole := l.args
	defer func() { l.args = whole }()
	l.args = []string{"--user", l.Root.User, "--yes", "--to", l.Primary.Addr()}
	table, file := l.run(t, "check", "--for", "1s", "--least-probes", "1")
	if !strings.Contains(table, "0  violations: read_your_writes") {
		t.Errorf("the table:\n%s", table)
	}
	check := file["check"].(map[string]any)
	if n := check["violations"].(map[string]any)["monotonic_reads"].(float64); n != 0 || check["checked"].(float64) == 0 {
		t.Errorf("the file: %v", check)
	}
	if server := file["servers"].([]any)[0].(map[string]any); server["role"] != "endpoint" || server["version"] == "" {
		t.Errorf("the endpoint: %v", server)
	}
	status, stdout, stderr := runCommand(t, "", append([]string{"bench", "check", "--for", "100ms", "--least-probes", "1000000000", "--json", "-"}, l.args...)...)
	if status != exitFailure || stdout != "" || !strings.Contains(stderr, "it takes 1000000000") {
		t.Errorf("too few reads: %d, %s%s", status, stdout, stderr)
	}
}

// A naive split of private servers that are late breaks promises, in a report that says so; stickyproxy before them keeps them.
func TestBenchCheckLocal(t *testing.T) {
	t.Setenv(asProgram, "1")
	for _, tt := range []struct {
		args   []string
		status int
		broken bool
	}{
		{[]string{"--split"}, exitFailure, true},
		{nil, exitOK, false},
	} {
		status, stdout, stderr := runCommand(t, "", append([]string{"bench", "check", "--local", "mariadb", "--replicas", "1", "--lag", "100ms",
			"--for", "2s", "--json", "-"}, tt.args...)...)
		var r report.Report
		if err := json.Unmarshal([]byte(stdout), &r); err != nil || status != tt.status || r.Check.Broken() > 0 != tt.broken {
			t.Errorf("%v: status %d, %v: %s%s", tt.args, status, err, stdout, stderr)
		}
	}
}

// Private servers that are late by less than a second: no read is fresh before, and the files can be compared.
func TestBenchLocal(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "out.json")
	status, _, stderr := runCommand(t, "", "bench", "lag", "--local", "mariadb", "--replicas", "1", "--lag", "50ms",
		"--for", "1s", "--rounds", "4", "--warm-up", "200ms", "--least-probes", "20", "--json", file)
	if status != exitOK {
		t.Fatalf("status %d: %s", status, stderr)
	}
	for _, p := range readJSON(t, file)["visibility"].([]any) {
		// A write travels while its acknowledgement does, so it may be there a little less than 50 ms after that.
		if point := p.(map[string]any); point["t_ms"].(float64) < 10 && point["fresh"].(float64) > point["probes"].(float64)/10 {
			t.Errorf("fresh on a replica that is 50 ms late: %v", point)
		}
	}
	status, stdout, stderr := runCommand(t, "", "bench", "compare", file, file)
	if status != exitOK || !strings.Contains(stdout, "0 are better and 0 are worse") {
		t.Errorf("compare: %d, %s%s", status, stdout, stderr)
	}
}

// Replicas that stop and go on: with one that is frozen half of the time, some reads are as late as it was.
func TestBenchFreeze(t *testing.T) {
	file := filepath.Join(t.TempDir(), "out.json")
	status, _, stderr := runCommand(t, "", "bench", "lag", "--local", "mariadb", "--replicas", "1", "--lag", "freeze:400ms",
		"--for", "2s", "--rounds", "1", "--warm-up", "0", "--least-probes", "20", "--json", file)
	if status != exitOK {
		t.Fatalf("status %d: %s", status, stderr)
	}
	if p99 := readJSON(t, file)["advice"].(map[string]any)["p99_ms"].(float64); p99 < 100 {
		t.Errorf("99 %% of the reads are fresh after %v ms, of a replica that stops for 400", p99)
	}
}

func TestBenchUsage(t *testing.T) {
	for _, row := range []struct {
		name string
		args []string
		want string
	}{
		{"no servers", []string{"load"}, "on which servers?"},
		{"both", []string{"lag", "--local", "mysql", "--primary", "p"}, "--local starts servers of its own"},
		{"no replica", []string{"lag", "--primary", "p", "--user", "u"}, "which replica?"},
		{"no user", []string{"lag", "--primary", "p", "--replica", "r"}, "--user is missing"},
		{"lag of own servers", []string{"lag", "--primary", "p", "--replica", "r", "--user", "u", "--lag", "2s"}, "--lag is for the private servers"},
		{"a bad lag", []string{"lag", "--local", "mysql", "--lag", "soon"}, `"soon" is not a lag`},
		{"no freeze", []string{"lag", "--local", "mysql", "--lag", "freeze:0s"}, "is not a lag"},
		{"a bad target", []string{"policies", "--local", "mysql", "--target", "x"}, `"x" is not NAME=ADDRESS`},
		{"a bad process", []string{"load", "--local", "mysql", "--target", "x=y,pid=z"}, "pid is the number of a process"},
		{"an empty window", []string{"policies", "--local", "mysql", "--window", "0s"}, "a window has a length"},
		{"a bad engine", []string{"lag", "--local", "oracle"}, `unknown engine "oracle"`},
		{"one file", []string{"compare", "x.json"}, "name two"},
		{"a check of both", []string{"check", "--local", "mysql", "--to", "x"}, "leave out --to"},
		{"a check with lag of own servers", []string{"check", "--to", "x", "--user", "u", "--lag", "1s"}, "--lag is for the private servers"},
		{"an unknown subcommand", []string{"lags"}, `did you mean "lag"?`},
	} {
		t.Run(row.name, func(t *testing.T) {
			status, stdout, stderr := runCommand(t, "", append([]string{"bench"}, row.args...)...)
			if status != exitUsage || stdout != "" || !strings.Contains(stderr, row.want) {
				t.Errorf("got %d, %q, %q; want %q", status, stdout, stderr, row.want)
			}
		})
	}
}
