package backend

import (
	"hash/fnv"
	"time"

	"github.com/stickyproxy/stickyproxy/router"
	"github.com/stickyproxy/stickyproxy/session"
)

const (
	simWindow = 300 * time.Millisecond
	simMaxLag = 6 * time.Second
	simDrain  = time.Second
)

// simStore is what a proxy remembers of named sessions.
type simStore interface {
	Need(session.Key) session.Need
	Begin(session.Key)
	End(session.Key, session.Write)
	Pin(session.Key, time.Time)
	Read(session.Key, session.Read)
	Raise(session.Key, session.Need)
	RaiseAll(session.Need)
	Release(session.Key, gtidSet, gtidSet)
}

// simQuestion is a question to a server on its way.
type simQuestion struct {
	member  int // -1: the primary
	sent    time.Time
	reports uint64
	answer  *facts // nil until the server has answered
	failed  bool
}

// simProxy is a process.
type simProxy struct {
	sim       *sim
	skew      time.Duration
	fleet     *Fleet
	store     simStore
	started   time.Time
	earlier   bool // an earlier process may still be writing
	drained   time.Time
	gone      bool
	questions []*simQuestion
}

func (s *sim) newProxy(skew time.Duration, earlier bool) *simProxy {
	p := &simProxy{sim: s, skew: skew, earlier: earlier}
	p.started = p.now()
	o := Options{Primary: ServerConfig{Address: "primary:1"}, Monitor: &Account{User: "monitor"}, Now: p.now}
	for range s.world.replicas {
		o.Replicas = append(o.Replicas, ServerConfig{Address: "replica:1"})
	}
	var err error
	if p.fleet, err = NewFleet(o); err != nil {
		s.t.Fatal(err)
	}
	if p.store, err = session.NewStore(session.Options{Capacity: 3, Window: max(simWindow, simMaxLag), Now: p.now, Hash: simHash}); err != nil {
		s.t.Fatal(err)
	}
	p.store = s.rules.store(p)
	return p
}

// simHash is the same in every run, so that a seed is all that there is to repeat one.
func simHash(k session.Key) uint64 {
	h := fnv.New64a()
	h.Write([]byte(k.Account + "\x00" + k.Name))
	x := h.Sum64()
	x = (x ^ x>>33) * 0xff51afd7ed558ccd // the last byte of a name has to reach the bits that choose a shard
	return x ^ x>>33
}

// now is the process's clock, which is not that of others.
func (p *simProxy) now() time.Time { return p.sim.world.now.Add(p.skew) }

func (p *simProxy) member(i int) *member {
	if i < 0 {
		return p.fleet.primary
	}
	return p.fleet.replicas[i]
}

// ask moves the questions on by a step: one is sent, answered by the server, or taken in.
func (p *simProxy) ask(i int) {
	w := p.sim.world
	for n, q := range p.questions {
		if q.member != i {
			continue
		}
		if q.answer == nil && !q.failed {
			q.answer, q.failed = p.sim.rules.answer(w, i)
			return
		}
		p.questions = append(p.questions[:n:n], p.questions[n+1:]...)
		m := p.member(i)
		if q.failed {
			p.fleet.learn(m, q.reports, nil, errSimDown)
			return
		}
		q.answer.sent, q.answer.got = q.sent, p.now()
		p.sim.rules.stamp(q.answer)
		p.fleet.learn(m, q.reports, q.answer, nil)
		return
	}
	p.questions = append(p.questions, &simQuestion{member: i, sent: p.now(), reports: p.fleet.reports(p.member(i))})
}

// settled is what the proxy's method of that name is.
func (p *simProxy) settled(snap *Snapshot) bool {
	if !p.earlier {
		return true
	}
	until := p.started.Add(simDrain)
	if p.now().Before(until) || !snap.PrimaryAsked.After(until) {
		return false
	}
	p.store.RaiseAll(session.Need{GTID: snap.PrimaryHas, Since: snap.PrimaryAsked, WroteAt: until})
	p.earlier = false
	return true
}

