package gtid

import (
	"bytes"
	"errors"
	"testing"
)

func TestBinary(t *testing.T) {
	sets := map[string]Set{
		"nothing":      {},
		"MySQL":        mustMySQL(t, uuidLow+":1-77"),
		"gaps and tag": mustMySQL(t, uuidLow+":1-5:7:9-12:tag:3,"+uuidHigh+":1-9223372036854775807"),
		"MariaDB":      mustMariaDB(t, "0-1-9,0-2-10,4294967295-4294967295-18446744073709551615"),
		"file":         mustFile(t, "binlog.000123", 456),
	}
	for name, set := range sets {
		t.Run(name, func(t *testing.T) {
			b := append(set.AppendBinary([]byte("before")), "after"...)
			got, rest, err := ParseBinary(b[len("before"):])
			if err != nil || string(rest) != "after" || !got.Equal(set) {
				t.Errorf("got %q, rest %q, error %v, want %q", got, rest, err, set)
			}
			checkNormal(t, got)
			for n := range len(b) - len("beforeafter") {
				if _, _, err := ParseBinary(b[len("before"):][:n]); !errors.Is(err, ErrBinary) {
					t.Errorf("cut to %d bytes: error %v", n, err)
				}
			}
		})
	}
}

func TestBinaryMalformed(t *testing.T) {
	for name, b := range map[string][]byte{
		"unknown flavor":          {1, 9, 0, 0, 0},
		"no source before":        {1, 0, 1, 1},
		"domain beyond 32 bits":   {1, 2, 0xFF, 0xFF, 0xFF, 0xFF, 0x1F, 1, 0, 1},
		"MariaDB from 1":          {1, 2, 0, 1, 1, 1},
		"number in a longer form": {1, 2, 0x80, 0, 1, 0, 1},
		"spans that touch":        append([]byte{2, 1, 15: 0, 16: 0, 17: 0}, 0, 1, 1, 0, 3, 1),
		"too many":                {0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0x01},
	} {
		if got, _, err := ParseBinary(b); !errors.Is(err, ErrBinary) {
			t.Errorf("%s: got %q, error %v", name, got, err)
		}
	}
}

func FuzzParseBinary(f *testing.F) {
	for _, s := range []Set{{}, mustMySQL(f, uuidLow+":1-5:7:tag:3"), mustMariaDB(f, "0-1-9,1-2-3"), mustFile(f, "a.000001", 4)} {
		f.Add(s.AppendBinary(nil))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		set, rest, err := ParseBinary(b)
		if err != nil {
			return
		}
		checkNormal(t, set)
		if again := append(set.AppendBinary(nil), rest...); !bytes.Equal(again, b) {
			t.Errorf("%x reads %q, which is written %x", b, set, again)
		}
	})
}

func TestKnows(t *testing.T) {
	executed := mustMySQL(t, uuidLow+":1-100")
	mariadb := mustMariaDB(t, "0-1-9,3-1-4")
	for _, test := range []struct {
		name string
		a, b Set
		want bool
	}{
		{"nothing", executed, Set{}, true},
		{"the same server", executed, mustMySQL(t, uuidLow+":200"), true},
		{"with a tag", executed, mustMySQL(t, uuidLow+":tag:1"), true},
		{"another server", executed, mustMySQL(t, uuidLow+":1,"+uuidHigh+":1"), false},
		{"another flavor", executed, mariadb, false},
		{"a server of the domain", mariadb, mustMariaDB(t, "0-2-10"), true},
		{"another domain", mariadb, mustMariaDB(t, "1-1-1"), false},
		{"files", mustFile(t, "a.000001", 4), mustFile(t, "b.000001", 4), false},
	} {
		if got := test.a.Knows(test.b); got != test.want {
			t.Errorf("%s: got %v, want %v", test.name, got, test.want)
		}
	}
}

func TestContainsEndsAndCommon(t *testing.T) {
	need := mustMySQL(t, uuidLow+":5-9")
	for _, test := range []struct {
		name          string
		primary, have Set
		ends, common  bool
	}{
		{"all", mustMySQL(t, uuidLow+":1-20"), mustMySQL(t, uuidLow+":1-9"), true, true},
		{"one is missing", mustMySQL(t, uuidLow+":1-20"), mustMySQL(t, uuidLow+":1-6:8-9"), true, false},
		{"it never was", mustMySQL(t, uuidLow+":1-6:8-20"), mustMySQL(t, uuidLow+":1-6:8-9"), true, true},
		{"the last is lost", mustMySQL(t, uuidLow+":1-8"), mustMySQL(t, uuidLow+":1-8"), false, true},
		{"the first is lost", mustMySQL(t, uuidLow+":1-4:6-20"), mustMySQL(t, uuidLow+":6-9"), false, true},
		{"nothing in common", mustMySQL(t, uuidHigh+":1-20"), Set{}, false, true},
		{"MariaDB", mustMariaDB(t, "0-1-5"), Set{}, false, true},
	} {
		if got := test.primary.ContainsEnds(need); got != test.ends {
			t.Errorf("%s: ends %v, want %v", test.name, got, test.ends)
		}
		if got := test.have.ContainsCommon(need, test.primary); got != test.common {
			t.Errorf("%s: common %v, want %v", test.name, got, test.common)
		}
	}
	if has := mustMariaDB(t, "0-1-9,0-2-12"); !has.ContainsEnds(mustMariaDB(t, "0-1-7")) || has.ContainsEnds(mustMariaDB(t, "0-1-10")) {
		t.Error("MariaDB's spans have one end")
	}
}

func TestSilentOn(t *testing.T) {
	for _, test := range []struct {
		have, need Set
		want       bool
	}{
		{mustMariaDB(t, "0-2-12"), mustMariaDB(t, "0-1-9"), true},
		{mustMariaDB(t, "0-1-5"), mustMariaDB(t, "0-1-9"), false},
		{mustMariaDB(t, "0-1-12"), mustMariaDB(t, "0-1-9"), false},
		{mustMariaDB(t, "1-2-12"), mustMariaDB(t, "0-1-9"), false},
		{mustMariaDB(t, "0-2-12,1-1-3"), mustMariaDB(t, "0-1-9,1-1-4"), false},
		{mustMySQL(t, uuidHigh+":1-5"), mustMySQL(t, uuidLow+":1"), false},
		{Set{}, mustMariaDB(t, "0-1-9"), false},
	} {
		if got := test.have.SilentOn(test.need); got != test.want {
			t.Errorf("%q on %q: got %v, want %v", test.have, test.need, got, test.want)
		}
	}
}
