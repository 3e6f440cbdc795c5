package mysqlwire

import (
	"bytes"
	"testing"
)

// FuzzPrepared reads what a server says that it has prepared.
func FuzzPrepared(f *testing.F) {
	p := Prepared{ID: 7, Columns: 2, Params: 300, Warnings: 1}
	f.Add(p.Append(nil, 0))
	f.Add(append(p.Append(nil, 0), 0))
	f.Add([]byte{0, 1, 0, 0})
	f.Fuzz(func(t *testing.T, payload []byte) {
		got, err := ParsePrepared(payload)
		if err != nil {
			return
		}
		again, err := ParsePrepared(got.Append(nil, 0))
		again.Silent = got.Silent
		if err != nil || again != got {
			t.Errorf("%+v became %+v, %v", got, again, err)
		}
	})
}

// FuzzEOF reads the packets that end something in the classic way.
func FuzzEOF(f *testing.F) {
	f.Add([]byte{0xFE, 1, 0, 2, 0})
	f.Add([]byte{0xFE})
	f.Fuzz(func(t *testing.T, payload []byte) {
		got, err := ParseEOF(payload)
		if err != nil {
			return
		}
		if again, err := ParseEOF(got.AppendEOF(nil)); err != nil || again.Status != got.Status&^StatusStateChanged || again.Warnings != got.Warnings {
			t.Errorf("%+v became %+v, %v", got, again, err)
		}
	})
}

// FuzzAuthMore reads what a server adds in a login, and a password that a client sends as it is.
func FuzzAuthMore(f *testing.F) {
	f.Add(AppendAuthMore(nil, FastAuthOK))
	f.Add([]byte("secret\x00"))
	f.Fuzz(func(t *testing.T, payload []byte) {
		if data, ok := ParseAuthMore(payload); ok && !bytes.Equal(AppendAuthMore(nil, data...), payload) {
			t.Errorf("%q is not what %q says", data, payload)
		}
		if password := ParseClearPassword(payload); len(password) > len(payload) {
			t.Errorf("got %q", password)
		}
	})
}
