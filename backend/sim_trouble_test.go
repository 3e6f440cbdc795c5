package backend

import (
	"fmt"

	"github.com/stickyproxy/stickyproxy/session"
)

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
		if u := s.users[s.r.IntN(len(s.users))]; u.busy == 0 {
			s.move(u)
		}
	case kind == 9 && s.may(simFlood, 1):
		s.flood(s.proxies[s.r.IntN(len(s.proxies))])
	case kind == 10 && s.may(simDemote, 2):
		s.log("the primary's address leads to %s", replica.name)
		w.spare = replica
	}
}

// flood invents sessions: some that have read a while ago, and some whose statements find nothing to do.
func (s *sim) flood(p *simProxy) {
	idle := s.r.IntN(2) == 0
	for i := range 8 {
		k := session.Key{Account: fmt.Sprint("account", i%2), Name: fmt.Sprint(s.r.IntN(1000))}
		if idle {
			p.store.Begin(k)
			p.store.End(k, session.Write{None: true})
			continue
		}
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

// goBack takes data away from a replica without a restart. A monitor can only see that when it asks, and if the replica has
// less than it has said. What is read until then, or was there without a word about it, is what nobody can help: so every
// process asks just before that and just after.
func (s *sim) goBack(i int) {
	s.everybodyAsks(i)
	if !s.world.goBack(s.world.replicas[i]) {
		return
	}
	s.log("%s went back", s.world.replicas[i].name)
	s.everybodyAsks(i)
	for _, o := range s.ops {
		if o.read && o.target == i && o.stage == readRuns {
			s.drop(o)
		}
	}
}

// everybodyAsks has all processes know what a replica has now.
func (s *sim) everybodyAsks(i int) {
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
