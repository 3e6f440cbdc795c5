package load

import (
	"context"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"github.com/stickyproxy/stickyproxy/bench/client"
	"github.com/stickyproxy/stickyproxy/bench/stats"
)

// Endpoint is one of those compared.
type Endpoint struct {
	client.Endpoint
	PID int // its process on this machine; 0: not known
}

// Options say what to run.
type Options struct {
	Endpoints []Endpoint // ratios are to the first
	Clients   int
	Slice     time.Duration // of one kind at one endpoint in one round
	Rounds    int
	Logins    int // of one round
	Idle      int // clients that are connected and silent, to see the memory they take; 0: not measured
	Least     int // queries of a slice that a result takes
	// Progress is told how far the run is, now and then; nil is silent.
	Progress func(what string, done, total time.Duration)
}

// Validate tells what is wrong with the options.
func (o *Options) Validate() error {
	switch {
	case len(o.Endpoints) == 0:
		return errors.New("no endpoint")
	case o.Clients < 1 || o.Clients > 10_000:
		return fmt.Errorf("%d clients: use 1 to 10000", o.Clients)
	case o.Slice < 100*time.Millisecond:
		return fmt.Errorf("slices of %v: at least 100ms", o.Slice)
	case o.Rounds < 1 || o.Logins < 1 || o.Idle < 0 || o.Least < 1:
		return fmt.Errorf("%d rounds of %d logins, %d idle clients, results of %d queries: at least 1 (idle: 0)", o.Rounds, o.Logins, o.Idle, o.Least)
	}
	names := map[string]bool{}
	for _, e := range o.Endpoints {
		if names[e.Name] {
			return fmt.Errorf("two endpoints are called %s", e.Name)
		}
		names[e.Name] = true
	}
	return nil
}

// Outcome is the latency of one kind of query at one endpoint, all rounds together.
type Outcome struct {
	Endpoint string  `json:"endpoint"`
	Kind     string  `json:"kind"`
	Queries  int64   `json:"queries"`
	P50      float64 `json:"p50_us"`
	P99      float64 `json:"p99_us"`
	P999     float64 `json:"p999_us"`
}

// Result is what came out.
type Result struct {
	Clients  int            `json:"clients"`
	Latency  []Outcome      `json:"latency"`
	Figures  []stats.Figure `json:"-"`
	Problems []string       `json:"-"`
}

// kinds are measured one after the other, in this order, at every endpoint.
var kinds = []kind{
	{name: "text", unit: "q/s", run: textSelects},
	{name: "prepared", unit: "q/s", run: preparedSelects},
	{name: "large result", unit: "MB/s", run: largeResults},
	{name: "login", unit: "1/s", run: logins},
}

// kind is one thing to measure. run does it for a time and says what was done.
type kind struct {
	name, unit string
	run        func(ctx context.Context, e Endpoint, o *Options) (work, error)
}

// work is what was done in one slice.
type work struct {
	done  float64 // queries, bytes or logins
	took  time.Duration
	hist  *hdrhistogram.Histogram // of microseconds; nil: no latency
	times int                     // of which done consists, for the least number
}

// sample is one slice's outcome: NaN is what is not known.
type sample struct{ rate, cpu, p50, p99 float64 }

// series are the samples of one endpoint and kind.
type series struct {
	samples []sample
	hist    *hdrhistogram.Histogram
}

// runner is one run.
type runner struct {
	Options
	series map[[2]string]*series
	memory map[string][]float64 // MB, by endpoint
	idle   map[string][]float64 // kB a client
	done   int
}

// Run compares the endpoints. One that fails is an error: a comparison with holes is none.
func Run(ctx context.Context, o Options) (*Result, error) {
	if err := o.Validate(); err != nil {
		return nil, err
	}
	r := &runner{Options: o, series: map[[2]string]*series{}, memory: map[string][]float64{}, idle: map[string][]float64{}}
	for _, e := range o.Endpoints {
		if err := warmUp(ctx, e, &r.Options); err != nil {
			return nil, fmt.Errorf("%s: %w", e.Name, err)
		}
	}
	for range o.Rounds {
		for _, k := range kinds {
			for _, e := range o.Endpoints {
				if err := r.slice(ctx, k, e); err != nil {
					return nil, fmt.Errorf("%s, %s: %w", e.Name, k.name, err)
				}
			}
		}
		for _, e := range o.Endpoints {
			if err := r.measureMemory(ctx, e); err != nil {
				return nil, fmt.Errorf("%s: %w", e.Name, err)
			}
		}
	}
	return r.result()
}

