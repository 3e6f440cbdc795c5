package router

// setStatement classifies SET in all its forms. See
// https://dev.mysql.com/doc/refman/9.4/en/set-variable.html and
// https://mariadb.com/kb/en/set/.
func (s *scanner) setStatement() Statement {
	s.advance()
	switch s.key() {
	case keyPassword:
		return s.finish(ReasonDefinition, true, CommitsImplicitly)
	case keyDefault: // SET DEFAULT ROLE
		return s.finish(ReasonDefinition, true, CommitsImplicitly)
	case keyRole:
		return s.finish(ReasonSet, false, SetsRole)
	case keyTransaction:
		return s.finish(ReasonSet, false, SetsTransaction)
	case keyStatement:
		return s.setFor()
	}
	for scope := variableSession; !s.done(); {
		scope = s.assignment(scope)
		for !s.done() && (s.tok.kind != ',' || s.depth > 0) {
			s.step()
		}
		if s.tok.kind == ',' {
			s.advance()
		}
	}
	s.selects = s.selects && s.mariadb // where some of what subqueries find is counted
	return s.finish(ReasonSet, false, 0)
}

// assignment looks at what is set, and gives the scope of the assignments after
// it that have none of their own.
func (s *scanner) assignment(scope variable) variable {
	switch s.tok.kind {
	case tokenUser:
		s.effects |= SetsUserVariable
	case tokenSystem:
		v, own := s.variableName()
		s.sets(v, own)
		if own == variableOther && v == variableNextTransaction {
			s.effects |= SetsTransaction
		} else if own == variableOther && v != variableAutocommit && v != variableInsertID && s.mariadb {
			s.effects |= SetsUnreported
		}
	case tokenWord, tokenQuoted:
		if v := s.entry(s.tok).variable; v >= variableGlobal {
			scope = v
			s.advance()
		}
		v := s.entry(s.tok).variable
		s.sets(v, scope)
		s.advance() // so that a name like FOR is not taken for a clause
	}
	return scope
}

// sets notes that a system variable is set.
func (s *scanner) sets(v, scope variable) {
	if scope == variableGlobal || scope == variablePersist {
		s.effects |= SetsGlobal
		return
	}
	s.effects |= SetsSystemVariable
	if v == variableAutocommit {
		s.effects |= CommitsImplicitly
	}
}

// setFor classifies MariaDB's SET STATEMENT a = 1, b = 2 FOR statement: it has
// the effects of the inner one. See https://mariadb.com/kb/en/set-statement/.
func (s *scanner) setFor() Statement {
	for !s.done() && (s.key() != keyFor || s.depth > 0) {
		s.step()
	}
	if s.done() {
		return s.finish(ReasonSetStatement, true, Calls)
	}
	writes, effects := s.writes, s.effects
	s.advance()
	st := s.inner()
	st.Kind, st.Reason = Primary, ReasonSetStatement
	st.Writes = st.Writes || writes
	st.Effects |= effects
	return st
}

// inner classifies the statement inside another. One more level is not valid,
// and so may do anything.
func (s *scanner) inner() Statement {
	if s.key() == keySet || s.done() {
		return s.finish(ReasonSetStatement, true, Calls)
	}
	return s.statement()
}
