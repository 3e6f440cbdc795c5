package report

import (
	"fmt"
	"io"
	"math"
	"slices"
	"strings"

	"github.com/stickyproxy/stickyproxy/bench/stats"
)

// Difference is what became of one figure.
type Difference struct {
	Before, After stats.Figure
	Verdict       stats.Verdict
	P             float64 // how often chance alone makes such a difference
	Change        float64 // of the median, as a share of what it was; 0 when it was 0
	Improved      bool    // with the verdict [stats.Change]: in the direction that is better
}

// Comparison is two runs next to each other.
type Comparison struct {
	Differences []Difference
	OnlyBefore  []string // figures that one of them lacks
	OnlyAfter   []string
	Unlike      []string // circumstances that differ, and so may be the reason
}

// Compare compares two reports of the same kind.
func Compare(before, after *Report) (*Comparison, error) {
	if before.Command != after.Command {
		return nil, fmt.Errorf("a report of bench %s and one of bench %s have nothing in common", before.Command, after.Command)
	}
	c := &Comparison{Unlike: unlike(before, after)}
	for _, a := range before.Figures {
		b, ok := after.find(a.Subject, a.Name)
		if !ok {
			c.OnlyBefore = append(c.OnlyBefore, a.Subject+": "+a.Name)
			continue
		}
		c.Differences = append(c.Differences, difference(a, b))
	}
	for _, b := range after.Figures {
		if _, ok := before.find(b.Subject, b.Name); !ok {
			c.OnlyAfter = append(c.OnlyAfter, b.Subject+": "+b.Name)
		}
	}
	if len(c.Differences) == 0 {
		return nil, fmt.Errorf("the two reports have no figure in common")
	}
	return c, nil
}

func difference(a, b stats.Figure) Difference {
	d := Difference{Before: a, After: b}
	d.Verdict, d.P = stats.Compare(a.Rounds, b.Rounds)
	if a.Median != 0 {
		d.Change = b.Median/a.Median - 1
	}
	d.Improved = a.Better == stats.Lower && b.Median < a.Median || a.Better == stats.Higher && b.Median > a.Median
	return d
}

// unlike is what differs between two runs besides their figures.
func unlike(a, b *Report) []string {
	var list []string
	add := func(what, before, after string) {
		if before != after {
			list = append(list, fmt.Sprintf("%s: %s, then %s", what, before, after))
		}
	}
	add("stickyproxy", a.Version, b.Version)
	add("the machine", fmt.Sprintf("%s, %d processors", a.Machine.CPU, a.Machine.Processors), fmt.Sprintf("%s, %d processors", b.Machine.CPU, b.Machine.Processors))
	add("the servers", versions(a), versions(b))
	add("the command", a.Repeat, b.Repeat)
	if math.Abs(a.Machine.Load-b.Machine.Load) > 1 {
		add("the load average at the start", fmt.Sprintf("%.1f", a.Machine.Load), fmt.Sprintf("%.1f", b.Machine.Load))
	}
	return list
}

// versions is what the servers are, without addresses, which change from run to run.
func versions(r *Report) string {
	text := ""
	for i, s := range r.Servers {
		if i > 0 {
			text += ", "
		}
		text += s.Version
	}
	return text
}

// Table writes the comparison for people: what changed first, most certain first.
func (c *Comparison) Table(w io.Writer) {
	order := []stats.Verdict{stats.Change, stats.TooFew, stats.Noise, stats.Nothing}
	list := slices.Clone(c.Differences)
	slices.SortStableFunc(list, func(a, b Difference) int {
		return slices.Index(order, a.Verdict) - slices.Index(order, b.Verdict)
	})
	rows := [][]string{{"", "before", "after", "change", "more than noise?"}}
	for _, d := range list {
		name := d.Before.Subject + ": " + d.Before.Name
		if d.Before.Unit != "" {
			name += ", " + d.Before.Unit
		}
		rows = append(rows, []string{name, spread(d.Before), spread(d.After), d.change(), d.words()})
	}
	writeGrid(w, rows)
	for _, u := range c.Unlike {
		fmt.Fprintf(w, "\nNot the same: %s.\n", u)
	}
	if len(c.OnlyBefore) > 0 {
		fmt.Fprintf(w, "\n%s\n", wrap("Only in the first: "+strings.Join(c.OnlyBefore, "; ")+".", 100))
	}
	if len(c.OnlyAfter) > 0 {
		fmt.Fprintf(w, "\n%s\n", wrap("Only in the second: "+strings.Join(c.OnlyAfter, "; ")+".", 100))
	}
	fmt.Fprintf(w, "\n%s\n", wrap(c.Summary(), 100))
}

// change is the difference of the medians.
func (d Difference) change() string {
	switch {
	case d.Before.Median == d.After.Median:
		return "none"
	case d.Before.Median == 0:
		return "from 0"
	}
	return fmt.Sprintf("%+.1f %%", 100*d.Change)
}

// words is the verdict.
func (d Difference) words() string {
	switch d.Verdict {
	case stats.Change:
		direction := "yes"
		if d.Before.Better != stats.Either {
			direction = map[bool]string{true: "yes, better", false: "yes, worse"}[d.Improved]
		}
		return fmt.Sprintf("%s (p %.3f)", direction, d.P)
	case stats.Noise:
		return fmt.Sprintf("no (p %.2f)", d.P)
	case stats.Nothing:
		return "equal"
	}
	return "too few rounds to tell"
}

// Summary says it in a sentence.
func (c *Comparison) Summary() string {
	var better, worse, few int
	for _, d := range c.Differences {
		switch {
		case d.Verdict == stats.TooFew:
			few++
		case d.Verdict == stats.Change && d.Improved:
			better++
		case d.Verdict == stats.Change:
			worse++
		}
	}
	n := len(c.Differences)
	text := fmt.Sprintf("Of %d figures, %d are better and %d are worse by more than noise (rank test over the rounds, p at most 0.05).", n, better, worse)
	if few == n {
		return "There are too few rounds to tell a change from noise: it takes at least four on each side."
	}
	if expected := (n - few) / 20; expected > 0 && better+worse > 0 {
		text += fmt.Sprintf(" Chance alone makes about %d of so many look so.", expected)
	}
	return text
}
