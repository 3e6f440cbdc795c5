package proxy

import (
	"bytes"
	"unicode/utf8"

	"github.com/go-mysql-org/go-mysql/mysql"

	"github.com/stickyproxy/stickyproxy/mysqlwire"
	"github.com/stickyproxy/stickyproxy/router"
)

// bind makes r.head the command about r.stmt that l's server understands: with its id, and with the types of the
// parameters if it was not sent them before. The statement is prepared there first if need be.
func (c *conn) bind(l *link, r *request) error {
	st := r.stmt
	if r.code == mysql.COM_STMT_EXECUTE && st.on(l).spoiled(r.cursor) && st.text != nil && !st.long && !l.MariaDB {
		l.queue(closing(st.on(l).id))
		*st.on(l) = remote{}
	}
	if !st.ready(l) {
		if err := c.prepareOn(l, st); err != nil {
			return err
		}
	}
	at := st.on(l)
	mysqlwire.SetStatementID(r.payload(), at.id)
	if r.code != mysql.COM_STMT_EXECUTE {
		return nil
	}
	r.instead, r.longer = nil, nil // they were for the server that failed
	if r.cursor {
		st.cursor = l
	}
	if at.typesNo == st.typesNo {
		return nil
	}
	at.typesNo = st.typesNo
	return c.sendTypes(r)
}

// sendTypes rewrites a COM_STMT_EXECUTE that relies on types sent earlier, to another server.
func (c *conn) sendTypes(r *request) error {
	p := r.payload()
	at, _, err := r.stmt.parameters(p, c.caps)
	if at == 0 || err != nil || p[at] == 1 {
		return err
	}
	b := make([]byte, 0, len(p)+len(r.stmt.types))
	b = append(b, p[:at]...)
	b = append(b, 1)
	b = append(b, r.stmt.types...)
	b = append(b, p[at+1:]...)
	if r.whole() {
		r.instead = mysqlwire.AppendPacket(nil, 0, b)
	} else {
		r.longer = b
	}
	return nil
}

// prepareOn prepares st on another server than the one that answered the client, in the schema, the character set and
// the sql_mode in which the client prepared it.
func (c *conn) prepareOn(l *link, st *statement) error {
	if st.text == nil {
		return c.bindFailed(l, errUnknownStatement(st.id, "mysqld_stmt_execute"))
	}
	if st.version == c.state.version || st.schema == l.Schema && st.asks(c.state.reading().mode) {
		return c.prepareHere(l, st)
	}
	if l.replica && c.request.movable { // another one than where it was prepared: the primary is simpler
		return c.bindFailed(l, errUnknownStatement(st.id, "mysqld_stmt_execute"))
	}
	if err := c.learnSilent(); err != nil {
		return err
	}
	schema, then, now := l.Schema, st.reading, c.state.reading()
	before, after := then.variables(), now.variables()
	if l.moded && then.mode == now.mode {
		delete(before, "sql_mode") // see replays
		delete(after, "sql_mode")
	}
	moved := st.schema != schema && st.schema != "" && schema != ""
	if moved {
		l.queue(append([]byte{mysql.COM_INIT_DB}, st.schema...))
	}
	if then != now {
		l.queue(appendSet(nil, l.Capabilities, before, then.named))
	}
	if err := l.write(nil); err != nil {
		return c.bindFailed(l, err)
	}
	err := l.settle(told)
	if err == nil {
		err = c.prepareHere(l, st)
	} else {
		err, moved = c.bindFailed(l, err), false // the schema is gone, or no longer allowed
	}
	if moved {
		l.queue(append([]byte{mysql.COM_INIT_DB}, schema...))
	}
	if then != now {
		l.queue(appendSet(nil, l.Capabilities, after, now.named))
	}
	return err
}

// asks reports whether a statement asks about the one before, which nothing may come between, and means the same in whatever
// state of the connection, but for the sql_mode.
func (s *statement) asks(mode string) bool {
	return s.class.Kind == router.Previous && !s.class.Effects.Has(router.ReadsTables) && s.reading.mode == mode &&
		!bytes.ContainsFunc(s.text, func(r rune) bool { return r >= utf8.RuneSelf })
}

// prepareHere prepares st on l in the schema that is the current one there.
func (c *conn) prepareHere(l *link, st *statement) error {
	l.queue(append([]byte{mysql.COM_STMT_PREPARE}, st.text...))
	l.owed = l.owed[:len(l.owed)-1] // its answer is read here
	if err := l.write(nil); err != nil {
		return c.bindFailed(l, err)
	}
	if len(l.owed) > 0 {
		if err := c.settle(l); err != nil {
			return err
		}
	}
	err := l.response(mysql.COM_STMT_PREPARE, told, func(p mysqlwire.Prepared) {
		*st.on(l) = remote{link: l, id: p.ID}
	})
	if err != nil {
		return c.bindFailed(l, err)
	}
	l.in.Release()
	return nil
}

// bindFailed says what it means that a server did not prepare a statement.
func (c *conn) bindFailed(l *link, err error) error {
	refused := answered(err)
	if refused == nil {
		l.dead = true
	}
	switch {
	case l.replica && c.request.movable:
		return elsewhere{err: err, refused: refused != nil}
	case refused != nil:
		return refusal{refused}
	}
	return serverError{err}
}
