package gtid

import (
	"cmp"
	"slices"
	"strings"
	"unique"
)

// flavor is the kind of a source. Sources of different flavors are never equal.
type flavor uint8

const (
	flavorMySQL flavor = iota + 1
	flavorMariaDB
	flavorFile
)

// origin is who numbered a transaction.
type origin struct {
	flavor flavor
	hi, lo uint64 // MySQL: the uuid. MariaDB: the domain and the server id
	name   string // MySQL: the tag, "" for none. File: the base name
}

// source is an origin, interned: a cluster has few of them and sets name them
// over and over. Equal origins are the same source.
type source = unique.Handle[origin]

// compareSources orders sources as servers print them: by uuid, then tag.
func compareSources(a, b source) int {
	if a == b {
		return 0
	}
	x, y := a.Value(), b.Value()
	return cmp.Or(
		cmp.Compare(x.flavor, y.flavor),
		cmp.Compare(x.hi, y.hi),
		cmp.Compare(x.lo, y.lo),
		strings.Compare(x.name, y.name),
	)
}

// span is the range of numbers from first to last, both included, of one source.
type span struct {
	source      source
	first, last uint64
}

// covers says whether everything in t is in s.
func (s span) covers(t span) bool {
	return s.source == t.source && s.first <= t.first && t.last <= s.last
}

// common returns what is in s and in t, if anything is.
func (s span) common(t span) (span, bool) {
	both := span{s.source, max(s.first, t.first), min(s.last, t.last)}
	return both, s.source == t.source && both.first <= both.last
}

// endsBefore says whether the end of s comes before the end of t in their order.
func (s span) endsBefore(t span) bool {
	if s.source == t.source {
		return s.last < t.last
	}
	return compareSources(s.source, t.source) < 0
}

// compareSpans orders spans by source, then by first number.
func compareSpans(a, b span) int {
	if a.source == b.source {
		return cmp.Compare(a.first, b.first)
	}
	return compareSources(a.source, b.source)
}

// normalise sorts spans, joins those that overlap or touch (1-5 and 6-10 are
// 1-10), and returns the result in the same memory.
func normalise(spans []span) []span {
	if len(spans) < 2 {
		return spans
	}
	slices.SortFunc(spans, compareSpans)
	n := 0
	for _, s := range spans[1:] {
		last := &spans[n]
		if s.source == last.source && (s.first <= last.last || s.first-1 == last.last) {
			last.last = max(last.last, s.last)
			continue
		}
		n++
		spans[n] = s
	}
	return spans[:n+1]
}

// search returns the index of the last of the normal spans that does not begin
// after s, the only one that can cover it, or -1.
func search(spans []span, s span) int {
	low, high := 0, len(spans)
	for low < high {
		middle := int(uint(low+high) >> 1)
		if compareSpans(spans[middle], s) <= 0 {
			low = middle + 1
		} else {
			high = middle
		}
	}
	return low - 1
}

// sameSource returns how many of the first spans have the source of the first one.
func sameSource(spans []span) int {
	n := 1
	for n < len(spans) && spans[n].source == spans[0].source {
		n++
	}
	return n
}
