package session

import (
	"time"

	"github.com/stickyproxy/stickyproxy/gtid"
)

// stamp is a time in 8 bytes instead of 24: nanoseconds since the epoch of the
// store, by the monotonic clock. 0 means never.
type stamp int64

// epoch converts between times and stamps.
type epoch struct {
	base time.Time
}

// stamp returns the stamp of t. The epoch itself, which 0 cannot name, becomes the
// nanosecond after it.
func (e epoch) stamp(t time.Time) stamp {
	if t.IsZero() {
		return 0
	}
	if d := t.Sub(e.base); d != 0 {
		return stamp(d)
	}
	return 1
}

// time returns the time of s.
func (e epoch) time(s stamp) time.Time {
	if s == 0 {
		return time.Time{}
	}
	return e.base.Add(time.Duration(s))
}

// laterStamp returns the later one; never is earlier than any time.
func laterStamp(a, b stamp) stamp {
	if a == 0 || b != 0 && b > a {
		return b
	}
	return a
}

// record is a Need as the store keeps it, a million times: 64 bytes.
type record struct {
	gtid     gtid.Set
	since    stamp
	wrote    stamp
	unproven stamp
	asOf     stamp
	readAt   stamp
	readBy   uint64
	writing  int32
}

// record returns n in the store's form, without the writes in flight.
func (e epoch) record(n Need) record {
	return record{
		gtid: n.GTID, since: e.stamp(n.Since), wrote: e.stamp(n.WroteAt), unproven: e.stamp(n.UnprovenAt),
		asOf: e.stamp(n.AsOf), readAt: e.stamp(n.ReadAt), readBy: n.ReadBy,
	}
}

// need returns r as callers see it.
func (e epoch) need(r record) Need {
	return Need{
		GTID: r.gtid, Since: e.time(r.since), WroteAt: e.time(r.wrote), UnprovenAt: e.time(r.unproven),
		AsOf: e.time(r.asOf), ReadAt: e.time(r.readAt), ReadBy: r.readBy, Writing: int(r.writing),
	}
}

// merge returns what satisfies r and o; the writes in flight stay those of r.
func (r record) merge(o record) record {
	m := record{
		gtid:     mergeGTID(r.gtid, o.gtid),
		since:    laterStamp(r.since, o.since),
		wrote:    laterStamp(r.wrote, o.wrote),
		unproven: laterStamp(r.unproven, o.unproven),
		asOf:     laterStamp(r.asOf, o.asOf),
		readAt:   laterStamp(r.readAt, o.readAt),
		writing:  r.writing,
	}
	switch {
	case o.readAt == 0, r.readBy == o.readBy:
		m.readBy = r.readBy
	case r.readAt == 0:
		m.readBy = o.readBy
	}
	return m
}

// live returns r without the times before oldest.
func (r record) live(oldest stamp) record {
	for _, s := range [...]*stamp{&r.since, &r.wrote, &r.unproven, &r.asOf, &r.readAt} {
		if *s < oldest {
			*s = 0
		}
	}
	if r.readAt == 0 {
		r.readBy = 0
	}
	return r
}

// within says whether whoever satisfies o satisfies r.
func (r record) within(o record) bool {
	return laterStamp(r.wrote, o.wrote) == o.wrote &&
		laterStamp(r.unproven, o.unproven) == o.unproven &&
		laterStamp(r.asOf, o.asOf) == o.asOf &&
		laterStamp(r.readAt, o.readAt) == o.readAt &&
		(r.readAt == 0 || o.readBy == 0 || o.readBy == r.readBy) &&
		o.gtid.Contains(r.gtid)
}
