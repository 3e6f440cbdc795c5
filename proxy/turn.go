package proxy

import (
	"net"
	"sync"
	"time"
)

// turn is whose turn it is on a client connection. A shutdown may end the connection while it waits for the client's
// next command and no transaction is open, and must not disturb it in between. A client that has waited for too long
// loses it whatever is open, as it would lose a server's.
type turn struct {
	mu      sync.Mutex
	waiting bool // for a command
	quiet   bool // and nothing is lost if none comes
	drain   bool
	expired bool
	limited bool // the wait has a deadline of its own, and expire need not look

	patience time.Duration // how long the wait may take, 0: no limit
	waits    uint64        // how many there were
	seen     uint64        // the wait that since is the beginning of
	since    time.Time
	asked    uint64 // the wait before the command that was being served when long was asked
}

// end notes that a command was served, and reports whether the connection goes on. The wait on nc for the next one may
// take as long as patience says; 0 is no limit. It ends at that moment if now is given, which costs a timer; if it is zero,
// expire finds out.
func (t *turn) end(nc net.Conn, quiet bool, patience time.Duration, now time.Time) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.waiting, t.quiet, t.patience = true, quiet, patience
	t.waits++
	if t.limited = !now.IsZero(); t.limited {
		_ = nc.SetReadDeadline(now.Add(patience))
	}
	return !quiet || !t.drain
}

// begin notes that the client's next command has begun to arrive on nc, or never will.
func (t *turn) begin(nc net.Conn) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.quiet && t.drain || t.expired || t.limited {
		_ = nc.SetReadDeadline(time.Time{}) // in time, or stop was a moment late: this command is still served
	}
	t.waiting, t.quiet = false, false
}

// stop asks the connection to end at its next quiet moment, which may be now: then the wait on nc is ended.
func (t *turn) stop(nc net.Conn) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.drain = true
	if t.quiet {
		t.limited = false
		_ = nc.SetReadDeadline(time.Unix(1, 0)) // a socket that is gone needs no waking
	}
}

// draining reports whether stop was called.
func (t *turn) draining() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.drain
}

// expire ends the wait on nc if it is known to have taken too long. It is called from time to time.
func (t *turn) expire(nc net.Conn, now time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	switch {
	case !t.waiting || t.limited || t.patience == 0:
	case t.seen != t.waits:
		t.seen, t.since = t.waits, now
	case now.Sub(t.since) >= t.patience:
		t.expired = true
		_ = nc.SetReadDeadline(time.Unix(1, 0))
	}
}

// long reports whether the command that is being served was already when it was asked last.
func (t *turn) long() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.waiting {
		return false
	}
	asked := t.asked
	t.asked = t.waits
	return asked == t.waits
}

// tooLate reports whether a wait that a deadline has ended took too long.
func (t *turn) tooLate() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.expired || t.limited
}
