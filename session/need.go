package session

import (
	"time"

	"github.com/stickyproxy/stickyproxy/gtid"
)

// maxIntervals is how many intervals a merged need keeps of one source. A session
// writes between the writes of others, so nearly every write of its own would add
// one; a single interval, from the first write to the last, keeps a record small.
// The writes in between are nearly always older than the last one on a replica too.
const maxIntervals = 1

// Need is what a session must see. The zero Need is satisfied by any server.
type Need struct {
	// GTID is the writes whose GTID is known, and the transactions of the same
	// source between them. Some of these may never have existed; before it waits for
	// them, a caller intersects the set with what the primary has executed.
	GTID gtid.Set
	// Since is when GTID was raised last. A position of the primary that was asked
	// for later and lacks some of it shows that this is lost, or never was. Zero: GTID
	// is empty, or has not been raised for long.
	Since time.Time
	// WroteAt is when the outcome of the last write became known, whether its GTID
	// is known or not. Zero: no write is known.
	WroteAt time.Time
	// UnprovenAt is when the last write ended whose GTID is not known, or whose
	// outcome is not. Zero: there is none.
	UnprovenAt time.Time
	// AsOf: whatever the primary had by then must be there. That is so after a write
	// that ended with an answer which does not tell its GTIDs. Zero: nothing.
	AsOf time.Time
	// ReadAt is when the last read of the session ended, and ReadBy the server that
	// served it: the number that its user gave it, or 0 when no single one did.
	// Another server must have what ReadBy had at ReadAt. Zero: nothing was read.
	ReadAt time.Time
	ReadBy uint64
	// Writing is the number of writes in flight; while it is not 0 only the primary
	// can have everything.
	Writing int
}

// Merge returns a need that is satisfied only where n and o both are: the union of
// the GTIDs, the later of the times, the greater number of writes in flight.
func (n Need) Merge(o Need) Need {
	m := Need{
		GTID:       mergeGTID(n.GTID, o.GTID),
		Since:      later(n.Since, o.Since),
		WroteAt:    later(n.WroteAt, o.WroteAt),
		UnprovenAt: later(n.UnprovenAt, o.UnprovenAt),
		AsOf:       later(n.AsOf, o.AsOf),
		ReadAt:     later(n.ReadAt, o.ReadAt),
		Writing:    max(n.Writing, o.Writing),
	}
	switch {
	case o.ReadAt.IsZero(), n.ReadBy == o.ReadBy:
		m.ReadBy = n.ReadBy
	case n.ReadAt.IsZero():
		m.ReadBy = o.ReadBy
	}
	return m
}

// Live returns n without the times before oldest; see [Options].Window.
func (n Need) Live(oldest time.Time) Need {
	for _, t := range []*time.Time{&n.Since, &n.WroteAt, &n.UnprovenAt, &n.AsOf, &n.ReadAt} {
		if t.Before(oldest) {
			*t = time.Time{}
		}
	}
	if n.ReadAt.IsZero() {
		n.ReadBy = 0
	}
	return n
}

// mergeGTID returns a small set that contains a and b. If one of them contains the
// other, that is the one, however many intervals it has.
func mergeGTID(a, b gtid.Set) gtid.Set {
	if a.Contains(b) {
		return a
	}
	if b.Contains(a) {
		return b
	}
	return a.Union(b).Collapse(maxIntervals)
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

// Write is how a write ended.
type Write struct {
	// At is when its outcome became known: the end of COMMIT, not of UPDATE. Zero
	// means now.
	At time.Time
	// GTID is what the server reported for it. An empty set means that it reported
	// nothing, and the write is unproven.
	GTID gtid.Set
	// Unproven says that GTID is not all of it, or that the outcome is not known:
	// the connection broke, or the server answered with an error, which carries no
	// GTID and does not say that nothing was written.
	Unproven bool
	// Answered says that the server has answered and gives each transaction a GTID:
	// what there is of the write beyond GTID, if anything, the primary has when it is
	// asked after At. Then Unproven means no more than that.
	Answered bool
	// None says that nothing was written, for certain; the other fields are ignored.
	None bool
}

// rest says what shows that a server has what there may be of the write beyond its
// GTID: that the primary was asked since, or only time. Both are false when there is
// no more.
func (w Write) rest() (asked, waited bool) {
	more := w.Unproven || w.GTID.IsEmpty()
	return more && w.Answered, more && !w.Answered
}

// Read is how a read ended.
type Read struct {
	// At is when it ended, and By the server that served it, see [Need].ReadBy.
	At time.Time
	By uint64
	// Saw is what the session had to see when the server was chosen: the server had
	// all that. What was read elsewhere since, it may lack.
	Saw Need
}

// follows says whether the server of r had what a session had read whose last read
// was served by that server and ended at that time.
func (r Read) follows(by uint64, at time.Time) bool {
	return at.IsZero() || by == r.By || by == r.Saw.ReadBy && at.Equal(r.Saw.ReadAt)
}
