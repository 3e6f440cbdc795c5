package proxy

import (
	"bytes"
	"context"

	"github.com/stickyproxy/stickyproxy/backend"
)

// reset serves COM_RESET_CONNECTION: the state ends on every server, and so does what the client has said to us. What the
// connection must see does not: pools reset a connection whenever they hand it out.
func (c *conn) reset(r *request) error {
	if !r.whole() {
		return clientError{errMalformed}
	}
	ctx, cancel := c.connectTimeout()
	defer cancel()
	c.statements.clear()
	if err := c.primary.Reset(ctx); err != nil {
		c.primary.dead = true // answers may be outstanding, whatever the error is
		return serverError{err}
	}
	c.primary.status, c.primary.unsure = c.primary.Status, false
	c.state.reset(c.primary.Conn)
	c.previous, c.rows, c.warned = c.primary, c.primary, c.primary
	c.primary.version = c.state.version
	if c.primary.Schema != c.state.schema {
		c.primary.version-- // it was set in a READ ONLY transaction on the replica
	}
	if c.snapshot.open {
		c.dropReplica() // the transaction would hold back replication there until the next read
	}
	if c.pins.writing {
		c.pins.end(c.srv.now(), true) // rolled back, as far as it was open
	}
	c.pins.forget()
	c.unsay()
	return c.ok()
}

// changeUser serves COM_CHANGE_USER: another login on the same connection. What the old user had on the servers is
// gone; what the connection must see is not.
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
	admission, before := c.srv.admission, c.primary
	admission.Connect = c.connectAgain
	cl, err := admission.ChangeUser(c.srv.ctx, c.client, payload, c.seq)
	if err != nil {
		return clientError{err}
	}
	if c.pins.writing {
		c.pins.end(c.srv.now(), true)
	}
	c.pins.forget()
	c.dropReplica()
	if cl.Primary.Conn == before.Conn.Conn {
		before.in.Close() // it goes on under another name
	} else {
		before.close()
	}
	c.previous, c.rows, c.warned = nil, nil, nil
	c.statements.clear()
	c.become(cl)
	return c.introduced()
}

// connectAgain logs in to the primary for a COM_CHANGE_USER: on the connection that is there already, so that the client
// keeps its id. That can be tried once.
func (c *conn) connectAgain(ctx context.Context, l backend.Login) (*backend.Conn, error) {
	p := c.primary
	if p.dead || p.Server != c.srv.o.Fleet.Snapshot().Primary || !p.Alive() {
		return c.srv.connectPrimary(ctx, l)
	}
	p.dead = true
	b, err := p.ChangeUser(ctx, l)
	if err != nil && ctx.Err() == nil && !judged(err) {
		return c.srv.connectPrimary(ctx, l)
	}
	return b, err
}
