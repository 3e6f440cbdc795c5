package policies

import (
	"context"
	"errors"
	"math"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// site is a primary and a replica that is late, in the time of the test.
type site struct {
	mu      sync.Mutex
	lag     time.Duration
	slow    time.Duration // what a read takes
	history map[int][]version
	fail    bool
}

type version struct {
	n  int64
	at time.Time
}

// direct is a driver that knows primary and replica.
type direct struct{ *site }

func (d direct) write(user int, n int64) error {
	time.Sleep(time.Millisecond)
	d.mu.Lock()
	defer d.mu.Unlock()
	d.history[user] = append(d.history[user], version{n, time.Now()})
	return nil
}

func (d direct) read(_, id int, pinned bool) (n int64, replica bool, err error) {
	time.Sleep(d.slow)
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.fail {
		return 0, false, errors.New("gone away")
	}
	for _, v := range d.history[id] {
		if pinned || time.Since(v.at) >= d.lag {
			n = max(n, v.n)
		}
	}
	return n, !pinned, nil
}

// play runs one slice of a policy on a site.
func play(t *testing.T, s *site, window, length time.Duration) *tally {
	t.Helper()
	w := Usual()
	sl := slice{
		policy: &Policy{Name: "test", Window: window}, users: make([]user, w.Users), begun: time.Now(), start: time.Now(),
		actions: w.Schedule(length, 1), wait: func(_ context.Context, until time.Time) { time.Sleep(time.Until(until)) },
	}
	s.history = map[int][]version{}
	var drivers []driver
	for range w.Pool {
		drivers = append(drivers, direct{s})
	}
	total, err := sl.run(t.Context(), drivers, length)
	if err != nil {
		t.Fatal(err)
	}
	if n := total.Reads + total.Writes + total.Unfinished; n != int64(len(sl.actions)) {
		t.Errorf("%d of %d actions are accounted for", n, len(sl.actions))
	}
	return total
}

// A naive split shows stale data, a window that is longer than the lag none, and costs reads on the primary.
func TestWindow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &site{lag: 200 * time.Millisecond, slow: time.Millisecond}
		naive, short, long := play(t, s, 0, 20*time.Second), play(t, s, 50*time.Millisecond, 20*time.Second), play(t, s, 300*time.Millisecond, 20*time.Second)
		if naive.Stale == 0 || naive.Replica != naive.Reads {
			t.Errorf("naive: %d of %d stale, %d of %d on the replica", naive.Stale, naive.Own, naive.Replica, naive.Reads)
		}
		if short.Stale == 0 || short.Stale >= naive.Stale {
			t.Errorf("a short window: %d stale, naive %d", short.Stale, naive.Stale)
		}
		if long.Stale != 0 || long.Replica == 0 || long.Replica >= short.Replica {
			t.Errorf("a long window: %d stale, %d reads on the replica; a short one %d", long.Stale, long.Replica, short.Replica)
		}
	})
}

// A stall is in the latency of all actions that were due meanwhile, not only of those that had been sent.
func TestNoCoordinatedOmission(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &site{slow: 200 * time.Millisecond} // 16 connections make 80 reads a second, of about 180 that are due
		total := play(t, s, 0, 4*time.Second)
		if total.Unfinished != 0 {
			t.Errorf("%d actions were not done in time", total.Unfinished)
		}
		if p99 := total.reads.ValueAtQuantile(99); p99 < 2_000_000 {
			t.Errorf("p99 is %d us, of reads that waited in a queue for seconds", p99)
		}
		if p50 := total.reads.ValueAtQuantile(50); p50 < 1_000_000 {
			t.Errorf("p50 is %d us", p50)
		}
	})
}

// What is never done counts with the time that it waited.
func TestUnfinished(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		total := play(t, &site{slow: 3 * time.Second}, 0, 2*time.Second)
		if total.Unfinished == 0 {
			t.Error("all is done")
		}
		if n := total.reads.TotalCount() + total.writes.TotalCount(); n < total.Unfinished {
			t.Errorf("%d latencies, %d actions were not done", n, total.Unfinished)
		}
		if highest := total.reads.Max(); highest < 10_000_000 {
			t.Errorf("the longest took %d us", highest)
		}
	})
}

func TestSliceFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &site{fail: true, history: map[int][]version{}}
		w := Usual()
		sl := slice{policy: &Policy{Name: "rival"}, users: make([]user, w.Users), begun: time.Now(), start: time.Now(),
			actions: w.Schedule(time.Second, 1), wait: func(_ context.Context, until time.Time) { time.Sleep(time.Until(until)) }}
		if _, err := sl.run(t.Context(), []driver{direct{s}}, time.Second); err == nil || !strings.Contains(err.Error(), "rival: read: gone away") {
			t.Errorf("got %v", err)
		}
	})
}

// A schedule has the rate, the shares and the order that it should, is the same each time and another one each round.
func TestSchedule(t *testing.T) {
	w := Usual()
	length := 100 * time.Second
	actions := w.Schedule(length, 3)
	var writes, own, reads, ofFirst float64
	for i, a := range actions {
		if a.At < 0 || a.At >= length || i > 0 && a.At < actions[i-1].At {
			t.Fatalf("action %d is due at %v", i, a.At)
		}
		if a.User < 0 || a.User >= w.Users || a.Other < 0 || a.Other >= w.Users {
			t.Fatalf("action %d: %+v", i, a)
		}
		switch a.Kind {
		case Write:
			writes++
		case ReadOwn:
			own++
			reads++
		default:
			reads++
		}
		if a.User == 0 {
			ofFirst++
		}
	}
	n := float64(len(actions))
	if math.Abs(n/length.Seconds()-w.Rate) > w.Rate/10 {
		t.Errorf("%v actions a second, want %v", n/length.Seconds(), w.Rate)
	}
	if share := writes / n; share < 0.07 || share > 0.11 {
		t.Errorf("%v of the actions write", share)
	}
	if share := own / reads; share < w.OwnShare || share > w.OwnShare+0.1 { // those that follow a write come on top
		t.Errorf("%v of the reads are of own data", share)
	}
	if ofFirst/n < 2/float64(w.Users) {
		t.Errorf("the most active user makes %v of the actions", ofFirst/n)
	}
	again := w.Schedule(length, 3)
	if len(again) != len(actions) || again[100] != actions[100] {
		t.Error("the same round is another one the second time")
	}
	if other := w.Schedule(length, 4); len(other) > 100 && other[100] == actions[100] {
		t.Error("two rounds are the same")
	}
}

func TestValidate(t *testing.T) {
	for _, row := range []struct {
		name   string
		change func(*Workload)
	}{
		{"no users", func(w *Workload) { w.Users = 0 }},
		{"no pool", func(w *Workload) { w.Pool = 0 }},
		{"no rate", func(w *Workload) { w.Rate = math.NaN() }},
		{"negative think time", func(w *Workload) { w.Think = -1 }},
		{"more than all write", func(w *Workload) { w.WriteShare = 1.1 }},
		{"not a number", func(w *Workload) { w.OwnShare = math.NaN() }},
		{"flat", func(w *Workload) { w.Zipf = 1 }},
		{"empty visits", func(w *Workload) { w.Visit = 0 }},
	} {
		t.Run(row.name, func(t *testing.T) {
			w := Usual()
			if err := w.Validate(); err != nil {
				t.Fatal(err)
			}
			row.change(&w)
			if w.Validate() == nil {
				t.Errorf("%+v is valid", w)
			}
		})
	}
}

// Where reads went comes from the servers' counters, without what others made of them.
func TestReplicaReads(t *testing.T) {
	r := &runner{others: []float64{10, 20, 0}}
	for _, tt := range []struct {
		name  string
		after []float64
		all   int64
		want  int64
	}{
		{"others' alone are left out", []float64{300 + 100, 400 + 200, 300}, 1000, 700},
		{"and what a monitor asked of each", []float64{300 + 100 + 50, 400 + 200 + 50, 300 + 50}, 1000, 700},
		{"the primary had nothing but questions", []float64{100 + 40, 200 + 540, 500 + 50}, 1000, 1000},
		{"servers counted nothing", []float64{0, 0, 0}, 1000, unknown},
		{"nobody tells", nil, 1000, unknown},
	} {
		got := r.replicaReads(&tally{Reads: 1000, all: tt.all}, make([]float64, len(tt.after)), tt.after, 10*time.Second)
		if got != tt.want {
			t.Errorf("%s: got %d, want %d", tt.name, got, tt.want)
		}
	}
}

func TestTable(t *testing.T) {
	statements := Table(2, 1500)
	if len(statements) != 5 || strings.Count(strings.Join(statements, ""), "REPEAT") != 3000 {
		t.Errorf("%d statements", len(statements))
	}
}
