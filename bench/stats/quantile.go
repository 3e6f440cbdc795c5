package stats

import (
	"math"
	"slices"
)

// Quantile is the smallest of the sorted values that at least the share p of them does not exceed. It is +Inf without
// values.
func Quantile(sorted []float64, p float64) float64 {
	if len(sorted) == 0 {
		return math.Inf(1)
	}
	return sorted[rank(p, len(sorted))]
}

// rank is the index of the quantile p among n sorted values.
func rank(p float64, n int) int {
	// The subtraction keeps 0.99 * 100 from being 99.00000000000001.
	return min(max(int(math.Ceil(p*float64(n)-1e-9))-1, 0), n-1)
}

// QuantileBand is the 95 % band of the quantile p, from the ranks between which it lies. High is +Inf when there are too
// few values to bound it from above, which is said by enough.
func QuantileBand(sorted []float64, p float64) (band Band, enough bool) {
	n := float64(len(sorted))
	if n == 0 {
		return Band{0, math.Inf(1)}, false
	}
	half := z95 * math.Sqrt(n*p*(1-p))
	low := max(0, int(math.Floor(n*p-half))-1)
	high := int(math.Ceil(n*p + half))
	band = Band{sorted[min(low, len(sorted)-1)], math.Inf(1)}
	if high < len(sorted) {
		band.High = sorted[high]
	}
	// Fewer values than one in 1-p cannot tell the quantile from the largest value.
	return band, n*(1-p) >= 1-1e-9
}

// Median is the middle of the values, in any order; 0 without values.
func Median(values []float64) float64 {
	if len(values) == 0 {
		return 0
	}
	s := slices.Sorted(slices.Values(values))
	n := len(s)
	return (s[(n-1)/2] + s[n/2]) / 2
}
