package proxy

import (
	"errors"

	"github.com/go-mysql-org/go-mysql/mysql"

	"github.com/stickyproxy/stickyproxy/mysqlwire"
	"github.com/stickyproxy/stickyproxy/router"
)

// readOnly is a READ ONLY transaction that runs on a replica.
type readOnly struct {
	open  bool
	fresh bool   // no statement in it has returned anything yet: it can still begin elsewhere
	apart bool   // user variables have values on the primary that they do not have on the replica
	text  []byte // the statement that began it
}

func (s *readOnly) begin(r *request) {
	s.open, s.fresh, s.apart = true, true, false
	s.text = append(s.text[:0], r.payload()...)
}

func (s *readOnly) end() { s.open, s.fresh = false, false }

// inSnapshot runs a request in the READ ONLY transaction that is open on the replica. A statement that needs the
// primary takes the transaction there if it has returned nothing yet; later it stays, so that the transaction keeps
// its snapshot. Nil means that the transaction is over, or has moved, and that the request goes its usual way.
func (c *conn) inSnapshot(r *request) (*link, error) {
	e := r.class.Effects
	switch {
	case e.Has(router.Ends) && e.Any(router.Executes|primarys),
		e.Any(router.Begins|router.CommitsImplicitly|router.LocksTables|router.XA) && !unlocks(r.class) && !switchesAutocommit(r.class):
		return nil, c.moveSnapshot() // whether it ends there, and what begins, is for the primary to say
	case switchesAutocommit(r.class) && c.primary.status&mysqlwire.StatusAutocommit == 0 && !leavesOff(c.text(r)):
		return nil, c.moveSnapshot() // this commits, and on servers of today leaves the next statement READ ONLY
	case c.about(r) == c.primary, r.code == mysql.COM_SET_OPTION:
		return c.onPrimary(r)
	case c.snapshot.fresh && (!staysInSnapshot(r.class) || !c.stillProven(r)):
		return nil, c.moveSnapshot()
	case aboutConnection(r.class), c.asksPrimary(r), c.snapshot.apart && r.usesVariables():
		return c.besideSnapshot(r)
	}
	if e.Has(router.SetsUserVariable) {
		if err := c.recallBeside(r); err != nil { // it runs there, too, and later than here
			return nil, c.primaryFailed(err)
		}
	}
	r.reason = router.ReasonReadOnlyTransaction
	r.movable = c.snapshot.fresh && !e.Has(router.Ends)
	l := c.replica
	if l.MariaDB && r.code == mysql.COM_QUERY && !r.class.Multi && e.Has(router.Ends) && !e.Has(router.Disconnects) {
		r.instead = mysqlwire.AppendPacket(nil, 0, appendQuery(nil, l.Capabilities, rollback(e)))
	}
	if err := c.exchange(l, r); err != nil {
		var again elsewhere
		if errors.As(err, &again) {
			return nil, c.moveSnapshot()
		}
		return nil, err
	}
	if (e.Any(router.SetsUserVariable|router.SetsUnreported|opaque) || e.Has(router.SetsSystemVariable) && staysBehind(c.text(r))) && !refusedForReplica(r.failure) {
		if err := c.repeat(r); err != nil {
			return nil, err
		}
	}
	if r.masked {
		c.mask(l)
	}
	if switchesAutocommit(r.class) {
		if err := c.offBeside(l); err != nil {
			return nil, c.primaryFailed(err)
		}
	}
	if c.snapshot.open = l.inTransaction(); !c.snapshot.open {
		l.onAgain()
	} else if e.Has(router.Ends) { // it is another, chained to that: as it is, but WITH CONSISTENT SNAPSHOT
		c.snapshot.text = appendQuery(c.snapshot.text[:0], c.primary.Capabilities, startReadOnly)
	}
	c.snapshot.fresh = e.Has(router.Ends) || c.snapshot.fresh && r.failure == nil && r.leavesFresh()
	return l, nil
}

// asksPrimary reports whether a request asks about a statement before it that ran on the primary.
func (c *conn) asksPrimary(r *request) bool {
	if r.class.Writes || r.class.Multi || r.class.Effects.Any(opaque) {
		return false
	}
	return r.class.Effects.Has(router.UsesFoundRows) && c.answers(c.rows) == c.primary ||
		r.class.UsesRowCount && c.answers(c.previous) == c.primary || r.class.UsesWarnings && c.answers(c.warned) == c.primary
}

