package backend

import (
	"fmt"
	"math/bits"
	"math/rand/v2"
	"time"

	"github.com/stickyproxy/stickyproxy/gtid"
)

// The simulation (sim_*_test.go) is a small world of servers, proxies and users on a clock that does not move by itself.
// The rules under test are the real ones: [Fleet] learns the servers' answers, session.Store remembers, router.Decide
// decides. What the proxies do around them is written again in sim_proxy_test.go, in the same order.
//
// sim_world_test.go has the servers: how a commit becomes visible, how it gets to the replicas, and what goes wrong.
// sim_user_test.go has the users, who know what they must see, sim_trouble_test.go what happens seldom, and sim_test.go the
// runs. sim_mutation_test.go breaks one rule at a time.

// maxTx is how many transactions a run may have.
const maxTx = 1024

// txSet is a set of transactions by their number.
type txSet [maxTx / 64]uint64

func (s *txSet) add(n int)      { s[n/64] |= 1 << (n % 64) }
func (s *txSet) has(n int) bool { return s[n/64]>>(n%64)&1 == 1 }

func (s *txSet) union(o *txSet) {
	for i := range s {
		s[i] |= o[i]
	}
}

// without is what is in s and neither in a nor in b.
func (s *txSet) without(a, b *txSet) (left txSet) {
	for i := range s {
		left[i] = s[i] &^ a[i] &^ b[i]
	}
	return left
}

func (s *txSet) list() (all []int) {
	for i, w := range s {
		for ; w != 0; w &= w - 1 {
			all = append(all, i*64+bits.TrailingZeros64(w))
		}
	}
	return all
}

// simServer is a server. A commit is first in its log, then visible, then in executed. Replicas get it when it is visible:
// with AFTER_SYNC they may be ahead of the primary, which is not promised to be monotonic.
type simServer struct {
	name       string
	uuid       string
	starts     int // incarnations so far
	alive      bool
	data       txSet    // what reads see
	executed   gtid.Set // what it says
	committing []int    // in its log, and not yet in executed
	log        []int
	taken      int   // how much of the source's log it has
	relay      []int // of that, what it has not applied
	lastGNO    int
	source     *simServer // nil: it is the primary
	backup     *simServer // what it may be restored to: a copy
	frozen     bool       // its appliers stand still
}

func (s *simServer) incarnation() string { return fmt.Sprintf("%s/%d", s.uuid, s.starts) }

// simWorld is the servers and the time.
type simWorld struct {
	r         *rand.Rand
	now       time.Time
	primary   *simServer
	spare     *simServer // what the primary's address leads to by mistake: a replica; nil: it leads to the primary
	replicas  []*simServer
	gtids     []gtid.Set // of the transactions
	lost      txSet      // by a failover
	confirmed txSet      // to anybody
	clockSkew time.Duration
	workers   int // of a replica
	pace      int // one of so many times they apply something
}

func newSimWorld(r *rand.Rand, replicas int) *simWorld {
	w := &simWorld{r: r, now: epoch.Add(time.Hour), clockSkew: time.Duration(r.Int64N(int64(time.Minute))), workers: 1 + 7*r.IntN(2), pace: 1 + r.IntN(1+r.IntN(4))}
	for i := range replicas + 1 {
		s := &simServer{name: fmt.Sprint("s", i), uuid: fmt.Sprintf("3e11fa47-71ca-11e1-9e33-%012d", i), alive: true, starts: 1}
		if i == 0 {
			w.primary = s
			continue
		}
		s.source = w.primary
		w.replicas = append(w.replicas, s)
	}
	return w
}

// begin puts a new transaction in the primary's log. It is false when there are too many.
func (w *simWorld) begin() (int, bool) {
	if len(w.gtids) == maxTx || w.spare != nil {
		return 0, false
	}
	p := w.primary
	p.lastGNO++
	if w.r.IntN(20) == 0 {
		p.lastGNO++ // one that was rolled back after it had its number
	}
	set, err := gtid.ParseMySQL(fmt.Sprintf("%s:%d", p.uuid, p.lastGNO))
	if err != nil {
		panic(err)
	}
	n := len(w.gtids)
	w.gtids = append(w.gtids, set)
	p.committing, p.log = append(p.committing, n), append(p.log, n)
	return n, true
}

// show makes a transaction of the primary visible.
func (s *simServer) show(n int) { s.data.add(n) }

// finish puts a transaction that is visible into executed.
func (s *simServer) finish(w *simWorld, n int) {
	for i, m := range s.committing {
		if m == n {
			s.committing = append(s.committing[:i:i], s.committing[i+1:]...)
		}
	}
	s.executed = s.executed.Union(w.gtids[n])
}

