package proxy

import (
	"bytes"
	"strings"

	"github.com/go-mysql-org/go-mysql/mysql"

	"github.com/stickyproxy/stickyproxy/mysqlwire"
)

// replay is what becomes of a system variable that the client changed.
type replay uint8

const (
	replaySet      replay = iota // the other server is told
	replayNever                  // it does not matter there, or is ours
	replayHolds                  // it cannot be told there: reads stay on the primary
	replayObserves               // reads stay on the primary for as long as it is set
)

// replayOf says what to do about a change of the system variable name.
func replayOf(name string) replay {
	switch name {
	case "last_gtid", "autocommit", "gtid_next",
		"character_set_database", "collation_database", // follow the schema, and take a privilege to be set
		"last_insert_id", "insert_id", "identity", "pseudo_thread_id", "error_count", "warning_count",
		"statement_id": // MySQL reports it with every statement, and it cannot be set
		return replayNever
	case "rand_seed1", "rand_seed2", "pseudo_replica_mode", "pseudo_slave_mode", "wsrep_on", "skip_replication":
		return replayHolds
	case "profiling", "optimizer_trace", "sql_log_bin", "sql_auto_is_null",
		"timestamp": // set to DEFAULT it is not reported
		return replayObserves
	}
	if isTracker(name) {
		return replayNever
	}
	return replaySet
}

// appendSet appends the SET statement that tells a server the values of variables, and the collation of SET NAMES, if any.
// Character sets come last, so that the statement is read in the set in which the server expects it.
func appendSet(dst []byte, caps mysqlwire.Capability, vars map[string]string, named string) []byte {
	dst = appendQuery(dst, caps, "SET ")
	start := len(dst)
	names, sets := namesOf(vars, named)
	for order := range 4 {
		if names != "" && order == orderOfNames {
			dst = append(comma(dst, start), names...)
		}
		for name, value := range vars {
			if orderOf(name) != order || sets(name) {
				continue
			}
			dst = append(comma(dst, start), "@@SESSION."...)
			dst = append(append(dst, name...), '=')
			dst = appendValue(dst, name, value)
		}
	}
	return dst
}

// comma appends a comma unless nothing was appended since start.
func comma(dst []byte, start int) []byte {
	if len(dst) > start {
		dst = append(dst, ',')
	}
	return dst
}

// namesOf is the NAMES clause for the character sets in vars, "" if they are not of that kind, and which variables need
// nothing else then. Only NAMES sets the collation that is in the definitions of result columns, and SET of the collation
// of the connection does not change that one. SET of the character set of results ends it: from MariaDB 11 on, its
// collation is another one then than with NAMES.
func namesOf(vars map[string]string, named string) (names string, sets func(name string) bool) {
	set, client, connection := vars[charsetResults], vars[charsetClient], vars[charsetConnection]
	if set == "" || client == "" || connection == "" || named == "" || strings.ContainsAny(set+named, `'\`) {
		return "", func(string) bool { return false }
	}
	return "NAMES '" + set + "' COLLATE '" + named + "'", func(name string) bool {
		switch name {
		case charsetResults:
			return true
		case charsetClient:
			return client == set
		case charsetConnection:
			return connection == set
		case collationConnection:
			return connection == set && vars[name] == named
		}
		return false
	}
}

// limitJoins records what a report of max_join_size says of sql_big_selects, which follows it and is not reported for that.
// Where it was set as well, it is.
// https://mariadb.com/kb/en/server-system-variables/#max_join_size
func (s *state) limitJoins(changes []byte) {
	if !bytes.Contains(changes, []byte("max_join_size")) {
		return
	}
	for ch := (mysqlwire.Changes{Rest: changes}); ch.Next(); {
		if ch.Kind != mysqlwire.TrackSystemVariable || string(ch.Name) != "max_join_size" {
			continue
		}
		big := "OFF"
		if string(ch.Value) == noJoinLimit {
			big = "ON"
		}
		s.setVariable("sql_big_selects", big)
	}
}

// noJoinLimit is the largest value of max_join_size, and what it is by itself.
const noJoinLimit = "18446744073709551615"

const orderOfNames = 1

// orderOf is when a variable is set: NAMES sets more than one character set, which another value replaces, a character
// set brings its default collation, which another one replaces, and sql_big_selects follows max_join_size.
func orderOf(name string) int {
	switch {
	case name == collationConnection:
		return 3
	case name == "sql_big_selects":
		return 1
	case strings.HasPrefix(name, "character_set_"):
		return 2
	}
	return 0
}

// appendValue writes a value as a server reported it so that SET takes it back: numbers bare, since numeric variables
// take no strings, NULL where only NULL is reported as nothing, and anything else as a string. A string with a quote
// or a backslash is written in hexadecimal, which no sql_mode changes.
func appendValue(dst []byte, name, value string) []byte {
	switch {
	case value == "" && name == charsetResults:
		return append(dst, "NULL"...)
	case isNumber(value):
		return append(dst, value...)
	case strings.ContainsAny(value, `'\`):
		const digits = "0123456789abcdef"
		dst = append(dst, "_binary X'"...)
		for i := range len(value) {
			dst = append(dst, digits[value[i]>>4], digits[value[i]&15])
		}
		return append(dst, '\'')
	}
	dst = append(dst, '\'')
	dst = append(dst, value...)
	return append(dst, '\'')
}

// isNumber reports whether s is a decimal number.
func isNumber(s string) bool {
	digits := 0
	for i := range len(s) {
		switch c := s[i]; {
		case c >= '0' && c <= '9':
			digits++
		case c == '.' && digits > 0, c == '-' && i == 0:
		default:
			return false
		}
	}
	return digits > 0
}

// appendQuery appends the payload of a COM_QUERY without query attributes.
func appendQuery(dst []byte, caps mysqlwire.Capability, sql string) []byte {
	dst = append(dst, mysql.COM_QUERY)
	if caps.Has(mysqlwire.CapQueryAttributes) {
		dst = append(dst, 0, 1) // none, in one set of them
	}
	return append(dst, sql...)
}
