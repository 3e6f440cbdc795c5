package proxy

import (
	"encoding/binary"
	"fmt"
	"strings"

	"github.com/go-mysql-org/go-mysql/mysql"

	"github.com/stickyproxy/stickyproxy/mysqlwire"
	"github.com/stickyproxy/stickyproxy/router"
)

// statement is a prepared statement of a client. It is prepared on a server when it is first needed there.
type statement struct {
	id      uint32 // as the client knows it
	text    []byte // nil if it was not kept: then it is on the primary only
	class   router.Statement
	version uint64       // of the state under which the client prepared it: names in it mean what they meant then
	schema  string       // the current one then
	reading reading      // and what else changes how its text is read
	hints   hints        // in its comments
	part    *router.Part // what it is if it is ours: then no server knows of it
	params  int
	columns int // of its rows, as the client was told last; 0: none, or not known before it runs

	types   []byte // the parameters' types, and names, as the client sent them last
	typesNo uint64 // goes up when they change
	long    bool   // parameters were sent to the primary in pieces
	cursor  *link  // where a cursor of it may be open

	onPrimary, onReplica remote
}

// remote is a statement on one server connection.
type remote struct {
	link    *link // nil: not prepared; a link that is no longer in use: as good as that
	id      uint32
	typesNo uint64 // of the types that the server was sent
	plain   bool   // it was executed there without a cursor
	cursors bool   // and before that with one
}

// ran notes that the statement was executed.
func (m *remote) ran(cursor bool) {
	m.plain = m.plain || !cursor
	m.cursors = m.cursors || cursor && !m.plain
}

// spoiled reports whether the statement has to be prepared again before it is executed. MySQL makes the plan of a
// statement when it is first executed; if that was with a cursor, an execution without one returns no rows, and ends with
// an OK packet in their place, for which every client waits in vain (seen with 9.7). Directly, that happens to clients
// that do so themselves; here it happens on a server that has seen only a part of what the client has executed.
func (m *remote) spoiled(cursor bool) bool { return !cursor && m.cursors && !m.plain }

// on is the statement's place on l.
func (s *statement) on(l *link) *remote {
	if l.replica {
		return &s.onReplica
	}
	return &s.onPrimary
}

// forget notes that l, which may be nil, is no longer in use.
func (s *statements) forget(l *link) {
	if l == nil {
		return
	}
	for _, st := range s.byID {
		if st.cursor == l {
			st.cursor = nil
		}
		if r := st.on(l); r.link == l {
			*r = remote{}
		}
	}
}

// find returns the statement that a command is about, nil if the client has none with that id.
func (c *conn) find(r *request) *statement {
	id, err := mysqlwire.StatementID(r.payload())
	if err != nil {
		return nil
	}
	if id == latestStatement && c.primary.MariaDB {
		if st := c.statements.latest; st != nil {
			return c.statements.byID[st.id]
		}
	}
	return c.statements.byID[id]
}

// prepare serves COM_STMT_PREPARE: on the server where the statement would run now, so that a read costs the primary
// nothing.
func (c *conn) prepare(r *request) error {
	text := r.payload()[1:]
	c.statements.latest = nil
	st := c.statements.add()
	if st == nil {
		return c.answer(errTooManyStatements)
	}
	st.class, st.version, st.schema, st.reading = tooLarge, c.state.version, c.state.schema, c.state.reading()
	if r.whole() {
		st.class = c.classify(text)
	}
	if st.class.Ours != 0 || !r.whole() && router.MayHint(text) {
		cut, refused := c.listenPrepared(r, st, text)
		if refused != nil {
			return c.refuse(r, refused)
		}
		text = cut
	}
	if r.whole() {
		c.statements.keep(st, text)
	}
	if st.part != nil {
		return c.prepareOwn(st)
	}
	if st.text == nil {
		st.class = tooLarge
	}
	// Preparing does nothing that the text would do.
	now := c.keepTemporary(st.class, st.text)
	r.class = router.Statement{Kind: now.Kind, Reason: now.Reason}
	if st.class.Kind != router.Read && st.class.Kind != router.Previous {
		r.class.Kind = router.Primary
	}
	r.making = st
	run := c.run
	if mentionsTracking(st.class, st.text) {
		run = c.runTracking // the definition of a result tells how long the value is
	}
	err := run(r)
	if _, ok := c.statements.byID[st.id]; !ok || r.failure != nil {
		c.statements.remove(st)
	}
	return err
}

