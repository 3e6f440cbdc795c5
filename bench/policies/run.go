package policies

import (
	"context"
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"github.com/stickyproxy/stickyproxy/bench/stats"
)

// Options say what to run.
type Options struct {
	Workload Workload
	Policies []Policy
	WarmUp   time.Duration // of each slice, which does not count
	Slice    time.Duration // a policy's turn in a round
	Rounds   int
	Least    int // own reads that a policy needs for a result
	// Selects returns how many SELECT statements each server has run since it started, the primary first. It is asked
	// where the reads of a policy went that is a proxy; nil: that is not told.
	Selects func(ctx context.Context) ([]int64, error)
	// Progress is told how far the run is, now and then; nil is silent.
	Progress func(what string, done, total time.Duration)
}

// Validate tells what is wrong with the options.
func (o *Options) Validate() error {
	switch {
	case len(o.Policies) == 0:
		return fmt.Errorf("no policy to run")
	case o.Slice < 500*time.Millisecond || o.WarmUp < 0:
		return fmt.Errorf("slices of %v after %v: at least 500ms", o.Slice, o.WarmUp)
	case o.Rounds < 1 || o.Least < 1:
		return fmt.Errorf("%d rounds, results of %d reads: at least 1", o.Rounds, o.Least)
	}
	return o.Workload.Validate()
}

// Outcome is what one policy cost.
type Outcome struct {
	Policy       string    `json:"policy"`
	Reads        int64     `json:"reads"`
	Own          int64     `json:"own_reads"`
	Stale        int64     `json:"stale"`
	StaleShare   float64   `json:"stale_share"` // of the own reads
	StaleLow     float64   `json:"stale_low"`   // 95 %
	StaleHigh    float64   `json:"stale_high"`
	ReplicaShare *float64  `json:"replica_share"`       // of the reads; null: not known
	PrimaryReads *float64  `json:"primary_reads_per_s"` // null: not known
	Writes       int64     `json:"writes"`
	Unfinished   int64     `json:"unfinished,omitempty"`
	Read         Latencies `json:"read_ms"`
	Write        Latencies `json:"write_ms"`
	Curve        []Rank    `json:"read_latency"` // for a picture
}

// Latencies are in milliseconds.
type Latencies struct {
	P50  float64 `json:"p50"`
	P99  float64 `json:"p99"`
	P999 float64 `json:"p999"`
	Max  float64 `json:"max"`
}

// Rank is a point of a latency curve.
type Rank struct {
	Percentile float64 `json:"percentile"`
	MS         float64 `json:"ms"`
}

// Result is what came out.
type Result struct {
	Workload Workload       `json:"workload"`
	Policies []Outcome      `json:"outcomes"`
	Figures  []stats.Figure `json:"-"`
	Problems []string       `json:"-"`
}

// Run runs all policies in turns. A policy that fails is left out, which is one of the result's problems; when none is
// left there is no result. The records have to be there, see [Table].
func Run(ctx context.Context, o Options) (*Result, error) {
	if err := o.Validate(); err != nil {
		return nil, err
	}
	r := &runner{Options: &o, begun: time.Now()}
	for i := range o.Policies {
		r.turns = append(r.turns, &turn{policy: &o.Policies[i], index: i, users: make([]user, o.Workload.Users)})
	}
	defer r.close()
	if err := r.connect(ctx); err != nil {
		return nil, err
	}
	if err := r.measureOthers(ctx); err != nil {
		return nil, err
	}
	for round := range o.Rounds {
		for _, t := range r.turns {
			if err := r.play(ctx, t, round); err != nil {
				return nil, err
			}
		}
	}
	return r.result()
}

// turn is one policy with what it has done so far.
type turn struct {
	policy *Policy
	index  int
	users  []user
	conns  []*conns
	slices []*tally
	err    error // why it was left out
}

// interrupt ends whatever waits for an answer.
func (t *turn) interrupt() {
	for _, c := range t.conns {
		for _, conn := range append(c.replicas, c.primary) {
			conn.Interrupt()
		}
	}
}

type runner struct {
	*Options
	begun  time.Time
	turns  []*turn
	others []float64 // SELECTs a second on each server that are not ours
	done   int       // slices
}

