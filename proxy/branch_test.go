package proxy

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/go-mysql-org/go-mysql/mysql"

	"github.com/stickyproxy/stickyproxy/gtid"
	"github.com/stickyproxy/stickyproxy/internal/mysqltest/fakeserver"
	"github.com/stickyproxy/stickyproxy/router"
	"github.com/stickyproxy/stickyproxy/session"
)

// xaServer answers as a primary does, on MySQL or MariaDB: with GTID 8 for XA PREPARE, and 9 for what decides. MariaDB's
// connections keep their prepared branch.
func xaServer(mariaDB bool) fakeserver.Handler {
	reports := func(n int, status uint16) fakeserver.OK {
		track := fakeserver.TrackGTIDs(fmt.Sprintf("%s:%d", sourceUUID, n))
		if mariaDB {
			track = fakeserver.TrackVariable("last_gtid", fmt.Sprintf("0-1-%d", n))
		}
		return fakeserver.OK{Status: status, Track: []fakeserver.Track{track}}
	}
	prepared := autocommit
	if mariaDB {
		prepared = inTransaction
	}
	return func(c *fakeserver.Conn, cmd fakeserver.Command) error {
		switch verb, _, _ := strings.Cut(strings.TrimPrefix(cmd.SQL, "XA "), " "); {
		case cmd.SQL == write, verb == "START", verb == "END":
			return c.OK(fakeserver.OK{Status: inTransaction})
		case verb == "PREPARE":
			return c.OK(reports(8, prepared))
		case verb == "COMMIT", verb == "ROLLBACK":
			return c.OK(reports(9, autocommit))
		}
		return errDefault
	}
}

// xaRig is a proxy before servers that do that, and where all that is known about them has GTIDs up to n.
func xaRig(t *testing.T, mariaDB bool, trace Trace) (r *rig, executed func(n int)) {
	t.Helper()
	r = startRig(t, rigOptions{replicas: 1, mariaDB: mariaDB, trace: trace})
	r.primary.on(xaServer(mariaDB))
	r.server.reports("p")
	return r, func(n int) {
		set, err := gtid.ParseMariaDB(fmt.Sprintf("0-1-%d", n))
		if !mariaDB {
			set, err = gtid.ParseMySQL(fmt.Sprintf("%s:1-%d", sourceUUID, n))
		}
		if err != nil {
			t.Fatal(err)
		}
		r.fleet.executed(set)
	}
}

func (c *checker) preparesXA(id string) {
	c.t.Helper()
	for _, sql := range []string{"XA START " + id, write, "XA END " + id, "XA PREPARE " + id} {
		c.ok(sql)
	}
}

// What XA PREPARE has made safe cannot be seen: its sessions wait for the COMMIT or ROLLBACK, whichever connection sends
// it, and then need its GTID.
func TestXAWaitsForTheEnd(t *testing.T) {
	for _, mariaDB := range []bool{false, true} {
		for _, decide := range []string{"XA COMMIT 0x78", "XA ROLLBACK 'x', ''"} {
			reasons := make(chan router.Reason, 100)
			gone := make(chan struct{}, 10)
			r, executed := xaRig(t, mariaDB, Trace{
				Query:  func(_ bool, why router.Reason, _ time.Duration) { reasons <- why },
				Closed: func() { gone <- struct{}{} },
			})
			executed(8)
			c := r.connectAs(usualClient, "", "s")
			c.preparesXA("'x'")
			if mariaDB {
				c.close() // nobody else can decide before that
				<-gone
			}
			reader, other, decider := r.connectAs(usualClient, "", "s"), r.connectAs(usualClient, "", "t"), r.connectAs(usualClient, "", "u")
			reader.from(r.primary, "SELECT a FROM t")
			for why := range reasons {
				if why == router.ReasonXA {
					break // the others are of what went before
				}
			}
			other.from(r.replicas[0], "SELECT a FROM t")
			decider.ok(decide)
			for _, name := range []string{"s", "u"} {
				if got := pinned(r.sessions.Need(session.Key{Account: "app", Name: name})); !strings.HasSuffix(got, "9") {
					t.Errorf("MariaDB %v, %s: session %s must see %q", mariaDB, decide, name, got)
				}
			}
			reader.from(r.primary, "SELECT a FROM t")
			executed(9)
			reader.from(r.replicas[0], "SELECT a FROM t")
			if !mariaDB {
				c.from(r.replicas[0], "SELECT a FROM t")
			}
			if n := len(r.server.branches.byID); n > 0 {
				t.Errorf("%d branches are left", n)
			}
		}
	}
}

// A connection that names no session waits too.
func TestXAOfAConnection(t *testing.T) {
	r, executed := xaRig(t, false, Trace{})
	executed(8)
	c, decider := r.connect(), r.connect()
	c.preparesXA("'x'")
	c.from(r.primary, "SELECT a FROM t")
	decider.ok("XA COMMIT 'x'")
	c.from(r.primary, "SELECT a FROM t")
	executed(9)
	c.from(r.replicas[0], "SELECT a FROM t")
}