// owned is what it is committing.
func (s *simServer) owned(w *simWorld) (set gtid.Set) {
	for _, n := range s.committing {
		set = set.Union(w.gtids[n])
	}
	return set
}

// replicate moves a replica on by a little: it takes something from its source, begins to commit one of the first
// transactions that it has taken, or ends such a commit.
func (w *simWorld) replicate(s *simServer) {
	if s.source == nil || !s.alive {
		return
	}
	if s.taken < len(s.source.log) && s.source.data.has(s.source.log[s.taken]) && w.r.IntN(3) > 0 {
		s.relay = append(s.relay, s.source.log[s.taken])
		s.taken++
	}
	if s.frozen || w.r.IntN(w.pace) > 0 {
		return
	}
	if len(s.committing) > 0 && w.r.IntN(2) == 0 {
		s.finish(w, s.committing[0])
	}
	if len(s.relay) > 0 {
		i := w.r.IntN(min(len(s.relay), w.workers)) // parallel appliers, in no order
		n := s.relay[i]
		s.relay = append(s.relay[:i:i], s.relay[i+1:]...)
		s.log, s.committing = append(s.log, n), append(s.committing, n)
		s.show(n)
	}
}

// save takes a backup.
func (s *simServer) save() {
	c := *s
	c.log, c.relay, c.committing = append([]int(nil), s.log...), append([]int(nil), s.relay...), append([]int(nil), s.committing...)
	s.backup = &c
}

// restore brings a replica back to its backup, as another incarnation.
func (w *simWorld) restore(s *simServer) {
	b := s.backup
	if b == nil || b.source != s.source {
		return
	}
	s.data, s.executed, s.taken = b.data, b.executed, b.taken
	s.log, s.relay, s.committing = append([]int(nil), b.log...), append([]int(nil), b.relay...), append([]int(nil), b.committing...)
	s.restart(w)
}

// goBack takes the last few transactions away from a replica that runs on. It is false if there are none.
func (w *simWorld) goBack(s *simServer) bool {
	n := min(1+w.r.IntN(4), len(s.log))
	if n == 0 || len(s.committing) > 0 || !s.alive {
		return false
	}
	left := len(s.log) - n
	s.relay = append(append([]int(nil), s.log[left:]...), s.relay...)
	s.log, s.data, s.executed = s.log[:left:left], txSet{}, gtid.Set{}
	for _, tx := range s.log {
		s.data.add(tx)
		s.executed = s.executed.Union(w.gtids[tx])
	}
	return true
}

// restart ends what it was committing, and makes it another incarnation.
func (s *simServer) restart(w *simWorld) {
	for len(s.committing) > 0 {
		s.show(s.committing[0])
		s.finish(w, s.committing[0])
	}
	s.starts++
	s.alive = true
}

// failover makes a replica the primary. What it does not have is lost, and the others are made again from it.
func (w *simWorld) failover(i int) {
	old, p := w.primary, w.replicas[i]
	if !p.alive {
		return
	}
	p.restart(w)
	p.source, p.relay, p.frozen, p.backup = nil, nil, false, nil
	w.primary, w.spare, w.replicas[i] = p, nil, old
	for n := range w.gtids {
		if !p.data.has(n) {
			w.lost.add(n)
		}
	}
	for _, s := range w.replicas {
		s.source, s.data, s.executed, s.log, s.taken, s.relay, s.committing = p, p.data, p.executed, append([]int(nil), p.log...), len(p.log), nil, nil
		s.starts, s.alive, s.backup, s.frozen = s.starts+1, w.r.IntN(3) > 0, nil, false
	}
	p.lastGNO++ // it may have given out numbers that nobody knows of
}

// addressed is whom an address leads to: -1 is the primary's.
func (w *simWorld) addressed(i int) *simServer {
	switch {
	case i >= 0:
		return w.replicas[i]
	case w.spare != nil:
		return w.spare
	}
	return w.primary
}

// facts is what a server says of itself when it is asked in this role.
func (w *simWorld) facts(s *simServer, role Role) *facts {
	f := &facts{incarnation: s.incarnation(), id: s.uuid, readOnly: s.source != nil, clock: w.now.Add(w.clockSkew)}
	if s.source != nil {
		f.sources = []source{{id: s.source.uuid, running: true}}
	}
	upper := s.executed.Union(s.owned(w))
	if role == RolePrimary {
		f.written, f.has = upper, s.executed
		return f
	}
	f.executed, f.shown = s.executed, upper
	return f
}
