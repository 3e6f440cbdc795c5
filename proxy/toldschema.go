package proxy

import (
	"slices"

	"github.com/go-mysql-org/go-mysql/mysql"

	"github.com/stickyproxy/stickyproxy/mysqlwire"
	"github.com/stickyproxy/stickyproxy/router"
)

// A statement that was prepared in another schema runs in that one, and servers tell behind it that the current schema is
// the current one again. If what ends the statement has no room for that, an EOF or ERR packet, they tell it later: MySQL
// with the next packet that has, MariaDB with the next one that tells the client something else, too. Where a client's
// statements run on two servers, which trackers are ours, that would be at other times, so it is kept here what is still
// to be told.

// awayFrom reports whether a request executes a statement that was prepared in another schema than the current one.
func (r *request) awayFrom(schema string) bool {
	return r.stmt != nil && r.stmt.schema != schema && (r.code == mysql.COM_STMT_EXECUTE || r.code == mysqlwire.ComBulkExecute)
}

// returned notes, at the end of a request, that the client is still to be told that the current schema is that again.
func (c *conn) returned(l *link, r *request) {
	if r.awayFrom(c.state.schema) && !r.placed && !refusedParameters(r.failure) {
		c.state.tracking.again, l.returned = true, true
	}
}

// refusedParameters reports whether a failure is about the parameters of a statement, which are looked at before it begins.
func refusedParameters(e *mysqlwire.Error) bool {
	return e != nil && (e.Code == mysql.ER_WRONG_ARGUMENTS || e.Code == mysql.ER_MALFORMED_PACKET)
}

// late takes what a server says of the current schema for what is still to be told, if it comes behind a statement that
// gives no cause to say so.
func (c *conn) late(l *link, r *request) {
	t := &c.state.tracking
	switch {
	case !r.placed:
		return
	case r.entered, r.awayFrom(c.state.schema), r.class.Effects.Any(router.SetsSchema | opaque):
		t.again, t.placed = false, true
	default:
		t.placed = false
		t.again = t.again || !l.returned // else it was told, behind a statement that ran elsewhere
	}
	l.returned = false
}

// placedAgain adds to what a client is told, which is in the order of servers, what is still to be told.
func (t *tracking) placedAgain(told []byte, schema string, mariaDB bool) []byte {
	if !t.again || mariaDB && len(told) == 0 {
		return told
	}
	t.again = false
	if t.noSchema {
		return told
	}
	variables := 0
	for c := (mysqlwire.Changes{Rest: told}); c.Next() && c.Kind == mysqlwire.TrackSystemVariable; {
		variables = len(told) - len(c.Rest)
	}
	return slices.Insert(told, variables, mysqlwire.AppendChange(nil, mysqlwire.TrackSchema, nil, []byte(schema))...)
}
