package proxy

import (
	"errors"

	"github.com/go-mysql-org/go-mysql/mysql"

	"github.com/stickyproxy/stickyproxy/backend"
	"github.com/stickyproxy/stickyproxy/gtid"
	"github.com/stickyproxy/stickyproxy/mysqlwire"
	"github.com/stickyproxy/stickyproxy/router"
)

// run sends a request where it belongs and relays the answer. If a replica fails it before the client has seen
// anything, it runs on another one, or on the primary. An error ends the connection.
func (c *conn) run(r *request) error {
	r.start = c.srv.now()
	l, err := c.attempt(r)
	if err = c.served(l, r, err); err == nil {
		c.closeLeft()
	}
	return err
}

// direct is run for a request that belongs on l.
func (c *conn) direct(l *link, r *request) error {
	r.start = c.srv.now()
	return c.served(l, r, c.exchange(l, r))
}

// served ends a request: l is who answered, nil when the answer was our own.
func (c *conn) served(l *link, r *request, err error) error {
	if err != nil {
		return c.refusedOr(err)
	}
	if l == c.primary && passes(r.reason) {
		c.srv.o.Fleet.Ask() // the session's next read needs what the primary had when this one ended
	}
	if l == nil {
		return nil
	}
	now := c.srv.now()
	if f := c.srv.trace.Query; f != nil {
		f(l.replica, r.reason, now.Sub(r.start))
	}
	if l.replica {
		c.keepAwake(now)
	}
	return nil
}

// refusedOr gives the client a server's ERR packet if that is what err is, and returns err otherwise.
func (c *conn) refusedOr(err error) error {
	var refused refusal
	if !errors.As(err, &refused) {
		return err
	}
	if c.request.code == mysql.COM_STMT_SEND_LONG_DATA {
		return c.skip(&c.request) // it has no response; the execution will say so again
	}
	return c.answer(refused.answer)
}

// attempt tries servers until one has answered, and returns it; nil when the answer was our own.
func (c *conn) attempt(r *request) (*link, error) {
	if l, err := c.follow(r); l != nil || err != nil {
		return l, err
	}
	defer c.leave(r)
	snap := c.srv.o.Fleet.Snapshot()
	var tried uint64
	for {
		d := c.decide(r, snap, tried)
		if d.Replica < 0 {
			if newer := c.sooner(r, snap, d.Reason); newer != nil {
				snap = newer
				continue
			}
			newer, full := c.enter(r, snap, d.Reason)
			if newer != nil {
				snap = newer
				continue
			}
			if full != nil {
				c.waited(r, false)
				return nil, c.answer(full)
			}
			return c.stay(r, d.Reason)
		}
		why, learned, err := c.objection(r, snap, d.Replica)
		switch {
		case err != nil:
			return nil, err
		case learned:
			continue
		case why != router.ReasonNone:
			return c.stay(r, why)
		}
		c.leave(r) // it has waited for a place there, and needs none now
		c.waited(r, true)
		r.reason, r.movable = d.Reason, true
		err = c.onReplica(r, snap, d.Replica)
		if err == nil {
			return c.replica, nil
		}
		var again elsewhere
		if !errors.As(err, &again) {
			return nil, err
		}
		if why := c.verdict(r, again); why != router.ReasonNone {
			return c.stay(r, why)
		}
		tried |= 1 << min(d.Replica, 63)
	}
}

// stay runs a request on the primary.
func (c *conn) stay(r *request, why router.Reason) (*link, error) {
	r.reason = why
	c.waited(r, false)
	return c.onPrimary(r)
}

