package report

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/stickyproxy/stickyproxy/bench/lag"
	"github.com/stickyproxy/stickyproxy/bench/stats"
)

// Table writes the report for people who read it on a terminal.
func (r *Report) Table(w io.Writer) {
	fmt.Fprintln(w)
	switch {
	case r.Result != nil:
		r.lagTable(w)
	case r.Check != nil:
		r.Check.Table(w)
	default:
		figureTable(w, r.Figures)
	}
	for _, p := range r.Problems {
		fmt.Fprintf(w, "\nNote: %s.\n", p)
	}
}

// lagTimes are the columns of the table, in ms.
var lagTimes = []float64{0.1, 1, 10, 100, 1000}

// lagTable is what bench lag found.
func (r *Report) lagTable(w io.Writer) {
	fmt.Fprintf(w, "Reads that see a write, by the time after it was acknowledged (95 %% band)\n\n")
	if len(r.Phases) == 0 {
		writeGrid(w, visibilityRows(r.Visibility))
	}
	for _, p := range r.Phases {
		fmt.Fprintf(w, "%s\n", phaseTitle(p.Name))
		writeGrid(w, visibilityRows(p.Visibility))
		fmt.Fprintln(w)
	}
	fmt.Fprintf(w, "\nThe window that makes reads fresh\n\n")
	writeGrid(w, adviceRows(r.Advice))
	fmt.Fprintf(w, "\n%s\n", wrap(r.Advice.Sentence, 100))
	fmt.Fprintf(w, "\n%s writes, time between two reads %s.\n", stats.Number(float64(r.Writes)), lag.Time(r.Resolution))
}

func phaseTitle(name string) string {
	return map[string]string{"before": "Before the storm", "storm": "In the storm", "after": "After it"}[name]
}

// visibilityRows is a curve for each replica, at some times.
func visibilityRows(points []lag.Point) [][]string {
	head := []string{"", "probes"}
	for _, t := range lagTimes {
		head = append(head, shortTime(t))
	}
	rows := [][]string{head}
	for _, name := range replicas(points) {
		row := []string{name, ""}
		for _, t := range lagTimes {
			p, ok := at(points, name, t)
			if !ok {
				row = append(row, "")
				continue
			}
			row[1] = stats.Number(float64(max(p.Probes, atoi(row[1]))))
			row = append(row, fmt.Sprintf("%s (%s to %s)", lag.Percent(p.Share()), short(p.Low), short(p.High)))
		}
		rows = append(rows, row)
	}
	return rows
}

func atoi(s string) (n int) {
	_, _ = fmt.Sscan(strings.ReplaceAll(s, ",", ""), &n) // 0 of what is no number
	return n
}

func short(share float64) string { return strings.TrimSuffix(fmt.Sprintf("%.3g", 100*share), ".0") }

// replicas are the names in their order.
func replicas(points []lag.Point) []string {
	var names []string
	for _, p := range points {
		if !slices.Contains(names, p.Replica) {
			names = append(names, p.Replica)
		}
	}
	return names
}

// at is a curve's point at a time; the last one when the curve ends before, where all that will be fresh is.
func at(points []lag.Point, name string, t float64) (found lag.Point, ok bool) {
	for _, p := range points {
		if p.Replica == name && p.T <= t*1.0001 {
			found, ok = p, true
		}
	}
	return found, ok
}

// adviceRows is the windows and their price.
func adviceRows(a lag.Advice) [][]string {
	rows := [][]string{{"fresh reads", "window", "between (95 %)", "reads on the primary", "a second"}}
	for _, l := range a.Levels {
		window, between := "none", ""
		if l.Window != nil {
			window = lag.Time(*l.Window)
		}
		if l.Low != nil {
			between = lag.Time(*l.Low) + " and "
			if l.High != nil {
				between += lag.Time(*l.High)
			} else {
				between += "?"
			}
		}
		if !l.Enough && l.Window != nil {
			window += " (largest seen)"
		}
		rows = append(rows, []string{l.Name(), window, between, lag.Percent(l.PrimaryShare), stats.Number(l.PrimaryReads)})
	}
	return rows
}

// figureTable has a line for each figure and a column for each subject.
func figureTable(w io.Writer, figures []stats.Figure) {
	writeGrid(w, figureRows(figures))
	fmt.Fprintln(w, "\nMedians of the rounds, with the lowest and the highest.")
}

// figureRows is the same as texts, with a head.
func figureRows(figures []stats.Figure) [][]string {
	var subjects, names []string
	cell := map[[2]string]string{}
	after := -1 // where a name goes that is new: behind the one before it
	for _, f := range figures {
		if !slices.Contains(subjects, f.Subject) {
			subjects, after = append(subjects, f.Subject), -1
		}
		name := f.Name
		if f.Unit != "" {
			name += ", " + f.Unit
		}
		if i := slices.Index(names, name); i >= 0 {
			after = i
		} else {
			after++
			names = slices.Insert(names, after, name)
		}
		cell[[2]string{f.Subject, name}] = spread(f)
	}
	rows := [][]string{append([]string{""}, subjects...)}
	for _, name := range names {
		row := []string{name}
		for _, subject := range subjects {
			row = append(row, cell[[2]string{subject, name}])
		}
		rows = append(rows, row)
	}
	return rows
}

// spread is a figure with its range.
func spread(f stats.Figure) string {
	if f.Low == f.High {
		return stats.Number(f.Median)
	}
	return fmt.Sprintf("%s (%s to %s)", stats.Number(f.Median), stats.Number(f.Low), stats.Number(f.High))
}

// writeGrid writes rows in columns: the first to the left, the others to the right.
func writeGrid(w io.Writer, rows [][]string) {
	var widths []int
	for _, row := range rows {
		for i, s := range row {
			if i == len(widths) {
				widths = append(widths, 0)
			}
			widths[i] = max(widths[i], utf8.RuneCountInString(s))
		}
	}
	for _, row := range rows {
		line := ""
		for i, s := range row {
			space := strings.Repeat(" ", widths[i]-utf8.RuneCountInString(s))
			if i == 0 {
				line += "  " + s + space
			} else {
				line += "   " + space + s
			}
		}
		fmt.Fprintln(w, strings.TrimRight(line, " "))
	}
}

// wrap breaks lines at a width.
func wrap(s string, width int) string {
	var b strings.Builder
	column := 0
	for i, word := range strings.Fields(s) {
		n := utf8.RuneCountInString(word)
		switch {
		case i == 0:
		case column+1+n > width:
			b.WriteByte('\n')
			column = 0
		default:
			b.WriteByte(' ')
			column++
		}
		b.WriteString(word)
		column += n
	}
	return b.String()
}
