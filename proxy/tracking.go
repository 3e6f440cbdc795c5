package proxy

import (
	"bytes"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/go-mysql-org/go-mysql/mysql"

	"github.com/stickyproxy/stickyproxy/backend"
	"github.com/stickyproxy/stickyproxy/mysqlwire"
	"github.com/stickyproxy/stickyproxy/router"
)

// tracking is what session state a client wants to be told in its OK packets. The trackers of its server connections
// are ours and on, whatever the client sets: what it sets only chooses what it is told.
// https://dev.mysql.com/doc/refman/en/session-state-tracking.html
type tracking struct {
	values      []string // as they are for the client; nil: the defaults
	variables   []string // nil: the servers' default
	everything  bool     // all variables
	noSchema    bool
	placed      bool // the server has cause to tell the current schema: see toldschema.go
	again       bool // it is to be told once more
	state       bool
	gtids       bool
	transaction bool

	characteristics bool
	begun           string // the state of a transaction begun explicitly, as the client was told; empty after its end
}

// trackers are the variables that turn trackers on, and our values of them. MariaDB does not have the last one; it tells
// a GTID as the system variable last_gtid.
var trackers = []struct{ name, ours string }{
	{"session_track_system_variables", "*"},
	{"session_track_schema", "ON"},
	{"session_track_state_change", "ON"},
	{"session_track_transaction_info", "CHARACTERISTICS"},
	{"session_track_gtids", "OWN_GTID"},
}

// trackersOf is how many of them a server has.
func trackersOf(mariaDB bool) int {
	if mariaDB {
		return len(trackers) - 1
	}
	return len(trackers)
}

// setTrackers is the statement that sets n trackers to values, or without values to what new sessions have: MySQL's DEFAULT
// is something else for one of them.
func setTrackers(n int, values []string) string {
	var b strings.Builder
	b.WriteString("SET ")
	for i, t := range trackers[:n] {
		value := "@@GLOBAL." + t.name
		if values != nil {
			value = "'" + strings.ReplaceAll(values[i], "'", "''") + "'"
			if isNumber(values[i]) {
				value = values[i]
			}
		}
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString("@@SESSION." + t.name + "=" + value)
	}
	return b.String()
}

// askTrackers is the statement that asks for the values of n trackers.
func askTrackers(n int) string {
	names := make([]string, n)
	for i, t := range trackers[:n] {
		names[i] = "@@SESSION." + t.name
	}
	return "SELECT " + strings.Join(names, ",")
}

// mentionsTracking reports whether a statement may set trackers, or show them.
func mentionsTracking(st router.Statement, sql []byte) bool {
	if len(sql) > maxTrackingText {
		return false
	}
	switch {
	case st.Effects.Has(router.SetsSystemVariable), st.Reason == router.ReasonSystemVariable,
		st.Reason == router.ReasonUserVariable, st.Reason == router.ReasonSet:
		return bytes.Contains(bytes.ToLower(sql), []byte("session_track"))
	case st.Reason == router.ReasonServerState:
		return bytes.Contains(bytes.ToLower(sql), []byte("variables")) && !showsOthers(sql)
	}
	return false
}

// showsLike is SHOW VARIABLES of names that begin with its group.
var showsLike = regexp.MustCompile(`(?i)^\s*show\s+(?:(?:global|session|local)\s+)?variables\s+like\s+['"]([a-z0-9]*)`)

// showsOthers reports whether a SHOW VARIABLES is about names that no tracker has. Clients ask so when they connect, and
// what it takes to show trackers would be in SHOW PROFILES.
func showsOthers(sql []byte) bool {
	m := showsLike.FindSubmatch(sql)
	if m == nil {
		return false
	}
	begins, of := bytes.ToLower(m[1]), []byte("session")
	return !bytes.HasPrefix(begins, of) && !bytes.HasPrefix(of, begins)
}

// maxTrackingText bounds the statements that are searched.
const maxTrackingText = 64 << 10

