package lag

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/stickyproxy/stickyproxy/bench/stats"
)

// Replica is where reads go.
type Replica struct {
	Name   string
	Reader Reader // used by one goroutine
}

// Options say what to measure.
type Options struct {
	Primary  Writer // used by one goroutine
	Replicas []Replica
	Rate     float64       // writes a second
	WarmUp   time.Duration // writes of this time do not count
	Length   time.Duration // of the measurement; with a storm, of each of its three phases
	Rounds   int           // into which Length is divided
	Settle   time.Duration // how long a write may take to be seen after the last one
	Least    int           // probes that a replica needs for a result
	Storm    Storm         // nil: none
	App      Application
	Seed     uint64
	// Progress is told how far the run is, now and then, from other goroutines; nil is silent.
	Progress func(done, total time.Duration)
}

// Validate tells what is wrong with the options.
func (o *Options) Validate() error {
	switch {
	case !(o.Rate > 0) || o.Rate > 10_000:
		return fmt.Errorf("a rate of %v writes a second: it has to be above 0 and at most 10000", o.Rate)
	case o.Length < time.Second:
		return fmt.Errorf("a measurement of %v: it takes at least a second", o.Length)
	case o.Rounds < 1 || o.Length/time.Duration(o.Rounds) < 100*time.Millisecond:
		return fmt.Errorf("%d rounds in %v: at least one, and none shorter than 100ms", o.Rounds, o.Length)
	case o.WarmUp < 0 || o.Settle <= 0:
		return fmt.Errorf("a warm-up of %v and %v for the last write: both have to be positive", o.WarmUp, o.Settle)
	case o.Least < 1:
		return fmt.Errorf("results of %d probes: at least 1", o.Least)
	}
	return o.App.Validate()
}

// Longest is how long a run takes at most, if the servers answer. Connections that are cut soon after that keep one that
// does not from holding the run up for ever.
func (o *Options) Longest() time.Duration { return o.total() + o.Settle }

// total is the time from the first write to the last.
func (o *Options) total() time.Duration {
	if o.Storm != nil {
		return o.WarmUp + 3*o.Length
	}
	return o.WarmUp + o.Length
}

// Phase is a part of a run with a storm.
type Phase struct {
	Name       string  `json:"name"` // before, storm, after
	Visibility []Point `json:"visibility"`
	Advice     *Advice `json:"advice,omitempty"`
}

// Result is what came out.
type Result struct {
	Visibility []Point        `json:"visibility"` // of every replica, and of any
	Advice     Advice         `json:"advice"`     // for reads from any replica
	Lag        []Over         `json:"lag"`
	Phases     []Phase        `json:"phases,omitempty"`
	Figures    []stats.Figure `json:"-"`
	Writes     int            `json:"writes"`
	Resolution float64        `json:"resolution_ms"` // median time between two reads when a write became visible
	Problems   []string       `json:"-"`             // what was left out, and why
}

// TooFewError says that there is no result because too few probes succeeded.
type TooFewError struct {
	Replica   string
	Got, Want int
}

// Error says how many there were and what helps.
func (e *TooFewError) Error() string {
	return fmt.Sprintf("no result: %d probes of %s succeeded, and a result takes %d; measure for longer, or at a higher rate", e.Got, e.Replica, e.Want)
}

// Run measures. A replica that cannot be read from any more is left out, which is one of the result's problems; without
// any replica, or with too few probes ([TooFewError]), there is no result.
func Run(ctx context.Context, o Options) (*Result, error) {
	if err := o.Validate(); err != nil {
		return nil, err
	}
	m := &measurement{log: &log{start: time.Now()}, writer: o.Primary, rate: o.Rate, random: rand.New(rand.NewPCG(o.Seed, 1))}
	for _, r := range o.Replicas {
		m.followers = append(m.followers, &follower{name: r.Name, reader: r.Reader, log: m.log, wake: make(chan struct{}, 1)})
	}
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	if o.Progress != nil {
		go report(ctx, &o, m.log)
	}
	if err := m.both(ctx, &o); err != nil {
		return nil, err
	}
	return o.evaluate(m.followers)
}

// report tells the progress until ctx ends.
func report(ctx context.Context, o *Options, l *log) {
	for ctx.Err() == nil {
		o.Progress(min(l.since(), o.total()), o.total())
		pause(ctx, 200*time.Millisecond)
	}
}

