package router

import (
	"bytes"
	"net/url"
	"strings"
)

// Ours is what of ours is in a text: a set of bits.
type Ours uint8

const (
	// Hinted: a comment may hold hints; [ReadHints] reads them.
	Hinted Ours = 1 << iota
	// Addressed: one of our user variables is in the text; [Split] tells what
	// is to be done with it.
	Addressed
)

// Has tells whether every bit of x is in o.
func (o Ours) Has(x Ours) bool { return o&x == x }

// Name is one of the names by which clients speak to the proxy: in a hint as it
// is, in SQL as a user variable. Any other name is the application's own.
type Name uint8

const (
	NameNone    Name = iota
	NameSession      // sticky_session: whose statements these are
	NamePin          // sticky_pin: the session counts as having written now
	NameRoute        // sticky_route: primary, replica or auto
	NameToken        // sticky_token: what the session must see
	nameCount
)

var nameTexts = [nameCount]string{
	NameSession: "sticky_session", NamePin: "sticky_pin", NameRoute: "sticky_route", NameToken: "sticky_token",
}

// String is the name in lower case; NameNone has none.
func (n Name) String() string {
	if n >= nameCount {
		return "invalid"
	}
	return nameTexts[n]
}

// ParseName finds a name in any case, NameNone if it is not one of ours.
func ParseName[T string | []byte](text T) Name { return lookup(text).own }

// Fault is what is wrong with something that a client says to the proxy.
type Fault uint8

const (
	// FaultValue: the value is not one that the name can have.
	FaultValue Fault = iota
	// FaultMixed: one of our variables is where it cannot be served.
	FaultMixed
	// FaultUnknown: there is no such name.
	FaultUnknown
)

// HintError says what is wrong, and what to do about it, in a sentence that may
// be shown to the client. It does not repeat values.
type HintError struct {
	Fault Fault
	Text  string
}

// Error is the sentence.
func (e *HintError) Error() string { return e.Text }

// MayHint tells whether a text that is too long to be classified may have hints.
func MayHint(sql []byte) bool { return mentionsUs(sql) }

// Hint is one name and its value, decoded.
type Hint struct {
	Name  Name
	Value string
}

// maxHints is how many hints a text may have; a proxy adds one for a user, or
// one for each of a batch.
const maxHints = 64

// Hints are what the comments of a text say to the proxy.
type Hints struct {
	List []Hint // in the order of the text
	cuts []span // where they stand
}

// span is a part of a text: sql[from:to].
type span struct{ from, to int }

// ReadHints reads the hints in the comments of a text that [Classify] calls
// Hinted. A comment holds key=value pairs, as in
//
//	/* sticky_session=user-42 */
//	/*route='%2Fposts',sticky_session='user%2042'*/
//
// A value in quotes is URL-decoded, as in https://google.github.io/sqlcommenter/spec/;
// one without ends with white space or a comma. In a comment that is more than
// pairs, only known names are looked at, and only without space around the =.
// Literals, executable comments, optimizer hints and stored programs hold no
// hints. The error is a *[HintError].
func ReadHints(sql []byte, c Context) (Hints, error) {
	comments, sure := hintComments(sql, &c)
	var h Hints
	for _, at := range comments {
		r := hintReader{sql: sql, at: at}
		if err := r.read(); err != nil {
			return Hints{}, err
		}
		h.List = append(h.List, r.list...)
		if sure {
			h.cuts = append(h.cuts, r.cuts()...)
		}
	}
	if len(h.List) > maxHints {
		return Hints{}, &HintError{FaultValue, "The statement has more than 64 hints; split it into several statements"}
	}
	return h, nil
}

// Cut returns the text from which the hints were read without them, and without
// the comments that held nothing else: a copy, unless there is nothing to cut.
func (h *Hints) Cut(sql []byte) []byte {
	if len(h.cuts) == 0 {
		return sql
	}
	text, from := make([]byte, 0, len(sql)), 0
	for _, cut := range h.cuts {
		text = append(append(text, sql[from:cut.from]...), ' ')
		from = cut.to
	}
	return append(text, sql[from:]...)
}

// hintComments finds the comments that may hold hints. Where a byte of a
// character may look like a backslash, servers may cut the text into other
// literals than we do: then both ways count, and sure is false if they differ.
func hintComments(sql []byte, c *Context) (comments []span, sure bool) {
	comments = commentsOf(sql, c, false)
	if !c.UnsafeCharset || ascii(sql) {
		return comments, true
	}
	others := commentsOf(sql, c, true)
	sure = len(others) == len(comments)
	for _, other := range others {
		known := false
		for _, s := range comments {
			known = known || s == other
		}
		if !known {
			comments, sure = append(comments, other), false
		}
	}
	return comments, sure
}

func commentsOf(sql []byte, c *Context, wide bool) []span {
	var found []span
	s := newScanner(sql, c, 0)
	s.lex.comments, s.lex.wide = &found, wide
	s.all()
	return found
}

// mark notes a comment, sql[from:to], if it may hold hints.
func (l *lexer) mark(from, to int) {
	text := l.sql[from:to]
	if l.inside || l.program || bytes.IndexByte(text, '=') < 0 || !mentionsUs(text) || bytes.HasPrefix(text, []byte("/*+")) {
		return
	}
	l.hinted = true
	if l.comments != nil {
		*l.comments = append(*l.comments, span{from, to})
	}
}

const prefix = "STICKY_"

// mentionsUs tells whether a name that begins like ours may be in the text.
func mentionsUs(text []byte) bool {
	for from := len(prefix) - 1; from < len(text); {
		i := bytes.IndexByte(text[from:], '_')
		if i < 0 {
			return false
		}
		from += i + 1
		if foldEqual(prefix, text[from-len(prefix):from]) {
			return true
		}
	}
	return false
}

