package proxy

import (
	"time"

	"github.com/stickyproxy/stickyproxy/backend"
	"github.com/stickyproxy/stickyproxy/internal/netfd"
)

// watchInterval is how soon a read is taken away from a replica that went silent. The monitor takes a second or two to
// tell that it is.
const watchInterval = 500 * time.Millisecond

// shortPatience is a wait_timeout to which watchInterval makes a difference: then each wait has a deadline of its own.
// Others are spared the timer.
const shortPatience = time.Minute

// watch ends the waits of reads for replicas that are no longer up, until the server ends: those reads run elsewhere.
// Without it, a client would wait for a frozen replica until the kernel gives up on it. It also ends the waits for clients
// that have been idle for longer than they have set, and tells servers of clients that are gone.
func (s *Server) watch() {
	tick := time.NewTicker(watchInterval)
	defer tick.Stop()
	for {
		select {
		case <-s.ctx.Done():
			return
		case <-tick.C:
		}
		s.expire(time.Now())
		s.hangUp()
		snap := s.o.Fleet.Snapshot()
		for i := range snap.Replicas {
			if !snap.Replicas[i].Up {
				s.wake(snap.Servers[i])
			}
		}
	}
}

// expire ends the connections of clients that are idle for longer than their wait_timeout. The server ends the one to
// the primary by itself, but nobody would notice before the next command, and some clients wait for that.
// https://dev.mysql.com/doc/refman/en/server-system-variables.html#sysvar_wait_timeout
func (s *Server) expire(now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for cl := range s.clients {
		if c := cl.conn; c != nil {
			c.turn.expire(cl.nc, now)
		}
	}
}

// hangUp has the servers know of clients that are gone while a command of theirs is served: a server looks whether its
// client is still there while it waits for nothing else (SLEEP, GET_LOCK), and would wait on for a proxy that is.
func (s *Server) hangUp() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for cl := range s.clients {
		c := cl.conn
		if c == nil || !c.turn.long() || !netfd.Ended(cl.nc) {
			continue
		}
		c.gone.Store(true)
		for _, l := range []*link{c.busy.Load(), c.waits.Load()} {
			if l != nil {
				l.HangUp()
			}
		}
	}
}

// wake ends the waits for a replica.
func (s *Server) wake(replica *backend.Server) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for cl := range s.clients {
		if cl.conn == nil {
			continue
		}
		if l := cl.conn.waits.Load(); l != nil && l.Server == replica && cl.conn.waits.CompareAndSwap(l, nil) {
			_ = l.SetReadDeadline(time.Unix(1, 0)) // if it is gone, so is the wait
		}
	}
}
