package main

import (
	"bufio"
	"bytes"
	"errors"
	"flag"
	"io"
	"os"
	"runtime/debug"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/stickyproxy/stickyproxy/router"
)

var update = flag.Bool("update", false, "write testdata/explain.txt again")

// runCommand executes one command line in this process.
func runCommand(t *testing.T, stdin string, args ...string) (status int, stdout, stderr string) {
	t.Helper()
	var out, failed bytes.Buffer
	status = run(args, strings.NewReader(stdin), &out, &failed)
	return status, out.String(), failed.String()
}

// A mistake on the command line is told once, without a page of help, and has
// an exit status of its own.
func TestUsageErrors(t *testing.T) {
	for _, row := range []struct {
		name string
		args []string
		want string
	}{
		{"an unknown command", []string{"frobnicate"}, "there is no command \"frobnicate\"\nRun 'stickyproxy --help' for usage.\n"},
		{"a misspelt command", []string{"explian"}, "there is no command \"explian\"; did you mean \"explain\"?\nRun 'stickyproxy --help' for usage.\n"},
		{"an unknown flag", []string{"serve", "--primry", "p"}, "unknown flag: --primry\nRun 'stickyproxy serve --help' for usage.\n"},
		{"a flag without value", []string{"serve", "--primary"}, "flag needs an argument: --primary\nRun 'stickyproxy serve --help' for usage.\n"},
		{"an argument of serve", []string{"serve", "p"}, "unexpected argument \"p\"; settings are flags\nRun 'stickyproxy serve --help' for usage.\n"},
		{"serve without a primary", []string{"serve"}, "--primary: no primary is given; name the server that takes writes, host:port\nRun 'stickyproxy serve --help' for usage.\n"},
		{"an argument of version", []string{"version", "1"}, "unexpected argument \"1\"; settings are flags\nRun 'stickyproxy version --help' for usage.\n"},
		{"nothing to explain", []string{"explain"}, "no statement is given; write it in quotes, or - to read from standard input\nRun 'stickyproxy explain --help' for usage.\n"},
		{"a statement like a flag", []string{"explain", "--x"}, "unknown flag: --x\nRun 'stickyproxy explain --help' for usage.\n"},
	} {
		t.Run(row.name, func(t *testing.T) {
			status, stdout, stderr := runCommand(t, "", row.args...)
			if want := "stickyproxy: " + row.want; status != exitUsage || stdout != "" || stderr != want {
				t.Errorf("got %d, %q, %q; want %d, nothing, %q", status, stdout, stderr, exitUsage, want)
			}
		})
	}
}

func TestFailure(t *testing.T) {
	status, stdout, stderr := runCommand(t, "", "serve", "--config", "/nowhere.yaml")
	want := "stickyproxy: /nowhere.yaml: it cannot be read: no such file or directory; check the path and the permissions\n"
	if status != exitFailure || stdout != "" || stderr != want {
		t.Errorf("got %d, %q, %q; want %d, nothing, %q", status, stdout, stderr, exitFailure, want)
	}
}

func TestHelp(t *testing.T) {
	for _, row := range []struct {
		args     []string
		contains string
	}{
		{nil, "Available Commands:"},
		{[]string{"--help"}, "Available Commands:"},
		{[]string{"serve", "--help"}, "--replica ADDRESS"},
		{[]string{"explain", "-h"}, "stickyproxy explain - < statements.sql"},
		{[]string{"completion", "bash"}, "bash completion V2 for stickyproxy"},
		{[]string{"version"}, "stickyproxy (devel) go1."},
	} {
		t.Run(strings.Join(row.args, " "), func(t *testing.T) {
			status, stdout, stderr := runCommand(t, "", row.args...)
			if status != exitOK || !strings.Contains(stdout, row.contains) || stderr != "" {
				t.Errorf("got %d, %q, %q; want %d and %q in it", status, stdout, stderr, exitOK, row.contains)
			}
		})
	}
}

func TestDescribeBuild(t *testing.T) {
	build := func(version string, settings ...debug.BuildSetting) *debug.BuildInfo {
		return &debug.BuildInfo{Main: debug.Module{Version: version}, Settings: settings}
	}
	commit := debug.BuildSetting{Key: "vcs.revision", Value: "0123456789abcdef0123"}
	changed := debug.BuildSetting{Key: "vcs.modified", Value: "true"}
	for _, row := range []struct {
		name string
		info *debug.BuildInfo
		want string
	}{
		{"a release", build("v1.2.3"), "v1.2.3"},
		{"nothing known", build(""), "(devel)"},
		{"a commit", build("(devel)", commit), "(devel) (0123456789ab)"},
		{"a changed tree", build("(devel)", commit, changed), "(devel) (0123456789ab, changed)"},
	} {
		t.Run(row.name, func(t *testing.T) {
			if got := describeBuild(row.info); got != row.want {
				t.Errorf("got %q, want %q", got, row.want)
			}
		})
	}
}

