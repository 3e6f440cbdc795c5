package gtid

import (
	"math"
	"testing"
)

func TestParseFile(t *testing.T) {
	tests := []struct {
		name   string
		file   string
		offset uint64
		want   string
	}{
		{name: "usual", file: "binlog.000123", offset: 456, want: "binlog.000123:456"},
		{name: "beginning", file: "binlog.000001", offset: 0, want: "binlog.000001:0"},
		{name: "dots in the base name", file: "db1.example.com-bin.000007", offset: 4, want: "db1.example.com-bin.000007:4"},
		{name: "more than a million files", file: "binlog.1234567", offset: 4, want: "binlog.1234567:4"},
		{name: "last file, greatest offset", file: "binlog.2147483647", offset: maxOffset, want: "binlog.2147483647:8589934591"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := mustFile(t, tt.file, tt.offset).String(); got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

func TestParseFileErrors(t *testing.T) {
	tests := []struct {
		name   string
		file   string
		offset int
	}{
		{name: "empty", file: "", offset: 0},
		{name: "no dot", file: "binlog", offset: 6},
		{name: "no base name", file: ".000001", offset: 7},
		{name: "no number", file: "binlog.", offset: 7},
		{name: "index file", file: "binlog.index", offset: 7},
		{name: "something after the number", file: "binlog.000001x", offset: 13},
		{name: "number too great", file: "binlog.2147483648", offset: 7},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := ParseFile(tt.file, 4)
			checkSyntaxError(t, err, tt.offset)
		})
	}
	for _, offset := range []uint64{maxOffset + 1, math.MaxUint64} {
		if set, err := ParseFile("binlog.000001", offset); err == nil {
			t.Errorf("offset %d: got %q, want an error", offset, set)
		}
	}
}

func TestFileContains(t *testing.T) {
	at := mustFile(t, "binlog.000123", 456)
	tests := []struct {
		name   string
		file   string
		offset uint64
		want   bool
	}{
		{name: "itself", file: "binlog.000123", offset: 456, want: true},
		{name: "before in the file", file: "binlog.000123", offset: 455, want: true},
		{name: "after in the file", file: "binlog.000123", offset: 457, want: false},
		{name: "file before, greater offset", file: "binlog.000122", offset: maxOffset, want: true},
		{name: "next file, smaller offset", file: "binlog.000124", offset: 4, want: false},
		{name: "numbers, not texts", file: "binlog.1000000", offset: 4, want: false},
		{name: "other base name", file: "mysql-bin.000001", offset: 4, want: false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := at.Contains(mustFile(t, tt.file, tt.offset)); got != tt.want {
				t.Errorf("got %v, want %v", got, tt.want)
			}
		})
	}
}

func TestFlavorsDoNotMix(t *testing.T) {
	sets := []Set{mustMySQL(t, "a:1-100"), mustMariaDB(t, "0-1-100"), mustFile(t, "binlog.000100", 100)}
	for i, a := range sets {
		for j, b := range sets {
			if got, want := a.Contains(b), i == j; got != want {
				t.Errorf("%q contains %q: got %v, want %v", a, b, got, want)
			}
			union := a.Union(b)
			if !union.Contains(a) || !union.Contains(b) {
				t.Errorf("the union %q lacks one of its parts", union)
			}
			if i != j && (a.Contains(union) || b.Contains(union)) {
				t.Errorf("one part contains the union %q", union)
			}
		}
		if !a.Contains(Set{}) || (Set{}).Contains(a) {
			t.Errorf("%q and the empty set: wrong way round", a)
		}
	}
}
