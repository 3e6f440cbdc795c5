package proxy

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/go-mysql-org/go-mysql/mysql"

	"github.com/stickyproxy/stickyproxy/mysqlwire"
	"github.com/stickyproxy/stickyproxy/router"
)

// kill is a KILL of one connection.
type kill struct {
	id    uint64
	own   bool // the id is CONNECTION_ID()
	query bool // KILL QUERY: the statement, not the connection
}

// parseKill reads KILL [CONNECTION | QUERY] {id | CONNECTION_ID()}; false for any other form, which is the primary's
// business.
// https://dev.mysql.com/doc/refman/en/kill.html
func parseKill(sql []byte) (k kill, ok bool) {
	words := strings.Fields(strings.TrimRight(strings.TrimSpace(string(sql)), ";"))
	if len(words) < 2 || !strings.EqualFold(words[0], "KILL") {
		return kill{}, false
	}
	words = words[1:]
	if k.query = strings.EqualFold(words[0], "QUERY"); k.query || strings.EqualFold(words[0], "CONNECTION") {
		words = words[1:]
	}
	if len(words) != 1 {
		return kill{}, false
	}
	if k.own = strings.EqualFold(words[0], "CONNECTION_ID()"); k.own {
		return k, true
	}
	id, err := strconv.ParseUint(words[0], 10, 64)
	k.id = id
	return k, err == nil
}

// killText serves a KILL in a text.
func (c *conn) killText(r *request, sql []byte) error {
	if r.class.Multi {
		return c.killsInTurn(r, sql)
	}
	k, ok := parseKill(sql)
	if !ok {
		return c.run(r)
	}
	return c.kill(r, k)
}

// killsInTurn serves a text of several statements with a KILL among them. Those at its beginning are sent one by one, each
// to the server on which it hits; one behind other statements is for the primary's threads only.
func (c *conn) killsInTurn(r *request, sql []byte) error {
	parts := killsFirst(sql)
	if len(parts) < 2 || !c.client.Capabilities.Has(mysqlwire.CapMultiStatements) || c.state.optional {
		return c.run(r) // as a whole, and only the primary may know whether that is allowed
	}
	return c.inTurn(r, parts, sql)
}

// killsFirst cuts off each KILL at the beginning of a text. There is no semicolon in one but the one that ends it.
func killsFirst(sql []byte) []router.Part {
	var parts []router.Part
	for {
		first, rest, more := bytes.Cut(sql, []byte{';'})
		if _, ok := parseKill(first); !ok || !more || len(bytes.TrimSpace(rest)) == 0 {
			return append(parts, router.Part{SQL: sql})
		}
		parts, sql = append(parts, router.Part{SQL: first}), rest
	}
}

// killPrepared serves the execution of a KILL.
func (c *conn) killPrepared(r *request) error {
	k, ok := parseKill(c.boundKill(r))
	if !ok || c.victim(k) == nil {
		return c.run(r)
	}
	r.code, r.stmt = mysql.COM_QUERY, nil // as a text, in which there is the id of the thread instead
	return c.kill(r, k)
}

// boundKill is the text of a KILL that was prepared, with its parameter in place if it has one.
func (c *conn) boundKill(r *request) []byte {
	sql := r.stmt.text
	for i, p := range r.stmt.block(r.payload(), c.caps).All() {
		if id, ok := p.Text(); ok && i == 0 && !p.Null && !p.Absent {
			sql = bytes.Replace(sql, []byte{'?'}, []byte(id), 1)
		}
	}
	return sql
}

// killCommand serves COM_PROCESS_KILL.
// https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_com_process_kill.html
func (c *conn) killCommand(r *request) error {
	p := r.payload()
	if len(p) < 5 || !r.whole() {
		return c.answer(errMalformed)
	}
	r.class = router.Statement{Reason: router.ReasonAdministration, Effects: router.Kills}
	return c.kill(r, kill{id: uint64(binary.LittleEndian.Uint32(p[1:]))})
}

