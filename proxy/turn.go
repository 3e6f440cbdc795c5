package proxy

import (
	"net"
	"sync"
	"time"
)

// turn is whose turn it is on a client connection. A shutdown may end the connection while it waits for the client's
// next command and no transaction is open, and must not disturb it in between.
type turn struct {
	mu    sync.Mutex
	quiet bool // waiting for a command, and nothing is lost if none comes
	drain bool
}

// end notes that a command was served, and reports whether the connection goes on.
func (t *turn) end(quiet bool) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.quiet = quiet
	return !quiet || !t.drain
}

// begin notes that the client's next command has begun to arrive on nc, or never will.
func (t *turn) begin(nc net.Conn) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.quiet && t.drain {
		_ = nc.SetReadDeadline(time.Time{}) // stop was a moment late: this command is still served
	}
	t.quiet = false
}

// stop asks the connection to end at its next quiet moment, which may be now: then the wait on nc is ended.
func (t *turn) stop(nc net.Conn) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.drain = true
	if t.quiet {
		_ = nc.SetReadDeadline(time.Unix(1, 0)) // a socket that is gone needs no waking
	}
}

// draining reports whether stop was called.
func (t *turn) draining() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.drain
}
