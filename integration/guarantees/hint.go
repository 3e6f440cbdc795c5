package guarantees

import (
	"context"
	"fmt"
	"strings"
)

// Hint is how an endpoint is told whose statement it gets.
type Hint string

// The hints.
const (
	ByConnection          Hint = "connection" // each user has a connection; when that is lost, so is the session
	ByNothing             Hint = "nothing"    // pooled connections and not a word: for proxies where everybody sees every write
	ByVariable            Hint = "variable"   // pooled connections, SET @sticky_session before each turn
	ByComment             Hint = "comment"    // pooled connections, a comment in each statement but COMMIT
	ByAttribute           Hint = "attribute"  // pooled connections, a query attribute with each statement but COMMIT
	ByConnectionAttribute Hint = "connection_attribute"
	ByToken               Hint = "token" // pooled connections, a token from the last endpoint to the next
)

// Hints are all of them.
func Hints() []Hint {
	return []Hint{ByConnection, ByNothing, ByVariable, ByComment, ByAttribute, ByConnectionAttribute, ByToken}
}

// ParseHint reads the name of a hint.
func ParseHint(s string) (Hint, error) {
	var names []string
	for _, h := range Hints() {
		if s == string(h) {
			return h, nil
		}
		names = append(names, string(h))
	}
	return "", fmt.Errorf("%q is no way to name a session; use %s", s, strings.Join(names, ", "))
}

// pooled tells whether users share connections.
func (h Hint) pooled() bool { return h != ByConnection && h != ByConnectionAttribute }

// mark puts the session's name into a statement, where the hint is one of statements.
func (u *user) mark(s statement) statement {
	switch u.hint {
	case ByComment:
		s.sql = "/* sticky_session=" + u.name + " */ " + s.sql
		if u.rng.IntN(2) == 0 {
			s.sql = strings.Replace(s.sql, "/* sticky_session="+u.name+" */ ", "/*sticky_session='"+u.name+"'*/ ", 1)
		}
	case ByAttribute:
		s.attribute = u.name
	}
	return s
}

// introduce tells the endpoint at the other end of c who is there, before a turn.
func (u *user) introduce(ctx context.Context, c *conn) error {
	switch u.hint {
	case ByVariable, ByToken:
	default:
		return nil
	}
	if c.session != u.name {
		if _, err := u.send(ctx, c, statement{sql: "SET @sticky_session = '" + u.name + "'"}); err != nil {
			return err
		}
		c.session = u.name
	}
	if u.token == "" {
		return nil
	}
	_, err := u.send(ctx, c, statement{sql: "SET @sticky_token = '" + u.token + "'"})
	return err
}

// part takes along what the next endpoint has to know, after a turn that went well.
func (u *user) part(ctx context.Context, c *conn) error {
	if u.hint != ByToken {
		return nil
	}
	a, err := u.send(ctx, c, statement{sql: "SELECT @sticky_token"})
	if err != nil {
		return err
	}
	if len(a.rows) != 1 {
		return errMalformed
	}
	if t := a.rows[0][0]; t != "" {
		u.token = t
	}
	return nil
}