// Whoever commits a branch that he has prepared, in one phase or two, needs what the COMMIT reports.
func TestXACommittedByItsConnection(t *testing.T) {
	for _, mariaDB := range []bool{false, true} {
		for _, end := range [][]string{{"XA PREPARE 'x'", "XA COMMIT 'x'"}, {"XA PREPARE 'x'", "XA ROLLBACK 'x'"}, {"XA COMMIT 'x' ONE PHASE"}} {
			r, executed := xaRig(t, mariaDB, Trace{})
			executed(8)
			c := r.connectAs(usualClient, "", "")
			c.ok("XA START 'x' /* sticky_session=s */")
			c.ok(write)
			c.ok("XA END 'x'")
			for _, sql := range end {
				c.ok(sql)
			}
			c.from(r.primary, "SELECT a FROM t")
			executed(9)
			c.from(r.replicas[0], "SELECT a FROM t")
			if got := pinned(r.sessions.Need(appSession)); !strings.HasSuffix(got, "9") {
				t.Errorf("MariaDB %v, %q: the session must see %q", mariaDB, end, got)
			}
		}
	}
}

// Where nobody decides within a window, a session waits no longer. What comes later counts for it still.
func TestXAIsLate(t *testing.T) {
	r, executed := xaRig(t, false, Trace{})
	executed(8)
	c, reader, decider := r.connect(), r.connectAs(usualClient, "", "s"), r.connect()
	c.ok("XA START 'x' /* sticky_session=s */")
	c.ok("XA END 'x'")
	c.ok("XA PREPARE 'x'")
	r.clock.advance(DefaultWindow - 1)
	r.fleet.fresh(r.clock.now().Add(time.Hour))
	reader.from(r.primary, "SELECT a FROM t")
	c.from(r.primary, "SELECT a FROM t")
	r.clock.advance(1)
	reader.from(r.replicas[0], "SELECT a FROM t")
	c.from(r.replicas[0], "SELECT a FROM t")
	decider.ok("XA COMMIT 'x'")
	reader.from(r.primary, "SELECT a FROM t")
	c.from(r.primary, "SELECT a FROM t")
	executed(9)
	reader.from(r.replicas[0], "SELECT a FROM t")
	c.from(r.replicas[0], "SELECT a FROM t")
}

// An XA COMMIT that is under way is a write of those who wait for it, and one that failed decides nothing.
func TestXACommitThatFails(t *testing.T) {
	r, executed := xaRig(t, false, Trace{})
	executed(9)
	c, reader, decider := r.connectAs(usualClient, "", "s"), r.connectAs(usualClient, "", "s"), r.connect()
	c.preparesXA("'x'")
	r.clock.advance(DefaultWindow)
	r.fleet.fresh(r.clock.now().Add(time.Hour))
	reader.from(r.replicas[0], "SELECT a FROM t")
	arrived, answer := make(chan struct{}), make(chan struct{})
	r.primary.on(func(c *fakeserver.Conn, cmd fakeserver.Command) error {
		if cmd.SQL != "XA COMMIT 'x'" {
			return errDefault
		}
		close(arrived)
		<-answer
		return c.Error(mysql.ER_XAER_RMFAIL, "XAE07", "no")
	})
	decider.send(mysql.COM_QUERY, "XA COMMIT 'x'")
	<-arrived
	reader.from(r.primary, "SELECT a FROM t")
	close(answer)
	if got := decider.response(mysql.COM_QUERY); got.err == nil {
		t.Fatal(got)
	}
	if r.server.branches.sessions(router.XID{GTRID: "x", Format: 1}) == nil {
		t.Error("the branch is forgotten")
	}
	if got := pinned(r.sessions.Need(appSession)); got != "gtid 8, unproven, as of" {
		t.Errorf("got %q", got)
	}
}

// A connection that names no session hears of an attempt to decide about its branch, too, of which nobody knows whether it
// did, however late that is.
func TestXAIsInDoubt(t *testing.T) {
	for _, tt := range []struct {
		name   string
		answer fakeserver.Handler
	}{
		{"refused", refuse(mysql.ER_XA_RBROLLBACK)},
		{"lost", func(*fakeserver.Conn, fakeserver.Command) error { return errHangUp }},
	} {
		gone := make(chan struct{}, 10)
		r, executed := xaRig(t, false, Trace{Closed: func() { gone <- struct{}{} }})
		executed(8)
		c, decider := r.connect(), r.connect()
		c.preparesXA("'x'")
		r.clock.advance(DefaultWindow)
		r.fleet.fresh(r.clock.now().Add(1))
		c.from(r.replicas[0], "SELECT a FROM t")
		r.clock.advance(time.Second)
		r.primary.on(func(c *fakeserver.Conn, cmd fakeserver.Command) error {
			if cmd.SQL != "XA COMMIT 'x'" {
				return errDefault
			}
			return tt.answer(c, cmd)
		})
		for range 3 {
			if decider.query("XA COMMIT 'x'").lost != nil {
				<-gone
				decider = r.connect()
			}
		}
		c.from(r.primary, "SELECT a FROM t")
		r.clock.advance(DefaultWindow)
		r.fleet.fresh(r.clock.now())
		c.from(r.replicas[0], "SELECT a FROM t")
	}
}

