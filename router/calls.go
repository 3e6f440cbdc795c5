package router

// call looks at a name before the parenthesis that is the current token.
func (s *scanner) call(t token, before symbol, older tokenKind) {
	kind := callUnknown
	if t.kind == tokenWord && before.kind != '.' {
		w := &words.list[t.id]
		kind = w.mysql
		if s.mariadb {
			kind = w.mariadb
		}
	}
	if t.key() == keyOf && before.key() == keyAs {
		kind = callSyntax // FOR SYSTEM_TIME AS OF (...)
	}
	if kind >= callTight && kind <= callSubstring && s.lex.gap {
		kind = callUnknown
	}
	s.judge(kind, t, before, older)
	s.target = false
	s.open(kind == callSubstring)
}

// judge notes what a call of this kind does.
func (s *scanner) judge(kind call, t token, before symbol, older tokenKind) {
	switch kind {
	case callGrows, callTightGrows:
		s.grows = true
	case callSleep:
		s.sleeps = true
	case callSyntax, callPure, callTight, callSubstring:
		switch t.key() {
		case keyFrom, keyJoin:
			s.tables = true
		case keySelect:
			s.defines = false
		}
	case callPrevious:
		s.previous, s.rowCount = true, true
	case callFoundRows:
		s.previous = true
		s.effects |= UsesFoundRows
	case callConnection:
		s.refuse(ReasonConnectionFunction)
	case callServer:
		s.refuse(ReasonServerFunction)
	case callLastInsertID:
		s.refuse(ReasonConnectionFunction)
		s.effects |= UsesLastInsertID
	case callXPath:
		s.refuse(ReasonUserVariable)
		s.effects |= UsesUserVariable
	case callGetLock:
		s.refuse(ReasonLockFunction)
		s.effects |= GetsLock
	case callReleaseLock:
		s.refuse(ReasonLockFunction)
		s.effects |= ReleasesLock
	case callLock:
		s.refuse(ReasonLockFunction)
	case callSequence:
		s.refuse(ReasonSequence)
		s.writes = true
	case callLastval:
		s.refuse(ReasonSequence)
	default:
		if s.target || s.defines || s.columnList(before, older) {
			return
		}
		s.refuse(ReasonUnknownFunction)
		s.writes = true
		s.effects |= CallsFunction
	}
}

// columnList tells whether a name and its parenthesis give names to columns
// and call nothing: WITH c (a, b) AS (...), and (...) AS d (a, b).
func (s *scanner) columnList(before symbol, older tokenKind) bool {
	switch k := before.key(); {
	case k == keyWith || k == keyRecursive:
		return s.namesAhead(true)
	case before.kind == ',' && older == ')':
		return s.namesAhead(true)
	case k == keyAs || before.kind == ')':
		return s.namesAhead(false)
	}
	return false
}

// namesAhead tells whether only names and commas are in the parenthesis that
// is the current token and, if asked, AS ( comes after it.
func (s *scanner) namesAhead(as bool) bool {
	ahead := s.lex
	ahead.comments = nil // they will come again
	var t token
	for comma := false; ; comma = !comma {
		ahead.next(&t)
		switch {
		case !comma && t.kind != tokenWord && t.kind != tokenQuoted:
			return false
		case !comma || t.kind == ',':
			continue
		case t.kind != ')':
			return false
		}
		break
	}
	if !as {
		return true
	}
	ahead.next(&t)
	if t.key() != keyAs {
		return false
	}
	ahead.next(&t)
	return t.kind == '('
}
