package proxy

import (
	"fmt"
	"sync/atomic"
	"time"

	"github.com/stickyproxy/stickyproxy/backend"
	"github.com/stickyproxy/stickyproxy/mysqlwire"
	"github.com/stickyproxy/stickyproxy/router"
)

// Overload says what becomes of reads that no replica may serve now, because all are down, late, or lack what the
// sessions must see. They move to the primary, which was not made for all reads: when the replicas stall, it is the next
// to fail. So only some run there at a time. The zero Overload has the defaults.
type Overload struct {
	Reads  int           // that may run there at a time; 0 is [DefaultMovedReads], negative is no limit
	Beyond Beyond        // what happens to the others
	Wait   time.Duration // how long they wait with [BeyondWait]; 0 is [DefaultMovedWait]
}

// The defaults of Overload.
const (
	DefaultMovedReads = 1000
	DefaultMovedWait  = 10 * time.Second
)

// Beyond is what happens to a read for which there is no room on the primary.
type Beyond uint8

const (
	// BeyondWait: it waits for its turn, or for a replica that may serve it, and gets an error if neither comes.
	BeyondWait Beyond = iota
	// BeyondError: it gets an error.
	BeyondError
	// BeyondPrimary: it runs there all the same; it is only counted.
	BeyondPrimary
)

var beyondNames = [...]string{"wait", "error", "primary"}

// String is the setting as the configuration writes it.
func (b Beyond) String() string { return beyondNames[b] }

// ParseBeyond reads the setting as the configuration writes it.
func ParseBeyond(text string) (Beyond, error) {
	for i, name := range beyondNames {
		if text == name {
			return Beyond(i), nil
		}
	}
	return BeyondWait, fmt.Errorf("unknown setting %q: want wait, error or primary", text)
}

// room is the room on the primary for reads that were moved there.
type room struct {
	Overload
	taken   chan struct{} // holds one value for each read that runs there; nil: there is no limit
	waiting atomic.Int32  // reads that wait for a place
}

func (m *room) open(o Overload) {
	if o.Reads == 0 {
		o.Reads = DefaultMovedReads
	}
	if o.Wait == 0 {
		o.Wait = DefaultMovedWait
	}
	if m.Overload = o; o.Reads > 0 {
		m.taken = make(chan struct{}, o.Reads)
	}
}

// Moved is how many reads run on the primary now, up to the limit, because no replica may serve them, and how many wait
// for that.
func (s *Server) Moved() (running, waiting int) { return len(s.room.taken), int(s.room.waiting.Load()) }

// enter has a read take a place on the primary that is not meant for it. Newer is not nil if it had to wait for that:
// what is known of the servers now, when one of the replicas may serve it after all. It is an error if there is no room.
func (c *conn) enter(r *request, snap *backend.Snapshot, why router.Reason) (newer *backend.Snapshot, full *mysqlwire.Error) {
	m := &c.srv.room
	if r.moved || m.taken == nil || !displaces(why) || len(snap.Replicas) == 0 {
		return nil, nil
	}
	select {
	case m.taken <- struct{}{}:
		r.moved = true
		return nil, nil
	default:
	}
	if m.Beyond == BeyondWait {
		r.moved = c.awaitRoom()
	}
	ran := r.moved || m.Beyond == BeyondPrimary
	if f := c.srv.trace.Overloaded; f != nil {
		f(ran)
	}
	switch {
	case !ran:
		return nil, errOverload
	case !r.moved:
		return nil, nil
	}
	r.wait.over = true // and the present is another one than when it arrived
	return c.srv.o.Fleet.Snapshot(), nil
}

// awaitRoom waits for a place, and reports whether it has one.
func (c *conn) awaitRoom() bool {
	c.srv.room.waiting.Add(1)
	defer c.srv.room.waiting.Add(-1)
	timer := time.NewTimer(c.srv.room.Wait)
	defer timer.Stop()
	select {
	case c.srv.room.taken <- struct{}{}:
		return true
	case <-timer.C:
	case <-c.srv.ctx.Done():
	}
	return false
}

// leave gives back the place of a read, if it has one.
func (c *conn) leave(r *request) {
	if r.moved {
		<-c.srv.room.taken
		r.moved = false
	}
}

// displaces reports whether a read is on the primary only because of the state in which the replicas are.
func displaces(why router.Reason) bool {
	switch why {
	case router.ReasonWroteRecently, router.ReasonUnproven, router.ReasonReplicaBehind, router.ReasonReadElsewhere,
		router.ReasonStarting, router.ReasonReplicaLate, router.ReasonReplicaFailed, router.ReasonNoReplica:
		return true
	}
	return false
}
