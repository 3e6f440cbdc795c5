package backend

import (
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/stickyproxy/stickyproxy/gtid"
	"github.com/stickyproxy/stickyproxy/router"
	"github.com/stickyproxy/stickyproxy/session"
)

var (
	simSeed  = flag.Uint64("sim.seed", 0, "seed of the first run of the simulation; 0: a random one")
	simSteps = flag.Int("sim.steps", 5_000_000, "steps of the simulation, all runs together")
)

// simRunSteps is how long a run is: then everybody and everything is made anew.
const simRunSteps = 5000

var errSimDown = errors.New("connection refused")

type gtidSet = gtid.Set

// sim is one run.
type sim struct {
	t       *testing.T
	r       *rand.Rand
	rules   simRules
	off     int // bits of the kinds of events that do not happen
	world   *simWorld
	proxies []*simProxy
	old     []*simProxy // processes that drain
	users   []*simUser
	ops     []*simOp
	trace   []string
	broken  string   // what went wrong
	quiet   int      // so many times nobody starts anything
	back    *simUser // who has just written and reads next

	active  int  // so many users do anything
	writes  int  // percent of what they do
	nomads  bool // they go to another proxy after a write
	long    int  // an answer takes about so many looks at it
	crowd   int  // percent of the operations before which invented sessions come
	calm    int  // how long they think, at most
	listing int  // a commit that can be seen is said to be there after about so many looks at it
	odd     int  // one of so many writes has no GTID, or fails, or is given up
	pause   int  // how often somebody does nothing after a write or a read from the primary, at most
	busy    int  // how often, in a thousand steps, somebody may start something

	reads, moved, lost int                   // reads, those of replicas, writes that were given up
	reasons            map[router.Reason]int // of the reads of the primary
}

// simThemes are what every fifth run is like: what seldom comes together by itself.
var simThemes = []func(*sim){
	crowded(slowly(3, only(4, 60, simFlood))),
	couriers(oddly(3, slowly(6, only(3, 50, simMove, simSilent, simAbandon)))),
}

func newSim(t *testing.T, seed uint64, rules simRules, off int) *sim {
	r := rand.New(rand.NewPCG(seed, 1))
	s := &sim{t: t, r: r, rules: rules, off: off}
	s.world = newSimWorld(r, 2+r.IntN(2))
	s.active, s.writes, s.nomads, s.calm, s.busy, s.odd = 1+r.IntN(6), 3+r.IntN(1+r.IntN(60)), r.IntN(2) == 0, r.IntN(1+r.IntN(100)), 20+r.IntN(280), 2+r.IntN(50)
	for range 2 {
		s.proxies = append(s.proxies, s.newProxy(time.Duration(r.Int64N(int64(time.Minute))), false))
	}
	for i := range 6 {
		u := &simUser{name: fmt.Sprintf("user%d.%d", i, r.IntN(100)), proxy: r.IntN(2), fleet: i == 5}
		u.key = session.Key{Account: fmt.Sprint("account", i%2), Name: u.name}
		if i == 4 {
			u.local = &session.Local{}
		}
		s.users = append(s.users, u)
	}
	if r.IntN(2) == 0 {
		s.off |= int(r.Uint64()) & (1<<simKinds - 1) // what is never wrong in this run
	}
	if r.IntN(2) == 0 {
		s.crowd = r.IntN(60)
	}
	for _, u := range s.users[:4*r.IntN(2)] {
		u.courier = s.r.IntN(2) == 0 && s.off>>simMove&1 == 0
	}
	s.listing, s.pause, s.long = 1+r.IntN(10), 4*r.IntN(5), 1+r.IntN(1+r.IntN(30))
	if theme := r.IntN(5 * len(simThemes)); rules.tune != nil {
		rules.tune(s)
	} else if theme < len(simThemes) {
		simThemes[theme](s)
	}
	s.off |= off
	if r.IntN(5) > 0 {
		s.acquaint()
	}
	r.Shuffle(len(s.users), func(i, j int) { s.users[i], s.users[j] = s.users[j], s.users[i] })
	return s
}

// acquaint lets the processes know the servers before anything happens.
func (s *sim) acquaint() {
	for _, p := range s.proxies {
		for range 2 * 3 { // a question takes three steps
			for i := range len(s.world.replicas) + 1 {
				p.ask(i - 1)
			}
		}
	}
}

func (s *sim) log(format string, args ...any) {
	if s.trace != nil { // it is slow
		s.trace = append(s.trace, s.world.now.Sub(epoch).String()+" "+fmt.Sprintf(format, args...))
	}
}

