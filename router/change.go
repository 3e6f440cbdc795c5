package router

import "bytes"

// change classifies UPDATE and DELETE, whose first word was just passed. FOUND_ROWS() counts what a join has found for
// them, and on MySQL what any UPDATE has.
func (s *scanner) change(k key) Statement {
	counted := k == keyUpdate && !s.mariadb || s.joins(k)
	st := s.finish(ReasonWrite, true, 0)
	st.FindsRows = st.FindsRows || counted
	return st
}

// joins passes the tables of an UPDATE or DELETE, and tells whether they are several, or written as if they were.
// https://dev.mysql.com/doc/refman/en/delete.html
func (s *scanner) joins(k key) bool {
	if k == keyUpdate {
		for ; !s.done() && s.key() != keySet; s.step() {
			if s.tok.kind == ',' && s.depth == 0 || s.key() == keyJoin || s.is("STRAIGHT_JOIN") {
				return true
			}
		}
		return false
	}
	for s.is("LOW_PRIORITY") || s.is("QUICK") || s.is("IGNORE") {
		s.advance()
	}
	if s.key() != keyFrom {
		return true
	}
	for ; !s.done(); s.step() {
		if s.depth == 0 && s.is("USING") {
			return true
		}
	}
	return false
}

// is tells whether the current token is this word.
func (s *scanner) is(name string) bool {
	return s.tok.kind == tokenWord && bytes.EqualFold([]byte(name), s.lex.sql[s.tok.start:s.tok.end])
}
