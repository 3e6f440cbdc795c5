package router

// scanner walks over the tokens of one statement after the other and notes
// what they may do. It does not parse: it looks for everything that could make
// a statement something other than a pure read, and whatever has none of that
// is one.
type scanner struct {
	lex     lexer
	mariadb bool
	// ownSchema: names without a schema mean a server's own tables.
	ownSchema bool

	tok    token     // the current token
	before symbol    // the one before it
	older  tokenKind // the one before that

	findings
}

// findings are what the tokens of the current statement have shown so far.
type findings struct {
	query     bool   // it may be a read: words that no read has are judged
	show      bool   // it is SHOW or DESCRIBE: a bare name may be a schema
	target    bool   // the table of an INSERT comes, maybe with its columns
	defines   bool   // it is DDL, where most parentheses call nothing
	depth     int    // open parentheses
	substring uint64 // bit 0: the innermost parenthesis is of SUBSTRING, bit 1: the next, ...
	info      bool   // information_schema was named, its table comes next
	deny      Reason // why it is no read; the first reason found
	previous  bool   // it asks about the statement before
	rowCount  bool   // it calls ROW_COUNT
	warnings  bool   // it asks for the warnings of the statement before
	finds     bool   // it is, or ends with, a query
	selects   bool   // it has a query in it
	explains  bool   // it is EXPLAIN or ANALYZE of a query
	plan      bool   // and does not run it
	tables    bool   // it reads tables
	grows     bool   // it calls a function whose result has a limit
	sleeps    bool   // it calls SLEEP
	writes    bool   // it may write
	effects   Effects
}

// begin forgets the statement before.
func (s *scanner) begin() {
	s.findings = findings{}
	s.before, s.older = symbol{kind: ';'}, ';'
}

// advance makes the next token the current one.
func (s *scanner) advance() {
	s.older, s.before = s.before.kind, s.tok.symbol
	s.lex.next(&s.tok)
}

// refuse notes why the statement is no read.
func (s *scanner) refuse(r Reason) {
	if s.deny == ReasonNone {
		s.deny = r
	}
}

// confuse notes that the statement is not understood, so it may do anything.
func (s *scanner) confuse() {
	s.refuse(ReasonNotUnderstood)
	s.writes = true
}

// done tells whether the statement has ended.
func (s *scanner) done() bool { return s.tok.kind == tokenEnd || s.tok.kind == ';' }

// rest looks at all tokens up to the end of the statement.
func (s *scanner) rest() {
	for !s.done() {
		s.step()
	}
	if s.depth != 0 {
		s.confuse()
	}
}

// step looks at the current token and passes it.
func (s *scanner) step() {
	switch s.tok.kind {
	case tokenWord, tokenQuoted:
		s.name()
		return
	case '(':
		s.open(false)
	case ')':
		s.depth--
		s.substring >>= 1
		if s.depth < 0 {
			s.confuse()
		}
	case tokenUser:
		s.userVariable()
	case tokenSystem:
		s.systemVariable()
		return
	case tokenAssign:
		s.refuse(ReasonUserVariable)
		s.effects |= SetsUserVariable
	}
	s.advance()
	if s.before.kind == tokenString && s.tok.kind == '(' {
		s.confuse() // with ANSI_QUOTES, a function's name
	}
}

func (s *scanner) open(substring bool) {
	s.depth++
	s.substring <<= 1
	if substring {
		s.substring |= 1
	}
}

// name looks at a word or a quoted identifier, by what stands around it.
func (s *scanner) name() {
	t, gap, before, older := s.tok, s.lex.gap, s.before, s.older
	s.advance()
	switch {
	case s.tok.kind == '(':
		s.call(t, before, older)
		s.advance()
	case before.kind == '.':
		s.part(t)
		if gap && t.kind == tokenWord {
			s.bare(&words.list[t.id], before) // a keyword again for the servers
		}
	case s.tok.kind == '.':
		s.qualifier(t)
	case t.kind == tokenWord && t.id != wordNone:
		s.bare(&words.list[t.id], before)
	}
	if s.show && before.kind != '.' && s.schemaOf(t) != schemaData {
		s.refuse(ReasonServerSchema)
	}
}

