package proxy

import (
	"bytes"
	"context"
	"errors"

	"github.com/stickyproxy/stickyproxy/backend"
)

// reset serves COM_RESET_CONNECTION: the state ends on every server, and so does what the client has said to us. What the
// connection must see does not: pools reset a connection whenever they hand it out.
func (c *conn) reset(r *request) error {
	if !r.whole() {
		return clientError{errMalformed}
	}
	c.statements.clear()
	if err := c.resetOn(c.primary); err != nil {
		return serverError{err}
	}
	c.afresh()
	return c.okTelling(c.state.tracking.atFirst(""))
}

// resetOn has a server begin the session anew. What is still queued for it is of the session before, and goes first. After an
// error the connection is dead.
func (c *conn) resetOn(l *link) error {
	if len(l.ahead) > 0 {
		if err := c.consult(l, told); err != nil && answered(err) == nil {
			l.dead = true
			return err
		}
	}
	ctx, cancel := c.connectTimeout()
	defer cancel()
	if err := l.Reset(ctx); err != nil {
		l.dead = true // answers may be outstanding, whatever the error is
		return err
	}
	return nil
}

// afresh notes that the session of the connection to the primary has begun anew, for the same user.
func (c *conn) afresh() {
	c.primary.status, c.primary.unsure = c.primary.Status, false
	c.state.reset(c.primary.Conn)
	c.previous, c.rows, c.warned, c.unmatched, c.primary.foundSome = c.primary, c.primary, c.primary, false, false
	c.primary.version, c.primary.moded = c.state.version, false
	if c.primary.Schema != c.state.schema {
		c.primary.version-- // it was set in a READ ONLY transaction on the replica
	}
	if c.snapshot.open {
		c.dropReplica() // the transaction would hold back replication there until the next read
	}
	c.abandon()
	c.unsay()
}

// refusedAfresh is afresh behind a refused COM_CHANGE_USER. From MariaDB 11 on, the character set of results has its own
// collation then, and not the one that a login or a reset gives it.
func (c *conn) refusedAfresh() {
	c.afresh()
	if !c.primary.Blurs() {
		return
	}
	current := c.primary.version == c.state.version
	c.state.setVariable(charsetResults, c.state.variable(charsetResults))
	c.state.renamed = false
	if current {
		c.primary.version = c.state.version
	}
}

// changeUser serves COM_CHANGE_USER: another login on the same connection, and if possible on the same one to the
// primary, so that its id stays. What the old user had on the servers is gone; what the connection must see is not. Who is
// refused is disconnected by MySQL, and by MariaDB left with a fresh session of the old user.
func (c *conn) changeUser(r *request) error {
	if !r.whole() {
		return clientError{errMalformed}
	}
	payload := bytes.Clone(r.payload())
	c.drop(&r.command)
	c.in.Release()
	if len(c.in.Bytes()) > 0 {
		return c.unreadable(errOutOfOrder)
	}
	admission, again := c.srv.admission, c.again()
	admission.Connect = again.connect
	if again.link != nil && again.link.ThreadID == c.id { // the client's salt is the one of this connection's greeting
		admission.Relay = again.relay
	}
	cl, err := admission.ChangeUser(c.srv.ctx, c.client, payload, c.seq)
	if err != nil && again.stayed && judged(err) {
		c.statements.clear()
		c.refusedAfresh()
		return nil
	}
	if err != nil {
		return clientError{err}
	}
	c.abandon()
	c.dropReplica()
	if cl.Primary == c.primary.Conn {
		c.primary.in.Close()
	} else {
		c.primary.close()
	}
	c.previous, c.rows, c.warned = nil, nil, nil
	c.statements.clear()
	c.become(cl)
	return c.introduced()
}

// againConn is the connection to the primary of a client who wants to be somebody else.
type againConn struct {
	link *link  // nil: it cannot be used, or no more
	salt []byte // of the client's greeting
	srv  *Server

	stayed bool // the server refused: it is the connection of the old user, afresh
}

// again is the connection to the primary, for another user, if it is in order and still leads to the primary.
func (c *conn) again() *againConn {
	a := &againConn{salt: c.client.Salt, srv: c.srv}
	if l := c.primary; !l.dead && len(l.owed) == 0 && l.Server == c.srv.o.Fleet.Snapshot().Primary && l.Alive() {
		a.link = l
	}
	return a
}

// connect logs in to the primary, for the first time on the connection that is open already.
func (a *againConn) connect(ctx context.Context, login backend.Login) (*backend.Conn, error) {
	b, err := a.become(func(l *link) error { return l.ChangeUser(ctx, login) })
	if err != nil && ctx.Err() == nil && !judged(err) {
		return a.srv.connectPrimary(ctx, login)
	}
	return b, err
}

// relay passes a client's answer on, if the connection is still there: it would be to another salt elsewhere.
func (a *againConn) relay(ctx context.Context, login backend.Login, answer []byte) (*backend.Conn, error) {
	b, err := a.become(func(l *link) error { return l.RelayUser(ctx, login, a.salt, answer) })
	if errors.Is(err, backend.ErrNeedsNew) {
		return nil, backend.ErrOtherPlugin
	}
	return b, err
}

// become makes the connection that of another user. One that was refused ends, as a server ends it, unless it is MariaDB.
func (a *againConn) become(change func(*link) error) (*backend.Conn, error) {
	l := a.link
	if a.link = nil; l == nil {
		return nil, backend.ErrNeedsNew
	}
	err := change(l)
	var stayed *backend.StayedError
	if a.stayed = errors.As(err, &stayed); a.stayed || errors.Is(err, backend.ErrNeedsNew) {
		return nil, err
	}
	if err != nil {
		l.dead = true
		_ = l.Conn.Close()
		return nil, err
	}
	return l.Conn, nil
}