// objection is what speaks against replica i and is only looked at for a request that would run there, because it
// may take a question to the primary. Learned says that the answer may change what was decided.
func (c *conn) objection(r *request, snap *backend.Snapshot, i int) (why router.Reason, learned bool, err error) {
	if r.code == mysql.COM_STMT_PREPARE && c.state.unasked() && c.counted {
		return router.ReasonUnknownState, false, nil // the question would have ROW_COUNT() say 0
	}
	if len(c.state.blurred) > 0 {
		learned, err := c.sharpen()
		return router.ReasonUnknownState, learned, err
	}
	if hidden, err := c.hidesState(r); hidden || err != nil {
		return router.ReasonUnknownFunction, false, err
	}
	if l := c.replica; l != nil && !l.is(snap.Servers[i], snap.Replicas[i].Incarnation) && !l.dead && c.statements.cursorOn(l) {
		return router.ReasonOpenCursor, false, nil // it would be lost with the connection to this replica
	}
	return router.ReasonNone, false, nil
}

// verdict is why a request that a replica did not serve belongs on the primary, ReasonNone if another replica may
// serve it.
func (c *conn) verdict(r *request, again elsewhere) router.Reason {
	if errors.Is(again.err, errOtherLimit) {
		return router.ReasonServerFunction
	}
	if f := c.srv.trace.Retried; f != nil {
		f(again.refused)
	}
	if again.refused {
		c.remember(r, again.err)
		return router.ReasonReplicaRefused
	}
	return router.ReasonNone
}

// follow runs a request that belongs to what went before it: a READ ONLY transaction on a replica, or a question
// about the previous statement. It returns nil if there is nothing to follow.
func (c *conn) follow(r *request) (*link, error) {
	if err := c.settleFound(r); err != nil {
		return nil, c.primaryFailed(err)
	}
	if c.snapshot.open {
		if l, err := c.inSnapshot(r); l != nil || err != nil {
			return l, err
		}
	}
	l := c.about(r)
	if l == nil || l != c.replica || l.dead || c.primary.unsure || r.class.Effects.Has(router.ReadsTables) && !c.readable(r) {
		return nil, nil
	}
	if err := c.learnSilent(); err != nil {
		return nil, err
	}
	if l.version != c.state.version {
		if err := c.bringUpToDate(l); err != nil {
			return nil, nil // the primary is made to know
		}
		if l.MariaDB && (r.class.UsesWarnings || r.making != nil && r.making.class.UsesWarnings) {
			if stays, err := c.tellBehindWarnings(l); !stays {
				return nil, err
			}
		}
	}
	r.reason, r.movable = router.ReasonPrevious, true
	err := c.exchange(l, r)
	var again elsewhere
	if errors.As(err, &again) {
		c.replicaFailed(l.Server, err)
		return nil, nil // the primary is made to know
	}
	return l, err
}

// readable reports whether a statement that also reads tables could do that on the replica at hand.
func (c *conn) readable(r *request) bool {
	kind := r.class.Kind
	r.class.Kind = router.Read
	proven := c.stillProven(r)
	r.class.Kind = kind
	return proven
}

// exchange sends a request to one server and relays the response.
func (c *conn) exchange(l *link, r *request) error {
	defer c.arrived(l)
	if err := c.await(l, l.replica && r.movable); err != nil {
		return err
	}
	if c.state.renamed && c.recollates(r) {
		if err := c.learnSilentOf(l); err != nil {
			return err
		}
	}
	return c.send(l, r)
}

// consult sends what is queued for l of our own accord and reads the answers.
func (c *conn) consult(l *link, learn func(*link, mysqlwire.OK)) error {
	defer c.arrived(l)
	if err := c.await(l, l.replica); err != nil {
		return err
	}
	if err := l.write(nil); err != nil {
		return err
	}
	return l.settle(learn)
}

// await notes that an answer of l is awaited. Movable says that nothing is lost if the wait is ended. It is an error if
// the clients are being cut off: who does that may not have seen the note.
func (c *conn) await(l *link, movable bool) error {
	if movable {
		c.waits.Store(l)
	} else {
		c.busy.Store(l)
	}
	if err := c.srv.ctx.Err(); err != nil {
		return serverError{err: err}
	}
	return nil
}

// begun notes that the client is about to get a byte of the answer: now the request cannot run elsewhere. It reports
// false if the wait was ended just before, and so the request has to.
func (c *conn) begun(l *link) bool {
	if c.busy.Load() == l {
		return true
	}
	c.busy.Store(l)
	return c.waits.CompareAndSwap(l, nil)
}

