package proxy

import (
	"bytes"
	"context"
	"strconv"
	"strings"

	"github.com/go-mysql-org/go-mysql/mysql"

	"github.com/stickyproxy/stickyproxy/mysqlwire"
	"github.com/stickyproxy/stickyproxy/router"
)

// What FOUND_ROWS() tells is known where the last statement ran that it is about: c.rows. Of some statements only the server
// knows whether it is about them. They run on the primary; after a read on a replica
//
//   - what has a query or a routine inside is sent behind a query that finds as many rows as that read did: then the primary
//     has the answer in either case;
//   - an UPDATE on MySQL that has matched nothing leaves open who is to be asked, until somebody asks, and so does a plan on
//     MariaDB. The primary tells 0 then if it counts it, and otherwise what it told before, which was not 0.

// findsPerhaps reports whether only the server knows if FOUND_ROWS() is about a request that has queries inside.
func findsPerhaps(r *request) bool {
	switch r.class.Finds {
	case router.FindsRows:
		return false
	case router.FindsPerhaps:
		return true
	}
	return r.runs() && r.class.Effects.Any(router.Calls|router.CallsFunction)
}

// passesOn reports whether a request may tell of the statement before it on the primary, for which nothing may run between the
// two: on MySQL, a CALL that changes no rows tells how many that has changed, and on MariaDB what calls something leaves alone
// the warnings of that; and what may ask anything rather asks how many rows a write has changed. This counts for more than what
// was found.
func (c *conn) passesOn(r *request) bool {
	switch {
	case r.asksAnything():
		return c.previous == c.primary && c.affected
	case c.primary.MariaDB:
		return c.warned == c.primary && c.primary.warned && (addsWarnings(c.primary, r) || leavesPerhaps(c.primary, r))
	}
	return r.class.Effects.Has(router.Calls) && c.previous == c.primary && c.counted
}

// found notes who knows what FOUND_ROWS() tells after a request that ran.
func (c *conn) found(l *link, r *request) {
	failed, finds := r.failure != nil, r.class.Finds
	matches := finds == router.FindsMatches && !failed
	switch {
	case finds == router.FindsRows && (!failed || l.MariaDB && r.begunRows()),
		matches && r.matched,
		finds != router.FindsNothing && l.replica && !failed,
		r.rows && !r.known && (r.class.Multi || r.class.Effects.Any(opaque)):
		c.rows, c.unmatched = l, false
	case matches:
		c.unmatched = l == c.primary && c.rows.away()
	}
	if finds != router.FindsNothing || r.class.Effects.Any(opaque) {
		l.foundSome = matches && r.matched || finds == router.FindsRows && !failed && !r.class.Multi && r.some
	}
}

// begunRows reports whether a request has failed while its rows were found: behind their definitions, or with too many for
// INTO. MariaDB's FOUND_ROWS() counts those that were found until then; after an earlier failure, and on MySQL after any, it
// says what it said before.
func (r *request) begunRows() bool { return r.columns > 0 || r.failure.Code == mysql.ER_TOO_MANY_ROWS }

// matchedRows reports whether the OK packet of an UPDATE says that it has matched rows. That is the first number in its text,
// whatever language that is in; the others are not larger.
// https://dev.mysql.com/doc/c-api/en/mysql-info.html
func matchedRows(ok *mysqlwire.OK) bool {
	return ok.AffectedRows > 0 || bytes.ContainsAny(ok.Info, "123456789")
}

// findSome makes sure that the primary does not tell 0 for FOUND_ROWS() before an UPDATE that may leave that alone.
func (c *conn) findSome(r *request) {
	if r.class.Finds != router.FindsMatches || !c.rows.away() || c.unmatched || c.primary.foundSome ||
		r.class.UsesRowCount || r.class.UsesWarnings || c.state.once || c.state.pending {
		return
	}
	c.primary.queue(appendQuery(nil, c.primary.Capabilities, "SELECT 1"))
	c.primary.foundSome = true
}

