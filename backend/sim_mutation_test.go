package backend

import (
	"slices"
	"testing"
	"time"

	"github.com/stickyproxy/stickyproxy/router"
	"github.com/stickyproxy/stickyproxy/session"
)

// simRules are the places at which a rule can be broken.
type simRules struct {
	checkIncarnation, checkPrimary, earlier bool

	store   func(*simProxy) simStore
	answer  func(w *simWorld, member int) (*facts, bool)
	stamp   func(*facts)
	decide  func(*simProxy, *router.Query, *router.View)
	lost    func(*router.Need, *router.View, time.Time) (gtidSet, bool)
	outcome func(o *simOp, user int, w session.Write) session.Write
	token   func(*simProxy, *simUser) string
	read    func(*sim, *simOp)
	write   func(*sim, *simOp)

	tune func(*sim) // what the runs are like, nil: as they come
}

// only makes runs of so many users, of whose operations so many percent are writes, in which nothing happens but these
// kinds of events: where a mistake shows soon.
func only(users, writes int, kinds ...int) func(*sim) {
	return func(s *sim) {
		s.active, s.writes, s.off, s.nomads, s.calm, s.odd = users, writes, 1<<simKinds-1, true, 25, 10
		for _, kind := range kinds {
			s.off &^= 1 << kind
		}
		if slices.Contains(kinds, simFreeze) {
			s.world.workers = 8
		}
	}
}

// slowly lets replicas fall behind in the runs of tune.
func slowly(pace int, tune func(*sim)) func(*sim) {
	return func(s *sim) {
		tune(s)
		s.world.workers, s.world.pace, s.busy, s.calm = 8, pace, 100, 20
	}
}

// listingSlowly has commits of the runs of tune be seen long before servers say that they are there.
func listingSlowly(tune func(*sim)) func(*sim) {
	return func(s *sim) {
		tune(s)
		s.listing = 8
	}
}

// oddly has one of so many writes in the runs of tune end in another way.
func oddly(odd int, tune func(*sim)) func(*sim) {
	return func(s *sim) {
		tune(s)
		s.odd = odd
	}
}

// crowded has invented sessions come all the time in the runs of tune.
func crowded(tune func(*sim)) func(*sim) {
	return func(s *sim) {
		tune(s)
		s.world.workers, s.crowd = 8, 60
	}
}

// couriers has everybody write at one proxy and read at another in the runs of tune.
func couriers(tune func(*sim)) func(*sim) {
	return func(s *sim) {
		tune(s)
		for _, u := range s.users[:4] {
			u.courier = true
		}
	}
}

// soundRules breaks none.
func soundRules() simRules {
	return simRules{
		checkIncarnation: true, checkPrimary: true, earlier: true,
		store: func(p *simProxy) simStore { return p.store },
		answer: func(w *simWorld, i int) (*facts, bool) {
			role := RoleReplica
			if i < 0 {
				role = RolePrimary
			}
			s := w.addressed(i)
			if !s.alive {
				return nil, true
			}
			return w.facts(s, role), false
		},
		stamp:   func(*facts) {},
		decide:  func(*simProxy, *router.Query, *router.View) {},
		lost:    func(n *router.Need, v *router.View, now time.Time) (gtidSet, bool) { return n.Lost(v, now, simMaxLag) },
		outcome: func(_ *simOp, _ int, w session.Write) session.Write { return w },
		token:   (*simProxy).token,
		read:    (*sim).read,
		write:   (*sim).write,
	}
}

// everyReplica lets f change what is said of every replica.
func everyReplica(v *router.View, f func(*router.Replica)) {
	v.Replicas = slices.Clone(v.Replicas)
	for i := range v.Replicas {
		f(&v.Replicas[i])
	}
}

// nothing makes a write that f is true of one that wrote nothing.
func nothing(f func(o *simOp, user int) bool) func(*simOp, int, session.Write) session.Write {
	return func(o *simOp, user int, w session.Write) session.Write {
		if f(o, user) {
			w.None = true
		}
		return w
	}
}

// answering lets f change what a server says, knowing which.
func answering(f func(w *simWorld, s *simServer, got *facts)) func(*simWorld, int) (*facts, bool) {
	sound := soundRules().answer
	return func(w *simWorld, i int) (*facts, bool) {
		got, failed := sound(w, i)
		if got != nil {
			f(w, w.addressed(i), got)
		}
		return got, failed
	}
}

