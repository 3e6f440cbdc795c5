package router

import (
	"encoding/binary"
	"math/bits"
)

// lowBits and highBits have the lowest and the highest bit of each of eight
// bytes that are looked at as one number.
const (
	lowBits  = 0x0101010101010101
	highBits = 0x80 * lowBits
)

// firstZero has the highest bit of the first of eight bytes that is zero, and
// no bit below that; 0 if none is.
func firstZero(x uint64) uint64 { return (x - lowBits) &^ x & highBits }

// closingQuote is where a quoted text ends, or its length if nowhere. escape,
// and each byte that has a bit of wide, takes the next byte with it; a doubled
// quote stands for itself.
func closingQuote(text []byte, quote, escape byte, wide uint64) int {
	quotes, escapes := lowBits*uint64(quote), lowBits*uint64(escape)
	n := 0
	for n < len(text) {
		if n+8 <= len(text) {
			x := binary.LittleEndian.Uint64(text[n:])
			stops := firstZero(x^quotes) | firstZero(x^escapes) | x&wide
			if stops == 0 {
				n += 8
				continue
			}
			n += bits.TrailingZeros64(stops) / 8
		}
		switch b := text[n]; {
		case b == quote && (n+1 == len(text) || text[n+1] != quote):
			return n
		case b == quote, b == escape, uint64(b)&wide != 0:
			n += 2
		default:
			n++
		}
	}
	return len(text)
}