// prepared registers the statement that a server has prepared, and gives it the client's id in the answer.
func (c *conn) prepared(l *link, r *request, payload []byte) error {
	p, err := mysqlwire.ParsePrepared(payload)
	if err != nil {
		return err
	}
	st := r.making
	st.params, st.columns, r.warnings = p.Params, p.Columns, p.Warnings
	*st.on(l) = remote{link: l, id: p.ID}
	if ahead := p.ID - st.id; ahead < maxSkipped { // servers count failed ones, too, and those that they prepare anew
		st.id = p.ID
		c.statements.last = st.id
	}
	c.statements.byID[st.id], c.statements.latest = st, st
	binary.LittleEndian.PutUint32(payload[1:], st.id)
	return nil
}

// execute serves COM_STMT_EXECUTE.
func (c *conn) execute(r *request) error {
	st := c.find(r)
	if st == nil || len(r.payload()) < executeHead {
		return c.unknownStatement(r, "mysqld_stmt_execute")
	}
	r.stmt = st
	r.class = c.keepTemporary(st.class, st.text)
	r.cursor = r.payload()[5]&cursorFlags != 0
	r.hints = st.hints
	switch {
	case st.long:
		r.class.Kind, r.class.Reason = router.Primary, router.ReasonLongData
	case !r.whole():
		r.class.Kind, r.class.Reason = router.Primary, router.ReasonTooLarge
	case st.version != c.state.version && st.class.Kind == router.Read && !st.ready(c.replica):
		// Prepared there now, its names could mean something else.
		r.class.Kind, r.class.Reason = router.Primary, router.ReasonUnknownState
	}
	if r.class.Kind == router.BeginReadOnly {
		r.class.Kind = router.Primary // it could not be repeated elsewhere
	}
	before := len(st.types)
	if refusal := st.learnTypes(r.payload(), c.caps, c.statements.room(st)); refusal != nil {
		return c.answer(refusal)
	}
	c.statements.bytes += len(st.types) - before
	if refused := c.listenExecution(r, st); refused != nil {
		return c.refuse(r, refused)
	}
	if st.part != nil {
		return c.executeOwn(r, st)
	}
	run := c.run
	switch {
	case st.untyped(r.payload(), c.caps) && st.ready(c.replica) && !st.ready(c.primary):
		run = func(r *request) error { return c.direct(c.replica, r) } // to prepare it elsewhere may be refused, too
	case mentionsTracking(r.class, st.text):
		run = c.runTracking
	case st.class.Effects.Has(router.Kills):
		run = c.killPrepared
	}
	err := run(r)
	st.long = false
	return err
}

// cursorOver notes that a request about the statement has left no cursor open, if that is so.
func (s *statement) cursorOver(r *request, status mysqlwire.Status) {
	switch {
	case r.failure != nil:
	case r.code == mysql.COM_STMT_EXECUTE && status&mysqlwire.StatusCursorExists == 0,
		r.code == mysql.COM_STMT_FETCH && status&mysqlwire.StatusLastRowSent != 0,
		r.code == mysql.COM_STMT_RESET:
		s.cursor = nil
	}
}

// cursorOn reports whether a cursor may be open on l.
func (s *statements) cursorOn(l *link) bool {
	for _, st := range s.byID {
		if st.cursor == l {
			return true
		}
	}
	return false
}

