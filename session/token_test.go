package session

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/stickyproxy/stickyproxy/gtid"
)

// wall is a moment on a proxy's clock.
var wall = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

// primaryClock is what a proxy knows of the primary's clock whose own clock is ahead
// of it by that much.
func primaryClock(ahead time.Duration, now time.Time) Clock {
	says := now.Add(-ahead)
	return Clock{ID: 7, Asked: now.Add(-time.Millisecond), Answered: now.Add(time.Millisecond), Says: says}
}

func mustToken(t *testing.T, text string, now time.Time, c Clock) Need {
	t.Helper()
	n, err := ParseToken(text, now, c)
	if err != nil {
		t.Fatalf("ParseToken(%q): %v", text, err)
	}
	return n
}

func TestTokenOfNothing(t *testing.T) {
	if got := (Need{}).Token(Clock{}); got != "" {
		t.Errorf("got %q, want nothing", got)
	}
}

func TestTokenSize(t *testing.T) {
	n := Need{
		GTID:    mustMySQL(t, uuidA+":123456789012-9223372036854775807"),
		WroteAt: wall, UnprovenAt: wall.Add(-time.Minute), ReadAt: wall, ReadBy: 1<<64 - 1,
	}
	for _, n := range []Need{
		{GTID: mustMySQL(t, uuidA+":1")},
		n,
		{GTID: mustMySQL(t, uuidA+":"+strings.Repeat("t", 32)+":1-9223372036854775807"), WroteAt: n.WroteAt, UnprovenAt: n.UnprovenAt, ReadAt: wall, ReadBy: n.ReadBy},
	} {
		text := n.Token(primaryClock(0, wall))
		t.Logf("%d bytes: %s", len(text), text)
		if len(text) > 128 {
			t.Errorf("%d bytes, at most 128 are allowed", len(text))
		}
		if strings.Trim(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_") != "" {
			t.Errorf("%q needs quotes in a URL", text)
		}
	}
}

// stricter says whether got asks for no less than want.
func stricter(got, want Need) bool {
	return got.GTID.Contains(want.GTID) && !got.WroteAt.Before(want.WroteAt) && !got.UnprovenAt.Before(want.UnprovenAt) &&
		!got.ReadAt.Before(want.ReadAt) && (want.ReadAt.IsZero() || got.ReadBy == want.ReadBy || got.ReadBy == 0)
}

func TestTokenCarriesANeed(t *testing.T) {
	set := mustMySQL(t, uuidA+":5-9,"+uuidB+":tag:3")
	mariadb, err := gtid.ParseMariaDB("0-1-9,1-2-3")
	if err != nil {
		t.Fatal(err)
	}
	for name, n := range map[string]Need{
		"GTIDs":               {GTID: set},
		"MariaDB":             {GTID: mariadb, WroteAt: wall},
		"a write":             {WroteAt: wall},
		"no proof":            {WroteAt: wall, UnprovenAt: wall.Add(-3 * time.Second)},
		"no proof and no end": {UnprovenAt: wall},
		"a read":              {ReadAt: wall, ReadBy: 77},
		"a mixed read":        {ReadAt: wall},
		"all of it":           {GTID: set, Since: wall, WroteAt: wall, UnprovenAt: wall.Add(-time.Second), ReadAt: wall, ReadBy: 5},
	} {
		t.Run(name, func(t *testing.T) {
			later := wall.Add(10 * time.Second)
			for _, skew := range []time.Duration{0, time.Hour, -time.Hour} {
				// The other proxy's clock is wrong by skew, and the primary's tells so.
				text := n.Token(primaryClock(0, wall))
				got := mustToken(t, text, later.Add(skew), primaryClock(skew, later.Add(skew)))
				got.WroteAt, got.UnprovenAt, got.ReadAt = back(got.WroteAt, skew), back(got.UnprovenAt, skew), back(got.ReadAt, skew)
				if !stricter(got, n) {
					t.Errorf("skew %v: got %+v, want %+v", skew, got, n)
				}
				if late := got.WroteAt.Sub(lastWrite(n)); !n.WroteAt.IsZero() && late > 10*time.Millisecond {
					t.Errorf("skew %v: the write is %v late", skew, late)
				}
			}
			for _, c := range []Clock{{}, {ID: 8, Asked: wall, Answered: wall, Says: wall}} {
				if got := mustToken(t, n.Token(primaryClock(0, wall)), later, c); !stricter(got, n) || !n.WroteAt.IsZero() && !got.WroteAt.Equal(later) {
					t.Errorf("with another clock: got %+v, want the arrival %v", got, later)
				}
			}
			if got := mustToken(t, n.Token(Clock{}), later, primaryClock(0, later)); !stricter(got, n) {
				t.Errorf("without a clock: got %+v, want %+v", got, n)
			}
		})
	}
}

