package lag

import (
	"math"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/stickyproxy/stickyproxy/bench/stats"
)

// Any is the name of a replica that is chosen at random for each write.
const Any = "any"

// Probe is what is known of one write at one replica.
type Probe struct {
	At    time.Duration // of the acknowledgement, since the beginning of the run
	Age   time.Duration // at the first read that saw it; with Seen false, at the last one that missed it
	Seen  bool
	Round int
}

// Point is one point of a curve: of probes reads at the time t after a write, fresh saw it.
type Point struct {
	Replica string  `json:"replica"`
	T       float64 `json:"t_ms"`
	Fresh   int     `json:"fresh"`
	Probes  int     `json:"probes"`
	Low     float64 `json:"low"`  // of the share of fresh reads, 95 %
	High    float64 `json:"high"` // of it
}

// Share is the part of the probes that were fresh; 0 without any.
func (p Point) Share() float64 {
	if p.Probes == 0 {
		return 0
	}
	return float64(p.Fresh) / float64(p.Probes)
}

const (
	// pointsPerDecade are the points of a curve between 1 ms and 10 ms, say.
	pointsPerDecade = 10
	// firstPower and lastPower bound a curve: 0.1 ms and 1000 s.
	firstPower, lastPower = -1, 6
	// blockLength is how long chance is taken to hold.
	blockLength = time.Second
)

// grid is the times of a curve in ms, from 0.1 up to the first that is at least last.
func grid(last float64) []float64 {
	var times []float64
	for i := firstPower * pointsPerDecade; i <= lastPower*pointsPerDecade; i++ {
		t := math.Pow(10, float64(i)/pointsPerDecade)
		digits := math.Pow(10, math.Floor(math.Log10(t)+1e-9)-2)
		times = append(times, math.Round(t/digits)*digits)
		if t >= last {
			break
		}
	}
	for i, t := range times {
		times[i] = math.Round(t*1e6) / 1e6 // what is left of 0.1+0.2
	}
	return times
}

// ms is a duration as the report has it.
func ms(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

// end is the time in ms up to which curves of these probes are worth drawing: when all is fresh, and a little beyond.
func end(replicas map[string][]Probe) float64 {
	last := 10.0
	for _, probes := range replicas {
		for _, p := range probes {
			last = max(last, ms(p.Age)*1.2)
		}
	}
	return last
}

// curve is the t-visibility of one replica.
func curve(replica string, probes []Probe, times []float64) []Point {
	points := make([]Point, 0, len(times))
	effect := 1.0 // where all probes agree, as where they last did not
	for _, t := range times {
		p := Point{Replica: replica, T: t}
		blocks := map[int]stats.Block{}
		for _, w := range probes {
			fresh, known := w.at(t)
			if !known {
				continue
			}
			b := blocks[int(w.At/blockLength)]
			b.N++
			p.Probes++
			if fresh {
				b.K++
				p.Fresh++
			}
			blocks[int(w.At/blockLength)] = b
		}
		if p.Fresh > 0 && p.Fresh < p.Probes {
			effect = stats.DesignEffect(slices.Collect(values(blocks)))
		}
		band := stats.Wilson(float64(p.Fresh)/effect, float64(p.Probes)/effect)
		p.Low, p.High = round6(band.Low), round6(band.High)
		points = append(points, p)
	}
	return points
}

// values are those of a map in the order of its keys, so that sums come out the same every time.
func values(m map[int]stats.Block) func(func(stats.Block) bool) {
	keys := make([]int, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return func(yield func(stats.Block) bool) {
		for _, k := range keys {
			if !yield(m[k]) {
				return
			}
		}
	}
}

func round6(v float64) float64 { return math.Round(v*1e6) / 1e6 }

// at tells whether a read t milliseconds after the write sees it, if that is known.
func (p Probe) at(t float64) (fresh, known bool) {
	age := ms(p.Age)
	if p.Seen {
		return age <= t, true
	}
	return false, age >= t
}

// anyReplica chooses for each write one of the replicas. All lists are of the same writes.
func anyReplica(names []string, replicas map[string][]Probe, random *rand.Rand) []Probe {
	if len(names) == 0 {
		return nil
	}
	chosen := make([]Probe, len(replicas[names[0]]))
	for i := range chosen {
		chosen[i] = replicas[names[random.IntN(len(names))]][i]
	}
	return chosen
}

// ages are the ages of the probes in ms, sorted; +Inf for a write that was not seen.
func ages(probes []Probe) []float64 {
	list := make([]float64, len(probes))
	for i, p := range probes {
		list[i] = ms(p.Age)
		if !p.Seen {
			list[i] = math.Inf(1)
		}
	}
	slices.Sort(list)
	return list
}

// Over is the lag during one slice of the run.
type Over struct {
	Replica string  `json:"replica"`
	At      float64 `json:"at_s"` // the slice begins
	Median  float64 `json:"median_ms"`
	Max     float64 `json:"max_ms"`
	Probes  int     `json:"probes"`
	Unseen  int     `json:"unseen,omitempty"` // of them; they count with the age they reached
}

// slices the lag over time has, about.
const timeSlices = 120

// overTime cuts the run into slices.
func overTime(replica string, probes []Probe, length time.Duration) []Over {
	width := max(length/timeSlices, 100*time.Millisecond)
	var list []Over
	for from := 0; from < len(probes); {
		slice := probes[from].At / width
		to := from
		for to < len(probes) && probes[to].At/width == slice {
			to++
		}
		o := Over{Replica: replica, At: (slice * width).Seconds(), Probes: to - from}
		var list1 []float64
		for _, p := range probes[from:to] {
			list1 = append(list1, ms(p.Age))
			if !p.Seen {
				o.Unseen++
			}
		}
		o.Median, o.Max = round6(stats.Median(list1)), round6(slices.Max(list1))
		list = append(list, o)
		from = to
	}
	return list
}
