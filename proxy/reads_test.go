package proxy

import (
	"sync/atomic"
	"testing"
	"time"

	"github.com/stickyproxy/stickyproxy/backend"
	"github.com/stickyproxy/stickyproxy/internal/mysqltest/fakeserver"
	"github.com/stickyproxy/stickyproxy/router"
)

// startReads is a rig whose replicas are fresh as of its start, and no later.
func startReads(t *testing.T, o rigOptions) *rig {
	t.Helper()
	r := hintRig(t, o)
	r.fleet.fresh(clockStart)
	return r
}

// Two connections of one session read from one replica, until another is known to have what could be seen there.
func TestReadsOfOneSession(t *testing.T) {
	r := startReads(t, rigOptions{replicas: 2})
	c, d := r.connect(), r.connect()
	c.ok("SET @sticky_session = 'u'")
	d.ok("SET @sticky_session = 'u'")
	r.fleet.only("r1")
	c.from(r.replicas[0], readT)
	r.fleet.change(func(s *backend.Snapshot) { s.Replicas[1].Up, s.Replicas[1].Weight = true, 1<<40 })
	for range 5 {
		d.from(r.replicas[0], readT)
	}
	r.fleet.only("r2")
	d.from(r.primary, readT)
	d.from(r.primary, readT)
	r.clock.advance(time.Second)
	r.fleet.fresh(clockStart.Add(time.Second / 2))
	d.from(r.replicas[1], readT)
	c.from(r.replicas[1], readT)
}

// Who is nobody in particular keeps its replica, and others have another one.
func TestReadsOfConnections(t *testing.T) {
	r := startReads(t, rigOptions{replicas: 2})
	c, d := r.connect(), r.connect()
	r.fleet.only("r1")
	c.from(r.replicas[0], readT)
	r.fleet.only("r2")
	d.from(r.replicas[1], readT)
	c.from(r.primary, readT)
}

// What the primary has shown, or has told by an error or by finding nothing to do, a replica must have.
func TestReadsOfThePrimary(t *testing.T) {
	for _, sql := range []string{"SELECT a FROM t FOR UPDATE", "UPDATE t SET a = a"} {
		t.Run(sql, func(t *testing.T) {
			r := startReads(t, rigOptions{})
			c := r.connect()
			c.from(r.replicas[0], readT)
			c.query(sql)
			c.from(r.primary, readT)
			r.fleet.awaitAsked(2)
			r.clock.advance(time.Second)
			r.fleet.fresh(clockStart.Add(time.Second / 2))
			c.from(r.replicas[0], readT)
			if got := r.fleet.asks.Load(); got != 2 {
				t.Errorf("asked %d times though all was known", got-2)
			}
		})
	}
}

// What shows nothing of the data does not count: drivers ask for variables on every new connection.
func TestReadsOfNoData(t *testing.T) {
	r := startReads(t, rigOptions{})
	c := r.connect()
	for _, sql := range []string{"SELECT @@max_allowed_packet", "SELECT CONNECTION_ID()", "SELECT @@no_such_variable"} {
		c.from(r.primary, sql)
		c.from(r.replicas[0], readT)
	}
	c.from(r.primary, "SELECT @@max_allowed_packet, (SELECT a FROM t)")
	c.from(r.primary, readT)
}

// A position that went back makes a replica another server, for connections that are there already, too.
func TestReadsOfAServerThatWentBack(t *testing.T) {
	r := startReads(t, rigOptions{})
	c := r.connect()
	c.from(r.replicas[0], readT)
	r.fleet.change(func(s *backend.Snapshot) { s.Replicas[0].ID++ })
	c.from(r.primary, readT)
}

// countWaits counts what came of waits.
func countWaits(served, not *atomic.Int32) Trace {
	return Trace{Waited: func(ok bool, _ time.Duration) {
		if ok {
			served.Add(1)
		} else {
			not.Add(1)
		}
	}}
}

// A read that may wait does so until a replica has what it must see.
func TestWait(t *testing.T) {
	var served, not atomic.Int32
	r := startReads(t, rigOptions{options: Options{Wait: time.Hour}, trace: countWaits(&served, &not)})
	c := r.connect()
	c.ok(write)
	done := make(chan struct{})
	go func() {
		defer close(done)
		r.fleet.awaitAsked(1)
		r.fleet.executed(mustGTID(t, sourceUUID+":1-8")) // not enough yet
		r.fleet.awaitAsked(2)
		r.fleet.executed(mustGTID(t, sourceUUID+":1-9"))
	}()
	c.from(r.replicas[0], readT)
	<-done
	if served.Load() != 1 || not.Load() != 0 {
		t.Errorf("waits: %d were served by a replica and %d not", served.Load(), not.Load())
	}
}

