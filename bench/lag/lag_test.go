package lag

import (
	"context"
	"errors"
	"math"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// cluster is a primary and replicas that are late by a fixed time, in the time of the test.
type cluster struct {
	mu    sync.Mutex
	wrote []time.Time
	fail  int64 // the write that fails; 0: none
}

var errWrite = errors.New("disk full")

func (c *cluster) Write(n int64) error {
	time.Sleep(200 * time.Microsecond)
	c.mu.Lock()
	defer c.mu.Unlock()
	if n == c.fail {
		return errWrite
	}
	c.wrote = append(c.wrote, time.Now())
	return nil
}

// replica is one that is late by lag, and stops after some writes.
type replica struct {
	*cluster
	lag    time.Duration
	frozen int // it shows no more writes than that; 0: all
	broken int // it cannot be read from after so many reads; 0: it can
	reads  int
	silent bool // after the reads of broken it does not say so, but answers nothing
}

func (r *replica) Read() (int64, error) {
	now := time.Now() // what is read is what was there when the read began
	time.Sleep(100 * time.Microsecond)
	if r.silent && r.reads >= r.broken {
		time.Sleep(time.Hour)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.reads++; r.broken > 0 && r.reads > r.broken {
		return 0, errors.New("gone away")
	}
	n := 0
	for n < len(r.wrote) && now.Sub(r.wrote[n]) >= r.lag && (r.frozen == 0 || n < r.frozen) {
		n++
	}
	return int64(n), nil
}

// usual are options for tests.
func usual(c *cluster, replicas ...Replica) Options {
	return Options{
		Primary: c, Replicas: replicas, Rate: 100, WarmUp: time.Second, Length: 10 * time.Second, Rounds: 5,
		Settle: 5 * time.Second, Least: 100, App: Application{Writes: 100, Reads: 1000, Sessions: 1000}, Seed: 7,
	}
}

// The curve of a replica with a known lag is a step at that lag, never before it and at most a read later.
func TestRunFindsTheLag(t *testing.T) {
	for _, late := range []time.Duration{0, 3 * time.Millisecond, 80 * time.Millisecond, 2 * time.Second} {
		t.Run(late.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := &cluster{}
				o := usual(c, Replica{"one", &replica{cluster: c, lag: late}})
				r, err := Run(t.Context(), o)
				if err != nil {
					t.Fatal(err)
				}
				if r.Writes < 900 || r.Writes > 1100 {
					t.Errorf("%d writes in 10 s at 100 a second", r.Writes)
				}
				for _, p := range r.Visibility {
					if p.Probes != r.Writes {
						t.Fatalf("at %v ms %d probes of %d", p.T, p.Probes, r.Writes)
					}
					if p.T < ms(late)-0.001 && p.Fresh > 0 {
						t.Errorf("%s: at %v ms %d reads of a replica that is %v late are fresh", p.Replica, p.T, p.Fresh, late)
					}
					if p.T > ms(late)*1.06+1 && p.Fresh < p.Probes {
						t.Errorf("%s: at %v ms %d of %d are fresh, want all", p.Replica, p.T, p.Fresh, p.Probes)
					}
				}
				if got := *r.Advice.P99; got < ms(late) || got > ms(late)*1.06+1 {
					t.Errorf("advice: %v ms for a lag of %v", got, late)
				}
			})
		})
	}
}

// One that stops showing changes is stale as far as was looked, and nothing is said beyond.
func TestRunFrozen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := &cluster{}
		r, err := Run(t.Context(), usual(c, Replica{"one", &replica{cluster: c, frozen: 500}}))
		if err != nil {
			t.Fatal(err)
		}
		if r.Advice.P99 != nil || !strings.Contains(r.Advice.Sentence, "No window") {
			t.Errorf("advice: %v, %s", r.Advice.P99, r.Advice.Sentence)
		}
		last := r.Visibility[len(r.Visibility)-1]
		if last.Probes >= r.Writes || last.Fresh == 0 {
			t.Errorf("the last point, at %v ms: %d of %d probes of %d writes", last.T, last.Fresh, last.Probes, r.Writes)
		}
		for _, p := range r.Visibility {
			if p.T < 5000 && p.Probes != r.Writes {
				t.Errorf("at %v ms %d probes of %d, all were looked for that long", p.T, p.Probes, r.Writes)
			}
		}
	})
}

func TestRunErrors(t *testing.T) {
	for _, row := range []struct {
		name   string
		change func(*Options, *cluster)
		want   string
	}{
		{"a failing write", func(_ *Options, c *cluster) { c.fail = 30 }, "write on the primary: disk full"},
		{"too few probes", func(o *Options, _ *cluster) { o.Least = 5000 }, "and a result takes 5000"},
		{"no replica", func(o *Options, c *cluster) {
			o.Replicas = []Replica{{"one", &replica{cluster: c, broken: 100}}}
		}, "no replica could be read from until the end: one was left out: gone away"},
		{"no rate", func(o *Options, _ *cluster) { o.Rate = 0 }, "a rate of 0 writes a second"},
		{"not a number", func(o *Options, _ *cluster) { o.Rate = math.NaN() }, "a rate of NaN writes a second"},
		{"short", func(o *Options, _ *cluster) { o.Length = time.Millisecond }, "at least a second"},
		{"short rounds", func(o *Options, _ *cluster) { o.Rounds = 1000 }, "none shorter than 100ms"},
		{"nobody", func(o *Options, _ *cluster) { o.App.Sessions = 0 }, "all have to be above 0"},
	} {
		t.Run(row.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := &cluster{}
				o := usual(c, Replica{"one", &replica{cluster: c}})
				row.change(&o, c)
				if _, err := Run(t.Context(), o); err == nil || !strings.Contains(err.Error(), row.want) {
					t.Errorf("got %v, want %s", err, row.want)
				}
			})
		})
	}
}

