package proxy

import "bytes"

const (
	// maxStatements is how many prepared statements a client may have open: MySQL's default for a whole server,
	// https://dev.mysql.com/doc/refman/en/server-system-variables.html#sysvar_max_prepared_stmt_count
	maxStatements = 16382
	// maxTexts is how many bytes of statement texts are kept for a client. A statement beyond that stays on the server
	// that prepared it, the primary.
	maxTexts = 8 << 20
	// maxTypes is how many bytes of parameter types, with the names of query attributes, there is room for beyond that.
	maxTypes = 8 << 20
)

// statements are a client's prepared statements, by the id that the client knows.
type statements struct {
	byID   map[uint32]*statement
	last   uint32
	latest *statement // that was prepared, nil if that failed
	bytes  int        // of kept texts and types
}

// latestStatement is MariaDB's id of the statement that was prepared last: its clients execute what they prepare before
// they know the id. https://mariadb.com/kb/en/com_stmt_execute/
const latestStatement = 1<<32 - 1

// maxSkipped is by how many ids a statement's may be ahead of the one before.
const maxSkipped = 1 << 10

// add makes room for one more and returns it; nil if there are too many.
func (s *statements) add() *statement {
	if len(s.byID) >= maxStatements {
		return nil
	}
	if s.byID == nil {
		s.byID = make(map[uint32]*statement)
	}
	s.last++
	return &statement{id: s.last}
}

// keep stores the text of st if there is room for it.
func (s *statements) keep(st *statement, text []byte) {
	if s.bytes+len(text) <= maxTexts {
		st.text = bytes.Clone(text)
		s.bytes += len(text)
	}
	s.bytes += st.hints.size() // which are not many, and must not be forgotten
}

func (s *statements) remove(st *statement) {
	delete(s.byID, st.id)
	s.bytes -= len(st.text) + len(st.types) + st.hints.size()
}

// room is how many bytes of types st may have.
func (s *statements) room(st *statement) int { return maxTexts + maxTypes - s.bytes + len(st.types) }

func (s *statements) clear() {
	s.byID, s.latest, s.bytes = nil, nil, 0
}
