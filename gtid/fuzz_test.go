package gtid

import (
	"errors"
	"testing"
)

// checkRoundTrip fails unless what parse made of text prints as something that
// parse reads as the same set, and errors lie inside the text.
func checkRoundTrip(t *testing.T, text string, parse func(string) (Set, error)) {
	t.Helper()
	set, err := parse(text)
	if err != nil {
		var syntax *SyntaxError
		if !errors.As(err, &syntax) || syntax.Offset < 0 || syntax.Offset > len(text) {
			t.Errorf("error %v does not name a place in %d bytes", err, len(text))
		}
		return
	}
	checkNormal(t, set)
	printed := set.String()
	again, err := parse(printed)
	if err != nil {
		t.Fatalf("%q was printed as %q, which is an error: %v", text, printed, err)
	}
	if !again.Equal(set) || again.String() != printed {
		t.Errorf("%q was printed as %q, which reads %q", text, printed, again)
	}
	if !again.Contains(set) || !set.Contains(again) || !set.Contains(Set{}) {
		t.Errorf("%q does not contain itself", printed)
	}
	if u := set.Union(again); !u.Equal(set) {
		t.Errorf("the union of %q with itself is %q", set, u)
	}
}

func FuzzParseMySQL(f *testing.F) {
	for _, s := range []string{
		"", uuidLow + ":1-5:6-10", uuidLow + ":1-77,\n" + uuidHigh + ":1-3:5",
		uuidLow + ":1-3:tag:5:other:8-10:12", " " + uuidHigh + " : 1 - 9223372036854775807 ,,",
		uuidLow + ":tag", uuidLow + ":5-4", uuidLow + ":1-18446744073709551616",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) { checkRoundTrip(t, text, ParseMySQL) })
}

func FuzzParseMariaDB(f *testing.F) {
	for _, s := range []string{"", "0-1-9", "0-1-9,1-2-3", " 0-1-9 ,\n0-2-10", "0-1-", "4294967295-4294967295-18446744073709551615"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) { checkRoundTrip(t, text, ParseMariaDB) })
}

func FuzzParseFile(f *testing.F) {
	f.Add("binlog.000123", uint64(456))
	f.Add("a.b.2147483647", uint64(maxOffset))
	f.Add(".1", uint64(1<<63))
	f.Fuzz(func(t *testing.T, file string, offset uint64) {
		set, err := ParseFile(file, offset)
		if err != nil {
			return
		}
		if offset > 0 {
			before := mustFile(t, file, offset-1)
			if !set.Contains(before) || before.Contains(set) {
				t.Errorf("%q and %q: wrong way round", set, before)
			}
		}
	})
}
