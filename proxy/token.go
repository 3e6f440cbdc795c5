package proxy

import (
	"errors"

	"github.com/go-mysql-org/go-mysql/mysql"

	"github.com/stickyproxy/stickyproxy/gtid"
	"github.com/stickyproxy/stickyproxy/mysqlwire"
	"github.com/stickyproxy/stickyproxy/router"
	"github.com/stickyproxy/stickyproxy/session"
)

// token is what the statement that is being served must see, as a text to carry elsewhere; NULL if that is nothing.
func (c *conn) token() mysqlwire.Text {
	n := c.pins.sees()
	if c.mode != router.GTID { // there, no time is ever proof
		n = n.Live(c.srv.now().Add(-max(c.srv.o.Window, c.srv.o.MaxLag)))
	}
	text := n.Token(c.clock())
	return mysqlwire.Text{Value: text, Null: text == ""}
}

// clock is what is known of the primary's clock, by which tokens tell times.
func (c *conn) clock() session.Clock {
	k := c.srv.o.Fleet.Snapshot().Clock
	return session.Clock{ID: uint32(k.ID), Asked: k.Asked, Answered: k.Answered, Says: k.Says}
}

// readToken returns what a token asks for. One of another cluster is an error: nothing here could ever satisfy it.
func (c *conn) readToken(text string) (session.Need, *mysqlwire.Error) {
	n, err := session.ParseToken(text, c.srv.now(), c.clock())
	if err != nil {
		var bad *session.TokenError
		if errors.As(err, &bad) {
			return n, mysqlwire.NewError(mysql.ER_WRONG_VALUE_FOR_VAR, "The value of sticky_token is no token: %s; "+
				"take it as SELECT @sticky_token gave it", bad.Reason)
		}
		return n, errForeignToken
	}
	if c.foreign(n) {
		return session.Need{}, errForeignToken
	}
	return n, nil
}

// foreign reports whether a token is of another cluster than that of the primary. The primary is asked only about servers
// that no token has named before.
func (c *conn) foreign(n session.Need) bool {
	if known := c.srv.known.Load(); n.GTID.IsEmpty() || known != nil && !n.Foreign(*known) {
		return false
	}
	known, ok := c.askKnown()
	if ok {
		c.srv.known.Store(&known)
	}
	return ok && n.Foreign(known) // nobody knows: then the token is the stricter way
}

// askKnown asks the primary for the transactions that it knows of.
func (c *conn) askKnown() (gtid.Set, bool) {
	l := c.primary
	question := "SELECT @@GLOBAL.gtid_executed"
	if l.MariaDB {
		question = "SELECT @@GLOBAL.gtid_current_pos"
	}
	if l.dead || len(l.owed) > 0 {
		return gtid.Set{}, false
	}
	ctx, cancel := c.connectTimeout()
	defer cancel()
	rows, err := l.Query(ctx, question)
	if err != nil {
		var refused *mysqlwire.Error
		l.dead = l.dead || !errors.As(err, &refused)
		return gtid.Set{}, false
	}
	if len(rows.Values) != 1 || len(rows.Values[0]) != 1 {
		return gtid.Set{}, false
	}
	set, err := parseGTID(l.MariaDB, rows.Values[0][0].String)
	return set, err == nil
}

var errForeignToken = &mysqlwire.Error{Code: mysql.ER_WRONG_VALUE_FOR_VAR, State: "42000",
	Message: "The value of sticky_token is of another cluster, whose servers this one does not know; do not use it here"}
