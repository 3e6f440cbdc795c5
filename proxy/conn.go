package proxy

import (
	"context"
	"errors"
	"net"
	"os"
	"sync/atomic"
	"time"

	"github.com/go-mysql-org/go-mysql/mysql"

	"github.com/stickyproxy/stickyproxy/backend"
	"github.com/stickyproxy/stickyproxy/mysqlwire"
	"github.com/stickyproxy/stickyproxy/router"
)

// conn is one client connection and the server connections that serve it: one to the primary from the login on, and
// one to a replica once a read goes there. One goroutine owns all of it; from outside only turn may be used, and Close
// of the client's socket.
type conn struct {
	srv  *Server
	id   uint32 // as the client knows this connection
	mode router.Mode
	nc   net.Conn
	in   *mysqlwire.Reader
	caps mysqlwire.Capability // negotiated with the client
	seq  byte                 // of the client's last frame
	turn turn

	client    *Client       // as it was let in
	login     backend.Login // how a server connection for this client is opened
	primary   *link
	replica   *link  // nil until a read goes to one, and after it failed
	previous  *link  // where the previous statement ran; a replica may be gone since
	rows      *link  // where the last statement ran that returned rows, likewise
	warned    *link  // where the last statement ran that the server's warnings are about, likewise
	warnings  uint16 // of the previous statement, unless it failed
	counted   bool   // ROW_COUNT() of the previous statement is not 0
	affected  bool   // but above 0: it has changed rows
	unmatched bool   // rows, or it is the primary, where an UPDATE has matched nothing since: see found.go
	kept      kept

	state      state
	pins       pins
	elsewhere  int           // reads on the primary in a row that only what was read before kept there
	rested     time.Time     // when one of those waited last
	listener   Policy        // of the listener
	policy     Policy        // and with what the account has of its own
	maxWait    time.Duration // how long a read may wait for a replica
	attributes said          // what the connection attributes say
	said       said          // what was said since
	statements statements
	snapshot   readOnly
	inXA       bool // an XA transaction is open on the primary

	// Which link an answer is awaited from, for those who end such waits from outside: waits while it is the answer of
	// a replica to a read that can still run elsewhere, busy otherwise.
	waits, busy atomic.Pointer[link]
	gone        atomic.Bool   // the client hung up in the middle of a command, and the servers were told
	thread      atomic.Uint32 // of the connection to the primary, there

	tail     *tail // of the statement that streams; nil: nobody wants to know
	preferAt int   // where in the fleet's view the session's replica was found last
	*work          // nil between two commands
}

// rest gives back what serving a command took.
func (c *conn) rest() {
	*c.work = work{}
	works.Put(c.work)
	c.work = nil
}

// newConn takes over a client that was let in.
func newConn(s *Server, id uint32, mode router.Mode, cl *Client) *conn {
	c := &conn{srv: s, id: id, mode: mode, nc: cl.Conn, in: mysqlwire.NewReader(cl.Conn), caps: cl.Capabilities}
	c.work = works.Get().(*work)
	c.pins.branches = &s.branches
	c.become(cl)
	return c
}

// become makes the connection that of a client who has just logged in.
func (c *conn) become(cl *Client) {
	c.client, c.login = cl, cl.Login
	c.state = newState(cl.Primary)
	c.primary = newLink(cl.Primary, false, c.state.version)
	c.primary.used = c.srv.now()
	c.threadIs(c.primary.ThreadID)
}

// serve runs until the client, or its connection to the primary, is gone. It returns why.
func (c *conn) serve() error {
	for {
		if err := c.wait(); err != nil {
			return err
		}
		c.rest()
		m, err := c.read()
		c.turn.begin(c.nc)
		c.work = works.Get().(*work)
		if err != nil {
			return c.unreadable(err)
		}
		if err := c.serveCommand(m); err != nil {
			return err
		}
	}
}

// serveCommand serves one command, from the first byte of its answer to the last. An error ends the connection.
func (c *conn) serveCommand(m command) error {
	c.seq = 0
	c.request.command = m
	c.pins.hinted = nil
	if err := c.handle(&c.request); err != nil {
		return err
	}
	c.drop(&c.request.command)
	if c.request.failure == nil && c.disconnects(&c.request) {
		return errQuit
	}
	return nil
}

