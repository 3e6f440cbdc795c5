package report

import (
	"bytes"
	"fmt"
	"html"
	"image/color"
	"math"
	"strings"

	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/vgsvg"
)

// role is what a colour is for. The page's style says what colour that is, in the light and in the dark.
type role byte

// The roles. From series on there is one for each curve.
const (
	gridRole role = iota
	axisRole
	shadeRole
	inkRole
	series
)

// seriesRoles is how many curves have a colour of their own.
const seriesRoles = 8

// seriesRole is the colour of the i-th curve.
func seriesRole(i int) role { return series + role(i%seriesRoles) }

// name is that of the variable in the page's style.
func (r role) name() string {
	switch r {
	case gridRole:
		return "--grid"
	case axisRole:
		return "--axis"
	case shadeRole:
		return "--shade"
	case inkRole:
		return "--ink"
	}
	return fmt.Sprintf("--c%d", r-series)
}

// The library writes colours as numbers. These stand for roles and are replaced in the end: solid, and translucent.
const (
	solid = 1
	faint = 2
)

func (r role) colour(kind byte) color.Color { return color.RGBA{kind, 0, byte(r), 255} }

// replacer puts the page's variables in the place of the numbers.
var replacer = func() *strings.Replacer {
	var pairs []string
	for r := gridRole; r < series+seriesRoles; r++ {
		for kind, style := range map[byte]string{solid: "%s:var(%s)", faint: "%[1]s:var(%[2]s);%[1]s-opacity:.16"} {
			number := fmt.Sprintf("#%02X00%02X", kind, byte(r))
			for _, property := range []string{"fill", "stroke"} {
				pairs = append(pairs, property+":"+number, fmt.Sprintf(style, property, r.name()))
			}
		}
	}
	return strings.NewReplacer(pairs...)
}()

// tick is a place on an axis with its label.
type tick struct {
	at    float64
	label string
}

// scale maps values to an axis.
type scale struct {
	low, high float64
	log       bool
	ticks     []tick
	title     string
}

// part is where a value is between the ends of the axis, 0 to 1. What is beyond them is at them.
func (s scale) part(v float64) float64 {
	low, high := s.low, s.high
	if s.log {
		low, high, v = math.Log10(low), math.Log10(high), math.Log10(max(v, s.low))
	}
	return min(1, max(0, (v-low)/(high-low)))
}

// The size of a chart and of its margins. It is scaled to the page: on a telephone to about two thirds.
const (
	chartWidth, chartHeight                        = 440.0, 300.0
	wideWidth                                      = 2 * chartWidth
	marginLeft, marginRight, marginTop, marginFoot = 52.0, 14.0, 22.0, 34.0
)

// chart is a picture while it is drawn, in the library's coordinates: y grows upwards.
type chart struct {
	canvas *vgsvg.Canvas
	width  float64
	height float64
	x, y   scale
	over   bytes.Buffer // texts and what tells a value under the pointer; they lie over the rest
}

// newChart begins a chart with two axes.
func newChart(x, y scale) *chart { return newWideChart(chartWidth, x, y) }

// newWideChart begins a chart of another width.
func newWideChart(width float64, x, y scale) *chart {
	c := &chart{canvas: vgsvg.New(vg.Length(width), vg.Length(chartHeight)), width: width, height: chartHeight, x: x, y: y}
	for _, t := range y.ticks {
		py := c.py(t.at)
		c.stroke(gridRole, 1, nil, [2]float64{marginLeft, py}, [2]float64{c.width - marginRight, py})
		c.text(marginLeft-7, py-4, "end", "tick", t.label)
	}
	for _, t := range x.ticks {
		px := c.px(t.at)
		c.stroke(axisRole, 1, nil, [2]float64{px, marginFoot}, [2]float64{px, marginFoot - 4})
		c.text(px, marginFoot-17, "middle", "tick", t.label)
	}
	c.stroke(axisRole, 1, nil, [2]float64{marginLeft, marginFoot}, [2]float64{c.width - marginRight, marginFoot})
	c.text(c.width-marginRight, 4, "end", "axis", x.title)
	c.text(0, c.height-11, "start", "axis", y.title)
	return c
}

