package router

import (
	"bytes"
	"strings"
)

// Named finds the name of the statement that a text prepares or executes in SQL, in lower case, and what it prepares: the
// text in a PREPARE, nil where that is no plain literal. EXECUTE IMMEDIATE has a text, and no name. Not ok: the text is something
// else, or cannot be told apart so simply.
func Named(sql []byte, c Context) (name string, text []byte, ok bool) {
	s := newScanner(sql, &c, 0)
	s.lex.next(&s.tok)
	k := s.key()
	if k != keyPrepare && k != keyExecute {
		return "", nil, false
	}
	s.advance()
	id := sql[s.tok.start:s.tok.end]
	if s.tok.kind != tokenWord && s.tok.kind != tokenQuoted || !ascii(id) || bytes.IndexByte(id, '`') >= 0 {
		return "", nil, false
	}
	if foldEqual("IMMEDIATE", id) {
		s.advance()
		text = s.plainLiteral()
		return "", text, k == keyExecute && text != nil && s.tok.kind == tokenEnd && !s.lex.odd && s.lex.seen == 0
	}
	name = strings.ToLower(string(id))
	s.advance()
	if k == keyPrepare && s.key() == keyFrom {
		s.advance()
		text = s.plainLiteral()
	}
	for !s.done() {
		s.step()
	}
	return name, text, s.tok.kind == tokenEnd && !s.lex.odd && s.lex.seen == 0
}

// plainLiteral passes a string with which the statement ends, and is what stands between its quotes; nil if that is not its
// value.
func (s *scanner) plainLiteral() []byte {
	if s.tok.kind != tokenString {
		return nil
	}
	text, quote := s.lex.sql[s.tok.start:s.tok.end], s.lex.sql[s.tok.start-1]
	s.advance()
	if !s.done() || !ascii(text) || bytes.IndexByte(text, '\\') >= 0 || bytes.IndexByte(text, quote) >= 0 {
		return nil
	}
	return text
}
