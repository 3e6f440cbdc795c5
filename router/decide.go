package router

import (
	"math"
	"time"

	"github.com/stickyproxy/stickyproxy/gtid"
)

// Need is what a session must see.
type Need struct {
	// Writing: a write of the session has no outcome yet.
	Writing bool
	// GTID holds the session's writes whose GTID is known; between the first
	// and the last number of a source it may name others, and some that never
	// were. Since is when it was raised last; zero: longer ago than any lag
	// or window.
	GTID  gtid.Set
	Since time.Time
	// WroteAt is the end of the last write, GTID known or not; zero: none.
	WroteAt time.Time
	// UnprovenAt is the end of the last write whose GTID is not known or
	// whose outcome is unknown; zero: none.
	UnprovenAt time.Time
	// ReadAt is when the session's last read ended, and ReadBy the
	// [Replica].ID of the server that served it, 0 when no single one did.
	// Whoever serves the next one must have what that one had then. Zero:
	// nothing was read.
	ReadAt time.Time
	ReadBy uint64
	// AsOf: every write that was acknowledged before this instant must be
	// seen, whoever made it; zero: none.
	AsOf time.Time
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
	// Reason is [ReasonRead] or [ReasonReadUnproven] for a replica, else why
	// it is the primary.
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
	last := q.lastRead(v)
	if i := q.preferred(v); i >= 0 && q.check(i, v, last) == ReasonNone {
		return q.serves(i, v)
	}
	if last >= 0 && q.check(last, v, last) == ReasonNone {
		return q.serves(last, v)
	}
	if i := q.draw(v, last); i >= 0 {
		return q.serves(i, v)
	}
	return q.pick(v, last)
}

// serves is the decision for replica i, which passed the check.
func (q *Query) serves(i int, v *View) Decision {
	have := v.Replicas[i].Executed
	if !q.Need.UnprovenAt.IsZero() || !have.Contains(q.Need.GTID) && (q.Mode == Eventual || have.SilentOn(q.Need.GTID)) {
		return Decision{Replica: i, Reason: ReasonReadUnproven}
	}
	return Decision{Replica: i, Reason: ReasonRead}
}

