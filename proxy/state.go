package proxy

import (
	"maps"
	"strconv"
	"strings"
	"time"

	"github.com/go-mysql-org/go-mysql/mysql"

	"github.com/stickyproxy/stickyproxy/backend"
	"github.com/stickyproxy/stickyproxy/router"
)

// state is what the client has made of its connection since the login, as far as another server connection can be
// told: the current schema and system variables. It is recorded from what servers report after a statement succeeded,
// so it does not matter how the statement was written. Each server connection has the version of it that it was told.
//
// What cannot be told (a temporary table, a lock) holds reads on the primary instead.
type state struct {
	version uint64 // goes up with every change
	resets  uint64 // goes up when all of it is gone: COM_RESET_CONNECTION

	schema  string
	base    backend.Variables // as the login on the primary left them
	vars    map[string]string // changed system variables, by name
	context router.Context    // what of it changes how a statement reads
	held    holds             // state that no other connection can be told
	// collates: the character set of the connection was set, perhaps with a collation, which servers do not report
	collates bool
	renamed  bool     // and that for results, as SET NAMES does
	named    string   // the collation of SET NAMES; "" is that of the character set, or of the login
	blurred  []string // variables that may have been set, and that MariaDB has not reported by their names: see alike.go
	once     bool     // SET TRANSACTION was given for the next transaction
	pending  bool     // and the primary has said so, and not yet that a transaction has used it: not every statement does
	optional bool     // COM_SET_OPTION has turned several statements in a text on or off

	patience  time.Duration // how long the client may be idle; 0: for ever
	temporary temporaries
	tracking  tracking // what the client wants to be told of all this

	inSQL inSQL

	// attached: the connection to the primary has, or had, something that ends with it: user variables, temporary
	// tables, locks, statements prepared in SQL, an insert id.
	attached bool
	// private: something of that may be used by a function that a view calls. (All but an insert id, which too many have.)
	private bool
}

// newState is the state after a login on the primary. Where the primary does not report changes, none can be replayed. Where
// sessions begin with autocommit off, MySQL's status flags say that it is on until somebody sets it.
func newState(primary *backend.Conn) state {
	s := state{schema: primary.Schema, base: primary.Variables}
	s.tracking = trackingOf(primary.Variables, primary.MariaDB)
	s.context = router.Context{MariaDB: primary.MariaDB, Schema: primary.Schema}
	s.reads(primary.Variables.Get("sql_mode"), primary.Variables.Get(charsetClient))
	s.waits(primary.Variables.Get(idleLimit))
	s.holdIf(!primary.Tracked, heldUnknown)
	s.holdIf(beginsOff(primary.Variables), heldBegun)
	s.holdIf(isOn(primary.Variables.Get("sql_auto_is_null")), heldInserted)
	return s
}

// beginsOff reports whether sessions of a server begin with autocommit off.
func beginsOff(v backend.Variables) bool {
	value := v.Get("autocommit") // as text: MariaDB has a word for it, and MySQL a number
	return value != "" && !isOn(value)
}

// reset forgets what COM_RESET_CONNECTION ends: everything but the schema and what COM_SET_OPTION has set.
// https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_com_reset_connection.html
func (s *state) reset(primary *backend.Conn) {
	version, resets, schema, optional := s.version+1, s.resets+1, s.schema, s.optional
	*s = newState(primary)
	s.version, s.resets, s.optional = version, resets, optional
	s.setSchema(schema)
}

// reading is what of the state changes how a server reads a text. An empty collation is that of the character set.
type reading struct{ client, connection, results, collation, named, mode string }

func (s *state) reading() reading {
	r := reading{
		client: s.variable(charsetClient), connection: s.variable(charsetConnection),
		results: s.variable(charsetResults), collation: s.variable(collationConnection),
		named: s.named, mode: s.variable("sql_mode"),
	}
	if s.collates {
		r.collation = "" // what is known of it is of the character set before
	}
	if _, set := s.vars[charsetResults]; !set {
		r.named = s.base.Get(collationConnection)
	}
	return r
}

// variables are the system variables that make it.
func (r reading) variables() map[string]string {
	vars := map[string]string{
		charsetClient: r.client, charsetConnection: r.connection, charsetResults: r.results,
		"sql_mode": r.mode,
	}
	if r.collation != "" {
		vars[collationConnection] = r.collation
	}
	return vars
}

// variable is the value of a system variable that is among those that a login asks for.
func (s *state) variable(name string) string {
	if value, ok := s.vars[name]; ok {
		return value
	}
	return s.base.Get(name)
}

// readsCommitted reports whether each statement of a transaction sees the newest data, and not all of them the same.
func (s *state) readsCommitted() bool {
	for _, name := range [...]string{"transaction_isolation", "tx_isolation"} {
		if level := s.variable(name); level == "READ-COMMITTED" || level == "READ-UNCOMMITTED" {
			return true
		}
	}
	return false
}

// reads notes what changes how the text of a statement is to be read.
func (s *state) reads(sqlMode, charset string) {
	s.readsMode(sqlMode)
	s.context.UnsafeCharset = unsafeCharset(charset)
}

// waits notes how long the client may be idle.
func (s *state) waits(seconds string) {
	n, _ := strconv.Atoi(seconds) // a server's number
	s.patience = time.Duration(n) * time.Second
}

func (s *state) readsMode(sqlMode string) {
	s.context.ANSIQuotes = hasMode(sqlMode, "ANSI_QUOTES") || hasMode(sqlMode, "ANSI")
	s.context.NoBackslashEscapes = hasMode(sqlMode, "NO_BACKSLASH_ESCAPES")
}

func hasMode(sqlMode, name string) bool {
	for m := range strings.SplitSeq(sqlMode, ",") {
		if m == name {
			return true
		}
	}
	return false
}

