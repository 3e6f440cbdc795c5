package proxy

import (
	"bytes"
	"encoding/binary"

	"github.com/go-mysql-org/go-mysql/mysql"

	"github.com/stickyproxy/stickyproxy/mysqlwire"
	"github.com/stickyproxy/stickyproxy/router"
	"github.com/stickyproxy/stickyproxy/session"
)

// finish records what became of a request, before the client can know it.
func (c *conn) finish(l *link, r *request) {
	failed := r.failure != nil
	ran := r.runs()
	c.diagnostics(l, r)
	if r.code == mysql.COM_SET_OPTION && !failed {
		c.setOption(r.payload())
	}
	if r.stmt != nil && r.stmt.columns != 0 && r.columns != 0 {
		r.stmt.columns = r.columns // the client knows by now
	}
	if ran && (!failed || r.class.Multi || r.class.Effects.Any(router.Calls)) {
		c.state.ran(r.class, c.tableText(r), r.changed, r.named)
	}
	if ran && r.class.Effects.Any(router.Prepares|router.Executes|router.Calls) {
		c.state.prepares(r, c.text(r))
	}
	if ran && !failed && r.class.Reason == router.ReasonAdministration && flushesStatus(c.text(r)) {
		c.state.hold(heldCounted)
	}
	if ran {
		c.settings(l, r)
	}
	if ran && r.named && r.class.Multi && l.MariaDB && mentions(c.text(r), "statement") {
		c.state.hold(heldUnknown) // see setsForItself
	}
	if r.stmt != nil {
		r.stmt.cursorOver(r, l.status)
		if r.code == mysql.COM_STMT_EXECUTE && !failed {
			r.stmt.on(l).ran(r.cursor)
		}
	}
	c.returned(l, r)
	if r.victim != nil && !failed {
		_ = r.victim.nc.Close() // whoever reads the OK may try it at once; its goroutine closes the rest
	}
	nothing := false
	if !l.replica {
		if r.class.Effects.Any(defines) {
			c.srv.views.defined(c.text(r))
		}
		nothing = c.wrote(l, r)
	}
	if (r.rows || failed || nothing) && !showsNoData(r.class) {
		c.noteRead(l, r, c.srv.now())
	}
}

// settings records what a statement that ran has set, or may have, without a report that says so.
func (c *conn) settings(l *link, r *request) {
	failed, e := r.failure != nil, r.class.Effects
	if !r.blurred && !e.Has(router.SetsSystemVariable) && !c.setsUnreported(r) {
		return
	}
	text := c.text(r)
	if r.blurred && text == nil {
		c.state.hold(heldUnknown)
	}
	sets := router.ReadSettings(text)
	if r.blurred || failed && e.Has(router.SetsSystemVariable) && l.Blurs() {
		c.state.blur(r.class, sets)
	}
	if !failed && c.state.held&heldTimestamp != 0 && !e.Any(opaque) {
		c.state.clocked(sets)
	}
	if e.Has(router.SetsSystemVariable) && collatesTwice(sets) {
		c.state.hold(heldUnknown)
	}
	if !failed && e.Has(router.SetsSystemVariable) && !e.Any(opaque) && sets.EndsNames() {
		c.state.renamed = false
	}
	if c.setsUnreported(r) {
		c.state.unreported(sets, failed)
	}
}

// setsUnreported reports whether a statement may have set system variables in a way that MariaDB does not report, by what
// can be seen of it: the text of a PREPARE, an EXECUTE IMMEDIATE or a compound statement, but not of a stored routine.
func (c *conn) setsUnreported(r *request) bool {
	e := r.class.Effects
	return e.Has(router.SetsUnreported) ||
		c.primary.MariaDB && e.Any(router.Prepares|router.Executes|router.Calls) && bytes.Contains(c.text(r), []byte("@@"))
}

// showsNoData reports whether a statement is one of those that tell nothing of what is in tables. What ends a transaction is
// none of them: it is the end of what was read in there.
func showsNoData(st router.Statement) bool {
	return st.NoTables && !st.Multi && st.Reason != router.ReasonTransaction && st.Reason != router.ReasonSet
}

// flushesStatus reports whether a statement is FLUSH STATUS: who sets the counters of his session to 0 wants to see in them
// what his next statements do.
func flushesStatus(sql []byte) bool {
	words := bytes.Fields(bytes.ToUpper(sql[:min(len(sql), 200)]))
	return len(words) > 1 && bytes.Equal(words[0], []byte("FLUSH")) && bytes.Contains(bytes.Join(words[1:], nil), []byte("STATUS"))
}