// A read waits no longer than it may, and not for what no position can tell.
func TestWaitEnds(t *testing.T) {
	var served, not atomic.Int32
	r := startReads(t, rigOptions{options: Options{Wait: time.Millisecond}, trace: countWaits(&served, &not)})
	c := r.connect()
	c.ok(write)
	c.from(r.primary, readT)
	if served.Load() != 0 || not.Load() != 1 || r.server.waiting.Load() != 0 {
		t.Errorf("waits: %d were served by a replica, %d not, %d go on", served.Load(), not.Load(), r.server.waiting.Load())
	}
	c.ok("SET @sticky_pin = 1")
	c.from(r.primary, readT)
	if not.Load() != 1 {
		t.Error("it waited for the window to pass")
	}
}

func TestWaitsAreBounded(t *testing.T) {
	r := startReads(t, rigOptions{options: Options{Wait: time.Hour}})
	r.server.waiting.Store(maxWaiting)
	c := r.connect()
	c.ok(write)
	c.from(r.primary, readT)
	r.server.waiting.Store(0)
}

// In scope fleet a read must see what anybody wrote before it came: positions count that are asked for later.
func TestScopeFleet(t *testing.T) {
	for _, test := range []struct {
		name  string
		fresh time.Duration
		want  func(*rig) *scriptedServer
	}{
		{"has it", 2, func(r *rig) *scriptedServer { return r.replicas[0] }},
		{"lacks it", 0, func(r *rig) *scriptedServer { return r.primary }},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := startReads(t, rigOptions{policy: Policy{Scope: ScopeFleet}})
			c := r.connect()
			done := make(chan struct{})
			go func() {
				defer close(done)
				r.fleet.awaitAsked(1)
				r.fleet.change(func(s *backend.Snapshot) { s.PrimaryAsked = clockStart.Add(2) })
				r.fleet.awaitAsked(2)
				r.fleet.change(func(s *backend.Snapshot) {
					s.Replicas[0].AskedAt, s.Replicas[0].FreshAsOf = clockStart.Add(3), clockStart.Add(test.fresh)
				})
			}()
			c.from(test.want(r), readT)
			<-done
		})
	}
}

// While an earlier process may still write for a session, it reads from the primary; then it must see what that has.
func TestEarlierProcess(t *testing.T) {
	r := startReads(t, rigOptions{options: Options{Earlier: time.Minute}})
	c, d := r.connect(), r.connect()
	c.ok("SET @sticky_session = 'u'")
	c.from(r.primary, readT)
	d.from(r.replicas[0], readT)
	r.clock.advance(time.Minute)
	r.fleet.fresh(r.clock.now().Add(time.Second))
	until := r.clock.now()
	r.fleet.change(func(s *backend.Snapshot) { s.PrimaryAsked = until })
	c.from(r.replicas[0], readT) // it is fresh as of later than the read
	r.fleet.fresh(until)
	r.fleet.change(func(s *backend.Snapshot) {
		s.PrimaryAsked, s.PrimaryHas = until.Add(1), mustGTID(t, sourceUUID+":1-9")
		s.Replicas[0].FreshAsOf = until.Add(time.Hour)
	})
	c.from(r.primary, readT)
	r.wantSees("gtid 1-9", "u", "v")
	r.fleet.executed(mustGTID(t, sourceUUID+":1-9"))
	c.from(r.replicas[0], readT)
}

// Without GTIDs it is a window from then on.
func TestEarlierProcessWithoutGTIDs(t *testing.T) {
	r := startReads(t, rigOptions{options: Options{Earlier: time.Minute}})
	r.fleet.change(func(s *backend.Snapshot) { s.GTIDPrimary = "" })
	c := r.connect()
	c.ok("SET @sticky_session = 'u'")
	r.clock.advance(time.Minute + DefaultWindow - 1)
	r.fleet.fresh(r.clock.now().Add(time.Second))
	c.from(r.primary, readT)
	r.clock.advance(1)
	c.from(r.replicas[0], readT)
}