func (r *runner) connect(ctx context.Context) error {
	for _, t := range r.turns {
		for range r.Workload.Pool {
			c, err := connect(ctx, t.policy, t.index)
			t.conns = append(t.conns, c)
			if err != nil {
				return fmt.Errorf("%s: %w", t.policy.Name, err)
			}
		}
	}
	return nil
}

func (r *runner) close() {
	for _, t := range r.turns {
		for _, c := range t.conns {
			c.close()
		}
	}
}

// quiet is for how long the SELECTs of others are counted.
const quiet = 2 * time.Second

// measureOthers finds out how many SELECTs there are without us: monitors, and whoever else uses the servers.
func (r *runner) measureOthers(ctx context.Context) error {
	if r.Selects == nil {
		return nil
	}
	before, err := r.counts(ctx)
	if err != nil {
		return err
	}
	start := time.Now()
	precisely(ctx, start.Add(quiet))
	after, err := r.counts(ctx)
	if err != nil {
		return err
	}
	for i := range after {
		r.others = append(r.others, (after[i]-before[i])/time.Since(start).Seconds())
	}
	return nil
}

// counts is what each server has counted, the primary first; nil: nobody tells.
func (r *runner) counts(ctx context.Context) ([]float64, error) {
	if r.Selects == nil {
		return nil, nil
	}
	counted, err := r.Selects(ctx)
	if err != nil {
		return nil, fmt.Errorf("count the statements on the servers: %w", err)
	}
	n := make([]float64, len(counted))
	for i := range counted {
		n[i] = float64(counted[i])
	}
	return n, nil
}

// play is one policy's slice of a round.
func (r *runner) play(ctx context.Context, t *turn, round int) error {
	length := r.WarmUp + r.Slice
	if r.Progress != nil {
		all := r.Rounds * len(r.turns)
		r.Progress(t.policy.Name, time.Duration(r.done)*length, time.Duration(all)*length)
	}
	r.done++
	if t.err != nil {
		return nil
	}
	s := &slice{policy: t.policy, users: t.users, begun: r.begun, warm: r.WarmUp, actions: r.Workload.Schedule(length, round), wait: precisely}
	before, err := r.counts(ctx)
	if err != nil {
		return err
	}
	var drivers []driver
	for _, c := range t.conns {
		drivers = append(drivers, c)
	}
	// A server that does not answer any more must not hold the run up: its policy fails.
	cut := time.AfterFunc(length+2*lateLimit, t.interrupt)
	defer cut.Stop()
	s.start = time.Now()
	total, err := s.run(ctx, drivers, length)
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if t.err = err; err != nil {
		return nil
	}
	after, err := r.counts(ctx)
	if err != nil {
		return err
	}
	if t.policy.Proxy {
		total.Replica = r.replicaReads(total, before, after, time.Since(s.start))
	}
	t.slices = append(t.slices, total)
	return nil
}

// unknown is the number of reads on replicas where nobody can tell.
const unknown = -1

// replicaReads is how many of the counted reads went to replicas, by the share that the servers counted. What they counted
// beyond all of our reads are the questions of a proxy's monitor, of which each server gets as many.
func (r *runner) replicaReads(t *tally, before, after []float64, took time.Duration) int64 {
	var all, primary float64
	for i := range after {
		n := max(0, after[i]-before[i]-r.others[i]*took.Seconds())
		if all += n; i == 0 {
			primary = n
		}
	}
	if all == 0 {
		return unknown
	}
	if asked := all - float64(t.all); asked > 0 {
		all -= asked
		primary = max(0, primary-asked/float64(len(after)))
	}
	return int64(math.Round(float64(t.Reads) * (1 - min(1, primary/all))))
}

// result sums up.
func (r *runner) result() (*Result, error) {
	result := &Result{Workload: r.Workload}
	for _, t := range r.turns {
		if t.err != nil {
			result.Problems = append(result.Problems, fmt.Sprintf("%s was left out: %v", t.policy.Name, t.err))
			continue
		}
		o := r.outcome(t)
		if o.Own < int64(r.Least) {
			return nil, fmt.Errorf("no result: %d reads of users' own records under %s, and a result takes %d; run for longer, or with more actions a second", o.Own, o.Policy, r.Least)
		}
		if o.Unfinished > 0 {
			result.Problems = append(result.Problems, fmt.Sprintf("%s was too slow for the load: %d actions were not done %v after their time", o.Policy, o.Unfinished, lateLimit))
		}
		result.Policies = append(result.Policies, o)
		result.Figures = append(result.Figures, r.figures(t)...)
	}
	if len(result.Policies) == 0 {
		return nil, fmt.Errorf("no policy could be run: %s", strings.Join(result.Problems, "; "))
	}
	return result, nil
}

