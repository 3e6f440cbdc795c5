package proxy

import (
	"bytes"

	"github.com/go-mysql-org/go-mysql/mysql"

	"github.com/stickyproxy/stickyproxy/mysqlwire"
	"github.com/stickyproxy/stickyproxy/router"
)

// addressed serves a text in which our variables are: what is ours is answered here, the rest by the servers, each in its
// turn, as one response. Ours leaves no trace there: ROW_COUNT() and SHOW WARNINGS are about the statement before it.
func (c *conn) addressed(r *request, sql []byte) error {
	parts, err := router.Split(sql, c.state.context)
	ours := 0
	for i := range parts {
		if parts[i].Ours() {
			ours++
		}
	}
	switch {
	case err != nil:
		return c.answer(errOfHint(err))
	case ours == 0:
		return c.runText(r, sql)
	case len(parts) == 1 && parts[0].SQL == nil:
		return c.own(&parts[0], nil, false)
	case len(parts) > 1 && !c.client.Capabilities.Has(mysqlwire.CapMultiStatements):
		return c.answer(errNoMulti)
	}
	return c.inTurn(r, parts, sql)
}

// inTurn serves the parts of a text one after the other, up to the first that fails.
func (c *conn) inTurn(r *request, parts []router.Part, sql []byte) error {
	head := bytes.Clone(r.payload()[:len(r.payload())-len(sql)]) // the command, with its attributes
	for i := range parts {
		parts[i].SQL = bytes.Clone(bytes.TrimSpace(parts[i].SQL))
	}
	c.drop(&r.command)
	hints := r.hints
	for i := range parts {
		*r = request{hints: hints, follows: i < len(parts)-1}
		if err := c.part(r, &parts[i], head); err != nil || r.failure != nil {
			return err
		}
	}
	return nil
}

// part serves one part. A SET that is also for a server counts for us once the server has executed its share.
func (c *conn) part(r *request, p *router.Part, head []byte) error {
	if p.SQL == nil {
		return c.own(p, nil, false)
	}
	values, refused := c.check(p, nil)
	if refused != nil {
		return c.answer(refused)
	}
	packet := mysqlwire.AppendPacket(nil, 0, append(bytes.Clone(head), p.SQL...))
	r.command = command{code: mysql.COM_QUERY, head: packet, ours: true}
	r.shift, r.last = c.seq, c.seq
	c.classifyText(r, p.SQL)
	if err := c.runText(r, p.SQL); err != nil || r.failure != nil {
		return err
	}
	c.seq = r.last
	c.set(values)
	return nil
}

// own answers a statement of ours. Args are the values of its placeholders; binary says that it was prepared.
func (c *conn) own(p *router.Part, args []mysqlwire.Param, binary bool) error {
	if p.Columns != nil {
		return c.show(p.Columns, binary)
	}
	values, refused := c.check(p, args)
	if refused != nil {
		return c.answer(refused)
	}
	c.set(values)
	return c.ok()
}

// setting is the value of one assignment.
type setting struct {
	name  router.Name
	value mysqlwire.Text
	hints hints // what the value means
}

// check reads the values that are assigned, and refuses what cannot be. Nothing was set then.
func (c *conn) check(p *router.Part, args []mysqlwire.Param) ([]setting, *mysqlwire.Error) {
	var all []setting
	for _, a := range p.Assignments {
		s := setting{name: a.Name, value: mysqlwire.Text{Value: a.Value, Null: a.Null}}
		if a.Param > len(args) {
			return nil, errNoValue
		}
		if a.Param > 0 {
			arg, ok := &args[a.Param-1], false
			if s.value.Value, ok = arg.Text(); !ok && !arg.Null {
				return nil, errAttributeType(a.Name)
			}
			s.value.Null = arg.Null
		}
		if !s.value.Null {
			if refused := c.heed(&s.hints, s.name, s.value.Value); refused != nil {
				return nil, refused
			}
		}
		if c.pins.full(s.hints.sessions) {
			return nil, errTooManyNamed
		}
		all = append(all, s)
	}
	return all, nil
}

