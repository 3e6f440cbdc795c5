package proxy

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/go-mysql-org/go-mysql/mysql"

	"github.com/stickyproxy/stickyproxy/internal/mysqltest/fakeserver"
	"github.com/stickyproxy/stickyproxy/mysqlwire"
)

// packets reads n packets, whose numbers the checker checks.
func (c *checker) packets(n int) [][]byte {
	c.t.Helper()
	all := make([][]byte, n)
	for i := range all {
		var err error
		if all[i], err = c.packet(); err != nil {
			c.t.Fatal(err)
		}
	}
	return all
}

// definitionOf is the definition of a column of text by that name.
func definitionOf(name string, collation uint16) []byte {
	def := mysqlwire.TextColumn{Name: name, Collation: collation, Bytes: maxValue}
	return def.Append(nil)
}

func wantPackets(t *testing.T, what string, got [][]byte, want ...[]byte) {
	t.Helper()
	for i := range want {
		if i >= len(got) || !bytes.Equal(got[i], want[i]) {
			t.Errorf("%s: packet %d of %d is % x, want % x", what, i+1, len(got), got[min(i, len(got)-1)], want[i])
		}
	}
}

// What is answered here is answered as a server does it, to old clients and new ones, in text and prepared: packets,
// definitions, numbers, flags.
func TestOwnAnswers(t *testing.T) {
	open := mysqlwire.OK{Status: mysqlwire.StatusAutocommit | mysqlwire.StatusInTrans}
	for _, tt := range []struct {
		name string
		caps mysqlwire.Capability
	}{{"new", usualClient}, {"classic", classicClient}, {"choosing", usualClient | mysqlwire.CapOptionalMetadata}} {
		t.Run(tt.name, func(t *testing.T) {
			r := hintRig(t, rigOptions{})
			c := r.connectAs(tt.caps, "", "")
			eof, end := [][]byte{open.AppendEOF(nil)}, open.AppendEOF(nil)
			if tt.caps.Has(mysqlwire.CapDeprecateEOF) {
				eof, end = nil, open.Append(nil, true, true)
			}
			var choice []byte
			if tt.caps.Has(mysqlwire.CapOptionalMetadata) {
				choice = []byte{1}
			}
			ok := open.Append(nil, false, true)
			c.ok("BEGIN")

			c.send(mysql.COM_QUERY, "SET @sticky_session = 'u1', @sticky_route = 'replica'")
			wantPackets(t, "SET", c.packets(1), ok)

			c.send(mysql.COM_QUERY, "SELECT @Sticky_Session, @sticky_token AS `t k`, @sticky_route r, @sticky_pin;")
			want := [][]byte{append([]byte{4}, choice...)}
			for _, title := range []string{"@Sticky_Session", "t k", "r", "@sticky_pin"} {
				want = append(want, definitionOf(title, 45))
			}
			want = append(append(want, eof...), []byte("\x02u1\xfb\x07replica\xfb"), end)
			wantPackets(t, "SELECT", c.packets(len(want)), want...)

			c.send(mysql.COM_STMT_PREPARE, "SET @sticky_session = ?, @sticky_pin = ?")
			want = append([][]byte{append([]byte{0, 1, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0}, choice...), definitionOf("?", 45), definitionOf("?", 45)}, eof...)
			wantPackets(t, "PREPARE SET", c.packets(len(want)), want...)
			c.send(mysql.COM_STMT_PREPARE, "SELECT @sticky_session, @sticky_pin")
			want = append([][]byte{append([]byte{0, 2, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0}, choice...), definitionOf("@sticky_session", 45), definitionOf("@sticky_pin", 45)}, eof...)
			wantPackets(t, "PREPARE SELECT", c.packets(len(want)), want...)

			c.send(mysql.COM_STMT_EXECUTE, execution(1, 0, "\x00\x01\xfd\x00\x03\x00\x02u2\x01\x00\x00\x00"))
			wantPackets(t, "EXECUTE SET", c.packets(1), ok)
			c.send(mysql.COM_STMT_EXECUTE, execution(2, 1, ""))
			want = append([][]byte{append([]byte{2}, choice...), definitionOf("@sticky_session", 45), definitionOf("@sticky_pin", 45)}, eof...)
			want = append(want, []byte("\x00\x00\x02u2\x011"), end)
			wantPackets(t, "EXECUTE SELECT", c.packets(len(want)), want...)
			c.send(mysql.COM_STMT_EXECUTE, execution(1, 0, "\x03\x00")) // NULL for both, of the types known
			wantPackets(t, "EXECUTE SET NULL", c.packets(1), ok)
			c.shows("sticky_session", "NULL")

			c.send(mysql.COM_STMT_RESET, statementBody(1, ""))
			wantPackets(t, "RESET", c.packets(1), ok)
			if got := c.ask(mysql.COM_STMT_FETCH, statementBody(2, "\x01\x00\x00\x00")); got.err == nil || got.err.Code != mysql.ER_STMT_HAS_NO_OPEN_CURSOR {
				t.Errorf("FETCH: %v", got)
			}
			c.send(mysql.COM_STMT_SEND_LONG_DATA, statementBody(1, "\x00\x00u3"))
			if got := c.ask(mysql.COM_STMT_EXECUTE, execution(1, 0, "\x00\x00\x01\x00\x00\x00")); got.err == nil || got.err.Code != mysql.ER_WRONG_ARGUMENTS {
				t.Errorf("a value in pieces: %v", got)
			}
			if got := c.ask(mysql.COM_STMT_EXECUTE, execution(1, 0, "\x00\x01\x0c\x00\x03\x00\x00\x01\x00\x00\x00")); got.err == nil || got.err.Code != mysql.ER_WRONG_TYPE_FOR_VAR {
				t.Errorf("a date: %v", got)
			}
			c.send(mysql.COM_STMT_CLOSE, statementBody(1, ""))
			if got := c.ask(mysql.COM_STMT_EXECUTE, execution(1, 0, "\x03\x00")); got.err == nil || got.err.Code != mysql.ER_UNKNOWN_STMT_HANDLER {
				t.Errorf("closed: %v", got)
			}
			r.primary.wantSent("BEGIN", "EXECUTE")
		})
	}
}

