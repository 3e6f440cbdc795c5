package router

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
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
		got.NoTables, got.OpensNothing, got.UsesRowCount, got.UsesWarnings, got.Finds, got.Grows = false, false, false, false, FindsNothing, false // see TestDiagnostics
		got.Ours = 0                                                                                                                               // nor this: see TestOurs
		if got != r.want {
			t.Errorf("%s:%d: %s\n got %s\nwant %s", r.file, r.line, r.sql, got.describe(), r.want.describe())
		}
	}
}

// Ensure what a statement means for the diagnostics of the one before it and for those of its own.
func TestDiagnostics(t *testing.T) {
	tests := []struct{ sql, want string }{
		{"SELECT 1", "no tables, finds rows"},
		{"SELECT CAST('abc' AS SIGNED)", "no tables, finds rows"},
		{"SELECT v FROM f", "finds rows"},
		{"SELECT (SELECT MAX(id) FROM f)", "finds rows"},
		{"SELECT my_function(1)", "finds rows"},
		{"(SELECT v FROM f) UNION (SELECT 1)", "finds rows"},
		{"VALUES (1)", "no tables, finds rows"},
		{"SHOW TABLES", "finds rows"},
		{"SHOW FULL COLUMNS FROM f", "finds rows"},
		{"SHOW TABLE STATUS", "finds rows"},
		{"SHOW GLOBAL STATUS LIKE 'Threads_running'", "finds rows"},
		{"SHOW VARIABLES", "finds rows"},
		{"SHOW CREATE TABLE f", ""},
		{"SHOW CREATE VIEW f", ""},
		{"SHOW CREATE PROCEDURE f", "opens nothing"},
		{"HELP 'x'", "opens nothing"},
		{"SHOW GRANTS", "opens nothing"},
		{"SHOW PROCESSLIST", "opens nothing"},
		{"SHOW WARNINGS", "no tables, warnings"},
		{"SHOW COUNT(*) ERRORS", "no tables, warnings, finds rows"},
		{"DESCRIBE f", "finds rows"},
		{"EXPLAIN SELECT v FROM f", ""},
		{"CHECK TABLE f", ""},
		{"SELECT @x", "no tables, finds rows"},
		{"SELECT v FROM f WHERE id = @x", "finds rows"},
		{"SET @x = 1", "no tables"},
		{"SET @x = (SELECT MAX(id) FROM f)", ""},
		{"SET @x = @@warning_count", "no tables, warnings"},
		{"GET DIAGNOSTICS @n = NUMBER", "warnings"},
		{"BEGIN", "no tables"},
		{"USE other", "no tables"},
		{"DO 1", "no tables, finds rows"},
		{"DO my_function(1)", "finds rows"},
		{"mariadb: DO 1", "no tables"},
		{"mariadb: DO (SELECT 1 FROM f)", "finds perhaps"},
		{"UPDATE f SET v = 1", "finds matches"},
		{"UPDATE f SET v = (SELECT 1)", "finds perhaps"},
		{"UPDATE f SET v = 1; UPDATE f SET v = 2", "finds perhaps"},
		{"UPDATE f SET v = 1; SELECT ROW_COUNT()", "finds rows"},
		{"DELETE FROM f WHERE id IN (SELECT 1)", "finds perhaps"},
		{"INSERT INTO f VALUES ((SELECT 1))", "finds perhaps"},
		{"INSERT INTO f WITH a AS (SELECT 1) SELECT * FROM a", "finds rows"},
		{"REPLACE INTO f (id) SELECT 1", "finds rows"},
		{"GRANT SELECT ON f TO u WITH GRANT OPTION", ""},
		{"FLUSH TABLES WITH READ LOCK", ""},
		{"LOAD DATA INFILE 'x' INTO TABLE f SET v = (SELECT 1)", "finds perhaps"},
		{"mariadb: SET @x = (SELECT MAX(id) FROM f)", "finds perhaps"},
		{"mariadb: UPDATE f SET v = (SELECT 1)", "finds perhaps"},
		{"UPDATE f, g SET f.v = 1", "finds rows"},
		{"mariadb: UPDATE f SET v = 1, n = 2", ""},
		{"mariadb: UPDATE f PARTITION (a, b) SET v = 1", ""},
		{"mariadb: UPDATE f, g SET f.v = 1", "finds rows"},
		{"mariadb: UPDATE f JOIN g ON f.id = g.id SET f.v = 1", "finds rows"},
		{"mariadb: UPDATE f STRAIGHT_JOIN g SET f.v = 1", "finds rows"},
		{"DELETE FROM f", ""},
		{"DELETE LOW_PRIORITY QUICK IGNORE FROM f ORDER BY id, v LIMIT 1", ""},
		{"DELETE f FROM f, g", "finds rows"},
		{"DELETE IGNORE f.* FROM f, g", "finds rows"},
		{"DELETE FROM f USING f JOIN g USING (id)", "finds rows"},
		{"mariadb: DELETE FROM f", ""},
		{"mariadb: DELETE FROM f, g USING f, g", "finds rows"},
		{"LOAD DATA INFILE 'x' INTO TABLE f", ""},
		{"CREATE TABLE h SELECT 1", ""},
		{"CREATE VIEW h AS SELECT 1", ""},
		{"mariadb: CREATE TABLE h AS SELECT 1", "finds rows"},
		{"mariadb: CREATE TEMPORARY TABLE h (a INT) SELECT 1", "finds rows"},
		{"mariadb: CREATE OR REPLACE VIEW h AS SELECT 1", ""},
		{"mariadb: ANALYZE SELECT 1", "no tables, finds rows"},
		{"mariadb: ANALYZE UPDATE f SET v = 1", ""},
		{"EXPLAIN ANALYZE SELECT v FROM f", "finds rows"},
		{"EXPLAIN UPDATE f SET v = 1", ""},
		{"INSERT INTO f VALUES (1)", ""},
		{"INSERT INTO f SELECT 1", "finds rows"},
		{"INSERT INTO f TABLE g", "finds rows"},
		{"INSERT INTO f VALUES (ROW_COUNT())", "row count"},
		{"DROP TABLE f", ""},
		{"SELECT ROW_COUNT()", "no tables, row count, finds rows"},
		{"SELECT ROW_COUNT(), v FROM f", "row count, finds rows"},
		{"SELECT FOUND_ROWS()", "no tables, finds rows"},
		{"SHOW CREATE TABLE f; SELECT 1", "finds rows"},
	}
	for _, tt := range tests {
		sql, mariaDB := strings.CutPrefix(tt.sql, "mariadb: ")
		st := Classify([]byte(sql), Context{MariaDB: mariaDB})
		var got []string
		for what, so := range map[string]bool{"no tables": st.NoTables, "row count": st.UsesRowCount, "warnings": st.UsesWarnings, "finds rows": st.Finds == FindsRows,
			"opens nothing": st.OpensNothing && !st.NoTables, "finds perhaps": st.Finds == FindsPerhaps, "finds matches": st.Finds == FindsMatches} {
			if so {
				got = append(got, what)
			}
		}
		want := strings.Split(tt.want, ", ")
		if tt.want == "" {
			want = nil
		}
		slices.Sort(got)
		slices.Sort(want)
		if !slices.Equal(got, want) {
			t.Errorf("%s: got %q, want %q", tt.sql, got, want)
		}
	}
}
