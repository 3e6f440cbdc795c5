package session

import (
	"encoding/base64"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"time"

	"github.com/stickyproxy/stickyproxy/gtid"
)

// A token is a [Need] as a text that the application carries from one proxy to
// another, in a cookie say. It is opaque to the application:
//
//	version, 1 byte; flags, 1 byte
//	the clock of the instants, 4 bytes                  tokenClocked
//	milliseconds of that clock, as uvarints:
//	  from 1970 to the last write                       tokenClocked
//	  to that from the last write without proof         tokenUnproven, tokenClocked
//	who served the last read, 8 bytes                   tokenRead
//	the GTIDs                                           always
//	CRC-32C of all that, 4 bytes
//
// in base64 for URLs, without padding. The check sum is for cookies that were cut; it
// is no signature. None is needed: whatever a token says, it only adds to what its
// bearer must see, and so does an old one.
//
// Nothing in it is taken more lightly than it was meant. Where two processes might
// disagree about a time, the one that reads a token counts from the moment at which
// it arrived, which is never before what it tells of:
//
//   - A write in flight becomes a write without proof, at the arrival.
//   - What the primary had after a write whose answer told no GTID is what it has at the
//     arrival.
//   - A read happened at the arrival. Unless the same server serves the next one, that
//     takes a position that is asked for later.
//   - A write's time is an instant of the clock of the primary, which both processes
//     can read, and never after the arrival. If the clocks are not the same one, or
//     there is none, it is the arrival: the window starts again.
const (
	tokenVersion = 1

	// maxToken is the longest token that is read. One source takes at most 128 bytes
	// of it, tag included, and usually 50 to 80.
	maxToken = 4 << 10
)

const (
	tokenWriting = 1 << iota
	tokenWrote
	tokenUnproven
	tokenRead
	tokenClocked
	tokenAsOf
	tokenFlags = 1<<iota - 1
)

// TokenError is a text that is no token of ours.
type TokenError struct {
	Reason string // what is wrong, without the token itself
}

// Error returns the reason.
func (e *TokenError) Error() string { return "session token: " + e.Reason }

// The errors of [ParseToken].
var (
	errTokenLong     = &TokenError{"it is longer than any that is given out"}
	errTokenText     = &TokenError{"it is not base64 of the kind for URLs"}
	errTokenShort    = &TokenError{"it is too short; it may have been cut"}
	errTokenVersion  = &TokenError{"its version is not known here; a newer proxy may have given it out"}
	errTokenCheckSum = &TokenError{"its check sum does not match; it was cut or changed"}
	errTokenForm     = &TokenError{"its check sum matches, and its content makes no sense"}
)

// ErrForeignToken says that a token is of another cluster of servers.
var ErrForeignToken = errors.New("session token: it is of another cluster, whose servers this primary does not know")

// Clock is a clock that all proxies of a cluster can read: that of the primary. It
// was asked for at the time Asked, answered Says, and the answer was there at
// Answered; ID tells it from others. The zero Clock is none.
type Clock struct {
	ID              uint32
	Asked, Answered time.Time
	Says            time.Time
}

// at is what the clock showed at t, or a little later than that.
func (c Clock) at(t time.Time) time.Time { return c.Says.Add(t.Sub(c.Asked)) }

// back is when it showed t, or a little later than that.
func (c Clock) back(t time.Time) time.Time { return c.Answered.Add(t.Sub(c.Says)) }

var (
	tokenText  = base64.RawURLEncoding.Strict()
	castagnoli = crc32.MakeTable(crc32.Castagnoli)
)

// Token returns n as a token, "" if n asks for nothing. Leave out times that are too
// old to matter: see [Need.Live].
func (n Need) Token(c Clock) string {
	var few [128]byte
	b := append(few[:0], tokenVersion, 0)
	flag := func(f byte, on bool) bool {
		if on {
			b[1] |= f
		}
		return on
	}
	flag(tokenWriting, n.Writing > 0)
	wrote := later(n.WroteAt, n.UnprovenAt)
	flag(tokenWrote, !wrote.IsZero())
	flag(tokenUnproven, !n.UnprovenAt.IsZero())
	flag(tokenAsOf, !n.AsOf.IsZero())
	if flag(tokenClocked, !wrote.IsZero() && c.ID != 0) {
		b = binary.BigEndian.AppendUint32(b, c.ID)
		b = binary.AppendUvarint(b, uint64(max(c.at(wrote).Add(time.Millisecond-1).UnixMilli(), 0)))
		if !n.UnprovenAt.IsZero() {
			b = binary.AppendUvarint(b, uint64(wrote.Sub(n.UnprovenAt).Milliseconds()))
		}
	}
	if flag(tokenRead, !n.ReadAt.IsZero()) {
		b = binary.BigEndian.AppendUint64(b, n.ReadBy)
	}
	if b[1] == 0 && n.GTID.IsEmpty() {
		return ""
	}
	b = n.GTID.AppendBinary(b)
	b = binary.BigEndian.AppendUint32(b, crc32.Checksum(b, castagnoli))
	return tokenText.EncodeToString(b)
}