// decide says where a read goes.
func (p *simProxy) decide(o *simOp) router.Decision {
	snap := p.fleet.Snapshot()
	settled := p.settled(snap)
	n := p.need(o)
	q := router.Query{
		Statement: router.Statement{Kind: router.Read, Reason: router.ReasonRead},
		Need: router.Need{
			Writing: n.Writing > 0, GTID: n.GTID, Since: n.Since, WroteAt: n.WroteAt, UnprovenAt: n.UnprovenAt,
			AsOf: n.AsOf, ReadAt: n.ReadAt, ReadBy: n.ReadBy,
		},
		Window: simWindow, MaxLag: simMaxLag, Now: p.now(), Rand: p.sim.r.Uint64(),
	}
	if (o.user.fleet || !settled && o.user.local == nil) && o.arrived.After(q.Need.AsOf) {
		q.Need.AsOf = o.arrived
	}
	o.saw = session.Need{ReadAt: n.ReadAt, ReadBy: n.ReadBy}
	view := snap.View
	p.sim.rules.decide(p, &q, &view)
	d := router.Decide(&q, &view)
	if d.Reason == router.ReasonReplicaBehind {
		if left, lost := p.sim.rules.lost(&q.Need, &view, q.Now); lost {
			p.sim.lost++
			p.release(o, n.GTID, left)
		}
	}
	if d.Replica >= 0 {
		o.incarnation, o.servedBy = view.Replicas[d.Replica].Incarnation, view.Replicas[d.Replica].ID
	}
	return d
}

func (p *simProxy) need(o *simOp) session.Need {
	if o.user.local != nil {
		return o.user.local.Need()
	}
	return p.store.Need(o.user.key)
}

func (p *simProxy) release(o *simOp, was, left gtidSet) {
	if o.user.local != nil {
		o.user.local.Release(was, left)
		return
	}
	p.store.Release(o.user.key, was, left)
}

// noteRead is what the proxy does at the end of a read.
func (p *simProxy) noteRead(o *simOp) {
	if o.target < 0 {
		o.servedBy = ID(o.incarnation)
	}
	r := session.Read{At: p.now(), By: o.servedBy, Saw: o.saw}
	if o.user.local != nil {
		o.user.local.Read(r)
		return
	}
	p.store.Read(o.user.key, r)
}

// begin and end are what it does around a write, for everyone whom the transaction names.
func (p *simProxy) begin(o *simOp) {
	for _, u := range o.users() {
		if u.local != nil {
			u.local.Begin()
		} else {
			p.store.Begin(u.key)
		}
	}
}

func (p *simProxy) end(o *simOp, w session.Write) {
	w.At = p.now()
	for i, u := range o.users() {
		write := p.sim.rules.outcome(o, i, w)
		if u.local != nil {
			u.local.End(write)
		} else {
			p.store.End(u.key, write)
		}
	}
}

// token is what a user takes along to another proxy.
func (p *simProxy) token(u *simUser) string {
	return p.store.Need(u.key).Live(p.now().Add(-max(simWindow, simMaxLag))).Token(p.clock())
}

func (p *simProxy) clock() session.Clock {
	k := p.fleet.Snapshot().Clock
	return session.Clock{ID: uint32(k.ID), Asked: k.Asked, Answered: k.Answered, Says: k.Says}
}

// bear takes in the tokens that a user has brought.
func (p *simProxy) bear(u *simUser) {
	for _, text := range u.tokens {
		if text == "" {
			continue // there was nothing to see
		}
		n, err := session.ParseToken(text, p.now(), p.clock())
		if err != nil {
			p.sim.t.Fatalf("token %q: %v", text, err)
		}
		p.store.Raise(u.key, n)
	}
	u.tokens = nil
}
