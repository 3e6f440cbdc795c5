package proxy

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-mysql-org/go-mysql/mysql"

	"github.com/stickyproxy/stickyproxy/internal/mysqltest/fakeserver"
)

const readBroken = "SELECT broken FROM t"

// foundRig has replicas where a read finds 4 rows, and where told says what FOUND_ROWS() tells. A client has read on the first
// that is returned, and its next read goes to the second.
func foundRig(t *testing.T, o rigOptions, told fakeserver.Handler) (r *rig, c *checker, s, other *scriptedServer) {
	t.Helper()
	r = startRig(t, o)
	for _, s := range r.all() {
		s.on(func(c *fakeserver.Conn, cmd fakeserver.Command) error {
			switch {
			case cmd.SQL == readBroken:
				return c.Error(mysql.ER_NO_SUCH_TABLE, "42S02", "no such table")
			case cmd.SQL == foundRows && s != r.primary:
				return told(c, cmd)
			}
			return errDefault
		})
	}
	c = r.connect()
	s = c.fromReplica(r, readT)
	other = r.replicas[1-slices.Index(r.replicas, s)]
	r.fleet.only(other.name)
	return r, c, s, other
}

func tellsFour(c *fakeserver.Conn, _ fakeserver.Command) error {
	return c.Rows([]string{"n"}, [][]any{{"4"}}, fakeserver.OK{})
}

// A replica that is left is asked what was found there if FOUND_ROWS() is still about that, and the primary is told once
// somebody asks for it.
func TestFoundOnReplicaThatIsLeft(t *testing.T) {
	for _, tt := range []struct {
		name    string
		next    func(r *rig, c *checker, other *scriptedServer)
		left    []string // what the replica that is left is sent after that
		primary []string // and the primary
	}{
		{"another read finds something", func(r *rig, c *checker, other *scriptedServer) { c.from(other, "SELECT b FROM t") },
			nil, nil},
		{"another read fails", func(r *rig, c *checker, _ *scriptedServer) { c.fails(readBroken, mysql.ER_NO_SUCH_TABLE) },
			[]string{foundRows}, []string{readBroken, finds(4), foundRows}},
		{"a transaction begins", func(_ *rig, c *checker, _ *scriptedServer) { c.ok(beginReadOnly) },
			[]string{foundRows}, []string{finds(4), setsNothing, foundRows}},
		{"the other refuses connections, and a read fails", func(r *rig, c *checker, other *scriptedServer) {
			other.refuse.Store(true)
			c.fails(readBroken, mysql.ER_NO_SUCH_TABLE)
		}, []string{foundRows}, []string{readBroken, finds(4), foundRows}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r, c, s, other := foundRig(t, rigOptions{}, tellsFour)
			tt.next(r, c, other)
			if reply := c.query(foundRows); reply.err != nil || len(reply.rows) != 1 {
				t.Errorf("%s: %v", foundRows, reply)
			}
			s.wantSent(append([]string{readT}, tt.left...)...)
			r.primary.wantSent(tt.primary...)
		})
	}
}

// What was found on a replica that cannot be asked any more is not made up.
func TestFoundOnReplicaThatIsGone(t *testing.T) {
	for _, tt := range []struct {
		name string
		told fakeserver.Handler
	}{
		{"it hangs up", func(*fakeserver.Conn, fakeserver.Command) error { return errHangUp }},
		{"it refuses", func(c *fakeserver.Conn, _ fakeserver.Command) error {
			return c.Error(mysql.ER_ACCESS_DENIED_ERROR, "28000", "no")
		}},
		{"it is silent", func(c *fakeserver.Conn, _ fakeserver.Command) error {
			<-c.Done()
			return errHangUp
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r, c, _, _ := foundRig(t, rigOptions{options: Options{ConnectTimeout: time.Second}}, tt.told)
			c.fails(readBroken, mysql.ER_NO_SUCH_TABLE)
			c.fails(foundRows, mysql.ER_UNKNOWN_ERROR)
			r.primary.wantSent(readBroken)
			c.fails("INSERT INTO t SELECT FOUND_ROWS()", mysql.ER_UNKNOWN_ERROR)
			c.ok("INSERT INTO t VALUES (1)")
			c.fails(foundRows, mysql.ER_UNKNOWN_ERROR)
			r.primary.wantSent("INSERT INTO t VALUES (1)")
			c.from(r.primary, "SELECT ROW_COUNT()") // of which FOUND_ROWS() tells from now on
			c.from(r.primary, foundRows)
		})
	}
}

// What is asked about a read on a replica that is gone since is answered as far as it is known: how many rows a read has
// changed, and the warnings of a query that can run again.
func TestPreviousOnReplicaThatIsGone(t *testing.T) {
	for _, mariaDB := range []bool{false, true} {
		r := startRig(t, rigOptions{replicas: 1, mariaDB: mariaDB})
		long := "SELECT '" + strings.Repeat("x", maxKept) + "'"
		r.replicas[0].on(func(c *fakeserver.Conn, cmd fakeserver.Command) error {
			if cmd.SQL == readT || cmd.SQL == long {
				return c.Rows([]string{"server"}, [][]any{{r.replicas[0].name}}, fakeserver.OK{Warnings: 1})
			}
			return errHangUp
		})
		c := r.connect()
		c.from(r.replicas[0], readT)
		c.from(r.primary, "SHOW WARNINGS")
		r.primary.wantSent(readT, "SHOW WARNINGS")

		c.from(r.replicas[0], long)
		c.fails("SHOW WARNINGS", mysql.ER_UNKNOWN_ERROR)
		r.primary.wantSent()

		c.from(r.replicas[0], readT)
		c.from(r.primary, "SELECT ROW_COUNT()")
		want := []string{finds(0), "SELECT ROW_COUNT()"}
		if mariaDB { // it leaves the warnings alone
			want = slices.Insert(want, 0, readT)
		}
		r.primary.wantSent(want...)
	}
}

// A session goes on to another replica while the primary is silent.
func TestReplicaIsLeftWhilePrimaryIsSilent(t *testing.T) {
	r, c, _, other := foundRig(t, rigOptions{}, tellsFour)
	r.primary.on(func(c *fakeserver.Conn, _ fakeserver.Command) error {
		<-c.Done()
		return errHangUp
	})
	c.from(other, "SELECT b FROM t")
	c.ok(beginReadOnly)
	c.from(other, "SELECT c FROM t")
	r.primary.wantSent()
}
