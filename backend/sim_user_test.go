package backend

import (
	"fmt"
	"time"

	"github.com/stickyproxy/stickyproxy/router"
	"github.com/stickyproxy/stickyproxy/session"
)

// simUser is a session, and what it knows that it must see.
type simUser struct {
	name    string
	key     session.Key
	local   *session.Local // of a connection that names nobody
	fleet   bool           // it has scope fleet
	proxy   int
	courier bool     // it reads at the other proxy, where the tokens of its writes are carried to
	tokens  []string // to be shown there, or to proxy, first
	must    txSet    // what it has written
	seen    txSet    // what it has read
	busy    int      // operations on their way
	burst   int      // so many writes are next
	rest    int      // so many times it does nothing
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

// start begins an operation of a user.
func (s *sim) start() {
	u, back := s.users[s.r.IntN(s.active)], s.back
	if s.back = nil; back != nil {
		u, u.burst = back, 1 // to read
	}
	if u.busy > 1 || u.local != nil && u.busy > 0 {
		return
	}
	if u.rest--; u.rest >= 0 {
		return
	}
	read := s.r.IntN(100) >= s.writes
	if u.burst > 0 {
		u.burst, read = u.burst-1, u.burst == 1
	} else if !read && s.r.IntN(4) == 0 {
		u.burst = 4
	}
	p := s.proxies[u.proxy]
	if u.courier && read {
		p = s.proxies[1-u.proxy]
	}
	if read || !u.courier {
		p.bear(u)
	}
	if s.r.IntN(100) < s.crowd && s.may(simFlood, 1) {
		s.flood(p)
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
		if v := s.users[s.r.IntN(s.active)]; s.may(simTwo, 3) && v != u && v.local == nil && v.proxy == u.proxy && len(v.tokens) == 0 && u.local == nil {
			o.other = v
			v.busy++
		}
	}
	u.busy++
	s.ops = append(s.ops, o)
	s.log("%s: %s on the proxy whose clock is %v ahead", u.name, map[bool]string{true: "a read", false: "a write"}[o.read], p.skew)
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
		if s.r.IntN(s.long) > 0 {
			return // its answer is long
		}
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
	s.afterWrite(o.user)
	s.carry(o)
	s.drop(o)
	s.wander(o.user)
}

// afterWrite has a user do nothing for a while, so that replicas get what he wrote, or read at once.
func (s *sim) afterWrite(u *simUser) {
	switch s.r.IntN(3) {
	case 0:
		u.rest = s.r.IntN(1 + s.pause)
	case 1:
		s.back, s.quiet, u.rest = u, 0, 0
	}
}

// abandon is what a write comes to whose client, or whose connection to the primary, goes away: the proxy pins. What was
// visible by then the user may expect to see, also where he goes with a token that he took before the proxy noticed.
func (s *sim) abandon(o *simOp) {
	o.left = true
	s.log("%s: abandons %d at stage %d", o.user.name, o.tx, o.stage)
	if o.stage <= writeIsLearned && s.off>>simMove&1 == 0 && s.r.IntN(2) == 0 {
		s.carry(o)
		s.flee(o)
	} else {
		defer s.carry(o)
	}
	s.afterWrite(o.user)
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

// carry takes the tokens of couriers to where they read, after a write.
func (s *sim) carry(o *simOp) {
	for _, u := range o.users() {
		if u.courier {
			u.tokens = append(u.tokens, s.rules.token(o.proxy, u))
		}
	}
}

// wander has a nomad move, sometimes.
func (s *sim) wander(u *simUser) {
	if s.nomads && s.may(simMove, 3) && u.busy == 0 {
		s.move(u)
	}
}

// flee has the user of a write that he gives up go on at the other proxy.
func (s *sim) flee(o *simOp) {
	if s.proxies[o.user.proxy] == o.proxy && o.user.busy == 1 {
		s.move(o.user)
	}
}

// move has a user go on at the other proxy, with a token.
func (s *sim) move(u *simUser) {
	if u.local != nil || u.courier || len(u.tokens) > 0 || len(s.old) > 0 {
		return
	}
	from := s.proxies[u.proxy]
	if from.earlier {
		return // what an earlier process knows is in no token
	}
	u.tokens = append(u.tokens, s.rules.token(from, u))
	u.proxy = 1 - u.proxy
	s.log("%s moves to proxy %d with %q", u.name, u.proxy, u.tokens)
}
