package proxy

import (
	"fmt"
	"strings"
	"testing"

	"github.com/go-mysql-org/go-mysql/mysql"

	"github.com/stickyproxy/stickyproxy/internal/mysqltest/fakeserver"
	"github.com/stickyproxy/stickyproxy/mysqlwire"
)

// Rule 1: COMMIT carries no hint. The outcome of a transaction goes to every session that one of its statements named,
// also to one that has only read, and to the one that the connection works for.
func TestTransactionOfTwoSessions(t *testing.T) {
	insert := func(name string) string { return write + " /* sticky_session=" + name + " */" }
	for _, tt := range []struct {
		name  string
		steps []string
		want  string
		other string // what sessions that are not in it must see
	}{
		{"commit", []string{"BEGIN", insert("a"), insert("b"), readT + " FOR UPDATE /* sticky_session=c */", "COMMIT"}, "gtid 9", ""},
		{"read first", []string{"BEGIN /* sticky_session=a */", readT + " /* sticky_session=b */", readT + " /* sticky_session=c */", write, "COMMIT"}, "gtid 9", ""},
		{"named on the way", []string{"BEGIN", "SET @sticky_session = 'a'", readT, "SET @sticky_session = 'b'", write, "SET @sticky_session = 'c'", "COMMIT"}, "gtid 9", ""},
		{"implicit commit", []string{"BEGIN", insert("a"), insert("b"), readT + " /* sticky_session=c */", "CREATE TABLE u (a INT)"}, "gtid 9", ""},
		{"autocommit off", []string{"SET autocommit = 0", insert("a"), insert("b"), readT + " /* sticky_session=c */", "COMMIT"}, "gtid 9", ""},
		{"rolled back", []string{"BEGIN", insert("a"), insert("b"), insert("c"), "ROLLBACK"}, "as of", ""},
		{"open", []string{"BEGIN", insert("a"), readT + " /* sticky_session=b */", insert("c")}, "writing", ""},
		{"only read", []string{"BEGIN", readT + " /* sticky_session=a */", readT + " /* sticky_session=b */", "ROLLBACK"}, "", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := hintRig(t, rigOptions{})
			r.primary.transactional()
			c := r.connect()
			for _, sql := range tt.steps {
				if got := c.query(sql); got.err != nil || got.lost != nil {
					t.Fatalf("%s: %v", sql, got)
				}
			}
			r.wantSees(tt.want, "a", "b")
			if tt.name != "only read" {
				r.wantSees(tt.want, "c")
			}
			c.ok(write + " /* sticky_session=later */")
		})
	}
}

// The outcome of a COMMIT that is not known is not known for any of its sessions.
func TestTransactionLost(t *testing.T) {
	gone := make(chan struct{})
	r := hintRig(t, rigOptions{trace: Trace{Closed: func() { close(gone) }}})
	r.primary.transactional()
	c := r.connect()
	for _, sql := range []string{"BEGIN", write + " /* sticky_session=a */", readT + " /* sticky_session=b */"} {
		if got := c.query(sql); got.err != nil {
			t.Fatal(got)
		}
	}
	r.primary.on(hangingUp("COMMIT"))
	if got := c.query("COMMIT"); got.err == nil && got.lost == nil {
		t.Fatalf("got %v", got)
	}
	<-gone
	r.wantSees("unproven", "a", "b")
}

// transactional makes the server tell of transactions as servers do: of a write's GTID at their end only.
func (s *scriptedServer) transactional() {
	var open, auto = false, true
	s.on(func(c *fakeserver.Conn, cmd fakeserver.Command) error {
		ok := fakeserver.OK{Status: autocommit}
		word, _, _ := strings.Cut(cmd.SQL, " ")
		ends := word == "COMMIT" || word == "ROLLBACK" || word == "CREATE"
		switch {
		case word == "BEGIN":
			open = true
		case cmd.SQL == "SET autocommit = 0":
			auto = false
		case ends:
			open = false
		case word == "INSERT" || word == "SELECT":
			open = open || !auto
		default:
			return errDefault
		}
		if !auto {
			ok.Status = 0
		}
		if open {
			ok.Status |= uint16(mysqlwire.StatusInTrans)
		}
		if ends && word != "ROLLBACK" || word == "INSERT" && !open {
			ok.Track = []fakeserver.Track{fakeserver.TrackGTIDs(sourceUUID + ":9")}
		}
		if word == "SELECT" {
			return c.Rows([]string{"server"}, [][]any{{s.name}}, ok)
		}
		return c.OK(ok)
	})
}

// A transaction has room for many sessions, and says so when it has no more.
func TestTooManySessions(t *testing.T) {
	r := hintRig(t, rigOptions{})
	r.primary.transactional()
	c := r.connect()
	c.ok("BEGIN")
	for i := range maxNamed {
		c.ok(fmt.Sprintf("%s /* sticky_session=u%d */", write, i))
	}
	c.ok(write + " /* sticky_session=u0 */")
	c.fails(write+" /* sticky_session=one_more */", mysql.ER_WRONG_VALUE_FOR_VAR)
	c.fails("SET @sticky_session = 'one_more'", mysql.ER_WRONG_VALUE_FOR_VAR)
	c.ok("COMMIT")
	r.wantSees("gtid 9", "u0", fmt.Sprintf("u%d", maxNamed-1))
	c.ok(write + " /* sticky_session=one_more */")
}
