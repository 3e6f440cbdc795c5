package report

import (
	"bytes"
	"flag"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stickyproxy/stickyproxy/bench/lag"
	"github.com/stickyproxy/stickyproxy/bench/load"
	"github.com/stickyproxy/stickyproxy/bench/policies"
	"github.com/stickyproxy/stickyproxy/bench/stats"
	"github.com/stickyproxy/stickyproxy/integration/guarantees"
)

var update = flag.Bool("update", false, "write testdata again")

// blank is a report of fixed circumstances.
func blank(command string) *Report {
	return &Report{
		Command: command, Format: Format, Repeat: "stickyproxy bench " + command + " --local=mariadb",
		Started: time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC), Seconds: 62, Version: "(devel)", Go: "go1.26",
		Machine: Machine{OS: "linux", Arch: "amd64", Kernel: "6.1", CPU: "A <fast> one", Processors: 2, MemoryMB: 8000, Load: 0.3},
		Servers: []Server{{"primary", "primary", "127.0.0.1:1", "10.11"}, {"replica", "replica 1", "127.0.0.1:2", "10.11"}, {"replica", "replica 2", "127.0.0.1:3", "10.11"}},
		LagText: "2s", Problems: []string{"the clock of replica 1 differs"},
	}
}

// rounds are five values around a middle.
func rounds(middle, spread float64) []float64 {
	return []float64{middle - spread, middle + spread/2, middle, middle + spread, middle - spread/2}
}

func mustFigure(t *testing.T, subject, name, unit string, better stats.Better, values []float64) stats.Figure {
	t.Helper()
	f, ok := stats.NewFigure(subject, name, unit, better, values)
	if !ok {
		t.Fatal("no figure")
	}
	return f
}

// lagReport is a run in which replica 1 is 2 ms and replica 2 is 40 ms late, with or without a storm.
func lagReport(t *testing.T, storm bool) *Report {
	t.Helper()
	r := blank("lag")
	r.Result = &lag.Result{Writes: 1000, Resolution: 0.2}
	curve := func(middle float64) (points []lag.Point) {
		for name, at := range map[string]float64{"replica 1": middle, "replica 2": 20 * middle, lag.Any: 10 * middle} {
			for i := -10; i <= 20; i++ {
				p := lag.Point{Replica: name, T: math.Round(math.Pow(10, float64(i)/10)*1000) / 1000, Probes: 1000}
				p.Fresh = int(1000 * min(1, p.T/at))
				band := stats.Wilson(float64(p.Fresh), 1000)
				p.Low, p.High = band.Low, band.High
				points = append(points, p)
			}
		}
		return inOrder(points)
	}
	window := 40.0
	r.Advice = lag.Advice{
		P99: &window, P999: &window, P9999: &window, Probes: 1000, Sentence: "A window of 40 ms makes 99 % of the reads fresh.",
		Levels: []lag.Level{
			{Share: 0.99, Window: &window, Low: &window, High: &window, Enough: true, PrimaryShare: 0.004, PrimaryReads: 4},
			{Share: 0.999, Window: &window, Low: &window, Enough: true, PrimaryShare: 0.004, PrimaryReads: 4},
			{Share: 0.9999, Window: &window, Low: &window, Needed: 10_000, PrimaryShare: 0.004, PrimaryReads: 4},
		},
	}
	r.Visibility = curve(2)
	for i := range 30 {
		for _, name := range []string{"replica 1", "replica 2"} {
			r.Lag = append(r.Lag, lag.Over{Replica: name, At: float64(i), Median: 2 + float64(i%7), Max: 50, Probes: 33})
		}
	}
	if storm {
		for i, name := range []string{"before", "storm", "after"} {
			r.Phases = append(r.Phases, lag.Phase{Name: name, Visibility: curve(2 + 3*float64(i%2)), Advice: &r.Advice})
		}
	}
	for _, name := range []string{"replica 1", "any"} {
		r.Figures = append(r.Figures, mustFigure(t, name, "visible after, p99", "ms", stats.Lower, rounds(40, 4)))
	}
	return r
}

// inOrder brings the replicas into a fixed order.
func inOrder(points []lag.Point) (sorted []lag.Point) {
	for _, name := range []string{"replica 1", "replica 2", lag.Any} {
		sorted = append(sorted, only(points, name)...)
	}
	return sorted
}

