package router

import (
	"bytes"
	"regexp"
	"strings"
	"testing"
)

// Flags of a fuzzed context.
const (
	fuzzANSI = 1 << iota
	fuzzNoBackslash
	fuzzUnsafe
	fuzzMariaDB
	fuzzOwnSchema
)

func fuzzContext(flags uint8) Context {
	c := Context{
		ANSIQuotes: flags&fuzzANSI != 0, NoBackslashEscapes: flags&fuzzNoBackslash != 0,
		UnsafeCharset: flags&fuzzUnsafe != 0, MariaDB: flags&fuzzMariaDB != 0,
	}
	if flags&fuzzOwnSchema != 0 {
		c.Schema = "performance_schema"
	}
	return c
}

// FuzzClassify looks for texts that are called a read and are none, by the
// independent parser and by rules that hold for every text.
func FuzzClassify(f *testing.F) {
	for _, r := range readTables(f) {
		f.Add([]byte(r.sql), uint8(0))
		f.Add([]byte(r.sql), uint8(fuzzMariaDB))
	}
	f.Add([]byte(pointSelect), uint8(fuzzANSI))
	o := newOracle(f)
	f.Fuzz(func(t *testing.T, sql []byte, flags uint8) {
		c := fuzzContext(flags)
		st := Classify(sql, c)
		checkCase(t, sql, c, st)
		checkGaps(t, sql, c, st)
		if st.Kind == Read {
			checkRead(t, sql, c, st)
			checkOracle(t, o, string(sql), c)
		}
	})
}

// checkRead checks what must hold for every read.
func checkRead(t *testing.T, sql []byte, c Context, st Statement) {
	t.Helper()
	if st.Writes || st.Effects != 0 || st.Reason != ReasonRead {
		t.Errorf("%q is a read and %s", sql, st.describe())
	}
	if got := Classify(append(bytes.Clone(sql), "\n;\n"...), c); got != st {
		t.Errorf("%q: a semicolon at the end makes it %s", sql, got.describe())
	}
	for _, end := range []string{
		"\nFOR UPDATE", "\nFOR/**/SHARE", "\nINTO OUTFILE 'x'", "\nLOCK IN SHARE MODE", "\n, f(1)", "\n; DELETE FROM t", "\n'", "\n/*", "\n(",
	} {
		if got := Classify(append(bytes.Clone(sql), end...), c); got.Kind == Read {
			t.Errorf("%q is a read and with %q after it too", sql, end)
		}
	}
}

// checkCase checks that case does not matter outside quotes and comments.
func checkCase(t *testing.T, sql []byte, c Context, st Statement) {
	t.Helper()
	if bytes.ContainsAny(sql, "'\"`/*") || bytes.Contains(sql, []byte("0x")) || bytes.Contains(sql, []byte("0b")) {
		return
	}
	for _, other := range [][]byte{upper(sql), lower(sql)} {
		if bytes.Contains(other, []byte("0x")) || bytes.Contains(other, []byte("0b")) {
			continue // 0X and 0B are no numbers
		}
		if got := Classify(other, c); got != st {
			t.Errorf("%q is %s, but %q is %s", sql, st.describe(), other, got.describe())
		}
	}
}

func upper(sql []byte) []byte {
	other := bytes.Clone(sql)
	for i, b := range other {
		if b >= 'a' && b <= 'z' {
			other[i] = b - 'a' + 'A'
		}
	}
	return other
}

func lower(sql []byte) []byte {
	other := bytes.Clone(sql)
	for i, b := range other {
		if b >= 'A' && b <= 'Z' {
			other[i] = b - 'A' + 'a'
		}
	}
	return other
}

// checkGaps checks that white space and comments do not matter where there are
// some already. Behind a SET of sql_mode, a quote in a comment might be in
// a string that goes on to it.
func checkGaps(t *testing.T, sql []byte, c Context, st Statement) {
	t.Helper()
	if st.Multi && st.Effects.Has(SetsSystemVariable) && bytes.ContainsAny(sql, "\\\"") {
		return
	}
	l := lexer{sql: sql, ansi: c.ANSIQuotes, noBackslash: c.NoBackslashEscapes}
	var other []byte
	var tok token
	from := 0
	for l.next(&tok); tok.kind != tokenEnd; l.next(&tok) {
		start := int(tok.start)
		if tok.kind == tokenString || tok.kind == tokenQuoted {
			start--
		}
		if l.gap {
			other = append(append(other, sql[from:start]...), " /* FOR UPDATE ' */\n-- x\"\n# `\n"...)
			from = start
		}
	}
	if l.seen > 0 || l.odd {
		return
	}
	other = append(other, sql[from:]...)
	if got := Classify(other, c); got != st {
		t.Errorf("%q is %s, but with comments %s", sql, st.describe(), got.describe())
	}
}

// executable matches executable comments where no quotes are about.
var executable = regexp.MustCompile(`(?s)/\*M?!(\d{5})?(.*?)\*/`)

// checkOracle asks the independent parser about a read, in the readings with
// all executable comments and with none of them.
func checkOracle(t *testing.T, o *oracle, sql string, c Context) {
	t.Helper()
	if o.foreign(sql) {
		return
	}
	readings := []string{sql}
	if strings.Contains(sql, "!") && !strings.ContainsAny(sql, "'\"`#") && !strings.Contains(sql, "--") {
		readings = append(readings, executable.ReplaceAllString(sql, " "), executable.ReplaceAllString(sql, " $2 "))
	}
	for _, r := range readings {
		if v := o.judge(r, c); v.parsed && !v.read {
			t.Errorf("%q is a read, but its reading %q is %s", sql, r, v.why)
		}
	}
}

// foreign tells whether the other parser, which speaks TiDB's dialect, is known
// to cut a text into other tokens than MySQL and MariaDB do.
func (o *oracle) foreign(sql string) bool {
	return strings.Contains(sql, "/*T!") // code for TiDB only
}
