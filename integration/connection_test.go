package integration

import (
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"

	"github.com/stickyproxy/stickyproxy/internal/mysqltest"
)

// dsn is how go-sql-driver reaches a server at addr.
func (p *rig) dsn(addr, parameters string) string {
	return fmt.Sprintf("%s:%s@tcp(%s)/%s?%s", p.account.User, p.account.Password, addr, mysqltest.AppSchema, parameters)
}

// client is one connection of go-sql-driver through the proxy.
type client struct {
	*sql.Conn
	db *sql.DB
	p  *rig
	t  testing.TB
}

// connect opens a connection of its own through the proxy. Parameters are those of a DSN of go-sql-driver.
func (p *rig) connect(parameters ...string) *client {
	p.t.Helper()
	return p.connectTo(p.addr, parameters...)
}

func (p *rig) connectTo(addr string, parameters ...string) *client {
	p.t.Helper()
	db, err := sql.Open("mysql", p.dsn(addr, strings.Join(parameters, "&")))
	if err != nil {
		p.t.Fatal(err)
	}
	p.t.Cleanup(func() { _ = db.Close() }) // tests may have closed it, or its server
	conn, err := db.Conn(p.ctx)
	if err != nil {
		p.t.Fatal(err)
	}
	p.t.Cleanup(func() { _ = conn.Close() })
	return &client{conn, db, p, p.t}
}

// do runs statements on a connection of their own, which is gone afterwards.
func (p *rig) do(statements ...string) {
	p.t.Helper()
	c := p.connect()
	c.exec(statements...)
	c.close()
}

// close ends the connection.
func (c *client) close() {
	c.t.Helper()
	if err := errors.Join(c.Conn.Close(), c.db.Close()); err != nil {
		c.t.Error(err)
	}
}

// next is where the next statement ran. Statements that ran before and were not asked for count.
func (p *rig) next() ran {
	p.t.Helper()
	select {
	case r := <-p.ran:
		return r
	case <-time.After(time.Minute):
		p.t.Fatalf("no statement was traced\n%s", stacks())
		return ran{}
	}
}

// last is where the last statement ran that was traced; the one before must have been answered.
func (p *rig) last() ran {
	p.t.Helper()
	r := p.next()
	for len(p.ran) > 0 {
		r = p.next()
	}
	return r
}

// forget drops what was traced so far, after n statements.
func (p *rig) forget(n int) {
	p.t.Helper()
	for range n {
		p.next()
	}
}

// exec runs statements that return no rows, one by one.
func (c *client) exec(statements ...string) ran {
	c.t.Helper()
	var r ran
	for _, s := range statements {
		if _, err := c.ExecContext(c.p.ctx, s); err != nil {
			c.t.Fatalf("%s: %v", s, err)
		}
		r = c.p.next()
	}
	return r
}

// text runs a query by the text protocol and returns its only value ("NULL" for NULL), and where it ran.
func (c *client) text(query string) (string, ran) {
	c.t.Helper()
	v, err := scan(c.QueryContext(c.p.ctx, query))
	if err != nil {
		c.t.Fatalf("%s: %v", query, err)
	}
	return v, c.p.next()
}

// wants runs a query, by both protocols, and fails the test unless its only value is want and it ran on a replica or
// on the primary as wanted.
func (c *client) wants(query, want string, replica bool) {
	c.t.Helper()
	got, where := c.text(query)
	if got != want || where.replica != replica {
		c.t.Errorf("%s by text: got %s from %v, want %s, replica %v", query, got, where, want, replica)
	}
	st := c.prepare(query)
	defer st.close()
	got, where = st.query()
	if got != want || where.replica != replica {
		c.t.Errorf("%s prepared: got %s from %v, want %s, replica %v", query, got, where, want, replica)
	}
}

// fails runs a statement and returns the number of the server's error.
func (c *client) fails(statement string) uint16 {
	c.t.Helper()
	_, err := c.ExecContext(c.p.ctx, statement)
	var refused *mysql.MySQLError
	if !errors.As(err, &refused) {
		c.t.Fatalf("%s: got %v, want an error of the server", statement, err)
	}
	c.p.next()
	return refused.Number
}

// prepared is a prepared statement of a client.
type prepared struct {
	*sql.Stmt
	c    *client
	text string
}

func (c *client) prepare(query string) *prepared {
	c.t.Helper()
	st, err := c.PrepareContext(c.p.ctx, query)
	if err != nil {
		c.t.Fatalf("prepare %s: %v", query, err)
	}
	c.p.next()
	return &prepared{st, c, query}
}

func (s *prepared) close() { _ = s.Stmt.Close() }

// query executes the statement and returns its only value and where it ran.
func (s *prepared) query(args ...any) (string, ran) {
	s.c.t.Helper()
	v, err := scan(s.Stmt.QueryContext(s.c.p.ctx, args...))
	if err != nil {
		s.c.t.Fatalf("execute %s: %v", s.text, err)
	}
	return v, s.c.p.next()
}

// scan reads a result of one column and at most one row. No row reads as "none".
func scan(rows *sql.Rows, err error) (string, error) {
	if err != nil {
		return "", err
	}
	defer rows.Close()
	value := sql.NullString{String: "none", Valid: true}
	if rows.Next() {
		if err := rows.Scan(&value); err != nil {
			return "", err
		}
	}
	for rows.Next() {
		return "", errors.New("more than one row")
	}
	if !value.Valid {
		value.String = "NULL"
	}
	return value.String, rows.Err()
}
