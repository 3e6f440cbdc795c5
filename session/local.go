package session

import (
	"time"

	"github.com/stickyproxy/stickyproxy/gtid"
)

// Local is the record of a client connection that names no session. It lives as
// long as the connection, which owns it: only the connection's goroutine may use
// it. No floor applies to it, because it is never forgotten. The zero Local has
// written nothing.
type Local struct {
	need Need
}

// Need returns what the connection must see.
func (l *Local) Need() Need { return l.need }

// Begin notes that a write is about to be sent.
func (l *Local) Begin() { l.need.Writing++ }

// End notes how a write ended. Every End belongs to a Begin before it.
func (l *Local) End(w Write) {
	if l.need.Writing == 0 {
		panic("BUG: session: End without Begin")
	}
	l.need.Writing--
	if w.None {
		return
	}
	at := w.At
	if at.IsZero() {
		at = time.Now()
	}
	l.need.GTID = mergeGTID(l.need.GTID, w.GTID)
	if !w.GTID.IsEmpty() {
		l.need.Since = later(l.need.Since, at)
	}
	l.need.WroteAt = later(l.need.WroteAt, at)
	switch asked, waited := w.rest(); {
	case asked:
		l.need.AsOf = later(l.need.AsOf, at)
	case waited:
		l.need.UnprovenAt = later(l.need.UnprovenAt, at)
	}
}

// Pin acts as if the connection had written at the time at, with an unknown GTID.
func (l *Local) Pin(at time.Time) {
	l.need.WroteAt = later(l.need.WroteAt, at)
	l.need.UnprovenAt = later(l.need.UnprovenAt, at)
}

// Read notes a read that ended.
func (l *Local) Read(r Read) { l.need.ReadAt, l.need.ReadBy = later(l.need.ReadAt, r.At), r.By }

// Raise adds n to what the connection must see, but for its writes in flight.
func (l *Local) Raise(n Need) {
	n.Writing = 0
	l.need = l.need.Merge(n)
}

// Release ends the wait for transactions that were lost or never were: see
// [Store.Release].
func (l *Local) Release(was, left gtid.Set) {
	if l.need.GTID.Equal(was) {
		l.need.GTID = left
	}
}
