package session

import (
	"testing"
	"time"
)

func TestNeedMerge(t *testing.T) {
	early, late := time.Unix(100, 0), time.Unix(200, 0)
	tests := []struct {
		name       string
		a, b, want Need
	}{
		{name: "nothing"},
		{
			name: "later times",
			a:    Need{WroteAt: early, UnprovenAt: late},
			b:    Need{WroteAt: late, UnprovenAt: early},
			want: Need{WroteAt: late, UnprovenAt: late},
		},
		{
			name: "both GTIDs",
			a:    Need{GTID: mustMySQL(t, uuidA+":5")},
			b:    Need{GTID: mustMySQL(t, uuidB+":7")},
			want: Need{GTID: mustMySQL(t, uuidA+":5,"+uuidB+":7")},
		},
		{
			name: "one interval from the first write to the last",
			a:    Need{GTID: mustMySQL(t, uuidA+":5")},
			b:    Need{GTID: mustMySQL(t, uuidA+":9")},
			want: Need{GTID: mustMySQL(t, uuidA+":5-9")},
		},
		{
			name: "a set that has it all stays as it is",
			a:    Need{GTID: mustMySQL(t, uuidA+":5")},
			b:    Need{GTID: mustMySQL(t, uuidA+":1-5:7-9")},
			want: Need{GTID: mustMySQL(t, uuidA+":1-5:7-9")},
		},
		{
			name: "writes in flight",
			a:    Need{Writing: 1},
			b:    Need{Writing: 2},
			want: Need{Writing: 2},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			checkNeed(t, tt.a.Merge(tt.b), tt.want)
			checkNeed(t, tt.b.Merge(tt.a), tt.want)
			checkNeed(t, tt.want.Merge(tt.a), tt.want)
			checkNeed(t, tt.want.Merge(tt.want), tt.want)
		})
	}
}

func TestStamps(t *testing.T) {
	e := epoch{base: time.Now()}
	for _, d := range []time.Duration{-time.Hour, -1, 1, time.Second, 1000 * time.Hour} {
		at := e.base.Add(d)
		if got := e.time(e.stamp(at)); !got.Equal(at) {
			t.Errorf("%v from the epoch: got %v, want %v", d, got, at)
		}
	}
	if got := e.time(e.stamp(time.Time{})); !got.IsZero() {
		t.Errorf("never: got %v", got)
	}
	if got := e.time(e.stamp(e.base)); got.Before(e.base) || got.Sub(e.base) > 1 {
		t.Errorf("the epoch: got %v, want at most 1 ns after %v", got, e.base)
	}
	stamps := []stamp{-5, -1, 1, 5}
	for i, a := range stamps {
		if laterStamp(a, 0) != a || laterStamp(0, a) != a {
			t.Errorf("never is later than %d", a)
		}
		for j, b := range stamps {
			if got, want := laterStamp(a, b), stamps[max(i, j)]; got != want {
				t.Errorf("later of %d and %d: got %d", a, b, got)
			}
		}
	}
}