// unsafeCharset reports whether a byte within a character of the set may be a backslash or a quote.
func unsafeCharset(name string) bool {
	switch name {
	case "gbk", "sjis", "cp932", "big5", "gb18030":
		return true
	}
	return false
}

func (s *state) setSchema(name string) {
	if s.schema == name {
		return
	}
	s.schema, s.context.Schema = name, name
	s.version++
}

// setVariable records what a server reported.
func (s *state) setVariable(name, value string) {
	switch name {
	case "sql_mode":
		s.readsMode(value)
	case charsetClient:
		s.context.UnsafeCharset = unsafeCharset(value)
	case idleLimit:
		s.waits(value)
	case "autocommit":
		if isOn(value) {
			s.release(heldBegun)
		}
	}
	switch replayOf(name) {
	case replayNever:
		return
	case replayObserves:
		s.observes(name, isOn(value) || strings.HasPrefix(value, "enabled=on"))
		return
	case replayHolds:
		s.hold(heldUnknown)
		return
	}
	switch name {
	case charsetConnection:
		s.collates = true
	case charsetResults:
		s.renamed = true
		s.setNamed("")
	}
	if old, ok := s.vars[name]; ok && old == value {
		return
	}
	if s.vars == nil {
		s.vars = make(map[string]string)
	}
	s.vars[name] = value
	s.version++
}

// setNamed records the collation of SET NAMES.
func (s *state) setNamed(collation string) {
	if s.named != collation {
		s.named = collation
		s.version++
	}
}

// observes records that the server does, or does no longer, what this variable turns on: none of that can be had elsewhere.
func (s *state) observes(name string, on bool) {
	switch name {
	case "profiling":
		s.holdIf(on, heldProfiled)
	case "optimizer_trace":
		s.holdIf(on, heldTraced)
	case "sql_log_bin":
		s.holdIf(!on, heldUnlogged)
	case "sql_auto_is_null":
		s.holdIf(on, heldInserted)
	default: // timestamp
		s.hold(heldTimestamp)
	}
}

// explained are the effects whose traces are either reported by name or keep the statements that depend on them on
// the primary anyway.
const explained = router.SetsUserVariable | router.SetsSystemVariable | router.SetsSchema | router.SetsTransaction |
	router.CreatesTemporary | router.DropsTemporary | router.Prepares | router.Deallocates

// opaque are the effects that stand for any other.
const opaque = router.Calls | router.Executes | router.CallsFunction

// attaches are the effects that leave something on one server connection.
const attaches = opaque | router.SetsUserVariable | router.CreatesTemporary | router.LocksTables | router.GetsLock |
	router.OpensHandler | router.Prepares | router.SetsRole | router.XA

// forViews are those of them that leave what a function may use.
const forViews = opaque | router.SetsUserVariable | router.CreatesTemporary | router.GetsLock

// ran records what a statement that ran says, where no server reports it. Text is its text, nil if it is not at hand;
// changed says that the server reported that something changed, named that it reported what, at least in part.
func (s *state) ran(st router.Statement, text []byte, changed, named bool) {
	e := st.Effects
	s.once = e.Has(router.SetsTransaction) || s.once && st.Reason == router.ReasonSet
	s.attached = s.attached || e.Any(attaches)
	s.private = s.private || e.Any(forViews) || st.Reason == router.ReasonSequence || st.Reason == router.ReasonReplicaRefused
	s.temporaryTables(st, text)
	if e.Has(router.LocksTables) {
		s.hold(heldLocked)
	} else if e.Any(router.UnlocksTables|router.Begins) && !st.Multi { // of several statements, not all may have run
		s.release(heldLocked)
	}
	if e.Has(router.SetsRole) || changed && (e.Any(opaque) || !e.Any(explained) && !named) {
		s.hold(heldUnknown)
	}
}

// temporaryTables records which temporary tables there are. Where that cannot be told, all reads stay on the primary.
func (s *state) temporaryTables(st router.Statement, text []byte) {
	e := st.Effects
	switch {
	case e.Has(router.CreatesTemporary):
		if st.Multi || !s.temporary.created(text, s.schema) {
			s.hold(heldTemporary)
		}
	case e.Has(router.DropsTemporary) && !st.Multi:
		s.temporary.dropped(text, s.schema)
	case e.Has(router.CommitsImplicitly) && s.temporary.mentioned(text): // ALTER TABLE ... RENAME
		s.hold(heldTemporary)
	}
}

// replays puts ahead of the next command of l what tells its server the state.
func (s *state) replays(l *link) {
	if l.Schema != s.schema && s.schema != "" {
		l.queue(append([]byte{mysql.COM_INIT_DB}, s.schema...))
		l.Schema = s.schema
	}
	vars := s.vars
	if differing := s.base.Differing(l.Variables); differing != nil {
		maps.Copy(differing, vars)
		vars = differing
	}
	if l.replica && (beginsOff(s.base) || beginsOff(l.Variables)) {
		vars = withAutocommit(vars)
	}
	if l.moded {
		vars = maps.Clone(vars)
		delete(vars, "sql_mode") // set to what it is, it would end the flag that MariaDB keeps of one that a routine had for itself
	}
	if len(vars) > 0 {
		l.queue(appendSet(nil, l.Capabilities, vars, s.named))
	}
	l.version, l.moded = s.version, true
}

// withAutocommit is vars for a replica: reads come to it only from clients that have autocommit on, and where it is off each
// of them would be of the snapshot of the first.
func withAutocommit(vars map[string]string) map[string]string {
	with := map[string]string{"autocommit": "1"}
	for name, value := range vars {
		if name != "autocommit" {
			with[name] = value
		}
	}
	return with
}