// evaluate makes the result.
func (o *Options) evaluate(followers []*follower) (*Result, error) {
	r := &Result{}
	all := map[string][]Probe{}
	var names []string
	var gaps []float64
	for _, f := range followers {
		probes := o.counted(f.probes())
		if f.err != nil {
			r.Problems = append(r.Problems, fmt.Sprintf("%s was left out: %v", f.name, f.err))
			continue
		}
		if len(probes) < o.Least {
			return nil, &TooFewError{f.name, len(probes), o.Least}
		}
		names, all[f.name], r.Writes = append(names, f.name), probes, len(probes)
		for _, g := range f.gaps {
			gaps = append(gaps, ms(g))
		}
	}
	if len(names) == 0 {
		return nil, fmt.Errorf("%w: %s", errNoReplica, strings.Join(r.Problems, "; "))
	}
	r.Resolution = round6(stats.Median(gaps))
	o.fill(r, names, all)
	return r, nil
}

// counted are the probes after the warm-up, with their rounds.
func (o *Options) counted(probes []Probe) []Probe {
	var list []Probe
	for _, p := range probes {
		if p.At < o.WarmUp || p.At >= o.total() {
			continue
		}
		p.At -= o.WarmUp
		p.Round = int(p.At * time.Duration(o.Rounds) / o.Length)
		list = append(list, p)
	}
	return list
}

// fill adds all that is computed from the probes.
func (o *Options) fill(r *Result, names []string, all map[string][]Probe) {
	any := anyReplica(names, all, rand.New(rand.NewPCG(o.Seed, 2)))
	times := grid(end(all))
	r.Advice = advise(any, o.App)
	for _, name := range names {
		r.Visibility = append(r.Visibility, curve(name, all[name], times)...)
		r.Lag = append(r.Lag, overTime(name, all[name], o.total()-o.WarmUp)...)
		r.Figures = append(r.Figures, o.figures(name, all[name])...)
	}
	r.Visibility = append(r.Visibility, curve(Any, any, times)...)
	r.Figures = append(r.Figures, o.figures(Any, any)...)
	if o.Storm != nil {
		o.fillPhases(r, names, all, any, times)
	}
}

// phases of a run with a storm.
var phases = []string{"before", "storm", "after"}

func (o *Options) fillPhases(r *Result, names []string, all map[string][]Probe, any []Probe, times []float64) {
	for i, name := range phases {
		p := Phase{Name: name}
		for _, replica := range names {
			p.Visibility = append(p.Visibility, curve(replica, o.phase(all[replica], i), times)...)
		}
		probes := o.phase(any, i)
		p.Visibility = append(p.Visibility, curve(Any, probes, times)...)
		if len(probes) >= o.Least {
			a := advise(probes, o.App)
			p.Advice = &a
		}
		r.Phases = append(r.Phases, p)
	}
}

// phase is the probes of one phase.
func (o *Options) phase(probes []Probe, phase int) []Probe {
	var list []Probe
	for _, p := range probes {
		if p.Round/o.Rounds == phase {
			list = append(list, p)
		}
	}
	return list
}

// figureTimes are the times in ms at which the share of fresh reads is a figure.
var figureTimes = []float64{1, 10, 100, 1000}

// figures are a replica's figures, round by round. With a storm the rounds of its phases are figures of their own.
func (o *Options) figures(name string, probes []Probe) []stats.Figure {
	if o.Storm == nil {
		return o.figuresOf(name, probes, 0)
	}
	var list []stats.Figure
	for i, phase := range phases {
		list = append(list, o.figuresOf(name+", "+phase, probes, i)...)
	}
	return list
}

func (o *Options) figuresOf(subject string, probes []Probe, phase int) []stats.Figure {
	rounds := make([][]Probe, o.Rounds)
	for _, p := range probes {
		if p.Round/o.Rounds == phase {
			rounds[p.Round%o.Rounds] = append(rounds[p.Round%o.Rounds], p)
		}
	}
	var list []stats.Figure
	add := func(name, unit string, better stats.Better, value func([]Probe) float64) {
		values := make([]float64, len(rounds))
		for i, probes := range rounds {
			values[i] = value(probes)
		}
		if f, ok := stats.NewFigure(subject, name, unit, better, values); ok {
			list = append(list, f)
		}
	}
	for _, q := range []struct {
		name  string
		share float64
	}{{"visible after, p50", 0.5}, {"visible after, p99", 0.99}} {
		add(q.name, "ms", stats.Lower, func(p []Probe) float64 { return round6(stats.Quantile(ages(p), q.share)) })
	}
	for _, t := range figureTimes {
		add(fmt.Sprintf("fresh after %g ms", t), "%", stats.Higher, func(p []Probe) float64 { return freshAfter(p, t) })
	}
	return list
}

// freshAfter is the percentage of fresh reads at t ms, NaN if there was none.
func freshAfter(probes []Probe, t float64) float64 {
	c := curve("", probes, []float64{t})[0]
	if c.Probes == 0 {
		return math.NaN()
	}
	return round6(100 * c.Share())
}