func back(at time.Time, skew time.Duration) time.Time {
	if at.IsZero() {
		return at
	}
	return at.Add(-skew)
}

// lastWrite is when n wrote last, with or without proof.
func lastWrite(n Need) time.Time { return later(n.WroteAt, n.UnprovenAt) }

// TestTokenFromTheFuture: what a token tells never lies after its arrival, so that
// nobody is held for longer than a window by a clock that was set.
func TestTokenFromTheFuture(t *testing.T) {
	text := Need{WroteAt: wall.Add(time.Hour), UnprovenAt: wall.Add(time.Hour)}.Token(primaryClock(0, wall))
	if got := mustToken(t, text, wall, primaryClock(0, wall)); !got.WroteAt.Equal(wall) || !got.UnprovenAt.Equal(wall) {
		t.Errorf("got %+v, want %v", got, wall)
	}
}

func TestTokenCountsAnAnswerFromItsArrival(t *testing.T) {
	now := time.Unix(1000, 0)
	n, err := ParseToken(Need{AsOf: now.Add(-time.Hour)}.Token(Clock{}), now, Clock{})
	if err != nil {
		t.Fatal(err)
	}
	checkNeed(t, n, Need{AsOf: now})
}

func TestTokenOfAWriteInFlight(t *testing.T) {
	got := mustToken(t, Need{Writing: 2}.Token(Clock{}), wall, Clock{})
	if want := (Need{WroteAt: wall, UnprovenAt: wall}); !equalNeeds(got, want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

func TestTokenErrors(t *testing.T) {
	good := Need{GTID: mustMySQL(t, uuidA+":5-9"), ReadAt: wall}.Token(Clock{})
	for _, test := range []struct {
		name, text string
		want       error
	}{
		{"empty", "", errTokenShort},
		{"not ours", "hello world", errTokenText},
		{"padded", good + "=", errTokenText},
		{"another version", "B" + good[1:], errTokenVersion},
		{"cut", good[:len(good)/4*4-4], errTokenCheckSum},
		{"cut to nothing", good[:4], errTokenShort},
		{"changed", good[:20] + "AAAA" + good[24:], errTokenCheckSum},
		{"huge", strings.Repeat("A", 5000), errTokenLong},
	} {
		_, err := ParseToken(test.text, wall, Clock{})
		if !errors.Is(err, test.want) {
			t.Errorf("%s: got %v, want %v", test.name, err, test.want)
		}
	}
}

func TestForeign(t *testing.T) {
	n := Need{GTID: mustMySQL(t, uuidA+":5")}
	for _, test := range []struct {
		known gtid.Set
		want  bool
	}{
		{gtid.Set{}, false},
		{mustMySQL(t, uuidA+":1-3"), false},
		{mustMySQL(t, uuidB+":1-9"), true},
	} {
		if got := n.Foreign(test.known); got != test.want {
			t.Errorf("known %q: got %v, want %v", test.known, got, test.want)
		}
	}
}

func FuzzParseToken(f *testing.F) {
	for _, n := range []Need{
		{GTID: mustMySQL(f, uuidA+":5-9:tag:1,"+uuidB+":1")}, {Writing: 1},
		{WroteAt: wall, UnprovenAt: wall.Add(-time.Second), ReadAt: wall, ReadBy: 9},
	} {
		f.Add(n.Token(Clock{}))
		f.Add(n.Token(primaryClock(0, wall)))
	}
	f.Fuzz(func(t *testing.T, text string) {
		c := primaryClock(0, wall)
		n, err := ParseToken(text, wall, c)
		if err != nil {
			var bad *TokenError
			if !errors.As(err, &bad) {
				t.Errorf("error %v of another type", err)
			}
			return
		}
		if n.WroteAt.After(wall) || n.UnprovenAt.After(wall) || n.ReadAt.After(wall) {
			t.Errorf("%q is about the future: %+v", text, n)
		}
		again := mustToken(t, n.Token(c), wall, c)
		if !stricter(again, n) || !again.GTID.Equal(n.GTID) {
			t.Errorf("%q reads %+v, and again %+v", text, n, again)
		}
	})
}