// settleFound finds out who knows the answer if a request asks, or may, for FOUND_ROWS() after an UPDATE that has matched nothing.
func (c *conn) settleFound(r *request) error {
	if !c.unmatched || !r.class.Effects.Has(router.UsesFoundRows) && !r.asksAnything() && !findsPerhaps(r) {
		return nil
	}
	ctx, cancel := c.connectTimeout()
	defer cancel()
	found, answers, err := ask(ctx, c.primary, foundRows)
	if err != nil || !answers {
		return err
	}
	c.unmatched = false
	if found != "0" {
		return nil
	}
	_, _, err = ask(ctx, c.primary, finds(0))
	c.rows, c.primary.foundSome = c.primary, false
	return err
}

// foundRows is the question of how many rows the last query has found.
const foundRows = "SELECT FOUND_ROWS()"

// howMany returns what FOUND_ROWS() tells on a server, if that is known.
func howMany(ctx context.Context, l *link) (n uint64, known bool, err error) {
	if l.dead {
		return uint64(l.found), l.said, nil
	}
	found, _, err := ask(ctx, l, foundRows)
	n, none := strconv.ParseUint(found, 10, 64)
	return n, none == nil, err
}

// findAgain runs a query on the primary that finds as many rows as the last one did. Where nobody knows how many that are, a
// request that asks is refused.
func (c *conn) findAgain(r *request) error {
	from := c.rows
	if from == nil {
		from = c.primary
	}
	ctx, cancel := c.connectTimeout()
	defer cancel()
	n, known, err := howMany(ctx, from)
	switch {
	case from == c.primary && err != nil:
		return err
	case from == c.primary:
		known = true // or it does not answer the request either
	case !known && r.class.Effects.Has(router.UsesFoundRows) && !r.class.Multi:
		return refusal{errForgotten}
	}
	if c.primary.MariaDB && c.primary.warned && c.warned != c.primary {
		if _, _, err := ask(ctx, c.primary, forgetsWarnings(true)); err != nil {
			return err
		}
	}
	again := finds(n)
	if c.snapshot.open && from == c.replica {
		if _, _, err := ask(ctx, from, again); err != nil { // the request may run there, too
			return err
		}
	}
	_, answers, err := ask(ctx, c.primary, again)
	switch {
	case err != nil:
		return err
	case !answers && from != c.primary: // it will refuse the request as well, behind which the other one is asked still
		if !from.dead {
			_, _, _ = ask(ctx, from, again)
		}
		return nil
	}
	if !c.counted && c.previous != nil {
		c.primary.queue(appendQuery(nil, c.primary.Capabilities, setsNothing)) // for ROW_COUNT()
	}
	c.primary.warned = n > maxPlain || c.primary.MariaDB && c.primary.warned && c.warned == c.primary
	c.previous, c.warned, c.kept = c.primary, c.primary, kept{}
	c.primary.foundSome = n > 0
	if known {
		c.rows, c.unmatched = c.primary, false
	}
	return nil
}

// maxPlain is how many rows may be returned for nothing.
const maxPlain = 1000

// finds is a query that finds n rows. Returning them is the plain way, and needs no table, so that it is answered behind XA END
// too, but leaves the warnings that MariaDB has; not returning them has MySQL warn of SQL_CALC_FOUND_ROWS.
func finds(n uint64) string {
	count := strconv.FormatUint(n, 10)
	if n <= maxPlain {
		return "SELECT 1" + strings.Repeat(" UNION ALL SELECT 1", max(int(n)-1, 0)) + " LIMIT " + count
	}
	const digit = "(SELECT 0 UNION ALL SELECT 1 UNION ALL SELECT 2 UNION ALL SELECT 3 UNION ALL SELECT 4 " +
		"UNION ALL SELECT 5 UNION ALL SELECT 6 UNION ALL SELECT 7 UNION ALL SELECT 8 UNION ALL SELECT 9) AS d"
	var b strings.Builder
	for i := range count {
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString(digit + strconv.Itoa(i))
	}
	return "SELECT SQL_CALC_FOUND_ROWS 1 FROM (SELECT 1 FROM " + b.String() + " LIMIT " + count + ") AS d LIMIT 0"
}