// set makes assignments count, one after the other. NULL clears what can be cleared: what must be seen, must be.
func (c *conn) set(all []setting) {
	for i := range all {
		s := &all[i]
		switch s.name {
		case router.NameSession:
			c.said.session = s.value.Value
			if s.value.Null {
				c.said.session = ""
			}
			c.pins.name(c.session())
		case router.NameRoute:
			c.said.route = s.hints.route
		case router.NamePin:
			c.said.pin = s.value
			if s.hints.pin {
				c.pin()
			}
		case router.NameToken:
			if s.hints.need != nil {
				c.pins.bear(*s.hints.need)
			}
		}
	}
}

// session is the name of the session that the connection works for, "" for itself.
func (c *conn) session() string {
	if c.said.session != "" {
		return c.said.session
	}
	return c.attributes.session
}

// value is what a variable of ours has.
func (c *conn) value(n router.Name) mysqlwire.Text {
	switch n {
	case router.NameSession:
		name := c.session()
		return mysqlwire.Text{Value: name, Null: name == ""}
	case router.NamePin:
		return c.said.pin
	case router.NameRoute:
		r := c.said.route
		if r == routeNone {
			r = c.attributes.route
		}
		return mysqlwire.Text{Value: r.String()}
	}
	return c.token()
}

// show answers a SELECT of our variables with one row.
func (c *conn) show(columns []router.Column, binary bool) error {
	row := make([]mysqlwire.Text, len(columns))
	for i := range columns {
		row[i] = c.value(columns[i].Name)
	}
	packets := append([][]byte{mysqlwire.AppendCount(nil, len(columns), c.caps)}, c.definitions(columns)...)
	if binary {
		packets = append(packets, mysqlwire.AppendBinaryRow(nil, row))
	} else {
		packets = append(packets, mysqlwire.AppendTextRow(nil, row))
	}
	ok := mysqlwire.OK{Status: c.status()}
	if c.caps.Has(mysqlwire.CapDeprecateEOF) {
		packets = append(packets, ok.Append(nil, true, c.caps.Has(mysqlwire.CapSessionTrack)))
	} else {
		packets = append(packets, ok.AppendEOF(nil))
	}
	return c.reply(packets...)
}

// maxValue is more bytes than any variable of ours has.
const maxValue = 1 << 12

// definitions are the packets that define columns, with what follows them for a classic client.
func (c *conn) definitions(columns []router.Column) [][]byte {
	var packets [][]byte
	for i := range columns {
		def := mysqlwire.TextColumn{Name: columns[i].Title, Collation: c.resultCollation(), Bytes: maxValue,
			Extended: c.caps.Has(mysqlwire.CapExtendedMetadata)}
		packets = append(packets, def.Append(nil))
	}
	if len(columns) > 0 && !c.caps.Has(mysqlwire.CapDeprecateEOF) {
		ok := mysqlwire.OK{Status: c.status()}
		packets = append(packets, ok.AppendEOF(nil))
	}
	return packets
}

// resultCollation is the id of a collation of the character set in which results are sent.
func (c *conn) resultCollation() uint16 {
	if id, ok := collations[c.state.vars[charsetResults]]; ok {
		return id
	}
	return c.login.Collation
}

// collations are those of character sets that clients have, by a number that all servers know them by.
// https://dev.mysql.com/doc/refman/en/show-collation.html
var collations = map[string]uint16{
	"utf8mb4": 45, "utf8mb3": 33, "utf8": 33, "latin1": 8, "ascii": 11, "binary": 63, "latin2": 9, "cp1251": 51, "koi8r": 7,
	"gbk": 28, "gb2312": 24, "gb18030": 248, "big5": 1, "sjis": 13, "cp932": 95, "ujis": 12, "eucjpms": 97, "euckr": 19,
}

// The errors about statements of ours.
var (
	errNoMulti = &mysqlwire.Error{Code: mysql.ER_PARSE_ERROR, State: "42000", Message: "You have an error in your SQL syntax; " +
		"this connection was opened without the option for several statements in one text"}
	errNoValue = &mysqlwire.Error{Code: mysql.ER_PARSE_ERROR, State: "42000", Message: "You have an error in your SQL syntax; " +
		"a placeholder for @sticky_... takes a prepared statement"}
)