// staysBehind reports whether a SET statement may set a system variable that is not told to other servers: see replayOf.
func staysBehind(sql []byte) bool {
	sets := router.ReadSettings(sql)
	return sets.May("insert_id", "last_insert_id", "identity", "timestamp", "rand_seed1", "rand_seed2", "profiling", "optimizer_trace",
		"sql_log_bin", "sql_auto_is_null", "skip_replication")
}

// leavesFresh reports whether a transaction can still begin elsewhere after a request in it that succeeded: nobody has seen
// anything of it, and it has no savepoint.
func (r *request) leavesFresh() bool {
	return r.code == mysql.COM_STMT_PREPARE || r.class.Kind != router.Read && r.class.Reason != router.ReasonTransaction
}

// rollback is what ends a READ ONLY transaction on MariaDB in place of a COMMIT: it comes to the same, and with a savepoint
// in the transaction a COMMIT is refused there as a write.
func rollback(e router.Effects) string {
	if e.Has(router.Chains) {
		return "ROLLBACK AND CHAIN"
	}
	return "ROLLBACK"
}

// switchesAutocommit reports whether a statement is a SET that may set autocommit. Within a transaction that was begun where it
// was on already, this commits only once it was off.
func switchesAutocommit(st router.Statement) bool {
	return st.Reason == router.ReasonSet && st.Effects.Has(router.CommitsImplicitly)
}

// leavesOff reports whether a SET leaves autocommit off where it is.
func leavesOff(sql []byte) bool {
	sets := router.ReadSettings(sql)
	switch value, _ := sets.Value("autocommit"); value {
	case "0", "off", "false":
		return true
	}
	return false
}

// unlocks reports whether a statement is UNLOCK TABLES or the like, which commits nothing where nothing is locked: locks
// are on the primary and keep transactions there.
func unlocks(st router.Statement) bool { return st.Effects.Has(router.UnlocksTables) && !st.Multi }

// stillProven reports whether the replica of the transaction has what the session must see now. The servers fix what a
// transaction sees at its first read, and the session may have written since it began, on another connection.
func (c *conn) stillProven(r *request) bool {
	if r.class.Kind != router.Read {
		return true
	}
	snap := c.srv.o.Fleet.Snapshot()
	d := c.decide(r, snap, 0)
	return d.Replica >= 0 && c.replica.is(snap.Servers[d.Replica], snap.Replicas[d.Replica].Incarnation)
}

// staysInSnapshot reports whether a statement belongs into a READ ONLY transaction wherever that is.
func staysInSnapshot(st router.Statement) bool {
	return st.Kind == router.Read || st.Kind == router.Previous || st.Reason == router.ReasonTransaction ||
		st.Reason == router.ReasonCommand || unlocks(st)
}

// primarys are the effects on what the connection has on the primary only, whatever else a statement does.
const primarys = router.GetsLock | router.ReleasesLock | router.UsesLastInsertID

// aboutConnection reports whether a statement is about what the connection has on the primary, or about that server,
// and not about the data of the snapshot.
func aboutConnection(st router.Statement) bool {
	if st.Effects.Any(primarys) {
		return true
	}
	switch st.Reason {
	case router.ReasonServerState, router.ReasonPreparedText, router.ReasonLockFunction, router.ReasonConnectionFunction,
		router.ReasonHandler, router.ReasonAdministration:
		return true
	}
	return false
}

// endSnapshot ends the transaction on the replica, for a statement that commits it implicitly.
func (c *conn) endSnapshot() error {
	l := c.replica
	c.snapshot.end()
	l.queue(appendQuery(nil, l.Capabilities, endsTransaction))
	if err := c.consult(l, c.learn); err != nil {
		c.dropReplica()
		return nil
	}
	l.onAgain()
	return nil
}

// moveSnapshot begins the transaction again, on the primary. Nobody has seen anything of it yet.
func (c *conn) moveSnapshot() error {
	text := c.snapshot.text
	if c.replica != nil && !c.replica.dead {
		_ = c.endSnapshot() // the replica may be gone: the transaction ends either way
	} else if c.replica != nil {
		c.dropReplica()
	}
	c.snapshot.end()
	if err := c.tellPrimary(); err != nil {
		return c.primaryFailed(err)
	}
	c.primary.queue(text)
	if err := c.consult(c.primary, c.learn); err != nil {
		return c.primaryFailed(err)
	}
	return nil
}
