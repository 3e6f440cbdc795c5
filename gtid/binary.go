package gtid

import (
	"encoding/binary"
	"errors"
	"unique"
)

// ErrBinary is the error of [ParseBinary].
var ErrBinary = errors.New("malformed binary position")

// AppendBinary appends s in a form that is shorter than its text and that
// [ParseBinary] reads: for each span the flavor, the source and the two numbers.
func (a Set) AppendBinary(dst []byte) []byte {
	spans := a.list()
	dst = binary.AppendUvarint(dst, uint64(len(spans)))
	var before source
	for _, s := range spans {
		if s.source == before {
			dst = append(dst, 0) // the same source again
		} else {
			dst = s.source.Value().appendBinary(dst)
		}
		before = s.source
		dst = binary.AppendUvarint(dst, s.first)
		dst = binary.AppendUvarint(dst, s.last-s.first)
	}
	return dst
}

// appendBinary appends the flavor and what the flavor has.
func (o origin) appendBinary(dst []byte) []byte {
	dst = append(dst, byte(o.flavor))
	switch o.flavor {
	case flavorMySQL:
		dst = binary.BigEndian.AppendUint64(dst, o.hi)
		dst = binary.BigEndian.AppendUint64(dst, o.lo)
	case flavorMariaDB:
		dst = binary.AppendUvarint(dst, o.hi)
		return binary.AppendUvarint(dst, o.lo)
	}
	dst = binary.AppendUvarint(dst, uint64(len(o.name)))
	return append(dst, o.name...)
}

// ParseBinary reads what [Set.AppendBinary] appended, and returns what follows it.
// What does not have exactly that form is an error that wraps [ErrBinary].
func ParseBinary(b []byte) (s Set, rest []byte, err error) {
	p := binaryParser{b: b}
	n := p.number()
	var few [8]span
	spans := few[:0]
	var current source
	for i := uint64(0); i < n && !p.bad; i++ {
		if kind := p.byte(); kind != 0 || i == 0 {
			before := current
			current = unique.Make(p.origin(flavor(kind)))
			p.bad = p.bad || current == before
		}
		x := span{source: current, first: p.number()}
		x.last = x.first + p.number()
		p.check(x)
		spans = append(spans, x)
	}
	if p.bad {
		return Set{}, nil, ErrBinary
	}
	normal := normalise(append([]span(nil), spans...))
	for i := range spans {
		if len(normal) != len(spans) || normal[i] != spans[i] {
			return Set{}, nil, ErrBinary // there is one form of each set
		}
	}
	return newSet(normal), p.b, nil
}

// binaryParser reads from the front of b. After the first mistake it reads zeros.
type binaryParser struct {
	b   []byte
	bad bool
}

func (p *binaryParser) take(n uint64) []byte {
	if n > uint64(len(p.b)) {
		p.b, p.bad = nil, true
		return nil
	}
	taken := p.b[:n]
	p.b = p.b[n:]
	return taken
}

func (p *binaryParser) byte() byte {
	if b := p.take(1); b != nil {
		return b[0]
	}
	return 0
}

func (p *binaryParser) number() uint64 {
	x, n := binary.Uvarint(p.b)
	if n <= 0 || n > 1 && p.b[n-1] == 0 { // one form of each number
		p.b, p.bad = nil, true
		return 0
	}
	p.b = p.b[n:]
	return x
}

func (p *binaryParser) word() uint64 {
	if b := p.take(8); b != nil {
		return binary.BigEndian.Uint64(b)
	}
	return 0
}

func (p *binaryParser) origin(f flavor) origin {
	o := origin{flavor: f}
	switch f {
	case flavorMySQL:
		o.hi, o.lo = p.word(), p.word()
	case flavorMariaDB:
		o.hi, o.lo = p.number(), p.number()
		return o
	case flavorFile:
	default:
		p.bad = true
		return o
	}
	o.name = string(p.take(p.number()))
	return o
}

// check notes numbers and names that no set has.
func (p *binaryParser) check(s span) {
	o := s.source.Value()
	ok := s.first <= s.last
	switch o.flavor {
	case flavorMySQL:
		ok = ok && s.first > 0 && s.last <= 1<<63-1 && isTag(o.name)
	case flavorMariaDB:
		ok = ok && s.first == 0 && o.hi <= 1<<32-1 && o.lo <= 1<<32-1
	case flavorFile:
		ok = ok && s.first == 0 && o.name != "" && s.last>>offsetBits <= 1<<31-1
	}
	p.bad = p.bad || !ok
}

// isTag says whether name is a tag as [parser.tag] returns it, or none.
func isTag(name string) bool {
	for i := range len(name) {
		c := name[i]
		if c != lower(name[i : i+1])[0] || !isTagStart(c) && (i == 0 || !isDigit(c)) {
			return false
		}
	}
	return len(name) <= maxTag
}

// Knows says whether every server that numbered transactions of b has numbered some
// of a: on MySQL a server is its uuid, on MariaDB it counts by its domain. Where a is
// what a cluster has executed, false means that b is of another cluster, or of a
// server that is younger than a.
func (a Set) Knows(b Set) bool {
	for _, s := range b.list() {
		if !a.knows(s.source.Value()) {
			return false
		}
	}
	return true
}

func (a Set) knows(o origin) bool {
	for _, s := range a.list() {
		x := s.source.Value()
		same := x.flavor == o.flavor && x.hi == o.hi
		switch o.flavor {
		case flavorMySQL:
			same = same && x.lo == o.lo
		case flavorFile:
			same = same && x.name == o.name
		}
		if same {
			return true
		}
	}
	return false
}
