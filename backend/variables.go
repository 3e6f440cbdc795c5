package backend

import (
	"strconv"
	"strings"
	"unique"
)

// idleLimit is how long a session may be idle, seconds. It is asked for with the sessionVariables, and is not one of them.
const idleLimit = "wait_timeout"

// packetLimit is what no session can set: how long a command may be, and above which text functions return NULL. It is
// asked for with the sessionVariables, too.
const packetLimit = "max_allowed_packet"

// sessionVariables are the session variables that change what a read answers. Two servers may give a new session
// different values of them. MySQL 5.7.20 and MariaDB 11.1.1 gave two of them new names. What AES_ENCRYPT does, which
// MySQL 5.7.4 and MariaDB 11.2.0 were the first to let a session choose, is not asked of older ones.
func sessionVariables(mariaDB bool, v version) []string {
	names := []string{
		"autocommit", "character_set_client", "character_set_connection", "character_set_results", "collation_connection",
		"default_week_format", "div_precision_increment", "group_concat_max_len", "lc_time_names", "max_join_size",
		"max_sort_length", "sql_auto_is_null", "sql_big_selects", "sql_mode", "sql_select_limit", "time_zone",
	}
	if choosesEncryption(mariaDB, v) {
		names = append(names, "block_encryption_mode")
	}
	if oldNames(mariaDB, v) {
		return append(names, "tx_isolation", "tx_read_only")
	}
	return append(names, "transaction_isolation", "transaction_read_only")
}

// oldNames reports whether the server has the two variables by their old names.
func oldNames(mariaDB bool, v version) bool {
	if mariaDB {
		return !v.atLeast(11, 1, 1)
	}
	return !v.atLeast(5, 7, 20)
}

// choosesEncryption reports whether the server has block_encryption_mode.
func choosesEncryption(mariaDB bool, v version) bool {
	if mariaDB {
		return v.atLeast(11, 2, 0)
	}
	return !oldNames(mariaDB, v)
}

// Blurs reports whether the server may report another system variable than the one that was set, of those that it keeps in
// one place: MariaDB does from 11 on. https://jira.mariadb.org/browse/MDEV-31746
func (c *Conn) Blurs() bool { return c.MariaDB && parseVersion(c.Version).atLeast(11, 0, 0) }

// ListsTemporary reports whether temporary tables are in SHOW TABLES and information_schema, as with MariaDB from 11.2 on.
// https://jira.mariadb.org/browse/MDEV-12459
func (c *Conn) ListsTemporary() bool { return c.MariaDB && parseVersion(c.Version).atLeast(11, 2, 0) }

// Variables are the values of sessionVariables in one session. Many sessions have the same, so they are kept once.
type Variables struct {
	lines unique.Handle[string] // name=value, a line each
}

// trackerPrefix is what the names of the variables begin with that turn session trackers on. What they are at the beginning
// of a session is asked for where a client negotiated CLIENT_SESSION_TRACK, before [Conn.Tracked] is brought about.
const trackerPrefix = "session_track_"

// trackerVariables are the names of them behind the prefix. The one that can be NULL is the last.
func trackerVariables(mariaDB bool) []string {
	if mariaDB {
		return []string{"schema", "state_change", "transaction_info", "system_variables"}
	}
	return []string{"schema", "state_change", "transaction_info", "gtids", "system_variables"}
}

// trackersAsked is how many of the trackers are asked for.
type trackersAsked int

const (
	trackersNone    trackersAsked = iota // the server has none
	trackersOurs                         // those that say whether ours can be turned on
	trackersClients                      // all
)

// askedVariables are all that is asked for.
func askedVariables(mariaDB bool, v version, asked trackersAsked) []string {
	names := append(sessionVariables(mariaDB, v), idleLimit, packetLimit)
	trackers := trackerVariables(mariaDB)
	switch {
	case asked == trackersOurs && mariaDB:
		trackers = trackers[len(trackers)-1:]
	case asked != trackersClients:
		trackers = nil
	}
	for _, name := range trackers {
		names = append(names, trackerPrefix+name)
	}
	return names
}

// variablesQuery is the expression for the values that newVariables takes. It is short, for servers that take little: see
// smallestPacket. What is between them makes it a binary string, which no character set changes on its way.
func variablesQuery(names []string) string {
	var b strings.Builder
	b.WriteString("CONCAT_WS(X'0A'")
	for _, name := range names {
		value := "@@" + name
		if name == "character_set_results" {
			value = "IFNULL(" + value + ",'')" // NULL would be left out
		}
		b.WriteString("," + value)
	}
	b.WriteString(")")
	return b.String()
}

// newVariables reads the values of variables with these names, a line each.
func newVariables(names []string, values string) Variables {
	var b strings.Builder
	b.Grow(2 * len(values))
	for _, name := range names {
		value, rest, _ := strings.Cut(values, "\n")
		b.WriteString(name)
		b.WriteByte('=')
		b.WriteString(value)
		b.WriteByte('\n')
		values = rest
	}
	return Variables{unique.Make(b.String())}
}

// Get returns the value of a variable as the server shows it, "" for NULL and for what is not among them.
func (v Variables) Get(name string) string {
	for line := range v.all() {
		if value, ok := strings.CutPrefix(line, name+"="); ok {
			return value
		}
	}
	return ""
}

// Differing returns the sessionVariables that have another value in v than in other, with their value in v; none when
// there is none.
func (v Variables) Differing(other Variables) map[string]string {
	if v == other || v == (Variables{}) || other == (Variables{}) {
		return nil
	}
	differing := make(map[string]string)
	for line := range v.all() {
		name, value, _ := strings.Cut(line, "=")
		if name != idleLimit && name != packetLimit && !strings.HasPrefix(name, trackerPrefix) && other.Get(name) != value {
			differing[name] = value
		}
	}
	return differing
}

// SamePacketLimit reports whether a session with these values has the max_allowed_packet of one with the others.
func (v Variables) SamePacketLimit(other Variables) bool {
	return v == other || v.Get(packetLimit) == other.Get(packetLimit)
}

// PacketLimit is max_allowed_packet, bytes; 0 where it is not known.
func (v Variables) PacketLimit() int {
	n, _ := strconv.Atoi(v.Get(packetLimit)) // a server's number
	return n
}

// all yields the lines.
func (v Variables) all() func(func(string) bool) {
	if v == (Variables{}) {
		return func(func(string) bool) {}
	}
	return strings.SplitSeq(strings.TrimSuffix(v.lines.Value(), "\n"), "\n")
}
