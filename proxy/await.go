package proxy

import (
	"time"

	"github.com/stickyproxy/stickyproxy/backend"
	"github.com/stickyproxy/stickyproxy/router"
)

const (
	// maxWaiting is how many reads wait at once. Each new answer of a server wakes them all; beyond this number they
	// would cost more than they save, and go to the primary.
	maxWaiting = 1024
	// fleetPatience is how long a read of ScopeFleet waits for the servers to say what they have; they take a round
	// trip or two.
	fleetPatience = time.Second

	// A session that reads from the primary without a pause has always just seen something newer than the last answers
	// of the servers tell, and would never leave. After so many reads in a row that only what it has read keeps there,
	// one waits for new answers, for a short time, and not often.
	restlessReads = 8
	restPause     = 5 * time.Millisecond
	restInterval  = time.Second
)

// waiting is how a read waits for a replica to be known to have what it must see.
type waiting struct {
	waited  bool
	over    bool          // it has waited as long as it may
	rest    time.Duration // how long it may wait because its session is restless
	primary time.Time     // when the primary was asked first after the read arrived; zero: it has not answered yet
}

// sooner has the servers asked for their positions, and waits until something new is known that may let a replica serve
// the read after all, as long as it may wait. Nil: it goes to the primary.
func (c *conn) sooner(r *request, snap *backend.Snapshot, why router.Reason) *backend.Snapshot {
	if !passes(why) {
		return nil
	}
	c.srv.o.Fleet.Ask()
	c.restless(r, why)
	left := c.mayWait(r, snap)
	if left <= 0 || !c.srv.enterWait() {
		return nil
	}
	defer c.srv.waiting.Add(-1)
	r.wait.waited = true
	timer := time.NewTimer(left)
	defer timer.Stop()
	select {
	case <-snap.Newer:
	case <-timer.C:
		r.wait.over = true
	case <-c.srv.ctx.Done():
		return nil
	}
	return c.srv.o.Fleet.Snapshot()
}

// passes reports whether a replica is only not known to have something yet.
func passes(why router.Reason) bool {
	switch why {
	case router.ReasonReplicaBehind, router.ReasonReadElsewhere, router.ReasonStarting:
		return true
	}
	return false
}

// mayWait is for how much longer the read may wait. In ScopeFleet that is at least until each replica has answered a
// question that was sent after the primary's answer to one that was sent after the read had arrived.
func (c *conn) mayWait(r *request, snap *backend.Snapshot) time.Duration {
	if r.wait.over {
		return 0
	}
	most := max(c.maxWait, r.wait.rest)
	if c.policy.Scope == ScopeFleet && !r.wait.answered(r.start, snap) {
		most = max(most, fleetPatience)
	}
	if most == 0 {
		return 0
	}
	return most - c.srv.now().Sub(r.start)
}

// restless counts the reads that only what was read before keeps on the primary, and has one of them wait.
func (c *conn) restless(r *request, why router.Reason) {
	if why != router.ReasonReadElsewhere || r.wait.waited {
		return
	}
	if c.elsewhere++; c.elsewhere < restlessReads || r.start.Sub(c.rested) < restInterval {
		return
	}
	c.elsewhere, c.rested, r.wait.rest = 0, r.start, restPause
}

// answered reports whether all that are up have said what they have since start.
func (w *waiting) answered(start time.Time, snap *backend.Snapshot) bool {
	if w.primary.IsZero() && snap.PrimaryAsked.After(start) {
		w.primary = snap.PrimaryAsked
	}
	if w.primary.IsZero() {
		return false
	}
	for i := range snap.Replicas {
		if snap.Replicas[i].Up && !snap.Replicas[i].AskedAt.After(w.primary) {
			return false
		}
	}
	return true
}

// enterWait counts a read that is about to wait; false: there are too many.
func (s *Server) enterWait() bool {
	if s.waiting.Add(1) <= maxWaiting {
		return true
	}
	s.waiting.Add(-1)
	return false
}

// waited tells what came of a wait, and that there will be no other one for the read.
func (c *conn) waited(r *request, served bool) {
	if f := c.srv.trace.Waited; f != nil && r.wait.waited {
		f(served, c.srv.now().Sub(r.start))
		r.wait = waiting{over: true}
	}
}
