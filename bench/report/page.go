package report

import (
	_ "embed" // the page
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/stickyproxy/stickyproxy/bench/lag"
	"github.com/stickyproxy/stickyproxy/bench/stats"
)

//go:embed page.css
var style string

// page is what the template shows.
type page struct {
	Title, Subtitle string
	Cards           []card
	Sentence        string
	Notes           []string
	Pictures        []picture
	Table           *table
	Facts           []fact
	Repeat          string
}

// card is one large figure.
type card struct{ Above, Big, Below string }

// picture is one chart with its words.
type picture struct {
	Title, Text string
	Wide        bool // it takes the whole width of the page
	Legend      []mark
	SVG         markup
}

// mark is one entry of a legend.
type mark struct {
	Name   string
	Colour string // name of the variable
}

// table is all figures.
type table struct {
	Head []string
	Rows []tableRow
}

type tableRow struct {
	Name  string
	Cells []cell
}

type cell struct{ Median, Range string }

type fact struct{ Name, Value string }

// WritePage writes the report as one HTML file that needs nothing else: no network, no script.
func (r *Report) WritePage(path string) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	if err := r.Page(f); err != nil {
		f.Close()
		return err
	}
	return f.Close()
}

// Page writes the page.
func (r *Report) Page(w io.Writer) error {
	p := page{Subtitle: r.subtitle(), Notes: r.Problems, Facts: r.facts(), Repeat: r.Repeat, Table: r.table()}
	var err error
	switch {
	case r.Result != nil:
		err = r.lagPage(&p)
	case r.Policies != nil:
		err = r.policiesPage(&p)
	case r.Load != nil:
		err = r.loadPage(&p)
	case r.Check != nil:
		err = r.checkPage(&p)
	}
	if err != nil {
		return err
	}
	_, err = io.WriteString(w, p.html())
	return err
}

// subtitle says of what and when.
func (r *Report) subtitle() string {
	var versions []string
	for _, s := range r.Servers {
		if s.Role == "primary" {
			versions = append(versions, s.Version)
		}
	}
	replicas := len(r.Servers) - len(versions)
	if len(versions) == 0 {
		return fmt.Sprintf("%d endpoints, %s", replicas, r.Started.Format("2 January 2006, 15:04 UTC"))
	}
	return fmt.Sprintf("%s with %d replicas, %s", strings.Join(versions, ", "), replicas, r.Started.Format("2 January 2006, 15:04 UTC"))
}

// facts are the circumstances.
func (r *Report) facts() []fact {
	list := []fact{
		{"Machine", strings.Join(nonEmpty(r.Machine.CPU, fmt.Sprintf("%d processors", r.Machine.Processors), fmt.Sprintf("%d MB", r.Machine.MemoryMB), r.Machine.OS+" "+r.Machine.Kernel, fmt.Sprintf("load %.1f at the start", r.Machine.Load)), ", ")},
		{"Software", fmt.Sprintf("stickyproxy %s, %s", r.Version, r.Go)},
		{"Took", (time.Duration(r.Seconds) * time.Second).String()},
	}
	for _, s := range r.Servers {
		list = append(list, fact{s.Name, s.Address + ", " + s.Version})
	}
	if r.LagText != "" {
		list = append(list, fact{"Lag", r.LagText})
	}
	return append(list, fact{"To repeat it", ""})
}

func nonEmpty(list ...string) []string {
	var kept []string
	for _, s := range list {
		if s != "" {
			kept = append(kept, s)
		}
	}
	return kept
}

// table is all figures, a column for each subject.
func (r *Report) table() *table {
	rows := figureRows(r.Figures)
	if len(rows) == 0 {
		return nil
	}
	t := &table{Head: rows[0]}
	for _, row := range rows[1:] {
		out := tableRow{Name: row[0]}
		for _, text := range row[1:] {
			median, spread, _ := strings.Cut(text, " (")
			out.Cells = append(out.Cells, cell{median, strings.TrimSuffix(spread, ")")})
		}
		t.Rows = append(t.Rows, out)
	}
	return t
}

