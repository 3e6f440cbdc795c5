package gtid

import (
	"fmt"
	"math"
)

// SyntaxError is a position text that could not be understood.
type SyntaxError struct {
	Kind   string // what was expected: "MySQL GTID set", "MariaDB GTID list", "binlog position"
	Offset int    // index of the byte where understanding ended; the text's length when it is too short
	Reason string // what was expected there, without the text itself
}

// Error returns the kind, the place and the reason. It does not repeat the text,
// which may come from a client and be long.
func (e *SyntaxError) Error() string {
	return fmt.Sprintf("%s, byte %d: %s", e.Kind, e.Offset, e.Reason)
}

// parser reads a position text from left to right. After the first error it reads
// on as if at the end of the text, so that err needs to be looked at only once.
type parser struct {
	kind string
	text string
	at   int
	item bool // an item was read: a comma or the end is next
	err  error
}

// fail ends the reading; the first error counts.
func (p *parser) fail(at int, reason string) {
	if p.err == nil {
		p.err = &SyntaxError{Kind: p.kind, Offset: at, Reason: reason}
	}
	p.text, p.at = "", 0
}

// peek returns the next byte, or 0 at the end.
func (p *parser) peek() byte {
	if p.at == len(p.text) {
		return 0
	}
	return p.text[p.at]
}

// space skips white space: servers print a line break after each comma.
func (p *parser) space() {
	for p.at < len(p.text) {
		switch p.text[p.at] {
		case ' ', '\t', '\n', '\r', '\v', '\f':
			p.at++
		default:
			return
		}
	}
}

// accept skips white space on both sides of c, and c, if c is next.
func (p *parser) accept(c byte) bool {
	p.space()
	if p.at == len(p.text) || p.text[p.at] != c {
		return false
	}
	p.at++
	p.space()
	return true
}

// next moves to the next item of a list separated by commas and says whether there
// is one. Empty items are passed over, as servers do.
func (p *parser) next() bool {
	p.space()
	if p.item && p.at < len(p.text) && p.text[p.at] != ',' {
		p.fail(p.at, "expected a comma or the end")
	}
	for p.accept(',') {
	}
	p.item = p.at < len(p.text)
	return p.item
}

// number reads a decimal number of at most limit.
func (p *parser) number(limit uint64) uint64 {
	begin, n := p.at, uint64(0)
	for ; isDigit(p.peek()); p.at++ {
		d := uint64(p.text[p.at] - '0')
		if n > (math.MaxUint64-d)/10 || n*10+d > limit {
			p.fail(begin, fmt.Sprintf("number greater than %d", limit))
			return 0
		}
		n = n*10 + d
	}
	if p.at == begin {
		p.fail(begin, "expected a number")
	}
	return n
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }
