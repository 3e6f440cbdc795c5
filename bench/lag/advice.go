package lag

import (
	"fmt"
	"math"
	"strings"

	"github.com/stickyproxy/stickyproxy/bench/stats"
)

// Application is for whom advice is given.
type Application struct {
	Writes   float64 `json:"writes_per_s"` // of all sessions together
	Reads    float64 `json:"reads_per_s"`
	Sessions int     `json:"sessions"` // people who are active at the same time
}

// Validate tells what is wrong with it.
func (a Application) Validate() error {
	if !(a.Writes > 0) || !(a.Reads > 0) || a.Sessions < 1 {
		return fmt.Errorf("an application with %v writes and %v reads a second of %d sessions: all have to be above 0", a.Writes, a.Reads, a.Sessions)
	}
	return nil
}

// Level is the window for one share of fresh reads.
type Level struct {
	Share  float64  `json:"share"`
	Window *float64 `json:"window_ms"` // null: no window would do, some writes were never seen
	Low    *float64 `json:"low_ms"`    // the window is known to be between these, 95 %
	High   *float64 `json:"high_ms"`   // null: not bounded by so few probes
	Enough bool     `json:"enough"`    // false: fewer probes than one in 1-share; Window is the largest age seen

	PrimaryShare float64 `json:"primary_share"`        // of reads that the window holds on the primary
	PrimaryReads float64 `json:"primary_reads_per_s"`  // the same as a rate
	Needed       int     `json:"probes_for,omitempty"` // how many probes would be enough
}

// Name is the share for people: "99.9 %".
func (l Level) Name() string { return fmt.Sprintf("%g %%", math.Round(l.Share*1e6)/1e4) }

// Advice is the window that makes a share of reads fresh, and what it costs.
type Advice struct {
	P99   *float64 `json:"p99_ms"`
	P999  *float64 `json:"p999_ms"`
	P9999 *float64 `json:"p9999_ms"`

	Levels      []Level     `json:"levels"`
	Application Application `json:"application"`
	// ProofShare is the share of reads that would be on the primary if each were held there only until its session's
	// write is known to be on the replica.
	ProofShare float64 `json:"proof_primary_share"`
	Probes     int     `json:"probes"`
	Sentence   string  `json:"sentence"`
}

// levels are the shares of fresh reads that advice is given for.
var levels = []float64{0.99, 0.999, 0.9999}

// advise makes advice of the ages of writes at a replica.
func advise(probes []Probe, app Application) Advice {
	sorted := ages(probes)
	a := Advice{Application: app, Probes: len(sorted)}
	for _, share := range levels {
		a.Levels = append(a.Levels, level(sorted, share, app))
	}
	a.P99, a.P999, a.P9999 = a.Levels[0].Window, a.Levels[1].Window, a.Levels[2].Window
	for _, age := range sorted {
		a.ProofShare += app.held(age) / float64(len(sorted))
	}
	a.ProofShare = round6(a.ProofShare)
	a.Sentence = a.sentence()
	return a
}

func level(sorted []float64, share float64, app Application) Level {
	band, enough := stats.QuantileBand(sorted, share)
	l := Level{Share: share, Enough: enough, Low: finite(band.Low), High: finite(up(band.High)), Window: finite(up(stats.Quantile(sorted, share)))}
	if !enough {
		l.Needed = int(math.Round(1 / (1 - share)))
	}
	l.PrimaryShare = 1
	if l.Window != nil {
		l.PrimaryShare = round6(app.held(*l.Window))
	}
	l.PrimaryReads = round6(l.PrimaryShare * app.Reads)
	return l
}

// held is the share of reads that a window of so many milliseconds holds on the primary, where reads do not follow
// writes more closely than chance has it. A session's writes are a Poisson process and each restarts the window in full,
// so the session is free when there was no write for a window.
func (a Application) held(window float64) float64 {
	if math.IsInf(window, 1) {
		return 1
	}
	return -math.Expm1(-a.Writes / float64(a.Sessions) * window / 1000)
}

// up rounds a time to be waited up to a tenth of a millisecond.
func up(v float64) float64 { return math.Ceil(v*10-1e-9) / 10 }

// finite is v for JSON, which has no infinity.
func finite(v float64) *float64 {
	if math.IsInf(v, 0) {
		return nil
	}
	v = round6(v)
	return &v
}

// sentence says it in words.
func (a Advice) sentence() string {
	l := a.Levels[0]
	if l.Window == nil {
		return "No window makes 99 % of reads fresh: more writes than that were not seen on a replica before the measurement ended."
	}
	var b strings.Builder
	fmt.Fprintf(&b, "A window of %s makes 99 %% of the reads after a write fresh", Time(*l.Window))
	for _, l := range a.Levels[1:] {
		if l.Window != nil && l.Enough {
			fmt.Fprintf(&b, ", %s makes %s", Time(*l.Window), l.Name())
		}
	}
	last := a.Levels[0]
	for _, l := range a.Levels {
		if l.Window != nil && l.Enough {
			last = l
		}
	}
	fmt.Fprintf(&b, ". With %s writes a second of %s sessions, %s costs %s of the reads (%s of %s a second) on the primary",
		stats.Number(a.Application.Writes), stats.Number(float64(a.Application.Sessions)), Time(*last.Window),
		Percent(last.PrimaryShare), stats.Number(last.PrimaryReads), stats.Number(a.Application.Reads))
	fmt.Fprintf(&b, "; waiting for proof (GTID) instead of a time would cost %s.", Percent(a.ProofShare))
	if !a.Levels[2].Enough {
		fmt.Fprintf(&b, " %s probes are too few to speak of 99.99 %%: that takes %s.", stats.Number(float64(a.Probes)), stats.Number(float64(a.Levels[2].Needed)))
	}
	return b.String()
}

// Time is a number of milliseconds for people.
func Time(ms float64) string {
	if ms >= 1000 {
		return stats.Number(ms/1000) + " s"
	}
	return stats.Number(ms) + " ms"
}

// Percent is a share for people, with the digits that are needed to tell it from 0 and 1.
func Percent(share float64) string {
	p := 100 * share
	switch {
	case p == 0 || p == 100:
		return fmt.Sprintf("%.0f %%", p)
	case p < 0.001:
		return "below 0.001 %"
	case p < 1 || p > 99:
		digits := 1
		for digits < 4 && math.Abs(p-math.Round(p*math.Pow10(digits))/math.Pow10(digits)) > min(p, 100-p)/20 {
			digits++
		}
		return fmt.Sprintf("%.*f %%", digits, p)
	}
	return fmt.Sprintf("%.1f %%", p)
}
