package main

import (
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stickyproxy/stickyproxy/internal/mysqltest"
)

// A test that passes directly and does not through the proxy is an error, unless it stands in the list.
func TestJudge(t *testing.T) {
	read := func(text string) results {
		r, err := readResults(strings.NewReader(text))
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	known := differences{{"a/known *", "because"}}
	for _, row := range []struct{ name, direct, through, fault string }{
		{"same", "ok a\nnot ok b\nskip c\n", "ok a\nok b\nnot ok c\n", ""},
		{"failed", "ok a\nok b\n", "ok a\nnot ok b\n", "1 differences"},
		{"failed once of twice", "ok a\n", "not ok a\nok a\n", "1 differences"},
		{"missing", "ok a\nok b\n", "ok b\n", "1 differences"},
		{"skipped", "ok a\n", "skip a\n", "1 differences"},
		{"known", "ok a/known one\nok b\n", "not ok a/known one\nok b\n", ""},
		{"nothing ran", "skip a\n", "skip a\n", "no test passed"},
	} {
		t.Run(row.name, func(t *testing.T) {
			err := judge(options{suite: "x"}, mysqltest.MySQL, known, read(row.direct), read(row.through), io.Discard)
			if row.fault == "" && err != nil {
				t.Error(err)
			}
			if row.fault != "" && (err == nil || !strings.Contains(err.Error(), row.fault)) {
				t.Errorf("error %v, want %q in it", err, row.fault)
			}
		})
	}
}

func TestReadResultsBad(t *testing.T) {
	for _, text := range []string{"fine a\n", "ok \n", "ok\n"} {
		if got, err := readResults(strings.NewReader(text)); err == nil {
			t.Errorf("%q: %v", text, got)
		}
	}
}

// The lists of the suites can be read, and a difference needs a reason.
func TestReadDifferences(t *testing.T) {
	files, err := filepath.Glob("suites/*/differences")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		if _, err := readDifferences(file); err != nil {
			t.Error(err)
		}
	}
	bad := filepath.Join(t.TempDir(), "differences")
	for _, line := range []string{"name", "[ why"} {
		if err := os.WriteFile(bad, []byte("# comment\n\n"+line+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		if d, err := readDifferences(bad); err == nil {
			t.Errorf("%q: %v", line, d)
		}
	}
}
