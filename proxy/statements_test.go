package proxy

import (
	"testing"

	"github.com/go-mysql-org/go-mysql/mysql"
)

// A client has so many statements, and texts, and types, and no more.
func TestStatementLimits(t *testing.T) {
	var s statements
	for range maxStatements {
		st := s.add()
		s.byID[st.id] = st
	}
	if s.add() != nil {
		t.Error("room for one more")
	}
	s.remove(s.byID[7])
	if s.add() == nil {
		t.Error("no room after one was closed")
	}
	s.clear()
	st := s.add()
	s.keep(st, make([]byte, maxTexts))
	if len(st.text) != maxTexts {
		t.Error("a text that fits was not kept")
	}
	other := s.add()
	s.keep(other, []byte("SELECT 1"))
	if other.text != nil {
		t.Error("a text beyond the limit was kept")
	}
	s.remove(st)
	if s.bytes != 0 {
		t.Errorf("%d bytes left", s.bytes)
	}
}

func TestTypesLimit(t *testing.T) {
	st := &statement{params: 2}
	p := append([]byte(execution(1, 0, "\x00\x01\x08\x00\x08\x00")), make([]byte, 16)...)
	p = append([]byte{mysql.COM_STMT_EXECUTE}, p...)
	if refused := st.learnTypes(p, 0, 3); refused != errTooManyTypes || st.types != nil {
		t.Errorf("got %v, %q", refused, st.types)
	}
	if refused := st.learnTypes(p, 0, 4); refused != nil || string(st.types) != "\x08\x00\x08\x00" || st.typesNo != 1 {
		t.Errorf("got %v, %q", refused, st.types)
	}
}
