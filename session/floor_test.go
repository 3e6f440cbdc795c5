package session

import (
	"fmt"
	"testing"
	"time"
)

// newFullStore returns a store of one record, which user has, pinned by w.
func newFullStore(t *testing.T, c *clock, w Write) *Store {
	t.Helper()
	s := mustStore(t, Options{Capacity: 1, Window: time.Minute, Now: c.Now})
	c.Advance(time.Second)
	if w.At.IsZero() {
		w.At = c.Now()
	}
	s.Begin(user)
	s.End(user, w)
	return s
}

// evictAll makes s forget what is not in flight, by a write of another account.
func evictAll(s *Store) {
	k := Key{Account: "evicts", Name: "others"}
	s.Begin(k)
	s.End(k, Write{None: true})
}

func TestEvictedNeedIsFloor(t *testing.T) {
	five := mustMySQL(t, uuidA+":5")
	tests := []struct {
		name  string
		write Write
		after time.Duration // between the write and its eviction
		asked time.Duration // between the eviction and the question
		want  func(at time.Time) Need
	}{
		{
			name: "time", write: Write{},
			want: func(at time.Time) Need { return Need{WroteAt: at, UnprovenAt: at} },
		},
		{
			name: "time, at the very end of the window", write: Write{}, after: time.Minute,
			want: func(at time.Time) Need { return Need{WroteAt: at, UnprovenAt: at} },
		},
		{
			name: "time, just expired before the eviction", write: Write{}, after: time.Minute + 1,
			want: func(time.Time) Need { return Need{} },
		},
		{
			name: "time, just expired after the eviction", write: Write{}, after: time.Minute, asked: 1,
			want: func(time.Time) Need { return Need{} },
		},
		{
			name: "GTID, within the window", write: Write{GTID: five}, after: time.Second,
			want: func(at time.Time) Need { return Need{GTID: five, WroteAt: at} },
		},
		{
			name: "GTID, long ago", write: Write{GTID: five}, after: time.Hour, asked: time.Hour,
			want: func(time.Time) Need { return Need{GTID: five} },
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			clock := newClock()
			s := newFullStore(t, clock, tt.write)
			at := clock.Now()
			clock.Advance(tt.after)
			evictAll(s)
			clock.Advance(tt.asked)
			want := tt.want(at)
			checkNeed(t, s.Need(user), want)
			checkNeed(t, s.Need(Key{Account: "evicts", Name: "somebody else"}), Need{})

			s.Begin(user) // known again, and not below the floor
			want.Writing = 1
			checkNeed(t, s.Need(user), want)
		})
	}
}

// A flood of names makes the reads of its own account stricter, not those of others.
func TestFloorIsPerAccount(t *testing.T) {
	clock := newClock()
	s := mustStore(t, Options{Capacity: 64, Window: time.Minute, Now: clock.Now})
	at := clock.Advance(time.Second)
	for i := range 100_000 {
		s.Pin(Key{Account: "attacker", Name: fmt.Sprint("invented-", i)}, at)
	}
	checkNeed(t, s.Need(user), Need{})
	checkNeed(t, s.Need(Key{Account: "attacker", Name: "reader"}), Need{WroteAt: at, UnprovenAt: at})
	stats := s.Stats()
	if stats.Records > 64 || stats.Evicted < 99_000 || stats.Floored != stats.Evicted {
		t.Errorf("got %+v, want at most 64 records and as many floored as evicted", stats)
	}
	if got := s.Floors(); got != 16 {
		t.Errorf("got %d floors, want one a shard", got)
	}
	clock.Advance(time.Minute + 1)
	if got := s.Floors(); got != 0 {
		t.Errorf("got %d floors after the window, want 0", got)
	}
}

func TestFloorWithGTIDStays(t *testing.T) {
	clock := newClock()
	s := newFullStore(t, clock, Write{GTID: mustMySQL(t, uuidA+":5")})
	evictAll(s)
	clock.Advance(time.Hour)
	if got := s.Floors(); got != 1 {
		t.Errorf("got %d floors, want 1", got)
	}
}

// What the start asks of everybody is no floor of an account.
func TestFloorWithinStart(t *testing.T) {
	clock := newClock()
	start := Need{GTID: mustMySQL(t, uuidA+":1-100")}
	s := mustStore(t, Options{Capacity: 1, Window: time.Minute, Start: start, Now: clock.Now})
	s.Begin(user)
	s.End(user, Write{GTID: mustMySQL(t, uuidA+":50")})
	clock.Advance(time.Hour)
	evictAll(s)
	if stats := s.Stats(); stats.Floors != 0 || stats.Evicted != 1 || stats.Floored != 0 {
		t.Errorf("got %+v, want an eviction without a floor", stats)
	}
	checkNeed(t, s.Need(user), start)
}