// outcome sums up all slices of a policy.
func (r *runner) outcome(t *turn) Outcome {
	sum, blocks := newTally(), []stats.Block(nil)
	known := true
	for _, s := range t.slices {
		sum.add(s)
		sum.Unfinished += s.Unfinished
		blocks = append(blocks, stats.Block{K: int(s.Stale), N: int(s.Own)})
		known = known && s.Replica != unknown
	}
	o := Outcome{
		Policy: t.policy.Name, Reads: sum.Reads, Own: sum.Own, Stale: sum.Stale, Writes: sum.Writes, Unfinished: sum.Unfinished,
		Read: latencies(sum.reads), Write: latencies(sum.writes), Curve: curve(sum.reads),
	}
	effect := stats.DesignEffect(blocks)
	band := stats.Wilson(float64(sum.Stale)/effect, float64(sum.Own)/effect)
	o.StaleLow, o.StaleHigh = band.Low, band.High
	if sum.Own > 0 {
		o.StaleShare = float64(sum.Stale) / float64(sum.Own)
	}
	if known && sum.Reads > 0 {
		share := float64(sum.Replica) / float64(sum.Reads)
		rate := (1 - share) * float64(sum.Reads) / (r.Slice.Seconds() * float64(len(t.slices)))
		o.ReplicaShare, o.PrimaryReads = &share, &rate
	}
	return o
}

func latencies(h *hdrhistogram.Histogram) Latencies {
	at := func(p float64) float64 { return float64(h.ValueAtQuantile(p)) / 1000 }
	return Latencies{P50: at(50), P99: at(99), P999: at(99.9), Max: float64(h.Max()) / 1000}
}

// curve is the latency at percentiles that come closer and closer to 100, as far as there are reads.
func curve(h *hdrhistogram.Histogram) []Rank {
	var list []Rank
	for nines := 0.0; nines <= 4; nines += 0.1 {
		rest := math.Pow(10, -nines)
		if rest*float64(h.TotalCount()) < 1 {
			break
		}
		p := 100 * (1 - rest)
		list = append(list, Rank{Percentile: p, MS: float64(h.ValueAtQuantile(p)) / 1000})
	}
	return list
}

// least is how many reads a percentile takes.
const least999 = 1000

// figures are a policy's figures, round by round.
func (r *runner) figures(t *turn) []stats.Figure {
	var list []stats.Figure
	add := func(name, unit string, better stats.Better, value func(*tally) float64) {
		var rounds []float64
		for _, s := range t.slices {
			rounds = append(rounds, value(s))
		}
		if f, ok := stats.NewFigure(t.policy.Name, name, unit, better, rounds); ok {
			list = append(list, f)
		}
	}
	replicaShare := func(s *tally) float64 {
		if s.Replica == unknown || s.Reads == 0 {
			return math.NaN()
		}
		return float64(s.Replica) / float64(s.Reads)
	}
	at := func(h func(*tally) *hdrhistogram.Histogram, p float64) func(*tally) float64 {
		return func(s *tally) float64 {
			if p > 99 && h(s).TotalCount() < least999 {
				return math.NaN()
			}
			return float64(h(s).ValueAtQuantile(p)) / 1000
		}
	}
	reads, writes := func(s *tally) *hdrhistogram.Histogram { return s.reads }, func(s *tally) *hdrhistogram.Histogram { return s.writes }
	add("stale reads of own data", "%", stats.Lower, func(s *tally) float64 { return 100 * float64(s.Stale) / float64(s.Own) })
	add("reads on replicas", "%", stats.Higher, func(s *tally) float64 { return 100 * replicaShare(s) })
	add("reads on the primary", "1/s", stats.Lower, func(s *tally) float64 { return (1 - replicaShare(s)) * float64(s.Reads) / r.Slice.Seconds() })
	add("read, p50", "ms", stats.Lower, at(reads, 50))
	add("read, p99", "ms", stats.Lower, at(reads, 99))
	add("read, p99.9", "ms", stats.Lower, at(reads, 99.9))
	add("write, p50", "ms", stats.Lower, at(writes, 50))
	add("write, p99", "ms", stats.Lower, at(writes, 99))
	return list
}
