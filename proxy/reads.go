package proxy

import (
	"time"

	"github.com/stickyproxy/stickyproxy/backend"
	"github.com/stickyproxy/stickyproxy/router"
	"github.com/stickyproxy/stickyproxy/session"
)

// noteRead records that the client has seen data of this server. An ERR packet counts: it may tell of a row (a duplicate
// key), or come after some. So does a write that found nothing to do.
func (c *conn) noteRead(l *link, r *request, at time.Time) {
	c.pins.read(session.Read{By: l.id, At: at, Saw: session.Need{ReadAt: r.saw.ReadAt, ReadBy: r.saw.ReadBy}})
}

// lost looks whether a write is gone that keeps the session's reads on the primary: then nobody will ever have it, and
// the session is told once, by the reason of this read, and set free. The primary's data is what there is.
func (c *conn) lost(r *request, snap *backend.Snapshot, why router.Reason) router.Reason {
	if why != router.ReasonReplicaBehind || r.saw.GTID.IsEmpty() {
		return why
	}
	left, lost := r.saw.Lost(&snap.View, c.srv.now(), c.srv.o.MaxLag)
	if !lost {
		return why
	}
	c.srv.log.Warn("a write that was acknowledged is lost: the primary does not have it",
		"connection", c.id, "user", c.login.User, "needs", r.saw.GTID.String(), "left", left.String())
	c.pins.release(r.saw.GTID, left)
	if f := c.srv.trace.Lost; f != nil {
		f()
	}
	return router.ReasonWriteLost
}

// settled reports whether no earlier process can be writing any more for sessions that this one serves. When that is so
// for the first time, every session must see what the primary has by then.
func (s *Server) settled(now time.Time, snap *backend.Snapshot) bool {
	if s.o.Earlier == 0 || s.isSettled.Load() {
		return true
	}
	until := s.started.Add(s.o.Earlier)
	if now.Before(until) {
		return false
	}
	floor := session.Need{WroteAt: until, UnprovenAt: until}
	if snap.GTIDPrimary != "" {
		if !snap.PrimaryAsked.After(until) {
			return false
		}
		floor = session.Need{GTID: snap.PrimaryHas, Since: snap.PrimaryAsked, WroteAt: until}
	}
	if s.o.Sessions != nil {
		s.settling.Do(func() { s.o.Sessions.RaiseAll(floor) })
	}
	s.isSettled.Store(true)
	return true
}
