package faultyconn_test

import (
	"errors"
	"io"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stickyproxy/stickyproxy/internal/mysqltest/faultyconn"
)

var errFault = errors.New("fault")

// Ensure that exactly the bytes before a fault are read, in any size of calls.
func TestReadFault(t *testing.T) {
	for _, row := range []struct {
		name string
		plan faultyconn.Plan
		want string
		err  error
	}{
		{"none", faultyconn.Plan{}, "0123456789", nil},
		{"before the first byte", faultyconn.Plan{Reads: []faultyconn.Fault{{Err: errFault}}}, "", errFault},
		{"in the middle", faultyconn.Plan{Reads: []faultyconn.Fault{{At: 4, Err: errFault}}}, "0123", errFault},
		{"two faults", faultyconn.Plan{Reads: []faultyconn.Fault{{At: 2}, {At: 4, Err: errFault}}}, "0123", errFault},
		{"in chunks", faultyconn.Plan{ReadChunk: 3, Reads: []faultyconn.Fault{{At: 7, Err: errFault}}}, "0123456", errFault},
		{"after the end", faultyconn.Plan{Reads: []faultyconn.Fault{{At: 11, Err: errFault}}}, "0123456789", nil},
	} {
		c, peer := newPair(t, row.plan)
		go func() {
			peer.Write([]byte("0123456789"))
			peer.Close()
		}()
		got, err := io.ReadAll(c)
		if string(got) != row.want || !errors.Is(err, row.err) {
			t.Errorf("%s: read %q, error %v; want %q, %v", row.name, got, err, row.want, row.err)
		}
		if _, again := c.Read(make([]byte, 1)); row.err != nil && !errors.Is(again, row.err) {
			t.Errorf("%s: the next read's error is %v, want %v", row.name, again, row.err)
		}
	}
}

// Ensure that a write is cut at the fault and tells how far it got.
func TestWriteFault(t *testing.T) {
	for _, row := range []struct {
		name string
		plan faultyconn.Plan
		want string
		err  error
	}{
		{"none", faultyconn.Plan{}, "0123456789", nil},
		{"before the first byte", faultyconn.Plan{Writes: []faultyconn.Fault{{Err: errFault}}}, "", errFault},
		{"in the middle, in chunks", faultyconn.Plan{WriteChunk: 3, Writes: []faultyconn.Fault{{At: 4, Err: errFault}}}, "0123", errFault},
		{"chunks only", faultyconn.Plan{WriteChunk: 1}, "0123456789", nil},
	} {
		c, peer := newPair(t, row.plan)
		received := make(chan string, 1)
		go func() {
			all, _ := io.ReadAll(peer)
			received <- string(all)
		}()
		n, err := c.Write([]byte("0123456789"))
		if n != len(row.want) || !errors.Is(err, row.err) {
			t.Errorf("%s: wrote %d, error %v; want %d, %v", row.name, n, err, len(row.want), row.err)
		}
		c.Close()
		if got := <-received; got != row.want {
			t.Errorf("%s: %q arrived, want %q", row.name, got, row.want)
		}
	}
}

// Ensure that a delay lasts as long as it says, and that what a fault does comes after it.
func TestDelay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		var done time.Duration
		c, peer := newPair(t, faultyconn.Plan{Reads: []faultyconn.Fault{{At: 1, Delay: time.Hour, Do: func() { done = time.Since(start) }}}})
		go peer.Write([]byte("ab"))
		if _, err := io.ReadFull(c, make([]byte, 2)); err != nil {
			t.Fatal(err)
		}
		if done != time.Hour || time.Since(start) != time.Hour {
			t.Errorf("done after %v, read after %v; want an hour", done, time.Since(start))
		}
	})
}

// Ensure that Close ends a delay.
func TestCloseEndsDelay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, _ := newPair(t, faultyconn.Plan{Writes: []faultyconn.Fault{{Delay: time.Hour}}})
		result := make(chan error, 1)
		go func() {
			_, err := c.Write([]byte("a"))
			result <- err
		}()
		synctest.Wait()
		c.Close()
		if err := <-result; !errors.Is(err, net.ErrClosed) {
			t.Errorf("error %v, want %v", err, net.ErrClosed)
		}
	})
}

func newPair(t *testing.T, p faultyconn.Plan) (*faultyconn.Conn, net.Conn) {
	t.Helper()
	near, far := net.Pipe()
	c := faultyconn.Wrap(near, p)
	t.Cleanup(func() {
		c.Close()
		far.Close()
	})
	return c, far
}
