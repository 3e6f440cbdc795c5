package router

import (
	"bytes"
	"strings"
)

// Part is a part of a text in which our user variables are: statements for a
// server, or one statement for us. A SET that is for both has Assignments for
// us, and for the server the rest in SQL.
type Part struct {
	// SQL is what a server is to run, nil if nothing is left for one. It refers
	// to the text that was split, or is a copy.
	SQL []byte
	// Assignments are what SET gives to our variables, in its order.
	Assignments []Assignment
	// Columns are our variables in the list of a SELECT.
	Columns []Column
	// Params is how many placeholders the part has, if it is for us.
	Params int
}

// Ours tells whether the part, or something of it, is for us.
func (p *Part) Ours() bool { return p.Assignments != nil || p.Columns != nil }

// Assignment is one @sticky_name = value.
type Assignment struct {
	Name  Name
	Null  bool   // the value is NULL
	Value string // else: of a literal, in the character set of the connection
	Param int    // of a placeholder, the how manieth of the statement, from 1; 0: a literal
}

// Column is one @sticky_name in the list of a SELECT.
type Column struct {
	Name  Name
	Title string // of the column: the alias, or the variable as it is written
}

// errMixed tells how to write what cannot be served.
var errMixed = &HintError{FaultMixed, "The variables @sticky_session, @sticky_pin, @sticky_route and @sticky_token " +
	"are answered by the proxy; use them as SET @sticky_... = 'literal' or SELECT @sticky_... alone, not in expressions or programs"}

// Split cuts a text that [Classify] calls Addressed into its parts, in their
// order. The error is a *[HintError].
func Split(sql []byte, c Context) ([]Part, error) {
	parts, comments, err := split(sql, &c, 0)
	if err != nil || comments == 0 {
		return parts, err
	}
	// For some servers the executable comments are code: then, too, the parts
	// have to be these.
	other, _, err := split(sql, &c, ^uint64(0))
	if err != nil || len(other) != len(parts) {
		return nil, errMixed
	}
	for i := range parts {
		if parts[i].Ours() != other[i].Ours() || !bytes.Equal(parts[i].SQL, other[i].SQL) {
			return nil, errMixed
		}
	}
	return parts, nil
}

// split is Split of one reading of the text. It counts the executable comments.
func split(sql []byte, c *Context, execute uint64) (parts []Part, comments uint, err error) {
	s := newScanner(sql, c, execute)
	s.lex.wide = c.UnsafeCharset
	from, theirs := 0, span{-1, 0} // theirs are statements for a server that are not in parts yet
	for s.lex.next(&s.tok); s.tok.kind != tokenEnd; {
		if s.tok.kind == ';' {
			from = int(s.tok.end)
			s.advance()
			continue
		}
		s.lex.addressed = s.tok.kind == tokenUser && words.list[s.tok.id].own != NameNone
		s.statement()
		at := span{from, s.boundary()}
		if !s.lex.addressed {
			theirs = theirs.upTo(at)
			continue
		}
		parts, theirs = theirs.part(sql, parts), span{-1, 0}
		p := newOwnParser(sql[at.from:at.to], c)
		if !p.parse() {
			return nil, 0, errMixed
		}
		parts = append(parts, p.part)
	}
	parts = theirs.part(sql, parts)
	if parts == nil || len(parts) > 1 && s.lex.odd {
		return nil, 0, errMixed // only in an executable comment, or it is not sure where statements end
	}
	return parts, s.lex.seen, nil
}

// boundary is where the statement that was just passed ends.
func (s *scanner) boundary() int {
	if s.tok.kind == tokenEnd {
		return len(s.lex.sql)
	}
	return int(s.tok.start)
}

// upTo is s, if there is one, and what follows up to the end of other.
func (s span) upTo(other span) span {
	if s.from < 0 {
		return other
	}
	return span{s.from, other.to}
}

// part appends the statements for a server at s, if there are any.
func (s span) part(sql []byte, parts []Part) []Part {
	if s.from < 0 {
		return parts
	}
	return append(parts, Part{SQL: sql[s.from:s.to]})
}

// ownParser reads a statement with our variables in it: SET or SELECT.
type ownParser struct {
	lex    lexer
	tok    token
	before token
	part   Part
}

func newOwnParser(sql []byte, c *Context) ownParser {
	return ownParser{lex: lexer{
		sql: sql, ansi: c.ANSIQuotes, noBackslash: c.NoBackslashEscapes, wide: c.UnsafeCharset, last: symbol{kind: ';'},
	}}
}

func (p *ownParser) advance() {
	p.before = p.tok
	p.lex.next(&p.tok)
}

