package backend

import (
	"cmp"
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
	simSteps = flag.Int("sim.steps", 2_000_000, "steps of the simulation, all runs together")
)

// simRunSteps is how long a run is: then everybody and everything is made anew.
const simRunSteps = 5000

var errSimDown = errors.New("connection refused")

type gtidSet = gtid.Set

// simUser is a session, and what it knows that it must see.
type simUser struct {
	name  string
	key   session.Key
	local *session.Local // of a connection that names nobody
	fleet bool           // it has scope fleet
	proxy int
	token string // to be shown to proxy first
	must  txSet  // what it has written
	seen  txSet  // what it has read
	busy  int    // operations on their way
	burst int    // so many writes are next
	rest  int    // so many times it does nothing
}

// simOp is an operation of a user, on its way.
type simOp struct {
	user, other *simUser // other: whom the transaction names, too
	proxy       *simProxy
	read        bool
	stage       int
	dead        bool

	// a read
	arrived     time.Time // on the proxy's clock
	needs       txSet
	waits       int
	saw         session.Need
	target      int
	incarnation string
	servedBy    uint64
	found       txSet

	// a write
	tx     int
	on     *simServer
	silent bool // the OK has no GTID
	fails  bool // it commits and then fails
	left   bool // its client went away
	late   int  // a mutation's
}

func (o *simOp) users() []*simUser {
	if o.other == nil {
		return []*simUser{o.user}
	}
	return []*simUser{o.user, o.other}
}

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
	broken  string // what went wrong
	quiet   int    // so many times nobody starts anything

	active  int  // so many users do anything
	writes  int  // percent of what they do
	nomads  bool // they go to another proxy after a write
	calm    int  // how long they think, at most
	listing int  // a commit that can be seen is said to be there after about so many looks at it
	odd     int  // one of so many writes has no GTID, or fails, or is given up
	pause   int  // how often somebody does nothing after a write or a read from the primary, at most
	busy    int  // how often, in a thousand steps, somebody may start something

	reads, moved, lost int                   // reads, those of replicas, writes that were given up
	reasons            map[router.Reason]int // of the reads of the primary
}

// The kinds of events that may be left out to make a failing run smaller.
const (
	simCrash = iota
	simRestore
	simBack
	simFreeze
	simFailover
	simDemote
	simRestart
	simMove
	simFlood
	simSilent
	simFail
	simAbandon
	simTwo
	simKinds
)

var simKindNames = [simKinds]string{"crash", "restore", "back", "freeze", "failover", "demote", "restart", "move", "flood", "silent", "fail", "abandon", "two"}

func newSim(t *testing.T, seed uint64, rules simRules, off int) *sim {
	r := rand.New(rand.NewPCG(seed, 1))
	s := &sim{t: t, r: r, rules: rules, off: off}
	s.world = newSimWorld(r, 2+r.IntN(2))
	s.active, s.writes, s.nomads, s.calm, s.busy, s.odd = 1+r.IntN(6), 3+r.IntN(1+r.IntN(60)), r.IntN(2) == 0, 10+r.IntN(100), 20+r.IntN(180), 10+40*r.IntN(2)
	for range 2 {
		s.proxies = append(s.proxies, s.newProxy(time.Duration(r.Int64N(int64(time.Minute))), false))
	}
	for i := range 6 {
		u := &simUser{name: fmt.Sprint("user", i), proxy: r.IntN(2), fleet: i == 5}
		u.key = session.Key{Account: fmt.Sprint("account", i%2), Name: u.name}
		if i == 4 {
			u.local = &session.Local{}
		}
		s.users = append(s.users, u)
	}
	if r.IntN(2) == 0 {
		s.off |= int(r.Uint64()) & (1<<simKinds - 1) // what is never wrong in this run
	}
	s.listing, s.pause = 1+r.IntN(10), 4*r.IntN(5)
	if rules.tune != nil {
		rules.tune(s)
	}
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

// start begins an operation of a user.
func (s *sim) start() {
	u := s.users[s.r.IntN(s.active)]
	if u.busy > 1 || u.local != nil && u.busy > 0 {
		return
	}
	if u.rest--; u.rest >= 0 {
		return
	}
	p := s.proxies[u.proxy]
	if u.token != "" {
		p.bear(u)
		u.token = ""
	}
	read := s.r.IntN(100) >= s.writes
	if u.burst > 0 {
		u.burst, read = u.burst-1, u.burst == 1
	} else if !read && s.r.IntN(4) == 0 {
		u.burst = 4
	}
	for _, o := range s.old {
		if o.skew == p.skew && !read && u.local == nil && s.r.IntN(2) == 0 {
			p = o // a transaction is open there; other connections to a process that drains are over
		}
	}
	o := &simOp{user: u, proxy: p, read: read, arrived: p.now(), waits: s.r.IntN(3), target: -2}
	if o.read {
		o.needs = u.must
		o.needs.union(&u.seen)
		if u.fleet {
			o.needs.union(&s.world.confirmed)
		}
	} else {
		o.silent, o.fails = s.may(simSilent, s.odd), s.may(simFail, s.odd)
		if v := s.users[s.r.IntN(s.active)]; s.may(simTwo, 3) && v != u && v.local == nil && v.proxy == u.proxy && v.token == "" && u.local == nil {
			o.other = v
			v.busy++
		}
	}
	u.busy++
	s.ops = append(s.ops, o)
	s.log("%s: %s on %p", u.name, map[bool]string{true: "a read", false: "a write"}[o.read], p)
}

func (s *sim) progress(o *simOp) {
	switch {
	case o.proxy.gone:
		s.drop(o)
	case o.read:
		s.rules.read(s, o)
	default:
		s.rules.write(s, o)
	}
}

// The stages of a read.
const (
	readDecides = iota
	readRuns
	readIsNoted
	readEnds
)

func (s *sim) read(o *simOp) {
	switch o.stage {
	case readDecides:
		d := o.proxy.decide(o)
		if d.Replica < 0 && o.waits > 0 && d.Reason == router.ReasonReplicaBehind {
			o.waits--
			return
		}
		o.target = d.Replica
		o.stage++
		if s.reasons == nil {
			s.reasons = map[router.Reason]int{}
		}
		s.reasons[d.Reason]++
	case readRuns:
		s.runRead(o)
	case readIsNoted:
		o.proxy.noteRead(o)
		o.stage++
	case readEnds:
		s.log("%s: read %v from %d", o.user.name, o.found.list(), o.target)
		o.user.seen.union(&o.found)
		s.drop(o)
		s.wander(o.user)
		if o.target < 0 {
			o.user.rest = s.r.IntN(1 + s.pause) // so that it can leave
		}
	}
}

// runRead is the moment at which the server reads: the promise is kept there, or not.
func (s *sim) runRead(o *simOp) {
	server := s.world.addressed(o.target)
	if o.target >= 0 && (!server.alive || s.rules.checkIncarnation && server.incarnation() != o.incarnation) {
		o.target = -1 // it runs again, there
		return
	}
	if o.target < 0 {
		if demoted := o.proxy.fleet.Snapshot().PrimaryDemoted; !server.alive || demoted && s.rules.checkPrimary || !demoted && server.source != nil {
			s.drop(o) // an error; or nobody knows yet that this is not the primary, and nothing is promised
			return
		}
		o.incarnation = server.incarnation()
	}
	s.reads++
	if o.target >= 0 {
		s.moved++
	}
	o.found = server.data
	if missing := o.needs.without(&o.found, &s.world.lost); missing != (txSet{}) {
		s.broken = fmt.Sprintf("%s read from %s (%d), which lacks %v of what it must see", o.user.name, server.name, o.target, missing.list())
		s.log("%s", s.broken)
	}
	o.stage++
}

// The stages of a write.
const (
	writeBegins = iota
	writeCommits
	writeShows
	writeIsDone
	writeIsLearned
	writeEnds
)

func (s *sim) write(o *simOp) {
	if o.stage > writeBegins && (o.on != nil && s.world.primary != o.on || s.may(simAbandon, 4*s.odd)) {
		s.abandon(o)
		return
	}
	switch o.stage {
	case writeBegins:
		o.proxy.begin(o)
	case writeCommits:
		n, ok := s.world.begin()
		if !ok {
			o.proxy.end(o, session.Write{None: true})
			s.drop(o)
			return
		}
		o.tx, o.on = n, s.world.primary
		s.log("%s: %d is in the log of %s", o.user.name, n, o.on.name)
	case writeShows:
		o.on.show(o.tx)
	case writeIsDone:
		if s.r.IntN(s.listing) > 0 {
			return // not yet
		}
		o.on.finish(s.world, o.tx)
	case writeIsLearned:
		s.learnWrite(o)
	case writeEnds:
		s.endWrite(o)
		return
	}
	o.stage++
}

func (s *sim) learnWrite(o *simOp) {
	w := session.Write{GTID: s.world.gtids[o.tx]}
	if o.silent || o.fails {
		w = session.Write{Unproven: true, Answered: o.fails}
	}
	o.proxy.end(o, w)
}

func (s *sim) endWrite(o *simOp) {
	s.log("%s: wrote %d %v silent %v fails %v", o.user.name, o.tx, s.world.gtids[o.tx], o.silent, o.fails)
	for _, u := range o.users() {
		u.must.add(o.tx)
	}
	s.world.confirmed.add(o.tx)
	if s.r.IntN(2) == 0 {
		o.user.rest = s.r.IntN(1 + s.pause) // so that replicas get it
	}
	s.drop(o)
	s.wander(o.user)
}

// abandon is what a write comes to whose client, or whose connection to the primary, goes away: the proxy pins. What was
// visible by then the user may expect to see.
func (s *sim) abandon(o *simOp) {
	o.left = true
	s.log("%s: abandons %d at stage %d", o.user.name, o.tx, o.stage)
	if o.stage <= writeIsLearned && o.late != 1 {
		o.proxy.end(o, session.Write{Unproven: true})
	}
	if o.on != nil && o.on.data.has(o.tx) && s.world.primary == o.on {
		for _, u := range o.users() {
			u.must.add(o.tx)
		}
	}
	if o.on != nil && s.world.primary == o.on {
		o.on.show(o.tx) // the server goes on by itself
		o.on.finish(s.world, o.tx)
	}
	s.drop(o)
}

func (s *sim) drop(o *simOp) {
	o.dead = true
	if !o.read && o.proxy.gone && o.on != nil && s.world.primary == o.on && o.stage > writeCommits && o.stage <= writeIsDone {
		o.on.show(o.tx)
		o.on.finish(s.world, o.tx)
	}
	for _, u := range o.users() {
		u.busy--
	}
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

// trouble is what happens seldom.
func (s *sim) trouble() {
	w := s.world
	i := s.r.IntN(len(w.replicas))
	replica := w.replicas[i]
	if s.r.IntN(4) > 0 {
		s.heal(replica)
		return
	}
	switch kind := s.r.IntN(16); {
	case kind == 0 && s.may(simCrash, 2):
		s.log("%s crashes", replica.name)
		replica.alive = false
	case kind == 2:
		replica.save()
	case kind == 3 && s.may(simRestore, 2):
		s.log("%s is restored", replica.name)
		w.restore(replica)
	case kind == 4 && s.may(simBack, 2):
		s.goBack(i)
	case kind == 5:
		replica.frozen = s.may(simFreeze, 1)
		s.log("%s frozen %v", replica.name, replica.frozen)
	case kind == 6 && s.may(simFailover, 3):
		s.log("failover to %s", replica.name)
		w.failover(i)
	case kind == 7 && s.may(simRestart, 2):
		s.restart(s.r.IntN(len(s.proxies)))
	case (kind == 8 || kind > 10) && s.may(simMove, 1):
		s.move(s.users[s.r.IntN(len(s.users))])
	case kind == 9 && s.may(simFlood, 1):
		s.flood(s.proxies[s.r.IntN(len(s.proxies))])
	case kind == 10 && s.may(simDemote, 2):
		s.log("the primary's address leads to %s", replica.name)
		w.spare = replica
	}
}

// flood invents sessions.
func (s *sim) flood(p *simProxy) {
	for i := range 8 {
		k := session.Key{Account: fmt.Sprint("account", i%2), Name: fmt.Sprint(s.r.IntN(1000))}
		p.store.Read(k, session.Read{At: p.now().Add(-simWindow)})
	}
}

// heal ends what is wrong with a replica, and with the primary's address.
func (s *sim) heal(replica *simServer) {
	s.world.spare, replica.frozen = nil, false
	if !replica.alive {
		replica.restart(s.world)
	}
	s.log("%s is healed, and the primary's address", replica.name)
}

// goBack takes data away from a replica without a restart. A monitor can only see that when it asks; what is read until
// then is what nobody can help, so every process asks at once.
func (s *sim) goBack(i int) {
	if !s.world.goBack(s.world.replicas[i]) {
		return
	}
	s.log("%s went back", s.world.replicas[i].name)
	for _, p := range append(s.proxies[:len(s.proxies):len(s.proxies)], s.old...) {
		for n := len(p.questions) - 1; n >= 0; n-- {
			if p.questions[n].member == i {
				p.questions = append(p.questions[:n:n], p.questions[n+1:]...)
			}
		}
		for range 3 {
			p.ask(i)
		}
	}
	for _, o := range s.ops {
		if o.read && o.target == i && o.stage == readRuns {
			s.drop(o)
		}
	}
}

// restart starts a process in the place of one that drains. Who had no name has another connection now.
func (s *sim) restart(i int) {
	old := s.proxies[i]
	for _, o := range s.old {
		if o.skew == old.skew {
			return
		}
	}
	s.log("proxy %d restarts", i)
	old.drained = old.now().Add(simDrain)
	s.old = append(s.old, old)
	s.proxies[i] = s.newProxy(old.skew, s.rules.earlier)
	for j, u := range s.users {
		if u.local != nil && u.proxy == i {
			s.users[j] = &simUser{name: u.name, proxy: i, key: u.key, local: &session.Local{}}
		}
	}
}

// wander has a nomad move, sometimes.
func (s *sim) wander(u *simUser) {
	if s.nomads && s.may(simMove, 3) {
		s.move(u)
	}
}

// move has an idle user go on at the other proxy, with a token.
func (s *sim) move(u *simUser) {
	if u.busy > 0 || u.local != nil || u.token != "" || len(s.old) > 0 {
		return
	}
	from := s.proxies[u.proxy]
	if from.earlier {
		return // what an earlier process knows is in no token
	}
	u.token = cmp.Or(s.rules.token(from, u), noToken)
	u.proxy = 1 - u.proxy
	s.log("%s moves to proxy %d with %q", u.name, u.proxy, u.token)
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
	if *simSteps >= 1_000_000 && moved*100 < reads*35 { // about 46 % are
		t.Errorf("only %d of %d reads were served by replicas: that proves little", moved, reads)
	}
}
