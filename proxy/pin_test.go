package proxy

import (
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-mysql-org/go-mysql/mysql"

	"github.com/stickyproxy/stickyproxy/gtid"
	"github.com/stickyproxy/stickyproxy/internal/mysqltest/fakeserver"
	"github.com/stickyproxy/stickyproxy/mysqlwire"
	"github.com/stickyproxy/stickyproxy/router"
	"github.com/stickyproxy/stickyproxy/session"
)

const write = "INSERT INTO t VALUES (1)"

var appSession = session.Key{Account: "app", Name: "s"}

// pinned is what a session must see after some statements, in short: gtid, unproven, writing.
func pinned(n session.Need) string {
	var s []string
	if !n.GTID.IsEmpty() {
		s = append(s, "gtid "+strings.TrimPrefix(n.GTID.String(), sourceUUID+":"))
	}
	if !n.UnprovenAt.IsZero() {
		s = append(s, "unproven")
	}
	if !n.AsOf.IsZero() {
		s = append(s, "as of")
	}
	if n.Writing > 0 {
		s = append(s, "writing")
	}
	return strings.Join(s, ", ")
}

// rows answers with no rows and this end of them.
func rows(end fakeserver.OK) fakeserver.Handler {
	return func(c *fakeserver.Conn, _ fakeserver.Command) error { return c.Rows([]string{"a"}, nil, end) }
}

// oks answers with OK.
func oks(ok fakeserver.OK) fakeserver.Handler {
	return func(c *fakeserver.Conn, _ fakeserver.Command) error { return c.OK(ok) }
}

// refuse answers with an error.
func refuse(code uint16) fakeserver.Handler {
	return func(c *fakeserver.Conn, _ fakeserver.Command) error { return c.Error(code, "HY000", "no") }
}

