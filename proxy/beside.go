package proxy

import (
	"fmt"
	"strings"

	"github.com/go-mysql-org/go-mysql/mysql"

	"github.com/stickyproxy/stickyproxy/mysqlwire"
	"github.com/stickyproxy/stickyproxy/router"
)

// What a READ ONLY transaction that is on a replica needs of the primary's connection.

// besideSnapshot runs a statement on the primary that is about the connection there. What was prepared in SQL, or is, what uses
// user variables of the primary, and what a lock is only a part of could write: to it, too, the transaction is READ ONLY.
func (c *conn) besideSnapshot(r *request) (*link, error) {
	e := r.class.Effects
	inSQL := e.Any(router.Prepares | router.Executes)
	within := !r.reads && (inSQL || r.mayWrite() && (r.usesVariables() || e.Any(primarys))) // which ends the warnings of what it is put around
	c.snapshot.apart = c.snapshot.apart || e.Has(router.SetsUserVariable)
	if within {
		c.beginReadOnly()
	}
	if ready, err := c.readyPrimary(r); !ready {
		return nil, err
	}
	if inSQL || e.Has(router.Deallocates) {
		c.insideSnapshot(r)
	}
	if err := c.exchange(c.primary, r); err != nil || !within {
		return c.primary, err
	}
	return c.primary, c.endReadOnly(told, c.asBefore(r))
}

// insideSnapshot does what SQL's PREPARE, EXECUTE and DEALLOCATE do on the replica as well, before the primary answers: they
// may set user variables there, which begins with PREPARE, or end the transaction. How that went is for the primary to say.
func (c *conn) insideSnapshot(r *request) {
	l := c.replica
	if r.code != mysql.COM_QUERY || !r.whole() || r.once {
		return
	}
	l.queue(r.payload())
	l.queue([]byte{mysql.COM_PING}) // an error does not tell whether the transaction goes on
	if err := c.consult(l, entered); err != nil && answered(err) == nil {
		l.dead = true // the next statement finds out
		return
	}
	if c.snapshot.open = l.inTransaction(); !c.snapshot.open {
		l.onAgain()
	}
}

// entered is told for a statement that may have changed the current schema.
func entered(l *link, ok mysqlwire.OK) {
	told(l, ok)
	for ch := (mysqlwire.Changes{Rest: ok.Session}); ch.Next(); {
		if ch.Kind == mysqlwire.TrackSchema {
			l.Schema = string(ch.Value)
		}
	}
}

// maxMessage is how long the text of a condition may be that SIGNAL makes, bytes.
// https://dev.mysql.com/doc/refman/en/signal.html
const maxMessage = 128

// asBefore is a command that makes ROW_COUNT() and SHOW WARNINGS tell of a request, and not of the end of the transaction
// that was put around it; nil if they do anyway.
func (c *conn) asBefore(r *request) []byte {
	switch e := r.failure; {
	case e != nil && e.Code != errReadOnly.Code && r.class.Effects.Has(router.Prepares) && r.code == mysql.COM_QUERY && r.whole():
		return r.payload() // what cannot be prepared is not prepared again
	case e != nil && e.State != "" && len(e.Message) <= maxMessage && !strings.ContainsFunc(e.Message, func(c rune) bool { return c < ' ' || c > '~' }):
		return appendQuery(nil, c.primary.Capabilities,
			fmt.Sprintf("SIGNAL SQLSTATE '%s' SET MYSQL_ERRNO = %d, MESSAGE_TEXT = _utf8mb4 X'%X'", e.State, e.Code, e.Message))
	case e != nil || r.rows:
		return c.countsAsQuery()
	}
	return nil
}

// countsAsQuery is a command that changes nothing, and whose answer counts as that to a query for ROW_COUNT().
func (c *conn) countsAsQuery() []byte {
	option := byte(1)
	if c.client.Capabilities.Has(mysqlwire.CapMultiStatements) {
		option = 0
	}
	return []byte{mysql.COM_SET_OPTION, option, 0} // as it is
}

// beginReadOnly puts the beginning of a READ ONLY transaction ahead of what is sent to the primary next.
func (c *conn) beginReadOnly() {
	c.primary.queue(appendQuery(nil, c.primary.Capabilities, startReadOnly))
}

const startReadOnly = "START TRANSACTION READ ONLY"

// endsTransaction ends one, whatever completion_type says.
const endsTransaction = "COMMIT AND NO CHAIN NO RELEASE"