// hintReader reads one comment.
type hintReader struct {
	sql   []byte
	at    span // the comment with its marks
	pos   int
	end   int    // of what is between the marks
	pairs []pair // all that were found
	whole bool   // there is nothing else
	list  []Hint
}

// pair is a key and its value where they stand in the comment.
type pair struct {
	span
	key, value span
	quote      byte // of the value, 0 for none
	spaced     bool // white space stands around the =
	open       bool // the quote does not end
	name       Name
}

// read finds the pairs and decodes those that are hints.
func (r *hintReader) read() error {
	r.pos, r.end = r.at.from+1, r.at.to
	if r.sql[r.at.from] != '#' {
		r.pos++
	}
	if r.sql[r.at.from] == '/' {
		r.end -= 2
	}
	r.whole = true
	for r.separators(); r.pos < r.end; r.separators() {
		p, ok := r.pair()
		if ok {
			r.pairs = append(r.pairs, p)
			continue
		}
		r.whole = false
		r.word()
	}
	for i := range r.pairs {
		if err := r.judge(&r.pairs[i]); err != nil {
			return err
		}
	}
	return nil
}

// judge decodes a pair if it is a hint.
func (r *hintReader) judge(p *pair) error {
	key := r.sql[p.key.from:p.key.to]
	p.name = ParseName(key)
	switch {
	case p.name == NameNone && (!r.whole || len(key) < len(prefix) || !foldEqual(prefix, key[:len(prefix)])):
		return nil
	case p.name == NameNone:
		return &HintError{FaultUnknown, "Unknown hint '" + printable(key) +
			"'; known are sticky_session, sticky_pin, sticky_route and sticky_token"}
	case p.spaced && !r.whole:
		p.name = NameNone
		return nil
	case p.open:
		return &HintError{FaultValue, "The value of the hint " + p.name.String() + " has no closing quote; add it"}
	}
	value, err := p.decode(r.sql)
	if err != nil {
		return err
	}
	r.list = append(r.list, Hint{Name: p.name, Value: value})
	return nil
}

// printable is a name for an error text.
func printable(name []byte) string {
	return strings.ToValidUTF8(string(name[:min(len(name), 64)]), "?")
}

// decode is the value of the pair.
func (p *pair) decode(sql []byte) (string, error) {
	value := string(sql[p.value.from:p.value.to])
	if p.quote == 0 {
		return value, nil
	}
	value = strings.ReplaceAll(value, `\`+string(rune(p.quote)), string(rune(p.quote)))
	decoded, err := url.PathUnescape(value)
	if err != nil {
		return "", &HintError{FaultValue, "The value of the hint " + p.name.String() +
			" is not URL-encoded; write a percent sign as %25"}
	}
	return decoded, nil
}

func isSpace(b byte) bool { return byteClass[b] == byteSpace }

// separators passes what stands between pairs.
func (r *hintReader) separators() {
	for r.pos < r.end && (isSpace(r.sql[r.pos]) || r.sql[r.pos] == ',') {
		r.pos++
	}
}

// word passes something that is no pair.
func (r *hintReader) word() {
	for r.pos < r.end && !isSpace(r.sql[r.pos]) && r.sql[r.pos] != ',' {
		r.pos++
	}
}

func (r *hintReader) spaces() {
	for r.pos < r.end && isSpace(r.sql[r.pos]) {
		r.pos++
	}
}

// keyByte tells whether b may be in a key: that of sqlcommenter is URL-encoded.
func keyByte(b byte) bool { return wordByte(b) || b == '-' || b == '.' || b == '%' || b == '~' }

// pair reads a pair at the current position, and stays there if there is none.
func (r *hintReader) pair() (p pair, ok bool) {
	start := r.pos
	for r.pos < r.end && keyByte(r.sql[r.pos]) {
		r.pos++
	}
	p.from, p.key = start, span{start, r.pos}
	r.spaces()
	if p.key.to == start || r.pos == r.end || r.sql[r.pos] != '=' {
		r.pos = start
		return p, false
	}
	equals := r.pos
	r.pos++
	r.spaces()
	p.spaced = r.pos-p.key.to > 1
	if r.pos < r.end && (r.sql[r.pos] == '\'' || r.sql[r.pos] == '"') {
		r.quoted(&p)
	} else {
		from := r.pos
		r.word()
		p.value = span{from, r.pos}
		if r.pos == from {
			r.pos = equals + 1
		}
	}
	p.to = r.pos
	return p, true
}

// quoted reads a value in quotes.
func (r *hintReader) quoted(p *pair) {
	p.quote = r.sql[r.pos]
	r.pos++
	p.value = span{r.pos, r.end}
	for r.pos < r.end {
		b := r.sql[r.pos]
		r.pos++
		switch {
		case b == '\\' && r.pos < r.end:
			r.pos++
		case b == p.quote:
			p.value.to = r.pos - 1
			return
		}
	}
	p.open = true
}

// cuts is what to take out of the text: the comment if it has nothing but hints,
// else each hint with the separators behind it.
func (r *hintReader) cuts() []span {
	if len(r.list) == 0 {
		return nil
	}
	if r.whole && len(r.list) == len(r.pairs) {
		return []span{r.at}
	}
	var cuts []span
	for _, p := range r.pairs {
		if p.name == NameNone {
			continue
		}
		r.pos = p.to
		r.separators()
		if r.pos == r.end && p.to < r.end {
			r.pos = p.to
		}
		cuts = append(cuts, span{p.from, r.pos})
	}
	return cuts
}