// disconnects reports whether the server ends the connection after a request: COMMIT or ROLLBACK with RELEASE, which
// may be their default.
// https://dev.mysql.com/doc/refman/en/server-system-variables.html#sysvar_completion_type
func (c *conn) disconnects(r *request) bool {
	e := r.class.Effects
	return e.Has(router.Disconnects) || e.Has(router.Ends) && c.state.vars["completion_type"] == "RELEASE"
}

// wait notes that the connection is between two commands, where a shutdown may end it.
func (c *conn) wait() error {
	quiet := !c.primary.inTransaction() && (c.replica == nil || !c.replica.inTransaction()) && len(c.in.Bytes()) == 0
	var now time.Time
	if p := c.state.patience; p != 0 && p < shortPatience {
		now = time.Now()
	}
	if c.turn.end(c.nc, quiet, c.state.patience, now) {
		return nil
	}
	_ = c.tell(0, errShutdown) // it may be gone
	return errDrained
}

// unreadable ends a connection whose next command could not be read. Where the client has gone without a word, or was silent
// for too long, so does its connection to the primary: servers count that (Aborted_clients), and log it.
func (c *conn) unreadable(err error) error {
	if !c.turn.draining() {
		c.primary.dead = true
	}
	switch {
	case errors.Is(err, errOutOfOrder):
		_ = c.tell(1, errPacketOrder) // it may be gone
	case c.turn.tooLate() && errors.Is(err, os.ErrDeadlineExceeded):
		if !c.primary.MariaDB { // it ends the connection without a word, and so did MySQL before 8.0.24
			_ = c.tell(0, errInactive)
		}
		return errIdle
	case c.turn.draining():
		_ = c.tell(0, errShutdown)
		return errDrained
	}
	return clientError{err}
}

// handle serves one command. An error ends the connection.
func (c *conn) handle(r *request) error {
	switch r.code {
	case mysql.COM_QUIT:
		return errQuit
	case mysql.COM_QUERY:
		return c.textQuery(r)
	case mysql.COM_STMT_PREPARE:
		return c.prepare(r)
	case mysql.COM_STMT_EXECUTE:
		return c.execute(r)
	case mysqlwire.ComBulkExecute:
		if c.primary.MariaDB {
			return c.executeBulk(r)
		}
	case mysql.COM_STMT_FETCH, mysql.COM_STMT_RESET:
		return c.onStatement(r)
	case mysql.COM_STMT_SEND_LONG_DATA:
		return c.longData(r)
	case mysql.COM_STMT_CLOSE:
		return c.closeStatement(r)
	case mysql.COM_RESET_CONNECTION:
		return c.reset(r)
	case mysql.COM_CHANGE_USER:
		return c.changeUser(r)
	case mysql.COM_PROCESS_KILL:
		return c.killCommand(r)
	case mysql.COM_BINLOG_DUMP, mysql.COM_BINLOG_DUMP_GTID:
		return c.dump(r)
	case mysql.COM_INIT_DB, mysql.COM_PING, mysql.COM_STATISTICS, mysql.COM_FIELD_LIST, mysql.COM_SET_OPTION,
		mysql.COM_DEBUG, mysql.COM_PROCESS_INFO, mysql.COM_REFRESH, mysql.COM_SHUTDOWN,
		mysql.COM_CREATE_DB, mysql.COM_DROP_DB, mysql.COM_REGISTER_SLAVE:
		r.class.Reason, r.class.Effects = router.ReasonCommand, commandEffects(r.code)
		c.state.optional = c.state.optional || r.code == mysql.COM_SET_OPTION
		return c.run(r)
	}
	return c.answer(errUnknownCommand)
}

// commandEffects is what a command without a text does to the connection.
func commandEffects(code byte) router.Effects {
	if code == mysql.COM_INIT_DB {
		return router.SetsSchema
	}
	return 0
}

