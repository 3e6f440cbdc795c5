package bench

import (
	"fmt"
	"math"
	"os"
	"slices"
	"testing"
	"text/tabwriter"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/stickyproxy/stickyproxy/bench/client"
	"github.com/stickyproxy/stickyproxy/bench/load"
)

// How much the table measures.
const (
	tableRounds = 3           // interleaved; the figure is the median of them
	tableLoad   = time.Second // of load, each
	tableIdle   = 2000        // clients that do nothing
	tableLogins = 200         // each round
	tableLarge  = 5           // large results each round
)

// goal is what a figure has to be. The zero goal is none.
type goal struct {
	limit   float64
	times   string // the limit is so many times this target's figure; "": it is the limit itself
	atLeast bool   // more is better
}

// figure is one row of the table.
type figure struct {
	name   string
	goal   goal
	values map[string][]float64 // by target, one a round
}

// measurement is what gives the values of one or more figures at a time.
type measurement struct {
	figures []*figure
	once    bool // and not in each round
	run     func(*target) ([]float64, error)
}

// none is the value of a figure that a target does not have.
var none = math.NaN()

// BenchmarkTable measures the figures that the proxy is held to, through it and through the other proxies that are
// installed, in interleaved rounds, and prints them with what falls short. It is one operation however long it takes.
func BenchmarkTable(b *testing.B) {
	r := startRig(b)
	r.fillLarge(b)
	targets := r.startTargets(b)
	var figures []*figure
	for _, m := range r.measurements() {
		for round := range tableRounds {
			for i := range targets {
				if m.once && round > 0 {
					break
				}
				t := &targets[(i+round)%len(targets)] // another one is the first in each round
				if err := m.take(t); err != nil {
					b.Fatalf("%s, %s: %v", m.figures[0].name, t.name, err)
				}
			}
		}
		figures = append(figures, m.figures...)
	}
	printTable(figures, targets)
}

// take measures a target once.
func (m *measurement) take(t *target) error {
	values, err := m.run(t)
	for i, v := range values {
		f := m.figures[i]
		if f.values == nil {
			f.values = map[string][]float64{}
		}
		if !math.IsNaN(v) {
			f.values[t.name] = append(f.values[t.name], v)
		}
	}
	return err
}

// startTargets starts a proxy of its own for the table, whose memory no other benchmark has used, and the others.
func (r *rig) startTargets(b *testing.B) []target {
	b.Helper()
	dir := b.TempDir()
	proxy, err := startProxy(dir, r.cluster)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = proxy.stop() }) // its work is done
	peers, err := startPeers(dir, r.cluster.Primary.Addr())
	for _, p := range peers {
		b.Cleanup(func() { _ = p.stop() })
	}
	if err != nil {
		b.Fatal(err)
	}
	targets := []target{{name: ours, address: proxy.auto, pid: proxy.cmd.Process.Pid}}
	return append(append(targets, peers...), target{name: "direct", address: r.cluster.Primary.Addr()})
}

const ours = "stickyproxy"

// measurements are the rows. Memory comes first, while the proxies are fresh.
func (r *rig) measurements() []measurement {
	all := []measurement{
		{once: true, run: ofProcess(residentMiB), figures: []*figure{{name: "MiB at start", goal: goal{limit: 25}}}},
		{once: true, run: ofProcess(r.idleKiB), figures: []*figure{
			{name: fmt.Sprintf("KiB an idle client (%d)", tableIdle), goal: goal{limit: 12}}}},
		{run: ofProcess(r.loginCPU), figures: []*figure{{name: "CPU ms a login", goal: goal{limit: 0.4}}}},
		{run: r.largeResult, figures: []*figure{
			{name: "large result, CPU s/GB", goal: goal{limit: 0.7}},
			{name: "large result, MB/s", goal: goal{limit: 1, times: "HAProxy", atLeast: true}}}},
	}
	for _, form := range []string{"text", "prepared"} {
		for _, clients := range []int{1, 8, 64} {
			name := fmt.Sprintf("point select, %s, %d: ", form, clients)
			all = append(all, measurement{
				run: func(t *target) ([]float64, error) { return r.runPoints(t, form == "prepared", clients) },
				figures: []*figure{
					{name: name + "CPU us", goal: goal{limit: 1.2, times: "HAProxy"}},
					{name: name + "queries/s", goal: goal{limit: 1, times: "HAProxy", atLeast: true}},
					{name: name + "p99 ms", goal: goal{limit: 1.1, times: "HAProxy"}}},
			})
		}
	}
	return all
}

// ofProcess is a measurement that only targets with a process have.
func ofProcess(measure func(*target) (float64, error)) func(*target) ([]float64, error) {
	return func(t *target) ([]float64, error) {
		if t.pid == 0 {
			return nil, nil
		}
		v, err := measure(t)
		return []float64{v}, err
	}
}

// runPoints has clients select rows, and returns what the proxy's processor time for one was, how many were selected a
// second, and how long all but the slowest hundredth took at most.
func (r *rig) runPoints(t *target, prepared bool, clients int) ([]float64, error) {
	all := make([]*points, clients)
	for i := range all {
		c, err := dial(t.address, r.cluster.App, client.Modern)
		if err != nil {
			return nil, err
		}
		defer c.Close()
		if all[i], err = newPoints(c, prepared); err != nil {
			return nil, err
		}
	}
	var took []time.Duration
	start := time.Now()
	cpu, err := t.cpu(func() (err error) {
		took, err = runAll(all, start)
		return err
	})
	if err != nil {
		return nil, err
	}
	wall := time.Since(start)
	slices.Sort(took)
	n := len(took)
	return []float64{cpu * 1e6 / float64(n), float64(n) / wall.Seconds(), took[n*99/100].Seconds() * 1e3}, nil
}