// kill sends a KILL to the server on which it hits. A client knows two ids of a connection: the one that we greeted it
// with, and the one that its thread on the primary has, CONNECTION_ID(). Either way its statement may be running on a
// replica just now. An id of nobody here is the primary's business.
func (c *conn) kill(r *request, k kill) error {
	victim := c.victim(k)
	if victim == nil {
		return c.run(r)
	}
	if !k.query {
		r.victim = victim // what it has on replicas has to end, too
	}
	thread := victim.thread.Load()
	if l := victim.awaited(); l != nil && l.replica {
		if k.query {
			return c.answerKill(c.killAt(l, k, l.ThreadID))
		}
		_ = c.killAt(l, kill{query: true}, l.ThreadID) // its end alone would not end the statement; if that is over, fine
	}
	if err := c.killThread(r, k, thread); err != nil || victim != c || k.query || !selfKilled(r.failure) {
		return err
	}
	return errQuit // the server's end of it is gone, and a new one would be another
}

// victim is the client connection that a KILL hits, nil if it is none of ours.
func (c *conn) victim(k kill) *conn {
	if k.own {
		return c
	}
	return c.srv.find(k.id)
}

// selfKilled reports whether a server answers so to a KILL of the connection that it came on.
func selfKilled(answer *mysqlwire.Error) bool {
	const connectionKilled = 1927 // MariaDB's ER_CONNECTION_KILLED
	return answer == nil || answer.Code == mysql.ER_QUERY_INTERRUPTED || answer.Code == connectionKilled
}

// killThread kills a thread on the primary, on this client's own connection and in the client's words, but for the id.
func (c *conn) killThread(r *request, k kill, thread uint32) error {
	payload := appendQuery(nil, c.primary.Capabilities, k.text(thread))
	if r.code == mysql.COM_PROCESS_KILL {
		payload = binary.LittleEndian.AppendUint32([]byte{mysql.COM_PROCESS_KILL}, thread)
	}
	r.instead = mysqlwire.AppendPacket(nil, 0, payload)
	return c.run(r)
}

func (k kill) text(thread uint32) string {
	if k.query {
		return fmt.Sprintf("KILL QUERY %d", thread)
	}
	return fmt.Sprintf("KILL %d", thread)
}

// killAt kills a thread on the server of l, as this client: the server judges whether it may.
func (c *conn) killAt(l *link, k kill, thread uint32) error {
	if c.client.Relayed {
		return errNoPassword
	}
	ctx, cancel := c.connectTimeout()
	defer cancel()
	login := c.login
	login.Schema = ""
	b, err := l.Server.Connect(ctx, login)
	if err != nil {
		return err
	}
	defer b.Close()
	_, err = b.Query(ctx, k.text(thread))
	return err
}

// answerKill gives the client the outcome of killAt.
func (c *conn) answerKill(err error) error {
	var refused *mysqlwire.Error
	switch {
	case errors.As(err, &refused):
		return c.answer(refused)
	case err != nil:
		return c.answer(errNoReplica)
	}
	return c.ok()
}

// awaited is the link that the connection waits for, nil for none. It may be called from any goroutine.
func (c *conn) awaited() *link {
	if l := c.waits.Load(); l != nil {
		return l
	}
	return c.busy.Load()
}

// find returns the client connection that is known by id, nil if there is none.
func (s *Server) find(id uint64) *conn {
	if id > math.MaxUint32 {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.byID[uint32(id)]
}

// know makes c, which was let in, known by its ids. The caller holds the lock.
func (s *Server) know(c *conn) {
	s.call(c, c.id)
	s.call(c, c.thread.Load())
}

// call makes c known by an id, unless somebody is: a client of an earlier primary. The caller holds the lock.
func (s *Server) call(c *conn, id uint32) {
	if s.byID[id] == nil {
		s.byID[id] = c
	}
}

// forget ends that c is known by an id. The caller holds the lock.
func (s *Server) forget(c *conn, id uint32) {
	if s.byID[id] == c {
		delete(s.byID, id)
	}
}

// threadIs notes the id of the client's connection to the primary, there.
func (c *conn) threadIs(id uint32) {
	old := c.thread.Swap(id)
	if old == id {
		return
	}
	s := c.srv
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.byID[c.id] != c {
		return // it was not let in yet
	}
	if old != c.id {
		s.forget(c, old)
	}
	s.call(c, id)
}