// tokenOf lets f change the need that a user takes along.
func tokenOf(f func(*session.Need)) func(*simProxy, *simUser) string {
	return func(p *simProxy, u *simUser) string {
		n := p.store.Need(u.key).Live(p.now().Add(-max(simWindow, simMaxLag)))
		f(&n)
		return n.Token(p.clock())
	}
}

// mutations are the rules, each broken in one way. What the simulation cannot express has tests of its own: MariaDB's
// positions in gtid and router, statements, connections and their branches (XA) in proxy.
var mutations = map[string]func(*simRules){
	"the outcome of a COMMIT goes to one of its sessions": func(r *simRules) {
		r.tune = only(4, 50, simTwo)
		r.outcome = nothing(func(o *simOp, user int) bool { return o.other != nil && user == 0 })
	},
	"a read uses a connection to another incarnation": func(r *simRules) {
		r.tune = only(4, 40, simRestore, simCrash)
		r.checkIncarnation = false
	},
	"a write without a GTID is none": func(r *simRules) {
		r.tune = only(3, 50, simSilent)
		r.outcome = nothing(func(o *simOp, _ int) bool { return o.silent })
	},
	"an error says that nothing was written": func(r *simRules) {
		r.tune = only(3, 50, simFail)
		r.outcome = nothing(func(o *simOp, _ int) bool { return o.fails })
	},
	"a write whose client went away is none": func(r *simRules) {
		r.tune = only(3, 50, simAbandon)
		r.outcome = nothing(func(o *simOp, _ int) bool { return o.left })
	},
	"an evicted session leaves nothing": func(r *simRules) {
		r.store = func(*simProxy) simStore { return newPlainStore(false, false) }
	},
	"a new session record starts without the floor": func(r *simRules) {
		r.tune = crowded(slowly(3, only(4, 60, simFlood)))
		r.store = func(*simProxy) simStore { return newPlainStore(true, false) }
	},
	"reads are not monotonic": func(r *simRules) {
		r.decide = func(_ *simProxy, q *router.Query, _ *router.View) { q.Need.ReadAt = time.Time{} }
	},
	"what was read from the primary does not count": func(r *simRules) {
		r.read = func(s *sim, o *simOp) {
			if o.stage == readIsNoted && o.target < 0 {
				o.stage++
			}
			s.read(o)
		}
	},
	"a read is noted after its end": func(r *simRules) {
		r.tune = slowly(6, only(3, 40))
		r.read = func(s *sim, o *simOp) {
			if o.stage == readIsNoted {
				o.user.seen.union(&o.found)
				if s.r.IntN(3) > 0 {
					return
				}
			}
			s.read(o)
		}
	},
	"a question in flight counts": func(r *simRules) {
		r.tune = slowly(6, only(4, 40))
		r.stamp = func(f *facts) { f.sent = f.got }
	},
	"what is being committed cannot be seen": func(r *simRules) {
		r.tune = listingSlowly(slowly(3, only(6, 20)))
		r.answer = answering(func(w *simWorld, s *simServer, got *facts) { got.written, got.shown = s.executed, s.executed })
	},
	"a window passes whatever the lag": func(r *simRules) {
		r.tune = only(3, 40, simSilent, simFreeze)
		r.decide = func(_ *simProxy, q *router.Query, v *router.View) {
			if !q.Need.UnprovenAt.IsZero() {
				everyReplica(v, func(x *router.Replica) { x.FreshAsOf = q.Now.Add(1) })
			}
		}
	},
	"any primary will do": func(r *simRules) {
		r.tune = slowly(4, only(4, 30, simDemote))
		r.checkPrimary = false
	},
	"the ends of a range are the range": func(r *simRules) {
		r.tune = slowly(6, only(2, 75, simFreeze))
		r.decide = func(_ *simProxy, q *router.Query, v *router.View) {
			everyReplica(v, func(x *router.Replica) {
				if x.Executed.ContainsEnds(q.Need.GTID) {
					x.Executed = x.Executed.Union(q.Need.GTID)
				}
			})
		}
	},
	"one replica frees for all": func(r *simRules) {
		r.tune = only(3, 50, simFreeze)
		r.decide = func(_ *simProxy, _ *router.Query, v *router.View) {
			var all gtidSet
			for i := range v.Replicas {
				all = all.Union(v.Replicas[i].Executed)
			}
			everyReplica(v, func(x *router.Replica) { x.Executed = all })
		}
	},
	"what was received is there": func(r *simRules) {
		r.answer = answering(func(w *simWorld, s *simServer, got *facts) {
			for _, n := range s.relay {
				got.executed = got.executed.Union(w.gtids[n])
			}
		})
	},
	"a server that went back is the same": func(r *simRules) {
		r.tune = only(3, 30, simBack)
		r.decide = func(_ *simProxy, _ *router.Query, v *router.View) {
			everyReplica(v, func(x *router.Replica) { x.ID = ID(x.Incarnation) })
		}
	},
	"nobody wrote before the start": func(r *simRules) {
		r.tune = slowly(3, only(3, 50, simRestart))
		r.earlier = false
	},
	"a write is lost, says an older answer": func(r *simRules) {
		r.tune = only(4, 50, simFreeze)
		r.lost = func(n *router.Need, v *router.View, now time.Time) (gtidSet, bool) {
			early := *n
			early.Since = time.Time{}
			return early.Lost(v, now, simMaxLag)
		}
	},
	"a write is learned after its end": func(r *simRules) {
		r.write = func(s *sim, o *simOp) {
			if o.stage == writeIsLearned && o.late == 0 {
				o.late++
				o.proxy.end(o, session.Write{None: true})
				for _, u := range o.users() {
					u.must.add(o.tx)
				}
				return
			}
			if o.late == 1 {
				if s.r.IntN(3) > 0 {
					return
				}
				o.late++
				o.proxy.begin(o)
			}
			s.write(o)
		}
	},
	"scope fleet asks for nothing": func(r *simRules) {
		r.decide = func(_ *simProxy, q *router.Query, _ *router.View) { q.Need.AsOf = time.Time{} }
	},
	"a token says nothing": func(r *simRules) {
		r.tune = only(2, 40, simMove)
		r.token = tokenOf(func(n *session.Need) { *n = session.Need{} })
	},
	"a token does not tell of reads": func(r *simRules) {
		r.tune = only(3, 25, simMove)
		r.token = tokenOf(func(n *session.Need) { n.ReadAt = time.Time{} })
	},
	"a token does not tell of writes without a GTID": func(r *simRules) {
		r.tune = oddly(2, slowly(6, only(2, 50, simMove, simSilent)))
		r.token = tokenOf(func(n *session.Need) { n.UnprovenAt = time.Time{} })
	},
	"a token does not tell of a write that is under way": func(r *simRules) {
		r.tune = couriers(slowly(6, only(3, 50, simMove, simAbandon)))
		r.token = tokenOf(func(n *session.Need) { n.Writing = 0 })
	},
	"a token does not tell of GTIDs": func(r *simRules) {
		r.tune = only(2, 50, simMove)
		r.token = tokenOf(func(n *session.Need) { n.GTID = gtidSet{} })
	},
}

// The store that can do without rules keeps the promise when it has them all: what the simulation finds is the broken rule.
func TestPlainStore(t *testing.T) {
	rules := soundRules()
	rules.tune = crowded(slowly(3, only(4, 60, simFlood, simMove, simSilent)))
	rules.store = func(*simProxy) simStore { return newPlainStore(true, true) }
	for seed := range uint64(200) {
		if s := simRun(t, seed, rules, 0, false); s.broken != "" {
			t.Fatalf("run %d: %s", seed, s.broken)
		}
	}
}

// TestMutations asserts that the simulation can fail: it finds each broken rule, in a number of runs that is always the
// same.
func TestMutations(t *testing.T) {
	const most = 1500
	for name, mutate := range mutations {
		t.Run(name, func(t *testing.T) {
			rules := soundRules()
			mutate(&rules)
			for seed := range uint64(most) {
				if s := simRun(t, seed+1, rules, 0, false); s.broken != "" {
					t.Logf("%s: run %d: %s", name, seed+1, s.broken)
					return
				}
			}
			t.Errorf("%s: nothing was wrong in %d runs", name, most)
		})
	}
}
