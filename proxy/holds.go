package proxy

import "github.com/stickyproxy/stickyproxy/router"

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

// clocked ends the hold of SET timestamp if the statement, which succeeded, has certainly given the clock back.
// https://dev.mysql.com/doc/refman/en/server-system-variables.html#sysvar_timestamp
func (s *state) clocked(sets router.Settings) {
	if value, _ := sets.Value("timestamp"); value == "default" || value == "0" {
		s.release(heldTimestamp)
	}
}

// unreported keeps reads on the primary after a statement with SET @@name, without a scope. MariaDB does not report what
// that changes, even if it failed behind the change, so that no replica can be told. How long the client may be idle is
// nothing that a replica has to know.
func (s *state) unreported(sets router.Settings, failed bool) {
	seconds, _ := sets.Value(idleLimit)
	switch {
	case !isNumber(seconds) || !sets.Only(isIdleLimit):
		s.hold(heldUnknown)
	case !failed:
		s.waits(seconds)
	}
}

// idleLimit is how long a client may be idle, seconds.
const idleLimit = "wait_timeout"

func isIdleLimit(name string) bool { return name == idleLimit }
