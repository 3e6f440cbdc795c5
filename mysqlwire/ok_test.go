package mysqlwire

import (
	"bytes"
	"errors"
	"math"
	"reflect"
	"testing"
)

// Ensure that OK packets of every form are read, and written in the form of the receiver.
func TestOK(t *testing.T) {
	for _, row := range []struct {
		name     string
		packet   string
		tracking bool
		want     OK
	}{
		{"least", "00000002000000", true, OK{Status: StatusAutocommit}},
		{"end of rows", "fe000002000000", true, OK{Status: StatusAutocommit}},
		{"a classic EOF", "fefc000a00", true, OK{Warnings: 252, Status: StatusAutocommit | StatusMoreResults}},
		{"wide counts", "00fcfb00fefffffffffffffffff0ff0100", false,
			OK{AffectedRows: 251, LastInsertID: math.MaxUint64, Status: 0xFFF0, Warnings: 1}},
		{"text", "0001000200000003613a31", true, OK{AffectedRows: 1, Status: StatusAutocommit, Info: []byte("a:1")}},
		{"text without tracking", "0001000200000003613a31", false, OK{AffectedRows: 1, Status: StatusAutocommit, Info: []byte("a:1")}},
		{"text without its length", "0001000200000052613a", false, OK{AffectedRows: 1, Status: StatusAutocommit, Info: []byte("Ra:")}},
		{"state", "000000024000000003020131", true, OK{Status: 0x4002, Session: []byte{2, 1, '1'}}},
		{"state behind a zero", "00000002400000000003020131", true, OK{Status: 0x4002, Session: []byte{2, 1, '1'}}},
		{"state behind three zeros and a text", "0000000240000003613a3100000003020131", true,
			OK{Status: 0x4002, Info: []byte("a:1"), Session: []byte{2, 1, '1'}}},
		{"no state in the place of it", "0000000240000000000000", true, OK{Status: 0x4002, Session: []byte{}}},
		{"state announced, not there", "00000002400000", true, OK{Status: 0x4002}},
		{"state announced, only a text there", "0000000240000003613a31", true, OK{Status: 0x4002, Info: []byte("a:1")}},
		{"state not announced", "000000020000000003020131", true, OK{Status: StatusAutocommit}},
	} {
		t.Run(row.name, func(t *testing.T) {
			got, err := ParseOK(mustHex(t, row.packet), row.tracking)
			if err != nil {
				t.Fatal(err)
			}
			if len(got.Info) == 0 {
				got.Info = nil
			}
			if !reflect.DeepEqual(got, row.want) {
				t.Errorf("got  %+v\nwant %+v", got, row.want)
			}
		})
	}
}

// Ensure that a packet which is cut anywhere is refused, or is a shorter valid one.
func TestOKCut(t *testing.T) {
	p := mustHex(t, "00fcfb00fd0000010240000003613a3105020131ffff")
	valid := map[int]bool{12: true, 16: true}
	for n := range len(p) - 2 {
		if _, err := ParseOK(p[:n], true); (err == nil) != valid[n] || err != nil && !errors.Is(err, errShortOK) {
			t.Errorf("%d bytes: got %v", n, err)
		}
	}
	for n := range 5 {
		if _, err := ParseEOF(eofPacket(2)[:n]); !errors.Is(err, errShortEOF) {
			t.Errorf("EOF of %d bytes: got %v", n, err)
		}
	}
}

// Ensure that what one form cannot say is left out, together with the flag that announces it.
func TestOKAppend(t *testing.T) {
	state := OK{Status: StatusAutocommit | StatusStateChanged, Warnings: 3, Session: []byte{2, 1, '1'}}
	text := OK{Status: StatusAutocommit, Info: []byte("a:1")}
	for _, row := range []struct {
		name          string
		ok            OK
		end, tracking bool
		want          string
	}{
		{"state", state, false, true, "000000024003000003020131"},
		{"state behind rows", state, true, true, "fe0000024003000003020131"},
		{"state, not tracked", state, false, false, "00000002000300"},
		{"nothing changed", OK{Status: 0x4002}, false, true, "00000002000000"},
		{"text", text, false, true, "0000000200000003613a31"},
		{"text, not tracked", text, false, false, "0000000200000003613a31"},
	} {
		t.Run(row.name, func(t *testing.T) {
			if got, want := row.ok.Append([]byte("x"), row.end, row.tracking), append([]byte("x"), mustHex(t, row.want)...); !bytes.Equal(got, want) {
				t.Errorf("got %x, want %x", got, want)
			}
		})
	}
	if got, want := state.AppendEOF(nil), mustHex(t, "fe03000200"); !bytes.Equal(got, want) {
		t.Errorf("EOF: got %x, want %x", got, want)
	}
	got, err := ParseEOF(mustHex(t, "fe03000a40"))
	if want := (OK{Status: 0x400A, Warnings: 3}); err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("EOF: got %+v, %v", got, err)
	}
}

// Ensure that what is written is read again.
func FuzzOK(f *testing.F) {
	f.Add(mustHex(f, "000000024000000003020131"), true)
	f.Add(mustHex(f, "0001000200000003613a31"), false)
	f.Fuzz(func(t *testing.T, p []byte, tracking bool) {
		ok, err := ParseOK(p, tracking)
		if err != nil {
			return
		}
		for _, end := range []bool{false, true} {
			again, err := ParseOK(ok.Append(nil, end, tracking), tracking)
			if err != nil {
				t.Fatal(err)
			}
			want := ok
			if ok.Session == nil || !tracking {
				want.Status &^= StatusStateChanged
			}
			same := again.AffectedRows == want.AffectedRows && again.LastInsertID == want.LastInsertID &&
				again.Status == want.Status && again.Warnings == want.Warnings
			if !same || !bytes.Equal(again.Info, want.Info) || !bytes.Equal(again.Session, want.Session) {
				t.Fatalf("got %+v, want %+v", again, want)
			}
		}
		eof, err := ParseEOF(ok.AppendEOF(nil))
		if err != nil || eof.Status != ok.Status&^StatusStateChanged || eof.Warnings != ok.Warnings {
			t.Fatalf("got %+v, %v, want %+v", eof, err, ok)
		}
	})
}
