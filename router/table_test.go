package router

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// row is one statement of a testdata table and what it must be.
type row struct {
	file    string
	line    int
	sql     string
	context Context
	want    Statement
}

// readTables reads the rows of every table in testdata.
func readTables(t testing.TB) []row {
	t.Helper()
	files, err := filepath.Glob(filepath.Join("testdata", "*.txt"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no tables in testdata: %v", err)
	}
	var rows []row
	for _, file := range files {
		rows = append(rows, readTable(t, file)...)
	}
	return rows
}

func readTable(t testing.TB, file string) []row {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var rows []row
	section, escaped, blank := row{}, false, false
	for i, line := range strings.Split(strings.TrimSuffix(string(text), "\n"), "\n") {
		switch {
		case strings.HasPrefix(line, "== "):
			section, escaped = parseSection(t, fmt.Sprintf("%s:%d", file, i+1), line[3:])
			blank = section.want.Reason == ReasonEmpty
		case line == "" && !blank, strings.HasPrefix(line, "# "):
		default:
			r := section
			r.file, r.line, r.sql = filepath.Base(file), i+1, line
			if escaped {
				r.sql = unescape(line)
			}
			rows = append(rows, r)
		}
	}
	return rows
}

// parseSection reads "KIND REASON writes|harmless options...".
func parseSection(t testing.TB, where, line string) (r row, escaped bool) {
	t.Helper()
	f := strings.Fields(line)
	if len(f) < 3 {
		t.Fatalf("%s: want kind, reason and writes or harmless", where)
	}
	r.want.Kind, r.want.Reason = mustKind(t, where, f[0]), mustReason(t, where, f[1])
	r.want.Writes = f[2] == "writes"
	for _, o := range f[3:] {
		name, value, _ := strings.Cut(o, "=")
		switch name {
		case "effects":
			r.want.Effects = mustEffects(t, where, value)
		case "multi":
			r.want.Multi = true
		case "mariadb":
			r.context.MariaDB = true
		case "ansi":
			r.context.ANSIQuotes = true
		case "nobackslash":
			r.context.NoBackslashEscapes = true
		case "unsafe":
			r.context.UnsafeCharset = true
		case "schema":
			r.context.Schema = value
		case "escaped":
			escaped = true
		default:
			t.Fatalf("%s: unknown option %q", where, o)
		}
	}
	return r, escaped
}

func mustKind(t testing.TB, where, name string) Kind {
	t.Helper()
	for k := range Kind(len(kindNames)) {
		if k.String() == name {
			return k
		}
	}
	t.Fatalf("%s: unknown kind %q", where, name)
	return 0
}

func mustReason(t testing.TB, where, name string) Reason {
	t.Helper()
	for _, r := range Reasons() {
		if r.String() == name {
			return r
		}
	}
	t.Fatalf("%s: unknown reason %q", where, name)
	return 0
}

func mustEffects(t testing.TB, where, list string) Effects {
	t.Helper()
	var e Effects
	for _, name := range strings.Split(list, ",") {
		bit := Effects(0)
		for i, n := range effectNames {
			if n == name {
				bit = 1 << i
			}
		}
		if bit == 0 {
			t.Fatalf("%s: unknown effect %q", where, name)
		}
		e |= bit
	}
	return e
}

var escapes = regexp.MustCompile(`\\(x[0-9a-f]{2}|n|r|t)`)

// unescape replaces \n, \r, \t and \xHH.
func unescape(s string) string {
	return escapes.ReplaceAllStringFunc(s, func(e string) string {
		switch e[1] {
		case 'n':
			return "\n"
		case 'r':
			return "\r"
		case 't':
			return "\t"
		}
		b, _ := strconv.ParseUint(e[2:], 16, 8)
		return string([]byte{byte(b)})
	})
}

func (s Statement) describe() string {
	return fmt.Sprintf("%s %s writes=%t effects=%s multi=%t", s.Kind, s.Reason, s.Writes, s.Effects, s.Multi)
}

// Ensure every statement of the tables is what its section says.
func TestClassifyTables(t *testing.T) {
	for _, r := range readTables(t) {
		got := Classify([]byte(r.sql), r.context)
		got.NoTables, got.UsesRowCount = false, false // not in the tables: see TestDiagnostics
		got.Ours = 0                                  // nor this: see TestOurs
		if got != r.want {
			t.Errorf("%s:%d: %s\n got %s\nwant %s", r.file, r.line, r.sql, got.describe(), r.want.describe())
		}
	}
}

// Ensure what a statement means for warnings and for ROW_COUNT.
func TestDiagnostics(t *testing.T) {
	tests := []struct {
		sql                string
		noTables, rowCount bool
	}{
		{"SELECT 1", true, false},
		{"SELECT CAST('abc' AS SIGNED)", true, false},
		{"SELECT v FROM f", false, false},
		{"SELECT (SELECT MAX(id) FROM f)", false, false},
		{"SELECT my_function(1)", false, false},
		{"SHOW TABLES", false, false},
		{"SELECT @x", true, false},
		{"SELECT v FROM f WHERE id = @x", false, false},
		{"SET @x = 1", true, false},
		{"SET @x = (SELECT MAX(id) FROM f)", false, false},
		{"BEGIN", true, false},
		{"USE other", true, false},
		{"UPDATE f SET v = 1", false, false},
		{"DROP TABLE f", false, false},
		{"SELECT ROW_COUNT()", true, true},
		{"SELECT ROW_COUNT(), v FROM f", false, true},
		{"SELECT FOUND_ROWS()", true, false},
	}
	for _, tt := range tests {
		if got := Classify([]byte(tt.sql), Context{}); got.NoTables != tt.noTables || got.UsesRowCount != tt.rowCount {
			t.Errorf("%s: no tables %t, row count %t", tt.sql, got.NoTables, got.UsesRowCount)
		}
	}
}
