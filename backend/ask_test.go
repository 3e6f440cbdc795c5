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
