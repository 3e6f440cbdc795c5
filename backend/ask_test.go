package backend

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"time"
)

// Ensure that a replica whose position is wanted is asked for that, between two regular questions, and for nothing else;
// and for everything once it turns out to be another server.
func TestAsk(t *testing.T) {
	var executed atomic.Int64
	executed.Store(1)
	var statuses atomic.Int64
	incarnation := atomic.Pointer[string]{}
	first, second := "r", "s"
	incarnation.Store(&first)
	primary := startFake(t, func(c *fakeConn) { serveFacts(c, "8.4.3", mysqlFacts("p", "0", testUUID+":1-9", "ON"), nil, nil) })
	replica := startFake(t, func(c *fakeConn) {
		c.caps = allCaps
		if !c.welcome() {
			return
		}
		for {
			switch q := c.command(); {
			case q == "":
				return
			case len(q) > 4 && q[:4] == "SHOW":
				statuses.Add(1)
				c.rows("Source_UUID", "p", "Replica_IO_Running", "Yes", "Replica_SQL_Running", "Yes")
			default:
				c.rows(mysqlFacts(*incarnation.Load(), "1", fmt.Sprintf("%s:1-%d", testUUID, executed.Load()), "ON")...)
			}
		}
	})
	changed := make(chan struct{}, 1)
	f, err := NewFleet(Options{
		Primary:  ServerConfig{Address: primary.listener.Addr().String()},
		Replicas: []ServerConfig{{Address: replica.listener.Addr().String()}},
		Monitor:  &Account{User: "monitor"}, Interval: time.Hour,
		Changed: func() {
			select {
			case changed <- struct{}{}:
			default:
			}
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- f.Run(ctx) }()
	await := func(what string, good func() bool) {
		t.Helper()
		for !good() {
			select {
			case <-changed:
			case err := <-ended:
				t.Fatalf("%s: the fleet ended: %v", what, err)
			}
		}
	}
	has := func(n int64) func() bool {
		want := mustGTID(t, fmt.Sprintf("%s:1-%d", testUUID, n))
		return func() bool { return f.Snapshot().Replicas[0].Executed.Equal(want) }
	}
	await("the first regular answer", has(1))
	regular := statuses.Load()
	for n := range int64(3) {
		executed.Store(n + 2)
		f.Ask()
		await("an answer that was asked for", has(n+2))
	}
	executed.Store(7)
	for range 100 { // of which most find that it was said already
		f.Wrote()
	}
	await("an answer that a write made be asked for", has(7))
	if got := statuses.Load(); got != regular {
		t.Errorf("got %d questions about replication, want %d", got, regular)
	}
	if r := f.Snapshot().Replicas[0]; !r.Up || !r.Replicating || !r.ReadOnly {
		t.Errorf("what was known is gone: %+v", r)
	}
	incarnation.Store(&second)
	f.Ask()
	await("another server's answer", func() bool { return f.Snapshot().Replicas[0].Incarnation == second })
	if got, want := statuses.Load(), regular+1; got != want {
		t.Errorf("got %d questions about replication, want %d", got, want)
	}
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

// Ensure that the primary is asked, too, that everybody who waits is told, and that a primary which takes no writes any
// more is asked whom it follows.
func TestAskPrimary(t *testing.T) {
	readOnly := atomic.Pointer[string]{}
	off, on := "0", "1"
	readOnly.Store(&off)
	var executed atomic.Int64
	executed.Store(1)
	primary := startFake(t, func(c *fakeConn) {
		c.caps = allCaps
		if !c.welcome() {
			return
		}
		for {
			switch q := c.command(); {
			case q == "":
				return
			case len(q) > 4 && q[:4] == "SHOW":
				c.rows("Source_UUID", "other", "Replica_IO_Running", "Yes", "Replica_SQL_Running", "Yes")
			default:
				c.rows(mysqlFacts("p", *readOnly.Load(), fmt.Sprintf("%s:1-%d", testUUID, executed.Load()), "ON")...)
			}
		}
	})
	f, err := NewFleet(Options{
		Primary: ServerConfig{Address: primary.listener.Addr().String()},
		Monitor: &Account{User: "monitor"}, Interval: time.Hour,
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- f.Run(ctx) }()
	await := func(good func(*Snapshot) bool) *Snapshot {
		t.Helper()
		for {
			s := f.Snapshot()
			if good(s) {
				return s
			}
			f.Ask()
			select {
			case <-s.Newer:
			case err := <-ended:
				t.Fatalf("the fleet ended: %v", err)
			}
		}
	}
	first := await(func(s *Snapshot) bool { return s.PrimaryUp })
	if first.Clock.ID != ID("p") || first.Clock.Says.IsZero() || first.Clock.Answered.Before(first.Clock.Asked) {
		t.Errorf("clock: %+v", first.Clock)
	}
	executed.Store(5)
	want := mustGTID(t, testUUID+":1-5")
	if s := await(func(s *Snapshot) bool { return s.PrimaryHas.Equal(want) }); !s.PrimaryAsked.After(first.PrimaryAsked) {
		t.Errorf("asked at %v, and first at %v", s.PrimaryAsked, first.PrimaryAsked)
	}
	readOnly.Store(&on)
	if s := await(func(s *Snapshot) bool { return s.PrimaryDemoted }); !s.PrimaryHas.IsEmpty() {
		t.Errorf("a server that is not the primary says what the primary has: %v", s.PrimaryHas)
	}
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

// Ensure that a server whose position went back is another one from then on.
func TestWentBack(t *testing.T) {
	f, _ := newTestFleet(t, 1)
	r := f.replicas[0]
	id := func() uint64 { return f.Snapshot().Replicas[0].ID }
	tell(f, r, replicaFacts(t, 5, 1))
	first := id()
	tell(f, r, replicaFacts(t, 6, 2))
	if got := id(); got != first || got != ID("r") {
		t.Errorf("it went on: got %x, want %x", got, first)
	}
	tell(f, r, replicaFacts(t, 4, 3))
	second := id()
	if second == first || second == 0 {
		t.Errorf("it went back: got %x, want another one than %x", second, first)
	}
	mariadb := func(position string) *facts {
		got := replicaFacts(t, 0, 4)
		got.executed = mustMariaDB(t, position)
		return got
	}
	tell(f, r, mariadb("0-1-9"))
	third := id()
	tell(f, r, mariadb("0-2-10"))
	if got := id(); got != third {
		t.Errorf("it follows another primary: got %x, want %x", got, third)
	}
	tell(f, r, mariadb("0-2-9"))
	if got := id(); got == third {
		t.Error("it went back, and is the same")
	}
}

func TestParseOwned(t *testing.T) {
	for text, want := range map[string]string{
		"":                             "",
		testUUID + ":5#7":              testUUID + ":5",
		testUUID + ":5#7:8#12:tag:1#3": testUUID + ":5:8:tag:1",
		testUUID + ":5#7,\n" + testUUID[:35] + "3:1#9": testUUID + ":5," + testUUID[:35] + "3:1",
	} {
		got, err := parseOwned(text)
		if err != nil || !got.Equal(mustGTID(t, want)) {
			t.Errorf("%q: got %q, %v", text, got, err)
		}
	}
	if got, err := parseOwned(testUUID + ":#7"); err == nil {
		t.Errorf("got %q", got)
	}
}
