package session

import (
	"fmt"
	"math"
	"testing"
	"testing/synctest"
	"time"
)

var user = Key{Account: "app", Name: "user-42"}

func TestStoreNeed(t *testing.T) {
	clock := newClock()
	at := clock.Now().Add(-time.Second)
	five := mustMySQL(t, uuidA+":5")
	tests := []struct {
		name string
		run  func(s *Store)
		want Need
	}{
		{name: "unknown", run: func(*Store) {}},
		{name: "write in flight", run: func(s *Store) { s.Begin(user) }, want: Need{Writing: 1}},
		{
			name: "two in flight, one ended",
			run:  func(s *Store) { s.Begin(user); s.Begin(user); s.End(user, Write{At: at, GTID: five}) },
			want: Need{GTID: five, WroteAt: at, Writing: 1},
		},
		{
			name: "with a GTID",
			run:  func(s *Store) { s.Begin(user); s.End(user, Write{At: at, GTID: five}) },
			want: Need{GTID: five, WroteAt: at},
		},
		{
			name: "without a GTID",
			run:  func(s *Store) { s.Begin(user); s.End(user, Write{At: at}) },
			want: Need{WroteAt: at, UnprovenAt: at},
		},
		{
			name: "with a GTID that is not all of it",
			run:  func(s *Store) { s.Begin(user); s.End(user, Write{At: at, GTID: five, Unproven: true}) },
			want: Need{GTID: five, WroteAt: at, UnprovenAt: at},
		},
		{
			name: "nothing written",
			run:  func(s *Store) { s.Begin(user); s.End(user, Write{At: at, GTID: five, Unproven: true, None: true}) },
		},
		{
			name: "without a time",
			run:  func(s *Store) { s.Begin(user); s.End(user, Write{GTID: five}) },
			want: Need{GTID: five, WroteAt: clock.Now()},
		},
		{
			name: "an older write does not move the time back",
			run:  func(s *Store) { s.Pin(user, at); s.Begin(user); s.End(user, Write{At: at.Add(-time.Second)}) },
			want: Need{WroteAt: at, UnprovenAt: at},
		},
		{name: "pin", run: func(s *Store) { s.Pin(user, at) }, want: Need{WroteAt: at, UnprovenAt: at}},
		{
			name: "another name",
			run:  func(s *Store) { s.Pin(Key{Account: user.Account, Name: "user-43"}, at) },
		},
		{
			name: "the same name of another account",
			run:  func(s *Store) { s.Pin(Key{Account: "other", Name: user.Name}, at) },
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := mustStore(t, Options{Window: time.Minute, Now: clock.Now})
			tt.run(s)
			checkNeed(t, s.Need(user), tt.want)
		})
	}
}

func TestStoreEndWithoutBegin(t *testing.T) {
	s := mustStore(t, Options{Window: time.Minute})
	mustPanic(t, func() { s.End(user, Write{None: true}) })
	s.Pin(user, time.Time{})
	mustPanic(t, func() { s.End(user, Write{None: true}) })
	s.Begin(user) // the lock was given back
	s.End(user, Write{None: true})
}

func TestOptions(t *testing.T) {
	for _, o := range []Options{{}, {Window: -1}, {Window: time.Second, Capacity: -1}} {
		if _, err := NewStore(o); err == nil {
			t.Errorf("%+v: no error", o)
		}
	}
	for _, capacity := range []int{0, 1, 2, 3, 15, 16, 17, 1000} {
		s := mustStore(t, Options{Window: time.Second, Capacity: capacity})
		if capacity == 0 {
			continue
		}
		for i := range 3 * capacity {
			s.Pin(Key{Account: "app", Name: fmt.Sprint(i)}, time.Time{})
		}
		if got := s.Len(); got > capacity || got == 0 {
			t.Errorf("capacity %d: got %d records", capacity, got)
		}
	}
}

// A store that has just been made does not know what was written before, so all
// sessions start with what it was told.
func TestRestart(t *testing.T) {
	clock := newClock()
	start := Need{GTID: mustMySQL(t, uuidA+":1-70:72-100"), WroteAt: clock.Now(), UnprovenAt: clock.Now(), Writing: 3}
	s := mustStore(t, Options{Window: time.Minute, Start: start, Now: clock.Now})
	want := start
	want.Writing = 0
	checkNeed(t, s.Need(user), want)

	s.Begin(user)
	s.End(user, Write{None: true})
	checkNeed(t, s.Need(user), want)

	clock.Advance(time.Minute + 1)
	late := Key{Account: "app", Name: "late"}
	checkNeed(t, s.Need(late), Need{GTID: start.GTID})
	s.Begin(late)
	checkNeed(t, s.Need(late), Need{GTID: start.GTID, Writing: 1})
	if got := s.Floors(); got != 0 {
		t.Errorf("got %d floors, want 0: nothing was evicted", got)
	}
}

// The time of a record does not expire in the record: only who asks knows for how
// long it counts.
func TestKnownTimesStay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := mustStore(t, Options{Window: time.Minute})
		time.Sleep(time.Second)
		at := time.Now()
		s.Pin(user, time.Time{})
		time.Sleep(time.Hour)
		checkNeed(t, s.Need(user), Need{WroteAt: at, UnprovenAt: at})
	})
}

func TestWindowWithoutEnd(t *testing.T) {
	clock := newClock()
	at := clock.Now().Add(-time.Hour)
	s := mustStore(t, Options{Capacity: 1, Window: math.MaxInt64, Now: clock.Now})
	s.Pin(user, at)
	clock.Advance(100 * 365 * 24 * time.Hour)
	s.Begin(Key{Account: "app", Name: "other"}) // evicts user
	checkNeed(t, s.Need(user), Need{WroteAt: at, UnprovenAt: at})
}

func TestAllocations(t *testing.T) {
	s := mustStore(t, Options{Window: time.Minute, Start: Need{GTID: mustMySQL(t, uuidA+":1-9:11")}})
	set := mustMySQL(t, uuidB+":1")
	s.Begin(user)
	s.End(user, Write{GTID: set})
	unknown := Key{Account: "nobody", Name: "nothing"}
	tests := []struct {
		name string
		run  func()
	}{
		{name: "need", run: func() { s.Need(user) }},
		{name: "need of an unknown session", run: func() { s.Need(unknown) }},
		{name: "begin and end", run: func() { s.Begin(user); s.End(user, Write{GTID: set}) }},
		{name: "begin and end, nothing written", run: func() { s.Begin(user); s.End(user, Write{None: true}) }},
		{name: "pin", run: func() { s.Pin(user, time.Time{}) }},
	}
	for _, tt := range tests {
		if got := testing.AllocsPerRun(100, tt.run); got != 0 {
			t.Errorf("%s: got %v allocations, want 0", tt.name, got)
		}
	}
}
