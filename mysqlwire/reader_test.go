package mysqlwire

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"testing"
	"time"
)

// past is a deadline that is over.
var past = time.Unix(1, 0)

// Ensure that a wait holds no buffer, ends by deadline, and that reading goes on when the deadline is gone.
func TestReaderIdle(t *testing.T) {
	for name, connect := range networks {
		t.Run(name, func(t *testing.T) {
			conn, peer := connect(t)
			r := NewReader(conn)
			for round := range 3 {
				mustDeadline(t, conn, past)
				if err := r.Fill(); !errors.Is(err, os.ErrDeadlineExceeded) {
					t.Fatalf("round %d: got %v", round, err)
				}
				if r.buf != nil || len(r.Bytes()) != 0 {
					t.Fatalf("round %d: holds %d bytes of buffer", round, len(r.buf))
				}
				mustDeadline(t, conn, time.Time{})
				wrote := write(peer, []byte("hello"))
				if err := r.Need(5); err != nil || string(r.Bytes()) != "hello" {
					t.Fatalf("round %d: got %q, %v", round, r.Bytes(), err)
				}
				mustWrite(t, wrote)
				mustDeadline(t, conn, past)
				if err := r.Need(6); !errors.Is(err, os.ErrDeadlineExceeded) || string(r.Bytes()) != "hello" {
					t.Fatalf("round %d: got %q, %v", round, r.Bytes(), err)
				}
				r.Discard(5)
				r.Release()
			}
			r.Close()
			r.Close()
		})
	}
}

// Ensure that there is no buffer while the kernel has nothing to read, and one when it has.
func TestReaderHoldsNoBufferInWait(t *testing.T) {
	conn, peer := connectTCP(t)
	r := NewReader(conn)
	if r.raw == nil {
		t.Fatal("a TCP connection has no descriptor")
	}
	waits := 0
	var wrote chan error
	r.try = func(fd uintptr) bool {
		done := r.attempt(fd)
		if done != (r.buf != nil) {
			t.Errorf("done %v with %d bytes of buffer", done, len(r.buf))
		}
		if !done && waits == 0 {
			wrote = write(peer, []byte("x"))
		}
		waits++
		return done
	}
	if err := r.Fill(); err != nil || waits < 2 {
		t.Errorf("%d attempts, %v", waits, err)
	}
	mustWrite(t, wrote)
}

// scripted is a connection whose reads are functions; it has no descriptor.
type scripted struct {
	net.Conn
	reads []func(b []byte) (int, error)
}

func (s *scripted) Read(b []byte) (int, error) {
	if len(s.reads) == 0 {
		return 0, io.EOF
	}
	f := s.reads[0]
	s.reads = s.reads[1:]
	return f(b)
}

// Ensure that a connection without a descriptor is waited for without a buffer, too.
func TestReaderWithoutDescriptor(t *testing.T) {
	var r *Reader
	r = NewReader(&scripted{reads: []func(b []byte) (int, error){
		func(b []byte) (int, error) {
			if r.buf != nil || len(b) != 1 {
				t.Errorf("waits with %d bytes of buffer, for %d", len(r.buf), len(b))
			}
			return copy(b, "a"), nil
		},
		func(b []byte) (int, error) { return copy(b, "bc"), io.EOF },
		func([]byte) (int, error) { return 0, nil },
	}})
	if err := r.Need(3); err != nil || string(r.Bytes()) != "abc" {
		t.Errorf("got %q, %v", r.Bytes(), err)
	}
	if err := r.Fill(); err != io.ErrNoProgress {
		t.Errorf("got %v", err)
	}
	r.Close()
	r = NewReader(&scripted{reads: []func(b []byte) (int, error){func([]byte) (int, error) { return 0, nil }}})
	if err := r.Fill(); err != io.ErrNoProgress || r.buf != nil {
		t.Errorf("got %v", err)
	}
}

