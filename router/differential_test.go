package router

import (
	"cmp"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// tally counts by a name and keeps a few examples of each.
type tally struct {
	count    map[string]int
	examples map[string][]string
	total    int
}

func newTally() *tally {
	return &tally{count: map[string]int{}, examples: map[string][]string{}}
}

func (a *tally) add(name, example string) {
	a.total++
	if a.count[name]++; len(a.examples[name]) < 5 {
		a.examples[name] = append(a.examples[name], example)
	}
}

// report prints the counts, the highest first.
func (a *tally) report(t *testing.T, title string) {
	t.Helper()
	names := slices.SortedFunc(maps.Keys(a.count), func(x, y string) int {
		return cmp.Or(a.count[y]-a.count[x], strings.Compare(x, y))
	})
	var b strings.Builder
	for _, name := range names {
		fmt.Fprintf(&b, "\n%6d  %s", a.count[name], name)
		for _, e := range a.examples[name] {
			e = strings.Join(strings.Fields(e), " ")
			fmt.Fprintf(&b, "\n            %s", e[:min(len(e), 150)])
		}
	}
	t.Logf("%s: %d%s", title, a.total, b.String())
}

var leadingComments = regexp.MustCompile(`(?s)^(\s+|/\*.*?\*/|#[^\n]*(\n|$)|--\s[^\n]*(\n|$))*`)

// firstWord is the kind of a statement, for counting.
func firstWord(sql string) string {
	sql = leadingComments.ReplaceAllString(sql, "")
	f := strings.FieldsFunc(sql, func(r rune) bool { return r <= ' ' || r == '(' || r == '*' || r == '/' })
	if len(f) == 0 {
		return ""
	}
	return strings.ToUpper(f[0])
}

// Ensure that the independent parser calls a read whatever Classify calls one,
// over the statements of MariaDB's own test suite; that what it cannot parse is
// bounded; and that few reads are kept from the replicas.
func TestDifferential(t *testing.T) {
	statements := testStatements(t, startTestData(t))
	if len(statements) < 50_000 {
		t.Fatalf("only %d statements found in the test suite", len(statements))
	}
	o := newOracle(t)
	for _, c := range []Context{{MariaDB: true}, {}} {
		t.Run(fmt.Sprintf("mariadb=%t", c.MariaDB), func(t *testing.T) { compare(t, o, statements, c) })
	}
}

// readWords are the words that a read starts with.
var readWords = map[string]bool{
	"SELECT": true, "EXPLAIN": true, "DESCRIBE": true, "DESC": true, "ANALYZE": true, "VALUES": true, "TABLE": true,
	"SHOW": true, "WITH": true,
}

// bound fails when a tally is more than a share of all.
func bound(t *testing.T, a *tally, all int, share float64) {
	t.Helper()
	if got := float64(a.total) / float64(all); got > share {
		t.Errorf("%d of %d are a share of %.4f, want at most %.4f", a.total, all, got, share)
	}
}

func compare(t *testing.T, o *oracle, statements []string, c Context) {
	unparsed, denied, wrong := newTally(), newTally(), newTally()
	reads, treeReads := 0, 0
	for _, sql := range statements {
		got := Classify([]byte(sql), c)
		v := o.judge(sql, c)
		if v.read {
			treeReads++
		}
		switch {
		case got.Kind == Read && !v.parsed:
			unparsed.add(firstWord(sql), sql)
		case got.Kind == Read && !v.read:
			wrong.add(v.why, sql)
		case got.Kind == Primary && v.read:
			denied.add(got.Reason.String(), sql)
		}
		checkGaps(t, []byte(sql), c, got)
		if got.Kind == Read {
			reads++
			checkRead(t, []byte(sql), c, got)
		}
	}
	bound(t, unparsed, reads, 0.07)
	bound(t, denied, treeReads, map[bool]float64{true: 0.01, false: 0.04}[c.MariaDB])
	t.Logf("%d statements, %d reads, %d reads by the syntax tree", len(statements), reads, treeReads)
	wrong.report(t, "reads that the syntax tree calls something else")
	unparsed.report(t, "reads that cannot be parsed")
	denied.report(t, "reads by the syntax tree that go to the primary")
	for kind := range unparsed.count {
		if !readWords[kind] {
			t.Errorf("a statement that starts with %s cannot be parsed and was called a read: %q", kind, unparsed.examples[kind])
		}
	}
	if wrong.total > 0 {
		t.Errorf("%d statements were called reads and are none", wrong.total)
	}
}