// What a session must see after its statements ended in one way or another. A server that reports GTIDs has done so
// before in each of the scenes.
func TestPins(t *testing.T) {
	open, closed := fakeserver.OK{Status: inTransaction}, fakeserver.OK{}
	const uuid = sourceUUID
	commit := writeGTID(uuid + ":9")
	hangUp := func(*fakeserver.Conn, fakeserver.Command) error { return errHangUp }
	type step struct {
		sql    string
		answer fakeserver.Handler
	}
	for _, tt := range []struct {
		name    string
		mariaDB bool
		noGTIDs bool
		mode    router.Mode
		steps   []step
		want    string
	}{
		{name: "a write with its GTID", steps: []step{{write, oks(commit)}}, want: "gtid 9"},
		{name: "one without", steps: []step{{"CREATE TABLE t (a INT)", oks(closed)}}, want: "as of"},
		{name: "one that changed nothing", steps: []step{{write, oks(closed)}}, want: ""},
		{name: "rolled back where there are no GTIDs", noGTIDs: true, steps: []step{{"BEGIN", oks(open)}, {write, oks(open)}, {"ROLLBACK", oks(closed)}}, want: "unproven"},
		{name: "rolled back in mode window", mode: router.Window, steps: []step{{"BEGIN", oks(open)}, {write, oks(open)}, {"ROLLBACK", oks(closed)}}, want: "unproven"},
		{name: "a GTID in mode window", mode: router.Window, steps: []step{{write, oks(commit)}}, want: "gtid 9"},
		{name: "the same in mode window", mode: router.Window, steps: []step{{write, oks(closed)}}, want: "unproven"},
		{name: "a read that locks", steps: []step{{"SELECT a FROM t FOR UPDATE", rows(closed)}}, want: ""},
		{name: "an error", steps: []step{{write, refuse(mysql.ER_DUP_ENTRY)}}, want: "as of"},
		{name: "the server is lost", steps: []step{{write, hangUp}}, want: "unproven"},
		{name: "a GTID that cannot be read", steps: []step{{write, oks(writeGTID("no such thing"))}}, want: "as of"},
		{name: "in a transaction", steps: []step{{"BEGIN", oks(open)}, {write, oks(open)}}, want: "writing"},
		{name: "committed", steps: []step{{"BEGIN", oks(open)}, {write, oks(open)}, {"COMMIT", oks(commit)}}, want: "gtid 9"},
		{name: "committed without a GTID", steps: []step{{"BEGIN", oks(open)}, {write, oks(open)}, {"COMMIT", oks(closed)}}, want: "as of"},
		{name: "rolled back", steps: []step{{"BEGIN", oks(open)}, {write, oks(open)}, {"ROLLBACK", oks(closed)}}, want: "as of"},
		{name: "read and committed", steps: []step{{"BEGIN", oks(open)}, {"SELECT a FROM t", rows(open)}, {"COMMIT", oks(closed)}}, want: ""},
		{name: "an implicit commit", steps: []step{{"BEGIN", oks(open)}, {write, oks(open)}, {"CREATE TABLE u (a INT)", oks(commit)}}, want: "gtid 9"},
		{name: "an implicit commit before an error", steps: []step{{"BEGIN", oks(open)}, {write, oks(open)},
			{"CREATE TABLE u (a INT)", refuse(mysql.ER_TABLE_EXISTS_ERROR)}, {"SELECT a FROM t", rows(closed)}}, want: "as of"},
		{name: "a COMMIT that failed, maybe", steps: []step{{"BEGIN", oks(open)}, {write, oks(open)},
			{"COMMIT", refuse(mysql.ER_ERROR_DURING_COMMIT)}, {"SELECT a FROM t", rows(closed)}}, want: "as of"},
		{name: "autocommit=0", steps: []step{{write, oks(fakeserver.OK{Status: 1})}, {"SET autocommit = 1", oks(commit)}}, want: "gtid 9"},
		{name: "a CALL that wrote and failed", steps: []step{{"CALL p()", refuse(mysql.ER_SIGNAL_EXCEPTION)}}, want: "as of"},
		{name: "a CALL that left a transaction open, and failed", steps: []step{{"CALL p()", refuse(mysql.ER_SIGNAL_EXCEPTION)},
			{"SELECT a FROM t", rows(open)}}, want: "as of, writing"},
		{name: "the COMMIT after that", steps: []step{{"CALL p()", refuse(mysql.ER_SIGNAL_EXCEPTION)}, {"COMMIT", oks(commit)}}, want: "gtid 9, as of"},
		{name: "a GTID that nobody expected", steps: []step{{"SELECT a FROM t FOR UPDATE", rows(commit)}}, want: "gtid 9"},
		{name: "XA COMMIT", steps: []step{{"XA COMMIT 'x'", oks(commit)}}, want: "gtid 9"},
		{name: "a large statement", steps: []step{{"SELECT '" + strings.Repeat("x", maxWhole) + "'", rows(closed)}}, want: "as of"},
		{name: "several statements in MariaDB, which reports the last", mariaDB: true,
			steps: []step{{write + "; " + write, oks(fakeserver.OK{Track: []fakeserver.Track{fakeserver.TrackVariable("last_gtid", "0-1-9")}})}},
			want:  "gtid 0-1-9, unproven"},
		{name: "one in MariaDB", mariaDB: true,
			steps: []step{{write, oks(fakeserver.OK{Track: []fakeserver.Track{fakeserver.TrackVariable("last_gtid", "0-1-9")}})}},
			want:  "gtid 0-1-9"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			gone := make(chan struct{})
			var told pinCount
			r := startRig(t, rigOptions{replicas: 1, mariaDB: tt.mariaDB, policy: Policy{Mode: tt.mode}, trace: Trace{Closed: func() { close(gone) }, Pinned: told.add}})
			r.server.reports("p")
			if tt.noGTIDs {
				r.fleet.withoutGTIDs()
			}
			script := make(map[string]fakeserver.Handler)
			for _, s := range tt.steps {
				script[s.sql] = s.answer
			}
			r.primary.on(func(c *fakeserver.Conn, cmd fakeserver.Command) error {
				if h := script[cmd.SQL]; h != nil {
					return h(c, cmd)
				}
				return errDefault
			})
			c := r.connectAs(usualClient|mysqlwire.CapMultiStatements, "", "s")
			for _, s := range tt.steps {
				if strings.HasPrefix(s.sql, "SELECT a") && r.sessions.Need(appSession).WroteAt.IsZero() && r.sessions.Need(appSession).Writing == 0 {
					r.fleet.only("nobody") // so that the primary answers
				}
				if got := c.query(s.sql); got.lost != nil {
					<-gone
				}
			}
			if got := pinned(r.sessions.Need(appSession)); got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
			waits := strings.Contains(tt.want, "unproven") || tt.mode == router.Window
			told.want(t, tt.want != "" && tt.want != "writing" && !waits, waits)
		})
	}
}

