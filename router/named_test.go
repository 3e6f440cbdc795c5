package router

import "testing"

func TestNamed(t *testing.T) {
	for _, c := range []struct {
		sql, name, text string
		ok              bool
	}{
		{"PREPARE p FROM 'SELECT 1'", "p", "SELECT 1", true},
		{"prepare `P` from \"SELECT 'a'\" ; ", "p", "SELECT 'a'", false}, // there is a second statement, for all that is known
		{"prepare `P` from \"SELECT 'a'\"", "p", "SELECT 'a'", true},
		{"PREPARE p FROM @x", "p", "", true},
		{"PREPARE p FROM 'SELECT ''a'''", "p", "", true},
		{`PREPARE p FROM 'SELECT \'a\''`, "p", "", true},
		{"PREPARE p FROM 'SELECT 1' 'a'", "p", "", true},
		{"PREPARE p FROM CONCAT('SELECT 1', 'a')", "p", "", true},
		{"EXECUTE p", "p", "", true},
		{"EXECUTE P USING @a, @b", "p", "", true},
		{"EXECUTE IMMEDIATE 'SELECT 1'", "", "SELECT 1", true},
		{"EXECUTE IMMEDIATE 'SELECT ?' USING 1", "", "", false},
		{"EXECUTE IMMEDIATE @x", "", "", false},
		{"PREPARE IMMEDIATE FROM 'SELECT 1'", "", "", false},
		{"EXECUTE `a``b`", "", "", false},
		{"EXECUTE é", "", "", false},
		{"EXECUTE p; EXECUTE q", "p", "", false},
		{"/*! EXECUTE */ EXECUTE p", "p", "", false},
		{"SELECT 1", "", "", false},
		{"", "", "", false},
		{"PREPARE", "", "", false},
	} {
		name, text, ok := Named([]byte(c.sql), Context{})
		if ok != c.ok || ok && (name != c.name || string(text) != c.text) {
			t.Errorf("%s: got %q %q %v, want %q %q %v", c.sql, name, text, ok, c.name, c.text, c.ok)
		}
	}
}