// testdata/explain.txt holds statements, each followed by the first two columns
// of its answer and an empty line; the words of the third belong to the router.
func TestExplainGolden(t *testing.T) {
	const path = "testdata/explain.txt"
	golden, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var all strings.Builder
	for block := range strings.SplitSeq(strings.TrimSpace(string(golden)), "\n\n") {
		sql, want, _ := strings.Cut(block, "\n")
		status, stdout, stderr := runCommand(t, "", "explain", "--", sql)
		got := targets(stdout)
		if status != exitOK || stderr != "" {
			t.Fatalf("%s: got %d, %q", sql, status, stderr)
		}
		if got != want+"\n" && !*update {
			t.Errorf("%s:\ngot  %swant %s", sql, got, want)
		}
		all.WriteString(sql + "\n" + got + "\n")
	}
	if *update {
		if err := os.WriteFile(path, []byte(all.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

func TestExplainLine(t *testing.T) {
	_, got, _ := runCommand(t, "", "explain", "SELECT 1 FOR UPDATE")
	if want := "primary\tfor_update\t" + router.ReasonForUpdate.Sentence() + "\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// targets returns the first two columns of an answer, a line each.
func targets(answer string) string {
	var b strings.Builder
	for line := range strings.Lines(answer) {
		columns := strings.Split(strings.TrimSuffix(line, "\n"), "\t")
		if len(columns) != 3 {
			return "not three columns: " + line
		}
		b.WriteString(columns[0] + " " + columns[1] + "\n")
	}
	return b.String()
}

func TestExplainInput(t *testing.T) {
	for _, row := range []struct {
		name, stdin string
		args        []string
		want        string
	}{
		{"arguments in their order", "", []string{"SELECT 1", "DELETE FROM t"}, "replica read\nprimary write\n"},
		{"lines", "SELECT 1\nDELETE FROM t\n", []string{"-"}, "replica read\nprimary write\n"},
		{"no line end at the end", "SELECT 1", []string{"-"}, "replica read\n"},
		{"empty lines are left out", "\n  \r\nSELECT 1\r\n\n", []string{"-"}, "replica read\n"},
		{"no lines", "", []string{"-"}, ""},
		{"lines between arguments", "SELECT 1\n", []string{"DELETE FROM t", "-", "SELECT 2"}, "primary write\nreplica read\nreplica read\n"},
		{"after -- nothing is a flag", "", []string{"--", "-- a comment\nSELECT 1"}, "replica read\n"},
		{"a long line", "SELECT '" + strings.Repeat("x", 200<<10) + "'\nSELECT 1\n", []string{"-"}, "replica read\nreplica read\n"},
		{"a flag of the parser", "", []string{"--ansi-quotes", `SELECT "a" FROM t`}, "replica read\n"},
	} {
		t.Run(row.name, func(t *testing.T) {
			status, stdout, stderr := runCommand(t, row.stdin, append([]string{"explain"}, row.args...)...)
			if got := targets(stdout); status != exitOK || got != row.want || stderr != "" {
				t.Errorf("got %d, %q, %q; want %q", status, got, stderr, row.want)
			}
		})
	}
}

// A person who types statements sees each answer before the next question.
func TestExplainAnswersEachLine(t *testing.T) {
	stdin, typed := io.Pipe()
	answers, stdout := io.Pipe()
	ended := make(chan int, 1)
	go func() {
		ended <- run([]string{"explain", "-"}, stdin, stdout, io.Discard)
		stdout.Close()
	}()
	lines := bufio.NewReader(answers)
	for _, sql := range []string{"SELECT 1\n", "SELECT 2\n"} {
		if _, err := io.WriteString(typed, sql); err != nil {
			t.Fatal(err)
		}
		if got, err := lines.ReadString('\n'); err != nil || !strings.HasPrefix(got, "replica\t") {
			t.Errorf("got %q, %v", got, err)
		}
	}
	typed.Close()
	if got := <-ended; got != exitOK {
		t.Errorf("status: got %d, want %d", got, exitOK)
	}
}

func TestExplainFailures(t *testing.T) {
	var stderr bytes.Buffer
	broken := errors.New("broken")
	if got := run([]string{"explain", "-"}, iotest.ErrReader(broken), io.Discard, &stderr); got != exitFailure {
		t.Errorf("input: got %d, want %d", got, exitFailure)
	}
	if got, want := stderr.String(), "stickyproxy: reading standard input: broken\n"; got != want {
		t.Errorf("input: got %q, want %q", got, want)
	}
	stderr.Reset()
	closed, output := io.Pipe()
	closed.CloseWithError(broken)
	if got := run([]string{"explain", "SELECT 1"}, nil, output, &stderr); got != exitFailure {
		t.Errorf("output: got %d, want %d", got, exitFailure)
	}
	if got, want := stderr.String(), "stickyproxy: writing the answer: broken\n"; got != want {
		t.Errorf("output: got %q, want %q", got, want)
	}
}
