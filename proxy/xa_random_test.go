package proxy

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/stickyproxy/stickyproxy/router"
	"github.com/stickyproxy/stickyproxy/session"
)

// step does something.
func (m *xaModel) step() {
	c := m.clients[m.r.IntN(len(m.clients))]
	switch n := m.r.IntN(100); {
	case n < 30:
		m.replicate()
	case n < 45:
		m.asks()
	case n < 55:
		d := time.Duration(m.r.Int64N(int64(time.Second)))
		if m.r.IntN(3) == 0 {
			d = time.Duration(m.r.Int64N(int64(DefaultWindow)))
		}
		m.rig.clock.advance(d)
	case c.parked != "":
		m.endParked(c)
	case n < 65:
		m.prepares(c)
	case n < 75:
		m.decides(c)
	case n < 78:
		m.decidesElsewhere()
	case n < 80:
		m.leave(c)
	default:
		m.read(c)
	}
}

// prepares has a client prepare a branch, for itself and maybe for another session, or commit it in one phase.
func (m *xaModel) prepares(c *xaClient) {
	m.began++
	id := fmt.Sprint("b", m.began)
	b, hint := &xaBranch{names: []string{c.name}}, ""
	if m.r.IntN(3) == 0 {
		name := fmt.Sprint("s", m.r.IntN(2))
		b.names, hint = append(b.names, name), fmt.Sprintf(" /* sticky_session=%s */", name)
	}
	m.mu.Lock()
	m.branches[id] = b
	m.mu.Unlock()
	c.ok("XA START '" + id + "'")
	c.ok(write + hint)
	c.ok("XA END '" + id + "'")
	if m.r.IntN(6) == 0 {
		m.decide(c, "COMMIT", id, " ONE PHASE", m.fates())
		return
	}
	fate := m.fates()
	m.expect(fate)
	got := c.query("XA PREPARE '" + id + "'")
	m.mu.Lock()
	if m.mariaDB && b.prepared {
		c.parked, b.owner = id, c
	}
	m.log("%s prepares %s%s, fate %d: %v, %d transactions", c.name, id, hint, fate, got.err, m.last)
	m.mu.Unlock()
	switch {
	case got.lost != nil:
		m.leave(c)
		m.breaks(m.rules.vanished, id)
	case got.err != nil:
		m.leave(c) // what it was doing cannot go on
	default:
		m.breaks(m.rules.prepared, id)
	}
}

// fates is how the server answers: well, most of the time.
func (m *xaModel) fates() xaFate {
	switch {
	case m.rules.often != xaAnswers && m.r.IntN(2) == 0:
		return m.rules.often
	case m.r.IntN(3) > 0:
		return xaAnswers
	}
	return xaFate(m.r.IntN(int(xaFates)))
}

func (m *xaModel) expect(f xaFate) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.fate, m.done = f, 0
}

func (m *xaModel) breaks(rule func(*branches, router.XID), id string) {
	if rule != nil {
		rule(&m.rig.server.branches, router.XID{GTRID: id, Format: 1})
	}
}

// endParked has MariaDB's client decide about its branch, or leave it to others.
func (m *xaModel) endParked(c *xaClient) {
	if m.r.IntN(2) == 0 {
		m.leave(c)
		return
	}
	m.decide(c, m.verdict(), c.parked, "", xaAnswers)
}

func (m *xaModel) verdict() string {
	if m.r.IntN(4) == 0 {
		return "ROLLBACK"
	}
	return "COMMIT"
}

// free are the branches that anybody can decide about, from the oldest.
func (m *xaModel) free() (ids []string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for i := range m.began {
		id := fmt.Sprint("b", i+1)
		if b := m.branches[id]; b != nil && b.prepared && b.owner == nil {
			ids = append(ids, id)
		}
	}
	return ids
}

// decides has a client decide about somebody's branch.
func (m *xaModel) decides(c *xaClient) {
	if ids := m.free(); len(ids) > 0 {
		m.decide(c, m.verdict(), ids[m.r.IntN(len(ids))], "", m.fates())
	}
}

// decide sends the COMMIT or ROLLBACK of a branch. Whoever has, or may have, an acknowledgement must see it from then on,
// and so must all whose branch it is.
func (m *xaModel) decide(c *xaClient, verb, id, phase string, fate xaFate) {
	m.expect(fate)
	m.breaks(m.rules.decides, id)
	got := c.query(fmt.Sprintf("XA %s '%s'%s", verb, id, phase))
	m.mu.Lock()
	b, n := m.branches[id], m.done
	m.mu.Unlock()
	m.log("%s: %s of %s of %v, fate %d: transaction %d", c.name, verb, id, b.names, fate, n)
	if n > 0 {
		m.decided++
		m.mustSee(n, append(b.names, c.name)...)
	}
	if c.parked = ""; got.lost != nil || phase != "" && got.err != nil {
		m.leave(c)
	}
	if got.err != nil {
		m.breaks(m.rules.refused, id)
	}
}