// What somebody who is no client of this proxy decides within the window is seen, too: a replica must have what the primary
// had at its end.
func TestXADecidedElsewhere(t *testing.T) {
	r, executed := xaRig(t, false, Trace{})
	executed(8)
	c, reader := r.connect(), r.connectAs(usualClient, "", "s")
	c.ok("XA START 'x' /* sticky_session=s */")
	c.ok("XA END 'x'")
	c.ok("XA PREPARE 'x'")
	r.clock.advance(DefaultWindow)
	over := r.clock.now()
	r.fleet.fresh(over)
	reader.from(r.primary, "SELECT a FROM t")
	c.from(r.primary, "SELECT a FROM t")
	r.clock.advance(time.Second)
	r.fleet.fresh(over.Add(time.Second / 2))
	c2, late := r.connect(), r.connectAs(usualClient, "", "s")
	c2.from(r.replicas[0], "SELECT a FROM t")
	late.from(r.replicas[0], "SELECT a FROM t")
	c.from(r.replicas[0], "SELECT a FROM t")
}

// Whatever becomes of XA PREPARE, its sessions are not set free too early.
func TestXAPreparesSomehow(t *testing.T) {
	for _, tt := range []struct {
		name, prepare string
		answer        fakeserver.Handler
		want          string
	}{
		{"refused", "XA PREPARE 'x'", refuse(mysql.ER_XA_RBDEADLOCK), "writing"},
		{"lost", "XA PREPARE 'x'", func(*fakeserver.Conn, fakeserver.Command) error { return errHangUp }, "unproven, writing"},
		{"in another way", "XA PREPARE 'x', 'y', 010", oks(writeGTID(sourceUUID + ":8")), "gtid 8, unproven"},
		{"of what only read", "XA PREPARE 'x'", oks(fakeserver.OK{}), "as of, writing"},
	} {
		gone := make(chan struct{}, 10)
		r, _ := xaRig(t, false, Trace{Closed: func() { gone <- struct{}{} }})
		c := r.connectAs(usualClient, "", "s")
		c.ok("XA START 'x'")
		c.ok("XA END 'x'")
		r.primary.on(func(c *fakeserver.Conn, cmd fakeserver.Command) error {
			if cmd.SQL != tt.prepare {
				return errDefault
			}
			return tt.answer(c, cmd)
		})
		if c.query(tt.prepare).lost != nil {
			<-gone
		}
		if got := pinned(r.sessions.Need(appSession)); got != tt.want {
			t.Errorf("%s: got %q, want %q", tt.name, got, tt.want)
		}
	}
}

// What is remembered of branches is bounded, and whom it was for is pinned by the window when it is forgotten.
func TestBranchesAreBounded(t *testing.T) {
	store, err := session.NewStore(session.Options{Window: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	var b branches
	var local session.Local
	var all []awaited
	prepare := func(i, sessions int) {
		var keys []session.Key
		for j := range sessions {
			keys = append(keys, session.Key{Account: "app", Name: fmt.Sprint(i, j)})
		}
		local.Begin()
		all = b.learn(append(all, awaited{branch: b.prepared(router.XID{GTRID: fmt.Sprint(i)}, store, keys, clockStart)}), &local)
	}
	for i := range maxBranches + 100 {
		prepare(i, 1)
	}
	check := func(first string, branches int) {
		t.Helper()
		n := store.Need(session.Key{Account: "app", Name: first})
		if n.Writing != 0 || !n.UnprovenAt.Equal(clockStart) {
			t.Errorf("the session of a branch that was forgotten must see %+v", n)
		}
		if got := len(b.byID); got != branches || b.waiting.Len()+b.late.Len() != branches || len(all) != branches {
			t.Errorf("%d branches, %d waiting, %d late, %d awaited, want %d", got, b.waiting.Len(), b.late.Len(), len(all), branches)
		}
		if local.Need().Writing != int(b.held.Load()) {
			t.Errorf("the connection waits for %d branches of %d", local.Need().Writing, b.held.Load())
		}
	}
	check("0 0", maxBranches)
	b.expire(clockStart.Add(DefaultWindow), DefaultWindow)
	all = b.learn(all, &local)
	check("200 0", maxBranches)
	prepare(-1, maxBranchKeys)
	check("300 0", 1)
	prepare(-1, 2)
	check("-1 3", 1)
	b.decided(router.XID{GTRID: "-1"}, session.Write{None: true})
	all = b.learn(all, &local)
	check("-1 3", 0)
	if b.keys != 0 || len(b.waiters) != 0 {
		t.Errorf("%d keys and %d waiters are left", b.keys, len(b.waiters))
	}
}
