package proxy

import (
	"bytes"
	"context"
	"errors"
	"regexp"

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

// makes reports whether the warnings are those of a statement that was prepared.
func (k *kept) makes() bool { return len(k.payload) > 0 && k.payload[0] == mysql.COM_STMT_PREPARE }

// diagnostics notes where what a request leaves for others to ask about is: how many rows it changed or found, and its
// warnings.
func (c *conn) diagnostics(l *link, r *request) {
	failed := r.failure != nil
	ran := r.runs()
	if failed {
		r.warnings = 1 // the error
	}
	if ran || failed {
		c.warnings = r.warnings // other commands leave alone what SHOW WARNINGS answers
	}
	if failed || r.counts() {
		c.previous, c.counted, c.affected = l, failed || r.counted, !failed && r.affected
	}
	if !failed && clearsWarnings(l, r) {
		c.warned, c.warnings, c.kept, l.warned = l, r.warnings, keepsMaking(l, r), r.warnings > 0 || r.code == mysql.COM_FIELD_LIST
	}
	if (ran || failed) && !(l.MariaDB && !failed && !r.warned && leavesWarnings(r.class)) {
		c.warned, l.warned = l, failed || r.warned || l.warned && (r.class.UsesWarnings || l.MariaDB && (r.asksAnything() || addsWarnings(l, r)))
		c.keep(l, r)
	}
	if ran {
		c.found(l, r)
	}
}

// clearsWarnings reports whether a command that runs nothing ends the warnings of the statement before, and may have some of
// its own: to prepare a statement, but on MariaDB one without tables, and on MySQL COM_FIELD_LIST, which is deprecated.
func clearsWarnings(l *link, r *request) bool {
	switch {
	case r.code == mysql.COM_FIELD_LIST:
		return !l.MariaDB
	case r.code != mysql.COM_STMT_PREPARE:
		return false
	case !l.MariaDB:
		return true
	}
	st := r.making.class
	switch st.Reason {
	case router.ReasonDo, router.ReasonCall, router.ReasonPreparedText, router.ReasonAdministration, router.ReasonTableLock, router.ReasonHandler:
		return false
	}
	return !st.UsesWarnings && !st.Effects.Has(router.CallsFunction) && !leavesWarnings(st)
}

// leavesWarnings reports whether a statement on MariaDB leaves alone the warnings of the one before, if it has none.
func leavesWarnings(st router.Statement) bool {
	return st.OpensNothing || st.Finds == router.FindsNothing && !st.Multi && st.Effects.Any(router.Deallocates|router.UnlocksTables)
}

// leavesPerhaps reports whether a request leaves alone the warnings of the statement before, and perhaps the number of rows that
// was found.
func leavesPerhaps(l *link, r *request) bool {
	return l.MariaDB && findsPerhaps(r) && leavesWarnings(r.class)
}

// outdates reports whether a request leaves alone the warnings of the statement before, which may have none if it runs behind it.
func outdates(l *link, r *request) bool {
	return l.MariaDB && r.class.OpensNothing && r.class.Effects.Any(router.SetsSystemVariable|router.SetsSchema)
}

// addsWarnings reports whether what a request leaves as warnings may be added to those of the statement before.
func addsWarnings(l *link, r *request) bool {
	if l.MariaDB {
		return r.class.Effects.Any(router.Calls | router.CallsFunction | router.Prepares)
	}
	switch r.code {
	case mysql.COM_STMT_PREPARE, mysql.COM_PING, mysql.COM_STATISTICS, mysql.COM_SET_OPTION:
		return false
	}
	return !r.runs()
}

// counts reports whether ROW_COUNT() tells of a command: of each that is answered with an OK packet, as of a statement that
// has changed no row, and of each whose answer ends as rows do.
func (m *command) counts() bool {
	switch m.code {
	case mysql.COM_STMT_PREPARE, mysql.COM_STATISTICS:
		return false
	}
	return mysqlwire.Responds(m.code)
}

var showsWarnings = regexp.MustCompile(`(?i)^\s*show\s+(count\s*\(\s*\*\s*\)\s*)?(warnings|errors)\b`)

// keep keeps a request that left warnings on the replica, and forgets the one before.
func (c *conn) keep(l *link, r *request) {
	if r.failure == nil && r.class.UsesWarnings && showsWarnings.Match(c.text(r)) {
		return // it leaves alone what it tells
	}
	c.kept = kept{}
	if r.failure != nil && interruption(r.failure.Code) {
		return // it would not fail again
	}
	asks := r.class.Kind == router.Previous && !r.class.UsesWarnings && !r.class.UsesRowCount // of which MySQL warns
	if l.replica && (r.warnings > 0 || l.MariaDB && r.warned) && (r.class.Kind == router.Read || asks) && !r.cursor && r.whole() && len(r.head) <= maxKept {
		c.kept = kept{payload: bytes.Clone(r.payload()), stmt: r.stmt}
	}
}

// keepsMaking is what is kept of a COM_STMT_PREPARE that left warnings on the replica.
func keepsMaking(l *link, r *request) kept {
	if !l.replica || r.warnings == 0 || r.making == nil || r.making.text == nil {
		return kept{}
	}
	return kept{payload: []byte{mysql.COM_STMT_PREPARE, 0, 0, 0, 0}, stmt: r.making}
}

// about is who answers a statement of Kind Previous, nil if it is of another kind.
func (c *conn) about(r *request) *link {
	switch {
	case r.class.Kind != router.Previous:
		return nil
	case r.class.Effects.Has(router.UsesFoundRows):
		return c.answers(c.rows)
	case r.class.UsesRowCount:
		return c.answers(c.previous)
	}
	return c.answers(c.warned)
}

// answers is who answers what is asked about a statement that ran on l. For a replica that is gone, the primary does: see recall.
func (c *conn) answers(l *link) *link {
	if l.away() && l != c.replica {
		return c.primary
	}
	return l
}

// recall makes the primary know what a request asks there about a statement that ran on a replica. What nobody knows any more
// is refused.
func (c *conn) recall(r *request) error {
	l := c.primary
	anything, previous, rows, warned := r.asksAnything(), c.previous.away(), c.rows.away(), c.warned.away()
	warnings := (anything || r.class.UsesWarnings) && warned
	counts := (anything || r.class.UsesRowCount) && previous ||
		(r.class.Effects.Has(router.UsesFoundRows) || (anything || findsPerhaps(r)) && !c.passesOn(r)) && rows
	switch {
	case warnings && c.forgotten(r):
		return refusal{errForgotten}
	case c.kept.payload != nil && warned && (warnings || addsWarnings(l, r) || leavesPerhaps(l, r) || outdates(l, r)):
		if counts && c.kept.makes() {
			return c.findAndMakeAgain(r)
		}
		return c.runKept()
	case warnings, counts:
		if err := c.keepWarnings(r); err != nil {
			return err
		}
		return c.findAgain(r)
	case warned && l.warned && addsWarnings(l, r):
		l.queue(appendQuery(nil, l.Capabilities, forgetsWarnings(l.MariaDB)))
		l.warned = false
	case r.class.UsesWarnings && r.class.Reason == router.ReasonPrevious && previous && l.MariaDB:
		l.queue(c.countsAsQuery()) // GET DIAGNOSTICS leaves ROW_COUNT() alone
	case r.class.Effects.Has(router.Calls) && previous && !l.MariaDB:
		l.queue([]byte{mysql.COM_PING}) // a routine that changes nothing tells how many rows the statement before has changed
	default:
		c.findSome(r)
	}
	return nil
}

// forgotten reports whether a request asks for warnings that nobody knows any more.
func (c *conn) forgotten(r *request) bool {
	return c.warned.dead && c.warned.warned && c.kept.payload == nil && r.class.UsesWarnings && !r.class.Multi
}

// keepWarnings brings the warnings of a read on a replica to the primary, for a request there that leaves them alone.
func (c *conn) keepWarnings(r *request) error {
	if c.kept.payload == nil || !c.warned.away() || !c.primary.MariaDB || !leavesWarnings(r.class) {
		return nil
	}
	rows := c.rows
	err := c.runKept()
	c.rows = rows // of a read behind it, perhaps
	return err
}

// tellBehindWarnings has a replica take the state that it is told, and reports whether a question about warnings may follow
// there: some variables are deprecated, and to set one brings a warning. Without such a question, the next statement ends it.
func (c *conn) tellBehindWarnings(l *link) (stays bool, err error) {
	warned := false
	err = c.consult(l, func(l *link, ok mysqlwire.OK) {
		told(l, ok)
		warned = warned || ok.Warnings > 0
	})
	switch {
	case err != nil:
		c.dropReplica()
		return false, nil
	case warned && c.kept.payload == nil: // there were none
		l.queue(appendQuery(nil, l.Capabilities, forgetsWarnings(l.MariaDB)))
	case warned:
		if err := c.tellPrimary(); err != nil {
			return false, c.primaryFailed(err)
		}
		return false, c.runKept()
	}
	return true, nil
}

// forgetsWarnings is a statement that ends the warnings of the one before, which on MariaDB takes a table, and leaves alone
// what FOUND_ROWS() tells.
func forgetsWarnings(mariaDB bool) string {
	if mariaDB {
		return "EXPLAIN SELECT 1 FROM information_schema.engines"
	}
	return setsNothing
}

// setsNothing sets a system variable to what it is.
const setsNothing = "SET @@SESSION.sql_warnings=@@SESSION.sql_warnings"

// findAndMakeAgain makes the primary know what was found, and then the warnings of a statement that was prepared since, which
// says nothing of that.
func (c *conn) findAndMakeAgain(r *request) error {
	kept, warned := c.kept, c.warned
	if err := c.findAgain(r); err != nil {
		return err
	}
	c.kept, c.warned = kept, warned
	return c.runKept()
}

// runKept runs the statement that is kept on the primary.
func (c *conn) runKept() error {
	payload, ran := c.kept.payload, c.warned
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
	made := c.kept.makes() // and that is all
	if !made {
		c.primary.queue(payload)
	}
	if st := c.kept.stmt; st != nil && c.statements.byID[st.id] != st { // it was closed, and is open again for this only
		c.primary.queue(closing(st.on(c.primary).id))
		st.onPrimary = remote{}
	}
	if c.warnings == 0 && !c.primary.MariaDB { // the client was shown them, behind which commands do not tell that there are some
		c.primary.queue(appendQuery(nil, c.primary.Capabilities, "SHOW WARNINGS"))
	}
	if err := c.consult(c.primary, told); err != nil && answered(err) == nil {
		return err
	}
	c.warned, c.kept, c.primary.warned = c.primary, kept{}, true
	if made {
		return nil
	}
	c.previous = c.primary
	if c.rows == ran {
		c.rows = c.primary
	}
	return nil
}

// ask returns the only value that a question of ours has, and whether the server answers it at all: behind XA END, it
// refuses most.
func ask(ctx context.Context, l *link, question string) (value string, answers bool, err error) {
	rows, err := l.Query(ctx, question)
	var refused *mysqlwire.Error
	switch {
	case errors.As(err, &refused):
		return "", false, nil
	case err != nil:
		l.dead = true
		return "", false, serverError{err}
	case len(rows.Values) == 0:
		return "", true, nil
	}
	return rows.Values[0][0].String, true, nil
}