// Ensure that the end of the stream is told from an end in the middle, and a reset from both.
func TestReaderEnd(t *testing.T) {
	for name, connect := range networks {
		t.Run(name, func(t *testing.T) {
			conn, peer := connect(t)
			r := NewReader(conn)
			wrote := write(peer, []byte("abc"))
			if err := r.Need(3); err != nil {
				t.Fatal(err)
			}
			mustWrite(t, wrote)
			closed := make(chan error, 1)
			go func() { closed <- peer.Close() }() // TLS says goodbye, which a pipe passes on only when it is read
			if err := r.Need(4); err != io.ErrUnexpectedEOF || string(r.Bytes()) != "abc" {
				t.Errorf("got %q, %v", r.Bytes(), err)
			}
			if err := r.Fill(); err != io.EOF {
				t.Errorf("got %v", err)
			}
			r.Close()
			for range 2 {
				if err := r.Need(4); err != io.EOF || r.buf != nil {
					t.Errorf("got %v", err)
				}
			}
			<-closed
		})
	}
	conn, peer := connectTCP(t)
	if err := peer.(*net.TCPConn).SetLinger(0); err != nil {
		t.Fatal(err)
	}
	if err := peer.Close(); err != nil {
		t.Fatal(err)
	}
	if err := NewReader(conn).Fill(); err == nil || err == io.EOF {
		t.Errorf("reset: got %v", err)
	}
	if err := conn.Close(); err != nil {
		t.Fatal(err)
	}
	if err := NewReader(conn).Fill(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("closed: got %v", err)
	}
}

// fullReads is a connection whose every read fills the buffer with the next numbers.
func fullReads(sizes *[]int) net.Conn {
	var next byte
	read := func(b []byte) (int, error) {
		*sizes = append(*sizes, len(b))
		for i := range b {
			b[i] = next
			next++
		}
		return len(b), nil
	}
	s := &scripted{}
	for range 100 {
		s.reads = append(s.reads, read)
	}
	return s
}

// mustCount checks that the bytes of r are the numbers from first on.
func mustCount(t *testing.T, r *Reader, first int) {
	t.Helper()
	for i, b := range r.Bytes() {
		if b != byte(first+i) {
			t.Fatalf("byte %d of %d is %d, want %d", i, len(r.Bytes()), b, byte(first+i))
		}
	}
}

// Ensure that the buffer grows when it is full or when more is needed, keeps its bytes, and does not shrink meanwhile.
func TestReaderGrows(t *testing.T) {
	var sizes []int
	r := NewReader(fullReads(&sizes))
	fill := func(want int) {
		t.Helper()
		if err := r.Fill(); err != nil || len(r.buf) != want {
			t.Fatalf("buffer of %d bytes, want %d, %v", len(r.buf), want, err)
		}
	}
	fill(smallBuffer) // the first byte alone
	fill(smallBuffer)
	r.Discard(smallBuffer - 3)
	fill(largeBuffer)
	mustCount(t, r, smallBuffer-3)
	r.Discard(largeBuffer - 2)
	fill(largeBuffer)
	mustCount(t, r, smallBuffer-3+largeBuffer-2)
	const at = smallBuffer - 3 + 2*(largeBuffer-2)
	r.Discard(largeBuffer - 2)
	r.full = false // as after a read that left room
	if err := r.Need(HeaderSize); err != nil || len(r.buf) != largeBuffer {
		t.Fatalf("buffer of %d bytes, %v", len(r.buf), err)
	}
	fill(2 * largeBuffer) // nothing was taken, so there has to be more room
	mustCount(t, r, at)
	if err := r.Need(3*largeBuffer + 1); err != nil || len(r.buf) != 3*largeBuffer+1 {
		t.Fatalf("buffer of %d bytes, %v", len(r.buf), err)
	}
	mustCount(t, r, at)
	r.Discard(len(r.Bytes()))
	r.Release()
	fill(smallBuffer)
}

