package proxy

import (
	"bytes"
	"slices"
	"strings"

	"github.com/stickyproxy/stickyproxy/mysqlwire"
	"github.com/stickyproxy/stickyproxy/router"
)

// From 11 on, MariaDB's tracker tells system variables apart by the place in which it keeps their values, and many share
// one: all that are a bit of the same number, the clock and the insert ids, a character set and its collation. Whichever of
// them is set, the one that the tracker finds first is reported, with its own value.
// https://jira.mariadb.org/browse/MDEV-31746
//
// So there a report of one of them says only that one of them was set. What a replica has to know is asked for before the
// next statement that runs on one.

// alike reports whether a system variable shares its place with others that matter.
func alike(name string) bool {
	switch name {
	case "identity", "insert_id", "last_insert_id", "rand_seed1", "rand_seed2", "timestamp", charsetConnection, collationConnection:
		return true
	}
	return isBit(name)
}

// isBit reports whether a system variable is a bit of the number that autocommit is in.
func isBit(name string) bool {
	switch name {
	case "autocommit", "check_constraint_checks", "explicit_defaults_for_timestamp", "foreign_key_checks", "profiling",
		"skip_parallel_replication", "skip_replication", "sql_auto_is_null", "sql_big_selects", "sql_buffer_result",
		"sql_if_exists", "sql_log_bin", "sql_log_off", "sql_notes", "sql_quote_show_create", "sql_safe_updates", "sql_warnings",
		"system_versioning_insert_history", "unique_checks":
		return true
	}
	return false
}

// byOwnName is the report of a variable as the server would make it for a client that is told of fewer: of those that share
// a place, the one that the client wants to be told of is reported for each of them.
func (t *tracking) byOwnName(name, value []byte, status mysqlwire.Status) (own, is []byte) {
	switch {
	case t.wantsVariable(string(name)):
	case isBit(string(name)) && t.wantsVariable("autocommit"):
		if status&mysqlwire.StatusAutocommit == 0 {
			return []byte("autocommit"), []byte("OFF")
		}
		return []byte("autocommit"), []byte("ON")
	case string(name) == collationConnection && t.wantsVariable(charsetConnection):
		charset, _, _ := bytes.Cut(value, []byte{'_'})
		return []byte(charsetConnection), charset
	}
	return name, value
}

// alikeAsked are those of them that a replica has to know and that can be asked for. The first two are set without their
// names, by SET NAMES.
var alikeAsked = []string{
	charsetConnection, collationConnection, "profiling", "sql_auto_is_null", "sql_big_selects", "sql_buffer_result",
	"sql_if_exists", "sql_notes", "sql_quote_show_create", "sql_safe_updates", "sql_warnings",
}

// askFor is the question for session variables, and behind them for what it ends.
func askFor(names []string) string {
	return "SELECT @@SESSION." + strings.Join(names, ", @@SESSION.") + ", FOUND_ROWS()"
}

// isAutocommit is for statements that set nothing else, as most drivers send one after the login.
func isAutocommit(name string) bool { return name == "autocommit" }

// blur records that a statement has set one of the variables that are reported under each other's names. Some cannot be
// asked for behind it: what was written without a log meanwhile, or a clock that stands still.
func (s *state) blur(st router.Statement, sets router.Settings) {
	if st.Effects.Any(opaque) || sets.May("sql_log_bin", "skip_replication", "rand_seed1", "rand_seed2") {
		s.hold(heldUnknown)
		return
	}
	if sets.Only(isAutocommit) {
		return
	}
	for i, name := range alikeAsked {
		if (i < 2 || sets.May(name)) && !slices.Contains(s.blurred, name) {
			s.blurred = append(s.blurred, name)
		}
	}
	if sets.May("timestamp") {
		s.hold(heldTimestamp)
	}
}

// mentions reports whether a text has one of the names in it, in any case.
func mentions(text []byte, names ...string) bool {
	lower := bytes.ToLower(text)
	for _, name := range names {
		if bytes.Contains(lower, []byte(name)) {
			return true
		}
	}
	return false
}

// sharpen asks the primary for what is blurred, and reports whether that is known now: it may keep reads there.
func (c *conn) sharpen() (learned bool, err error) {
	err = c.learnSilent()
	return len(c.state.blurred) == 0, err
}
