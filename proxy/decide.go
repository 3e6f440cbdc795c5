package proxy

import (
	"math/rand/v2"

	"github.com/stickyproxy/stickyproxy/backend"
	"github.com/stickyproxy/stickyproxy/mysqlwire"
	"github.com/stickyproxy/stickyproxy/router"
)

// decide says where the statement of r goes.
func (c *conn) decide(r *request, snap *backend.Snapshot, tried uint64) router.Decision {
	q := &c.query
	q.Statement = r.class
	if r.class.Kind == router.BeginReadOnly && !c.state.attached && !c.state.readsCommitted() {
		q.Statement.Kind = router.Read // as a whole it is one
	}
	if q.Held = c.held(); q.Held == router.ReasonNone && c.route() == routePrimary {
		q.Held = router.ReasonHint
	}
	starting := len(c.pins.current()) > 0 && !c.srv.settled(r.start, snap) // which may raise the need
	q.Need = c.pins.need()
	if q.Need.Writing && c.srv.branches.expire(r.start, c.srv.o.Window) {
		q.Need = c.pins.need()
	}
	if (starting || c.policy.Scope == ScopeFleet) && r.start.After(q.Need.AsOf) {
		q.Need.AsOf = r.start
	}
	r.saw = q.Need
	q.Mode, q.Window, q.MaxLag = c.mode, c.srv.o.Window, c.srv.o.MaxLag
	q.Now = r.start
	if r.wait.waited || r.wait.over {
		q.Now = c.srv.now()
	}
	q.Prefer = ""
	if c.replica != nil {
		q.Prefer = c.replica.Incarnation
	}
	q.Tried = tried
	q.PreferAt = c.preferAt
	q.Rand = rand.Uint64()
	d := router.Decide(q, &snap.View)
	switch {
	case d.Replica >= 0:
		c.preferAt, c.elsewhere = d.Replica, 0
	case starting && passes(d.Reason):
		d.Reason = router.ReasonStarting
	case d.Reason == router.ReasonWriteInFlight && c.pins.waits():
		d.Reason = router.ReasonXA
	default:
		d.Reason = c.lost(r, snap, d.Reason)
	}
	return d
}

// held is why state of this connection keeps reads on the primary.
func (c *conn) held() router.Reason {
	switch {
	case c.primary.inTransaction():
		return router.ReasonInTransaction
	case c.primary.status&mysqlwire.StatusAutocommit == 0:
		return router.ReasonAutocommitOff
	case c.state.once, c.state.pending:
		return router.ReasonNextTransaction
	case c.client.Relayed:
		return router.ReasonPasswordUnknown
	case c.caps.Has(mysqlwire.CapNoSchema):
		return router.ReasonUnknownState // its names are not what they look like
	}
	return c.state.held.reason()
}
