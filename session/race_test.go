package session

import (
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// flood writes under new names, in the given account, until stop is closed.
func flood(s *Store, account string, stop <-chan struct{}) {
	for i := 0; ; i++ {
		select {
		case <-stop:
			return
		default:
			s.Pin(Key{Account: account, Name: fmt.Sprint("flood-", i)}, time.Unix(1, 0))
		}
	}
}

// TestEvictionAndFloorAreOneStep: while one goroutine writes for a session and
// another one makes the store evict it over and over, others must never see less than
// what was acknowledged before they asked.
func TestEvictionAndFloorAreOneStep(t *testing.T) {
	s := mustStore(t, Options{Capacity: 1, Window: time.Hour})
	stop := make(chan struct{})
	var others sync.WaitGroup
	others.Go(func() { flood(s, user.Account, stop) })

	var acknowledged atomic.Int64 // nanoseconds after base
	base := time.Now()
	for range 6 { // so many that one nearly always waits for the lock
		others.Go(func() { readAlways(t, s, base, &acknowledged, stop) })
	}
	for i := range 100_000 {
		s.Begin(user)
		s.End(user, Write{At: base.Add(time.Duration(i + 1))})
		acknowledged.Store(int64(i + 1))
	}
	close(stop)
	others.Wait()
	if s.Stats().Floored == 0 {
		t.Error("nothing that pins was evicted: the test shows nothing")
	}
}

// readAlways asks for what user must see until stop is closed. The last write was
// acknowledged at least that many nanoseconds after base.
func readAlways(t *testing.T, s *Store, base time.Time, acknowledged *atomic.Int64, stop <-chan struct{}) {
	for {
		select {
		case <-stop:
			return
		default:
		}
		last := acknowledged.Load()
		if got := s.Need(user); last > 0 && got.WroteAt.Before(base.Add(time.Duration(last))) {
			t.Errorf("got %v, want at least %v", got.WroteAt.Sub(base), time.Duration(last))
			return
		}
	}
}

// TestConcurrentSessions: many connections, a few of them on the same session, in a
// store that is too small and flooded. Each sees its own writes at once.
func TestConcurrentSessions(t *testing.T) {
	start := mustMySQL(t, uuidB+":1-1000")
	s := mustStore(t, Options{Capacity: 32, Window: time.Hour, Start: Need{GTID: start}})
	stop := make(chan struct{})
	var floods, connections sync.WaitGroup
	floods.Go(func() { flood(s, "account-0", stop) })
	var next atomic.Int64
	for c := range 16 {
		connections.Go(func() {
			k := Key{Account: fmt.Sprint("account-", c%4), Name: fmt.Sprint("user-", c/2)}
			for range 1000 {
				if err := oneWrite(t, s, k, next.Add(1)); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	connections.Wait()
	close(stop)
	floods.Wait()
	if got := s.Stats().Writing; got != 0 {
		t.Errorf("got %d in flight at the end, want 0", got)
	}
}

// oneWrite writes once and returns an error if the session does not see it, on its
// way or done.
func oneWrite(t *testing.T, s *Store, k Key, number int64) error {
	set := mustMySQL(t, fmt.Sprintf("%s:%d", uuidA, number))
	at := time.Now()
	s.Begin(k)
	if got := s.Need(k); got.Writing == 0 {
		return fmt.Errorf("%v: a write is on its way and nobody knows", k)
	}
	s.End(k, Write{GTID: set, At: at})
	if got := s.Need(k); !got.GTID.Contains(set) || got.WroteAt.Before(at) {
		return fmt.Errorf("%v: got %s at %v, want %s at %v", k, got.GTID, got.WroteAt, set, at)
	}
	return nil
}
