package report

import (
	"fmt"
	"math"
	"slices"

	"gonum.org/v1/plot/vg"

	"github.com/stickyproxy/stickyproxy/bench/lag"
)

// dash is the line of what is an extreme.
var dash = []vg.Length{2, 3}

// curve is one line of the pictures of t-visibility.
type curve struct {
	name   string
	points []lag.Point
	role   role
	bold   bool
}

// curves are the lines to draw: the replicas and any of them, or the phases of a storm.
func (r *Report) curves() []curve {
	var list []curve
	for i, p := range r.Phases {
		list = append(list, curve{phaseTitle(p.Name), only(p.Visibility, lag.Any), seriesRole([]int{2, 1, 0}[i%3]), p.Name == "storm"})
	}
	if list != nil {
		return list
	}
	names := replicas(r.Visibility)
	for i, name := range names {
		if name == lag.Any {
			if len(names) > 2 {
				list = append(list, curve{"any replica", only(r.Visibility, name), inkRole, true})
			}
			continue
		}
		list = append(list, curve{name, only(r.Visibility, name), seriesRole(i), len(names) == 2})
	}
	return list
}

// only is one replica's curve.
func only(points []lag.Point, name string) []lag.Point {
	return slices.DeleteFunc(slices.Clone(points), func(p lag.Point) bool { return p.Replica != name || p.Probes == 0 })
}

// width of a curve's line.
func (c curve) width() float64 {
	if c.bold {
		return 2.4
	}
	return 1.6
}

// visibilityPicture is the probability that a read is fresh, over the time after the write.
func (r *Report) visibilityPicture() (markup, error) {
	last := 1.0
	for _, p := range r.Visibility {
		last = max(last, p.T)
	}
	c := newChart(timeAxis(0.1, last, "time after the write"), percentAxis("fresh reads"))
	for _, cv := range r.curves() {
		var line [][2]float64
		var band [][3]float64
		for _, p := range cv.points {
			line = append(line, [2]float64{p.T, p.Share()})
			band = append(band, [3]float64{p.T, p.Low, p.High})
		}
		c.band(cv.role, band)
		c.line(cv.role, cv.width(), nil, line)
		for _, p := range cv.points {
			c.tip(c.px(p.T), c.py(p.Share()), 5, tipTime(p))
		}
	}
	return c.svg("The share of reads that are fresh, over the time after the write")
}

// stalePicture is the same from the other side, where the nines can be told apart.
func (r *Report) stalePicture() (markup, error) {
	last, probes := 1.0, 0
	for _, p := range r.Visibility {
		last, probes = max(last, p.T), max(probes, p.Probes)
	}
	c := newChart(timeAxis(0.1, last, "time after the write"), rareAxis(probes, "stale reads, logarithmic"))
	for _, cv := range r.curves() {
		var line [][2]float64
		var band [][3]float64
		for _, p := range cv.points {
			band = append(band, [3]float64{p.T, max(1-p.High, c.y.low), max(1-p.Low, c.y.low)})
			if p.Fresh < p.Probes {
				line = append(line, [2]float64{p.T, 1 - p.Share()})
			}
		}
		c.band(cv.role, band)
		c.line(cv.role, cv.width(), nil, line)
		if n := len(line); n > 0 {
			c.dot(cv.role, c.px(line[n-1][0]), c.py(line[n-1][1]), 3)
		}
		for _, p := range cv.points {
			c.tip(c.px(p.T), c.py(1-p.Share()), 5, tipTime(p))
		}
	}
	return c.svg("The share of reads that are stale, over the time after the write, both logarithmic")
}

// lagPicture is the lag over time.
func (r *Report) lagPicture() (markup, error) {
	low, high, length := 1.0, 1.0, 1.0
	for _, o := range r.Lag {
		low, high, length = min(low, max(o.Median, 0.1)), max(high, o.Max), max(length, o.At)
	}
	c := newWideChart(wideWidth, secondsAxis(math.Ceil(length)), timeAxis(low, high, "until a write was visible"))
	r.shadeStorm(c)
	for i, name := range replicas(r.Visibility) {
		var median, highest [][2]float64
		for _, o := range r.Lag {
			if o.Replica == name {
				median = append(median, [2]float64{o.At, max(o.Median, low)})
				highest = append(highest, [2]float64{o.At, max(o.Max, low)})
			}
		}
		if len(median) == 0 {
			continue
		}
		c.line(seriesRole(i), 0.9, dash, highest)
		c.line(seriesRole(i), 1.8, nil, median)
		for j, p := range median {
			c.tip(c.px(p[0]), c.py(p[1]), 5, fmt.Sprintf("%s at %.1f s: median %s, at most %s", name, p[0], lag.Time(p[1]), lag.Time(highest[j][1])))
		}
	}
	return c.svg("The time until a write was visible on each replica, over the time of the run")
}

// shadeStorm marks the phase of the storm.
func (r *Report) shadeStorm(c *chart) {
	if len(r.Phases) != 3 || len(r.Lag) == 0 {
		return
	}
	end := 0.0
	for _, o := range r.Lag {
		end = max(end, o.At)
	}
	from, to, foot, top := c.px(end/3), c.px(2*end/3), marginFoot, chartHeight-marginTop
	c.fill(shadeRole, solid, [][2]float64{{from, foot}, {to, foot}, {to, top}, {from, top}})
	c.text((from+to)/2, top-12, "middle", "axis", "storm")
}
