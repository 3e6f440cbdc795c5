package backend

import (
	"sort"
	"time"

	"github.com/stickyproxy/stickyproxy/gtid"
)

// Lag is how far a replica is behind the primary. The zero Lag is unknown, which is not the same as none.
type Lag struct {
	Known bool
	D     time.Duration // age of the oldest position of the primary that the replica does not have; 0 when it has all
}

// maxSamples bounds a history. At one sample a second it is over eight minutes of a primary that always writes; then
// every second one of the older samples goes, so that a replica which is hours behind is still found to be that.
const maxSamples = 512

// sample is one position of the primary.
type sample struct {
	pos gtid.Set
	// When the first and the newest question that this position answered were sent. Every write that was
	// acknowledged before newest is in pos; some write in pos was not acknowledged, or not made, before first.
	first, newest time.Time
}

// history is the positions of one incarnation of the primary, oldest first. Each contains all before it. The zero
// history knows nothing. Not safe for concurrent use.
type history struct {
	samples []sample
}

// add records that a question sent at that time was answered with pos. A position that does not contain the last one
// went backwards (a restore, a reset): what was known before says nothing about the server as it is now. An empty
// position proves nothing: every replica would have it.
func (h *history) add(pos gtid.Set, sent time.Time) {
	if pos.IsEmpty() {
		h.forget()
		return
	}
	if n := len(h.samples); n > 0 {
		last := &h.samples[n-1]
		if last.pos.Equal(pos) {
			last.newest = sent
			return
		}
		if !pos.Contains(last.pos) {
			h.forget()
		}
	}
	h.samples = append(h.samples, sample{pos: pos, first: sent, newest: sent})
	if len(h.samples) > maxSamples {
		h.thin()
	}
}

// forget drops everything.
func (h *history) forget() { h.samples = nil }

// thin drops every second sample of the older half. A replica that is between two samples that are left counts as
// being at the older one: never fresher than it is.
func (h *history) thin() {
	kept := h.samples[:0]
	for i, s := range h.samples {
		if i%2 == 0 || i >= len(h.samples)/2 {
			kept = append(kept, s)
		}
	}
	clear(h.samples[len(kept):])
	h.samples = kept
}

// missing is the index of the oldest sample that a server with the position have does not contain; len(h.samples) when
// it contains all.
func (h *history) missing(have gtid.Set) int {
	n := len(h.samples)
	if n > 0 && have.Contains(h.samples[n-1].pos) {
		return n // by far the usual case
	}
	return sort.Search(n, func(i int) bool { return !have.Contains(h.samples[i].pos) })
}

// freshAsOf is an instant such that a server with the position have has every write that the primary acknowledged
// before it; zero when none is known.
func (h *history) freshAsOf(have gtid.Set) time.Time {
	i := h.missing(have)
	if i == 0 {
		return time.Time{}
	}
	return h.samples[i-1].newest
}

// lag is how far behind the primary a server with the position have is, at now. It is unknown where even the oldest
// position is missing: the server may be behind by much more.
func (h *history) lag(have gtid.Set, now time.Time) Lag {
	i := h.missing(have)
	switch {
	case i == 0:
		return Lag{}
	case i == len(h.samples):
		return Lag{Known: true}
	}
	return Lag{Known: true, D: max(now.Sub(h.samples[i].first), 0)}
}
