package proxy

import (
	"errors"
	"strconv"

	"github.com/stickyproxy/stickyproxy/mysqlwire"
	"github.com/stickyproxy/stickyproxy/router"
)

// unasked reports whether a statement may have set something that the server has not reported.
func (s *state) unasked() bool { return s.collates || len(s.blurred) > 0 }

// learnSilent asks the primary for what a statement may have set without a report: the collation, by SET NAMES with
// COLLATE, and on some servers more. The next statement runs on a replica, so that nobody asks the primary how the last
// one went.
func (c *conn) learnSilent() error {
	if c.primary.dead {
		return nil
	}
	return c.learnSilentOf(c.primary)
}

// recollates reports whether a statement may set the collation of the connection, which says no longer then what SET NAMES has
// set for results. It ends what a question would end: the warnings of the statement before.
func (c *conn) recollates(r *request) bool {
	if r.class.Reason != router.ReasonSet || r.class.UsesWarnings || r.class.UsesRowCount {
		return false
	}
	sets := router.ReadSettings(c.text(r))
	return sets.May(collationConnection, charsetConnection)
}

// collatesTwice reports whether a text may set a collation by SET NAMES, which results have, and behind it another one for
// the connection: no server tells the first.
func collatesTwice(sets router.Settings) bool {
	return sets.MayCollate() && sets.May(collationConnection, charsetConnection)
}

// learnSilentOf asks the server on which it was set.
func (c *conn) learnSilentOf(l *link) error {
	names := c.state.blurred
	switch {
	case !c.state.unasked() || l.version != c.state.version:
		return nil
	case len(names) == 0:
		return c.learnCollation(l)
	}
	ctx, cancel := c.connectTimeout()
	defer cancel()
	rows, err := l.Query(ctx, askFor(names))
	if err == nil && (len(rows.Values) != 1 || len(rows.Columns) != len(names)+1) {
		err = errNoVariables
	}
	if err != nil {
		l.dead = true
		return serverError{err}
	}
	for i, name := range names {
		c.state.setVariable(name, rows.Values[0][i].String)
	}
	c.state.asked(l)
	n, _ := strconv.ParseUint(rows.Values[0][len(names)].String, 10, 64) // a server's number
	after := []string{finds(n)}
	if !c.counted {
		after = append(after, setsNothing) // for ROW_COUNT()
	}
	for _, sql := range after {
		if _, _, err := ask(ctx, l, sql); err != nil { // not by consult: a request may wait for l already
			return err
		}
	}
	return nil
}

// asked notes that what was not reported was asked for.
func (s *state) asked(l *link) {
	if s.renamed && s.collates && s.variable(charsetConnection) == s.variable(charsetResults) {
		s.setNamed(s.variable(collationConnection))
	}
	s.collates, s.renamed, s.blurred = false, false, nil
	l.version = s.version // it has that already
}

// tellsCollation has a server report the collation of the connection. A query would do that as well, but FOUND_ROWS() would
// be about that query then.
const tellsCollation = "SET @@SESSION.collation_connection=@@SESSION.collation_connection"

func (c *conn) learnCollation(l *link) error {
	ctx, cancel := c.connectTimeout()
	defer cancel()
	ok, err := l.Execute(ctx, tellsCollation)
	collation := ""
	if err == nil {
		told(l, ok)
		for ch := (mysqlwire.Changes{Rest: ok.Session}); ch.Next(); {
			if ch.Kind == mysqlwire.TrackSystemVariable && string(ch.Name) == collationConnection {
				collation = string(ch.Value)
			}
		}
	}
	if err == nil && collation == "" {
		err = errNoCollation
	}
	if err != nil {
		l.dead = true
		return serverError{err}
	}
	c.state.setVariable(collationConnection, collation)
	c.state.asked(l)
	return nil
}

const (
	charsetClient       = "character_set_client"
	charsetResults      = "character_set_results"
	charsetConnection   = "character_set_connection"
	collationConnection = "collation_connection"
)

var (
	errNoVariables = errors.New("the server does not tell its variables")
	errNoCollation = errors.New("the server does not report the collation of the connection")
)
