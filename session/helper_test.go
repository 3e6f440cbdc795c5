package session

import (
	"sync"
	"testing"
	"time"

	"github.com/stickyproxy/stickyproxy/gtid"
)

const (
	uuidA = "aaaaaaaa-0000-0000-0000-000000000001"
	uuidB = "bbbbbbbb-0000-0000-0000-000000000002"
)

// clock is a clock that moves only when told to.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func newClock() *clock {
	return &clock{now: time.Date(2026, 1, 2, 3, 4, 5, 6, time.UTC)}
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

// Advance moves the clock and returns the new time.
func (c *clock) Advance(d time.Duration) time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
	return c.now
}

func mustStore(t testing.TB, o Options) *Store {
	t.Helper()
	s, err := NewStore(o)
	if err != nil {
		t.Fatalf("NewStore: %v", err)
	}
	return s
}

func mustMySQL(t testing.TB, text string) gtid.Set {
	t.Helper()
	set, err := gtid.ParseMySQL(text)
	if err != nil {
		t.Fatalf("ParseMySQL(%q): %v", text, err)
	}
	return set
}

func equalNeeds(a, b Need) bool {
	return a.GTID.Equal(b.GTID) && a.WroteAt.Equal(b.WroteAt) && a.UnprovenAt.Equal(b.UnprovenAt) && a.AsOf.Equal(b.AsOf) && a.ReadAt.Equal(b.ReadAt) && a.ReadBy == b.ReadBy && a.Writing == b.Writing
}

func checkNeed(t *testing.T, got, want Need) {
	t.Helper()
	if !equalNeeds(got, want) {
		t.Errorf("need: got {%s wrote %v unproven %v writing %d}, want {%s wrote %v unproven %v writing %d}",
			got.GTID, got.WroteAt, got.UnprovenAt, got.Writing,
			want.GTID, want.WroteAt, want.UnprovenAt, want.Writing)
	}
}

func mustPanic(t *testing.T, f func()) {
	t.Helper()
	defer func() {
		if recover() == nil {
			t.Error("did not panic")
		}
	}()
	f()
}
