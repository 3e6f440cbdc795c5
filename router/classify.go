package router

import "bytes"

// maxReadings is how many executable comments a read may have: each may be
// code or a comment, and all 1 << n readings are looked at.
const maxReadings = 3

// maxText is the longest text that is looked at: the servers' own limit,
// max_allowed_packet, cannot be set higher.
const maxText = 1 << 30

// Classify tells what the text of one command is. It never panics, allocates
// nothing, does not keep sql, and takes time linear in its length.
//
// A text that different servers read differently is a read only when every
// reading is one.
func Classify(sql []byte, c Context) Statement {
	if len(sql) > maxText {
		return Statement{Kind: Primary, Reason: ReasonNotUnderstood, Writes: true, Effects: Calls}
	}
	st := readings(sql, &c)
	if st.Multi && st.Effects.Has(SetsSystemVariable) {
		st = underEveryMode(st, sql, c)
	}
	if c.UnsafeCharset && !ascii(sql) {
		st.Writes = st.Writes || backslashAfterLetter(sql)
		st.Ours |= mayBeOurs(sql)
		if st.Kind != Primary {
			st.Kind, st.Reason = Primary, ReasonCharset
		}
	}
	if st.Kind != Primary && bytes.IndexByte(sql, 0) >= 0 {
		st.Kind, st.Reason, st.Writes = Primary, ReasonNotUnderstood, true
	}
	return st
}

// readings classifies sql with no executable comment read as code and, if it
// has any, with every choice of them.
func readings(sql []byte, c *Context) Statement {
	st, n := reading(sql, c, 0)
	most := n
	for mask := uint64(1); mask < 1<<min(most, maxReadings); mask++ {
		other, m := reading(sql, c, mask)
		st = st.or(other)
		most = max(most, m)
	}
	if most > maxReadings {
		other, _ := reading(sql, c, ^uint64(0))
		st = st.or(other)
		if st.Kind != Primary {
			st.Kind, st.Reason, st.Writes = Primary, ReasonNotUnderstood, true
		}
	}
	return st
}

// or is what is certain of a text that is either st or o.
func (st Statement) or(o Statement) Statement {
	if o.Kind != st.Kind && st.Kind != Primary {
		st.Kind, st.Reason = Primary, o.Reason
		if o.Kind != Primary {
			st.Reason = ReasonNotUnderstood
		}
	}
	if st.Reason == ReasonEmpty && o.Kind == Primary {
		st.Reason = o.Reason
	}
	st.Writes = st.Writes || o.Writes
	st.Effects |= o.Effects
	st.Multi = st.Multi || o.Multi
	st.Ours |= o.Ours
	st.Grows = st.Grows || o.Grows
	st.Finds = st.Finds.or(o.Finds)
	return st
}

// underEveryMode adds the effects that the text has under other sql_modes: an
// earlier statement of the text may change how a later one reads.
func underEveryMode(st Statement, sql []byte, c Context) Statement {
	for i := range 4 {
		c.ANSIQuotes, c.NoBackslashEscapes = i&1 != 0, i&2 != 0
		other := readings(sql, &c)
		st.Effects |= other.Effects
	}
	return st
}

// reading classifies one reading of sql and counts its executable comments.
func reading(sql []byte, c *Context, execute uint64) (Statement, uint) {
	s := newScanner(sql, c, execute)
	all, n := s.all()
	if n == 0 {
		all.Reason = ReasonEmpty
	}
	if s.lex.odd {
		all.Writes = true
		if all.Kind != Primary || n == 0 {
			all.Kind, all.Reason = Primary, ReasonNotUnderstood
		}
	}
	if s.lex.hinted {
		all.Ours |= Hinted
	}
	if s.lex.addressed {
		all.Ours |= Addressed
	}
	return all, s.lex.seen
}

func newScanner(sql []byte, c *Context, execute uint64) scanner {
	return scanner{
		lex:       lexer{sql: sql, ansi: c.ANSIQuotes, noBackslash: c.NoBackslashEscapes, execute: execute, last: symbol{kind: ';'}},
		mariadb:   c.MariaDB,
		ownSchema: lookup(c.Schema).schema != schemaData,
	}
}

// all classifies the statements up to the end of the text, together, and counts
// them.
func (s *scanner) all() (all Statement, n int) {
	s.lex.next(&s.tok)
	for s.tok.kind != tokenEnd {
		if s.tok.kind == ';' {
			s.advance()
			continue
		}
		all = all.and(s.statement(), n)
		n++
	}
	return all, n
}

// and is a text of n statements, together st, and the statement o after them.
func (st Statement) and(o Statement, n int) Statement {
	if n == 0 {
		return o
	}
	if st.Kind != Read || o.Kind != Read {
		st.Kind, st.Reason = Primary, ReasonMulti
	}
	st.Writes = st.Writes || o.Writes
	st.Effects |= o.Effects
	st.Multi = true
	st.NoTables = st.NoTables && o.NoTables
	st.OpensNothing = st.OpensNothing && o.OpensNothing
	st.Grows = st.Grows || o.Grows
	st.Finds = st.Finds.and(o.Finds)
	return st
}

// mayBeOurs is what of ours may be in a text whose literals may be others than
// the lexer has found.
func mayBeOurs(sql []byte) (o Ours) {
	if mentionsUs(sql) {
		o = Hinted
		if mentionsVariable(sql) {
			o |= Addressed
		}
	}
	return o
}

func ascii(sql []byte) bool {
	for _, b := range sql {
		if b >= 0x80 {
			return false
		}
	}
	return true
}

// backslashAfterLetter tells whether a backslash follows a byte that may be the
// first of a character: then the texts that the lexer and the server see differ.
func backslashAfterLetter(sql []byte) bool {
	for i := 1; i < len(sql); i++ {
		if sql[i] == '\\' && sql[i-1] >= 0x80 {
			return true
		}
	}
	return false
}
