package gtid

import (
	"errors"
	"strings"
	"testing"
)

func TestParseMySQL(t *testing.T) {
	tests := []struct {
		name string
		in   string // a: and b: stand for uuids
		want string
	}{
		{name: "empty", in: "", want: ""},
		{name: "white space only", in: " \n\t", want: ""},
		{name: "one transaction", in: "a:23", want: "a:23"},
		{name: "interval", in: "a:1-5", want: "a:1-5"},
		{name: "interval of one", in: "a:5-5", want: "a:5"},
		{name: "gaps", in: "a:1-5:7:9-11", want: "a:1-5:7:9-11"},
		{name: "intervals that touch", in: "a:1-5:6-10", want: "a:1-10"},
		{name: "intervals that overlap", in: "a:1-5:3-10", want: "a:1-10"},
		{name: "interval inside another", in: "a:1-10:3-5", want: "a:1-10"},
		{name: "intervals out of order", in: "a:7:1-3:4-6", want: "a:1-7"},
		{name: "the same uuid twice", in: "a:1-3,a:4-5:9", want: "a:1-5:9"},
		{name: "uuids out of order", in: "b:2,a:1", want: "a:1,b:2"},
		{name: "as gtid_executed prints it", in: "a:1-77,\nb:1-3:5", want: "a:1-77,b:1-3:5"},
		{name: "white space around every part", in: " \ta: 1 - 5 : 7 \r\n, " + uuidHigh + " :2 ", want: "a:1-5:7,b:2"},
		{name: "empty items", in: ",,a:1,,b:2,", want: "a:1,b:2"},
		{name: "leading zeros", in: "a:007", want: "a:7"},
		{name: "tag", in: "a:tag:1-3", want: "a:tag:1-3"},
		{name: "untagged and tags", in: "a:1-3:tag:5:other:8-10:12", want: "a:1-3:other:8-10:12:tag:5"},
		{name: "tags as items of their own", in: "a:tag:5,a:1-3,a:tag:6", want: "a:1-3:tag:5-6"},
		{name: "tag in upper case", in: "a:Tag_1:5:TAG_1:6", want: "a:tag_1:5-6"},
		{name: "tag that begins with an underscore", in: "a:_:1", want: "a:_:1"},
		{name: "tag of 32 characters", in: "a:" + strings.Repeat("t", 32) + ":1", want: "a:" + strings.Repeat("t", 32) + ":1"},
		{name: "the greatest number", in: "a:1-9223372036854775807", want: "a:1-9223372036854775807"},
		{name: "touching at the greatest number", in: "a:9223372036854775806:9223372036854775807", want: "a:9223372036854775806-9223372036854775807"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			set := mustMySQL(t, tt.in)
			checkNormal(t, set)
			if got, want := set.String(), long(tt.want); got != want {
				t.Errorf("got %q, want %q", got, want)
			}
			if again := mustMySQL(t, set.String()); !again.Equal(set) {
				t.Errorf("parsed again: got %q, want %q", again, set)
			}
		})
	}
}

