package proxy

import (
	"bytes"
	"context"
	"errors"
	"strconv"
	"strings"

	"github.com/go-mysql-org/go-mysql/mysql"

	"github.com/stickyproxy/stickyproxy/mysqlwire"
	"github.com/stickyproxy/stickyproxy/router"
)

// maxKept bounds the statement that is kept because its warnings may be asked for on another server.
const maxKept = 16 << 10

// kept is the last statement on the replica if it left warnings there: what asks for them on the primary is answered
// after it ran there, too.
type kept struct {
	payload []byte
	stmt    *statement
}

// diagnostics notes where what a request leaves for others to ask about is: how many rows it changed or found, and its
// warnings.
func (c *conn) diagnostics(l *link, r *request) {
	failed := r.failure != nil
	ran := r.runs()
	if failed {
		r.warnings = 1 // the error
	}
	if ran || failed {
		c.previous, c.warnings, c.counted = l, r.warnings, r.counted || failed // other commands leave alone what ROW_COUNT() and SHOW WARNINGS answer
	}
	if r.code == mysql.COM_INIT_DB || r.code == mysql.COM_PING {
		c.previous, c.counted = l, false // to servers, these are statements without rows
	}
	if r.code == mysql.COM_STMT_PREPARE && !l.MariaDB {
		c.warned, c.warnings = l, r.warnings
	}
	if (ran || failed) && !(l.MariaDB && r.class.NoTables && !failed && !r.warned) {
		c.warned = l
		c.keep(l, r)
	}
	switch {
	case !ran:
	case r.class.FindsRows && (!failed || l.MariaDB && r.begunRows()),
		r.rows && (r.class.Multi || r.class.Effects.Any(opaque)):
		c.rows = l
	}
}

// begunRows reports whether a request has failed while its rows were found: behind their definitions, or with too many for
// INTO. MariaDB's FOUND_ROWS() counts those that were found until then; after an earlier failure, and on MySQL after any, it
// says what it said before.
func (r *request) begunRows() bool { return r.columns > 0 || r.failure.Code == mysql.ER_TOO_MANY_ROWS }

// keep keeps a request that left warnings on the replica, and forgets the one before.
func (c *conn) keep(l *link, r *request) {
	c.kept = kept{}
	if r.failure != nil && interruption(r.failure.Code) {
		return // it would not fail again
	}
	if l.replica && r.warnings > 0 && r.class.Kind == router.Read && !r.cursor && r.whole() && len(r.head) <= maxKept {
		c.kept = kept{payload: bytes.Clone(r.payload()), stmt: r.stmt}
	}
}

// recall makes the primary know what a request asks there about a statement that ran on the replica.
func (c *conn) recall(r *request) error {
	l := c.replica
	if l == nil || l.dead {
		return nil
	}
	executes := r.class.Effects.Has(router.Executes) // what was prepared in SQL may ask for anything
	warnings := (executes || r.class.UsesWarnings) && c.warned == l
	switch {
	case warnings && c.kept.payload != nil:
		return c.runKept()
	case warnings, (executes || r.class.UsesRowCount) && c.previous == l,
		(executes || r.class.Effects.Has(router.UsesFoundRows)) && c.rows == l:
		return c.findAgain(warnings)
	case r.class.FindsRows && r.class.Reason == router.ReasonSet && c.rows == l:
		return c.findAgain(false) // some subqueries of SET leave alone what was found before
	case r.class.Effects.Has(router.Calls) && c.previous == l && !l.MariaDB:
		c.primary.queue([]byte{mysql.COM_PING}) // a routine that changes nothing tells how many rows the statement before has changed
	}
	return nil
}

// runKept runs the statement that is kept on the primary.
func (c *conn) runKept() error {
	payload := c.kept.payload
	if st := c.kept.stmt; st != nil {
		again := request{command: command{code: payload[0], head: mysqlwire.AppendPacket(nil, 0, payload)}, stmt: st}
		if err := c.bind(c.primary, &again); err != nil {
			return err
		}
		payload = again.payload()
		if again.instead != nil {
			payload = again.instead[mysqlwire.HeaderSize:]
		}
	}
	c.primary.queue(payload)
	if st := c.kept.stmt; st != nil && c.statements.byID[st.id] != st { // it was closed, and is open again for this only
		c.primary.queue(closing(st.on(c.primary).id))
		st.onPrimary = remote{}
	}
	if err := c.consult(c.primary, told); err != nil && answered(err) == nil {
		return err
	}
	c.previous, c.warned, c.kept = c.primary, c.primary, kept{}
	if c.rows == c.replica {
		c.rows = c.primary
	}
	return nil
}

// findAgain runs a query on the primary that finds as many rows as the last one did, and leaves no warnings if quiet.
func (c *conn) findAgain(quiet bool) error {
	from := c.rows
	if from == nil {
		from = c.primary
	}
	ctx, cancel := c.connectTimeout()
	defer cancel()
	found, err := ask(ctx, from, "SELECT FOUND_ROWS()")
	if err != nil && from == c.primary {
		return err
	}
	n, _ := strconv.ParseUint(found, 10, 64) // what a replica that failed had found is gone with it
	if _, err := ask(ctx, c.primary, finds(n, quiet && n <= maxPlain)); err != nil {
		return err
	}
	c.previous, c.rows, c.warned, c.kept = c.primary, c.primary, c.primary, kept{}
	return nil
}

// maxPlain is how many rows may be returned for nothing.
const maxPlain = 1000

// finds is a query that finds n rows. Returning them is the plain way; not returning them has MySQL warn of
// SQL_CALC_FOUND_ROWS.
func finds(n uint64, plain bool) string {
	const digit = "(SELECT 0 UNION ALL SELECT 1 UNION ALL SELECT 2 UNION ALL SELECT 3 UNION ALL SELECT 4 " +
		"UNION ALL SELECT 5 UNION ALL SELECT 6 UNION ALL SELECT 7 UNION ALL SELECT 8 UNION ALL SELECT 9) AS d"
	count := strconv.FormatUint(n, 10)
	var b strings.Builder
	for i := range count {
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString(digit + strconv.Itoa(i))
	}
	if plain {
		return "SELECT 1 FROM " + b.String() + " LIMIT " + count
	}
	return "SELECT SQL_CALC_FOUND_ROWS 1 FROM (SELECT 1 FROM " + b.String() + " LIMIT " + count + ") AS d LIMIT 0"
}

// ask returns the only value that a question of ours has, "" if the server refuses to answer.
func ask(ctx context.Context, l *link, question string) (string, error) {
	rows, err := l.Query(ctx, question)
	var refused *mysqlwire.Error
	switch {
	case errors.As(err, &refused):
		return "", nil
	case err != nil:
		l.dead = true
		return "", serverError{err}
	case len(rows.Values) == 0:
		return "", nil
	}
	return rows.Values[0][0].String, nil
}