// A write that the primary does not have any more is reported once, and its session set free.
func TestLostWrite(t *testing.T) {
	var lost atomic.Int32
	var reason atomic.Int32
	r := startReads(t, rigOptions{trace: Trace{
		Lost:  func() { lost.Add(1) },
		Query: func(_ bool, why router.Reason, _ time.Duration) { reason.Store(int32(why)) },
	}})
	c := r.connect()
	c.ok("SET @sticky_session = 'u'")
	c.ok(write)
	r.fleet.executed(mustGTID(t, sourceUUID+":1-5"))
	has := func(asked time.Time) {
		r.fleet.change(func(s *backend.Snapshot) { s.PrimaryHas, s.PrimaryAsked = mustGTID(t, sourceUUID+":1-5"), asked })
	}
	has(clockStart)
	c.from(r.primary, readT)
	if lost.Load() != 0 {
		t.Error("lost, says an answer from before the write")
	}
	r.fleet.fresh(clockStart.Add(time.Second))
	has(clockStart.Add(1))
	c.from(r.primary, readT)
	c.from(r.replicas[0], readT)
	c.from(r.replicas[0], readT) // what the first one was is told when the second one comes
	if reason.Load() != int32(router.ReasonRead) {
		t.Errorf("served for reason %v", router.Reason(reason.Load()))
	}
	if lost.Load() != 1 {
		t.Errorf("lost %d writes, want 1", lost.Load())
	}
	r.wantSees("", "u")
}

// A session that reads from the primary without a pause is made to wait for a moment, so that it can leave.
func TestRestlessReads(t *testing.T) {
	r := startReads(t, rigOptions{})
	c := r.connect()
	c.query("SELECT a FROM t FOR UPDATE")
	for range restlessReads - 1 {
		c.from(r.primary, readT)
	}
	r.fleet.awaitAsked(2 * (restlessReads - 1))
	done := make(chan struct{})
	go func() {
		defer close(done)
		r.fleet.awaitAsked(2*(restlessReads-1) + 1)
		r.fleet.fresh(clockStart.Add(1))
	}()
	for range 100 { // a slow machine may take more than one pause
		if got := c.query(readT); got.rows[0] == r.replicas[0].name {
			break
		}
		r.clock.advance(restInterval)
		r.fleet.fresh(r.clock.now().Add(1))
	}
	c.from(r.replicas[0], readT)
	<-done
}

// A session whose write the primary does not have any more is told once and set free, on all its connections. As long as the
// primary was not asked since, nobody knows.
func TestWriteLost(t *testing.T) {
	var lost atomic.Int32
	reasons := make(chan router.Reason, 100)
	r := hintRig(t, rigOptions{replicas: 1, trace: Trace{
		Lost:  func() { lost.Add(1) },
		Query: func(_ bool, why router.Reason, _ time.Duration) { reasons <- why },
	}})
	c, d := r.connectAs(usualClient, "", "s"), r.connectAs(usualClient, "", "s")
	c.ok(write)
	<-reasons
	knows := func(at time.Time) {
		r.fleet.change(func(s *backend.Snapshot) {
			s.PrimaryHas, s.PrimaryAsked = mustGTID(t, sourceUUID+":1-8"), at
			s.Replicas[0].Executed = s.PrimaryHas
		})
	}
	wants := func(c *checker, from *scriptedServer, want router.Reason) {
		t.Helper()
		c.from(from, readT)
		if got := <-reasons; got != want {
			t.Errorf("reason %v, want %v", got, want)
		}
	}
	knows(r.clock.now())
	wants(c, r.primary, router.ReasonReplicaBehind)
	r.clock.advance(time.Second)
	knows(r.clock.now())
	wants(d, r.primary, router.ReasonWriteLost)
	wants(d, r.replicas[0], router.ReasonRead)
	wants(c, r.replicas[0], router.ReasonRead)
	if n := lost.Load(); n != 1 {
		t.Errorf("told %d times, want once", n)
	}
}

// Where sessions begin with autocommit off, MySQL says by its flags that it is on until somebody sets it.
func TestReadsWhereAutocommitIsOffFromTheStart(t *testing.T) {
	r := startReads(t, rigOptions{})
	r.primary.variables = "autocommit=0\n"
	r.replicas[0].variables = "autocommit=OFF\n"
	r.primary.on(answering(map[string]fakeserver.OK{
		"SET autocommit = 1": {Status: autocommit, Track: []fakeserver.Track{fakeserver.TrackVariable("autocommit", "ON")}},
		"SET autocommit = 0": {Status: autocommit, Track: []fakeserver.Track{fakeserver.TrackVariable("autocommit", "OFF")}},
	}))
	c := r.connect()
	c.from(r.primary, readT)
	c.ok("SET autocommit = 0") // which it is: the flags do not change
	c.from(r.primary, readT)
	c.ok("SET autocommit = 1")
	r.clock.advance(time.Second)
	r.fleet.fresh(r.clock.now())
	c.from(r.replicas[0], readT)
	r.replicas[0].wantSent("SET @@SESSION.autocommit=1", readT)
}
