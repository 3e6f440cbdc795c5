package router

import (
	"slices"
	"testing"
)

// Both servers write an xid in the same ways; what they took was looked at with MariaDB 10.11 and MySQL 9.7.
func TestReadXA(t *testing.T) {
	prepare := func(gtrid, bqual string, format uint64) XAStatement {
		return XAStatement{XAPrepare, XID{gtrid, bqual, format}}
	}
	decide := func(gtrid, bqual string, format uint64) XAStatement {
		return XAStatement{XADecide, XID{gtrid, bqual, format}}
	}
	for _, tt := range []struct {
		sql     string
		context Context
		want    []XAStatement
		unread  bool
	}{
		{sql: "XA PREPARE 'x'", want: []XAStatement{prepare("x", "", 1)}},
		{sql: "xa commit 'x','b',3", want: []XAStatement{decide("x", "b", 3)}},
		{sql: "XA COMMIT 'x' ONE PHASE;", want: []XAStatement{decide("x", "", 1)}},
		{sql: "/* a=b */ XA ROLLBACK /* c */ \"x\" , 'b' -- end", want: []XAStatement{decide("x", "b", 1)}},
		{sql: "XA PREPARE X'7833', 0x62, 0x3", want: []XAStatement{prepare("x3", "b", 3)}},
		{sql: "XA PREPARE x'', 0xF", want: []XAStatement{prepare("", "\x0f", 1)}},
		{sql: "XA PREPARE B'0111100000110011', 0b1", want: []XAStatement{prepare("x3", "\x01", 1)}},
		{sql: `XA PREPARE 'it''s \'\0'`, want: []XAStatement{prepare("it's '\x00", "", 1)}},
		{sql: `XA PREPARE 'a\b'`, context: Context{NoBackslashEscapes: true}, want: []XAStatement{prepare(`a\b`, "", 1)}},
		{sql: "XA END 'x'; XA PREPARE 'x'; XA COMMIT 'y'", want: []XAStatement{{}, prepare("x", "", 1), decide("y", "", 1)}},
		{sql: "SELECT 1 AS xa; ; XA COMMIT 'y'", want: []XAStatement{decide("y", "", 1)}},
		{sql: "XA RECOVER", want: []XAStatement{{}}},
		{sql: "XA PREPARE 'x', 'b', 18446744073709551616", unread: true},
		{sql: "XA PREPARE 'x', 'b', 1.5", unread: true},
		{sql: "XA PREPARE 'x', 'b', 010", unread: true},
		{sql: "XA PREPARE X'783'", unread: true},
		{sql: "XA PREPARE X '78'", unread: true},
		{sql: "XA PREPARE X'7g'", unread: true},
		{sql: "XA PREPARE B'2'", unread: true},
		{sql: "XA PREPARE N'x'", unread: true},
		{sql: "XA PREPARE \"x\"", context: Context{ANSIQuotes: true}, unread: true},
		{sql: "XA PREPARE ?", unread: true},
		{sql: "XA PREPARE", unread: true},
		{sql: "XA /*!PREPARE*/ 'x'", want: []XAStatement{{}}, unread: true},
	} {
		if got, ok := ReadXA([]byte(tt.sql), tt.context); !slices.Equal(got, tt.want) || ok == tt.unread {
			t.Errorf("%s: got %v %v, want %v %v", tt.sql, got, ok, tt.want, !tt.unread)
		}
	}
}

func FuzzReadXA(f *testing.F) {
	for _, sql := range []string{"XA PREPARE 'x'", "XA COMMIT x'78',0b1,3", "SELECT 1; XA ROLLBACK 'a\\", "xa commit b'"} {
		f.Add([]byte(sql), false)
	}
	f.Fuzz(func(t *testing.T, sql []byte, wide bool) {
		if list, ok := ReadXA(sql, Context{UnsafeCharset: wide}); ok && len(list) > len(sql) {
			t.Errorf("%d statements in %d bytes", len(list), len(sql))
		}
	})
}