// textQuery serves a COM_QUERY.
func (c *conn) textQuery(r *request) error {
	sql, _, err := mysqlwire.QueryText(r.payload(), c.caps)
	switch {
	case err != nil:
		return c.answer(errMalformed)
	case !r.whole():
		r.class = tooLarge
		if router.MayHint(sql) {
			r.class.Ours = router.Hinted
		}
	default:
		c.classifyText(r, sql)
	}
	if r.class.Ours != 0 || c.caps.Has(mysqlwire.CapQueryAttributes) && r.payload()[1] != 0 {
		if refused := c.listen(r, sql); refused != nil {
			return c.refuse(r, refused)
		}
	}
	if r.class.Ours.Has(router.Addressed) {
		return c.addressed(r, sql)
	}
	return c.runText(r, sql)
}

// runText runs a text that was classified.
func (c *conn) runText(r *request, sql []byte) error {
	if r.class.Effects.Has(router.Kills) {
		return c.killText(r, sql)
	}
	if mentionsTracking(r.class, sql) {
		return c.runTracking(r)
	}
	return c.run(r)
}

func (c *conn) classifyText(r *request, sql []byte) {
	r.class = c.keepTemporary(c.classify(sql), sql)
	switch e := r.class.Effects; {
	case e.Has(router.Executes):
		c.state.executes(r, sql)
	case e.Has(router.Prepares):
		c.state.opens(r, sql)
	}
	if r.class.Multi && c.state.optional {
		r.class.Kind, r.class.Reason = router.Primary, router.ReasonMulti // only the primary knows whether it may
	}
}

// tooLarge is a statement of which only the beginning was read.
var tooLarge = router.Statement{Kind: router.Primary, Reason: router.ReasonTooLarge, Writes: true}

// classify reads a statement; one that a replica refused before is for the primary.
func (c *conn) classify(sql []byte) router.Statement {
	st := router.Classify(sql, c.state.context)
	if st.Kind == router.Read && c.srv.refused.has(sql) {
		st.Kind, st.Reason, st.Writes = router.Primary, router.ReasonReplicaRefused, true
	}
	return st
}

// keepTemporary keeps a read on the primary that mentions a temporary table, or lists it.
func (c *conn) keepTemporary(st router.Statement, sql []byte) router.Statement {
	t := c.state.temporary
	if st.Kind == router.Read && (t.mentioned(sql) || t.listed(sql) && c.primary.ListsTemporary()) {
		st.Kind, st.Reason = router.Primary, router.ReasonTemporaryTable
	}
	return st
}

// tableText is the text of a request that creates, drops or alters tables, else nil.
func (c *conn) tableText(r *request) []byte {
	if !r.class.Effects.Any(router.CreatesTemporary | router.DropsTemporary | router.CommitsImplicitly) {
		return nil
	}
	return c.text(r)
}

// text is the SQL text of a request, nil if it has none or it is no longer at hand.
func (c *conn) text(r *request) []byte {
	switch {
	case r.stmt != nil:
		return r.stmt.text
	case r.code != mysql.COM_QUERY || len(r.head) == 0:
		return nil
	}
	sql, _, err := mysqlwire.QueryText(r.payload(), c.caps)
	if err != nil {
		return nil
	}
	return sql
}

// crashed notes that a command was given up at a place that nobody knows, so that what its servers are in the middle of is
// unknown too.
func (c *conn) crashed() {
	if c.work != nil {
		c.leave(&c.request)
	}
	for _, l := range c.links() {
		if l != nil {
			l.dead = true
		}
	}
}

// links are the connections to servers that are open, and may be nil.
func (c *conn) links() [3]*link {
	all := [3]*link{c.primary, c.replica}
	if c.work != nil {
		all[2] = c.request.left
	}
	return all
}

// close ends the connections to the servers. A write without an outcome pins: it may have happened.
func (c *conn) close() {
	c.abandon()
	c.in.Close()
	for _, l := range c.links() {
		l.close()
	}
}

// connectTimeout bounds the opening of a server connection.
func (c *conn) connectTimeout() (context.Context, context.CancelFunc) {
	return context.WithTimeout(c.srv.ctx, c.srv.o.ConnectTimeout)
}
