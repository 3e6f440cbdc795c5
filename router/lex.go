package router

import (
	"bytes"
	"encoding/binary"
	"math/bits"
)

// tokenKind is what a token is; a punctuation character is its own kind.
type tokenKind uint8

const (
	tokenEnd    tokenKind = iota // end of the text
	tokenWord                    // unquoted word: keyword, identifier, function name
	tokenQuoted                  // quoted identifier; start and end are inside the quotes
	tokenString                  // string literal
	tokenNumber                  // numeric literal
	tokenUser                    // user variable with its name
	tokenSystem                  // the two @ before a system variable; its name follows
	tokenAssign                  // :=
	tokenOther                   // an operator, a placeholder, a brace
)

// token is one lexical element: sql[start:end].
type token struct {
	symbol
	start int32
	end   int32
}

// symbol is what a token is, without its place.
type symbol struct {
	kind tokenKind
	id   wordID // of a word that the word table knows, or of one of our user variables
}

// key is the symbol's part in the grammar; a quoted name has none.
func (y symbol) key() key { return words.list[y.id].key }

// lexer cuts a text into tokens as the servers do it. A text on which their
// versions and flavors disagree, or that none of them accepts, sets odd: such
// a text is never a read.
//
// An executable comment (/*!50000 ... */, /*M! ... */) is code for some servers
// and a comment for others, so a text with n of them has up to 2^n readings;
// execute picks one. See https://dev.mysql.com/doc/refman/9.4/en/comments.html
// and https://mariadb.com/kb/en/comment-syntax/.
type lexer struct {
	sql         []byte
	pos         int
	ansi        bool // double quotes quote identifiers
	noBackslash bool // a backslash in a string is a backslash
	inside      bool // in an executable comment that is read as code
	odd         bool // not to be understood
	gap         bool // white space or a comment stands before the token read last
	last        symbol
	seen        uint   // executable comments met so far
	execute     uint64 // bit i: read the i-th of them as code

	program   bool    // in a stored program, whose comments are its own
	wide      bool    // a byte from 0x80 on in quotes takes the next one with it
	hinted    bool    // a comment may hold hints
	addressed bool    // one of our user variables was met
	comments  *[]span // where the comments with hints are collected; nil: nowhere
}

// Classes of bytes outside quotes and comments.
const (
	byteSpace uint8 = iota // white space
	// From here on up to byteSelf: a token starts so, and nothing else does.
	byteLetter // starts a word
	byteDigit
	byteQuote
	byteSelf // a token of its own whose kind is the character
	byteOperator
	byteSpecial // needs a look at what follows
	byteOdd     // no token starts so
	byteEnd     // no byte: the end of the text
)

var byteClass = makeByteClass()

func makeByteClass() (class [256]uint8) {
	for b := range class {
		class[b] = byteOdd
	}
	for _, set := range []struct {
		chars string
		class uint8
	}{
		{" \t\n\v\f\r", byteSpace},
		{"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_", byteLetter},
		{"0123456789", byteDigit},
		{"'\"`", byteQuote},
		{"(),;=", byteSelf},
		{"+*%<>!~^&|{}?", byteOperator},
		{"-#/@:.$", byteSpecial},
	} {
		for i := range len(set.chars) {
			class[set.chars[i]] = set.class
		}
	}
	for b := 0x80; b <= 0xff; b++ {
		class[b] = byteLetter
	}
	return class
}

// wordBytes is what may continue a word.
var wordBytes = makeWordBytes()

func makeWordBytes() (set [256]bool) {
	for b := range set {
		set[b] = byteClass[b] == byteLetter || byteClass[b] == byteDigit || b == '$'
	}
	return set
}

// wordByte tells whether b may continue a word.
func wordByte(b byte) bool { return wordBytes[b] }

// next reads the next token into t, after white space and comments.
func (l *lexer) next(t *token) {
	b, class := byte(0), byteEnd
	sql, i, gap := l.sql, l.pos, false
	for i < len(sql) {
		b = sql[i]
		class = byteClass[b]
		if class == byteSpace {
			i++
		} else if class <= byteSelf {
			break
		} else if l.pos = i; !l.passed(b) {
			break
		} else {
			i = l.pos
		}
		gap, class = true, byteEnd
	}
	l.pos, l.gap = i, gap
	t.id, t.start = wordNone, int32(i)
	switch class {
	case byteSelf:
		t.kind = tokenKind(b)
		l.pos++
	case byteLetter:
		l.word(t)
		return
	case byteQuote:
		l.quoted(t, b)
		return
	case byteDigit:
		l.number(t)
	case byteEnd:
		l.odd = l.odd || l.inside
		t.kind = tokenEnd
	default:
		l.special(t, b)
	}
	t.end = int32(l.pos)
	l.last = t.symbol
}

// passed passes a comment, or a mark of an executable one, and tells whether
// there was one.
func (l *lexer) passed(b byte) bool {
	switch {
	case b == '#', b == '-' && l.dashes():
		l.line()
	case b == '/' && l.peek(1) == '*':
		l.comment()
	case b == '*' && l.inside && l.peek(1) == '/':
		l.inside = false
		l.pos += 2
	default:
		return false
	}
	return true
}

// peek is the byte n places ahead, or 0 at the end.
func (l *lexer) peek(n int) byte {
	if l.pos+n < len(l.sql) {
		return l.sql[l.pos+n]
	}
	return 0
}

// dashes tells whether -- starts a comment: only before white space or a
// control character, or at the end.
func (l *lexer) dashes() bool {
	if l.peek(1) != '-' {
		return false
	}
	if b := l.peek(2); b > ' ' && b != 0x7f {
		return false
	} else if l.pos+2 < len(l.sql) && byteClass[b] != byteSpace {
		l.odd = true
	}
	return true
}

