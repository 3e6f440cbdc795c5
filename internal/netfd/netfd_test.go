package netfd

import (
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// connect returns the two ends of a connection, the first as a Conn.
func connect(t *testing.T, network, address string) (net.Conn, net.Conn) {
	t.Helper()
	l, err := net.Listen(network, address)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	peer, err := net.Dial(network, l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	nc, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	c := New(nc)
	t.Cleanup(func() {
		_ = c.Close()
		_ = peer.Close()
	})
	if _, ok := c.(*Conn); !ok {
		t.Fatalf("a %s connection is %T", network, c)
	}
	return c, peer
}

// Ensure that all that is written in both directions at a time arrives, though both sides have to wait for each other.
func TestBothWays(t *testing.T) {
	networks := map[string]string{"tcp": "127.0.0.1:0", "unix": filepath.Join(t.TempDir(), "s")}
	for network, address := range networks {
		c, peer := connect(t, network, address)
		sent := bytes.Repeat([]byte("0123456789abcdef"), 1<<19)
		results := make(chan error, 4)
		go transmit(c, sent, results)
		go transmit(peer, sent, results)
		go receive(c, sent, results)
		go receive(peer, sent, results)
		for range 4 {
			if err := <-results; err != nil {
				t.Errorf("%s: %v", network, err)
			}
		}
	}
}

func transmit(c net.Conn, b []byte, result chan<- error) {
	n, err := c.Write(b)
	if err == nil && n != len(b) {
		err = io.ErrShortWrite
	}
	result <- err
}

func receive(c net.Conn, want []byte, result chan<- error) {
	got := make([]byte, len(want))
	_, err := io.ReadFull(c, got)
	if err == nil && !bytes.Equal(got, want) {
		err = errors.New("other bytes arrived")
	}
	result <- err
}

// Ensure that deadlines end waits, in both directions, and that it goes on when they are gone.
func TestDeadline(t *testing.T) {
	c, peer := connect(t, "tcp", "127.0.0.1:0")
	if err := c.SetDeadline(time.Now().Add(10 * time.Millisecond)); err != nil {
		t.Fatal(err)
	}
	if n, err := c.Read(make([]byte, 1)); n != 0 || !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("read %d, %v", n, err)
	}
	block := make([]byte, 64<<20)
	written, err := c.Write(block)
	if written == len(block) || !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("wrote %d, %v", written, err)
	}
	if err := c.SetDeadline(time.Time{}); err != nil {
		t.Fatal(err)
	}
	results := make(chan error, 2)
	go receive(peer, append(block[:written:written], "end"...), results)
	go transmit(c, []byte("end"), results)
	for range 2 {
		if err := <-results; err != nil {
			t.Error(err)
		}
	}
}

// Ensure that the ends of a connection are what they are elsewhere.
func TestEnds(t *testing.T) {
	c, peer := connect(t, "tcp", "127.0.0.1:0")
	if n, err := c.Read(nil); n != 0 || err != nil {
		t.Errorf("read of nothing: %d, %v", n, err)
	}
	if n, err := c.Write(nil); n != 0 || err != nil {
		t.Errorf("write of nothing: %d, %v", n, err)
	}
	if err := c.(interface{ CloseWrite() error }).CloseWrite(); err != nil {
		t.Error(err)
	}
	if n, err := peer.Read(make([]byte, 1)); n != 0 || err != io.EOF {
		t.Errorf("behind CloseWrite: %d, %v", n, err)
	}
	if err := peer.Close(); err != nil {
		t.Fatal(err)
	}
	if n, err := c.Read(make([]byte, 1)); n != 0 || err != io.EOF {
		t.Errorf("behind the peer's Close: %d, %v", n, err)
	}
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Read(make([]byte, 1)); !errors.Is(err, net.ErrClosed) {
		t.Errorf("read behind Close: %v", err)
	}
	if _, err := c.Write(make([]byte, 1)); !errors.Is(err, net.ErrClosed) {
		t.Errorf("write behind Close: %v", err)
	}
}

// Ensure that a connection that is no socket stays as it is.
func TestNoSocket(t *testing.T) {
	a, b := net.Pipe()
	defer a.Close()
	defer b.Close()
	if got := New(a); got != a {
		t.Errorf("got %T", got)
	}
}

// Ensure that a write to a peer that is gone is an error and not the end of the process.
func TestBrokenPipe(t *testing.T) {
	c, peer := connect(t, "unix", filepath.Join(t.TempDir(), "s"))
	if err := peer.Close(); err != nil {
		t.Fatal(err)
	}
	if n, err := c.Write([]byte("x")); n != 0 || err == nil {
		t.Errorf("wrote %d, %v", n, err)
	}
}

// Ensure that neither direction allocates.
func TestAllocations(t *testing.T) {
	c, peer := connect(t, "tcp", "127.0.0.1:0")
	b := make([]byte, 100)
	n := testing.AllocsPerRun(100, func() {
		if _, err := peer.Write(b); err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(c, b); err != nil {
			t.Fatal(err)
		}
		if _, err := c.Write(b); err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(peer, b); err != nil {
			t.Fatal(err)
		}
	})
	if n > 0 {
		t.Errorf("%v allocations", n)
	}
}
