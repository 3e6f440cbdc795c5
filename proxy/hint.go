package proxy

import (
	"errors"
	"fmt"
	"strings"

	"github.com/go-mysql-org/go-mysql/mysql"

	"github.com/stickyproxy/stickyproxy/mysqlwire"
	"github.com/stickyproxy/stickyproxy/router"
	"github.com/stickyproxy/stickyproxy/session"
)

// route is where the client wants reads to go. It is a wish: what the session must see and what a statement is come
// first.
type route uint8

const (
	routeNone    route = iota // nothing was said
	routeAuto                 // as if nothing had been said
	routePrimary              // to the primary
	routeReplica              // to a replica that may serve them, even if the connection was told routePrimary
)

var routeNames = [...]string{routeAuto: "auto", routePrimary: "primary", routeReplica: "replica"}

// String is the route as a client writes it; that of routeNone is auto.
func (r route) String() string { return routeNames[max(r, routeAuto)] }

func parseRoute(text string) (route, bool) {
	for r := routeAuto; r <= routeReplica; r++ {
		if strings.EqualFold(text, routeNames[r]) {
			return r, true
		}
	}
	return routeNone, false
}

// hints are what the client says about one statement: in comments, which belong to the text and so to a prepared
// statement, and in query attributes, which are sent with every execution.
type hints struct {
	sessions []session.Key // the statement works for all of them
	route    route
	pin      bool
	need     *session.Need // of tokens; nil: there are none
}

// said is what the client says about its connection, by SET @sticky_..., until it says something else or resets it.
type said struct {
	session string // empty: nothing
	route   route
	pin     mysqlwire.Text // the last value, for the client to read back
}

// unsay forgets it.
func (c *conn) unsay() {
	c.said = said{pin: mysqlwire.Text{Null: true}}
	c.pins.name(c.attributes.session)
}

// introduced learns what the connection attributes say, after a login. An error ends the connection; the client was told.
func (c *conn) introduced() error {
	c.policy, c.maxWait = c.srv.treat(c.listener, c.login.User)
	c.mode = c.policy.Mode
	c.pins.enter(c.srv.o.Sessions, c.policy.Scope, c.login.User)
	refused := c.learnAttributes()
	c.unsay()
	if refused != nil {
		_ = c.tell(0, refused) // it may be gone
		return clientError{refused}
	}
	return nil
}

// learnAttributes reads the connection attributes that are for us.
func (c *conn) learnAttributes() *mysqlwire.Error {
	c.attributes = said{}
	for name, value := range mysqlwire.Attributes(c.login.Attributes) {
		if value == "" {
			continue
		}
		switch router.ParseName(name) {
		case router.NameSession:
			if refused := c.checkSession(value); refused != nil {
				return refused
			}
			c.attributes.session = value
		case router.NameRoute:
			r, ok := parseRoute(value)
			if !ok {
				return errWrongRoute
			}
			c.attributes.route = r
		}
	}
	return nil
}

// route is where the client wants this statement to go.
func (c *conn) route() route {
	switch {
	case c.request.hints.route != routeNone:
		return c.request.hints.route
	case c.said.route != routeNone:
		return c.said.route
	}
	return c.attributes.route
}

// checkSession returns why a session cannot have that name, nil if it can.
func (c *conn) checkSession(name string) *mysqlwire.Error {
	switch {
	case c.srv.o.Sessions == nil:
		return errNoSessions
	case c.pins.key(name).Validate() != nil:
		return errBadSession
	}
	return nil
}

// hear reads the hints in the comments of a text, and notes them in h.
func (c *conn) hear(h *hints, sql []byte) (router.Hints, *mysqlwire.Error) {
	found, err := router.ReadHints(sql, c.state.context)
	if err != nil {
		return found, errOfHint(err)
	}
	for _, hint := range found.List {
		if refused := c.heed(h, hint.Name, hint.Value); refused != nil {
			return found, refused
		}
	}
	return found, nil
}

// hearAttributes reads the query attributes that are for us, and notes them in h. They are sent on: the server keeps them
// for functions that ask for them, and no harm is done. The first skip parameters are no attributes.
func (c *conn) hearAttributes(h *hints, block mysqlwire.ParamBlock, skip int) *mysqlwire.Error {
	for i, p := range block.All() {
		name := router.NameNone
		if i >= skip {
			name = router.ParseName(p.Name)
		}
		if name == router.NameNone || p.Null {
			continue
		}
		value, ok := p.Text()
		switch {
		case p.Absent:
			return errLongExecution
		case !ok:
			return errAttributeType(name)
		}
		if refused := c.heed(h, name, value); refused != nil {
			return refused
		}
	}
	return nil
}