// A transaction that was open when its client, or the primary, was lost pins, and so does a write without an answer.
func TestPinsOfTheLost(t *testing.T) {
	for _, tt := range []struct {
		name string
		end  func(r *rig, c *checker)
	}{
		{"the client", func(_ *rig, c *checker) { c.close() }},
		{"the primary", func(r *rig, _ *checker) { _ = r.primary.Conns()[0].Close() }},
		{"a reset", func(_ *rig, c *checker) { c.ask(mysql.COM_RESET_CONNECTION, ""); c.close() }},
		{"another user", func(_ *rig, c *checker) { c.changeUser(); c.close() }},
	} {
		gone := make(chan struct{}, 1)
		var told pinCount
		r := startRig(t, rigOptions{replicas: 1, trace: Trace{Closed: func() { gone <- struct{}{} }, Pinned: told.add}})
		r.primary.on(answering(map[string]fakeserver.OK{write: {Status: inTransaction}}))
		c := r.connectAs(usualClient, "", "s")
		c.ok("BEGIN")
		c.ok(write)
		tt.end(r, c)
		if tt.name == "the primary" {
			c.query("SELECT a FROM t")
		}
		<-gone
		if got := pinned(r.sessions.Need(appSession)); got != "unproven" {
			t.Errorf("%s: got %q", tt.name, got)
		}
		told.want(t, false, true)
	}
}

// spy calls a function before each write to the client.
type spy struct {
	net.Conn
	before func(b []byte)
}

func (s spy) Write(b []byte) (int, error) {
	s.before(b)
	return s.Conn.Write(b)
}

// Whoever has read an acknowledgement finds its write recorded, on any connection of the session: the record is made
// before the first byte is written.
func TestLearnsBeforeTheClientKnows(t *testing.T) {
	var mu sync.Mutex // guards what follows
	var r *rig
	var seen string // what the session had to see at the last write to a client
	var key session.Key
	rig := startRig(t, rigOptions{replicas: 1, wrap: func(nc net.Conn) net.Conn {
		return spy{nc, func([]byte) {
			mu.Lock()
			defer mu.Unlock()
			if r != nil {
				seen = pinned(r.sessions.Need(key))
			}
		}}
	}})
	mu.Lock()
	r = rig
	mu.Unlock()
	r.primary.on(func(c *fakeserver.Conn, cmd fakeserver.Command) error {
		switch cmd.SQL {
		case write:
			return c.OK(writeGTID(sourceUUID + ":9"))
		case "INSERT INTO t VALUES (2) RETURNING a":
			return errors.Join(c.Columns("a"), c.Row("2"), c.EOF(writeGTID(sourceUUID+":10")))
		case "INSERT INTO t VALUES (3)":
			return c.Error(mysql.ER_DUP_ENTRY, "23000", "no")
		}
		return errDefault
	})
	for _, caps := range []mysqlwire.Capability{usualClient, usualClient &^ mysqlwire.CapSessionTrack} {
		mu.Lock()
		key = session.Key{Account: "app", Name: fmt.Sprint(caps)}
		mu.Unlock()
		c := r.connectAs(caps, "", fmt.Sprint(caps))
		for _, tt := range []struct{ sql, want string }{
			{write, "gtid 9"}, {"INSERT INTO t VALUES (2) RETURNING a", "gtid 9-10"}, {"INSERT INTO t VALUES (3)", "gtid 9-10, as of"},
		} {
			c.query(tt.sql)
			mu.Lock()
			if seen != tt.want {
				t.Errorf("%s: at the write of the last byte the session has %q, want %q", tt.sql, seen, tt.want)
			}
			mu.Unlock()
		}
		c.close()
	}
}

// What ended with an answer that tells no GTID, such as a ROLLBACK, is on a replica that has what the primary had after it,
// whatever time has passed.
func TestAnsweredWithoutGTID(t *testing.T) {
	for _, scope := range []Scope{ScopeSession, ScopeGlobal} {
		r := startRig(t, rigOptions{replicas: 1, policy: Policy{Scope: scope}})
		r.primary.on(answering(map[string]fakeserver.OK{"BEGIN": {Status: inTransaction}, write: {Status: inTransaction}}))
		writer, reader := r.connectAs(usualClient, "", "s"), r.connectAs(usualClient, "", "s")
		r.clock.advance(time.Minute)
		for _, sql := range []string{"BEGIN", write, "ROLLBACK"} {
			writer.ok(sql)
		}
		r.fleet.fresh(r.clock.now())
		reader.from(r.primary, "SELECT a FROM t")
		r.fleet.fresh(r.clock.now().Add(1))
		reader.from(r.replicas[0], "SELECT a FROM t")
	}
}

// A write in flight keeps the reads of its session on the primary, on all connections.
func TestWriteInFlight(t *testing.T) {
	r := startRig(t, rigOptions{replicas: 1})
	arrived, answer := make(chan struct{}), make(chan struct{})
	r.primary.on(func(c *fakeserver.Conn, cmd fakeserver.Command) error {
		if cmd.SQL != write {
			return errDefault
		}
		close(arrived)
		<-answer
		return c.OK(writeGTID(sourceUUID + ":9"))
	})
	writer, reader, other := r.connectAs(usualClient, "", "s"), r.connectAs(usualClient, "", "s"), r.connectAs(usualClient, "", "t")
	r.fleet.executed(mustGTID(t, sourceUUID+":1-9"))
	writer.send(mysql.COM_QUERY, write)
	<-arrived
	reader.from(r.primary, "SELECT a FROM t")
	other.from(r.replicas[0], "SELECT a FROM t")
	close(answer)
	if got := writer.response(mysql.COM_QUERY); got.err != nil || got.lost != nil {
		t.Fatal(got)
	}
	reader.from(r.replicas[0], "SELECT a FROM t")
}