// The result is in the character set that results are sent in.
func TestOwnCollation(t *testing.T) {
	r := hintRig(t, rigOptions{})
	r.primary.on(answering(map[string]fakeserver.OK{
		"SET NAMES latin1": {Track: []fakeserver.Track{fakeserver.TrackVariable("character_set_results", "latin1")}},
	}))
	c := r.connect()
	c.ok("SET NAMES latin1")
	c.send(mysql.COM_QUERY, "SELECT @sticky_token")
	wantPackets(t, "SELECT", c.packets(4)[1:], definitionOf("@sticky_token", 8))
}

// several is what a text of several statements was answered with.
func (r reply) several() string {
	if r.err != nil {
		return strings.Join(append(r.said, fmt.Sprint(r.err.Code)), " ")
	}
	return strings.Join(r.said, " ")
}

// Ours among others in one text: each is answered in its turn, in one response with one sequence of numbers, and the
// servers get what is theirs.
func TestOwnAmongOthers(t *testing.T) {
	for _, tt := range []struct {
		sql, want string
		sent      []string // to the primary
		asked     []string // of the replica
	}{
		{"SET @sticky_session = 'u1'; SELECT 1", "ok+ r1", nil, []string{"SELECT 1"}},
		{"SELECT 1; SELECT @sticky_session; SELECT 2", "r1+ + r1", nil, []string{"SELECT 1", "SELECT 2"}},
		{"SELECT 1; SELECT @sticky_route", "r1+ auto", nil, []string{"SELECT 1"}},
		{"SELECT @sticky_route;SET @sticky_pin=1;SELECT @sticky_pin;", "auto+ ok+ 1", nil, nil},
		{"SET @sticky_pin = 1; SELECT 1; SELECT 2", "ok+ p+ p", []string{"SELECT 1; SELECT 2"}, nil},
		{"BEGIN; SET @sticky_session = 'u1'; " + write + "; COMMIT", "ok+ ok+ ok+ ok", []string{"BEGIN", write + "; COMMIT"}, nil},
		{"SET @sticky_session = 'u1'; bad; SET @sticky_session = 'u2'", "ok+ 1064", []string{"bad"}, nil},
		{"SELECT 1; SET @sticky_route = 'x'; SELECT 2", "r1+ 1231", nil, []string{"SELECT 1"}},
		{"SET @x = 1, @sticky_session = 'u1'; SELECT @sticky_session", "ok+ u1", []string{"SET @x = 1"}, nil},
		{"SET @bad = 1, @sticky_session = 'u2'", "1064", []string{"SET @bad = 1"}, nil},
	} {
		for _, caps := range []mysqlwire.Capability{usualClient, classicClient, multiClient} {
			r := hintRig(t, rigOptions{})
			r.primary.on(severalAtOnce(r.primary))
			c := r.connectAs(caps|mysqlwire.CapMultiStatements, "", "")
			got := c.query(tt.sql)
			if got.several() != tt.want {
				t.Errorf("%s: got %q, want %q", tt.sql, got.several(), tt.want)
			}
			if tt.want == "r1+ 1231" && caps == classicClient && got.early&mysqlwire.StatusMoreResults == 0 {
				t.Errorf("%s: the EOF behind the definitions does not say that more follows", tt.sql)
			}
			r.primary.wantSent(tt.sent...)
			r.replicas[0].wantSent(tt.asked...)
			c.ok("SET @sticky_session = NULL") // the numbers begin anew
		}
	}
}

