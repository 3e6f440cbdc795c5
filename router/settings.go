package router

import (
	"bytes"
	"strings"
)

// Settings are what the SET statements of a text do to system variables of the
// session. They are exact for a text of nothing but SET statements that can be
// read in one way only; of any other, all that is known is which names it mentions.
type Settings struct {
	list    []setting
	text    []byte
	sure    bool // list is what the text sets
	more    bool // and it sets other things as well
	collate bool // it has SET NAMES with COLLATE
}

// setting is one assignment.
type setting struct {
	name  string // in lower case
	value string // in lower case, of one word, number or string; else empty
}

// The names under which SET NAMES and SET CHARACTER SET are listed.
const (
	nameNames   = "names"
	nameCharset = "character set"
)

// ReadSettings reads a text, which it keeps.
func ReadSettings(sql []byte) Settings {
	r := settingsReader{scanner: newScanner(sql, &Context{}, 0), found: Settings{text: sql}}
	sure := true
	for r.advance(); r.tok.kind != tokenEnd; {
		switch {
		case r.tok.kind == ';':
			r.advance()
			continue
		case r.key() == keySet:
			sure = r.set() && sure
		default:
			sure = false // it may have others inside
		}
		for !r.done() {
			r.advance()
		}
	}
	r.found.sure = sure && !r.lex.odd && r.lex.seen == 0 && readsAlike(sql)
	return r.found
}

// readsAlike tells whether tokens of a text are the same in every sql_mode and
// character set.
func readsAlike(sql []byte) bool {
	return bytes.IndexByte(sql, '\\') < 0 && (ascii(sql) || bytes.IndexByte(sql, '`') < 0)
}

// May tells whether the text sets one of the variables, whose names are in
// lower case, or may do so.
func (s *Settings) May(names ...string) bool {
	for _, name := range names {
		if s.sure && s.index(name) >= 0 || !s.sure && s.mentions(name) {
			return true
		}
	}
	return false
}

// MayCollate tells whether SET NAMES with COLLATE is in the text, or may be.
func (s *Settings) MayCollate() bool {
	return s.sure && s.collate || !s.sure && s.mentions(nameNames) && s.mentions("collate")
}

// EndsNames tells whether the text sets the character set of results by itself
// or by SET CHARACTER SET, and not by a SET NAMES behind that.
func (s *Settings) EndsNames() bool {
	if !s.sure {
		return (s.mentions("charset") || s.mentions("character")) && !s.mentions(nameNames)
	}
	return max(s.index(nameCharset), s.index("character_set_results")) > s.index(nameNames)
}

// Value is what the text sets a variable to in the end, in lower case: a word, a
// number or the content of a string. It is false if that is not certain.
func (s *Settings) Value(name string) (string, bool) {
	i := s.index(name)
	if !s.sure || i < 0 {
		return "", false
	}
	return s.list[i].value, s.list[i].value != ""
}

// Only tells whether the text does nothing but set variables for which of is
// true.
func (s *Settings) Only(of func(name string) bool) bool {
	for i := range s.list {
		if !of(s.list[i].name) {
			return false
		}
	}
	return s.sure && !s.more && len(s.list) > 0
}

// index is where a variable is set last, -1 if it is not.
func (s *Settings) index(name string) int {
	for i := len(s.list) - 1; i >= 0; i-- {
		if s.list[i].name == name {
			return i
		}
	}
	return -1
}

// mentions tells whether the name, in lower case, is anywhere in the text.
func (s *Settings) mentions(name string) bool {
	return bytes.Contains(bytes.ToLower(s.text), []byte(name))
}

// settingsReader reads SET statements.
type settingsReader struct {
	scanner
	found Settings
}

// set reads what comes after SET, up to the end of the statement at most; false
// if that cannot be told.
func (r *settingsReader) set() bool {
	r.advance()
	switch r.key() {
	case keyStatement: // for its own time only
		return false
	case keyPassword, keyDefault, keyRole, keyTransaction:
		r.found.more = true
		return true
	}
	for scope := variableSession; !r.done(); {
		scope = r.assignment(scope)
		for !r.done() && r.tok.kind != ',' {
			r.pass()
		}
		if r.tok.kind == ',' {
			r.advance()
		}
	}
	return true
}

// pass passes the current token, with all that is in parentheses.
func (r *settingsReader) pass() {
	for depth := 0; !r.done(); {
		switch r.tok.kind {
		case '(':
			depth++
		case ')':
			depth--
		}
		if r.advance(); depth <= 0 {
			return
		}
	}
}

// assignment reads the name of a variable and its value, if that is a plain
// one, and gives the scope of the assignments after it that have none.
func (r *settingsReader) assignment(scope variable) variable {
	own := scope
	switch r.tok.kind {
	case tokenUser:
		r.found.more = true
		return scope
	case tokenSystem:
		r.advance()
		own = variableSession
		if v := r.entry(r.tok).variable; v >= variableGlobal {
			own = v
			r.advance()
			r.advance() // the dot
		}
	default:
		if v := r.entry(r.tok).variable; v >= variableGlobal {
			own, scope = v, v
			r.advance()
		}
	}
	name := r.name()
	assigns := r.tok.kind == '=' || r.tok.kind == tokenAssign
	switch {
	case assigns && own == variableSession:
		r.found.list = append(r.found.list, setting{name: name, value: r.value()})
	case !assigns && name == nameNames:
		r.found.list = append(r.found.list, setting{name: nameNames})
		r.collation()
	case !assigns && (name == "charset" || name == "character"):
		r.found.list = append(r.found.list, setting{name: nameCharset})
	default:
		r.found.more = true // of the server, for one
	}
	return scope
}

// collation looks for COLLATE up to the next assignment.
func (r *settingsReader) collation() {
	for ; !r.done() && r.tok.kind != ','; r.advance() {
		r.found.collate = r.found.collate || r.tok.kind == tokenWord && foldEqual("COLLATE", r.text())
	}
}

// name reads a name, in lower case; one in several parts with its dots.
func (r *settingsReader) name() string {
	name := strings.ToLower(string(r.text()))
	for r.advance(); r.tok.kind == '.'; r.advance() {
		r.advance()
		name += "." + strings.ToLower(string(r.text()))
	}
	return name
}

// value reads = and what follows, if that is all up to the next assignment.
func (r *settingsReader) value() string {
	r.advance()
	switch r.tok.kind {
	case tokenWord, tokenQuoted, tokenString, tokenNumber:
	default:
		return ""
	}
	value := strings.ToLower(string(r.text()))
	if r.advance(); !r.done() && r.tok.kind != ',' {
		return ""
	}
	return value
}

// text is the text of the current token, or what is in its quotes.
func (r *settingsReader) text() []byte { return r.lex.sql[r.tok.start:r.tok.end] }
