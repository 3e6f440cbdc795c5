package report

import (
	"fmt"
	"slices"

	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/vgsvg"

	"github.com/stickyproxy/stickyproxy/bench/lag"
	"github.com/stickyproxy/stickyproxy/bench/stats"
)

// find is a figure by what it is of and its name.
func (r *Report) find(subject, name string) (stats.Figure, bool) {
	for _, f := range r.Figures {
		if f.Subject == subject && f.Name == name {
			return f, true
		}
	}
	return stats.Figure{}, false
}

// tradePicture is each policy's stale reads against the reads it has on the primary, with the range of the rounds.
func (r *Report) tradePicture() (markup, error) {
	highest := 0.05
	for _, o := range r.Policies.Policies {
		if f, ok := r.find(o.Policy, "stale reads of own data"); ok {
			highest = max(highest, f.High/100)
		}
	}
	y := linearAxis(highest*100, " %", "stale reads of users' own data")
	y.high /= 100
	for i := range y.ticks {
		y.ticks[i].at /= 100
	}
	x := percentAxis("")
	x.title = "reads on the primary"
	c := newChart(x, y)
	var places []place
	for i, o := range r.Policies.Policies {
		stale, _ := r.find(o.Policy, "stale reads of own data")
		replica, known := r.find(o.Policy, "reads on replicas")
		if !known {
			continue
		}
		px, py := c.px(1-replica.Median/100), c.py(o.StaleShare)
		c.stroke(seriesRole(i), 1.2, nil, [2]float64{px, c.py(stale.Low / 100)}, [2]float64{px, c.py(stale.High / 100)})
		c.stroke(seriesRole(i), 1.2, nil, [2]float64{c.px(1 - replica.High/100), py}, [2]float64{c.px(1 - replica.Low/100), py})
		c.dot(seriesRole(i), px, py, 5)
		c.tip(px, py, 10, fmt.Sprintf("%s: %s of %s reads of users' own data stale, %s of the reads on the primary",
			o.Policy, stats.Number(float64(o.Stale)), stats.Number(float64(o.Own)), lag.Percent(1-replica.Median/100)))
		places = append(places, place{px, py, o.Policy})
	}
	for _, p := range apart(places) {
		anchor, dx := "start", 9.0
		if p.x > chartWidth*0.72 {
			anchor, dx = "end", -9
		}
		c.text(p.x+dx, p.y+6, anchor, "label", p.name)
	}
	return c.svg("The share of stale reads against the share of reads on the primary, for each policy")
}

// place is where a label is to be written.
type place struct {
	x, y float64
	name string
}

// apart moves labels up that would lie on others.
func apart(places []place) []place {
	slices.SortStableFunc(places, func(a, b place) int { return int(a.y - b.y) })
	for i := range places {
		for _, q := range places[:i] {
			if abs(places[i].x-q.x) < 80 && places[i].y < q.y+15 {
				places[i].y = q.y + 15
			}
		}
	}
	return places
}

func abs(v float64) float64 { return max(v, -v) }

// latencyPicture is each policy's latency of reads at percentiles.
func (r *Report) latencyPicture() (markup, error) {
	low, high, far := 1e9, 0.0, 1.0
	for _, o := range r.Policies.Policies {
		for _, p := range o.Curve {
			low, high, far = min(low, max(p.MS, 0.01)), max(high, p.MS), max(far, nines(p.Percentile))
		}
	}
	c := newChart(ninesAxis(far), timeAxis(low, max(high, low*2), "latency of reads, from when they were due"))
	for i, o := range r.Policies.Policies {
		var line [][2]float64
		for _, p := range o.Curve {
			line = append(line, [2]float64{nines(p.Percentile), p.MS})
		}
		c.line(seriesRole(i), 1.8, nil, line)
		for j, p := range o.Curve {
			c.tip(c.px(line[j][0]), c.py(p.MS), 5, fmt.Sprintf("%s: %.4g %% of the reads took at most %s", o.Policy, p.Percentile, lag.Time(p.MS)))
		}
	}
	return c.svg("The latency of reads at percentiles, for each policy")
}

// The size of a chart of bars: what it has around them, and what each takes.
const (
	barsAround, barPitch = 12.0, 40.0
	barThickness         = 12.0
	barsRight            = 96.0
)

// barsPicture is one figure of all subjects, as bars with the range of the rounds.
func barsPicture(figures []stats.Figure, roles []role) (markup, error) {
	height := barsAround + barPitch*float64(len(figures))
	highest := 0.0
	for _, f := range figures {
		highest = max(highest, f.High)
	}
	c := &chart{canvas: vgsvg.New(vg.Length(chartWidth), vg.Length(height)), width: chartWidth, height: height}
	across := func(v float64) float64 { return v / max(highest, 1e-9) * (chartWidth - barsRight) }
	for i, f := range figures {
		top := height - barPitch*float64(i)
		c.text(0, top-16, "start", "label", f.Subject)
		y, to := top-38, across(f.Median)
		c.fill(roles[i], solid, [][2]float64{{0, y}, {to, y}, {to, y + barThickness}, {0, y + barThickness}})
		middle := y + barThickness/2
		c.stroke(inkRole, 1.2, nil, [2]float64{across(f.Low), middle}, [2]float64{across(f.High), middle})
		c.text(max(to, across(f.High))+8, y+1.5, "start", "value", stats.Number(f.Median)+" "+f.Unit)
		c.tip(to, middle, 12, fmt.Sprintf("%s: %s %s, %s to %s", f.Subject, stats.Number(f.Median), f.Unit, stats.Number(f.Low), stats.Number(f.High)))
	}
	return c.svg("Bars: " + figures[0].Name)
}
