package mysqlwire

import (
	"bytes"
	"compress/zlib"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"
)

// algorithms are what a login may agree on, with a compressor that is not ours where there is one.
var algorithms = []struct {
	name  string
	caps  Capability
	level byte
	pack  func(t testing.TB, b []byte) []byte
}{
	{"zlib", CapCompress, 0, packZlib},
	{"zstd", CapZstd, 3, packZstd},
	{"zstd 1", CapZstd, 1, packZstd},
	{"zstd 22", CapZstd, 22, packZstd},
	{"zlib before zstd", CapCompress | CapZstd, 3, packZlib},
}

func packZlib(t testing.TB, b []byte) []byte {
	t.Helper()
	var out bytes.Buffer
	z := zlib.NewWriter(&out)
	if _, err := z.Write(b); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// packZstd compresses as a program does that does not know the size before: it is not in the frame.
func packZstd(t testing.TB, b []byte) []byte {
	t.Helper()
	var out bytes.Buffer
	z, err := zstd.NewWriter(&out, zstd.WithEncoderConcurrency(1), zstd.WithWindowSize(64<<20), zstd.WithZeroFrames(true))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := z.Write(b); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// frame is a compressed frame with this header.
func frame(seq byte, size int, payload []byte) []byte {
	b := AppendHeader(nil, len(payload), seq)
	return append(append(b, byte(size), byte(size>>8), byte(size>>16)), payload...)
}

// stored is a connection that gives what is stored, and keeps what is written.
type stored struct {
	net.Conn
	in, out bytes.Buffer
}

func (s *stored) Read(b []byte) (int, error)  { return s.in.Read(b) }
func (s *stored) Write(b []byte) (int, error) { return s.out.Write(b) }

// receiver is a Compressed that reads these bytes.
func receiver(caps Capability, stream ...[]byte) *Compressed {
	s := &stored{}
	for _, b := range stream {
		s.in.Write(b)
	}
	return Compress(s, caps, 3).(*Compressed)
}

// text is compressible, and every part of it differs from the others.
func text(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = "SELECT"[i%6] ^ byte(i>>12)
	}
	return b
}

// noise does not compress.
func noise(n int) []byte {
	b := make([]byte, n)
	random := rand.New(rand.NewPCG(1, 2))
	for i := range b {
		b[i] = byte(random.Uint32())
	}
	return b
}

// Ensure that what is written at one end is what is read at the other, in both directions and in numbered frames.
func TestCompressedRoundTrip(t *testing.T) {
	texts := [][]byte{{1}, text(minCompress - 1), text(minCompress), text(16 << 10), noise(16 << 10), noise(maxChunk), text(maxChunk + 1),
		noise(2 * maxChunk), text(2*maxChunk - 1), noise(largeBuffer), text(3<<20 + 5), noise(3<<20 + 5), text(17 << 20)}
	for _, a := range algorithms {
		t.Run(a.name, func(t *testing.T) {
			conn, peer := connectTCP(t)
			one, other := Compress(conn, a.caps, a.level), Compress(peer, a.caps, a.level)
			before := runtime.NumGoroutine()
			for _, want := range texts {
				wrote := write(one, want)
				got := make([]byte, len(want))
				if _, err := io.ReadFull(other, got); err != nil || !bytes.Equal(got, want) {
					t.Fatalf("%d bytes: %v", len(want), err)
				}
				mustWrite(t, wrote)
				one, other = other, one
			}
			if n := runtime.NumGoroutine(); n > before {
				t.Errorf("%d goroutines before, %d after", before, n)
			}
		})
	}
}

// Ensure that without the capabilities the connection stays as it is.
func TestCompressNone(t *testing.T) {
	s := &stored{}
	if got := Compress(s, CapProtocol41|CapSSL, 3); got != s {
		t.Errorf("got %T", got)
	}
	if got := receiver(CapZstd).NetConn(); got == nil {
		t.Error("no connection below")
	}
}

// Ensure what frames look like: numbered on from the client's, compressed where that helps, of a bounded size.
func TestCompressedFrames(t *testing.T) {
	for _, a := range algorithms {
		t.Run(a.name, func(t *testing.T) {
			c := receiver(a.caps, frame(0, 0, []byte("a command")))
			s := c.Conn.(*stored)
			if _, err := io.ReadFull(c, make([]byte, 9)); err != nil {
				t.Fatal(err)
			}
			for _, b := range [][]byte{text(49), text(300 << 10), noise(200 << 10)} {
				if n, err := c.Write(b); err != nil || n != len(b) {
					t.Fatal(n, err)
				}
			}
			c.Restart()
			if _, err := c.Write([]byte("bye")); err != nil {
				t.Fatal(err)
			}
			var sizes []int
			var numbers []byte
			for b := s.out.Bytes(); len(b) > 0; {
				n, size := FrameLen(b), FrameLen(b[4:])
				if size > 0 && n >= size {
					t.Errorf("%d bytes became %d", size, n)
				}
				numbers = append(numbers, b[3])
				if sizes = append(sizes, size); size == 0 {
					sizes[len(sizes)-1] = -n
				}
				b = b[compressedHeader+n:]
			}
			rest := 300<<10 - 2*maxChunk
			wantSizes := []int{-49, maxChunk, maxChunk, rest, -maxChunk, -(200<<10 - maxChunk), -3}
			if !slices.Equal(sizes, wantSizes) || !bytes.Equal(numbers, []byte{1, 2, 3, 4, 5, 6, 0}) {
				t.Errorf("got sizes %v, numbers %v; want %v", sizes, numbers, wantSizes)
			}
		})
	}
}

// Ensure that frames are read which other programs made, whole and half packets in them, and how a stream may end.
func TestCompressedReads(t *testing.T) {
	for _, a := range algorithms {
		pack := func(s string) []byte { return a.pack(t, []byte(s)) }
		for _, row := range []struct {
			name   string
			stream [][]byte
			want   string
			err    error
		}{
			{"nothing", nil, "", io.EOF},
			{"plain", [][]byte{frame(0, 0, []byte("ab")), frame(1, 0, []byte("c"))}, "abc", io.EOF},
			{"compressed", [][]byte{frame(0, 6, pack("select")), frame(1, 0, []byte(" ")), frame(2, 1, pack("1"))}, "select 1", io.EOF},
			{"another command", [][]byte{frame(0, 1, pack("a")), frame(0, 1, pack("b"))}, "ab", io.EOF},
			{"the first is not 0", [][]byte{frame(7, 0, []byte("a"))}, "", ErrCompression},
			{"a number is left out", [][]byte{frame(0, 0, []byte("a")), frame(2, 0, []byte("b"))}, "a", ErrCompression},
			{"nothing in a frame", [][]byte{frame(0, 0, nil), frame(1, 0, []byte("a"))}, "a", io.EOF},
			{"less than announced", [][]byte{frame(0, 9, pack("abc")), frame(1, 3, pack("def"))}, "abcdef", io.EOF},
			{"more than announced", [][]byte{frame(0, 2, pack("abc"))}, "ab", ErrCompression},
			{"no compression", [][]byte{frame(0, 9, []byte("select 1 from t"))}, "", ErrCompression},
			{"bytes that do not count", [][]byte{frame(0, 0, nil), frame(1, 3, pack("abc")), frame(2, 0, []byte("d"))}, "abcd", io.EOF},
			{"an end in the header", [][]byte{frame(0, 0, nil)[:5]}, "", io.ErrUnexpectedEOF},
			{"an end before the payload", [][]byte{frame(0, 0, []byte("abc"))[:7]}, "", io.ErrUnexpectedEOF},
			{"an end in the payload", [][]byte{frame(0, 0, []byte("abc"))[:9]}, "ab", io.ErrUnexpectedEOF},
			{"an end in what is compressed", [][]byte{frame(0, 3, pack("abc"))[:9]}, "", io.ErrUnexpectedEOF},
		} {
			t.Run(a.name+"/"+row.name, func(t *testing.T) {
				c := receiver(a.caps, row.stream...)
				got, err := readAll(c)
				if row.name == "more than announced" && a.caps == CapZstd {
					row.want = "" // a frame of zstd is decompressed as a whole
				}
				if string(got) != row.want || !errors.Is(err, row.err) {
					t.Errorf("got %q, %v; want %q, %v", got, err, row.want, row.err)
				}
				if _, again := c.Read(make([]byte, 1)); !errors.Is(again, row.err) && !errors.Is(again, io.EOF) {
					t.Errorf("then %v", again)
				}
			})
		}
	}
}

// readAll reads to the end, which it returns too.
func readAll(r io.Reader) (got []byte, err error) {
	for b := make([]byte, 1000); err == nil; {
		var n int
		n, err = r.Read(b)
		got = append(got, b[:n]...)
	}
	return got, err
}

// Ensure that zlib's trailing bytes are skipped, as servers do, and a wrong checksum is found.
func TestCompressedZlibTail(t *testing.T) {
	packed := packZlib(t, []byte("abc"))
	c := receiver(CapCompress, frame(0, 3, append(slices.Clone(packed), "tail"...)), frame(1, 0, []byte("d")))
	if got, err := readAll(c); string(got) != "abcd" || err != io.EOF {
		t.Errorf("got %q, %v", got, err)
	}
	packed[len(packed)-1]++
	if _, err := readAll(receiver(CapCompress, frame(0, 3, packed))); !errors.Is(err, ErrCompression) {
		t.Errorf("got %v", err)
	}
}

// Ensure that memory follows what has arrived, and what was announced bounds what comes out.
func TestCompressedMemory(t *testing.T) {
	const announced = 1<<24 - 1
	bomb := make([]byte, 64<<20)
	for _, a := range algorithms {
		packed := a.pack(t, bomb)
		for _, row := range []struct {
			name   string
			stream []byte
			most   int // bytes that may come out
		}{
			{"nothing comes of what was announced", append(frame(0, announced, bomb[:announced])[:compressedHeader], packed[:20]...), announced},
			{"a little announced, much within", frame(0, 1000, packed), 1000},
		} {
			t.Run(a.name+"/"+row.name, func(t *testing.T) {
				c := receiver(a.caps, row.stream)
				var b [1000]byte
				var before, after runtime.MemStats
				runtime.ReadMemStats(&before)
				n, err := 0, error(nil)
				for err == nil {
					var k int
					k, err = c.Read(b[:])
					n += k
				}
				runtime.ReadMemStats(&after)
				if took := after.TotalAlloc - before.TotalAlloc; n > row.most || took > 1<<20 {
					t.Errorf("%d bytes came out, %d were allocated", n, took)
				}
				if !errors.Is(err, ErrCompression) && !errors.Is(err, io.ErrUnexpectedEOF) {
					t.Errorf("got %v", err)
				}
			})
		}
	}
}

// Ensure that a connection between two commands holds no buffer and no decompressor, and that its wait ends by deadline
// and can be taken up again.
func TestCompressedIdle(t *testing.T) {
	for _, a := range algorithms {
		t.Run(a.name, func(t *testing.T) {
			conn, peer := connectTCP(t)
			c := Compress(conn, a.caps, a.level).(*Compressed)
			r := NewReader(c)
			sender := Compress(peer, a.caps, a.level).(*Compressed)
			for range 3 {
				wrote := write(sender, text(100_000))
				if err := r.Need(100_000); err != nil {
					t.Fatal(err)
				}
				mustWrite(t, wrote)
				r.Discard(100_000)
				r.Release()
				mustDeadline(t, conn, past)
				if err := r.Fill(); !errors.Is(err, os.ErrDeadlineExceeded) {
					t.Fatal(err)
				}
				if c.body != nil || c.payload.in.buf != nil || r.buf != nil {
					t.Fatalf("holds %T, %d bytes and %d", c.body, len(c.payload.in.buf), len(r.buf))
				}
				mustDeadline(t, conn, time.Time{})
				sender.Restart()
			}
		})
	}
}

// BenchmarkCompressed is what a command and its response cost beyond those without compression, by the size of the
// response.
func BenchmarkCompressed(b *testing.B) {
	for _, a := range algorithms[:3] {
		for name, response := range map[string][]byte{"100B": text(100), "1KB": text(1000), "16KB": text(16 << 10), "256KB": text(256 << 10), "256KB noise": noise(256 << 10)} {
			b.Run(a.name+"/"+name, func(b *testing.B) {
				s := &stored{}
				c := Compress(s, a.caps, a.level).(*Compressed)
				command, got := frame(0, 60, a.pack(b, text(60))), make([]byte, 60)
				b.SetBytes(int64(len(response)))
				for b.Loop() {
					s.in.Write(command)
					s.out.Reset()
					if _, err := io.ReadFull(c, got); err != nil {
						b.Fatal(err)
					}
					if _, err := c.Write(response); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}
