// Package faultyconn wraps a [net.Conn] so that it fails, waits or hands over little at chosen
// bytes, for tests of code that has to live with such connections.
//
//	c := faultyconn.Wrap(conn, faultyconn.Plan{
//		Reads:  []faultyconn.Fault{{At: 4, Delay: time.Second}, {At: 10, Err: io.ErrUnexpectedEOF}},
//		Writes: []faultyconn.Fault{{At: 0, Err: syscall.EPIPE}},
//	})
//
// It takes no time of its own: with testing/synctest and [net.Pipe] its delays cost nothing.
package faultyconn

import (
	"net"
	"sync"
	"time"
)

// Fault is what happens when At bytes have passed in one direction: first Delay, then Do, then
// Err. Exactly At bytes pass before it; a call that asks for more is cut there.
type Fault struct {
	At    int64         // bytes that pass before; 0 is before the first
	Delay time.Duration // wait as long; Close ends the wait
	Do    func()        // called in the goroutine that reads or writes; nil is nothing
	Err   error         // this call and all later ones in the direction fail with it; nil goes on
}

// Plan is what a connection goes through. The zero Plan changes nothing.
type Plan struct {
	Reads, Writes         []Fault // in ascending order of At
	ReadChunk, WriteChunk int     // at most so many bytes a Read or an underlying Write; 0 is no limit
}

// Conn is a connection with faults. Like every net.Conn it may be read and written at the same
// time; two concurrent calls in the same direction are not supported.
type Conn struct {
	net.Conn
	reads, writes direction
	closing       sync.Once
	closed        chan struct{}
}

// Wrap takes ownership of c: closing the result closes it.
func Wrap(c net.Conn, p Plan) *Conn {
	return &Conn{
		Conn:   c,
		reads:  direction{faults: p.Reads, chunk: p.ReadChunk},
		writes: direction{faults: p.Writes, chunk: p.WriteChunk},
		closed: make(chan struct{}),
	}
}

// Read reads from the connection as far as the next fault allows. A fault at a byte becomes known
// to the call that asks for that byte.
func (c *Conn) Read(b []byte) (int, error) {
	if len(b) == 0 {
		return c.Conn.Read(b)
	}
	allowed, err := c.reads.before(len(b), c.closed)
	if err != nil {
		return 0, err
	}
	n, err := c.Conn.Read(b[:allowed])
	c.reads.passed += int64(n)
	return n, err
}

// Write writes to the connection. When a fault with an error is in b, what is before it is
// written, and the count and the fault's error are returned.
func (c *Conn) Write(b []byte) (int, error) {
	written := 0
	for written < len(b) {
		allowed, err := c.writes.before(len(b)-written, c.closed)
		if err != nil {
			return written, err
		}
		n, err := c.Conn.Write(b[written : written+allowed])
		written += n
		c.writes.passed += int64(n)
		if err != nil {
			return written, err
		}
	}
	return written, nil
}

// Close closes the connection and ends a delay. It may be called again, and then returns what the
// connection's own Close returns.
func (c *Conn) Close() error {
	c.closing.Do(func() { close(c.closed) })
	return c.Conn.Close()
}

// direction is one of the two ways through a connection.
type direction struct {
	faults []Fault // those still to come
	chunk  int
	passed int64
	err    error // of a fault that has come
}

// before goes through the faults that are due and returns how many of want bytes, at least one,
// may pass before the next.
func (d *direction) before(want int, closed <-chan struct{}) (int, error) {
	for d.err == nil && len(d.faults) > 0 && d.faults[0].At <= d.passed {
		due := d.faults[0]
		d.faults = d.faults[1:]
		if err := due.wait(closed); err != nil {
			return 0, err
		}
		if due.Do != nil {
			due.Do()
		}
		d.err = due.Err
	}
	if d.err != nil {
		return 0, d.err
	}
	if d.chunk > 0 {
		want = min(want, d.chunk)
	}
	if len(d.faults) > 0 {
		want = int(min(int64(want), d.faults[0].At-d.passed))
	}
	return want, nil
}

func (f Fault) wait(closed <-chan struct{}) error {
	if f.Delay <= 0 {
		return nil
	}
	timer := time.NewTimer(f.Delay)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-closed:
		return net.ErrClosed
	}
}
