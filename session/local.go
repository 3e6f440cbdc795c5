package session

import "time"

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
	l.need.WroteAt = later(l.need.WroteAt, at)
	if w.unproven() {
		l.need.UnprovenAt = later(l.need.UnprovenAt, at)
	}
}

// Pin acts as if the connection had written at the time at, with an unknown GTID.
func (l *Local) Pin(at time.Time) {
	l.need.WroteAt = later(l.need.WroteAt, at)
	l.need.UnprovenAt = later(l.need.UnprovenAt, at)
}
