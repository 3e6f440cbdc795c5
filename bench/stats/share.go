package stats

import "math"

// z95 is the two-sided 95 % point of the normal distribution.
const z95 = 1.959964

// Band is an interval that holds the true value with a confidence of 95 %.
type Band struct{ Low, High float64 }

// Wilson is the band of a share of which n independent trials had k successes (Wilson's score interval, which stays
// inside 0 and 1 and is honest at both ends). n may be a fraction: an effective number of trials. Without trials it is
// everything from 0 to 1.
// https://www.itl.nist.gov/div898/handbook/prc/section2/prc241.htm
func Wilson(k, n float64) Band {
	if n <= 0 {
		return Band{0, 1}
	}
	p := k / n
	center := (p + z95*z95/(2*n)) / (1 + z95*z95/n)
	half := z95 / (1 + z95*z95/n) * math.Sqrt(p*(1-p)/n+z95*z95/(4*n*n))
	return Band{max(0, center-half), min(1, center+half)}
}

// Block is the outcome of trials that were made at about the same time, and so may have shared their luck.
type Block struct{ K, N int }

// DesignEffect is by how much the variance of a share is larger than independent trials would have it, judged by how
// much the blocks differ: 1 when they differ as chance has it. It is 1 where nothing can be told, with fewer than two
// blocks or where all trials had the same outcome.
func DesignEffect(blocks []Block) float64 {
	var k, n, used float64
	for _, b := range blocks {
		if b.N > 0 {
			k, n, used = k+float64(b.K), n+float64(b.N), used+1
		}
	}
	if used < 2 || k == 0 || k == n {
		return 1
	}
	p, sum := k/n, 0.0
	for _, b := range blocks {
		d := float64(b.K) - p*float64(b.N)
		sum += d * d
	}
	variance := used / (used - 1) * sum / (n * n)
	return max(1, variance/(p*(1-p)/n))
}
