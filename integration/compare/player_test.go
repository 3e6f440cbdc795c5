package compare

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/go-mysql-org/go-mysql/mysql"

	"github.com/stickyproxy/stickyproxy/internal/mysqltest"
	"github.com/stickyproxy/stickyproxy/mysqlwire"
)

// player plays the steps of a script at one address: the primary's or the proxy's. It belongs to one goroutine.
type player struct {
	rig     *rig
	addr    string
	proxied bool
	caps    mysqlwire.Capability // of connections that are opened without .connect
	schema  string
	other   string // the second schema
	random  bool   // leave out what is known to differ: see testdata/open
	prepare bool   // every statement is prepared, executed and closed, if it can be
	clients map[string]*client
	where   func(*client, func()) string // runs a step and tells where it ran; nil: nobody asks
}

// played is what became of a step.
type played struct {
	seen  string // by the client
	where string // where it ran, if the script says where it has to
}

// play does all steps and closes the connections.
func (p *player) play(steps []step) []played {
	p.clients = make(map[string]*client)
	defer func() {
		for _, c := range p.clients {
			c.close()
		}
	}()
	all := make([]played, len(steps))
	for i, s := range steps {
		s.argument = p.expand(s.argument)
		run := func() { all[i].seen = p.do(s) }
		if p.where == nil || s.where == "" {
			run()
			continue
		}
		c, _ := p.client(s.connection)
		if s.where == "replica" {
			p.rig.settle() // a replica may serve it: it has what the connection has seen on the primary
		}
		all[i].where = p.where(c, run)
	}
	return all
}

// expand puts in the values of what a script names with a '$'.
func (p *player) expand(text string) string {
	if !strings.Contains(text, "$") {
		return text
	}
	pairs := []string{"$schema", p.schema, "$other", p.other}
	for name, c := range p.clients {
		pairs = append(pairs, "$id_"+name, fmt.Sprint(c.id), "$thread_"+name, c.thread)
	}
	return strings.NewReplacer(pairs...).Replace(text)
}

// client returns the connection of that name; it is opened if there is none.
func (p *player) client(name string) (*client, error) {
	if c := p.clients[name]; c != nil {
		return c, nil
	}
	c, _, err := dial(p.addr, login{account: p.rig.cluster.App, schema: p.schema, caps: p.caps})
	if err != nil {
		return nil, err
	}
	p.clients[name] = c
	return c, p.begin(c)
}

// begin runs a statement on a new session: what FOUND_ROWS() and ROW_COUNT() say of those before is left out.
func (p *player) begin(c *client) error {
	if !p.random {
		return nil
	}
	_, err := c.run("SELECT 1")
	return err
}

// do does one step and returns what the client saw.
func (p *player) do(s step) string {
	switch s.command {
	case "connect":
		return p.connect(s)
	case "settle":
		if p.proxied {
			p.rig.settle()
		}
		return ""
	case "await":
		p.rig.await(s.argument)
		return ""
	}
	c, err := p.client(s.connection)
	if err != nil {
		return "login: " + err.Error()
	}
	if c.over != nil {
		return "the connection is over"
	}
	if p.random && (c.unprepared(s) || c.misleads(s) && p.rig.cluster.Engine() == mysqltest.MySQL) {
		return "" // its error is the proxy's own, and not in SHOW WARNINGS
	}
	r, err := c.do(p, s)
	if err == nil && (s.command == "reset_connection" || s.command == "change_user") {
		err = p.begin(c)
	}
	seen := r.String()
	if s.shape {
		seen = r.shape()
	}
	if err != nil {
		c.over = err
		seen += "\n      the connection ended" // in which way is up to the network
	}
	return seen
}

// connect opens a connection as the arguments say.
func (p *player) connect(s step) string {
	l := login{account: p.rig.cluster.App, schema: p.schema, caps: p.caps}
	for _, word := range words(s.argument) {
		name, value, _ := strings.Cut(word, "=")
		switch {
		case name == "user":
			l.account = p.rig.account(value)
		case name == "schema":
			l.schema = value
		case name == "collation":
			if id, err := strconv.ParseUint(value, 10, 8); err == nil {
				l.collation = byte(id)
			}
		case word[0] == '-':
			l.caps &^= capabilities[word[1:]]
		default:
			l.caps |= capabilities[word[1:]]
		}
	}
	c, last, err := dial(p.addr, l)
	if err != nil {
		return fmt.Sprintf("login: %v", err)
	}
	p.clients[s.connection] = c
	return fmt.Sprintf("login: %q", last)
}

