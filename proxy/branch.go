package proxy

import (
	"container/list"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/stickyproxy/stickyproxy/router"
	"github.com/stickyproxy/stickyproxy/session"
)

const (
	// maxBranches is how many prepared branches are remembered, and maxBranchKeys how many sessions they have together:
	// what clients make us remember has to be bounded. Servers keep each branch in memory too.
	maxBranches   = 4096
	maxBranchKeys = 1 << 16
)

// branches are the branches of distributed transactions (XA) that were prepared through this server. XA PREPARE has a
// GTID, and what it prepared cannot be seen: its sessions wait for the COMMIT or ROLLBACK, which any connection may send.
// Where none is seen within a window, they stop to wait, as after a write without a GTID; a later one still counts for
// them, as long as there is room to remember whom it is for. Safe for concurrent use.
// https://dev.mysql.com/doc/refman/en/xa-states.html
type branches struct {
	held atomic.Int32 // how many are waited for

	mu      sync.Mutex // guards what follows, and the branches
	byID    map[router.XID]*branch
	waiting list.List // of those that are waited for, oldest first
	late    list.List // of those that are not any more
	keys    int       // of all sessions of all branches
	waiters map[session.Key]int
}

// branch is one of them.
type branch struct {
	id    router.XID
	at    time.Time // when it was prepared
	store *session.Store
	keys  []session.Key
	place *list.Element // in waiting, or in late
	held  bool
	news  int           // how often told has changed
	told  session.Local // what connections without a session have to see of it
	over  bool          // there will be no more news
}

// tell has connections without a session learn how the branch, or an attempt to decide about it, has ended.
func (x *branch) tell(w session.Write) {
	x.told.Begin()
	x.told.End(w)
	x.news++
}

// prepared notes that a branch was prepared, for these sessions.
func (b *branches) prepared(id router.XID, store *session.Store, keys []session.Key, at time.Time) *branch {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.byID == nil {
		b.byID, b.waiters = make(map[router.XID]*branch), make(map[session.Key]int)
	}
	if old := b.byID[id]; old != nil {
		b.forget(old, at) // it was decided about elsewhere
	}
	x := &branch{id: id, at: at, store: store, keys: slices.Clone(keys), held: true}
	for _, k := range x.keys {
		store.Begin(k)
		b.waiters[k]++
	}
	x.place = b.waiting.PushBack(x)
	b.byID[id] = x
	b.keys += len(x.keys)
	b.held.Add(1)
	for len(b.byID) > maxBranches || b.keys > maxBranchKeys {
		b.forget(b.oldest(), at)
	}
	return x
}

// oldest is the branch to do without: one that nobody waits for, if there is one.
func (b *branches) oldest() *branch {
	if e := b.late.Front(); e != nil {
		return e.Value.(*branch)
	}
	return b.waiting.Front().Value.(*branch)
}

// sessions are those of a branch, nil if it is not known.
func (b *branches) sessions(id router.XID) []session.Key {
	b.mu.Lock()
	defer b.mu.Unlock()
	if x := b.byID[id]; x != nil {
		return x.keys
	}
	return nil
}

// decided notes what became of a branch. Its sessions know already.
func (b *branches) decided(id router.XID, w session.Write) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if x := b.byID[id]; x != nil {
		b.release(x, session.Write{None: true})
		x.tell(w)
		b.remove(x)
	}
}

// doubted notes that an XA COMMIT or ROLLBACK of a branch ended with w, which does not tell what became of it. Its sessions
// know already.
func (b *branches) doubted(id router.XID, w session.Write) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if x := b.byID[id]; x != nil {
		x.tell(w)
	}
}