func (c *chart) px(v float64) float64 {
	return marginLeft + c.x.part(v)*(c.width-marginRight-marginLeft)
}

func (c *chart) py(v float64) float64 {
	return marginFoot + c.y.part(v)*(c.height-marginTop-marginFoot)
}

// pointsPath is a line through points, in the library's coordinates.
func pointsPath(points [][2]float64) vg.Path {
	var p vg.Path
	for i, at := range points {
		v := vg.Point{X: vg.Length(at[0]), Y: vg.Length(at[1])}
		if i == 0 {
			p.Move(v)
		} else {
			p.Line(v)
		}
	}
	return p
}

// stroke draws a line.
func (c *chart) stroke(r role, width float64, dash []vg.Length, points ...[2]float64) {
	c.canvas.SetColor(r.colour(solid))
	c.canvas.SetLineWidth(vg.Length(width))
	c.canvas.SetLineDash(dash, 0)
	c.canvas.Stroke(pointsPath(points))
}

// line draws a curve through values.
func (c *chart) line(r role, width float64, dash []vg.Length, values [][2]float64) {
	points := make([][2]float64, len(values))
	for i, v := range values {
		points[i] = [2]float64{c.px(v[0]), c.py(v[1])}
	}
	c.stroke(r, width, dash, points...)
}

// band fills what is between two curves over the same x: each value is x, low and high.
func (c *chart) band(r role, values [][3]float64) {
	var points [][2]float64
	for _, v := range values {
		points = append(points, [2]float64{c.px(v[0]), c.py(v[1])})
	}
	for i := len(values) - 1; i >= 0; i-- {
		points = append(points, [2]float64{c.px(values[i][0]), c.py(values[i][2])})
	}
	c.fill(r, faint, points)
}

func (c *chart) fill(r role, kind byte, points [][2]float64) {
	p := pointsPath(points)
	p.Close()
	c.canvas.SetColor(r.colour(kind))
	c.canvas.Fill(p)
}

// dot draws a point.
func (c *chart) dot(r role, x, y, radius float64) {
	var p vg.Path
	center := vg.Point{X: vg.Length(x), Y: vg.Length(y)}
	p.Move(vg.Point{X: center.X + vg.Length(radius), Y: center.Y})
	p.Arc(center, vg.Length(radius), 0, 2*math.Pi)
	p.Close()
	c.canvas.SetColor(r.colour(solid))
	c.canvas.Fill(p)
}

// text writes a text whose foot is at x, y.
func (c *chart) text(x, y float64, anchor, class, s string) {
	fmt.Fprintf(&c.over, `<text x="%.1f" y="%.1f" text-anchor="%s" class="%s">%s</text>`, x, c.height-y, anchor, class, html.EscapeString(s))
}

// tip tells something when the pointer is near a point.
func (c *chart) tip(x, y, radius float64, s string) {
	fmt.Fprintf(&c.over, `<circle cx="%.1f" cy="%.1f" r="%.1f" class="tip"><title>%s</title></circle>`, x, c.height-y, radius, html.EscapeString(s))
}

// svg ends the chart. label says what it shows to who cannot see it.
func (c *chart) svg(label string) (markup, error) {
	var b bytes.Buffer
	if _, err := c.canvas.WriteTo(&b); err != nil {
		return "", err
	}
	// What the library writes around the drawing is for a file of its own.
	_, inside, found := strings.Cut(b.String(), "<g ")
	end := strings.LastIndex(inside, "</svg>")
	if !found || end < 0 {
		return "", fmt.Errorf("the drawing is not as expected: %.200s", b.String())
	}
	return markup(fmt.Sprintf(`<svg viewBox="0 0 %g %g" role="img" aria-label="%s"><g %s%s</svg>`,
		c.width, c.height, html.EscapeString(label), replacer.Replace(inside[:end]), c.over.String())), nil
}
