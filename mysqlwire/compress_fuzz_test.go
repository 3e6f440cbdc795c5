package mysqlwire

import (
	"bytes"
	"io"
	"testing"
	"testing/iotest"
)

// Ensure that any bytes are read without a panic, to the same end however they arrive, and give no more than their
// headers announce.
func FuzzCompressedRead(f *testing.F) {
	for _, a := range algorithms {
		f.Add(joined(frame(0, 300, a.pack(f, text(300))), frame(1, 0, []byte("plain")), frame(0, 3, a.pack(f, []byte("abc")))), a.caps == CapZstd)
		f.Add(frame(0, 2, a.pack(f, text(300))), a.caps == CapZstd)
		f.Add(frame(0, 300, a.pack(f, text(300)))[:20], a.caps == CapZstd)
	}
	f.Fuzz(func(t *testing.T, b []byte, isZstd bool) {
		caps := CapCompress
		if isZstd {
			caps = CapZstd
		}
		whole, err := readAll(receiver(caps, b))
		if most := announced(b); len(whole) > most {
			t.Fatalf("%d bytes, %d announced", len(whole), most)
		}
		slow := receiver(caps)
		slow.payload.in = NewReader(endless{read: iotest.OneByteReader(bytes.NewReader(b)).Read})
		again, errAgain := readAll(iotest.HalfReader(slow))
		if !bytes.Equal(whole, again) || err.Error() != errAgain.Error() {
			t.Fatalf("got %d bytes, %v; byte by byte %d, %v", len(whole), err, len(again), errAgain)
		}
	})
}

func joined(frames ...[]byte) []byte { return bytes.Join(frames, nil) }

// announced is how many bytes may be in the frames of b.
func announced(b []byte) int {
	total := 0
	for len(b) >= compressedHeader {
		n, size := FrameLen(b), FrameLen(b[4:])
		if size == 0 {
			size = n
		}
		total += size
		b = b[min(len(b), compressedHeader+n):]
	}
	return total
}

// Ensure that whatever is written, in whatever pieces, arrives.
func FuzzCompressedWrite(f *testing.F) {
	f.Add(text(1000), 1, byte(3), false)
	f.Add(noise(1000), 100, byte(3), true)
	f.Add(text(100), 300, byte(9), true)
	f.Fuzz(func(t *testing.T, b []byte, times int, level byte, isZstd bool) {
		caps := CapCompress
		if isZstd {
			caps = CapZstd
		}
		s := &stored{}
		c := Compress(s, caps, level)
		var want []byte
		for range min(max(times, 0), 300) {
			if _, err := c.Write(b); err != nil {
				t.Fatal(err)
			}
			want = append(want, b...)
			if len(b) < 1<<13 {
				b = append(b, b...)
			}
			if len(want) > 1<<18 {
				break
			}
		}
		s.in = s.out
		got, err := readAll(Compress(s, caps, level).(*Compressed))
		if err != io.EOF || !bytes.Equal(got, want) {
			t.Fatalf("got %d bytes of %d, %v", len(got), len(want), err)
		}
	})
}
