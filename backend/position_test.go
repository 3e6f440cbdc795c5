package backend

import (
	"fmt"
	"testing"
	"time"

	"github.com/stickyproxy/stickyproxy/gtid"
)

const testUUID = "3e11fa47-71ca-11e1-9e33-c80aa9429562"

// epoch is the zero of the clock in these tests.
var epoch = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// at is so many seconds after epoch.
func at(seconds float64) time.Time { return epoch.Add(time.Duration(seconds * float64(time.Second))) }

func mustGTID(t testing.TB, s string) gtid.Set {
	t.Helper()
	set, err := gtid.ParseMySQL(s)
	if err != nil {
		t.Fatal(err)
	}
	return set
}

// executed is the first n transactions of one source; none for 0.
func executed(t testing.TB, n int) gtid.Set {
	t.Helper()
	if n == 0 {
		return gtid.Set{}
	}
	return mustGTID(t, fmt.Sprintf("%s:1-%d", testUUID, n))
}

func mustMariaDB(t testing.TB, s string) gtid.Set {
	t.Helper()
	set, err := gtid.ParseMariaDB(s)
	if err != nil {
		t.Fatal(err)
	}
	return set
}

func mustFile(t testing.TB, file string, offset uint64) gtid.Set {
	t.Helper()
	set, err := gtid.ParseFile(file, offset)
	if err != nil {
		t.Fatal(err)
	}
	return set
}

// asked is one answer of a primary: so many transactions, at that second.
type asked struct {
	n       int
	seconds float64
}

// Ensure that a replica is fresh as of the newest question whose answer it has, and as late as the oldest it has not.
func TestHistory(t *testing.T) {
	for _, row := range []struct {
		name    string
		primary []asked
		replica int
		now     float64
		fresh   time.Time
		lag     Lag
	}{
		{name: "nothing known", replica: 5, now: 9},
		{name: "has all", primary: []asked{{5, 1}, {7, 2}}, replica: 7, now: 9, fresh: at(2), lag: Lag{Known: true}},
		{name: "has more than was asked", primary: []asked{{5, 1}, {7, 2}}, replica: 12, now: 9, fresh: at(2), lag: Lag{Known: true}},
		{name: "an unchanged position gets newer", primary: []asked{{5, 1}, {5, 2}, {5, 3}}, replica: 5, now: 9, fresh: at(3), lag: Lag{Known: true}},
		{name: "misses the newest", primary: []asked{{5, 1}, {7, 2}, {9, 3}}, replica: 8, now: 9, fresh: at(2), lag: Lag{Known: true, D: 6 * time.Second}},
		{name: "late since the first time it was seen", primary: []asked{{5, 1}, {7, 2}, {7, 3}, {7, 8}}, replica: 5, now: 9, fresh: at(1), lag: Lag{Known: true, D: 7 * time.Second}},
		{name: "misses all", primary: []asked{{5, 1}, {7, 2}}, replica: 4, now: 9},
		{name: "has nothing", primary: []asked{{5, 1}, {7, 2}}, replica: 0, now: 9},
		{name: "backwards forgets", primary: []asked{{50, 1}, {7, 2}}, replica: 60, now: 9, fresh: at(2), lag: Lag{Known: true}},
		{name: "backwards forgets what an older replica had", primary: []asked{{5, 1}, {50, 2}, {7, 3}}, replica: 5, now: 9},
		{name: "an empty position proves nothing", primary: []asked{{0, 1}}, replica: 5, now: 9},
		{name: "an empty position is backwards", primary: []asked{{5, 1}, {0, 2}}, replica: 5, now: 9},
		{name: "a clock that went back is no negative lag", primary: []asked{{5, 1}, {7, 8}}, replica: 5, now: 7, fresh: at(1), lag: Lag{Known: true}},
	} {
		t.Run(row.name, func(t *testing.T) {
			var h history
			for _, a := range row.primary {
				h.add(executed(t, a.n), at(a.seconds))
			}
			have := executed(t, row.replica)
			if got, want := h.freshAsOf(have), row.fresh; !got.Equal(want) {
				t.Errorf("freshAsOf: got %v, want %v", got, want)
			}
			if got, want := h.lag(have, at(row.now)), row.lag; got != want {
				t.Errorf("lag: got %+v, want %+v", got, want)
			}
		})
	}
}

// Ensure that positions of different kinds never prove anything about each other.
func TestHistoryKinds(t *testing.T) {
	var h history
	h.add(mustFile(t, "binlog.000009", 100), at(1))
	h.add(mustFile(t, "binlog.000010", 50), at(2))
	if got, want := h.freshAsOf(mustFile(t, "binlog.000009", 900)), at(1); !got.Equal(want) {
		t.Errorf("between two files: got %v, want %v", got, want)
	}
	if got := h.freshAsOf(executed(t, 1000)); !got.IsZero() {
		t.Errorf("a GTID set against a file: got %v, want zero", got)
	}
	h.add(executed(t, 5), at(3)) // gtid_mode was turned on
	if got, want := len(h.samples), 1; got != want {
		t.Errorf("samples after a change of kind: got %d, want %d", got, want)
	}
	h.add(mustMariaDB(t, "0-1-9"), at(4))
	h.add(mustMariaDB(t, "0-2-10"), at(5))
	if got := h.freshAsOf(mustMariaDB(t, "0-1-9")); !got.IsZero() {
		t.Errorf("after a change of the writing server: got %v, want zero", got)
	}
}

// Ensure that a history is bounded, still finds a replica that is far behind, and never makes it fresher than it is.
func TestHistoryIsBounded(t *testing.T) {
	const total = 4*maxSamples + 3
	var h history
	for i := range total {
		h.add(executed(t, i+1), at(float64(i)))
		if len(h.samples) > maxSamples {
			t.Fatalf("%d samples after %d answers, want at most %d", len(h.samples), i+1, maxSamples)
		}
	}
	for n := 1; n <= total; n += 7 {
		truth := at(float64(n - 1))
		if got := h.freshAsOf(executed(t, n)); got.After(truth) || got.IsZero() {
			t.Fatalf("a replica with %d transactions is fresh as of %v, want a time up to %v", n, got, truth)
		}
	}
	if got, want := h.freshAsOf(executed(t, total)), at(total-1); !got.Equal(want) {
		t.Errorf("newest: got %v, want %v", got, want)
	}
}

// Ensure that the search for the oldest missing position finds what looking at each one finds.
func TestHistoryMissing(t *testing.T) {
	var h history
	for i, n := range []int{3, 4, 9, 20, 21, 50} {
		h.add(executed(t, n), at(float64(i)))
	}
	for n := range 60 {
		have, want := executed(t, n), len(h.samples)
		for i, s := range h.samples {
			if !have.Contains(s.pos) {
				want = i
				break
			}
		}
		if got := h.missing(have); got != want {
			t.Errorf("missing with %d transactions: got %d, want %d", n, got, want)
		}
	}
}