// setOption notes what COM_SET_OPTION has set, for connections that are opened later, and for that to the replica.
// https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_com_set_option.html
func (c *conn) setOption(payload []byte) {
	if len(payload) < 3 {
		return
	}
	caps := c.client.Capabilities | mysqlwire.CapMultiStatements
	if binary.LittleEndian.Uint16(payload[1:]) != 0 {
		caps &^= mysqlwire.CapMultiStatements
	}
	c.client.Capabilities, c.login.Capabilities = caps, caps
	if c.replica != nil && !c.replica.dead {
		c.replica.queue(payload[:3])
	}
}

// obscure are the effects with which a statement may commit, or fail after it has committed.
const obscure = opaque | router.Begins | router.Ends | router.CommitsImplicitly | router.XA

// wrote records what is known of writes after a request on the primary. An ERR packet reports no GTID, does not say that
// nothing was written, and does not tell whether a transaction is open now. Nothing says that it is certain that nothing
// was written.
func (c *conn) wrote(l *link, r *request) (nothing bool) {
	failed := r.failure != nil
	if c.state.held&heldUnlogged != 0 && r.class.Writes {
		c.state.hold(heldUnknown) // the session has written what no replica will ever have
	}
	if !c.pins.writing && (!c.pins.gtids.IsEmpty() || c.pins.doubt) {
		c.pins.begin() // its text may not have told: the COMMIT of what a failed CALL had begun
	}
	if failed && c.pins.writing && (r.class.Writes || r.class.Multi || r.class.Effects.Any(obscure)) {
		c.pins.doubt = true
	}
	if r.class.Effects.Has(router.XA) {
		c.branchPrepared(l, r)
	}
	if c.pins.writing && !l.inTransaction() {
		nothing = c.endWrite(l, r)
	}
	if failed && (r.class.Effects.Any(router.Calls|router.Executes) || r.class.Effects.Has(router.CommitsImplicitly) && l.inTransaction()) {
		l.unsure = true
	}
	if !l.inTransaction() {
		c.pins.forget()
	}
	return nothing
}

// endWrite ends the write that is under way.
func (c *conn) endWrite(l *link, r *request) (nothing bool) {
	failed := r.failure != nil
	if !failed && c.wroteNothing(l, r) {
		c.pins.none()
		return true
	}
	hidden := c.primary.MariaDB && (r.class.Multi || r.class.Effects.Any(opaque)) || // it reports the last GTID only
		r.xaUnread || r.inXA && r.class.Effects.Any(opaque) || // it may have prepared a branch
		c.state.held&heldUnlogged != 0 // no replica will ever have it, whatever position it reaches
	w := c.pins.end(c.srv.now(), failed || hidden || r.untold, c.mode != router.Window && !hidden && c.givesGTIDs(l))
	c.branchDecided(r, w, true)
	c.srv.o.Fleet.Wrote()
	c.pinned(w)
	return false
}

// abandon notes that the write that is under way, if one is, will not have an outcome that anybody sees.
func (c *conn) abandon() {
	if w, ended := c.pins.abandon(c.srv.now()); ended {
		c.branchDecided(&c.request, w, false)
		c.pinned(w)
	}
}

// pin treats those for whom the statement works as having written now.
func (c *conn) pin() {
	c.pins.pin(c.srv.now())
	c.pinned(session.Write{Unproven: true})
}

// pinned tells how w holds the reads of its sessions: until a replica is known to have it, or for a window.
func (c *conn) pinned(w session.Write) {
	if f := c.srv.trace.Pinned; f != nil {
		f(c.mode != router.Window && (w.Answered || !w.Unproven))
	}
}

// givesGTIDs reports whether the server of l gives each transaction a GTID, and is the one whose position is known as the
// primary's. Then everything that a statement did, whether it failed, was rolled back or ended in a way that tells no
// GTID, is in what the primary has when it is asked after the answer: a replica that has all that has it too.
func (c *conn) givesGTIDs(l *link) bool { return c.srv.o.Fleet.Snapshot().GTIDPrimary == l.Incarnation }