// endReadOnly sends what is queued for the primary, and the end of what beginReadOnly began. Whatever was run in it could
// have ended it by itself, and have written. Behind the end is sent what is behind, nil for nothing.
func (c *conn) endReadOnly(learn func(*link, mysqlwire.OK), behind []byte) error {
	c.primary.queue(appendQuery(nil, c.primary.Capabilities, endsTransaction))
	if behind != nil {
		c.primary.queue(behind)
	}
	err := c.consult(c.primary, learn)
	c.abandon()
	return c.repeated(err)
}

// repeated is what a failure of a statement that ran on the primary besides means: what that answered is nobody's concern.
func (c *conn) repeated(err error) error {
	if err == nil || answered(err) != nil {
		return nil
	}
	c.primary.dead = true
	return serverError{err: err}
}

// refusedForReplica reports whether a statement failed because the server is a replica, and not, as it would on the primary,
// because the transaction is READ ONLY or for any other reason: there it may have got further.
func refusedForReplica(e *mysqlwire.Error) bool {
	return e != nil && refusedAsWrite(e.Code) && e.Code != errReadOnly.Code
}

// offBeside turns autocommit off on the primary if a statement has done so in the transaction on the replica: once that is
// over, it is the primary where the next one begins.
func (c *conn) offBeside(l *link) error {
	if (l.status^c.primary.status)&mysqlwire.StatusAutocommit == 0 {
		return nil
	}
	c.primary.queue(appendQuery(nil, c.primary.Capabilities, "SET autocommit=0"))
	return c.consult(c.primary, told)
}

// onAgain turns autocommit on behind a READ ONLY transaction that has left it off on its replica, where reads need it.
func (l *link) onAgain() {
	if l.status&mysqlwire.StatusAutocommit == 0 {
		l.queue(appendQuery(nil, l.Capabilities, "SET autocommit=1"))
	}
}

// recallBeside is recall for what runs on the replica first. Whose warnings are asked for there, nobody may run something else
// on the replica before.
func (c *conn) recallBeside(r *request) error {
	if r.class.UsesWarnings && c.kept.payload == nil && !r.class.Effects.Has(router.UsesFoundRows) {
		if c.primary.MariaDB {
			c.primary.queue(appendQuery(nil, c.primary.Capabilities, forgetsWarnings(true)))
		}
		c.primary.queue(appendQuery(nil, c.primary.Capabilities, finds(1)))
		return nil
	}
	if r.class.UsesRowCount && c.previous.away() && !r.class.UsesWarnings && !r.class.Effects.Has(router.UsesFoundRows) {
		again := setsNothing
		if c.counted {
			again = finds(1)
		}
		c.primary.queue(appendQuery(nil, c.primary.Capabilities, again))
		return nil
	}
	return c.recall(r)
}

// repeat runs a statement that has, or may have, left something on its connection once more on the primary, where later
// statements look for that. There, too, it can write nothing.
func (c *conn) repeat(r *request) error {
	again := request{command: r.command, class: r.class, stmt: r.stmt}
	payload := again.payload()
	if r.cursor || len(payload) == 0 || r.code != mysql.COM_QUERY && r.code != mysql.COM_STMT_EXECUTE {
		return nil
	}
	c.state.attached, c.state.private = true, true
	if err := c.tellPrimary(); err != nil {
		return c.primaryFailed(err)
	}
	if r.stmt != nil {
		if err := c.bind(c.primary, &again); err != nil {
			return err
		}
		if payload = again.payload(); again.instead != nil {
			payload = again.instead[mysqlwire.HeaderSize:]
		}
	}
	if r.class.Writes {
		c.pins.begin()
	}
	if (r.class.UsesWarnings || r.class.UsesRowCount) && !r.class.Writes {
		c.primary.queue(payload) // behind the beginning of a transaction there would be none
		return c.repeated(c.consult(c.primary, c.learn))
	}
	c.beginReadOnly()
	c.primary.queue(payload)
	return c.endReadOnly(c.learn, nil)
}

// mask makes a replica say to SHOW WARNINGS, too, that the transaction is READ ONLY.
func (c *conn) mask(l *link) {
	e := errReadOnlyOf(l.MariaDB)
	l.queue(appendQuery(nil, l.Capabilities,
		fmt.Sprintf("SIGNAL SQLSTATE '%s' SET MYSQL_ERRNO = %d, MESSAGE_TEXT = '%s'", e.State, e.Code, e.Message)))
	if err := c.consult(l, told); err != nil && answered(err) == nil {
		l.dead = true // the next statement finds out
	}
}
