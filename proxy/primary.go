package proxy

import (
	"errors"
	"time"

	"github.com/go-mysql-org/go-mysql/mysql"

	"github.com/stickyproxy/stickyproxy/mysqlwire"
	"github.com/stickyproxy/stickyproxy/router"
)

// onPrimary runs a request on the primary.
func (c *conn) onPrimary(r *request) (*link, error) {
	if ready, err := c.readyPrimary(r); !ready {
		return nil, err
	}
	return c.primary, c.exchange(c.primary, r)
}

// readyPrimary tells the primary what it has to know before it runs a request. Where that cannot be, the request has been
// answered, or there is an error.
func (c *conn) readyPrimary(r *request) (ready bool, err error) {
	r.movable = false
	if refusal := c.noPrimary(); refusal != nil && !aboutServer(r.class) {
		return false, c.answer(refusal)
	}
	c.revivePrimary()
	if err := c.tellPrimary(); err != nil {
		return false, c.primaryFailed(err)
	}
	if err := c.recall(r); err != nil {
		return false, c.primaryFailed(err)
	}
	return true, nil
}

// idleCheck is how long the primary may have been left alone before it is asked whether it is still there.
const idleCheck = time.Second

// revivePrimary opens a new connection to the primary if the old one was ended by the server, while reads went to a
// replica or the client was idle, and nothing was lost with it but what a new one can be told.
func (c *conn) revivePrimary() {
	l := c.primary
	if c.client.Relayed || c.request.start.Sub(l.used) < idleCheck || l.Alive() || c.state.attached || c.held() != router.ReasonNone ||
		c.about(&c.request) == l {
		return
	}
	if st := c.request.stmt; st != nil && st.long {
		return // what was sent of its parameters is gone
	}
	ctx, cancel := c.connectTimeout()
	defer cancel()
	login := c.login
	login.Schema = c.state.schema
	b, err := c.srv.connectPrimary(ctx, login)
	if err != nil {
		return // the old one says what is wrong
	}
	c.statements.forget(l)
	l.dead = true
	l.close()
	c.primary = newLink(b, false, c.state.version)
	c.primary.version-- // it has to be told the state
	c.threadIs(c.primary.ThreadID)
}

// aboutServer reports whether a statement is about the server at the primary's address, whatever its role is, and about no
// data: what its variables are, and to set them for all. So whoever has made a primary read-only can undo that.
func aboutServer(st router.Statement) bool {
	switch {
	case st.Multi:
		return false
	case st.Reason == router.ReasonServerState:
		return true
	}
	return st.Reason == router.ReasonSet && st.Effects == router.SetsGlobal || st.Effects == router.SetsSchema
}

// noPrimary returns why the configured primary must not be used, if that is known.
func (c *conn) noPrimary() *mysqlwire.Error {
	if s := c.srv.o.Fleet.Snapshot(); s.PrimaryDemoted {
		return errDemoted
	}
	return nil
}

// tellPrimary brings the primary's connection up to date with state that was set on a replica, in a READ ONLY
// transaction there.
func (c *conn) tellPrimary() error {
	if c.primary.version == c.state.version {
		return nil
	}
	if c.replica != nil && !c.replica.dead {
		if err := c.learnSilentOf(c.replica); err != nil {
			c.dropReplica()
		}
	}
	c.state.replays(c.primary)
	return c.consult(c.primary, told)
}

// primaryFailed ends a request, and the connection unless the primary has answered, or the proxy in its place.
func (c *conn) primaryFailed(err error) error {
	if errors.As(err, new(refusal)) {
		return err
	}
	if refused := answered(err); refused != nil {
		return c.answer(refused)
	}
	c.primary.dead = true
	return serverError{err}
}

// keepAwake keeps the primary from ending a connection of which it sees nothing while its client reads from a replica: for
// the client it is one connection, and not idle. The question is asked for when half of the time is over.
func (c *conn) keepAwake(now time.Time) {
	l := c.primary
	if c.state.patience == 0 || l.dead || c.previous == l || now.Sub(l.used) < c.state.patience/2 {
		return
	}
	l.used = now
	l.queue([]byte{mysql.COM_PING})
	_ = c.consult(l, told) // if it is gone, whoever needs it next finds out
}