// warmUp makes each kind once, so that caches, pools and plans are there.
func warmUp(ctx context.Context, e Endpoint, o *Options) error {
	short := *o
	short.Slice, short.Logins = min(o.Slice, 500*time.Millisecond), min(o.Logins, 10)
	for _, k := range kinds {
		if _, err := k.run(ctx, e, &short); err != nil {
			return fmt.Errorf("%s: %w", k.name, err)
		}
	}
	return nil
}

// sliceLimit is how much longer than planned a slice may take: an endpoint that does not answer any more is an error.
const sliceLimit = time.Minute

// slice measures one kind at one endpoint.
func (r *runner) slice(ctx context.Context, k kind, e Endpoint) error {
	if r.Progress != nil {
		r.Progress(e.Name+", "+k.name, time.Duration(r.done)*r.Slice, time.Duration(r.Rounds*len(kinds)*len(r.Endpoints))*r.Slice)
	}
	r.done++
	before, err := cpuOf(e)
	if err != nil {
		return err
	}
	bounded, cancel := context.WithTimeout(ctx, r.Slice+sliceLimit)
	defer cancel()
	w, err := k.run(bounded, e, &r.Options)
	if err != nil {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		return err
	}
	after, err := cpuOf(e)
	if err != nil {
		return err
	}
	if w.hist != nil && w.times < r.Least {
		return fmt.Errorf("no result: %d queries were answered in %v, and a result takes %d; measure for longer", w.times, w.took.Round(time.Millisecond), r.Least)
	}
	r.series1(e, k).add(w, after-before, e.PID > 0)
	return nil
}

func (r *runner) series1(e Endpoint, k kind) *series {
	key := [2]string{e.Name, k.name}
	if r.series[key] == nil {
		r.series[key] = &series{hist: newHistogram()}
	}
	return r.series[key]
}

func cpuOf(e Endpoint) (time.Duration, error) {
	if e.PID == 0 {
		return 0, nil
	}
	return CPU(e.PID)
}

// add adds one slice.
func (s *series) add(w work, cpu time.Duration, known bool) {
	p := sample{rate: w.done / w.took.Seconds(), cpu: math.NaN(), p50: math.NaN(), p99: math.NaN()}
	if known && w.done > 0 {
		p.cpu = float64(cpu.Nanoseconds()) / 1000 / w.done // us
	}
	if w.hist != nil {
		p.p50, p.p99 = float64(w.hist.ValueAtQuantile(50)), float64(w.hist.ValueAtQuantile(99))
		s.hist.Merge(w.hist)
	}
	s.samples = append(s.samples, p)
}

// result sums up.
func (r *runner) result() (*Result, error) {
	result := &Result{Clients: r.Clients}
	for _, e := range r.Endpoints {
		for _, k := range kinds {
			s := r.series[[2]string{e.Name, k.name}]
			result.Figures = append(result.Figures, r.figures(e, k, s)...)
			if n := s.hist.TotalCount(); n > 0 {
				at := func(p float64) float64 { return float64(s.hist.ValueAtQuantile(p)) }
				result.Latency = append(result.Latency, Outcome{e.Name, k.name, n, at(50), at(99), at(99.9)})
			}
		}
		for _, m := range []struct {
			name, unit string
			rounds     []float64
		}{{"memory", "MB", r.memory[e.Name]}, {"memory of an idle client", "kB", r.idle[e.Name]}} {
			if f, ok := stats.NewFigure(e.Name, m.name, m.unit, stats.Lower, m.rounds); ok {
				result.Figures = append(result.Figures, f)
			}
		}
	}
	return result, nil
}

// figures are those of one kind at one endpoint.
func (r *runner) figures(e Endpoint, k kind, s *series) []stats.Figure {
	first := r.series[[2]string{r.Endpoints[0].Name, k.name}]
	var list []stats.Figure
	add := func(name, unit string, better stats.Better, value func(i int, p sample) float64) {
		var rounds []float64
		for i, p := range s.samples {
			rounds = append(rounds, value(i, p))
		}
		if f, ok := stats.NewFigure(e.Name, k.name+", "+name, unit, better, rounds); ok {
			list = append(list, f)
		}
	}
	scale, per := 1.0, "CPU"
	if k.unit == "MB/s" {
		scale, per = 1e-6, "CPU a MB"
	}
	add("rate", k.unit, stats.Higher, func(_ int, p sample) float64 { return p.rate * scale })
	if e.Name != r.Endpoints[0].Name {
		add("ratio to "+r.Endpoints[0].Name, "", stats.Higher, func(i int, p sample) float64 { return p.rate / first.samples[i].rate })
	}
	add("p50", "us", stats.Lower, func(_ int, p sample) float64 { return p.p50 })
	add("p99", "us", stats.Lower, func(_ int, p sample) float64 { return p.p99 })
	add(per, "us", stats.Lower, func(_ int, p sample) float64 { return p.cpu / scale })
	return list
}
