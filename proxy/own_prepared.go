package proxy

import (
	"fmt"
	"slices"

	"github.com/go-mysql-org/go-mysql/mysql"

	"github.com/stickyproxy/stickyproxy/mysqlwire"
	"github.com/stickyproxy/stickyproxy/router"
)

// listenPrepared reads what the text of a COM_STMT_PREPARE says to us: its hints belong to the statement from now on, and
// the text that it returns is without them, so that servers, and whoever counts texts, see the same one for everybody.
func (c *conn) listenPrepared(r *request, st *statement, text []byte) ([]byte, *mysqlwire.Error) {
	found, refused := c.hear(&st.hints, text)
	if refused != nil {
		return nil, refused
	}
	st.hints.sessions = slices.Clip(st.hints.sessions) // executions append theirs
	c.pins.hint(st.hints.sessions)                     // it is prepared where it would run
	r.hints.route = st.hints.route
	if !r.whole() {
		return text, nil
	}
	if st.class.Ours.Has(router.Addressed) {
		refused = c.preparedPart(st, text)
		return text, refused
	}
	if cut := found.Cut(text); len(cut) != len(text) {
		r.instead = mysqlwire.AppendPacket(nil, 0, append([]byte{mysql.COM_STMT_PREPARE}, cut...))
		return cut, nil
	}
	return text, nil
}

// preparedPart finds out what the statement is to us. Only a server can prepare what is for it, and only alone.
func (c *conn) preparedPart(st *statement, text []byte) *mysqlwire.Error {
	parts, err := router.Split(text, c.state.context)
	if err != nil {
		return errOfHint(err)
	}
	ours := false
	for i := range parts {
		ours = ours || parts[i].Ours()
	}
	switch {
	case !ours:
		return nil
	case len(parts) > 1 || parts[0].SQL != nil:
		return errMixedPrepare
	}
	st.part = &parts[0]
	return nil
}

// prepareOwn answers a COM_STMT_PREPARE of a statement of ours.
func (c *conn) prepareOwn(st *statement) error {
	if st.text == nil {
		c.statements.remove(st)
		return c.answer(errTooManyStatements)
	}
	p := st.part
	st.params = p.Params
	c.statements.byID[st.id], c.statements.latest = st, st
	head := mysqlwire.Prepared{ID: st.id, Params: p.Params, Columns: len(p.Columns)}
	params := make([]router.Column, p.Params)
	for i := range params {
		params[i].Title = "?"
	}
	packets := append([][]byte{head.Append(nil, c.caps)}, c.definitions(params)...)
	return c.reply(append(packets, c.definitions(p.Columns)...)...)
}

// listenExecution makes the hints of a prepared statement count for an execution, with those in its query attributes.
func (c *conn) listenExecution(r *request, st *statement) *mysqlwire.Error {
	if c.caps.Has(mysqlwire.CapQueryAttributes) {
		block := st.block(r.payload(), c.caps)
		if block.Count > st.params {
			if refused := c.hearAttributes(&r.hints, block, st.params); refused != nil {
				return refused
			}
		}
	}
	return c.obey(&r.hints)
}

// executeOwn answers a COM_STMT_EXECUTE of a statement of ours. It opens no cursor, as servers may do too.
func (c *conn) executeOwn(r *request, st *statement) error {
	if !r.whole() || st.long {
		st.long = false
		return c.refuse(r, errLongValue)
	}
	var args []mysqlwire.Param
	for i, p := range st.block(r.payload(), c.caps).All() {
		if i < st.params {
			args = append(args, p)
		}
	}
	return c.own(st.part, args, true)
}

// onOwn answers COM_STMT_RESET and COM_STMT_FETCH.
func (c *conn) onOwn(r *request, st *statement) error {
	if r.code == mysql.COM_STMT_RESET {
		st.long = false
		return c.ok()
	}
	return c.answer(&mysqlwire.Error{Code: mysql.ER_STMT_HAS_NO_OPEN_CURSOR, State: "HY000",
		Message: fmt.Sprintf("The statement (%d) has no open cursor.", st.id)})
}

var (
	errMixedPrepare = &mysqlwire.Error{Code: mysql.ER_UNSUPPORTED_PS, State: "HY000", Message: "A prepared statement is either for " +
		"the proxy or for the server; set @sticky_... in a statement of its own"}
	errOwnInBulk = &mysqlwire.Error{Code: mysql.ER_UNSUPPORTED_PS, State: "HY000", Message: "A statement for the proxy is " +
		"executed once at a time"}
	errLongValue = &mysqlwire.Error{Code: mysql.ER_WRONG_ARGUMENTS, State: "HY000", Message: "Incorrect arguments: " +
		"send the value of @sticky_... with the execution, and not in pieces"}
)
