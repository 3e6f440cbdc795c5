package mysqlwire

import (
	"bytes"
	"errors"
	"io"
	"math"
	"testing"
	"testing/iotest"
)

// Ensure that packets of all sizes around a frame's are split, and put together again, and that not a byte behind them
// is read.
func TestPacket(t *testing.T) {
	for _, size := range []int{0, 1, 250, 1 << 16, MaxFrame - 1, MaxFrame, MaxFrame + 1, 2 * MaxFrame} {
		payload := bytes.Repeat([]byte("abcdefg"), size/7+1)[:size]
		b := AppendPacket([]byte("before"), 254, payload)[6:]
		want := (&stream{seq: 253}).packet(payload)
		if !bytes.Equal(b, want.b) {
			t.Fatalf("%d bytes: frames differ", size)
		}
		r := bytes.NewReader(append(b, "behind"...))
		got, seq, err := ReadPacket(r, size)
		if err != nil || seq != want.seq || !bytes.Equal(got, payload) || got == nil || r.Len() != 6 {
			t.Fatalf("%d bytes: got %d, number %d, %v, %d bytes left", size, len(got), seq, err, r.Len())
		}
	}
}

// Ensure that ends are told apart and that the limit holds, before anything of that size is read or held.
func TestReadPacketErrors(t *testing.T) {
	for _, row := range []struct {
		name  string
		b     []byte
		limit int
		want  error
	}{
		{"nothing", nil, 10, io.EOF},
		{"half a header", []byte{1, 0}, 10, io.ErrUnexpectedEOF},
		{"no payload", []byte{1, 0, 0, 0}, 10, io.ErrUnexpectedEOF},
		{"half a payload", []byte{2, 0, 0, 0, 'a'}, 10, io.ErrUnexpectedEOF},
		{"no second frame", append(AppendHeader(nil, MaxFrame, 0), make([]byte, MaxFrame)...), MaxFrame, io.ErrUnexpectedEOF},
		{"too large", []byte{11, 0, 0, 0}, 10, ErrTooLarge},
		{"far too large", []byte{0xFF, 0xFF, 0xFF, 0}, 10, ErrTooLarge},
	} {
		t.Run(row.name, func(t *testing.T) {
			got, _, err := ReadPacket(bytes.NewReader(row.b), row.limit)
			if !errors.Is(err, row.want) || err != nil && got != nil {
				t.Errorf("got %d bytes, %v", len(got), err)
			}
		})
	}
	second := append(append(AppendHeader(nil, MaxFrame, 0), make([]byte, MaxFrame)...), 1, 0, 0, 1, 'a')
	if _, _, err := ReadPacket(bytes.NewReader(second), MaxFrame); !errors.Is(err, ErrTooLarge) {
		t.Errorf("got %v", err)
	}
	broken := errors.New("broken")
	if _, _, err := ReadPacket(iotest.ErrReader(broken), 10); !errors.Is(err, broken) {
		t.Errorf("got %v", err)
	}
}

// noting notes how much was asked for at once.
type noting struct {
	io.Reader
	most int
}

func (n *noting) Read(p []byte) (int, error) {
	n.most = max(n.most, len(p))
	return n.Reader.Read(p)
}

// Ensure that an announced length alone costs no memory.
func TestReadPacketMemory(t *testing.T) {
	r := &noting{Reader: bytes.NewReader(append(AppendHeader(nil, MaxFrame-1, 0), 'a'))}
	if _, _, err := ReadPacket(r, MaxFrame); err != io.ErrUnexpectedEOF || r.most > 64<<10 {
		t.Errorf("asked for %d bytes, %v", r.most, err)
	}
}

// Ensure that length-encoded integers are read and written, and that what is none is told.
func TestLenenc(t *testing.T) {
	for _, row := range []struct {
		v    uint64
		size int
	}{
		{0, 1}, {250, 1}, {251, 3}, {1<<16 - 1, 3}, {1 << 16, 4}, {1<<24 - 1, 4}, {1 << 24, 9}, {math.MaxUint64, 9},
	} {
		b := appendLenenc(nil, row.v)
		if v, size := Lenenc(append(b, 0xFF)); v != row.v || size != row.size || len(b) != row.size {
			t.Errorf("%d: got %d in %d bytes", row.v, v, size)
		}
		for n := range b {
			if _, size := Lenenc(b[:n]); size != 0 {
				t.Errorf("%d: %d bytes are enough", row.v, n)
			}
		}
	}
	for _, first := range []byte{0xFB, 0xFF} {
		if _, size := Lenenc(append([]byte{first}, make([]byte, 9)...)); size != 0 {
			t.Errorf("%x is a length", first)
		}
	}
	if _, _, ok := cutLenencBytes(append(appendLenenc(nil, math.MaxUint64), "abc"...)); ok {
		t.Error("a text is longer than its packet")
	}
}

// Ensure that reading in any pieces gives what was written.
func FuzzReadPacket(f *testing.F) {
	f.Add([]byte{2, 0, 0, 7, 'a', 'b', 'c'}, 10)
	f.Add([]byte{0xFF, 0xFF, 0xFF, 0, 'a'}, 1<<24)
	f.Fuzz(func(t *testing.T, b []byte, limit int) {
		r := bytes.NewReader(b)
		p, seq, err := ReadPacket(r, limit)
		if err != nil {
			return
		}
		if used := b[:len(b)-r.Len()]; !bytes.Equal(AppendPacket(nil, seq, p), used) || len(p) > limit {
			t.Fatalf("got %q, number %d, from %q", p, seq, used)
		}
		again, _, err := ReadPacket(iotest.OneByteReader(bytes.NewReader(b)), limit)
		if err != nil || !bytes.Equal(again, p) {
			t.Fatalf("byte by byte: got %q, %v", again, err)
		}
	})
}