// may says whether an event of that kind happens now, once in so many times.
func (s *sim) may(kind, often int) bool { return s.r.IntN(often) == 0 && s.off>>kind&1 == 0 }

func (s *sim) step() {
	w := s.world
	w.now = w.now.Add(time.Duration(s.r.Int64N(int64(2 * time.Millisecond))))
	switch n := s.r.IntN(1000); {
	case n < s.busy:
		if s.quiet--; s.quiet < 0 {
			s.start()
		}
	case n < 420:
		if len(s.ops) > 0 {
			s.progress(s.ops[s.r.IntN(len(s.ops))])
		}
	case n < 600:
		w.replicate(w.replicas[s.r.IntN(len(w.replicas))])
	case n < 980:
		all := append(s.proxies[:len(s.proxies):len(s.proxies)], s.old...)
		all[s.r.IntN(len(all))].ask(s.r.IntN(len(w.replicas)+1) - 1)
	case n < 987:
		s.quiet = s.r.IntN(1 + s.calm) // users think, servers go on
	case n == 987 && s.r.IntN(2) == 0:
		w.now = w.now.Add(time.Duration(s.r.Int64N(int64(2 * simWindow))))
	default:
		s.trouble()
	}
	s.reap()
}

// reap forgets what is over.
func (s *sim) reap() {
	left := s.ops[:0]
	for _, o := range s.ops {
		if !o.dead {
			left = append(left, o)
		}
	}
	s.ops = left
	draining := s.old[:0]
	for _, p := range s.old {
		if p.gone = p.now().After(p.drained); !p.gone {
			draining = append(draining, p)
		}
	}
	s.old = draining
}

// run makes a run and returns what went wrong.
func (s *sim) run(steps int) string {
	for range steps {
		if s.step(); s.broken != "" {
			return s.broken
		}
	}
	return ""
}

// simRun makes the run of a seed.
func simRun(t *testing.T, seed uint64, rules simRules, off int, traced bool) *sim {
	s := newSim(t, seed, rules, off)
	if traced {
		s.trace = []string{}
	}
	s.run(simRunSteps)
	return s
}

// simShrink leaves out what a failing run does not need, and tells about what is left.
func simShrink(t *testing.T, seed uint64, rules simRules) string {
	off := 0
	for kind := range simKinds {
		if simRun(t, seed, rules, off|1<<kind, false).broken != "" {
			off |= 1 << kind
		}
	}
	s := simRun(t, seed, rules, off, true)
	var kinds []string
	for kind, name := range simKindNames {
		if off>>kind&1 == 0 {
			kinds = append(kinds, name)
		}
	}
	tail := s.trace[max(0, len(s.trace)-60):]
	return fmt.Sprintf("-sim.seed=%d with %v: %s\n%s", seed, kinds, s.broken, strings.Join(tail, "\n"))
}

// TestSimulation asserts the promise: no read is served by a server that lacks what its session must see.
func TestSimulation(t *testing.T) {
	seed := *simSeed
	if seed == 0 {
		seed = rand.Uint64()
	}
	reads, moved, lost := 0, 0, 0
	reasons := map[string]int{}
	for i := range uint64(max(*simSteps/simRunSteps, 1)) {
		s := simRun(t, seed+i, soundRules(), 0, false)
		if s.broken != "" {
			t.Fatal(simShrink(t, seed+i, soundRules()))
		}
		reads, moved, lost = reads+s.reads, moved+s.moved, lost+s.lost
		for why, n := range s.reasons {
			reasons[why.String()] += n
		}
	}
	t.Logf("-sim.seed=%d: %d reads, %d of them from replicas, %d sessions were set free of lost writes; %v", seed, reads, moved, lost, reasons)
	if *simSteps >= 1_000_000 && moved*100 < reads*30 { // about 37 % are
		t.Errorf("only %d of %d reads were served by replicas: that proves little", moved, reads)
	}
}

// A seed is all that there is to repeat a run.
func TestSimulationRepeats(t *testing.T) {
	for seed := range uint64(20) {
		a, b := simRun(t, seed, soundRules(), 0, true), simRun(t, seed, soundRules(), 0, true)
		if got, want := strings.Join(b.trace, "\n"), strings.Join(a.trace, "\n"); got != want {
			t.Fatalf("seed %d: the second run is\n%s\nand the first was\n%s", seed, got, want)
		}
	}
}