func (m *xaModel) mustSee(n int, names ...string) {
	for _, name := range names {
		m.must[name] = max(m.must[name], n)
	}
}

// decidesElsewhere has somebody decide who is not a client of the proxy. Within a window of the XA PREPARE its sessions
// must see that.
func (m *xaModel) decidesElsewhere() {
	ids := m.free()
	if len(ids) == 0 {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	b := m.branches[ids[m.r.IntN(len(ids))]]
	b.prepared, b.over = false, true
	m.log("a COMMIT of %v elsewhere", b.names)
	if n := m.commit(); m.rig.clock.now().Sub(b.at) < DefaultWindow {
		m.mustSee(n, b.names...)
	}
}

// read has a client read, and finds out whether it could see what it must.
func (m *xaModel) read(c *xaClient) {
	if m.rules.beforeRead != nil {
		m.rules.beforeRead(&m.rig.server.branches)
	}
	got := c.query(readT)
	if got.err != nil || got.lost != nil || len(got.rows) != 1 {
		m.t.Fatalf("a read: %v", got)
	}
	m.reads++
	m.log("%s reads from %s", c.name, got.rows[0])
	for i, server := range m.rig.replicas {
		if server.name != got.rows[0] {
			continue
		}
		m.moved++
		if m.applied[i] < m.must[c.name] {
			m.broken = fmt.Sprintf("%s read from %s, which has %d transactions, and must see %d", c.name, server.name, m.applied[i], m.must[c.name])
		}
	}
}

// xaRun makes the run of a seed.
func xaRun(t *testing.T, seed uint64, rules xaRules) *xaModel {
	m := newXAModel(t, seed, rules)
	defer m.close()
	for range 150 {
		if m.step(); m.broken != "" {
			break
		}
	}
	return m
}

// Whoever takes part in a branch sees it once it is committed, whoever does that, and whatever becomes of connections.
func TestXAIsSeen(t *testing.T) {
	reads, moved, decided := 0, 0, 0
	start := rand.Uint64()
	for seed := range uint64(100) {
		m := xaRun(t, start+seed, xaRules{})
		if m.broken != "" {
			t.Fatalf("seed %d: %s\n%s", start+seed, m.broken, strings.Join(m.trace, "\n"))
		}
		reads, moved, decided = reads+m.reads, moved+m.moved, decided+m.decided
	}
	t.Logf("%d reads, %d of them from replicas, %d commits", reads, moved, decided)
	if moved < reads/10 || decided < 100 {
		t.Errorf("only %d of %d reads were served by replicas, after %d commits: that proves little", moved, reads, decided)
	}
}

// undecided makes a branch one that nobody waits for, and of which nobody is told.
func undecided(b *branches, id router.XID) { b.decided(id, session.Write{None: true}) }

// TestXAMutations asserts that the model can fail: it finds each broken rule.
func TestXAMutations(t *testing.T) {
	for name, rules := range map[string]xaRules{
		"what is prepared is there":                     {prepared: undecided},
		"XA PREPARE that was lost did nothing":          {vanished: undecided, often: xaDiesAfter},
		"the end is only for whoever sends it":          {decides: undecided},
		"an XA COMMIT that failed is one":               {refused: undecided, often: xaRefuses},
		"who waits no longer is not told":               {beforeRead: forgetLate},
		"a connection without a name waits for nothing": {prepared: forgetLocal},
	} {
		t.Run(name, func(t *testing.T) {
			for seed := range uint64(1000) {
				if m := xaRun(t, seed, rules); m.broken != "" {
					t.Logf("run %d: %s", seed, m.broken)
					return
				}
			}
			t.Error("nothing was wrong")
		})
	}
}

// forgetLate has the end of a branch count for nobody once its window has passed.
func forgetLate(b *branches) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for x := range maps.Values(maps.Clone(b.byID)) {
		if !x.held {
			b.remove(x)
		}
	}
}

// forgetLocal has the connection that prepared a branch not wait for it.
func forgetLocal(b *branches, id router.XID) {
	b.mu.Lock()
	defer b.mu.Unlock()
	x := b.byID[id]
	y := *x // what the others look at
	b.byID[id], x.place.Value = &y, &y
	x.held, x.over = false, true
}
