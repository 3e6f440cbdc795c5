package gtid

import (
	"strings"
	"testing"
)

// Short names for the sources of the tests. uuidLow sorts first.
const (
	uuidLow  = "3e11fa47-71ca-11e1-9e33-c80aa9429562"
	uuidHigh = "ed102faf-eb00-11eb-8f20-0c5415bfaa1d"
)

// long writes the short names a: and b: of the tests out.
func long(s string) string {
	return strings.NewReplacer("a:", uuidLow+":", "b:", uuidHigh+":").Replace(s)
}

// mustMySQL parses a set in which a and b stand for uuids.
func mustMySQL(t testing.TB, s string) Set {
	t.Helper()
	return must(t)(ParseMySQL(long(s)))
}

func mustMariaDB(t testing.TB, s string) Set {
	t.Helper()
	return must(t)(ParseMariaDB(s))
}

func mustFile(t testing.TB, file string, offset uint64) Set {
	t.Helper()
	return must(t)(ParseFile(file, offset))
}

func must(t testing.TB) func(Set, error) Set {
	return func(s Set, err error) Set {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
}

// checkNormal fails if the form of s is not the one that search relies on.
func checkNormal(t *testing.T, s Set) {
	t.Helper()
	spans := s.list()
	if s.b != nil && len(spans) == 0 {
		t.Errorf("%q: empty but not the zero Set", s)
	}
	for i, x := range spans {
		if x.first > x.last {
			t.Errorf("%q: span %d ends before it begins", s, i)
		}
		if i == 0 {
			continue
		}
		before := spans[i-1]
		if compareSpans(before, x) >= 0 {
			t.Errorf("%q: span %d is not sorted", s, i)
		}
		if before.source == x.source && x.first-1 <= before.last {
			t.Errorf("%q: span %d touches the one before it", s, i)
		}
	}
}
