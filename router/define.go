package router

// definition classifies CREATE, ALTER and DROP.
func (s *scanner) definition(k key) Statement {
	s.advance()
	s.defines = true
	if k == keyDrop {
		return s.drop()
	}
	e := CommitsImplicitly
	for !s.done() {
		switch s.key() {
		case keyTemporary:
			e = CreatesTemporary
		case keyPackage:
			s.lex.program = true
			s.advance()
			return s.program(ReasonDefinition, e, 1) // it has an END but no BEGIN
		case keyProcedure, keyFunction, keyTrigger, keyEvent:
			s.lex.program = true
			s.advance()
			return s.program(ReasonDefinition, e, 0)
		case keyTable, keyView, keyDatabase, keySchema, keyIndex, keySelect, keyAs, keySet:
			counted := s.mariadb && s.key() != keyView // what CREATE TABLE ... SELECT has found
			st := s.finish(ReasonDefinition, true, e)
			if !counted {
				st.Finds = FindsNothing
			}
			return st
		}
		if s.tok.kind == '(' {
			break
		}
		s.step()
	}
	return s.finish(ReasonDefinition, true, e)
}

// drop classifies DROP: a table may be a temporary one, and DROP PREPARE is
// DEALLOCATE PREPARE.
func (s *scanner) drop() Statement {
	switch s.key() {
	case keyPrepare:
		return s.finish(ReasonPreparedText, false, Deallocates)
	case keyTemporary:
		return s.finish(ReasonDefinition, true, DropsTemporary)
	case keyTable, keyTables, keySequence:
		return s.finish(ReasonDefinition, true, DropsTemporary|CommitsImplicitly)
	}
	return s.finish(ReasonDefinition, true, CommitsImplicitly)
}

// compound classifies MariaDB's compound statements outside of programs, which
// may do anything. See
// https://mariadb.com/kb/en/using-compound-statements-outside-of-stored-programs/.
func (s *scanner) compound() Statement { return s.program(ReasonCall, Calls|CommitsImplicitly, 0) }

// block is compound after its BEGIN.
func (s *scanner) block() Statement { return s.program(ReasonCall, Calls|CommitsImplicitly, 1) }

// program passes a routine or a compound statement, in which semicolons do not
// end the statement while open blocks are to be ended. Its body runs later, or
// may do anything anyway, so it is not looked into.
func (s *scanner) program(r Reason, e Effects, open int) Statement {
	start := open > 0 || r == ReasonCall
	s.lex.program = true
	for s.tok.kind != tokenEnd {
		if s.tok.kind == ';' && open <= 0 {
			break
		}
		switch k := s.key(); {
		case k == keyEnd:
			open--
			s.advance()
			start = false
			if s.blockWord() || s.key() == keyCase {
				s.advance()
			}
			continue
		case k == keyBegin || k == keyCase || start && s.blockWord():
			open++
			start = true
		default:
			start = s.tok.kind == ';' || k == keyThen || k == keyElse || k == keyDo || k == keyLoop ||
				s.colon()
		}
		s.advance()
	}
	s.lex.program = false
	st := s.primary(r, true)
	st.Effects |= e
	if open != 0 {
		st.Effects |= Calls // where the program ends was not found
	}
	return st
}

// blockWord tells whether the current word opens a block that has an END of its
// own when it stands at the start of a statement.
func (s *scanner) blockWord() bool {
	switch s.key() {
	case keyIf, keyLoop, keyWhile, keyRepeat, keyFor:
		return true
	}
	return false
}
