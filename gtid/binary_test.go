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
