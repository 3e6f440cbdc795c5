package gtid

import (
	"encoding/binary"
	"encoding/hex"
	"math"
	"strconv"
	"unique"
)

const (
	mysqlKind = "MySQL GTID set"
	uuidSize  = 36
	maxTag    = 32
)

// ParseMySQL reads a GTID set of MySQL as @@gtid_executed, an OK packet or a
// person writes it: "uuid:1-5:7:tag:1-3,\nuuid2:9". The order, the case of
// letters and white space around the parts do not matter; intervals that overlap
// or touch are joined; a set of nothing is the empty set. Numbers are 1 to
// 2^63-1. The error is a [*SyntaxError].
//
// See https://dev.mysql.com/doc/refman/8.4/en/replication-gtids-concepts.html.
func ParseMySQL(s string) (Set, error) {
	p := parser{kind: mysqlKind, text: s}
	var few [8]span
	spans := few[:0]
	for p.next() {
		spans = p.mysqlItem(spans)
	}
	if p.err != nil {
		return Set{}, p.err
	}
	return newSet(normalise(spans)), nil
}

// mysqlItem reads "uuid:part:part...", where a part is an interval, or the tag of
// the intervals after it.
func (p *parser) mysqlItem(spans []span) []span {
	from := origin{flavor: flavorMySQL}
	from.hi, from.lo = p.uuid()
	current, empty := unique.Make(from), true
	for p.accept(':') {
		if isTagStart(p.peek()) && (!empty || from.name == "") {
			from.name = p.tag()
			current, empty = unique.Make(from), true
			continue
		}
		s := p.interval()
		s.source, empty = current, false
		spans = append(spans, s)
	}
	if empty {
		p.fail(p.at, "expected ':' and an interval")
	}
	return spans
}

// uuid reads a server's uuid: 8-4-4-4-12 hexadecimal digits.
func (p *parser) uuid() (hi, lo uint64) {
	for i := range uuidSize {
		c := p.peek()
		if i == 8 || i == 13 || i == 18 || i == 23 {
			if c != '-' {
				p.fail(p.at, "expected '-' in the uuid")
				return 0, 0
			}
		} else {
			digit, ok := hexDigit(c)
			if !ok {
				p.fail(p.at, "expected a hexadecimal digit of a uuid")
				return 0, 0
			}
			hi, lo = hi<<4|lo>>60, lo<<4|digit
		}
		p.at++
	}
	return hi, lo
}

// tag reads a tag; tags are case-insensitive and servers print them in lower case.
func (p *parser) tag() string {
	begin := p.at
	for isTagStart(p.peek()) || isDigit(p.peek()) {
		p.at++
	}
	tag := lower(p.text[begin:p.at])
	if len(tag) > maxTag {
		p.fail(begin, "tag longer than 32 characters")
	}
	return tag
}

// interval reads "5" or "5-9".
func (p *parser) interval() span {
	begin := p.at
	s := span{first: p.number(math.MaxInt64)}
	s.last = s.first
	if p.accept('-') {
		s.last = p.number(math.MaxInt64)
	}
	if s.first == 0 || s.last < s.first {
		p.fail(begin, "expected an interval of numbers from 1, the smaller one first")
	}
	return s
}

// lower returns s with ASCII letters in lower case.
func lower(s string) string {
	b := []byte(s)
	for i, c := range b {
		if 'A' <= c && c <= 'Z' {
			b[i] = c + 'a' - 'A'
		}
	}
	return string(b)
}

func hexDigit(c byte) (uint64, bool) {
	switch {
	case isDigit(c):
		return uint64(c - '0'), true
	case 'a' <= c && c <= 'f':
		return uint64(c - 'a' + 10), true
	case 'A' <= c && c <= 'F':
		return uint64(c - 'A' + 10), true
	}
	return 0, false
}

func isTagStart(c byte) bool {
	return c == '_' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z'
}

// appendMySQL appends the text of the first spans, all that have the same uuid,
// and returns the other spans. The untagged intervals come first, then each tag
// with its own, as servers print them.
func appendMySQL(dst []byte, spans []span) ([]byte, []span) {
	from := spans[0].source.Value()
	dst = appendUUID(dst, from)
	tag := ""
	for len(spans) > 0 {
		o := spans[0].source.Value()
		if o.flavor != from.flavor || o.hi != from.hi || o.lo != from.lo {
			break
		}
		if o.name != tag {
			tag = o.name
			dst = append(append(dst, ':'), tag...)
		}
		dst = strconv.AppendUint(append(dst, ':'), spans[0].first, 10)
		if spans[0].last != spans[0].first {
			dst = strconv.AppendUint(append(dst, '-'), spans[0].last, 10)
		}
		spans = spans[1:]
	}
	return dst, spans
}

// appendUUID appends the uuid of o in lower case.
func appendUUID(dst []byte, o origin) []byte {
	var raw [16]byte
	binary.BigEndian.PutUint64(raw[:8], o.hi)
	binary.BigEndian.PutUint64(raw[8:], o.lo)
	for i, part := range [][]byte{raw[:4], raw[4:6], raw[6:8], raw[8:10], raw[10:]} {
		if i > 0 {
			dst = append(dst, '-')
		}
		dst = hex.AppendEncode(dst, part)
	}
	return dst
}
