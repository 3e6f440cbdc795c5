package router

import "bytes"

// showStatement classifies SHOW. A replica may answer what is about the schema,
// which replication keeps the same; everything else is about one server, one
// account or one connection. SHOW INDEX estimates how many values a key has. See https://dev.mysql.com/doc/refman/9.4/en/show.html
// and https://mariadb.com/kb/en/show/.
func (s *scanner) showStatement() Statement {
	s.advance()
	for s.key() == keyExtended || s.key() == keyFull {
		s.advance()
	}
	k := s.key()
	s.show = true
	switch k {
	case keyTables, keyColumns, keyDatabases, keyTriggers:
		s.finds = true
		s.advance()
	case keyIndex:
		s.finds = true
		return s.finish(ReasonServerState, false, 0)
	case keyProcedure, keyFunction: // STATUS; CODE shows a debug server's code
		s.advance()
		if s.key() != keyStatus {
			return s.finish(ReasonServerState, false, 0)
		}
		s.finds = true
		s.advance()
	case keyCreate:
		s.advance()
		s.tables = s.key() == keyView // it is opened for that, as a table is
		if !s.shownDefinition() {
			return s.finish(ReasonServerState, false, 0)
		}
		s.advance()
	case keyWarnings, keyErrors:
		s.previous, s.warnings = true, true
		s.show = false
		s.advance()
	case keyCount:
		return s.showCount()
	default:
		s.finds = s.tok.kind == tokenWord && s.countedShow()
		return s.finish(ReasonServerState, false, 0)
	}
	s.query = true
	s.rest()
	return s.verdict()
}

// countedShows are the second words of those SHOW statements that are queries inside, whose rows FOUND_ROWS() counts.
var countedShows = [...][]byte{
	[]byte("STATUS"), []byte("VARIABLES"), []byte("GLOBAL"), []byte("SESSION"), []byte("LOCAL"), []byte("TABLE"),
	[]byte("COLLATION"), []byte("CHARACTER"), []byte("CHARSET"), []byte("EVENTS"), []byte("ENGINES"), []byte("STORAGE"),
	[]byte("PLUGINS"), []byte("OPEN"), []byte("PACKAGE"), []byte("PROFILE"),
}

// countedShow tells whether the current word is one of them.
func (s *scanner) countedShow() bool {
	for _, word := range countedShows {
		if bytes.EqualFold(word, s.lex.sql[s.tok.start:s.tok.end]) {
			return true
		}
	}
	return false
}

// shownDefinition tells whether the current word names something whose
// definition is the same on every server. Of a table it is not: the next value
// of AUTO_INCREMENT is used up by inserts that fail too, and the storage engine
// is that of the session that made it, which replicas are not told. An event is
// disabled on a replica, a user is an account of the server.
func (s *scanner) shownDefinition() bool {
	switch s.key() {
	case keyView, keyDatabase, keySchema, keyProcedure, keyFunction, keyTrigger, keyPackage:
		return true
	}
	return false
}

// showCount classifies SHOW COUNT(*) WARNINGS and SHOW COUNT(*) ERRORS.
func (s *scanner) showCount() Statement {
	s.advance()
	for s.tok.kind == '(' || s.tok.kind == tokenOther || s.tok.kind == ')' {
		s.advance()
	}
	if k := s.key(); k != keyWarnings && k != keyErrors {
		return s.finish(ReasonServerState, false, 0)
	}
	s.advance()
	s.query, s.show, s.previous, s.warnings, s.finds = true, false, true, true, true
	s.rest()
	return s.verdict()
}

// explainStatement classifies EXPLAIN, DESCRIBE and DESC, which explain a
// statement or describe a table. A plan is for the primary: each server makes
// its own, by its own statistics. See
// https://dev.mysql.com/doc/refman/9.4/en/explain.html.
func (s *scanner) explainStatement() Statement {
	s.advance()
	runs := false
	for {
		switch k := s.key(); {
		case k == keyAnalyze:
			runs = true
			s.advance()
		case k == keyExtended || k == keyPartitions:
			s.advance()
			if s.done() || s.tok.kind == '.' {
				return s.finish(ReasonExplain, false, 0) // a table of that name
			}
		case k == keyFormat:
			s.advance()
			if !s.value() {
				return s.finish(ReasonExplain, false, 0)
			}
		default:
			return s.explained(runs)
		}
	}
}

// value passes = and a word or string, and tells whether they were there.
func (s *scanner) value() bool {
	if s.tok.kind != '=' {
		return false
	}
	s.advance()
	ok := s.tok.kind == tokenWord || s.tok.kind == tokenString
	s.advance()
	return ok
}

// explained classifies what EXPLAIN or ANALYZE is about; runs tells whether it
// is executed for that.
func (s *scanner) explained(runs bool) Statement {
	s.explains, s.plan = true, !runs
	if s.tok.kind == '(' {
		return s.parenthesised()
	}
	switch s.key() {
	case keySelect, keyValues, keyWith, keyTable:
		return s.read()
	case keyInsert, keyUpdate, keyDelete, keyReplace:
		if runs {
			return s.finish(ReasonWrite, true, 0)
		}
		s.advance()
		s.target = true
		return s.finish(ReasonExplain, false, 0)
	case keyInto:
		st := s.finish(ReasonInto, runs, 0)
		st.Effects |= s.assigned()
		return st
	case keyNone, keyEvent, keyStatus, keySource, keyFormat, keyNames, keySession:
		if !runs {
			s.explains, s.plan = false, false
			return s.described()
		}
	}
	return s.finish(ReasonExplain, runs, 0)
}

// described classifies [schema.]table [column or 'pattern'].
func (s *scanner) described() Statement {
	s.show, s.query, s.finds = true, true, true
	parts := 0
	for s.tok.kind == tokenWord || s.tok.kind == tokenQuoted {
		parts++
		s.step()
		if s.tok.kind != '.' {
			break
		}
		s.step()
	}
	if parts == 0 || parts > 3 || s.before.kind == '.' {
		s.refuse(ReasonExplain)
	}
	if t := s.tok.kind; t == tokenWord && s.key() == keyNone || t == tokenQuoted || t == tokenString {
		s.step()
	}
	if !s.done() {
		s.refuse(ReasonExplain)
	}
	s.rest()
	return s.verdict()
}

// analyzeStatement classifies ANALYZE TABLE, which writes, and MariaDB's ANALYZE
// of a statement, which runs that. See https://mariadb.com/kb/en/analyze-statement/.
func (s *scanner) analyzeStatement() Statement {
	s.advance()
	if s.key() == keyFormat {
		s.advance()
		if !s.value() {
			return s.finish(ReasonAdministration, true, CommitsImplicitly)
		}
	}
	switch k := s.key(); {
	case k == keySelect || k == keyWith || k == keyValues || s.tok.kind == '(':
		return s.explained(true)
	case k == keyInsert || k == keyUpdate || k == keyDelete || k == keyReplace:
		return s.finish(ReasonWrite, true, 0)
	}
	return s.finish(ReasonAdministration, true, CommitsImplicitly)
}
