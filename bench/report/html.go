package report

import (
	"fmt"
	"html"
	"strings"
)

// The page is put together here and not by html/template: that looks methods up by name, for which the linker has to
// keep every method of every type, 3.6 MB of a program whose main work is another one.

// markup is a text that is HTML already.
type markup string

// paper is a page while it is written.
type paper struct{ strings.Builder }

// put appends HTML with values in it. Strings are escaped; markup is not.
func (p *paper) put(format string, values ...any) {
	for i, v := range values {
		if s, ok := v.(string); ok {
			values[i] = html.EscapeString(s)
		}
	}
	fmt.Fprintf(p, format, values...)
}

// html is the page as a whole.
func (p *page) html() string {
	w := new(paper)
	w.put(`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>%s</title>
<link rel="icon" href="data:,">
<style>
%s</style>
</head>
<body>
<main>
<header><h1>%[1]s</h1><p>%[3]s</p></header>
`, p.Title, markup(style), p.Subtitle)
	w.cards(p.Cards)
	if p.Sentence != "" {
		w.put("<p class=\"say\">%s</p>\n", p.Sentence)
	}
	for _, n := range p.Notes {
		w.put("<p class=\"note\">%s.</p>\n", n)
	}
	w.put("<div class=\"grid\">\n")
	for _, x := range p.Pictures {
		w.picture(x)
	}
	w.put("</div>\n")
	w.table(p.Table)
	w.facts(p.Facts, p.Repeat)
	w.put("</main>\n</body>\n</html>\n")
	return w.String()
}

func (w *paper) cards(list []card) {
	if len(list) == 0 {
		return
	}
	w.put(`<div class="cards">`)
	for _, c := range list {
		w.put(`<div class="card"><p>%s</p><div class="big">%s</div><p>%s</p></div>`, c.Above, c.Big, c.Below)
	}
	w.put("</div>\n")
}

func (w *paper) picture(x picture) {
	class := "card"
	if x.Wide {
		class += " wide-card"
	}
	w.put(`<figure class="%s"><h2>%s</h2><p>%s</p>`, class, x.Title, x.Text)
	if len(x.Legend) > 0 {
		w.put(`<ul class="legend">`)
		for _, m := range x.Legend {
			w.put(`<li><i style="background:var(%s)"></i>%s</li>`, m.Colour, m.Name)
		}
		w.put("</ul>")
	}
	w.put("%s</figure>\n", x.SVG)
}

func (w *paper) table(t *table) {
	if t == nil {
		return
	}
	w.put(`<section class="card"><h2>All figures</h2><p>Medians of the rounds, and the lowest and the highest.</p><div class="wide"><table><tr>`)
	for _, h := range t.Head {
		w.put("<th>%s</th>", h)
	}
	w.put("</tr>\n")
	for _, row := range t.Rows {
		w.put("<tr><td>%s</td>", row.Name)
		for _, c := range row.Cells {
			w.put("<td>%s <small>%s</small></td>", c.Median, c.Range)
		}
		w.put("</tr>\n")
	}
	w.put("</table></div></section>\n")
}

func (w *paper) facts(list []fact, repeat string) {
	w.put(`<section class="card"><h2>How it was measured</h2><dl>`)
	for _, f := range list {
		w.put("<dt>%s</dt><dd>%s</dd>", f.Name, f.Value)
	}
	w.put("</dl><pre>%s</pre></section>\n", repeat)
}
