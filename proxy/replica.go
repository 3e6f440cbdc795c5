package proxy

import (
	"context"
	"errors"
	"math"
	"time"

	"github.com/stickyproxy/stickyproxy/backend"
	"github.com/stickyproxy/stickyproxy/mysqlwire"
	"github.com/stickyproxy/stickyproxy/router"
)

// onReplica runs a request on the replica with this index in the snapshot.
func (c *conn) onReplica(r *request, snap *backend.Snapshot, i int) error {
	if err := c.learnSilent(); err != nil {
		return err
	}
	server := snap.Servers[i]
	if err := c.useReplica(server, snap.Replicas[i].Incarnation); err != nil {
		if !errors.Is(err, errOlder) {
			c.srv.o.Fleet.Failed(server, err)
		}
		return elsewhere{err: err}
	}
	l := c.replica
	if !l.Variables.SamePacketLimit(c.state.base) && c.needsLimit(r) {
		return elsewhere{err: errOtherLimit}
	}
	l.id = snap.Replicas[i].ID
	if l.version != c.state.version {
		if err := c.bringUpToDate(l); err != nil {
			c.leaveReplica()
			return elsewhere{err: err}
		}
	}
	if err := c.exchange(l, r); err != nil {
		if c.gone.Load() {
			return clientError{errHungUp} // the replica did what it was asked to, and nobody waits for another one
		}
		c.replicaFailed(server, err)
		return err
	}
	if r.class.Kind == router.BeginReadOnly && r.failure == nil {
		c.snapshot.begin(r)
	}
	return nil
}

// needsLimit reports whether a read may end in another way where max_allowed_packet is not the primary's.
func (c *conn) needsLimit(r *request) bool {
	return r.class.Grows || r.class.Kind == router.BeginReadOnly || len(r.head)-mysqlwire.HeaderSize > c.state.base.PacketLimit()
}

// bringUpToDate puts ahead of the next command what tells a replica the client's state.
func (c *conn) bringUpToDate(l *link) error {
	if c.state.schema == "" && l.Schema != "" {
		return errNoSchema
	}
	if l.resets != c.state.resets {
		if err := c.resetOn(l); err != nil {
			return err
		}
		l.resets, l.moded = c.state.resets, false
		c.statements.forget(l)
	}
	c.state.replays(l)
	return nil
}

// replicaFailed gives up a replica that did not answer.
func (c *conn) replicaFailed(server *backend.Server, err error) {
	var again elsewhere
	if errors.As(err, &again) && !again.refused {
		c.dropReplica()
		c.srv.o.Fleet.Failed(server, err)
	}
}

// replicaTimeout bounds the opening of a connection to a replica, and the last question to one: the primary can answer, too.
const replicaTimeout = 2 * time.Second

// useReplica makes c.replica a connection to this incarnation of a server.
func (c *conn) useReplica(server *backend.Server, incarnation string) error {
	if l := c.replica; l != nil {
		if l.is(server, incarnation) && (c.request.start.Sub(l.used) < idleCheck || l.Alive()) {
			return nil
		}
		c.leaveReplica()
	}
	ctx, cancel := context.WithTimeout(c.srv.ctx, min(c.srv.o.ConnectTimeout, replicaTimeout))
	defer cancel()
	login := c.login
	login.Schema = c.state.schema
	b, err := server.Connect(ctx, login)
	if err != nil {
		return err
	}
	l := newLink(b, true, 0)
	l.used = c.request.start        // and it was never reset, unlike the primary's may have been
	l.version = c.state.version - 1 // that of no state that was told
	c.replica = l
	if b.Incarnation != incarnation {
		c.dropReplica()
		return errIncarnation
	}
	if !b.Capabilities.Has(c.caps & mysqlwire.CapResultForm) {
		c.dropReplica()
		return errOlder
	}
	return nil
}

// dropReplica ends the connection to the replica. Another one is opened when a read needs it.
func (c *conn) dropReplica() {
	c.detachReplica().close()
}

// detachReplica is dropReplica that leaves the connection open.
func (c *conn) detachReplica() *link {
	l := c.replica
	c.statements.forget(l)
	c.replica = nil
	c.snapshot.end()
	return l
}

// leaveReplica is dropReplica for one that may be in order, and that may have to say how many rows it has found: where the
// request at hand finds none, because it fails or begins a transaction, FOUND_ROWS() stays about what was found there.
func (c *conn) leaveReplica() {
	if c.rows != c.replica || c.replica.dead {
		c.dropReplica()
		return
	}
	c.request.left = c.detachReplica()
}

// closeLeft ends the connection to the replica that the request has left, behind the client's answer.
func (c *conn) closeLeft() {
	l := c.request.left
	if l == nil {
		return
	}
	if c.rows == l {
		c.lastWords(l)
	}
	l.close()
	c.request.left = nil
}

// lastWords has a replica say what FOUND_ROWS() tells there.
func (c *conn) lastWords(l *link) {
	ctx, cancel := context.WithTimeout(c.srv.ctx, min(c.srv.o.ConnectTimeout, replicaTimeout))
	defer cancel()
	n, known, _ := howMany(ctx, l) // a replica that fails now tells no number
	l.found, l.said = uint32(n), known && n <= math.MaxUint32
}
