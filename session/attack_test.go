package session

import (
	"fmt"
	"runtime"
	"testing"
	"time"
)

// A client that invents a million names, and writes under each, makes everybody's reads stricter. It does not make them
// staler, larger or slower: what is kept and what a question costs have the bounds that they had before.
func TestInventedNames(t *testing.T) {
	const (
		names    = 1_000_000
		capacity = 10_000
		bytes    = 300 // a record, at most, with what the map and the list take for it
	)
	clock := newClock()
	s := mustStore(t, Options{Capacity: capacity, Window: time.Minute, Now: clock.Now})
	before := heapInUse()
	wrote := mustMySQL(t, uuidA+":1")
	s.Begin(user)
	s.End(user, Write{GTID: wrote})
	set := mustMySQL(t, uuidA+":2-2000000") // parsed once: what is measured is the store
	invent := func(i int) {
		k := Key{Account: user.Account, Name: fmt.Sprintf("invented %d", i)}
		s.Begin(k)
		s.End(k, Write{GTID: set})
	}
	for i := range names {
		invent(i)
	}
	if got := s.Len(); got > capacity {
		t.Errorf("%d records, want %d at most", got, capacity)
	}
	if got := heapInUse() - before; got > capacity*bytes {
		t.Errorf("they take %d bytes, want %d at most", got, capacity*bytes)
	}
	if got := s.Need(user); !got.GTID.Contains(wrote) || !got.GTID.Contains(set) {
		t.Errorf("a user who was forgotten must see %s, want his own write and what was forgotten with him", got.GTID)
	}
	if got, want := s.Need(user).GTID.String(), uuidA+":1-2000000"; got != want {
		t.Errorf("the floor is %s, want one interval: %s", got, want)
	}
	if got := testing.AllocsPerRun(1000, func() { s.Need(user) }); got != 0 {
		t.Errorf("a question takes %v allocations", got)
	}
	next := names
	if got := testing.AllocsPerRun(1000, func() { invent(next); next++ }); got > 6 {
		t.Errorf("a name takes %v allocations, want 6 at most", got)
	}
	runtime.KeepAlive(s)
}

// heapInUse is how many bytes are reachable.
func heapInUse() int {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int(m.HeapAlloc)
}
