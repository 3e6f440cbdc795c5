package proxy

import "github.com/stickyproxy/stickyproxy/router"

// inSQL are the statements that PREPARE as SQL has prepared, by their names, as far as it is known what they are.
type inSQL map[string]router.Statement

// maxInSQL is how many of them are remembered.
const maxInSQL = 64

// executed are the effects of a statement prepared in SQL that count as those of its EXECUTE.
const executed = router.UsesFoundRows | router.Begins | router.Ends | router.Chains | router.Disconnects |
	router.CommitsImplicitly | router.LocksTables

// executes makes the class of an EXECUTE, whose text is sql, say what the statement that is executed asks about the one before
// it, finds, and does to a transaction. Of one that is not known, or may be anything itself, that stays open.
func (s *state) executes(r *request, sql []byte) {
	name, text, ok := router.Named(sql, s.context)
	if !ok || r.class.Multi {
		return
	}
	st, ok := s.inSQL[name]
	if text != nil {
		st, ok = knownInSQL(text, s.context)
	}
	if !ok {
		return
	}
	r.known, r.reads = true, st.Kind == router.Read || st.Kind == router.Previous
	r.once = r.reads || st.Effects.Has(router.Kills) || st.Reason == router.ReasonAdministration
	r.class.UsesWarnings, r.class.UsesRowCount = st.UsesWarnings, st.UsesRowCount
	r.class.Finds, r.class.OpensNothing = st.Finds, st.OpensNothing
	r.class.Effects |= st.Effects & executed
}

// opens makes the class of a PREPARE in SQL, whose text is sql, say whether it opens tables: that of a plain literal does if what
// it prepares does. It runs nothing.
func (s *state) opens(r *request, sql []byte) {
	if _, text, ok := router.Named(sql, s.context); ok && text != nil && !r.class.Multi {
		r.class.OpensNothing = router.Classify(text, s.context).OpensNothing
	}
}

// asksAnything reports whether a request executes what may ask anything about the statement before it.
func (r *request) asksAnything() bool { return r.class.Effects.Has(router.Executes) && !r.known }

// prepares notes what a request has prepared in SQL: a text that certainly is what it looks like, or nobody knows what.
func (s *state) prepares(r *request, sql []byte) {
	if r.known {
		return
	}
	name, text, ok := router.Named(sql, s.context)
	if !ok || r.class.Multi || !r.class.Effects.Has(router.Prepares) {
		s.inSQL = nil
		return
	}
	delete(s.inSQL, name)
	if r.failure != nil || text == nil || len(s.inSQL) >= maxInSQL {
		return
	}
	st, known := knownInSQL(text, s.context)
	if !known {
		return
	}
	if s.inSQL == nil {
		s.inSQL = make(inSQL)
	}
	s.inSQL[name] = st
}

// knownInSQL is what a text is that SQL prepares, and whether it is known what that does: it is one statement, and not one that
// may do anything.
func knownInSQL(text []byte, c router.Context) (st router.Statement, known bool) {
	st = router.Classify(text, c)
	return st, !st.Multi && !st.Effects.Any(opaque)
}
