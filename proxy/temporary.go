package proxy

import (
	"bytes"
	"strings"
)

// temporaries are the temporary tables of a connection, as far as their names are known. They exist on the primary's
// connection only, and hide other tables of the same name: a statement that mentions one of them belongs there.
type temporaries map[tableName]struct{}

// tableName is a table as a statement names it.
type tableName struct{ schema, name string }

// created notes the table of a CREATE TEMPORARY TABLE. It reports false if the text is not plain enough to tell which.
func (t *temporaries) created(sql []byte, schema string) bool {
	s := names{rest: string(sql), schema: schema}
	s.word("CREATE")
	if s.optional("OR") {
		s.word("REPLACE")
	}
	s.word("TEMPORARY")
	s.word("TABLE")
	if s.optional("IF") {
		s.word("NOT")
		s.word("EXISTS")
	}
	table := s.table()
	if s.bad || bytes.Contains(sql, []byte("/*")) {
		return false
	}
	if *t == nil {
		*t = make(temporaries)
	}
	(*t)[table] = struct{}{}
	return true
}

// dropped forgets the tables of a DROP TABLE that succeeded. Of a text that is not plain, nothing is forgotten.
func (t temporaries) dropped(sql []byte, schema string) {
	if len(t) == 0 {
		return
	}
	s := names{rest: string(sql), schema: schema}
	s.word("DROP")
	s.optional("TEMPORARY")
	s.word("TABLE")
	if s.optional("IF") {
		s.word("EXISTS")
	}
	tables := []tableName{s.table()}
	for s.comma() {
		tables = append(tables, s.table())
	}
	if s.bad || strings.Trim(s.rest, " \t\r\n;") != "" {
		return
	}
	for _, table := range tables {
		delete(t, table)
	}
}

// mentioned reports whether a text has the name of a temporary table in it, in whatever role.
func (t temporaries) mentioned(sql []byte) bool {
	if len(t) == 0 {
		return false
	}
	lower := bytes.ToLower(sql)
	for table := range t {
		if hasWord(lower, []byte(strings.ToLower(table.name))) {
			return true
		}
	}
	return false
}

// listed reports whether a text may list tables, temporary ones as well.
func (t temporaries) listed(sql []byte) bool {
	if len(t) == 0 {
		return false
	}
	lower := bytes.ToLower(sql)
	return hasWord(lower, []byte("tables")) || hasWord(lower, []byte("status")) || hasWord(lower, []byte("information_schema"))
}

// hasWord reports whether a name stands somewhere in a text, and not as a part of a longer one. A digit before it is none:
// it may be of the version in an executable comment.
func hasWord(text, name []byte) bool {
	for rest := text; ; {
		at := bytes.Index(rest, name)
		if at < 0 {
			return false
		}
		before := at > 0 && rest[at-1] > '9' && plainLetter(rune(rest[at-1]))
		end := at + len(name)
		after := end < len(rest) && plainLetter(rune(rest[end]))
		if !before && !after {
			return true
		}
		rest = rest[at+1:] // the letter before the next one is part of it
	}
}

// names reads the beginning of a statement that names tables, as long as it is plain: no comments, no names with
// anything in them but ASCII letters, digits, '_' and '$'.
type names struct {
	rest   string
	schema string // of names without one
	bad    bool
}

const space = " \t\r\n\v\f"

// token takes the next word or quoted name.
func (s *names) token() string {
	s.rest = strings.TrimLeft(s.rest, space)
	if name, rest, ok := strings.Cut(strings.TrimPrefix(s.rest, "`"), "`"); ok && strings.HasPrefix(s.rest, "`") {
		s.bad = s.bad || strings.HasPrefix(rest, "`") || strings.TrimFunc(name, plainLetter) != ""
		s.rest = rest
		return name
	}
	end := strings.IndexFunc(s.rest, func(r rune) bool { return !plainLetter(r) })
	if end < 0 {
		end = len(s.rest)
	}
	name := s.rest[:end]
	s.rest = s.rest[end:]
	return name
}

func plainLetter(r rune) bool {
	return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '_' || r == '$'
}

// word takes a keyword that has to be there.
func (s *names) word(keyword string) {
	if !strings.EqualFold(s.token(), keyword) {
		s.bad = true
	}
}

// optional takes a keyword if it is there.
func (s *names) optional(keyword string) bool {
	before := s.rest
	if strings.EqualFold(s.token(), keyword) {
		return true
	}
	s.rest = before
	return false
}

// table takes the name of a table.
func (s *names) table() tableName {
	t := tableName{s.schema, s.token()}
	if strings.HasPrefix(s.rest, ".") {
		s.rest = s.rest[1:]
		t = tableName{t.name, s.token()}
	}
	if t.name == "" || t.schema == "" {
		s.bad = true
	}
	return t
}

// comma takes a comma if one is there.
func (s *names) comma() bool {
	s.rest = strings.TrimLeft(s.rest, space)
	rest, ok := strings.CutPrefix(s.rest, ",")
	s.rest = rest
	return ok
}