// taken reports whether a statement has this id on l.
func (s *statements) taken(l *link, id uint32) bool {
	for _, st := range s.byID {
		if r := st.on(l); r.link == l && r.id == id {
			return true
		}
	}
	return false
}

// ready reports whether the statement is prepared on l.
func (s *statement) ready(l *link) bool { return l != nil && s.on(l).link == l }

// onStatement serves COM_STMT_FETCH and COM_STMT_RESET where the statement ran last.
func (c *conn) onStatement(r *request) error {
	st := c.find(r)
	if st == nil {
		name := "mysqld_stmt_fetch"
		if r.code == mysql.COM_STMT_RESET {
			name = "mysqld_stmt_reset"
		}
		return c.unknownStatement(r, name)
	}
	if st.part != nil {
		return c.onOwn(r, st)
	}
	r.stmt = st
	r.reason = router.ReasonOpenCursor
	if r.code == mysql.COM_STMT_RESET {
		r.reason = router.ReasonCommand
	}
	l := st.cursor
	if r.code == mysql.COM_STMT_RESET && st.long {
		l = c.primary
	}
	if l == nil || l.dead {
		l = c.primary
		if !st.ready(l) && st.ready(c.replica) {
			l = c.replica
		}
	}
	if r.code == mysql.COM_STMT_RESET {
		st.long = false
	}
	return c.direct(l, r)
}

// longData serves COM_STMT_SEND_LONG_DATA, which has no response: an error shows at the execution. The data goes to the
// primary, and so does that execution.
func (c *conn) longData(r *request) error {
	st := c.find(r)
	if st == nil {
		return c.skip(r)
	}
	st.long = true
	if st.part != nil {
		return c.skip(r) // the execution will say that it cannot be
	}
	r.stmt, r.reason = st, router.ReasonLongData
	return c.direct(c.primary, r)
}

// closeStatement serves COM_STMT_CLOSE, which has no response. The servers are told along with their next command.
func (c *conn) closeStatement(r *request) error {
	st := c.find(r)
	if st == nil {
		return c.skip(r)
	}
	c.statements.remove(st)
	for _, l := range []*link{c.primary, c.replica} {
		if l == nil || !st.ready(l) {
			continue
		}
		l.queue(closing(st.on(l).id))
		*st.on(l) = remote{}
		if len(l.ahead) >= maxAhead && l.write(nil) != nil {
			l.dead = true // the next command finds out
		}
	}
	return c.skip(r)
}

// closing is the COM_STMT_CLOSE of a statement.
func closing(id uint32) []byte {
	return binary.LittleEndian.AppendUint32([]byte{mysql.COM_STMT_CLOSE}, id)
}

// namesOtherStatement corrects a failure that tells the client the server's id of its statement, and reports whether
// there was something to correct.
func (r *request) namesOtherStatement() bool {
	if r.stmt == nil || r.failure.Code != mysql.ER_STMT_HAS_NO_OPEN_CURSOR {
		return false
	}
	before, rest, _ := strings.Cut(r.failure.Message, "(")
	_, after, found := strings.Cut(rest, ")")
	if found {
		r.failure.Message = fmt.Sprintf("%s(%d)%s", before, r.stmt.id, after)
	}
	return found
}

// unknownStatement answers a command about a statement that the client does not have.
func (c *conn) unknownStatement(r *request, command string) error {
	id, err := mysqlwire.StatementID(r.payload())
	if err != nil {
		return c.answer(errMalformed)
	}
	if r.whole() && !c.statements.taken(c.primary, id) {
		r.class.Reason = router.ReasonCommand
		return c.run(r) // the server says it, and says it again to SHOW WARNINGS
	}
	if !c.primary.MariaDB && !strings.HasPrefix(c.primary.Version, "5.") {
		command = "mysql_stmt_precheck" // one place there tells it for all commands
	}
	return c.answer(errUnknownStatement(id, command))
}
