package report

import (
	"fmt"
	"strings"

	"github.com/stickyproxy/stickyproxy/bench/stats"
	"github.com/stickyproxy/stickyproxy/integration/guarantees"
)

// SetCheck makes it the report of bench check.
func (r *Report) SetCheck(c *guarantees.Report) {
	r.Check, r.Figures = c, nil
	add := func(name, unit string, better stats.Better, value float64) {
		if f, ok := stats.NewFigure("users", name, unit, better, []float64{value}); ok {
			r.Figures = append(r.Figures, f)
		}
	}
	add("reads", "", stats.Either, float64(c.Reads))
	add("judged reads", "", stats.Either, float64(c.Checked))
	add("reads from a late replica", "%", stats.Either, 100*float64(c.Behind)/float64(max(c.Reads, 1)))
	add("writes", "", stats.Either, float64(c.Writes))
	add("writes with an unknown outcome", "", stats.Lower, float64(c.Unknown))
	add("errors", "", stats.Lower, float64(c.Failures()))
	for _, name := range guarantees.Names() {
		add("violations of "+name, "", stats.Lower, float64(c.Violations[name]))
	}
}

// shownSamples is how many violations the page shows in full; the file has more.
const shownSamples = 3

// checkPage is the page of bench check.
func (r *Report) checkPage(p *page) error {
	c := r.Check
	p.Title = "Does everybody see what they wrote?"
	p.Sentence = fmt.Sprintf("None of %s answers broke a guarantee; %s of them were judged by what their session had written or read before.",
		stats.Number(float64(c.Reads)), stats.Number(float64(c.Checked)))
	if n := c.Broken(); n > 0 {
		p.Sentence = fmt.Sprintf("Guarantees of sessions were broken %s times, in %s answers that were judged.", stats.Number(float64(n)), stats.Number(float64(c.Checked)))
	}
	for _, name := range guarantees.Names() {
		p.Cards = append(p.Cards, card{Above: strings.ReplaceAll(name, "_", " "), Big: stats.Number(float64(c.Violations[name])), Below: "violations"})
	}
	for _, v := range c.Samples[:min(len(c.Samples), shownSamples)] {
		p.Notes = append(p.Notes, v.String())
	}
	return p.draw(drawing{
		picture{Title: "What came back", Text: "Answers, those of them that a session's past said something about, and those without somebody's newest write."},
		func() (markup, error) {
			return barsPicture(r.answers(), []role{seriesRole(0), seriesRole(1), seriesRole(2)})
		},
	})
}

// answers is how many there were, of each kind.
func (r *Report) answers() (list []stats.Figure) {
	for _, a := range []struct {
		kind string
		n    int64
	}{{"all", r.Check.Reads}, {"judged", r.Check.Checked}, {"from a replica that was late", r.Check.Behind}} {
		if f, ok := stats.NewFigure(a.kind, "answers", "", stats.Either, []float64{float64(a.n)}); ok {
			list = append(list, f)
		}
	}
	return list
}