// lagPage is the page of bench lag.
func (r *Report) lagPage(p *page) error {
	p.Title = "How stale are reads from a replica?"
	p.Sentence = r.Advice.Sentence
	for _, l := range r.Advice.Levels {
		c := card{Above: l.Name() + " of reads are fresh after", Big: "never", Below: "some writes were not seen before the end"}
		if l.Window != nil {
			c.Big = lag.Time(*l.Window)
			c.Below = fmt.Sprintf("costs %s of the reads on the primary", lag.Percent(l.PrimaryShare))
			if !l.Enough {
				c.Below = fmt.Sprintf("the longest of %s probes; it takes %s to be sure", stats.Number(float64(r.Advice.Probes)), stats.Number(float64(l.Needed)))
			}
		}
		p.Cards = append(p.Cards, c)
	}
	var legend, over []mark
	for _, c := range r.curves() {
		legend = append(legend, mark{c.name, c.role.name()})
	}
	for i, name := range replicas(r.Visibility) {
		if name != lag.Any {
			over = append(over, mark{name, seriesRole(i).name()})
		}
	}
	return p.draw(
		drawing{picture{Title: "Fresh reads", Text: "The probability that a read sees a write that was acknowledged some time ago, with its 95 % band.", Legend: legend}, r.visibilityPicture},
		drawing{picture{Title: "Stale reads", Text: "The same from below, where 99.9 % and 99.99 % can be told apart. A dot: none was stale beyond it.", Legend: legend}, r.stalePicture},
		drawing{picture{Title: "Lag over time", Text: "Until a write was visible: the median, and dotted the longest, of each moment.", Legend: over, Wide: true}, r.lagPicture},
	)
}

// drawing is a picture and who draws it.
type drawing struct {
	picture
	draw func() (markup, error)
}

// draw adds pictures to the page.
func (p *page) draw(list ...drawing) error {
	for _, d := range list {
		var err error
		if d.SVG, err = d.draw(); err != nil {
			return err
		}
		p.Pictures = append(p.Pictures, d.picture)
	}
	return nil
}

// policiesPage is the page of bench policies.
func (r *Report) policiesPage(p *page) error {
	p.Title = "What does it cost to read what one wrote?"
	var legend []mark
	for i, o := range r.Policies.Policies {
		legend = append(legend, mark{o.Policy, seriesRole(i).name()})
		c := card{Above: o.Policy, Big: lag.Percent(o.StaleShare), Below: "stale reads of own data"}
		if o.ReplicaShare != nil {
			c.Below += fmt.Sprintf(", %.0f %% of the reads on the primary", 100*(1-*o.ReplicaShare))
		}
		p.Cards = append(p.Cards, c)
	}
	w := r.Policies.Workload
	p.Sentence = fmt.Sprintf("%d users share %d connections and act %s times a second: %.0f %% of the actions write, and %.0f %% of the other ones read what the user wrote.",
		w.Users, w.Pool, stats.Number(w.Rate), 100*w.WriteShare, 100*w.OwnShare)
	return p.draw(
		drawing{picture{Title: "Staleness against load", Text: "The best place is at the bottom left: nothing stale, and nothing on the primary. Lines: the range of the rounds."}, r.tradePicture},
		drawing{picture{Title: "Latency", Text: "Of reads, from the time they were due, under an open load.", Legend: legend}, r.latencyPicture},
	)
}

// loadPage is the page of bench load: a picture for each figure.
func (r *Report) loadPage(p *page) error {
	p.Title = "What do these endpoints cost?"
	p.Sentence = fmt.Sprintf("%d clients ask as fast as they are answered, at one endpoint after the other, round after round.", r.Load.Clients)
	var names []string
	by := map[string][]stats.Figure{}
	roles := map[string]role{}
	for _, f := range r.Figures {
		if by[f.Name] == nil {
			names = append(names, f.Name)
		}
		by[f.Name] = append(by[f.Name], f)
		if _, ok := roles[f.Subject]; !ok {
			roles[f.Subject] = seriesRole(len(roles))
		}
	}
	for _, name := range names {
		if strings.Contains(name, "ratio") {
			continue // is in the table
		}
		var colours []role
		for _, f := range by[name] {
			colours = append(colours, roles[f.Subject])
		}
		d := drawing{picture{Title: strings.ToUpper(name[:1]) + name[1:], Text: better(by[name][0])}, func() (markup, error) { return barsPicture(by[name], colours) }}
		if err := p.draw(d); err != nil {
			return err
		}
	}
	return nil
}

// better says which direction is good.
func better(f stats.Figure) string {
	switch f.Better {
	case stats.Lower:
		return "Less is better."
	case stats.Higher:
		return "More is better."
	}
	return ""
}
