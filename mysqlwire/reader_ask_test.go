package mysqlwire

import (
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"testing"
	"time"
)

// answer reads n bytes and then writes text, on a goroutine of its own. What it read comes out of the channel.
func answer(peer net.Conn, n int, text string) <-chan []byte {
	read := make(chan []byte, 1)
	go func() {
		b := make([]byte, n)
		_, _ = io.ReadFull(peer, b) // a short one shows in what was read
		_, _ = peer.Write([]byte(text))
		read <- b
	}()
	return read
}

// Ensure that a request gets its answer, on all kinds of connections, whether the socket takes it in one go or not.
func TestReaderAsk(t *testing.T) {
	for name, connect := range networks {
		for _, size := range []int{1, 100, 8 << 20} {
			conn, peer := connect(t)
			r := NewReader(conn)
			request := bytes.Repeat([]byte("q"), size)
			for range 3 {
				read := answer(peer, size, "answer")
				if err := r.Ask(request); err != nil {
					t.Fatalf("%s, %d bytes: %v", name, size, err)
				}
				if err := r.Need(6); err != nil || string(r.Bytes()) != "answer" {
					t.Fatalf("%s, %d bytes: got %q, %v", name, size, r.Bytes(), err)
				}
				r.Discard(6)
				r.Release()
				if !bytes.Equal(<-read, request) {
					t.Fatalf("%s, %d bytes: the request came out wrong", name, size)
				}
			}
		}
	}
}

// Ensure that what is buffered stays in front of the answer.
func TestReaderAskBuffered(t *testing.T) {
	conn, peer := connectTCP(t)
	r := NewReader(conn)
	mustWrite(t, write(peer, []byte("before")))
	if err := r.Need(6); err != nil {
		t.Fatal(err)
	}
	read := answer(peer, 1, "answer")
	if err := r.Ask([]byte("q")); err != nil {
		t.Fatal(err)
	}
	if err := r.Need(12); err != nil || string(r.Bytes()) != "beforeanswer" {
		t.Errorf("got %q, %v", r.Bytes(), err)
	}
	<-read
}

// Ensure that a deadline during the wait shows in the next Fill, and one before it in Ask, which then writes nothing.
func TestReaderAskDeadline(t *testing.T) {
	conn, peer := connectTCP(t)
	r := NewReader(conn)
	arrived := make(chan error, 1)
	go func() {
		_, err := io.ReadFull(peer, make([]byte, 1))
		arrived <- errors.Join(err, conn.SetReadDeadline(past))
	}()
	if err := r.Ask([]byte("1")); err != nil {
		t.Fatal(err)
	}
	if err := <-arrived; err != nil {
		t.Fatal(err)
	}
	if err := r.Fill(); !errors.Is(err, os.ErrDeadlineExceeded) || r.buf != nil {
		t.Errorf("got %v with %d bytes of buffer", err, len(r.buf))
	}
	if err := r.Ask([]byte("2")); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("got %v", err)
	}
	mustDeadline(t, conn, time.Time{})
	read := answer(peer, 1, "answer")
	if err := r.Ask([]byte("3")); err != nil {
		t.Fatal(err)
	}
	if got := <-read; string(got) != "3" {
		t.Errorf("the peer read %q", got)
	}
	if err := r.Need(6); err != nil || string(r.Bytes()) != "answer" {
		t.Errorf("got %q, %v", r.Bytes(), err)
	}
}

// Ensure that asking allocates nothing.
func TestReaderAskAllocations(t *testing.T) {
	conn, peer := connectTCP(t)
	r := NewReader(conn)
	request, stop := []byte("a request"), make(chan struct{})
	go func() {
		defer close(stop)
		b := make([]byte, len(request))
		for {
			if _, err := io.ReadFull(peer, b); err != nil {
				return
			}
			_, _ = peer.Write(b) // an error shows in the next read
		}
	}()
	n := testing.AllocsPerRun(200, func() {
		if err := r.Ask(request); err != nil {
			t.Fatal(err)
		}
		if err := r.Need(len(request)); err != nil {
			t.Fatal(err)
		}
		r.Discard(len(request))
		r.Release()
	})
	if n > 0 {
		t.Errorf("%v allocations", n)
	}
	_ = conn.Close()
	<-stop
}
