package gtid

import "slices"

// Set is a replication position. It is immutable, safe for concurrent use and
// the size of a pointer. The zero Set is the empty one: it contains nothing and
// every set contains it.
//
// Compare sets by [Set.Equal]. The operator == is allowed and quick, but says
// only whether both are the same value in memory: equal sets may differ in it.
type Set struct {
	b *body
}

// body is what a Set points to: its spans, which are normal (see normalise) and not
// empty. A set of one span, which is what a write gets and what most sessions keep,
// takes 32 bytes.
type body struct {
	one  [1]span
	more *[]span // all of them, if there are several; else nil
}

// newSet makes a Set of spans that are normal. It copies them, so that callers
// may collect spans on their stack.
func newSet(spans []span) Set {
	switch len(spans) {
	case 0:
		return Set{}
	case 1:
		return Set{&body{one: [1]span{spans[0]}}}
	}
	several := slices.Clone(spans)
	return Set{&body{more: &several}}
}

// list returns the spans of a, for reading only.
func (a Set) list() []span {
	switch {
	case a.b == nil:
		return nil
	case a.b.more != nil:
		return *a.b.more
	}
	return a.b.one[:]
}

// IsEmpty says whether a contains nothing.
func (a Set) IsEmpty() bool { return a.b == nil }

// Contains says whether everything in b is in a: the proof that a server at
// position a has the writes b. Positions of different flavors prove nothing about
// each other: the answer is false unless b is empty. It does not allocate.
func (a Set) Contains(b Set) bool {
	if a.b == b.b || b.b == nil {
		return true
	}
	have := a.list()
	for _, s := range b.list() {
		i := search(have, s)
		if i < 0 || !have[i].covers(s) {
			return false
		}
		have = have[i:] // b is sorted: the next span is not before this one
	}
	return true
}

// Equal says whether a and b contain the same.
func (a Set) Equal(b Set) bool {
	return a.b == b.b || slices.Equal(a.list(), b.list())
}

// Union returns what is in a or in b. When one of them contains the other, that
// one is returned as it is, without an allocation. Sets of different flavors may
// be united; only a set that has both parts contains such a union.
func (a Set) Union(b Set) Set {
	if a.Contains(b) {
		return a
	}
	if b.Contains(a) {
		return b
	}
	var few [8]span
	all := append(append(few[:0], a.list()...), b.list()...)
	return newSet(normalise(all))
}

// Intersect returns what is in a and in b. It is meant for MySQL: the range that
// [Set.Collapse] makes may name transactions that never existed, and the
// intersection with what the primary has executed is free of them. It forgets
// what b does not have, so b has to be everything that may still be asked for.
func (a Set) Intersect(b Set) Set {
	if b.Contains(a) {
		return a
	}
	var few [8]span
	both := few[:0]
	x, y := a.list(), b.list()
	for len(x) > 0 && len(y) > 0 {
		if s, ok := x[0].common(y[0]); ok {
			both = append(both, s)
		}
		if x[0].endsBefore(y[0]) {
			x = x[1:]
		} else {
			y = y[1:]
		}
	}
	return newSet(both)
}

// ContainsEnds says whether the first and the last number of each span of b are in a:
// those that are no invention of [Set.Collapse]. It does not allocate.
func (a Set) ContainsEnds(b Set) bool {
	for _, s := range b.list() {
		first, last := span{s.source, s.first, s.first}, span{s.source, s.last, s.last}
		if s.first != 0 && !a.covers(first) || !a.covers(last) {
			return false
		}
	}
	return true
}

// covers says whether everything in s is in a.
func (a Set) covers(s span) bool {
	have := a.list()
	i := search(have, s)
	return i >= 0 && have[i].covers(s)
}

// ContainsCommon says whether everything that is both in b and in c is in a. It does
// not allocate.
func (a Set) ContainsCommon(b, c Set) bool {
	x, y := b.list(), c.list()
	for len(x) > 0 && len(y) > 0 {
		if s, ok := x[0].common(y[0]); ok && !a.covers(s) {
			return false
		}
		if x[0].endsBefore(y[0]) {
			x = x[1:]
		} else {
			y = y[1:]
		}
	}
	return true
}

// SilentOn says whether a does not tell if what it lacks of b is there: a position of
// MariaDB names the last writer of each domain, and says nothing about those before
// it. It is false where a lacks nothing.
func (a Set) SilentOn(b Set) bool {
	silent := false
	for _, s := range b.list() {
		if a.covers(s) {
			continue
		}
		if o := s.source.Value(); o.flavor != flavorMariaDB || !a.knows(o) || a.names(s.source) {
			return false
		}
		silent = true
	}
	return silent
}

// names says whether a has a span of that source.
func (a Set) names(from source) bool {
	for _, s := range a.list() {
		if s.source == from {
			return true
		}
	}
	return false
}

// Collapse returns a set that contains a and has at most limit spans per source
// (at least 1): a source that has more keeps one span, from its first number to
// its last. So a set that grows by one write at a time stays small. The result is
// stricter than a: it names the transactions in the gaps too, which may never come
// to exist (see [Set.Intersect]).
func (a Set) Collapse(limit int) Set {
	spans := a.list()
	if len(spans) <= max(limit, 1) {
		return a
	}
	var few [8]span
	kept := few[:0]
	for len(spans) > 0 {
		n := sameSource(spans)
		if n > max(limit, 1) {
			kept = append(kept, span{spans[0].source, spans[0].first, spans[n-1].last})
		} else {
			kept = append(kept, spans[:n]...)
		}
		spans = spans[n:]
	}
	if len(kept) == len(a.list()) {
		return a
	}
	return newSet(kept)
}
