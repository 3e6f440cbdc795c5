package proxy

import (
	"bytes"
	"regexp"

	"github.com/stickyproxy/stickyproxy/router"
)

// holds are the kinds of state that no other connection can be told: each keeps reads on the primary for as long as it
// lasts.
type holds uint16

const (
	heldUnknown   holds = 1 << iota // something that cannot be named, until a reset
	heldTemporary                   // temporary tables whose names are not known, until a reset
	heldLocked                      // LOCK TABLES
	heldProfiled                    // profiling
	heldTraced                      // optimizer_trace
	heldCounted                     // FLUSH STATUS: the client wants to see what its statements add, until a reset
	heldTimestamp                   // SET timestamp, which no server reports to have ended
	heldUnlogged                    // sql_log_bin is off: what is written now never gets to a replica
	heldInserted                    // sql_auto_is_null: IS NULL finds the row inserted last, which only the primary knows
	heldBegun                       // autocommit was off from the start, until it is turned on
)

// reason is why reads stay on the primary, the plainest one if there are several.
func (h holds) reason() router.Reason {
	switch {
	case h == 0:
		return router.ReasonNone
	case h&heldLocked != 0:
		return router.ReasonTablesLocked
	case h&heldTemporary != 0:
		return router.ReasonTemporaryTable
	case h&heldBegun != 0:
		return router.ReasonAutocommitOff
	case h&(heldProfiled|heldTraced|heldCounted) != 0:
		return router.ReasonObserved
	}
	return router.ReasonUnknownState
}

// hold keeps reads on the primary until the kinds are released, or until a reset.
func (s *state) hold(h holds) { s.held |= h }

// release ends what hold began.
func (s *state) release(h holds) { s.held &^= h }

// holdIf holds or releases.
func (s *state) holdIf(on bool, h holds) {
	if on {
		s.hold(h)
	} else {
		s.release(h)
	}
}

// freesTimestamp is the part of a SET statement that gives the clock back.
// https://dev.mysql.com/doc/refman/en/server-system-variables.html#sysvar_timestamp
var freesTimestamp = regexp.MustCompile(
	`(?i)(^\s*set|,)\s*(@@((session|local)\s*\.\s*)?|(session|local)\s+)?timestamp\s*:?=\s*(default|0)\s*([,;]|$)`)

// maxTimestampText bounds the statements that are searched for it.
const maxTimestampText = 4 << 10

// clocked ends the hold of SET timestamp if the statement, which succeeded, has certainly given the clock back. A text
// that has more in it than can be told apart so simply does not count.
func (s *state) clocked(st router.Statement, text []byte) {
	if st.Reason != router.ReasonSet || st.Multi || len(text) > maxTimestampText || bytes.ContainsAny(text, "'\"`#") ||
		bytes.Contains(text, []byte("/*")) || bytes.Contains(text, []byte("--")) {
		return
	}
	if bytes.Count(bytes.ToLower(text), []byte("timestamp")) == 1 && freesTimestamp.Match(text) {
		s.release(heldTimestamp)
	}
}

// setsIdleLimit is a statement that sets how long a client may be idle, and nothing else.
var setsIdleLimit = regexp.MustCompile(`(?i)^\s*set\s+@@\s*wait_timeout\s*:?=\s*([0-9]+)\s*;?\s*$`)

// unreported keeps reads on the primary after a statement with SET @@name, without a scope. MariaDB does not report what
// that changes, even if it failed behind the change, so that no replica can be told. How long the client may be idle is
// nothing that a replica has to know.
func (s *state) unreported(st router.Statement, text []byte, failed bool) {
	if m := setsIdleLimit.FindSubmatch(text[:min(len(text), maxTimestampText)]); m != nil && !st.Multi {
		if !failed {
			s.waits(string(m[1]))
		}
		return
	}
	s.hold(heldUnknown)
}