// parse reads the statement into part; false if it is not one that we can serve.
func (p *ownParser) parse() bool {
	p.advance()
	k := p.key()
	p.advance()
	ok := false
	switch k {
	case keySet:
		ok = p.set()
	case keySelect:
		ok = p.selects()
	}
	return ok && !p.lex.odd && p.lex.seen == 0
}

// key is the key of the current word.
func (p *ownParser) key() key {
	if p.tok.kind != tokenWord {
		return keyNone
	}
	return words.list[p.tok.id].key
}

// own is which of our variables the current token is.
func (p *ownParser) own() Name {
	if p.tok.kind != tokenUser {
		return NameNone
	}
	return words.list[p.tok.id].own
}

// text is the text of a token, or what is in its quotes.
func (p *ownParser) text(t token) []byte { return p.lex.sql[t.start:t.end] }

// set reads the assignments after SET.
func (p *ownParser) set() bool {
	if p.key() == keyStatement {
		return false
	}
	var rest [][]byte
	for {
		if name := p.own(); name != NameNone {
			p.advance()
			if !p.assignment(name) {
				return false
			}
		} else {
			item, ok := p.foreign()
			if !ok {
				return false
			}
			rest = append(rest, item)
		}
		if p.tok.kind == tokenEnd {
			break
		}
		if p.tok.kind != ',' {
			return false
		}
		p.advance()
	}
	if rest != nil {
		p.part.SQL = append([]byte("SET "), bytes.Join(rest, []byte(", "))...)
	}
	return p.part.Assignments != nil
}

// foreign passes what SET does to a variable that is not ours.
func (p *ownParser) foreign() (item []byte, ok bool) {
	from, depth := p.start(), 0
	for p.tok.kind != tokenEnd && (p.tok.kind != ',' || depth > 0) {
		switch {
		case p.tok.kind == '(':
			depth++
		case p.tok.kind == ')':
			depth--
		case p.placeholder():
			p.part.Params++
		case p.own() != NameNone:
			return nil, false
		}
		p.advance()
	}
	if from >= p.end() || depth != 0 {
		return nil, false // nothing, or not whole
	}
	return p.lex.sql[from:p.end()], true
}

// start is where the current token starts, with its quote.
func (p *ownParser) start() int {
	if p.tok.kind == tokenString || p.tok.kind == tokenQuoted {
		return int(p.tok.start) - 1
	}
	return int(p.tok.start)
}

// end is where the token before the current one ends, with its quote.
func (p *ownParser) end() int {
	if p.before.kind == tokenString || p.before.kind == tokenQuoted {
		return int(p.before.end) + 1
	}
	return int(p.before.end)
}

func (p *ownParser) placeholder() bool {
	return p.tok.kind == tokenOther && p.tok.end > p.tok.start && p.lex.sql[p.tok.start] == '?'
}

// assignment reads = and the value.
func (p *ownParser) assignment(name Name) bool {
	if p.tok.kind != '=' && p.tok.kind != tokenAssign {
		return false
	}
	p.advance()
	a := Assignment{Name: name}
	switch {
	case p.placeholder():
		p.part.Params++
		a.Param = p.part.Params
		p.advance()
	case p.tok.kind == tokenNumber:
		a.Value = string(p.text(p.tok))
		p.advance()
	case p.tok.kind == tokenWord && !p.introducer():
		switch word := strings.ToUpper(string(p.text(p.tok))); word {
		case "NULL":
			a.Null = true
		case "TRUE", "FALSE":
			a.Value = map[bool]string{true: "1", false: "0"}[word == "TRUE"]
		default:
			return false
		}
		p.advance()
	default:
		value, ok := p.strings()
		if !ok {
			return false
		}
		a.Value = value
	}
	p.part.Assignments = append(p.part.Assignments, a)
	return true
}

// selects reads the list after SELECT.
func (p *ownParser) selects() bool {
	for {
		name := p.own()
		if name == NameNone {
			return false
		}
		c := Column{Name: name, Title: string(p.text(p.tok))}
		p.advance()
		if !p.alias(&c) {
			return false
		}
		p.part.Columns = append(p.part.Columns, c)
		if p.tok.kind == tokenEnd {
			return true
		}
		if p.tok.kind != ',' {
			return false
		}
		p.advance()
	}
}

// alias reads the name that a column is given, if it is.
func (p *ownParser) alias(c *Column) bool {
	as := p.key() == keyAs
	if as {
		p.advance()
	}
	switch {
	case p.tok.kind == tokenString, p.tok.kind == tokenQuoted:
		c.Title = string(p.unescape(nil))
	case p.tok.kind == tokenWord && p.key() == keyNone:
		c.Title = string(p.text(p.tok))
	default:
		return !as
	}
	p.advance()
	return true
}