// part looks at a name after a dot.
func (s *scanner) part(t token) {
	if s.info {
		s.info = false
		if !s.entry(t).infoRead {
			s.refuse(ReasonServerSchema)
		}
	}
	if name := s.lex.sql[t.start:t.end]; foldEqual("NEXTVAL", name) || foldEqual("CURRVAL", name) {
		s.refuse(ReasonSequence) // seq.nextval
		s.writes = true
	}
}

// qualifier looks at a name before a dot.
func (s *scanner) qualifier(t token) {
	switch s.schemaOf(t) {
	case schemaServer:
		s.refuse(ReasonServerSchema)
	case schemaInfo:
		s.info = true
	}
}

// schemaOf is what a name means as a schema. Most names are told by their length.
func (s *scanner) schemaOf(t token) schema {
	switch int(t.end - t.start) {
	case len("sys"), len("mysql"), len("information_schema"): // as long as performance_schema
		return s.entry(t).schema
	}
	return schemaData
}

// entry is what the word table knows of a name, quoted or not.
func (s *scanner) entry(t token) *word {
	if t.kind == tokenQuoted {
		return lookup(s.lex.sql[t.start:t.end])
	}
	return &words.list[t.id]
}

// bare looks at a keyword that stands alone.
func (s *scanner) bare(w *word, before symbol) {
	switch w.key {
	case keyNone:
	case keySelect, keyWith:
		s.target, s.defines = false, false
		s.selects = s.selects || w.key == keySelect
		s.finds = s.finds || w.key == keySelect && s.depth == 0
	case keyValues:
		s.target = false
	case keyFrom, keyJoin, keyTable:
		s.tables = s.tables || s.key() != keyDual // FROM DUAL is no table
		s.finds = s.finds || w.key == keyTable && (s.query || s.target)
	case keyInto:
		s.refuse(ReasonInto)
		if s.tok.kind == tokenUser {
			s.effects |= SetsUserVariable
		}
	case keyFor:
		s.forClause(before)
	case keyNext, keyPrevious:
		if s.key() == keyValue {
			s.refuse(ReasonSequence)
			s.writes = s.writes || w.key == keyNext
		}
	case keyCurrentUser, keyCurrentRole:
		s.refuse(ReasonConnectionFunction)
	case keySet:
		if before.key() != keyCharacter {
			s.unexpected(ReasonNotUnderstood)
		}
	case keyLock:
		if s.query {
			s.refuse(ReasonForShare)
		}
	case keyInsert, keyUpdate, keyDelete, keyReplace, keyLoad, keyCall:
		if before.key() != keyFor { // not the UPDATE of FOR UPDATE
			s.unexpected(ReasonWrite)
		}
	case keyProcedure, keyCreate, keyAlter, keyDrop, keyGrant, keyRevoke, keyRename, keyKill, keyAnalyze:
		s.unexpected(ReasonNotUnderstood)
	}
}

// unexpected notes a reserved word that no read has.
func (s *scanner) unexpected(r Reason) {
	if s.query {
		s.refuse(r)
		s.writes = true
	}
}

// forClause judges FOR by the word after it: locks, but also FOR SYSTEM_TIME,
// USE INDEX FOR JOIN, a column FOR ORDINALITY, SUBSTRING(a FROM 1 FOR 2), and
// NEXT VALUE FOR, which was refused already.
func (s *scanner) forClause(before symbol) {
	switch s.key() {
	case keyUpdate:
		s.refuse(ReasonForUpdate)
	case keyShare:
		s.refuse(ReasonForShare)
	case keySystemTime, keyJoin, keyOrder, keyGroup, keyOrdinality:
	default:
		sequence := s.deny == ReasonSequence && before.key() == keyValue
		if s.substring&1 == 0 && !sequence {
			s.unexpected(ReasonNotUnderstood)
		}
	}
}

// key is the key of the current token.
func (s *scanner) key() key { return s.tok.key() }