func policiesReport(t *testing.T) *Report {
	t.Helper()
	r := blank("policies")
	r.Policies = &policies.Result{Workload: policies.Usual()}
	for i, name := range []string{"naive", "window-1s", "auto", "primary", `"a rival" <1>`} {
		replica, rate := 1-float64(i)/4, 50*float64(i)
		o := policies.Outcome{Policy: name, Reads: 5000, Own: 2500, Stale: int64(800 / (1 + 10*i)), ReplicaShare: &replica, PrimaryReads: &rate}
		o.StaleShare = float64(o.Stale) / float64(o.Own)
		for j := range 35 {
			o.Curve = append(o.Curve, policies.Rank{Percentile: 100 * (1 - math.Pow(10, -float64(j)/10)), MS: 0.4 * math.Pow(1.2, float64(j))})
		}
		r.Policies.Policies = append(r.Policies.Policies, o)
		r.Figures = append(r.Figures,
			mustFigure(t, name, "stale reads of own data", "%", stats.Lower, rounds(100*o.StaleShare, o.StaleShare*20)),
			mustFigure(t, name, "reads on replicas", "%", stats.Higher, rounds(100*replica, 0.5)))
	}
	return r
}

func loadReport(t *testing.T) *Report {
	t.Helper()
	r := blank("load")
	r.Load = &load.Result{Clients: 8}
	for i, name := range []string{"direct", "stickyproxy to primary", "rival"} {
		r.Figures = append(r.Figures, mustFigure(t, name, "text, rate", "q/s", stats.Higher, rounds(20_000/float64(i+1), 900)))
		if i > 0 {
			r.Figures = append(r.Figures, mustFigure(t, name, "text, ratio to direct", "", stats.Higher, rounds(1/float64(i+1), 0.01)))
		}
		r.Figures = append(r.Figures, mustFigure(t, name, "text, CPU", "us", stats.Lower, rounds(20*float64(i+1), 2)))
	}
	return r
}

// checkReport is a run in which two guarantees were broken.
func checkReport() *Report {
	r := blank("check")
	r.SetCheck(&guarantees.Report{
		Hints: []guarantees.Hint{guarantees.ByToken}, Split: true, Seed: 7, Seconds: 10, Reads: 5000, Checked: 4900, Behind: 1200, Writes: 800, Unknown: 1,
		Errors: map[string]int64{"1213": 2}, Violations: map[string]int64{"read_your_writes": 31, "monotonic_reads": 5},
		Samples: []guarantees.Violation{{Guarantee: guarantees.MonotonicReads, Session: "a <b>", Cell: 3, Got: 1, Want: 2, Detail: "a read showed an older version"}},
	})
	return r
}

// all is one report of each kind.
func all(t *testing.T) map[string]*Report {
	t.Helper()
	return map[string]*Report{"lag": lagReport(t, false), "storm": lagReport(t, true), "policies": policiesReport(t), "load": loadReport(t), "check": checkReport()}
}

// The tables are as in testdata.
func TestTable(t *testing.T) {
	for name, r := range all(t) {
		t.Run(name, func(t *testing.T) {
			var got bytes.Buffer
			r.Table(&got)
			file := filepath.Join("testdata", name+".txt")
			if *update {
				if err := os.WriteFile(file, got.Bytes(), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if got.String() != string(want) {
				t.Errorf("got\n%s\nwant\n%s", got.String(), want)
			}
		})
	}
}

// What is written can be read again, and becomes the same page.
func TestFile(t *testing.T) {
	for name, r := range all(t) {
		t.Run(name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "r.json")
			if err := r.WriteFile(file); err != nil {
				t.Fatal(err)
			}
			again, err := ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			var before, after bytes.Buffer
			if err := r.Page(&before); err != nil {
				t.Fatal(err)
			}
			if err := again.Page(&after); err != nil {
				t.Fatal(err)
			}
			if before.String() != after.String() {
				t.Error("the page of the file is another one")
			}
		})
	}
}

