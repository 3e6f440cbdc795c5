package mysqlwire

import (
	"bytes"
	"io"
	"math/rand/v2"
	"net"
	"testing"

	"github.com/go-mysql-org/go-mysql/mysql"
)

// Ensure that any bytes are scanned without going beyond them, and in the same way however they are cut; and that what
// is relayed differs from what came in nothing but the numbers of frames.
func FuzzResponse(f *testing.F) {
	for seed := range uint64(12) {
		m := newModel(seed)
		f.Add(m.b, m.command, m.deprecated, m.cursor, byte(0), m.fuzzSeed(seed))
	}
	for _, first := range []byte{0x00, 0xFB, 0xFE, 0xFF} {
		f.Add([]byte{1, 0, 0, 1, first}, byte(mysql.COM_QUERY), true, false, byte(1), uint64(1))
	}
	f.Fuzz(func(t *testing.T, b []byte, command byte, deprecated, cursor bool, shift byte, seed uint64) {
		begin := func() *Response {
			var r Response
			r.Begin(command, form{deprecated, seed%2 == 1}.caps())
			r.Cursor, r.Shift = cursor, shift
			return &r
		}
		random := rand.New(rand.NewPCG(seed, 3))
		most := 1 + random.IntN(100)
		first := scan(t, begin(), b, whole)
		for _, cut := range []func(int) int{inSteps(1), func(end int) int { return end + 1 + random.IntN(most) }} {
			if other := scan(t, begin(), b, cut); first.same(&other) != "" {
				t.Fatal(first.same(&other))
			}
		}
		if len(first.relayed) != first.used || first.done && first.err != nil {
			t.Fatalf("got %+v", first)
		}
		if shift == 0 && !bytes.Equal(first.relayed, b[:first.used]) {
			t.Fatal("bytes were changed")
		}
	})
}

// endless is a connection that is read with a function.
type endless struct {
	net.Conn
	read func(b []byte) (int, error)
}

func (e endless) Read(b []byte) (int, error) { return e.read(b) }

// Ensure that a reader loses nothing and reads nothing twice, whatever is asked of it in whatever order.
func FuzzReader(f *testing.F) {
	f.Add([]byte{0, 1, 2, 3, 4, 5, 6, 7}, uint64(1), 100)
	f.Add([]byte{0, 3, 3, 3, 1, 250, 2, 1, 255, 3, 0, 0}, uint64(2), 300<<10)
	f.Fuzz(func(t *testing.T, program []byte, seed uint64, size int) {
		text := make([]byte, min(max(size, 0), 1<<20))
		random := rand.New(rand.NewPCG(seed, 4))
		for i := range text {
			text[i] = byte(i>>8) ^ byte(i)
		}
		left := text // of what the connection will give
		piece := func(b []byte) (int, error) {
			n := min(len(b), len(left), 1+random.IntN(1+random.IntN(300<<10)))
			copy(b, left[:n])
			if left = left[n:]; n == 0 {
				return 0, io.EOF
			}
			return n, nil
		}
		runReader(t, NewReader(endless{read: piece}), program, text)
	})
}

// runReader does to r what the program says: a byte is one step, and the one after it how far it goes.
func runReader(t *testing.T, r *Reader, program, text []byte) {
	t.Helper()
	for i := 0; i+1 < len(program); i += 2 {
		had, far := len(r.Bytes()), int(program[i+1])
		switch program[i] % 4 {
		case 0:
			if err := r.Fill(); err != nil && err != io.EOF || err == nil && len(r.Bytes()) <= had {
				t.Fatalf("had %d, has %d, %v", had, len(r.Bytes()), err)
			}
		case 1:
			n := far * far * 8
			if err := r.Need(n); err == nil && len(r.Bytes()) < n || err == io.EOF && had > 0 {
				t.Fatalf("needs %d, has %d, %v", n, len(r.Bytes()), err)
			}
		case 2:
			n := min(had, had*(far+1)/256)
			r.Discard(n)
			text = text[n:]
		case 3:
			if r.Release(); len(r.Bytes()) != had || had == 0 && r.buf != nil {
				t.Fatalf("had %d, has %d in %d", had, len(r.Bytes()), len(r.buf))
			}
		}
		if !bytes.HasPrefix(text, r.Bytes()) {
			t.Fatalf("step %d: wrong bytes, %d before the end", i/2, len(text))
		}
	}
	r.Close()
}