// heed notes one hint.
func (c *conn) heed(h *hints, name router.Name, value string) *mysqlwire.Error {
	switch name {
	case router.NameSession:
		if refused := c.checkSession(value); refused != nil {
			return refused
		}
		h.sessions = append(h.sessions, c.pins.key(value))
	case router.NameRoute:
		r, ok := parseRoute(value)
		if !ok {
			return errWrongRoute
		}
		h.route = r
	case router.NamePin:
		pin, ok := parsePin(value)
		if !ok {
			return errWrongPin
		}
		h.pin = h.pin || pin
	case router.NameToken:
		n, refused := c.readToken(value)
		if refused != nil {
			return refused
		}
		if h.need != nil {
			n = n.Merge(*h.need)
		}
		h.need = &n
	}
	return nil
}

func parsePin(value string) (pin, ok bool) {
	switch strings.ToLower(value) {
	case "1", "true", "on":
		return true, true
	case "0", "false", "off":
		return false, true
	}
	return false, false
}

// obey makes what the client says about a statement count, before it runs.
func (c *conn) obey(h *hints) *mysqlwire.Error {
	c.pins.hint(h.sessions)
	if c.pins.full(c.pins.current()) {
		return errTooManyNamed
	}
	if h.pin {
		c.pin()
	}
	if h.need != nil {
		c.pins.bear(*h.need)
	}
	return nil
}

// listen reads all hints that come with a COM_QUERY.
func (c *conn) listen(r *request, sql []byte) *mysqlwire.Error {
	if r.class.Ours.Has(router.Hinted) {
		if _, refused := c.hear(&r.hints, sql); refused != nil {
			return refused
		}
	}
	attributes := mysqlwire.QueryAttributes(r.payload(), c.caps)
	if refused := c.hearAttributes(&r.hints, attributes, 0); refused != nil {
		return refused
	}
	return c.obey(&r.hints)
}

// size is how many bytes the hints take that a prepared statement keeps.
func (h *hints) size() (n int) {
	for _, k := range h.sessions {
		n += len(k.Name)
	}
	return n
}

// The errors about what a client says to us. Each says what to do.
var (
	errBadSession = &mysqlwire.Error{Code: mysql.ER_WRONG_VALUE_FOR_VAR, State: "42000",
		Message: fmt.Sprintf("The value of sticky_session must have 1 to %d bytes; give the session a shorter name, or its hash", session.MaxName)}
	errNoSessions = &mysqlwire.Error{Code: mysql.ER_WRONG_VALUE_FOR_VAR, State: "42000",
		Message: "This proxy keeps no sessions by name; leave sticky_session out"}
	errWrongRoute = &mysqlwire.Error{Code: mysql.ER_WRONG_VALUE_FOR_VAR, State: "42000",
		Message: "The value of sticky_route must be primary, replica or auto"}
	errWrongPin = &mysqlwire.Error{Code: mysql.ER_WRONG_VALUE_FOR_VAR, State: "42000",
		Message: "The value of sticky_pin must be 1, or 0 for nothing"}
	errTooManyNamed = &mysqlwire.Error{Code: mysql.ER_WRONG_VALUE_FOR_VAR, State: "42000",
		Message: fmt.Sprintf("A transaction can name at most %d values of sticky_session; commit more often", maxNamed)}
	errLongExecution = &mysqlwire.Error{Code: mysql.ER_WRONG_VALUE_FOR_VAR, State: "42000",
		Message: "The query attribute comes after more than 1 MiB of parameters; put it into a comment of the statement"}
)

func errAttributeType(name router.Name) *mysqlwire.Error {
	return mysqlwire.NewError(mysql.ER_WRONG_TYPE_FOR_VAR, "The value of %s must be a string or a number", name)
}

// errOfHint is the client's error for what the router found wrong.
func errOfHint(err error) *mysqlwire.Error {
	var fault *router.HintError
	if !errors.As(err, &fault) {
		return errMalformed
	}
	code := map[router.Fault]uint16{
		router.FaultValue: mysql.ER_WRONG_VALUE_FOR_VAR, router.FaultMixed: mysql.ER_PARSE_ERROR,
		router.FaultUnknown: mysql.ER_UNKNOWN_SYSTEM_VARIABLE,
	}[fault.Fault]
	return mysqlwire.NewError(code, "%s", fault.Text)
}