func TestReadFileErrors(t *testing.T) {
	for _, row := range []struct{ name, content, want string }{
		{"no JSON", "hello", "is no report"},
		{"other JSON", `{"a": 1}`, "does not say of what"},
		{"a later format", `{"command": "lag", "format": 99}`, "later version"},
	} {
		t.Run(row.name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "r.json")
			if err := os.WriteFile(file, []byte(row.content), 0o600); err != nil {
				t.Fatal(err)
			}
			if _, err := ReadFile(file); err == nil || !strings.Contains(err.Error(), row.want) {
				t.Errorf("got %v, want %s", err, row.want)
			}
		})
	}
	if _, err := ReadFile("/nowhere"); err == nil {
		t.Error("a file that is not there was read")
	}
}

// A page asks for nothing from elsewhere, runs nothing, and shows names as they are.
func TestPageIsSelfContained(t *testing.T) {
	for name, r := range all(t) {
		t.Run(name, func(t *testing.T) {
			var b bytes.Buffer
			if err := r.Page(&b); err != nil {
				t.Fatal(err)
			}
			page := b.String()
			for _, bad := range []string{"<script", "http://", "https://", "//fonts", "url(", "@import", "<fast>", "<1>", "#0100", "#0200", "NaN", "Inf"} {
				if strings.Contains(page, bad) {
					t.Errorf("the page has %q", bad)
				}
			}
			for _, want := range []string{"prefers-color-scheme:dark", `name="viewport"`, "<svg viewBox=", r.Repeat, "the clock of replica 1"} {
				if !strings.Contains(page, want) {
					t.Errorf("the page lacks %q", want)
				}
			}
		})
	}
}

func TestCompare(t *testing.T) {
	before, after := loadReport(t), loadReport(t)
	after.Figures[0] = mustFigure(t, "direct", "text, rate", "q/s", stats.Higher, rounds(12_000, 900))
	after.Figures[1] = mustFigure(t, "direct", "text, CPU", "us", stats.Lower, rounds(19.9, 2))
	after.Figures[2].Rounds = after.Figures[2].Rounds[:2]
	after.Figures = append(after.Figures[:5], mustFigure(t, "new", "text, rate", "q/s", stats.Higher, rounds(1, 0.1)))
	after.Servers[0].Version = "11.4"
	c, err := Compare(before, after)
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	c.Table(&b)
	for _, want := range []string{"direct: text, rate, q/s", "-40.0 %     yes, worse (p 0.008)", "no (p 0.", "too few rounds to tell",
		"Not the same: the servers: 10.11, 10.11, 10.11, then 11.4", "Only in the first: rival: text, rate", "Only in the second: new: text, rate",
		"0 are better and 1 are worse"} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("no %q in\n%s", want, b.String())
		}
	}
	if _, err := Compare(before, lagReport(t, false)); err == nil {
		t.Error("reports of two kinds were compared")
	}
	after.Figures = nil
	if _, err := Compare(before, after); err == nil {
		t.Error("reports without common figures were compared")
	}
}

func TestAxes(t *testing.T) {
	for _, row := range []struct {
		name  string
		scale scale
		ticks string
	}{
		{"milliseconds", timeAxis(0.1, 800, ""), "0.1 ms 1 ms 10 ms 100 ms 1 s"},
		{"one decade", timeAxis(1, 1, ""), "1 ms 10 ms"},
		{"small", timeAxis(0.01, 0.1, ""), "10 µs 0.1 ms"},
		{"percent", percentAxis(""), "0 % 20 % 40 % 60 % 80 % 100 %"},
		{"rare", rareAxis(2000, ""), "100 % 10 % 1 % 0.1 % 0.01 %"},
		{"linear", linearAxis(43, " %", ""), "0 % 10 % 20 % 30 % 40 % 50 %"},
		{"linear, small", linearAxis(0.07, "", ""), "0 0.02 0.04 0.06 0.08"},
		{"seconds", secondsAxis(30), "0 s 10 s 20 s 30 s"},
		{"nines", ninesAxis(3.3), "0 90 99 99.9"},
	} {
		t.Run(row.name, func(t *testing.T) {
			var labels []string
			last := math.Inf(-1)
			for _, tick := range row.scale.ticks {
				labels = append(labels, tick.label)
				if p := row.scale.part(tick.at); p < 0 || p > 1 || row.name != "rare" && p <= last {
					t.Errorf("tick %s is at %v", tick.label, p)
				}
				last = row.scale.part(tick.at)
			}
			if got := strings.Join(labels, " "); got != row.ticks {
				t.Errorf("got %s, want %s", got, row.ticks)
			}
		})
	}
}
