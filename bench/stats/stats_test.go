package stats

import (
	"math"
	"testing"
)

// The values are those of R's binom.confint(method="wilson") and of published tables.
func TestWilson(t *testing.T) {
	for _, row := range []struct {
		name      string
		k, n      float64
		low, high float64
	}{
		{"no trials", 0, 0, 0, 1},
		{"none of ten", 0, 10, 0, 0.2775},
		{"all of ten", 10, 10, 0.7225, 1},
		{"half of a hundred", 50, 100, 0.4038, 0.5962},
		{"81 of 263", 81, 263, 0.2553, 0.3662}, // Newcombe (1998), table I
		{"a fraction of a trial", 0.5, 0.5, 0.1152, 1},
	} {
		t.Run(row.name, func(t *testing.T) {
			if got := Wilson(row.k, row.n); !near(got.Low, row.low) || !near(got.High, row.high) {
				t.Errorf("got %v, want %v to %v", got, row.low, row.high)
			}
		})
	}
}

func near(a, b float64) bool { return math.Abs(a-b) < 0.00006 }

// Blocks that share their luck count as few trials.
func TestDesignEffect(t *testing.T) {
	for _, row := range []struct {
		name   string
		blocks []Block
		want   float64
	}{
		{"no blocks", nil, 1},
		{"one block", []Block{{5, 10}}, 1},
		{"all alike", []Block{{5, 10}, {5, 10}, {5, 10}}, 1},
		{"all fresh", []Block{{10, 10}, {10, 10}}, 1},
		{"all or nothing", []Block{{10, 10}, {0, 10}, {10, 10}, {0, 10}}, 40.0 / 3},
		{"an empty one does not count", []Block{{10, 10}, {0, 10}, {0, 0}, {10, 10}, {0, 10}}, 40.0 / 3},
	} {
		t.Run(row.name, func(t *testing.T) {
			if got := DesignEffect(row.blocks); !near(got, row.want) {
				t.Errorf("got %v, want %v", got, row.want)
			}
		})
	}
}

func TestQuantile(t *testing.T) {
	values := make([]float64, 100)
	for i := range values {
		values[i] = float64(i + 1)
	}
	for _, row := range []struct{ p, want float64 }{{0, 1}, {0.5, 50}, {0.99, 99}, {0.999, 100}, {1, 100}} {
		if got := Quantile(values, row.p); got != row.want {
			t.Errorf("%v: got %v, want %v", row.p, got, row.want)
		}
	}
	if got := Quantile(nil, 0.5); !math.IsInf(got, 1) {
		t.Errorf("of nothing: got %v", got)
	}
	band, enough := QuantileBand(values, 0.5)
	if band != (Band{40, 61}) || !enough {
		t.Errorf("band of the median: got %v, %v", band, enough)
	}
	band, enough = QuantileBand(values, 0.99)
	if band.Low != 97 || !math.IsInf(band.High, 1) || !enough {
		t.Errorf("band of the 99th: got %v, %v", band, enough)
	}
	if _, enough = QuantileBand(values, 0.999); enough {
		t.Error("a hundred values are said to be enough for one in a thousand")
	}
}

func TestCompare(t *testing.T) {
	for _, row := range []struct {
		name string
		a, b []float64
		want Verdict
		p    float64
	}{
		{"nothing", nil, []float64{1}, TooFew, 1},
		{"three rounds prove nothing", []float64{1, 2, 3}, []float64{11, 12, 13}, TooFew, 1},
		{"four rounds, apart", []float64{1, 2, 3, 4}, []float64{11, 12, 13, 14}, Change, 2.0 / 70},
		{"five rounds, apart", []float64{11, 12, 13, 14, 15}, []float64{1, 2, 3, 4, 5}, Change, 2.0 / 252},
		{"five rounds, interleaved", []float64{1, 3, 5, 7, 9}, []float64{2, 4, 6, 8, 10}, Noise, 0.69048},
		{"all equal", []float64{0, 0, 0, 0}, []float64{0, 0, 0, 0}, Nothing, 1},
		{"ties", []float64{0, 0, 0, 0, 1}, []float64{0, 0, 0, 0, 0}, Noise, 1},
	} {
		t.Run(row.name, func(t *testing.T) {
			v, p := Compare(row.a, row.b)
			if v != row.want || !near(p, row.p) {
				t.Errorf("got %v, %v; want %v, %v", v, p, row.want, row.p)
			}
			if back, q := Compare(row.b, row.a); back != v || !near(p, q) {
				t.Errorf("the other way round: got %v, %v; want %v, %v", back, q, v, p)
			}
		})
	}
}

// With many rounds the approximation takes over, and agrees with the exact test.
func TestCompareManyRounds(t *testing.T) {
	var a, b []float64
	for i := range 9 {
		a, b = append(a, float64(2*i)), append(b, float64(2*i+5))
	}
	ranks := midranks(append(append([]float64{}, a...), b...))
	sum := 0.0
	for _, r := range ranks[:len(a)] {
		sum += r
	}
	exact := chance(ranks, len(a), sum)
	approximate := normalChance(ranks, len(a), math.Abs(sum-float64(len(a)*(len(ranks)+1))/2))
	if math.Abs(exact-approximate) > 0.02 {
		t.Errorf("exact %v, approximate %v", exact, approximate)
	}
	for i := range 40 {
		a, b = append(a, float64(i)), append(b, float64(i)+100)
	}
	if v, p := Compare(a, b); v != Change || p > 0.001 {
		t.Errorf("49 rounds, mostly apart: got %v, %v", v, p)
	}
}

func TestFigure(t *testing.T) {
	f, ok := NewFigure("replica", "p99", "ms", Lower, []float64{3, math.Inf(1), 1, 2, math.NaN()})
	if !ok || f.Median != 2 || f.Low != 1 || f.High != 3 || len(f.Rounds) != 3 {
		t.Errorf("got %+v, %v", f, ok)
	}
	if _, ok := NewFigure("replica", "p99", "ms", Lower, []float64{math.NaN()}); ok {
		t.Error("a figure of nothing")
	}
}

func TestNumber(t *testing.T) {
	for want, v := range map[string]float64{
		"0": 0, "1.2e-04": 0.00012, "0.123": 0.1234, "1.23": 1.234, "12.3": 12.34, "123": 123.4, "1,234": 1234.4, "-1,234,567": -1234567,
	} {
		if got := Number(v); got != want {
			t.Errorf("%v: got %s, want %s", v, got, want)
		}
	}
}
