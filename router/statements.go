package router

// statement classifies the statement that starts at the current token and
// stops at its end.
func (s *scanner) statement() Statement {
	s.begin()
	if s.tok.kind == '(' {
		return s.parenthesised()
	}
	k := s.key()
	switch k {
	case keySelect, keyValues, keyWith, keyTable:
		return s.read()
	case keyShow:
		return s.showStatement()
	case keyExplain, keyDescribe:
		return s.explainStatement()
	case keyAnalyze:
		return s.analyzeStatement()
	case keySet:
		return s.setStatement()
	case keyGet:
		return s.diagnostics()
	case keyCreate, keyAlter, keyDrop:
		return s.definition(k)
	case keyBegin, keyStart, keyCommit, keyRollback, keySavepoint, keyRelease, keyXA:
		return s.transaction(k)
	case keyIf, keyLoop, keyWhile, keyRepeat, keyFor, keyCase, keyDeclare:
		return s.compound()
	}
	s.advance()
	if s.colon() {
		return s.compound() // a label
	}
	return s.other(k)
}

// colon tells whether the current token is a colon, as after a label.
func (s *scanner) colon() bool { return s.tok.kind == tokenOther && s.lex.sql[s.tok.start] == ':' }

// parenthesised classifies what starts with a parenthesis: a query expression.
func (s *scanner) parenthesised() Statement {
	for s.tok.kind == '(' {
		s.open(false)
		s.advance()
	}
	switch s.key() {
	case keySelect, keyValues, keyWith, keyTable:
		return s.read()
	}
	s.confuse()
	s.rest()
	return s.primary(ReasonNotUnderstood, true)
}

// read classifies a query expression, from its first keyword on.
func (s *scanner) read() Statement {
	s.query, s.finds = true, true
	if s.mariadb && s.key() == keyValues { // what FOUND_ROWS() says then depends on how the server runs it
		s.refuse(ReasonNotUnderstood)
		s.finds, s.selects = false, true
	}
	s.rest()
	return s.verdict()
}

// verdict is what the scan of a possible read has shown.
func (s *scanner) verdict() Statement {
	if s.ownSchema && (s.tables || s.show) {
		s.refuse(ReasonServerSchema)
	}
	if s.sleeps && !s.tables { // it relieves nobody of work elsewhere, and KILL and people look for it on the primary
		s.refuse(ReasonConnectionFunction)
	}
	if s.explains {
		s.refuse(ReasonExplain)
	}
	st := Statement{
		Kind: Read, Reason: ReasonRead, Writes: s.writes, Effects: s.effects,
		NoTables: !s.tables && !s.show && s.effects&CallsFunction == 0, Grows: s.grows,
	}
	s.about(&st)
	switch {
	case s.deny != ReasonNone:
		st.Kind, st.Reason = Primary, s.deny
	case s.previous:
		st.Kind, st.Reason = Previous, ReasonPrevious
		if s.tables {
			st.Effects |= ReadsTables
		}
	}
	return st
}

// about notes what the statement has to do with the one before it and the one after it.
func (s *scanner) about(st *Statement) {
	st.UsesRowCount, st.UsesWarnings, st.Finds = s.rowCount, s.warnings, s.finding()
	shows := (s.show || st.Reason == ReasonServerState) && st.Finds == FindsNothing && !s.tables
	st.OpensNothing = st.NoTables || shows
}

// primary is a statement that is for the primary whatever its parts are; it
// writes if it does by its nature or if one of its parts may.
func (s *scanner) primary(r Reason, writes bool) Statement {
	st := Statement{
		Kind: Primary, Reason: r, Writes: writes || s.writes, Effects: s.effects,
		NoTables: !s.tables && !writes && (r == ReasonSet || r == ReasonTransaction || r == ReasonDo && s.effects&CallsFunction == 0),
	}
	s.about(&st)
	return st
}

// finish looks at the rest of a statement that is for the primary.
func (s *scanner) finish(r Reason, writes bool, e Effects) Statement {
	s.rest()
	s.effects |= e
	return s.primary(r, writes)
}

// other classifies a statement by its first word, which was just passed. What
// the table does not have may do anything.
func (s *scanner) other(k key) Statement {
	switch k {
	case keyInsert, keyReplace:
		s.target = true
		return s.finish(ReasonWrite, true, 0)
	case keyUpdate, keyDelete:
		return s.change(k)
	case keyLoad:
		return s.load()
	case keyCall:
		return s.callProgram()
	case keyDo:
		s.finds = !s.mariadb
		return s.finish(ReasonDo, false, 0)
	case keyUse:
		return s.finish(ReasonSet, false, SetsSchema)
	case keyPrepare:
		s.texts()
		return s.finish(ReasonPreparedText, false, Prepares)
	case keyExecute:
		s.texts()
		return s.finish(ReasonPreparedText, true, Executes)
	case keyDeallocate:
		return s.finish(ReasonPreparedText, false, Deallocates)
	case keyHandler:
		return s.handler()
	case keyLock:
		return s.finish(ReasonTableLock, false, LocksTables|CommitsImplicitly)
	case keyUnlock:
		return s.finish(ReasonTableLock, false, UnlocksTables|CommitsImplicitly)
	case keyBackup:
		return s.backup()
	case keyFlush:
		return s.flush()
	case keyKill:
		return s.finish(ReasonAdministration, false, Kills)
	case keySignal:
		s.warnings = true // RESIGNAL adds to what the statement before has left
		return s.finish(ReasonCall, false, 0)
	case keyHelp:
		return s.finish(ReasonServerState, false, 0)
	case keyChecksum:
		return s.finish(ReasonAdministration, false, 0)
	case keyGrant, keyRevoke, keyRename, keyTruncate:
		s.defines = true
		st := s.finish(ReasonDefinition, true, CommitsImplicitly)
		st.Finds = FindsNothing // SELECT is the name of a privilege
		return st
	case keyReset, keyChange:
		return s.finish(ReasonAdministration, true, CommitsImplicitly|ResetsPositions)
	case keyCheck, keyOptimize, keyRepair, keyCache, keyInstall, keyUninstall, keyImport, keyStop, keyBinlog,
		keyClone, keyPurge, keyRestart, keyShutdown:
		return s.finish(ReasonAdministration, true, CommitsImplicitly)
	}
	return s.finish(ReasonNotUnderstood, true, Calls)
}