// wroteNothing reports whether it is certain that a statement which might have written, and succeeded, has committed
// nothing that replicas will see: an UPDATE that changes nothing, a statement on a temporary table. The server reports
// the GTID of whatever it commits, has done so before, and says that everything gets one. The end of a transaction
// counts as a write all the same, and so do statements whose text does not tell what they do. In mode window, GTIDs play
// no part.
func (c *conn) wroteNothing(l *link, r *request) bool {
	if r.untold || c.mode == router.Window || !c.pins.gtids.IsEmpty() || c.pins.doubt || r.class.Multi || r.class.Effects.Any(obscure) {
		return false
	}
	switch {
	case r.class.Reason == router.ReasonNotUnderstood, r.class.Reason == router.ReasonTooLarge:
		return false
	case c.state.held&(heldUnknown|heldUnlogged) != 0: // it may be that the trackers are off
		return false
	}
	reporting := c.srv.reporting.Load()
	return l.Tracked && reporting != nil && *reporting == l.Incarnation && c.givesGTIDs(l)
}

// learn records what a packet that ends a result says.
func (c *conn) learn(l *link, ok mysqlwire.OK) {
	l.status, l.unsure = ok.Status, false
	if ok.LastInsertID != 0 {
		c.state.attached = true // LAST_INSERT_ID() can be asked for
	}
	if len(ok.Session) > 0 {
		c.learnChanges(l, ok.Session)
	}
}

// told notes the end of a statement of ours that told a server what others had reported: that is no news.
func told(l *link, ok mysqlwire.OK) { l.status, l.unsure = ok.Status, false }

func (c *conn) learnChanges(l *link, changes []byte) {
	current := l.version == c.state.version
	if !setsForItself(c.request.class) {
		c.state.limitJoins(changes)
	}
	for ch := (mysqlwire.Changes{Rest: changes}); ch.Next(); {
		switch ch.Kind {
		case mysqlwire.TrackSystemVariable:
			c.learnVariable(l, ch.Name, ch.Value)
		case mysqlwire.TrackSchema:
			c.request.named, c.request.placed = true, true
			c.request.entered = c.request.entered || string(ch.Value) != c.state.schema
			c.state.setSchema(string(ch.Value))
			l.Schema = c.state.schema
		case mysqlwire.TrackGTIDs:
			c.learnGTID(l, ch.Value)
		case mysqlwire.TrackState:
			c.request.changed = true
		case mysqlwire.TrackCharacteristic:
			if !l.replica {
				c.state.pending = bytes.HasPrefix(ch.Value, []byte("SET TRANSACTION"))
				c.inXA = bytes.HasPrefix(ch.Value, []byte("XA START"))
			}
		}
	}
	if c.state.renamed && setsResultsAlone(changes) {
		c.state.renamed = false
	}
	if current {
		l.version = c.state.version
	}
}

// setsResultsAlone reports whether character_set_results was set by itself, which ends what a SET NAMES before says of columns.
func setsResultsAlone(changes []byte) bool {
	return bytes.Contains(changes, []byte(charsetResults)) &&
		!bytes.Contains(changes, []byte(charsetConnection)) && !bytes.Contains(changes, []byte(collationConnection))
}

// setsForItself reports whether a statement sets variables for its own time only: MariaDB tells how they are before it sets
// them back. What else it sets, if it calls anything, is not known then.
func setsForItself(st router.Statement) bool { return st.Reason == router.ReasonSetStatement }

func (c *conn) learnVariable(l *link, name, value []byte) {
	switch string(name) {
	case "statement_id": // MySQL counts statements in it, and reports that with each one
	case "last_gtid":
		c.learnGTID(l, value)
	default:
		c.request.named = true
		if setsForItself(c.request.class) {
			return
		}
		c.request.blurred = c.request.blurred || alike(string(name)) && l.Blurs()
		if string(name) == "sql_mode" {
			c.modeFrom(l)
		}
		c.state.setVariable(string(name), string(value))
		if string(name) == collationConnection && !l.Blurs() {
			c.state.collates, c.state.renamed = false, false // it is known, and not the one of SET NAMES
		}
	}
}

// modeFrom notes that the client has, or may have, another sql_mode now on this server.
func (c *conn) modeFrom(l *link) {
	c.primary.moded = l == c.primary
	if c.replica != nil {
		c.replica.moded = l == c.replica
	}
}

// learnGTID records what a server reports as committed by this connection.
func (c *conn) learnGTID(l *link, text []byte) {
	if l.replica || len(text) == 0 {
		return
	}
	set, err := parseGTID(l.MariaDB, string(text))
	if err != nil {
		c.pins.doubt = true
		return
	}
	c.srv.reports(l.Incarnation)
	c.pins.committed(set)
}