// lastRead finds the replica that served the session's last read, or -1.
func (q *Query) lastRead(v *View) int {
	if q.Need.ReadBy == 0 || q.Need.ReadAt.IsZero() {
		return -1
	}
	if i := q.PreferAt; i >= 0 && i < len(v.Replicas) && v.Replicas[i].ID == q.Need.ReadBy {
		return i
	}
	for i := range v.Replicas {
		if v.Replicas[i].ID == q.Need.ReadBy {
			return i
		}
	}
	return -1
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

// draws is how many replicas are drawn before all are looked at, and how many there
// must be more than for that to be worth it.
const draws = 4

// draw picks replicas at random, each in proportion to its weight, until one is
// eligible: among those that are, the choice is as fair as that of pick, and it does
// not take longer the more there are. It is -1 after a few that were not.
func (q *Query) draw(v *View, last int) int {
	n := uint64(len(v.Replicas))
	if n <= draws || v.Heaviest <= 0 {
		return -1
	}
	for k := range uint64(draws) {
		x := mix(^q.Rand + k)
		i := int(x >> 32 * n >> 32)
		if x&math.MaxUint32*uint64(v.Heaviest)>>32 >= uint64(max(v.Replicas[i].Weight, 1)) {
			continue // as often as it is lighter than the heaviest one
		}
		if q.check(i, v, last) == ReasonNone {
			return i
		}
	}
	return -1
}

// pick chooses among the eligible replicas by weight in one pass: each new one
// replaces the choice so far with probability weight / weight of all so far.
func (q *Query) pick(v *View, last int) Decision {
	chosen, total, best := -1, uint64(0), ReasonNoReplica
	for i := range v.Replicas {
		if why := q.check(i, v, last); why != ReasonNone {
			best = moreTelling(best, why)
			continue
		}
		w := uint64(max(v.Replicas[i].Weight, 1))
		total += w
		if mix(q.Rand+uint64(i))%total < w {
			chosen = i
		}
	}
	if chosen < 0 {
		return Decision{Replica: -1, Reason: best}
	}
	return q.serves(chosen, v)
}

// check is why replica i may not serve the query, or ReasonNone when it may.
func (q *Query) check(i int, v *View, last int) Reason {
	r := &v.Replicas[i]
	switch {
	case q.Tried != 0 && (i >= 64 || q.Tried>>uint(i)&1 == 1):
		return ReasonReplicaFailed
	case !r.Up || !r.Replicating || !r.ReadOnly:
		return ReasonNoReplica
	case r.FreshAsOf.IsZero() || q.Now.Sub(r.FreshAsOf) > q.MaxLag:
		return ReasonReplicaLate
	}
	if q.Mode == Eventual {
		return ReasonNone
	}
	if why := q.lacksWrites(r, v); why != ReasonNone {
		return why
	}
	if !q.Need.AsOf.IsZero() && !r.FreshAsOf.After(q.Need.AsOf) {
		return ReasonReplicaBehind
	}
	return q.lacksReads(i, v, last)
}

// lacksWrites is why the replica is not known to have the session's writes.
func (q *Query) lacksWrites(r *Replica, v *View) Reason {
	switch q.Mode {
	case Window:
		return q.waited(q.Need.WroteAt, r)
	case GTID:
		if why := q.outlived(q.Need.UnprovenAt, r, v); why != ReasonNone {
			return why
		}
	default:
		if why := q.waited(q.Need.UnprovenAt, r); why != ReasonNone {
			return why
		}
	}
	if r.Executed.Contains(q.Need.GTID) {
		return ReasonNone
	}
	return q.lacksGTID(r, v)
}

// lacksGTID looks again at a replica that does not have all of the need's GTIDs. What
// the primary does not have either, though it was asked since, never was. And on
// MariaDB a position says nothing about the writes of an earlier primary: they count
// as writes without a GTID.
func (q *Query) lacksGTID(r *Replica, v *View) Reason {
	n, has := &q.Need, v.PrimaryHas
	if !n.compares(v, q.Now, q.MaxLag) {
		return ReasonReplicaBehind
	}
	ends := has.ContainsEnds(n.GTID)
	if ends && r.Executed.ContainsCommon(n.GTID, has) {
		return ReasonNone
	}
	if (ends || has.SilentOn(n.GTID)) && r.Executed.SilentOn(n.GTID) {
		if q.Mode == GTID {
			return ReasonUnproven
		}
		return q.waited(n.Since, r)
	}
	return ReasonReplicaBehind
}

// compares says whether what is known of the primary is newer than the last write in
// n, and not older than maxAge.
func (n *Need) compares(v *View, now time.Time, maxAge time.Duration) bool {
	return !v.PrimaryHas.IsEmpty() && v.PrimaryAsked.After(n.Since) && now.Sub(v.PrimaryAsked) <= maxAge
}

// lacksReads is why replica i is not known to have what the session has read. The
// replica that served the last read, which is at index last, has. Another one has it
// if it has what the primary, or that replica, had when it was asked later.
func (q *Query) lacksReads(i int, v *View, last int) Reason {
	r := &v.Replicas[i]
	if q.Need.ReadAt.IsZero() || i == last || r.FreshAsOf.After(q.Need.ReadAt) {
		return ReasonNone
	}
	if last >= 0 {
		l := &v.Replicas[last]
		if l.ShownAt.After(q.Need.ReadAt) && r.Executed.Contains(l.Shown) {
			return ReasonNone
		}
	}
	return ReasonReadElsewhere
}

// outlived checks a write without proof where only GTIDs are one: the replica must
// have what the primary had when a window had passed, which is how long a server may
// work on a statement whose connection was lost.
func (q *Query) outlived(wrote time.Time, r *Replica, v *View) Reason {
	switch {
	case wrote.IsZero():
		return ReasonNone
	case v.PrimaryHas.IsEmpty():
		return ReasonUnproven
	case q.Now.Sub(wrote) < q.Window:
		return ReasonWroteRecently
	case !r.FreshAsOf.After(wrote.Add(q.Window)):
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

// Lost says whether a write in n is gone: the primary was asked after the last of them
// became known, not longer than maxAge ago, and lacks it. Left is what of n.GTID it has.
func (n *Need) Lost(v *View, now time.Time, maxAge time.Duration) (left gtid.Set, lost bool) {
	if !n.compares(v, now, maxAge) || v.PrimaryHas.ContainsEnds(n.GTID) || v.PrimaryHas.SilentOn(n.GTID) {
		return n.GTID, false
	}
	return n.GTID.Intersect(v.PrimaryHas), true
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
	case ReasonReadElsewhere:
		return 4
	case ReasonWroteRecently, ReasonUnproven:
		return 5
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