func TestInFlightIsNotEvicted(t *testing.T) {
	clock := newClock()
	s := mustStore(t, Options{Capacity: 4, Window: time.Minute, Now: clock.Now})
	at := clock.Advance(time.Second)
	writer := func(i int) Key { return Key{Account: "app", Name: fmt.Sprint("writer-", i)} }
	const writers = 40
	for i := range writers {
		s.Begin(writer(i))
	}
	for i := range 1000 {
		s.Pin(Key{Account: "flood", Name: fmt.Sprint(i)}, at)
	}
	for i := range writers {
		checkNeed(t, s.Need(writer(i)), Need{Writing: 1})
	}
	if stats := s.Stats(); stats.Writing != writers || stats.Records < writers || stats.Records > writers+4 {
		t.Errorf("got %+v, want %d in flight and at most 4 records more", stats, writers)
	}
	for i := range writers {
		s.End(writer(i), Write{At: at})
	}
	for i := range 100 {
		s.Pin(Key{Account: "flood", Name: fmt.Sprint(i)}, at)
	}
	if stats := s.Stats(); stats.Writing != 0 || stats.Records > 4 {
		t.Errorf("got %+v, want nothing in flight and at most 4 records", stats)
	}
	for i := range writers {
		checkNeed(t, s.Need(writer(i)), Need{WroteAt: at, UnprovenAt: at})
	}
}

// account returns the key of one session of the i-th account.
func accountKey(i int) Key { return Key{Account: fmt.Sprint("account-", i), Name: "user"} }

// Accounts without a number share a floor, and stay in it although numbers become
// free, as long as it may know something of them.
func TestAccountsBeyondTheBound(t *testing.T) {
	clock := newClock()
	s := mustStore(t, Options{Capacity: 1, Window: time.Minute, Now: clock.Now})
	at := clock.Advance(time.Second)
	const extra = 3
	for i := range maxAccounts + extra {
		s.Pin(accountKey(i), at)
	}
	evictAll(s)
	pinned := Need{WroteAt: at, UnprovenAt: at}
	for i := range maxAccounts + extra {
		checkNeed(t, s.Need(accountKey(i)), pinned)
	}
	checkNeed(t, s.Need(Key{Account: "new", Name: "user"}), pinned)
	if got := s.Floors(); got != maxAccounts+1 {
		t.Errorf("got %d floors, want %d", got, maxAccounts+1)
	}

	// Only the common floor has a GTID; the other floors expire, their numbers are
	// free, and still the accounts of the common floor are under it.
	last := accountKey(maxAccounts + extra - 1)
	s.Begin(last)
	s.End(last, Write{At: at, GTID: mustMySQL(t, uuidA+":5")})
	evictAll(s)
	clock.Advance(2 * time.Minute)
	if got := s.Floors(); got != 1 {
		t.Errorf("got %d floors, want 1", got)
	}
	s.Begin(last)
	s.End(last, Write{None: true})
	checkNeed(t, s.Need(last), Need{GTID: mustMySQL(t, uuidA+":5")})
}

// When nothing is known under the common number any more, accounts get their own
// again: those of yesterday do not use up the numbers.
func TestAccountsComeAndGo(t *testing.T) {
	clock := newClock()
	s := mustStore(t, Options{Capacity: 1, Window: time.Minute, Now: clock.Now})
	for day := range 3 {
		at := clock.Advance(time.Hour)
		for i := range maxAccounts + 10 {
			k := accountKey(day*10_000 + i)
			s.Pin(k, at)
			checkNeed(t, s.Need(k), Need{WroteAt: at, UnprovenAt: at})
		}
		checkNeed(t, s.Need(user), Need{WroteAt: at, UnprovenAt: at}) // the common floor
		s.Pin(accountKey(day*10_000), at)                             // has a number, evicts the last of the common ones
	}
	clock.Advance(time.Hour)
	s.Pin(user, clock.Now())
	evictAll(s)
	checkNeed(t, s.Need(Key{Account: "new", Name: "user"}), Need{})
	if got := s.Floors(); got != 1 {
		t.Errorf("got %d floors, want that of one account", got)
	}
	if got := len(s.shards[0].accounts.list); got > maxAccounts+1 {
		t.Errorf("got %d numbers, want at most %d", got, maxAccounts+1)
	}
}
