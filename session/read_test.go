package session

import (
	"testing"
	"time"

	"github.com/stickyproxy/stickyproxy/gtid"
)

const (
	serverX = 11
	serverY = 22
)

// readNeed returns the session's need without what it wrote.
func readNeed(s *Store, k Key) (by uint64, at time.Time) {
	n := s.Need(k)
	return n.ReadBy, n.ReadAt
}

func TestReads(t *testing.T) {
	c := newClock()
	s := mustStore(t, Options{Window: time.Minute, Now: c.Now})
	k := Key{"app", "user-1"}
	check := func(when string, wantBy uint64, wantAt time.Time) {
		t.Helper()
		if by, at := readNeed(s, k); by != wantBy || !at.Equal(wantAt) {
			t.Errorf("%s: got %d at %v, want %d at %v", when, by, at, wantBy, wantAt)
		}
	}
	first := c.Advance(time.Second)
	s.Read(k, Read{By: serverX, At: first})
	check("the first", serverX, first)

	before := s.Need(k)
	moved := c.Advance(time.Second)
	s.Read(k, Read{By: serverY, At: moved, Saw: before})
	check("moved on", serverY, moved)

	// A read that was decided on before the session moved, and ended after it.
	end := c.Advance(time.Second)
	s.Read(k, Read{By: serverX, At: end, Saw: before})
	check("two at a time", 0, end)

	s.Read(k, Read{By: serverX, At: c.Advance(time.Second), Saw: before})
	check("mixed stays mixed", 0, c.Now())
	s.Read(k, Read{By: serverX, At: c.Advance(time.Second), Saw: s.Need(k)})
	check("until one has it all", serverX, c.Now())
}

func TestEvictedReadRaisesTheFloor(t *testing.T) {
	c := newClock()
	s := mustStore(t, Options{Capacity: 1, Window: time.Minute, Now: c.Now})
	k := Key{"app", "user-1"}
	at := c.Advance(time.Second)
	s.Read(k, Read{By: serverX, At: at})
	s.Read(Key{"app", "user-2"}, Read{By: serverY, At: at})
	if by, got := readNeed(s, k); by != serverX || !got.Equal(at) {
		t.Errorf("evicted: got %d at %v, want %d at %v", by, got, serverX, at)
	}
	s.Read(Key{"app", "user-3"}, Read{By: serverY, At: at})
	if by, got := readNeed(s, k); by != 0 || !got.Equal(at) {
		t.Errorf("another was evicted: got %d at %v, want mixed at %v", by, got, at)
	}
	c.Advance(time.Minute + time.Second)
	if n := s.Need(k); !n.ReadAt.IsZero() || n.ReadBy != 0 {
		t.Errorf("after a window: got %+v", n)
	}
}

func TestRaise(t *testing.T) {
	c := newClock()
	s := mustStore(t, Options{Window: time.Minute, Now: c.Now})
	k := Key{"app", "user-1"}
	n := Need{GTID: mustMySQL(t, uuidA+":5"), Since: c.Now(), WroteAt: c.Now(), ReadAt: c.Now(), ReadBy: serverX, Writing: 3}
	s.Raise(k, n)
	n.Writing = 0
	checkNeed(t, s.Need(k), n)

	var l Local
	l.Raise(n)
	checkNeed(t, l.Need(), n)
}

func TestRelease(t *testing.T) {
	s := mustStore(t, Options{Window: time.Minute})
	var l Local
	k := Key{"app", "user-1"}
	was, left := mustMySQL(t, uuidA+":5-9"), mustMySQL(t, uuidA+":5-8")
	for _, set := range []gtid.Set{was, mustMySQL(t, uuidA+":10")} {
		s.Begin(k)
		s.End(k, Write{GTID: set})
		l.Begin()
		l.End(Write{GTID: set})
		s.Release(k, was, left)
		l.Release(was, left)
	}
	if got, want := s.Need(k).GTID.String(), uuidA+":5-10"; got != want || l.Need().GTID.String() != want {
		t.Errorf("got %q and %q, want %q: what was written later is not released", got, l.Need().GTID, want)
	}
	s.Release(k, s.Need(k).GTID, left)
	l.Release(l.Need().GTID, left)
	if got := s.Need(k).GTID; !got.Equal(left) || !l.Need().GTID.Equal(left) {
		t.Errorf("got %q and %q, want %q", got, l.Need().GTID, left)
	}
}
