package router

import "bytes"

// Finding is what FOUND_ROWS() tells after a statement that succeeds.
type Finding uint8

const (
	// FindsNothing: what was found before it. Rows of SHOW CREATE, EXPLAIN and
	// others that are no queries inside are not counted.
	FindsNothing Finding = iota
	// FindsPerhaps: what it finds, or what was found before: only the server
	// knows whether it runs the queries inside of it, and counts them.
	FindsPerhaps
	// FindsMatches: the rows that it has matched, as an UPDATE on MySQL does. But
	// one that the server knows to match nothing before it looks for rows leaves
	// alone what was found before. So does a plan on MariaDB, which matches none.
	FindsMatches
	// FindsRows: what it finds.
	FindsRows
)

// and is what a text finds that has a statement like o behind others like f.
func (f Finding) and(o Finding) Finding {
	switch {
	case f == FindsRows || o == FindsRows:
		return FindsRows
	case f == FindsNothing && o == FindsNothing:
		return FindsNothing
	}
	return FindsPerhaps
}

// or is what a text finds that is like f or like o.
func (f Finding) or(o Finding) Finding {
	if f == o {
		return f
	}
	return FindsPerhaps
}

// finding is what FOUND_ROWS() tells after the statement that was scanned.
func (s *scanner) finding() Finding {
	switch {
	case s.plan && s.mariadb: // of some, 0
		return FindsMatches
	case s.plan:
		return FindsNothing
	case s.finds:
		return FindsRows
	case s.selects:
		return FindsPerhaps
	}
	return FindsNothing
}

// change classifies UPDATE and DELETE, whose first word was just passed. FOUND_ROWS() counts what a join has found for
// them, and on MySQL what any UPDATE has.
func (s *scanner) change(k key) Statement {
	joins := s.joins(k)
	st := s.finish(ReasonWrite, true, 0)
	switch {
	case joins:
		st.Finds = FindsRows
	case k == keyUpdate && !s.mariadb && st.Finds == FindsNothing:
		st.Finds = FindsMatches
	}
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
