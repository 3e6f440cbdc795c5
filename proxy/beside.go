package proxy

import (
	"fmt"

	"github.com/go-mysql-org/go-mysql/mysql"

	"github.com/stickyproxy/stickyproxy/mysqlwire"
	"github.com/stickyproxy/stickyproxy/router"
)

// What a READ ONLY transaction that is on a replica needs of the primary's connection.

// besideSnapshot runs a statement on the primary that is about the connection there. What was prepared in SQL, or is,
// could write: to it, too, the transaction is READ ONLY.
func (c *conn) besideSnapshot(r *request) (*link, error) {
	if !r.class.Effects.Any(router.Prepares | router.Executes) {
		return c.onPrimary(r)
	}
	c.beginReadOnly()
	l, err := c.onPrimary(r)
	if err != nil {
		return l, err
	}
	return l, c.endReadOnly(told)
}

// beginReadOnly puts the beginning of a READ ONLY transaction ahead of what is sent to the primary next.
func (c *conn) beginReadOnly() {
	c.primary.queue(appendQuery(nil, c.primary.Capabilities, "START TRANSACTION READ ONLY"))
}

// endReadOnly sends what is queued for the primary, and the end of what beginReadOnly began. Whatever was run in it could
// have ended it by itself, and have written.
func (c *conn) endReadOnly(learn func(*link, mysqlwire.OK)) error {
	c.primary.queue(appendQuery(nil, c.primary.Capabilities, "COMMIT AND NO CHAIN NO RELEASE"))
	err := c.consult(c.primary, learn)
	c.abandon()
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
	c.beginReadOnly()
	c.primary.queue(payload)
	return c.endReadOnly(c.learn)
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