// Ensure that Need makes room by moving bytes where the buffer is large enough for what is needed.
func TestReaderNeedMovesDown(t *testing.T) {
	const n = smallBuffer - 10
	r := NewReader(&scripted{reads: []func(b []byte) (int, error){
		func(b []byte) (int, error) { return copy(b, "a"), nil },
		func(b []byte) (int, error) { return copy(b[:n], bytes.Repeat([]byte("b"), n)), nil },
		func(b []byte) (int, error) { return copy(b, bytes.Repeat([]byte("c"), 100)), nil },
	}})
	if err := r.Need(1 + n); err != nil {
		t.Fatal(err)
	}
	r.Discard(n - 1)
	if err := r.Need(50); err != nil || len(r.buf) != smallBuffer || string(r.Bytes()[:3]) != "bbc" || len(r.Bytes()) != 102 {
		t.Errorf("%d bytes of buffer, %q, %v", len(r.buf), r.Bytes(), err)
	}
}

// Ensure that nothing is lost or read twice, whatever is asked for and in whatever pieces it comes.
func TestReaderRandom(t *testing.T) {
	const total = 2 << 20
	for name, connect := range networks {
		t.Run(name, func(t *testing.T) {
			conn, peer := connect(t)
			text := make([]byte, total)
			random := rand.NewChaCha8([32]byte{1})
			_, _ = random.Read(text)
			wrote := make(chan error, 1)
			go writePieces(peer, text, wrote)
			readRandomly(t, NewReader(conn), text)
			if err := <-wrote; err != nil {
				t.Error(err)
			}
		})
	}
}

func writePieces(peer net.Conn, text []byte, result chan<- error) {
	random := rand.New(rand.NewPCG(1, 2))
	var err error
	for len(text) > 0 && err == nil {
		n := min(len(text), 1+random.IntN(1+random.IntN(100<<10)))
		_, err = peer.Write(text[:n])
		text = text[n:]
	}
	result <- err
}

func readRandomly(t *testing.T, r *Reader, text []byte) {
	t.Helper()
	random := rand.New(rand.NewPCG(3, 4))
	for len(text) > 0 {
		var err error
		if random.IntN(2) == 0 {
			err = r.Need(1 + random.IntN(min(len(text), 1+random.IntN(400<<10))))
		} else if len(r.Bytes()) < len(text) {
			err = r.Fill()
		}
		if err != nil {
			t.Fatal(err)
		}
		got := r.Bytes()
		if !bytes.HasPrefix(text, got) {
			t.Fatalf("wrong bytes, %d before the end", len(text))
		}
		n := len(got)
		if random.IntN(4) > 0 {
			n = random.IntN(n + 1)
		}
		r.Discard(n)
		text = text[n:]
		if r.Release(); len(r.Bytes()) == 0 && r.buf != nil {
			t.Fatal("an empty buffer is kept")
		}
	}
}

// Ensure that reading what comes after a wait allocates nothing.
func TestReaderAllocations(t *testing.T) {
	for name, connect := range map[string]func(testing.TB) (a, b net.Conn){"tcp": connectTCP, "unix": connectUnix} {
		conn, peer := connect(t)
		r := NewReader(conn)
		text := []byte("a command")
		n := testing.AllocsPerRun(200, func() {
			if _, err := peer.Write(text); err != nil {
				t.Fatal(err)
			}
			if err := r.Need(len(text)); err != nil {
				t.Fatal(err)
			}
			r.Discard(len(text))
			r.Release()
		})
		if n > 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
		checkWait(t, name, r)
	}
}

// checkWait checks that r gives its buffer back when there is nothing to read.
func checkWait(t *testing.T, name string, r *Reader) {
	t.Helper()
	attempt := func(fd uintptr) {
		if r.attempt(fd) {
			t.Errorf("%s: there was something to read", name)
		}
	}
	n := testing.AllocsPerRun(200, func() {
		if err := r.raw.Control(attempt); err != nil {
			t.Fatal(err)
		}
	})
	if n > 0 {
		t.Errorf("%s: %v allocations for a wait", name, n)
	}
}
