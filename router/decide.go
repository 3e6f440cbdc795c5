package router

import (
	"time"

	"github.com/stickyproxy/stickyproxy/gtid"
)

// Need is what a session must see.
type Need struct {
	// Writing: a write of the session has no outcome yet.
	Writing bool
	// GTID holds the session's writes whose GTID is known.
	GTID gtid.Set
	// WroteAt is the end of the last write, GTID known or not; zero: none.
	WroteAt time.Time
	// UnprovenAt is the end of the last write whose GTID is not known or
	// whose outcome is unknown; zero: none.
	UnprovenAt time.Time
}

// Query is everything that a decision depends on.
type Query struct {
	Statement Statement
	// Held says why state of the connection keeps reads on the primary;
	// [ReasonNone] when nothing does.
	Held Reason
	Need Need
	Mode Mode
	// Window is how long a write whose GTID is not known keeps reads on the primary.
	Window time.Duration
	// MaxLag is how old a replica's FreshAsOf may be.
	MaxLag time.Duration
	// Now is the present on the same clock as the times in Need and View.
	Now time.Time
	// Prefer is the Incarnation of the replica that this session used last;
	// empty for none.
	Prefer string
	// PreferAt is where Prefer was found last: an index into
	// View.Replicas that saves a search. It is only a hint; a wrong one,
	// and the zero value, cost time and nothing else.
	PreferAt int
	// Tried has the bit i set when View.Replicas[i] already failed this
	// statement. Replicas from index 64 on count as tried when any bit is set.
	Tried uint64
	// Rand is a random number: the choice among eligible replicas depends on
	// nothing else.
	Rand uint64
}

// Decision is a target and why.
type Decision struct {
	// Replica is an index into View.Replicas, or -1 for the primary.
	Replica int
	// Reason is [ReasonRead] for a replica, else why it is the primary.
	Reason Reason
}

// Decide picks the server for one statement. It is a pure function of its
// arguments, allocates nothing, and keeps neither pointer. When anything is
// unknown the answer is the primary.
//
// Kind BeginReadOnly and Kind Previous give the primary too: where those go
// depends on what the caller knows of the connection.
func Decide(q *Query, v *View) Decision {
	if r := q.refusal(v); r != ReasonNone {
		return Decision{Replica: -1, Reason: r}
	}
	if i := q.preferred(v); i >= 0 && q.check(i, &v.Replicas[i]) == ReasonNone {
		return Decision{Replica: i, Reason: ReasonRead}
	}
	return q.pick(v)
}

// refusal is why no replica needs to be looked at, or ReasonNone.
func (q *Query) refusal(v *View) Reason {
	switch {
	case q.Statement.Kind != Read:
		if q.Statement.Reason == ReasonNone {
			return ReasonNotUnderstood
		}
		return q.Statement.Reason
	case q.Held != ReasonNone:
		return q.Held
	case q.Mode >= PrimaryOnly:
		return ReasonPrimaryMode
	case !v.Monitored:
		return ReasonNoMonitor
	case q.Need.Writing:
		return ReasonWriteInFlight
	}
	return ReasonNone
}

// preferred finds the replica that the session used last, or -1.
func (q *Query) preferred(v *View) int {
	if q.Prefer == "" {
		return -1
	}
	if i := q.PreferAt; i >= 0 && i < len(v.Replicas) && v.Replicas[i].Incarnation == q.Prefer {
		return i
	}
	for i := range v.Replicas {
		if v.Replicas[i].Incarnation == q.Prefer {
			return i
		}
	}
	return -1
}

// pick chooses among the eligible replicas by weight in one pass: each new one
// replaces the choice so far with probability weight / weight of all so far.
func (q *Query) pick(v *View) Decision {
	chosen, total, best := -1, uint64(0), ReasonNoReplica
	for i := range v.Replicas {
		r := &v.Replicas[i]
		if why := q.check(i, r); why != ReasonNone {
			best = moreTelling(best, why)
			continue
		}
		w := uint64(max(r.Weight, 1))
		total += w
		if mix(q.Rand+uint64(i))%total < w {
			chosen = i
		}
	}
	if chosen < 0 {
		return Decision{Replica: -1, Reason: best}
	}
	return Decision{Replica: chosen, Reason: ReasonRead}
}

// check is why replica i may not serve the query, or ReasonNone when it may.
func (q *Query) check(i int, r *Replica) Reason {
	switch {
	case q.Tried != 0 && (i >= 64 || q.Tried>>uint(i)&1 == 1):
		return ReasonReplicaFailed
	case !r.Up || !r.Replicating || !r.ReadOnly:
		return ReasonNoReplica
	case r.FreshAsOf.IsZero() || q.Now.Sub(r.FreshAsOf) > q.MaxLag:
		return ReasonReplicaLate
	}
	switch q.Mode {
	case Eventual:
		return ReasonNone
	case Window:
		return q.waited(q.Need.WroteAt, r)
	case GTID:
		if !q.Need.UnprovenAt.IsZero() {
			return ReasonUnproven
		}
	default:
		if why := q.waited(q.Need.UnprovenAt, r); why != ReasonNone {
			return why
		}
	}
	if !r.Executed.Contains(q.Need.GTID) {
		return ReasonReplicaBehind
	}
	return ReasonNone
}

// waited checks a write without proof: one window must have passed since, and
// the replica must be known fresh as of a later instant.
func (q *Query) waited(wrote time.Time, r *Replica) Reason {
	switch {
	case wrote.IsZero():
		return ReasonNone
	case q.Now.Sub(wrote) < q.Window:
		return ReasonWroteRecently
	case !r.FreshAsOf.After(wrote):
		return ReasonReplicaBehind
	}
	return ReasonNone
}

// moreTelling picks the reason of the replica that came nearest to being
// eligible: the last check that it reached.
func moreTelling(a, b Reason) Reason {
	if telling(b) > telling(a) {
		return b
	}
	return a
}

func telling(r Reason) int {
	switch r {
	case ReasonReplicaFailed:
		return 1
	case ReasonReplicaLate:
		return 2
	case ReasonReplicaBehind:
		return 3
	case ReasonWroteRecently, ReasonUnproven:
		return 4
	}
	return 0
}

// mix is the finalizer of splitmix64: every bit of the result depends on every
// bit of x. See https://doi.org/10.1145/2714064.2660195.
func mix(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}