// ParseToken returns what must be seen by whoever bears a token, which arrived at
// now. The error is a [*TokenError]. Whether the token is of this cluster is for
// [Need.Foreign] to tell.
func ParseToken(text string, now time.Time, c Clock) (Need, error) {
	b, err := checkToken(text)
	if err != nil {
		return Need{}, err
	}
	p := tokenParser{b: b[2:], now: now, clock: c}
	n := p.need(b[1])
	if p.bad {
		return Need{}, errTokenForm
	}
	return n, nil
}

// checkToken returns the bytes of a token before the check sum.
func checkToken(text string) ([]byte, error) {
	if len(text) > maxToken {
		return nil, errTokenLong
	}
	b, err := tokenText.DecodeString(text)
	if err != nil {
		return nil, errTokenText
	}
	if len(b) == 0 {
		return nil, errTokenShort
	}
	if b[0] != tokenVersion {
		return nil, errTokenVersion
	}
	if len(b) < 7 {
		return nil, errTokenShort
	}
	b, sum := b[:len(b)-4], b[len(b)-4:]
	if binary.BigEndian.Uint32(sum) != crc32.Checksum(b, castagnoli) {
		return nil, errTokenCheckSum
	}
	return b, nil
}

// tokenParser reads what is between the flags and the check sum.
type tokenParser struct {
	b     []byte
	bad   bool
	now   time.Time
	clock Clock
}

func (p *tokenParser) need(flags byte) Need {
	var n Need
	p.bad = flags > tokenFlags || flags&(tokenUnproven|tokenClocked) != 0 && flags&tokenWrote == 0
	p.times(&n, flags)
	if flags&tokenWriting != 0 {
		n.WroteAt, n.UnprovenAt = p.now, p.now
	}
	if flags&tokenAsOf != 0 {
		n.AsOf = p.now
	}
	if flags&tokenRead != 0 {
		n.ReadAt, n.ReadBy = p.now, p.number(8)
	}
	set, rest, err := gtid.ParseBinary(p.b)
	p.bad = p.bad || err != nil || len(rest) > 0 || flags == 0 && set.IsEmpty()
	if !set.IsEmpty() {
		n.GTID, n.Since = set, p.now
	}
	return n
}

// times reads when the session wrote; the arrival where that is not told, not of the
// same clock, or later.
func (p *tokenParser) times(n *Need, flags byte) {
	wrote, unproven := p.now, p.now
	if flags&tokenClocked != 0 {
		id := uint32(p.number(4))
		at, before := p.uvarint(1<<52), uint64(0)
		if flags&tokenUnproven != 0 {
			before = p.uvarint(1 << 40)
		}
		if told := p.clock.back(time.UnixMilli(int64(at))); id == p.clock.ID && told.Before(p.now) {
			wrote, unproven = told, told.Add(-time.Duration(before)*time.Millisecond)
		}
	}
	if flags&tokenWrote != 0 {
		n.WroteAt = wrote
	}
	if flags&tokenUnproven != 0 {
		n.UnprovenAt = unproven
	}
}

// number reads n bytes.
func (p *tokenParser) number(n int) (x uint64) {
	if p.bad = p.bad || len(p.b) < n; p.bad {
		return 0
	}
	for _, c := range p.b[:n] {
		x = x<<8 | uint64(c)
	}
	p.b = p.b[n:]
	return x
}

// uvarint reads a number of at most limit.
func (p *tokenParser) uvarint(limit uint64) uint64 {
	x, size := binary.Uvarint(p.b)
	if p.bad = p.bad || size <= 0 || x > limit; p.bad {
		return 0
	}
	p.b = p.b[size:]
	return x
}

// Foreign says whether n names a server, or on MariaDB a domain, that is unknown to
// the primary, which has executed known. A server that took over a moment ago may be
// younger than known: ask the primary again before anybody is told. Where nothing is
// known of what the primary has executed, nothing is foreign.
func (n Need) Foreign(known gtid.Set) bool {
	return !known.IsEmpty() && !known.Knows(n.GTID)
}