// texts looks for our variables in the literals of a statement that prepares
// them: the server would take them for its own.
func (s *scanner) texts() {
	for !s.done() {
		if text := s.lex.sql[s.tok.start:s.tok.end]; s.tok.kind == tokenString && mentionsUs(text) {
			s.lex.addressed = s.lex.addressed || mentionsVariable(text)
		}
		s.step()
	}
}

// load classifies LOAD DATA, LOAD XML and LOAD INDEX.
func (s *scanner) load() Statement {
	s.target = true
	r, e := ReasonWrite, Effects(0)
	if s.key() == keyIndex {
		r = ReasonAdministration
	}
	for !s.done() {
		if s.key() == keyLocal {
			e |= LoadsLocal
		}
		s.step()
	}
	st := s.finish(r, true, e|s.assigned())
	s.finds = false // its TABLE is none that is queried
	st.Finds = s.finding()
	return st
}

// assigned is SetsUserVariable for a statement that may set the user variables
// in it.
func (s *scanner) assigned() Effects {
	if s.effects.Has(UsesUserVariable) {
		return SetsUserVariable
	}
	return 0
}

// callProgram classifies CALL: an argument may be OUT.
func (s *scanner) callProgram() Statement {
	s.target = true
	s.rest()
	return s.finish(ReasonCall, true, Calls|s.assigned())
}

// handler classifies HANDLER t OPEN, READ and CLOSE.
func (s *scanner) handler() Statement {
	e := Effects(0)
	for !s.done() {
		switch s.key() {
		case keyOpen:
			e |= OpensHandler
		case keyClose:
			e |= ClosesHandler
		}
		s.step()
	}
	return s.finish(ReasonHandler, false, e)
}

// backup classifies MariaDB's BACKUP STAGE, BACKUP LOCK and BACKUP UNLOCK.
func (s *scanner) backup() Statement {
	e := LocksTables
	for !s.done() {
		if k := s.key(); k == keyEnd || k == keyUnlock {
			e = UnlocksTables
		}
		s.step()
	}
	return s.finish(ReasonTableLock, false, e)
}

// flush classifies FLUSH, which locks with TABLES ... WITH READ LOCK and FOR EXPORT.
func (s *scanner) flush() Statement {
	e := CommitsImplicitly
	for !s.done() {
		if k := s.key(); k == keyLock || k == keyExport {
			e |= LocksTables
		}
		s.step()
	}
	return s.finish(ReasonAdministration, true, e)
}

// diagnostics classifies GET DIAGNOSTICS: about the statement before, into
// user variables, which are the primary's.
func (s *scanner) diagnostics() Statement {
	s.advance()
	if s.key() == keyCurrent {
		s.advance()
	}
	if s.key() != keyDiagnostics {
		return s.finish(ReasonNotUnderstood, true, Calls)
	}
	s.rest()
	s.warnings = true
	st := s.primary(ReasonPrevious, false)
	st.Effects |= s.assigned()
	return st
}

// transaction classifies what begins, ends or marks a transaction.
func (s *scanner) transaction(k key) Statement {
	s.advance()
	switch k {
	case keyXA:
		return s.xa()
	case keySavepoint, keyRelease:
		return s.finish(ReasonTransaction, false, 0)
	case keyCommit, keyRollback:
		return s.end()
	case keyBegin:
		if s.key() == keyWork {
			s.advance()
		}
		if s.done() {
			return s.finish(ReasonTransaction, false, Begins)
		}
		return s.block() // BEGIN NOT ATOMIC, or a block in Oracle mode
	}
	if s.key() != keyTransaction {
		return s.finish(ReasonAdministration, true, CommitsImplicitly) // START REPLICA
	}
	return s.start()
}

// start classifies START TRANSACTION with its options. READ ONLY is taken for
// what it says only when nothing else but a consistent snapshot is asked for.
func (s *scanner) start() Statement {
	s.advance()
	readOnly, other := false, false
	for ; !s.done(); s.advance() {
		switch s.key() {
		case keyOnly:
			readOnly = s.before.key() == keyRead
		case keyRead, keyWith, keyConsistent, keySnapshot:
		default:
			other = other || s.tok.kind != ','
		}
	}
	st := s.finish(ReasonTransaction, false, Begins)
	if readOnly && !other {
		st.Kind, st.Reason = BeginReadOnly, ReasonReadOnlyTransaction
	}
	return st
}

// end classifies COMMIT and ROLLBACK.
func (s *scanner) end() Statement {
	e := Ends
	for negated := false; !s.done(); s.step() {
		switch s.key() {
		case keyTo:
			e &^= Ends
		case keyChain:
			if !negated {
				e |= Chains
			}
		case keyRelease:
			if !negated {
				e |= Disconnects
			}
		}
		negated = s.key() == keyNo
	}
	return s.finish(ReasonTransaction, false, e)
}

// xa classifies XA; PREPARE, COMMIT and ROLLBACK decide about changes.
func (s *scanner) xa() Statement {
	k := s.key()
	writes := k != keyStart && k != keyBegin && k != keyEnd && k != keyRecover
	return s.finish(ReasonTransaction, writes, XA)
}