// severalAtOnce answers each statement of a text, as far as these tests have some.
func severalAtOnce(s *scriptedServer) fakeserver.Handler {
	return func(c *fakeserver.Conn, cmd fakeserver.Command) error {
		if cmd.Code != mysql.COM_QUERY {
			return errDefault
		}
		list := strings.Split(strings.Trim(cmd.SQL, "; "), ";")
		for i, sql := range list {
			ok := fakeserver.OK{}
			if i < len(list)-1 {
				ok.Status = autocommit | uint16(mysqlwire.StatusMoreResults)
			}
			var err error
			switch {
			case strings.Contains(sql, "bad"):
				return c.Error(mysql.ER_PARSE_ERROR, "42000", "no")
			case strings.Contains(sql, "SELECT"):
				err = c.Rows([]string{"server"}, [][]any{{s.name}}, ok)
			default:
				err = c.OK(ok)
			}
			if err != nil {
				return err
			}
		}
		return nil
	}
}

// A part of a text may be a READ ONLY transaction on a replica, which may have to move to the primary, or a KILL, or ask
// the client for a file; and a part that fails with its replica runs elsewhere.
func TestPartsOfEveryKind(t *testing.T) {
	r := hintRig(t, rigOptions{replicas: 2})
	c := r.connectAs(usualClient|mysqlwire.CapMultiStatements, "", "")
	c.ok("SET @sticky_session = 'u1'")
	if got := c.query("SET @sticky_session = 'u1'; START TRANSACTION READ ONLY").several(); got != "ok+ ok" {
		t.Fatalf("got %q", got)
	}
	c.from(r.primary, "SELECT GET_LOCK('x', 1)")
	r.primary.wantSent("START TRANSACTION READ ONLY", "SELECT GET_LOCK('x', 1)")
	c.ok("COMMIT")
	c.reset()

	d := r.connectAs(usualClient|mysqlwire.CapMultiStatements, "", "")
	where := d.fromReplica(r, readT)
	where.on(hangingUp("SELECT b FROM t"))
	got := d.query("SET @sticky_session = 'u2'; SELECT b FROM t; SELECT @sticky_session").several()
	if !strings.HasPrefix(got, "ok+ r") || !strings.HasSuffix(got, "+ u2") || strings.Contains(got, where.name) {
		t.Errorf("got %q", got)
	}
	if got := d.query(fmt.Sprintf("SELECT @sticky_session; KILL QUERY %d; SELECT @sticky_route", c.id)).several(); got != "u2+ ok+ auto" {
		t.Errorf("KILL: got %q", got)
	}
}