// runTracking serves a statement that is about trackers. For its time they have the client's values, which are read
// back afterwards; in between and after it, they are ours. Within a transaction servers do not let trackers of GTIDs be
// set, so the client sees ours there.
func (c *conn) runTracking(r *request) error {
	if c.snapshot.open && c.snapshot.fresh {
		if err := c.moveSnapshot(); err != nil {
			return err
		}
	}
	l, run := c.primary, c.run
	if c.snapshot.open {
		run = func(r *request) error { return c.direct(l, r) } // it has begun elsewhere, and this is not about data
	}
	if l.unsure && !l.dead {
		l.queue([]byte{mysql.COM_PING})
		if err := c.consult(l, told); err != nil {
			return c.primaryFailed(err)
		}
	}
	sets, names := r.class.Effects.Has(router.SetsSystemVariable), router.ReadSettings(c.text(r))
	stays := l.inTransaction() && sets && names.May("session_track_gtids")                                // could not be taken back
	stays = stays || !l.MariaDB && !l.inTransaction() && !c.snapshot.open && c.state.tracking.begun != "" // which is to be told to be over
	if !l.tracks() || l.dead || stays || c.tellPrimary() != nil {
		if sets {
			l.Tracked = false // ours may be off now, until a reset
			c.state.hold(heldUnknown)
		}
		return c.run(r)
	}
	n := min(trackersOf(l.MariaDB), len(trackers)-1)
	if !l.inTransaction() {
		n = trackersOf(l.MariaDB)
	}
	if _, err := c.askServer(l, setTrackers(n, c.state.tracking.values)); err != nil {
		return err
	}
	r.verbatim = true
	if sets && !names.Only(isTracker) {
		c.state.hold(heldUnknown) // the client may not want to be told what else it sets
	}
	if err := run(r); err != nil {
		return err
	}
	set, err := c.askServer(l, askTrackers(n))
	if err != nil {
		return err
	}
	if n < trackersOf(l.MariaDB) {
		set = append(set, c.state.tracking.valueOf(n))
	}
	old := c.state.tracking
	c.state.tracking = newTracking(set)
	if old.valueOf(3) == c.state.tracking.valueOf(3) {
		c.state.tracking.begun = old.begun
	}
	ours := make([]string, n)
	for i := range ours {
		ours[i] = trackers[i].ours
	}
	if _, err = c.askServer(l, setTrackers(n, ours)); err != nil {
		return err
	}
	if r.rows && r.failure == nil {
		l.queue(c.countsAsQuery())
		return c.repeated(c.consult(l, told))
	}
	return nil
}

// isTracker reports whether a system variable is one of the trackers.
func isTracker(name string) bool { return strings.HasPrefix(name, "session_track_") }

// askServer asks something of our own, and returns the values of the only row if there is one. An error ends the client's
// connection: what its trackers are is not known any more.
func (c *conn) askServer(l *link, question string) ([]string, error) {
	ctx, cancel := c.connectTimeout()
	defer cancel()
	rows, err := l.Query(ctx, question)
	if err != nil {
		l.dead = true
		return nil, serverError{err: fmt.Errorf("trackers: %w", err)}
	}
	var values []string
	for _, row := range rows.Values {
		for _, v := range row {
			values = append(values, v.String)
		}
	}
	return values, nil
}

// newTracking reads the values of the trackers.
func newTracking(set []string) tracking {
	if len(set) < len(trackers)-1 {
		return tracking{}
	}
	t := tracking{
		values:      set,
		everything:  set[0] == "*",
		variables:   []string{},
		noSchema:    !isOn(set[1]),
		state:       isOn(set[2]),
		transaction: !strings.EqualFold(set[3], "OFF"),

		characteristics: strings.EqualFold(set[3], "CHARACTERISTICS"),
		gtids:           len(set) > 4 && !strings.EqualFold(set[4], "OFF"),
	}
	for name := range strings.SplitSeq(set[0], ",") {
		t.variables = append(t.variables, strings.ToLower(strings.TrimSpace(name)))
	}
	return t
}

// valueOf is the client's value of the tracker at this place in trackers, which is off unless somebody has set it.
func (t *tracking) valueOf(i int) string {
	if i < len(t.values) {
		return t.values[i]
	}
	return "OFF"
}

// trackingOf is what a client is told at the beginning of its session, where the servers may be set up to tell all clients
// other things than usual.
func trackingOf(v backend.Variables, mariaDB bool) tracking {
	var set [5]string // as many as there are trackers
	n := trackersOf(mariaDB)
	for i, t := range trackers[:n] {
		set[i] = v.Get(t.name)
	}
	if set[1] == "" || isBuiltIn(set[:n]) { // it was not asked for, or takes no memory
		return tracking{}
	}
	return newTracking(slices.Clone(set[:n]))
}

// isBuiltIn reports whether these are the values of the trackers where nobody has set them.
func isBuiltIn(set []string) bool {
	switch set[0] {
	case "time_zone,autocommit,character_set_client,character_set_results,character_set_connection",
		"autocommit,character_set_client,character_set_connection,character_set_results,time_zone",
		"autocommit,character_set_client,character_set_connection,character_set_results,redirect_url,time_zone":
		return isOn(set[1]) && !isOn(set[2]) && set[3] == "OFF" && (len(set) < 5 || set[4] == "OFF")
	}
	return false
}

