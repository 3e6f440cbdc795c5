package stats

import (
	"fmt"
	"math"
	"slices"
)

// Better says which direction of a figure is good.
type Better string

// The directions.
const (
	Lower  Better = "lower"
	Higher Better = "higher"
	Either Better = "" // it is what it is
)

// Figure is something measured in several rounds.
type Figure struct {
	Subject string    `json:"subject"` // of what: a replica, a policy, an endpoint
	Name    string    `json:"name"`
	Unit    string    `json:"unit,omitempty"`
	Better  Better    `json:"better,omitempty"`
	Median  float64   `json:"median"`
	Low     float64   `json:"low"`  // of all rounds
	High    float64   `json:"high"` // of all rounds
	Rounds  []float64 `json:"rounds"`
}

// NewFigure makes the figure of the rounds' values. Those that are no finite number (a round in which nothing could be
// told) are left out; ok is false when none is left.
func NewFigure(subject, name, unit string, better Better, rounds []float64) (f Figure, ok bool) {
	f = Figure{Subject: subject, Name: name, Unit: unit, Better: better}
	for _, v := range rounds {
		if !math.IsInf(v, 0) && !math.IsNaN(v) {
			f.Rounds = append(f.Rounds, v)
		}
	}
	if len(f.Rounds) == 0 {
		return f, false
	}
	f.Median, f.Low, f.High = Median(f.Rounds), slices.Min(f.Rounds), slices.Max(f.Rounds)
	return f, true
}

// Verdict is what can be said about two figures of the same thing.
type Verdict string

// The verdicts.
const (
	Noise   Verdict = "noise"          // chance explains the difference
	Change  Verdict = "change"         // it hardly does
	TooFew  Verdict = "too few rounds" // whatever they say, so few rounds could be chance
	Nothing Verdict = "equal"          // no round differs
)

const (
	// significant is the share of chance results that look like a change.
	significant = 0.05
	// maxArrangements bounds the exact test; beyond that many the normal approximation is as good.
	maxArrangements = 200_000
)

// Compare tells whether the rounds of b differ from those of a by more than noise, by the two-sided rank test of
// Wilcoxon, Mann and Whitney: it asks how often rounds that are all alike would be dealt out so unevenly. It knows
// nothing about how noise is distributed, but needs rounds: with fewer than four on each side nothing is significant.
func Compare(a, b []float64) (v Verdict, p float64) {
	all := append(slices.Clone(a), b...)
	switch {
	case len(a) == 0 || len(b) == 0:
		return TooFew, 1
	case slices.Min(all) == slices.Max(all):
		return Nothing, 1
	case 2/float64(arrangements(len(all), len(a))) > significant:
		return TooFew, 1
	}
	ranks := midranks(all)
	sum := 0.0
	for _, r := range ranks[:len(a)] {
		sum += r
	}
	p = chance(ranks, len(a), sum)
	if p <= significant {
		return Change, p
	}
	return Noise, p
}

// midranks are the ranks of the values; equal values share the mean of theirs.
func midranks(values []float64) []float64 {
	order := make([]int, len(values))
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(i, j int) int { return cmpFloat(values[i], values[j]) })
	ranks := make([]float64, len(values))
	for i := 0; i < len(order); {
		j := i
		for j < len(order) && values[order[j]] == values[order[i]] {
			j++
		}
		for _, at := range order[i:j] {
			ranks[at] = float64(i+j+1) / 2
		}
		i = j
	}
	return ranks
}

func cmpFloat(a, b float64) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

// chance is the share of the ways to deal n of the ranks whose sum is as far from the mean as sum or farther.
func chance(ranks []float64, n int, sum float64) float64 {
	mean := float64(n) * float64(len(ranks)+1) / 2
	far := math.Abs(sum-mean) - 1e-9
	if arrangements(len(ranks), n) > maxArrangements {
		return normalChance(ranks, n, far)
	}
	total, extreme := 0, 0
	var deal func(at, left int, sum float64)
	deal = func(at, left int, sum float64) {
		if left == 0 {
			total++
			if math.Abs(sum-mean) >= far {
				extreme++
			}
			return
		}
		for i := at; i <= len(ranks)-left; i++ {
			deal(i+1, left-1, sum+ranks[i])
		}
	}
	deal(0, n, 0)
	return float64(extreme) / float64(total)
}

// normalChance is chance by the normal distribution, with the correction for ties.
func normalChance(ranks []float64, n int, far float64) float64 {
	total := float64(len(ranks))
	ties := 0.0
	counts := map[float64]float64{}
	for _, r := range ranks {
		counts[r]++
	}
	for _, c := range counts {
		ties += c*c*c - c
	}
	m := total - float64(n)
	variance := float64(n) * m / 12 * (total + 1 - ties/(total*(total-1)))
	return math.Erfc(far / math.Sqrt(2*variance))
}

// arrangements is the number of ways to choose k of n, or some number beyond maxArrangements.
func arrangements(n, k int) int {
	result := 1
	for i := 1; i <= min(k, n-k); i++ {
		if result = result * (n - i + 1) / i; result > 1<<40 {
			return result
		}
	}
	return result
}

// Number formats a value with three significant digits, as people read figures.
func Number(v float64) string {
	switch a := math.Abs(v); {
	case v == 0:
		return "0"
	case a >= 1000:
		return group(fmt.Sprintf("%.0f", v))
	case a >= 100:
		return fmt.Sprintf("%.0f", v)
	case a >= 10:
		return fmt.Sprintf("%.1f", v)
	case a >= 1:
		return fmt.Sprintf("%.2f", v)
	case a >= 0.001:
		return fmt.Sprintf("%.3g", v)
	}
	return fmt.Sprintf("%.1e", v)
}

// group puts commas between thousands.
func group(s string) string {
	sign := ""
	if s[0] == '-' {
		sign, s = "-", s[1:]
	}
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return sign + s
}