// expire ends the wait for what was prepared a window ago. It is true if there was such a branch. What somebody who is not
// seen here decided meanwhile, the primary has by the end of the window.
func (b *branches) expire(now time.Time, window time.Duration) (some bool) {
	if b.held.Load() == 0 {
		return false
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	for e := b.waiting.Front(); e != nil && now.Sub(e.Value.(*branch).at) >= window; e = b.waiting.Front() {
		x := e.Value.(*branch)
		w, rest := session.Write{At: x.at, Unproven: true}, session.Need{AsOf: x.at.Add(window)}
		b.release(x, w)
		for _, k := range x.keys {
			x.store.Raise(k, rest)
		}
		x.tell(w)
		x.told.Raise(rest)
		x.place = b.late.PushBack(x)
		some = true
	}
	return some
}

// forget drops a branch: nobody will be told what becomes of it.
func (b *branches) forget(x *branch, now time.Time) {
	if x.held {
		w := session.Write{At: now, Unproven: true}
		b.release(x, w)
		x.tell(w)
	}
	b.remove(x)
}

// release ends the wait for x with w.
func (b *branches) release(x *branch, w session.Write) {
	if !x.held {
		return
	}
	x.held = false
	b.held.Add(-1)
	b.waiting.Remove(x.place)
	x.place = nil
	for _, k := range x.keys {
		x.store.End(k, w)
		if b.waiters[k]--; b.waiters[k] == 0 {
			delete(b.waiters, k)
		}
	}
}

// remove forgets x, which nobody waits for.
func (b *branches) remove(x *branch) {
	if x.place != nil {
		b.late.Remove(x.place)
	}
	delete(b.byID, x.id)
	b.keys -= len(x.keys)
	x.over = true
}

// waitedFor reports whether one of the sessions waits for a branch.
func (b *branches) waitedFor(keys []session.Key) bool {
	if b.held.Load() == 0 {
		return false
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.ContainsFunc(keys, func(k session.Key) bool { return b.waiters[k] > 0 })
}

// awaited is a branch that a connection has prepared, and what of it the connection has learned.
type awaited struct {
	branch *branch
	news   int  // so many of them
	freed  bool // that it does not wait any more
}

// learn tells a connection's own record what became of the branches that it has prepared, and keeps those of which
// there may be more news.
func (b *branches) learn(all []awaited, local *session.Local) []awaited {
	b.mu.Lock()
	defer b.mu.Unlock()
	left := all[:0]
	for _, a := range all {
		if a.news < a.branch.news {
			local.Raise(a.branch.told.Need())
			a.news = a.branch.news
		}
		if !a.branch.held && !a.freed {
			local.End(session.Write{None: true})
			a.freed = true
		}
		if !a.branch.over {
			left = append(left, a)
		}
	}
	clear(all[len(left):])
	return left
}

// waits reports whether whom the statement works for waits for a branch.
func (p *pins) waits() bool {
	if keys := p.current(); len(keys) > 0 {
		return p.branches.waitedFor(keys)
	}
	return len(p.awaiting) > 0
}

// readXA notes what the text of a request, which is about to be sent to the primary, does with branches.
func (c *conn) readXA(r *request) {
	if sql := c.text(r); sql != nil {
		list, ok := router.ReadXA(sql, c.state.context)
		r.xa, r.xaUnread = list, !ok
	} else {
		r.xaUnread = true
	}
	for _, x := range r.xa {
		switch x.Verb {
		case router.XADecide:
			c.pins.decide(x.ID)
		case router.XAPrepare:
			c.pins.preparing = append(c.pins.preparing, x.ID)
		}
	}
}

// branchPrepared records that branches were prepared. In a text of several statements one of them may have failed later. What
// of the text could not be read may have prepared others.
func (c *conn) branchPrepared(l *link, r *request) {
	failed := r.failure != nil
	if !failed || r.class.Multi {
		for _, id := range c.pins.preparing {
			c.pins.prepare(id, c.srv.now())
		}
		c.pins.parked = len(c.pins.preparing) > 0 && !failed && l.inTransaction() // MariaDB's stay with the connection
	}
	c.pins.preparing = nil
	c.pins.doubt = c.pins.doubt || r.xaUnread && c.pins.writing
}

// branchDecided records what became of branches with a write that has ended. An error does not tell, nor does silence.
func (c *conn) branchDecided(r *request, w session.Write, answered bool) {
	tell := c.srv.branches.doubted
	if answered && r.failure == nil {
		tell = c.srv.branches.decided
	}
	for _, x := range r.xa {
		if x.Verb == router.XADecide {
			tell(x.ID, w)
		}
	}
}