// atFirst is what a client is told at the beginning of a session in this schema, "" for none or after a reset.
func (t *tracking) atFirst(schema string) (told []byte) {
	if schema != "" && !t.noSchema {
		told = mysqlwire.AppendChange(told, mysqlwire.TrackSchema, nil, []byte(schema))
	}
	if schema != "" && t.state {
		told = mysqlwire.AppendChange(told, mysqlwire.TrackState, nil, []byte{'1'})
	}
	if t.transaction {
		told = mysqlwire.AppendChange(told, mysqlwire.TrackTransaction, nil, []byte(noTransaction))
	}
	if t.characteristics {
		told = mysqlwire.AppendChange(told, mysqlwire.TrackCharacteristic, nil, nil)
	}
	return told
}

func isOn(value string) bool { return value == "1" || strings.EqualFold(value, "ON") }

// wants reports whether the client is to be told about a change.
func (t *tracking) wants(c *mysqlwire.Changes) bool {
	switch c.Kind {
	case mysqlwire.TrackSystemVariable:
		return t.wantsVariable(string(c.Name))
	case mysqlwire.TrackSchema:
		return !t.noSchema && t.placed
	case mysqlwire.TrackState:
		return t.state
	case mysqlwire.TrackGTIDs:
		return t.gtids
	case mysqlwire.TrackCharacteristic:
		return t.characteristics
	}
	return t.transaction
}

// explicit reports whether the client is to be told the state of a transaction although it has not asked for that: MySQL
// does so when a transaction is begun explicitly, and when such a one ends.
func (t *tracking) explicit(state []byte, begins bool) (now string, tell bool) {
	if len(state) != len(noTransaction) {
		return "", false
	}
	now = noTransaction
	before := t.begun
	t.begun = ""
	if state[0] == 'T' {
		if before != "" && !begins {
			t.begun = before // it goes on
			return "", false
		}
		now = "T_______"
		if state[2] == 'R' { // WITH CONSISTENT SNAPSHOT
			now = "T_R_____"
		}
		t.begun = now
	}
	return now, t.begun != before
}

// noTransaction is the state without a transaction.
const noTransaction = "________"

func (t *tracking) wantsVariable(name string) bool {
	if t.everything {
		return true
	}
	if t.variables == nil {
		return toldByDefault(name)
	}
	for _, v := range t.variables {
		if v == name {
			return true
		}
	}
	return false
}

// toldByDefault is the default of session_track_system_variables.
// https://dev.mysql.com/doc/refman/en/server-system-variables.html#sysvar_session_track_system_variables
func toldByDefault(name string) bool {
	switch name {
	case "time_zone", "autocommit", charsetClient, charsetResults, charsetConnection,
		"redirect_url": // which MariaDB has from 11.3 on
		return true
	}
	return false
}

// forClient keeps of the session state in an answer of l what the client wants to be told, nil for nothing. Chained: one
// transaction may have ended and another begun, of which MySQL tells with a state that is empty, and not nil. Branch: an XA
// transaction has begun; if there was another before, a statement that failed has ended it without a word.
func (t *tracking) forClient(ok *mysqlwire.OK, l *link, chained, multi, branch bool) []byte {
	var kept []byte
	before := t.begun
	for c := (mysqlwire.Changes{Rest: ok.Session}); c.Next(); {
		if c.Kind == mysqlwire.TrackSystemVariable && alike(string(c.Name)) && l.Blurs() {
			c.Name, c.Value = t.byOwnName(c.Name, c.Value, ok.Status)
		}
		tell, value := t.wants(&c), c.Value
		if c.Kind == mysqlwire.TrackTransaction && !l.MariaDB {
			now, explicit := t.explicit(value, branch || chained && (!multi || string(value) == "T_______"))
			if explicit && !t.transaction {
				tell, value = true, []byte(now)
			}
		}
		if tell {
			kept = mysqlwire.AppendChange(kept, c.Kind, c.Name, value)
		}
	}
	if kept == nil && !l.MariaDB && chained && !multi && before != "" && t.begun == before {
		kept = []byte{}
	}
	return kept
}

// over adds that the transaction of which the client was told has ended, if that was said to a statement of ours.
func (t *tracking) over(told []byte) []byte {
	if t.begun == "" {
		return told
	}
	t.begun = ""
	return mysqlwire.AppendChange(told, mysqlwire.TrackTransaction, nil, []byte(noTransaction))
}
