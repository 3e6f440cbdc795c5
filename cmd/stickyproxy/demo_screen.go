package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"time"
)

// screen shows the scene: redrawn and in colour on a terminal, in plain lines elsewhere, and not at all when only
// figures are asked for.
type screen struct {
	out      io.Writer
	terminal bool
	silent   bool
	drawn    int // lines to go up before the next drawing
	missing  lastMissed
}

func newScreen(out io.Writer, silent bool) *screen {
	return &screen{out: out, terminal: isTerminal(out), silent: silent}
}

// isTerminal reports whether colour and redrawing make sense on w.
func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	if !ok || os.Getenv("NO_COLOR") != "" || os.Getenv("TERM") == "" || os.Getenv("TERM") == "dumb" {
		return false
	}
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

// every is how often the screen is drawn.
func (s *screen) every() time.Duration {
	if s.terminal {
		return 100 * time.Millisecond
	}
	return time.Second
}

const (
	bold  = "\x1b[1m"
	red   = "\x1b[31m"
	green = "\x1b[32m"
	dim   = "\x1b[2m"
	plain = "\x1b[0m"
)

// paint colours text on a terminal.
func (s *screen) paint(colour, text string) string {
	if !s.terminal || colour == "" {
		return text
	}
	return colour + text + plain
}

// draw shows the figures at the time at of length.
func (s *screen) draw(at, length time.Duration, naive, proxy figures) {
	switch {
	case s.silent:
	case s.terminal:
		s.redraw(s.table(at, length, naive, proxy))
	default:
		fmt.Fprintf(s.out, "%3.0fs  naive split: %d reads, %d stale, %s on replicas   stickyproxy: %d reads, %d stale, %s on replicas\n",
			at.Seconds(), naive.Reads, naive.Stale, percent(naive), proxy.Reads, proxy.Stale, percent(proxy))
	}
}

// table is the figures side by side.
func (s *screen) table(at, length time.Duration, naive, proxy figures) []string {
	row := func(name, a, b, colourA, colourB string) string {
		return fmt.Sprintf("  %-20s %s   %s", name, s.paint(colourA, fmt.Sprintf("%14s", a)), s.paint(colourB, fmt.Sprintf("%14s", b)))
	}
	lines := []string{
		"",
		s.paint(bold, fmt.Sprintf("  %d people post a comment and reload the page   %2.0f of %.0f s", people, at.Seconds(), length.Seconds())),
		"",
		row("", "naive split", "stickyproxy", bold, bold),
		row("reads", fmt.Sprint(naive.Reads), fmt.Sprint(proxy.Reads), "", ""),
		row("stale reads", fmt.Sprint(naive.Stale), fmt.Sprint(proxy.Stale), staleColour(naive), staleColour(proxy)),
		row("reads on replicas", percent(naive), percent(proxy), "", ""),
		"",
	}
	if text := s.missing.get(); text != "" {
		lines = append(lines, "  "+s.paint(dim, text))
	}
	return lines
}

func staleColour(f figures) string {
	if f.Stale > 0 {
		return red
	}
	return green
}

// redraw puts lines where the last ones are.
func (s *screen) redraw(lines []string) {
	var b strings.Builder
	if s.drawn > 0 {
		fmt.Fprintf(&b, "\x1b[%dA\x1b[J", s.drawn)
	}
	for _, line := range lines {
		b.WriteString(line + "\n")
	}
	s.drawn = len(lines)
	fmt.Fprint(s.out, b.String())
}

// missed notes that somebody's comment was not on their own page.
func (s *screen) missed(p *person) {
	side := "naive split"
	if !p.split {
		side = "stickyproxy"
	}
	s.missing.set(fmt.Sprintf("%s: %s posted comment %d, reloaded, and it is not there", side, names[p.id%len(names)], p.posted))
}

// end sums up.
func (s *screen) end(r sceneResult) {
	if s.silent {
		return
	}
	if !s.terminal {
		fmt.Fprintln(s.out, strings.Join(s.table(0, 0, r.Naive, r.Proxy)[3:7], "\n"))
	}
	fmt.Fprintf(s.out, "\n  Naive split: %d of %d reloads did not show the person's own comment. stickyproxy: %d of %d.\n",
		r.Naive.Stale, r.Naive.Reads, r.Proxy.Stale, r.Proxy.Reads)
}

func percent(f figures) string { return fmt.Sprintf("%.0f %%", 100*f.ReplicaShare) }
