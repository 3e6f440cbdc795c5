package report

import (
	"fmt"
	"math"

	"github.com/stickyproxy/stickyproxy/bench/lag"
	"github.com/stickyproxy/stickyproxy/bench/stats"
)

// timeAxis is a logarithmic axis of milliseconds, a tick a decade.
func timeAxis(low, high float64, title string) scale {
	from, to := math.Floor(math.Log10(low)+1e-9), math.Ceil(math.Log10(high)-1e-9)
	if to <= from {
		to = from + 1
	}
	s := scale{low: math.Pow(10, from), high: math.Pow(10, to), log: true, title: title}
	for i := from; i <= to; i++ {
		s.ticks = append(s.ticks, tick{math.Pow(10, i), shortTime(math.Pow(10, i))})
	}
	return s
}

// shortTime is a power of ten of milliseconds.
func shortTime(ms float64) string {
	if ms >= 999 {
		return fmt.Sprintf("%.0f s", ms/1000)
	}
	if ms < 0.0999 {
		return fmt.Sprintf("%.0f µs", ms*1000)
	}
	return fmt.Sprintf("%g ms", math.Round(ms*10)/10)
}

// percentAxis goes from 0 to 100 %.
func percentAxis(title string) scale {
	s := scale{low: 0, high: 1, title: title}
	for i := 0; i <= 100; i += 20 {
		s.ticks = append(s.ticks, tick{float64(i) / 100, fmt.Sprintf("%d %%", i)})
	}
	return s
}

// rareAxis is a logarithmic axis of shares, down to one that is seen once in so many.
func rareAxis(probes int, title string) scale {
	low := math.Pow(10, math.Floor(-math.Log10(float64(max(probes, 100)))))
	s := scale{low: low, high: 1, log: true, title: title}
	for v := 1.0; v > low*0.99; v /= 10 {
		s.ticks = append(s.ticks, tick{v, fmt.Sprintf("%g %%", math.Round(v*1e8)/1e6)})
	}
	return s
}

// linearAxis goes from 0 to a round number that is at least high.
func linearAxis(high float64, unit, title string) scale {
	step := math.Pow(10, math.Floor(math.Log10(max(high, 1e-9))))
	for _, f := range []float64{0.2, 0.5, 1, 2} {
		if high/(step*f) <= 5 {
			step *= f
			break
		}
	}
	s := scale{low: 0, high: step * math.Max(1, math.Ceil(high/step-1e-9)), title: title}
	for i := 0.0; i*step <= s.high*1.0001; i++ {
		s.ticks = append(s.ticks, tick{i * step, fmt.Sprintf("%g%s", math.Round(i*step*1e9)/1e9, unit)})
	}
	return s
}

// secondsAxis is the time of a run.
func secondsAxis(length float64) scale { return linearAxis(length, " s", "time of the run") }

// ninesAxis is percentiles that come closer and closer to 100.
func ninesAxis(highest float64) scale {
	s := scale{low: 0, high: max(1, highest), title: "percentile of the reads"}
	for i, label := range []string{"0", "90", "99", "99.9", "99.99"} {
		if float64(i) <= s.high+0.01 {
			s.ticks = append(s.ticks, tick{float64(i), label})
		}
	}
	return s
}

// nines is where a percentile is on a ninesAxis.
func nines(percentile float64) float64 { return -math.Log10(max(1e-9, 1-percentile/100)) }

// tipTime says a point of a curve in words.
func tipTime(p lag.Point) string {
	return fmt.Sprintf("%s, %s after the write: %s of %s reads fresh (%s), %s to %s",
		p.Replica, lag.Time(p.T), stats.Number(float64(p.Fresh)), stats.Number(float64(p.Probes)), lag.Percent(p.Share()), lag.Percent(p.Low), lag.Percent(p.High))
}