func TestParseMySQLUpperCase(t *testing.T) {
	set := mustMySQL(t, strings.ToUpper(uuidHigh)+":1")
	if got, want := set.String(), uuidHigh+":1"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestParseMySQLErrors(t *testing.T) {
	tests := []struct {
		name   string
		in     string
		offset int
	}{
		{name: "garbage", in: "garbage", offset: 0},
		{name: "uuid only", in: uuidLow, offset: 36},
		{name: "uuid too short", in: "3e11fa47-71ca", offset: 13},
		{name: "uuid without dashes", in: strings.ReplaceAll(uuidLow, "-", "") + ":1", offset: 8},
		{name: "uuid with a letter beyond f", in: "3e11fa47-71cg", offset: 12},
		{name: "no interval", in: "a:", offset: 37},
		{name: "interval without an end", in: "a:1-", offset: 39},
		{name: "interval that runs backwards", in: "a:5-4", offset: 37},
		{name: "number zero", in: "a:0", offset: 37},
		{name: "interval from zero", in: "a:0-5", offset: 37},
		{name: "negative number", in: "a:-1", offset: 37},
		{name: "number beyond 2^63-1", in: "a:1-9223372036854775808", offset: 39},
		{name: "number beyond 2^64", in: "a:18446744073709551616", offset: 37},
		{name: "number of many digits", in: "a:" + strings.Repeat("9", 100), offset: 37},
		{name: "interval separated by a comma", in: "a:1-5,7", offset: 42},
		{name: "tag without an interval", in: "a:1:tag", offset: 42},
		{name: "two tags in a row", in: "a:tag:other:1", offset: 41},
		{name: "tag of 33 characters", in: "a:" + strings.Repeat("t", 33) + ":1", offset: 37},
		{name: "tag with a dash", in: "a:ta-g:1", offset: 39},
		{name: "something after the interval", in: "a:1 x", offset: 39},
		{name: "zero byte", in: "a:1\x00", offset: 38},
		{name: "MariaDB list", in: "0-1-9", offset: 1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			in := tt.in
			if strings.HasPrefix(in, "a:") {
				in = long(in)
			}
			set, err := ParseMySQL(in)
			checkSyntaxError(t, err, tt.offset)
			if !set.IsEmpty() {
				t.Errorf("got the set %q with an error", set)
			}
		})
	}
}

// checkSyntaxError fails unless err is a SyntaxError about offset.
func checkSyntaxError(t *testing.T, err error, offset int) {
	t.Helper()
	var syntax *SyntaxError
	if !errors.As(err, &syntax) {
		t.Fatalf("got error %v, want a SyntaxError", err)
	}
	if syntax.Offset != offset {
		t.Errorf("got %q, want byte %d", err, offset)
	}
}

func TestSyntaxErrorText(t *testing.T) {
	_, err := ParseMySQL(uuidLow + ":1-5;")
	if got, want := err.Error(), "MySQL GTID set, byte 40: expected a comma or the end"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestMySQLContains(t *testing.T) {
	tests := []struct {
		name string
		a, b string
		want bool
	}{
		{name: "itself", a: "a:1-5", b: "a:1-5", want: true},
		{name: "empty in empty", a: "", b: "", want: true},
		{name: "empty in anything", a: "a:1", b: "", want: true},
		{name: "nothing in empty", a: "", b: "a:1", want: false},
		{name: "first number", a: "a:1-5", b: "a:1", want: true},
		{name: "last number", a: "a:1-5", b: "a:5", want: true},
		{name: "the number after", a: "a:1-5", b: "a:6", want: false},
		{name: "the number before", a: "a:2-5", b: "a:1", want: false},
		{name: "in the gap", a: "a:1-5:7-9", b: "a:6", want: false},
		{name: "across the gap", a: "a:1-5:7-9", b: "a:5-7", want: false},
		{name: "around the gap", a: "a:1-5:7-9", b: "a:4-5:7", want: true},
		{name: "intervals that were given in pieces", a: "a:1-5:6-10", b: "a:1-10", want: true},
		{name: "other uuid", a: "a:1-5", b: "b:1", want: false},
		{name: "other uuid, the higher one there", a: "b:1-5", b: "a:1", want: false},
		{name: "one of two uuids", a: "a:1-5,b:1-5", b: "b:3", want: true},
		{name: "two uuids, one missing", a: "a:1-5", b: "a:1,b:1", want: false},
		{name: "both uuids", a: "a:1-5,b:1-5", b: "b:3,a:3", want: true},
		{name: "tag is another source", a: "a:1-5", b: "a:tag:1", want: false},
		{name: "untagged is another source", a: "a:tag:1-5", b: "a:1", want: false},
		{name: "tag", a: "a:1-3:tag:1-5", b: "a:tag:5", want: true},
		{name: "other tag", a: "a:tag:1-5", b: "a:tags:1", want: false},
		{name: "greatest number", a: "a:1-9223372036854775807", b: "a:9223372036854775807", want: true},
		{name: "greatest number missing", a: "a:1-9223372036854775806", b: "a:9223372036854775807", want: false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			a, b := mustMySQL(t, tt.a), mustMySQL(t, tt.b)
			if got := a.Contains(b); got != tt.want {
				t.Errorf("%q contains %q: got %v, want %v", a, b, got, tt.want)
			}
		})
	}
}