// A replica that breaks does not take the others along.
func TestRunLeavesOneOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, silent := range []bool{false, true} {
			c := &cluster{}
			r, err := Run(t.Context(), usual(c, Replica{"one", &replica{cluster: c, broken: 1000, silent: silent}}, Replica{"two", &replica{cluster: c}}))
			if err != nil {
				t.Fatal(err)
			}
			if len(r.Problems) != 1 || strings.Contains(r.Problems[0], "did not answer") != silent || r.Visibility[0].Replica != "two" {
				t.Errorf("problems %q, first curve of %s", r.Problems, r.Visibility[0].Replica)
			}
		}
	})
}

func TestRunInterrupted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		defer cancel()
		c := &cluster{}
		if _, err := Run(ctx, usual(c, Replica{"one", &replica{cluster: c}})); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v, want the deadline", err)
		}
	})
}

// late is a storm that changes a replica's lag.
type late struct{ r *replica }

func (l late) Run(ctx context.Context) error {
	set := func(d time.Duration) {
		l.r.mu.Lock()
		defer l.r.mu.Unlock()
		l.r.lag = d
	}
	set(50 * time.Millisecond)
	<-ctx.Done()
	set(time.Millisecond)
	return nil
}

func TestRunStorm(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := &cluster{}
		rep := &replica{cluster: c, lag: time.Millisecond}
		o := usual(c, Replica{"one", rep})
		o.Storm = late{rep}
		r, err := Run(t.Context(), o)
		if err != nil {
			t.Fatal(err)
		}
		if len(r.Phases) != 3 {
			t.Fatalf("%d phases", len(r.Phases))
		}
		for i, want := range []float64{1, 50, 1} {
			a := r.Phases[i].Advice
			// A write just before the end of a phase is seen in the next one.
			if a == nil || *a.Levels[0].Low < want || *a.Levels[0].Low > want*1.1+1 {
				t.Errorf("%s: %+v, want about %v ms", r.Phases[i].Name, a, want)
			}
		}
		for _, f := range r.Figures {
			if len(f.Rounds) != o.Rounds {
				t.Errorf("%s, %s: %d rounds, want %d", f.Subject, f.Name, len(f.Rounds), o.Rounds)
			}
		}
	})
}

func TestGrid(t *testing.T) {
	got := grid(25)
	if got[0] != 0.1 || got[1] != 0.126 || got[10] != 1 || got[20] != 10 || got[len(got)-1] != 25.1 {
		t.Errorf("got %v", got)
	}
}

func TestAnyReplica(t *testing.T) {
	one, two := make([]Probe, 1000), make([]Probe, 1000)
	for i := range two {
		two[i].Age = time.Second
	}
	chosen := anyReplica([]string{"one", "two"}, map[string][]Probe{"one": one, "two": two}, rand.New(rand.NewPCG(1, 1)))
	ofTwo := 0
	for _, p := range chosen {
		if p.Age > 0 {
			ofTwo++
		}
	}
	if ofTwo < 400 || ofTwo > 600 {
		t.Errorf("%d of 1000 writes were read from the second replica", ofTwo)
	}
}

// The price of a window is that of a queue without end: who writes every 10 s is held by a window of 10 s for 1-1/e of
// the time.
func TestHeld(t *testing.T) {
	a := Application{Writes: 100, Reads: 1000, Sessions: 1000}
	for _, row := range []struct{ window, want float64 }{{0, 0}, {10_000, 1 - 1/math.E}, {math.Inf(1), 1}} {
		if got := a.held(row.window); math.Abs(got-row.want) > 1e-9 {
			t.Errorf("%v ms: got %v, want %v", row.window, got, row.want)
		}
	}
}

func TestAdvise(t *testing.T) {
	probes := make([]Probe, 1000)
	for i := range probes {
		probes[i] = Probe{Seen: true, Age: time.Duration(i+1) * time.Millisecond}
	}
	a := advise(probes, Application{Writes: 100, Reads: 1000, Sessions: 1000})
	if *a.P99 != 990 || *a.P999 != 999 || *a.P9999 != 1000 {
		t.Errorf("got %v, %v, %v", *a.P99, *a.P999, *a.P9999)
	}
	if !a.Levels[1].Enough || a.Levels[2].Enough || a.Levels[2].Needed != 10_000 {
		t.Errorf("enough probes: %+v", a.Levels)
	}
	want := "A window of 990 ms makes 99 % of the reads after a write fresh, 999 ms makes 99.9 %. " +
		"With 100 writes a second of 1,000 sessions, 999 ms costs 9.5 % of the reads (95.1 of 1,000 a second) on the primary; " +
		"waiting for proof (GTID) instead of a time would cost 4.8 %. 1,000 probes are too few to speak of 99.99 %: that takes 10,000."
	if a.Sentence != want {
		t.Errorf("got %s\nwant %s", a.Sentence, want)
	}
}

func TestWords(t *testing.T) {
	for want, share := range map[string]string{
		"0 %": Percent(0), "100 %": Percent(1), "50.0 %": Percent(0.5), "99.95 %": Percent(0.9995), "0.012 %": Percent(0.00012),
		"below 0.001 %": Percent(1e-7), "2.35 s": Time(2345.6), "0.123 ms": Time(0.1234),
	} {
		if share != want {
			t.Errorf("got %q, want %q", share, want)
		}
	}
}
