package router

// userVariable looks at @name. Right after a name or a string it is the host
// of an account instead, unless the name is a keyword.
func (s *scanner) userVariable() {
	b := s.before
	account := !s.lex.gap && (b.kind == tokenString || b.kind == tokenQuoted || b.kind == tokenWord && b.id == wordNone)
	s.refuse(ReasonUserVariable)
	if s.query || !account {
		s.effects |= UsesUserVariable
	}
}

// systemVariable reads and judges what comes after @@.
func (s *scanner) systemVariable() {
	v, scope := s.variableName()
	switch {
	case v == variablePrevious && scope != variableGlobal:
		s.previous, s.warnings = true, true
	case v == variableInsertID:
		s.refuse(ReasonSystemVariable)
		s.effects |= UsesLastInsertID
	case (v == variableReplayed || v == variableNextTransaction || v == variableAutocommit) && scope <= variableSession &&
		scope != variableGlobal && scope != variablePersist:
	default:
		s.refuse(ReasonSystemVariable)
	}
}

// variableName reads [scope.]name after @@ and leaves the token after it as
// the current one. The scope is variableOther when none is given. A name in
// several parts is variableOther.
func (s *scanner) variableName() (v, scope variable) {
	s.advance()
	if s.lex.gap || s.tok.kind != tokenWord && s.tok.kind != tokenQuoted {
		s.confuse()
		return variableOther, variableOther
	}
	v = s.entry(s.tok).variable
	s.advance()
	if v >= variableGlobal {
		if s.tok.kind != '.' {
			s.confuse()
			return variableOther, v
		}
		scope = v
		s.advance()
		v = s.entry(s.tok).variable
		if s.tok.kind != tokenWord && s.tok.kind != tokenQuoted {
			s.confuse()
			return variableOther, scope
		}
		s.advance()
	}
	if s.tok.kind == '.' || v >= variableGlobal {
		v = variableOther
		s.refuse(ReasonSystemVariable)
	}
	return v, scope
}