func TestMySQLOperations(t *testing.T) {
	tests := []struct {
		name             string
		a, b             string
		union, intersect string
	}{
		{name: "both empty"},
		{name: "with empty", a: "a:1-5", union: "a:1-5"},
		{name: "closing a gap", a: "a:1-5:7-9", b: "a:6", union: "a:1-9"},
		{name: "overlap", a: "a:1-5", b: "a:4-9", union: "a:1-9", intersect: "a:4-5"},
		{name: "one inside the other", a: "a:1-9", b: "a:4-5", union: "a:1-9", intersect: "a:4-5"},
		{name: "apart", a: "a:1-2", b: "a:5", union: "a:1-2:5"},
		{name: "two sources", a: "b:1", b: "a:1", union: "a:1,b:1"},
		{name: "a collapsed need and what exists", a: "a:10-20", b: "a:1-12:15:18-40,b:1-9", union: "a:1-40,b:1-9", intersect: "a:10-12:15:18-20"},
		{name: "tags", a: "a:1-5:t:1-5", b: "a:3-9:u:1-5", union: "a:1-9:t:1-5:u:1-5", intersect: "a:3-5"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			a, b := mustMySQL(t, tt.a), mustMySQL(t, tt.b)
			for _, pair := range [][2]Set{{a, b}, {b, a}} {
				union, intersect := pair[0].Union(pair[1]), pair[0].Intersect(pair[1])
				if got, want := union.String(), long(tt.union); got != want {
					t.Errorf("union: got %q, want %q", got, want)
				}
				if got, want := intersect.String(), long(tt.intersect); got != want {
					t.Errorf("intersection: got %q, want %q", got, want)
				}
				checkNormal(t, union)
				checkNormal(t, intersect)
			}
			if a.String() != long(tt.a) || b.String() != long(tt.b) {
				t.Errorf("operands changed: %q and %q", a, b)
			}
		})
	}
}

func TestCollapse(t *testing.T) {
	tests := []struct {
		name  string
		in    string
		limit int
		want  string
	}{
		{name: "empty", in: "", limit: 1, want: ""},
		{name: "few enough", in: "a:1:3:5", limit: 3, want: "a:1:3:5"},
		{name: "too many", in: "a:1:3:5:9", limit: 3, want: "a:1-9"},
		{name: "to one", in: "a:2:4", limit: 1, want: "a:2-4"},
		{name: "a limit of none is one", in: "a:2:4", limit: 0, want: "a:2-4"},
		{name: "one source of two", in: "a:1:3:5,b:1:3", limit: 2, want: "a:1-5,b:1:3"},
		{name: "tags apart", in: "a:1:3:t:5:7", limit: 1, want: "a:1-3:t:5-7"},
		{name: "many sources, one interval each", in: "a:1:t:1:u:1,b:1", limit: 1, want: "a:1:t:1:u:1,b:1"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			in := mustMySQL(t, tt.in)
			got := in.Collapse(tt.limit)
			if got.String() != long(tt.want) {
				t.Errorf("got %q, want %q", got, long(tt.want))
			}
			checkNormal(t, got)
			if !got.Contains(in) {
				t.Error("the collapsed set lacks something")
			}
			if in.String() != long(tt.in) {
				t.Errorf("operand changed: %q", in)
			}
		})
	}
}
