package main

import (
	"fmt"
	"io"
	"strings"
	"sync"
	"time"
)

// progress is the line that says how far a run is: redrawn on a terminal; elsewhere only what is worth a line of its own.
// Its methods may be called from any goroutine.
type progress struct {
	out      io.Writer
	terminal bool

	mu    sync.Mutex
	drawn bool
}

func newProgress(out io.Writer) *progress { return &progress{out: out, terminal: isTerminal(out)} }

// barWidth is that of the bar, characters.
const barWidth = 24

// show says how much of what is done.
func (p *progress) show(what string, done, total time.Duration) {
	if !p.terminal || total <= 0 {
		return
	}
	full := int(barWidth * min(done, total) / total)
	left := max(0, total-done).Round(time.Second)
	p.mu.Lock()
	defer p.mu.Unlock()
	fmt.Fprintf(p.out, "\r\x1b[K  %s %s%s %v left", what, strings.Repeat("█", full), strings.Repeat("░", barWidth-full), left)
	p.drawn = true
}

// Write lets other parts of the program say something without spoiling the line.
func (p *progress) Write(b []byte) (int, error) {
	p.clear()
	return p.out.Write(b)
}

// clear takes the line away.
func (p *progress) clear() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.drawn {
		fmt.Fprint(p.out, "\r\x1b[K")
		p.drawn = false
	}
}
