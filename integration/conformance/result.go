package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"maps"
	"os"
	"path"
	"strings"
)

// outcome is how a test ended.
type outcome int

const (
	missing outcome = iota // it was not run, or died before it could tell
	passed
	failed
	skipped
)

func (o outcome) String() string {
	return [...]string{"missing", "passed", "failed", "skipped"}[o]
}

// results are the outcomes of a run, by test.
type results map[string]outcome

func (r results) names() iter.Seq[string] { return maps.Keys(r) }

func (r results) count(want outcome) (n int) {
	for _, o := range r {
		if o == want {
			n++
		}
	}
	return n
}

// readResults reads the lines of a script until it ends. A test that is reported twice has failed if one of its reports
// says so.
func readResults(from io.Reader) (results, error) {
	r := make(results)
	lines := bufio.NewScanner(from)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		verdict, name, ok := parseResult(lines.Text())
		if !ok {
			return nil, fmt.Errorf("the script reports %q", lines.Text())
		}
		if r[name] != failed {
			r[name] = verdict
		}
	}
	return r, lines.Err()
}

func parseResult(line string) (outcome, string, bool) {
	for word, o := range map[string]outcome{"ok ": passed, "not ok ": failed, "skip ": skipped} {
		if name, ok := strings.CutPrefix(line, word); ok && name != "" {
			return o, name, true
		}
	}
	return missing, "", false
}

// differences are the tests that may fail through the proxy, and why.
type differences []difference

type difference struct{ pattern, why string }

// readDifferences reads a suite's file of them; there need not be one.
func readDifferences(file string) (differences, error) {
	text, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var d differences
	for line := range strings.Lines(string(text)) {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		pattern, why, _ := strings.Cut(line, " ")
		if _, err := path.Match(pattern, ""); err != nil || strings.TrimSpace(why) == "" {
			return nil, fmt.Errorf("%s: %q: a pattern and a reason are needed", file, line)
		}
		d = append(d, difference{pattern, strings.TrimSpace(why)})
	}
	return d, nil
}

// why is the reason for which a test may fail. Slashes of names are ordinary characters of the pattern.
func (d differences) why(name string) (string, bool) {
	flat := strings.NewReplacer("/", "|")
	for _, one := range d {
		if ok, _ := path.Match(flat.Replace(one.pattern), flat.Replace(name)); ok {
			return one.why, true
		}
	}
	return "", false
}
