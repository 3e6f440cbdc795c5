package compare

import (
	"bytes"
	"flag"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stickyproxy/stickyproxy/internal/mysqltest"
	"github.com/stickyproxy/stickyproxy/internal/mysqltest/clustertest"
	"github.com/stickyproxy/stickyproxy/mysqlwire"
)

var (
	sequences = flag.Int("sequences", 150, "how many random scripts are played on each engine")
	more      = flag.Bool("more", false, "random scripts have more kinds of statements in them")
	firstSeed = flag.Uint64("seed", 1, "the seed of the first random script, that of the next is one more; 0 chooses it at random")
)

const (
	sequenceLength = 25
	players        = 4   // random scripts that are played at a time
	maxFailures    = 3   // more than that are not made shorter and shown
	tries          = 150 // at making a script shorter
)

// Whatever a client does on one connection, in whatever order, it sees through the proxy what it would see without.
func TestRandom(t *testing.T) {
	clustertest.EachEngine(t, func(t *testing.T, e mysqltest.Engine) {
		f := &field{rig: newRig(t, e), seed: *firstSeed}
		if f.seed == 0 {
			f.seed = rand.Uint64N(1 << 48)
		}
		t.Logf("seeds from %d on", f.seed)
		var wg sync.WaitGroup
		for i := range players {
			wg.Go(func() { f.play(t, i) })
		}
		wg.Wait()
		replica, all := f.rig.reads()
		t.Logf("%d of %d commands ran on a replica", replica, all)
		if replica*10 < all && *sequences >= 100 { // a few, for one that failed, say nothing about all
			t.Errorf("only %d of %d commands ran on a replica", replica, all)
		}
	})
}

// field is where the players of random scripts play.
type field struct {
	rig      *rig
	seed     uint64
	taken    atomic.Int64 // scripts that were played or are being played
	failures atomic.Int64
}

// play plays random scripts until there were enough.
func (f *field) play(t *testing.T, player int) {
	p := newPitch(f.rig, player)
	defer p.clear()
	for n := f.taken.Add(1); n <= int64(*sequences) && f.failures.Load() < maxFailures; n = f.taken.Add(1) {
		seed := f.seed + uint64(n) - 1
		r := rand.New(rand.NewPCG(seed, 0))
		p.caps = someCapabilities(r)
		if seed%4 == 3 {
			p.caps |= mysqlwire.CapOptionalMetadata // which every number of columns tells of
		}
		steps := generate(r, sequenceLength)
		difference := p.compare(steps)
		if difference == "" {
			continue
		}
		f.failures.Add(1)
		steps = shorter(steps, func(s []step) bool {
			d := p.compare(s)
			if d != "" {
				difference = d
			}
			return d != ""
		})
		t.Errorf("seed %d, capabilities %#x:\n%s%s", seed, uint32(p.caps), format(steps), difference)
	}
}

// someCapabilities chooses what kind of client plays.
func someCapabilities(r *rand.Rand) mysqlwire.Capability {
	caps := plainCaps
	for _, c := range []mysqlwire.Capability{
		mysqlwire.CapDeprecateEOF, mysqlwire.CapSessionTrack, mysqlwire.CapQueryAttributes, mysqlwire.CapFoundRows,
	} {
		if r.IntN(2) == 1 {
			caps |= c
		}
	}
	return caps
}

// pitch is where one player plays: a pair of schemas for the direct run and one for that through the proxy, with names of
// the same length.
type pitch struct {
	rig             *rig
	staged          bool // the schemas are there
	caps            mysqlwire.Capability
	direct, proxied [2]string
}

func newPitch(r *rig, player int) *pitch {
	name := func(i int) string { return fmt.Sprintf("c_00%d%02d", i, player) + "x" }
	return &pitch{rig: r, direct: [2]string{name(1), name(2)}, proxied: [2]string{name(3), name(4)}}
}

// compare plays the steps both ways and returns the first difference, "" if there is none.
func (p *pitch) compare(steps []step) string {
	stage := p.rig.stage
	if p.staged {
		stage = p.rig.restage
	}
	stage(p.direct[0], p.direct[1])
	stage(p.proxied[0], p.proxied[1])
	p.staged = true
	direct := &player{rig: p.rig, addr: p.rig.cluster.Primary.Addr(), caps: p.caps, schema: p.direct[0], other: p.direct[1], random: true}
	want := direct.play(steps)
	p.rig.settle()
	proxied := &player{rig: p.rig, addr: p.rig.addr, proxied: true, caps: p.caps, schema: p.proxied[0], other: p.proxied[1], random: true}
	names := strings.NewReplacer(p.proxied[0], p.direct[0], p.proxied[1], p.direct[1])
	for i, got := range proxied.play(steps) {
		if seen := names.Replace(got.seen); seen != want[i].seen {
			return fmt.Sprintf("%s\n%s\n", steps[i].text, difference(seen, want[i].seen))
		}
	}
	return ""
}

func (p *pitch) clear() {
	p.rig.drop(p.direct[0], p.direct[1])
	p.rig.drop(p.proxied[0], p.proxied[1])
}

// shorter leaves out steps as long as what is left still fails: first many at a time, then single ones.
func shorter(steps []step, fails func([]step) bool) []step {
	left := tries
	for size := (len(steps) + 1) / 2; size > 0; {
		removed := false
		for at := 0; at < len(steps) && left > 0; {
			without := append(append([]step(nil), steps[:at]...), steps[min(at+size, len(steps)):]...)
			left--
			if len(without) > 0 && fails(without) {
				steps, removed = without, true
				continue
			}
			at += size
		}
		if left == 0 || !removed && size == 1 {
			break
		}
		if !removed {
			size /= 2
		}
	}
	return steps
}

// A script that fails is reduced to the steps that it takes.
func TestShorter(t *testing.T) {
	var steps []step
	for i := range 30 {
		steps = append(steps, step{text: fmt.Sprint(i)})
	}
	got := format(shorter(steps, func(s []step) bool {
		text := []byte(format(s))
		return bytes.Contains(text, []byte("\t7\n")) && bytes.Contains(text, []byte("\t21\n"))
	}))
	if got != "\t7\n\t21\n" {
		t.Errorf("got %q", got)
	}
}