// line passes a comment that ends with its line. In an executable comment the
// end of that may stand in the line, and servers differ.
func (l *lexer) line() {
	n := bytes.IndexByte(l.sql[l.pos:], '\n')
	if n < 0 {
		n = len(l.sql) - l.pos
	}
	if l.inside {
		l.odd = true
	}
	l.mark(l.pos, l.pos+n)
	l.pos += n
}

// comment passes /* ... */, or enters an executable comment.
func (l *lexer) comment() {
	body := l.sql[l.pos+2:]
	n := bytes.Index(body, []byte("*/"))
	if n < 0 || l.inside {
		l.odd = true // unterminated, or nested
	}
	if n < 0 {
		l.pos = len(l.sql)
		return
	}
	switch {
	case n > 0 && body[0] == '!':
		l.executable(3, body[1:n])
	case n > 1 && body[0] == 'M' && body[1] == '!':
		l.executable(4, body[2:n])
	default:
		if n > 0 && body[0] == '+' && bytes.ContainsAny(body[:n], "'\"`") {
			l.odd = true // the end of a hint may be within its quotes
		}
		l.mark(l.pos, l.pos+2+n+2)
		l.pos += 2 + n + 2
	}
}

// executable passes or enters an executable comment, whose text starts after
// the mark and an optional version. Versions are five digits; six are a
// version for some servers, and for others five and a number.
func (l *lexer) executable(mark int, text []byte) {
	digits := 0
	for digits < len(text) && byteClass[text[digits]] == byteDigit {
		digits++
	}
	if digits != 0 && digits != 5 || bytes.Contains(text, []byte("/*")) {
		l.odd = true
	}
	if digits > 6 {
		digits = 0
	}
	run := l.execute>>min(l.seen, 63)&1 == 1
	l.seen++
	if run && !l.inside {
		l.inside = true
		l.pos += mark + digits
		return
	}
	l.pos += mark + len(text) + 2
}

// word reads an unquoted word and looks it up.
func (l *lexer) word(t *token) {
	h, high := uint32(hashSeed), byte(0)
	sql, i := l.sql, l.pos
	for i < len(sql) && wordBytes[sql[i]] {
		h = hashByte(h, sql[i])
		high |= sql[i]
		i++
	}
	if high >= 0x80 {
		// In some character sets one of these bytes is white space (0xA0 in
		// latin1), so where the word ends is not known.
		l.odd = true
	}
	t.kind, t.end = tokenWord, int32(i)
	t.id = find(words, h, sql[t.start:i])
	l.pos, l.last = i, t.symbol
}

// quoted reads a string or a quoted identifier. A doubled quote stands for
// itself.
func (l *lexer) quoted(t *token, quote byte) {
	if quote == '`' && !l.wide && l.shortName(t) {
		return
	}
	t.kind = tokenString
	escape := byte('\\')
	if quote == '`' || quote == '"' && l.ansi {
		t.kind, escape = tokenQuoted, quote
	} else if l.noBackslash {
		escape = quote
	}
	var wide uint64
	if l.wide {
		wide = highBits
	}
	l.pos++
	t.start, l.last = int32(l.pos), t.symbol
	n := closingQuote(l.sql[l.pos:], quote, escape, wide)
	t.end, l.pos = int32(l.pos+n), l.pos+n+1
	if l.pos > len(l.sql) {
		l.odd, l.pos = true, len(l.sql)
	}
}

// shortName is quoted for an identifier of up to seven bytes between backticks,
// if it is one.
func (l *lexer) shortName(t *token) bool {
	i := l.pos + 1
	if len(l.sql)-i <= 8 {
		return false
	}
	text := l.sql[i:]
	stops := firstZero(binary.LittleEndian.Uint64(text) ^ lowBits*'`')
	n := bits.TrailingZeros64(stops) / 8
	if n >= 8 || text[n+1] == '`' {
		return false
	}
	t.kind, t.start, t.end = tokenQuoted, int32(i), int32(i+n)
	l.pos, l.last = i+n+1, t.symbol
	return true
}

// special reads a token whose first byte does not tell what it is.
func (l *lexer) special(t *token, b byte) {
	t.kind = tokenOther
	l.pos++
	switch b {
	default:
		l.odd = l.odd || byteClass[b] == byteOdd
	case '@':
		l.at(t)
	case ':':
		if l.peek(0) != '=' {
			l.odd = true
			return
		}
		l.pos++
		t.kind = tokenAssign
	case '.':
		t.kind = '.'
		if byteClass[l.peek(0)] == byteDigit {
			l.point(t)
		}
	case '$':
		// MySQL 9 quotes text as $$...$$ or $tag$...$tag$; before, and in
		// MariaDB, it is a name.
		l.odd = true
	}
}

// at reads a user variable, or the two @ of a system variable.
func (l *lexer) at(t *token) {
	t.kind = tokenUser
	switch b := l.peek(0); {
	case b == '@':
		t.kind = tokenSystem
		l.pos++
	case byteClass[b] == byteQuote:
		var name token
		l.quoted(&name, b)
		l.variable(t, l.sql[name.start:name.end])
	default:
		from := l.pos
		for wordByte(l.peek(0)) || l.peek(0) == '.' {
			l.pos++
		}
		l.variable(t, l.sql[from:l.pos])
	}
}

// variable looks whether the user variable t is one of ours.
func (l *lexer) variable(t *token, name []byte) {
	if len(name) < len("sticky_pin") || name[0]|0x20 != 's' {
		return
	}
	id := find(words, hashName(name), name)
	if words.list[id].own != NameNone {
		t.id, l.addressed = id, true
	}
}