// capabilities are the ones that a script can turn on and off.
var capabilities = map[string]mysqlwire.Capability{
	"deprecate_eof":    mysqlwire.CapDeprecateEOF,
	"session_track":    mysqlwire.CapSessionTrack,
	"multi_statements": mysqlwire.CapMultiStatements,
	"found_rows":       mysqlwire.CapFoundRows,
	"query_attributes": mysqlwire.CapQueryAttributes,
	"ignore_space":     mysqlwire.CapIgnoreSpace, "extended_metadata": mysqlwire.CapExtendedMetadata, "bulk": mysqlwire.CapBulkExecute,
	"local_files": mysqlwire.CapLocalFiles, "optional_metadata": mysqlwire.CapOptionalMetadata,
	"interactive": mysqlwire.CapInteractive,
	"no_schema":   mysqlwire.CapNoSchema,
}

// do does a step on the connection.
func (c *client) do(p *player, s step) (response, error) {
	switch s.command {
	case "file":
		c.file = []byte(s.argument)
		return nil, nil
	case "change_user":
		return c.becomes(p, words(s.argument))
	case "thread":
		r, err := c.exchange(c.query("SELECT CONNECTION_ID()"))
		if err == nil {
			c.thread, err = r.value()
		}
		return nil, err
	case "send":
		c.sent = c.query(s.argument)
		return nil, c.send(c.sent)
	case "reap":
		return c.response(c.sent[0])
	case "quit":
		c.close()
		return nil, errors.New("quit")
	case "prepare":
		return c.prepare(s.argument)
	case "":
		if p.prepare {
			return c.executes(s.argument)
		}
	}
	payload, err := c.payload(s)
	if err != nil {
		panic(fmt.Sprintf("line %d: %v", s.line, err)) // a mistake in a script
	}
	return c.exchange(payload)
}

// unprepared reports whether a step is about a prepared statement that is not there.
func (c *client) unprepared(s step) bool {
	switch s.command {
	case "execute", "again", "cursor", "bulk", "bulk_again", "fetch", "reset", "close", "long":
		_, ok := c.statements[words(s.argument)[0]]
		return !ok
	}
	return false
}

// misleads reports whether a step executes a statement that has a cursor open: MySQL may answer that with definitions and
// then an OK packet in place of rows. It notes who has one open.
func (c *client) misleads(s step) bool {
	switch s.command {
	case "execute", "again", "cursor", "reset":
		name := words(s.argument)[0]
		open := c.cursors[name]
		c.cursors[name] = s.command == "cursor"
		return open && s.command != "reset"
	}
	return false
}

// exchange sends a command and reads its response.
func (c *client) exchange(payload []byte) (response, error) {
	if err := c.send(payload); err != nil {
		return nil, err
	}
	r, err := c.response(payload[0])
	if payload[0] == mysql.COM_RESET_CONNECTION && err == nil {
		clear(c.statements)
	}
	return r, err
}

// becomes is COM_CHANGE_USER. The dialogue depends on who keeps the password: only its end is compared.
func (c *client) becomes(p *player, args []string) (response, error) {
	l := login{account: p.rig.account(args[0])}
	if len(args) > 1 {
		l.schema = args[1]
	}
	last, err := c.changeUser(l)
	if last == nil {
		return nil, err
	}
	return response{{bytes: last}}, nil // the next step shows whether a refusal was the end
}

// prepare prepares a statement: a name and its text.
func (c *client) prepare(argument string) (response, error) {
	name, text, _ := strings.Cut(argument, " ")
	delete(c.statements, name)
	r, err := c.exchange(append([]byte{mysql.COM_STMT_PREPARE}, text...))
	if err == nil && r[0].bytes[0] == 0 {
		c.statements[name] = statementID(r[0].bytes[1:])
	}
	return r, err
}

// executes has a statement prepared and executed once. One that cannot be prepared runs as it is, and so do SET GLOBAL
// and SET PERSIST: MySQL answers their preparation with an OK packet that is none of that kind where the privilege is missing.
func (c *client) executes(sql string) (response, error) {
	const name = "=" // no script's
	if strings.HasPrefix(sql, "SET GLOBAL") || strings.HasPrefix(sql, "SET PERSIST") {
		return c.exchange(c.query(sql))
	}
	made, err := c.prepare(name + " " + sql)
	if err != nil {
		return made, err
	}
	if _, ok := c.statements[name]; !ok {
		r, err := c.exchange(c.query(sql))
		return append(made, r...), err
	}
	payload, err := c.statementPayload("execute", []string{name}, "")
	if err != nil {
		return made, err
	}
	r, err := c.exchange(payload)
	if err == nil {
		payload, _ = c.statementPayload("close", []string{name}, "") // it is there: it was executed
		err = c.send(payload)
	}
	delete(c.statements, name)
	return append(made, r...), err
}

// account is an account by its name; only the application's has another password than none.
func (p *rig) account(name string) mysqltest.Account {
	if name == p.cluster.App.User {
		return p.cluster.App
	}
	return mysqltest.Account{User: name, Password: otherPassword}
}