// runAll has all clients select rows for tableLoad, and returns how long each took.
func runAll(all []*points, start time.Time) ([]time.Duration, error) {
	took := make([][]time.Duration, len(all))
	var group errgroup.Group
	for i, p := range all {
		group.Go(func() (err error) {
			took[i], err = p.runFor(start, tableLoad)
			return err
		})
	}
	err := group.Wait()
	return slices.Concat(took...), err
}

// runFor selects rows for so long, and returns how long each took.
func (p *points) runFor(start time.Time, d time.Duration) ([]time.Duration, error) {
	took := make([]time.Duration, 0, 1<<16)
	for at := time.Since(start); at < d; {
		if _, err := p.next(); err != nil {
			return took, err
		}
		now := time.Since(start)
		took = append(took, now-at)
		at = now
	}
	return took, nil
}

// largeResult returns the processor time of the proxy for a GB of rows, and how many MB came a second.
func (r *rig) largeResult(t *target) ([]float64, error) {
	c, err := dial(t.address, r.cluster.App, client.Modern)
	if err != nil {
		return nil, err
	}
	defer c.Close()
	packet, bytes, start := client.Text(largeText), 0, time.Now()
	cpu, err := t.cpu(func() error {
		for range tableLarge {
			size, err := c.Do(packet)
			if err != nil {
				return err
			}
			bytes += size
		}
		return nil
	})
	return []float64{cpu / (float64(bytes) / 1e9), float64(bytes) / 1e6 / time.Since(start).Seconds()}, err
}

// loginCPU is the processor time of the proxy for a login whose password is known, ms.
func (r *rig) loginCPU(t *target) (float64, error) {
	cpu, err := t.cpu(func() error {
		for range tableLogins {
			c, err := dial(t.address, r.cluster.App, client.Modern)
			if err != nil {
				return err
			}
			if err := c.Quit(); err != nil {
				return err
			}
		}
		return nil
	})
	return cpu * 1e3 / tableLogins, err
}

// idleKiB is how much memory of the proxy a client takes that has sent one command, which went to the primary.
func (r *rig) idleKiB(t *target) (float64, error) {
	before, err := residentMiB(t)
	if err != nil {
		return 0, err
	}
	for range tableIdle {
		c, err := dial(t.address, r.cluster.App, client.Modern)
		if err != nil {
			return 0, err
		}
		defer c.Close()
		if _, err := c.Do(client.Text("SELECT @@port")); err != nil {
			return 0, err
		}
	}
	after, err := residentMiB(t)
	return (after - before) * (1 << 10) / tableIdle, err
}

func residentMiB(t *target) (float64, error) {
	bytes, err := load.Memory(t.pid)
	return float64(bytes) / (1 << 20), err
}

// cpu is the processor time, seconds, that the proxy spends while work is done.
func (t *target) cpu(work func() error) (float64, error) {
	if t.pid == 0 {
		return none, work()
	}
	before, err := load.CPU(t.pid)
	if err != nil {
		return 0, err
	}
	if err := work(); err != nil {
		return 0, err
	}
	after, err := load.CPU(t.pid)
	return (after - before).Seconds(), err
}

// printTable prints the medians, the goals and what falls short of them.
func printTable(figures []*figure, targets []target) {
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	defer w.Flush()
	fmt.Fprint(w, "\nfigure\t")
	for _, t := range targets {
		fmt.Fprint(w, t.name, "\t")
	}
	fmt.Fprintln(w, "goal\tverdict")
	for _, f := range figures {
		fmt.Fprint(w, f.name, "\t")
		for _, t := range targets {
			fmt.Fprint(w, f.text(t.name), "\t")
		}
		fmt.Fprintf(w, "%s\t%s\n", f.goal, f.verdict())
	}
}

// median is a target's figure; false if it has none.
func (f *figure) median(target string) (float64, bool) {
	values := slices.Sorted(slices.Values(f.values[target]))
	if len(values) == 0 {
		return 0, false
	}
	return values[len(values)/2], true
}

func (f *figure) text(target string) string {
	v, ok := f.median(target)
	switch {
	case !ok:
		return "-"
	case v >= 1000:
		return fmt.Sprintf("%.0f", v)
	}
	return fmt.Sprintf("%.3g", v)
}

// String is the goal as the table shows it.
func (g goal) String() string {
	most := "at most"
	if g.atLeast {
		most = "at least"
	}
	if g.times == "" {
		return fmt.Sprintf("%s %.3g", most, g.limit)
	}
	return fmt.Sprintf("%s %.3g x %s", most, g.limit, g.times)
}

// verdict says whether our figure reaches the goal, and if not, where it is.
func (f *figure) verdict() string {
	v, ok := f.median(ours)
	limit, known := f.goal.limit, true
	if f.goal.times != "" {
		var other float64
		other, known = f.median(f.goal.times)
		limit *= other
	}
	switch {
	case !ok:
		return "not measured"
	case !known:
		return "nothing to compare with: " + f.goal.times + " is not installed"
	case v <= limit && !f.goal.atLeast, v >= limit && f.goal.atLeast:
		return "reached"
	}
	return fmt.Sprintf("FALLS SHORT: %.2f of it", v/limit)
}