// In scope global all clients work for one session, whatever their attributes say.
func TestScopeGlobal(t *testing.T) {
	r := startRig(t, rigOptions{replicas: 1, policy: Policy{Scope: ScopeGlobal}})
	r.primary.on(answering(map[string]fakeserver.OK{write: writeGTID(sourceUUID + ":9")}))
	writer, reader := r.connectAs(usualClient, "", "s"), r.connect()
	writer.ok(write)
	reader.from(r.primary, "SELECT a FROM t")
	r.fleet.executed(mustGTID(t, sourceUUID+":1-9"))
	reader.from(r.replicas[0], "SELECT a FROM t")
	if got := r.sessions.Need(appSession); !got.GTID.IsEmpty() {
		t.Errorf("the named session has %v", got)
	}
}

// A client without a session is its own, and a name that is too long is refused.
func TestSessionNames(t *testing.T) {
	r := startRig(t, rigOptions{replicas: 1})
	r.primary.on(answering(map[string]fakeserver.OK{write: writeGTID(sourceUUID + ":9")}))
	writer, reader := r.connect(), r.connect()
	writer.ok(write)
	writer.from(r.primary, "SELECT a FROM t")
	reader.from(r.replicas[0], "SELECT a FROM t")

	c := r.dial(r.address)
	raw := &rawClient{t: t, conn: c.nc, capabilities: usualClient, attributes: attribute("sticky_session", strings.Repeat("x", session.MaxName+1))}
	if refused := raw.login("app", ""); refused != nil {
		t.Fatal(refused)
	}
	c.seq = 0
	c.ended(mysql.ER_WRONG_VALUE_FOR_VAR)

	var p pins
	if p.enter(nil, ScopeGlobal, "app"); p.current() != nil {
		t.Errorf("without a store the session is %v", p.current())
	}
}

// The trackers of a connection may be off where a statement that nobody can look into has changed something: then a
// write without a GTID is none that committed nothing.
func TestTrackersMayBeOff(t *testing.T) {
	r := startRig(t, rigOptions{replicas: 1})
	r.primary.on(answering(map[string]fakeserver.OK{"CALL trackers_off()": {Track: []fakeserver.Track{fakeserver.TrackStateChange()}}}))
	r.server.reports("p")
	c := r.connectAs(usualClient, "", "s")
	c.ok(write)
	if got := pinned(r.sessions.Need(appSession)); got != "" {
		t.Fatalf("got %q", got)
	}
	c.ok("CALL trackers_off()")
	r.clock.advance(time.Minute)
	c.ok(write)
	if got := r.sessions.Need(appSession).AsOf; !got.Equal(r.clock.now()) {
		t.Errorf("pinned at %v, want %v", got, r.clock.now())
	}
}

// Pins of a connection without a session.
func TestLocalPins(t *testing.T) {
	var p pins
	p.begin()
	p.begin() // the writes of one transaction are one
	if !p.need().Writing {
		t.Error("not writing")
	}
	p.none()
	if n := p.need(); n.Writing || !n.WroteAt.IsZero() {
		t.Errorf("got %v", n)
	}
	p.begin()
	p.committed(mustGTID(t, sourceUUID+":1"))
	p.committed(mustGTID(t, sourceUUID+":2"))
	if p.end(clockStart, false, false).Unproven {
		t.Error("not proven")
	}
	if n := p.need(); !n.GTID.Equal(mustGTID(t, sourceUUID+":1-2")) || !n.UnprovenAt.IsZero() || !n.WroteAt.Equal(clockStart) {
		t.Errorf("got %v", n)
	}
	if !p.gtids.Equal(gtid.Set{}) || p.doubt || p.writing {
		t.Error("something is left")
	}
}

// The fleet is told of writes, so that it is known soon who has them, and not of reads.
func TestFleetIsToldOfWrites(t *testing.T) {
	r := startRig(t, rigOptions{})
	c := r.connect()
	c.ok(write)
	c.query("SELECT a FROM t FOR SHARE")
	c.query("SELECT a FROM t")
	if got := r.fleet.writes.Load(); got != 1 {
		t.Errorf("told of %d writes, want 1", got)
	}
}