// arrived notes that the wait is over.
func (c *conn) arrived(l *link) {
	if c.busy.Swap(nil) == nil && !c.waits.CompareAndSwap(l, nil) {
		l.dead = true // the wait was ended, and the deadline that does it may come only now
	}
}

func (c *conn) send(l *link, r *request) error {
	if r.stmt != nil {
		if err := c.bind(l, r); err != nil {
			return err
		}
	}
	if !l.replica {
		r.inXA = c.inXA
		if r.class.Effects.Has(router.XA) {
			c.readXA(r)
		}
		if r.class.Writes || l.unsure {
			c.pins.begin()
		} else {
			c.pins.collect()
		}
	}
	l.used = r.start
	if err := c.sendCommand(l, r); err != nil {
		return c.writeFailed(l, r, err)
	}
	if len(l.owed) > 0 {
		if err := c.settle(l); err != nil {
			return err
		}
	}
	r.changed = false // what went ahead changed nothing that the client's statement did
	return c.relay(l, r)
}

// sendCommand sends the request, all of it.
func (c *conn) sendCommand(l *link, r *request) error {
	head := r.head
	switch {
	case r.longer != nil:
		return c.streamLonger(l, r)
	case r.instead != nil:
		head = r.instead
	}
	if r.whole() && mysqlwire.Responds(r.code) {
		return l.ask(head)
	}
	if err := l.write(head); err != nil || r.whole() {
		return err
	}
	return c.sendRest(l, r)
}

// sendRest sends what was not read of a request when its beginning was sent.
func (c *conn) sendRest(l *link, r *request) error {
	if r.code == mysql.COM_QUERY {
		c.tail = &tail{}
		defer func() { c.tail = nil }()
		c.tail.add(r.head)
	}
	c.drop(&r.command)
	if err := c.stream(l, &r.command); err != nil {
		return err
	}
	return c.listenTail(r)
}

// settle reads the responses to what went ahead of a request. A replica that refuses the state serves no reads.
func (c *conn) settle(l *link) error {
	err := l.settle(told)
	if err == nil {
		return nil
	}
	l.dead = true
	if !l.replica {
		return serverError{err}
	}
	if answered(err) != nil {
		c.state.hold(heldUnknown)
		c.dropReplica()
		return elsewhere{err: err, refused: true}
	}
	return elsewhere{err: err}
}

// writeFailed says what it means that a request could not be sent. The server may have said why before it went.
func (c *conn) writeFailed(l *link, r *request, err error) error {
	l.dead = true // it has a part of the command; a good-bye would be taken for the rest of it
	var gone clientError
	if errors.As(err, &gone) {
		return err
	}
	if l.replica && r.movable {
		return elsewhere{err: err}
	}
	if relayed := c.relay(l, r); relayed != nil {
		return relayed
	}
	return serverError{err: err}
}

// remember notes a statement that a replica refused as a write.
func (c *conn) remember(r *request, err error) {
	var refused *mysqlwire.Error
	if !errors.As(err, &refused) || !refusedAsWrite(refused.Code) {
		return
	}
	c.state.private = true // what it does on the primary may leave something: NEXTVAL in a view
	if sql := c.text(r); sql != nil {
		c.srv.refused.add(sql)
	}
}

// refusedAsWrite reports whether this code says that a server which is read-only was asked to write.
func refusedAsWrite(code uint16) bool {
	switch code {
	case mysql.ER_OPTION_PREVENTS_STATEMENT, mysql.ER_CANT_EXECUTE_IN_READ_ONLY_TRANSACTION, 1836: // ER_READ_ONLY_MODE
		return true
	}
	return false
}

// parseGTID reads what a server of this flavor reports as committed.
func parseGTID(mariaDB bool, text string) (gtid.Set, error) {
	if mariaDB {
		return gtid.ParseMariaDB(text)
	}
	return gtid.ParseMySQL(text)
}
