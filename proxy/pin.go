package proxy

import (
	"slices"
	"time"

	"github.com/stickyproxy/stickyproxy/gtid"
	"github.com/stickyproxy/stickyproxy/router"
	"github.com/stickyproxy/stickyproxy/session"
)

// pins is what the statements of a client connection must see, and the write of this connection that has no outcome yet.
//
// A statement works for the sessions that its hints name; without any for the one that the connection names; without that
// for the connection itself, whose record is local. What the connection writes, it must itself see too, whomever it wrote
// for: its statements without a name have no better.
//
// COMMIT carries no hint, so a transaction collects all sessions that its statements name, also those that only read: its
// outcome goes to all of them.
type pins struct {
	store   *session.Store
	account string
	global  bool          // every name means the session of everybody
	ours    []session.Key // what the connection works for: none, or one
	hinted  []session.Key // what the statement that is being served works for, if it says so
	local   session.Local
	borne   bool // local has what a token says, for a connection in the session of everybody

	writing bool          // Begin was said to local, End was not
	named   []session.Key // collected since the transaction began
	begun   int           // to how many of them Begin was said
	gtids   gtid.Set      // what the servers reported as committed since then
	doubt   bool          // the write may be more than gtids

	branches  *branches    // of the server
	preparing []router.XID // of the XA PREPARE that is under way
	awaiting  []awaited    // branches that local waits for
	parked    bool         // what is open is a prepared branch, and nothing else has been sent since
}

// everybody is the session of ScopeGlobal. No account has such a name: the protocol ends names with a NUL.
var everybody = session.Key{Account: "\x00", Name: "everybody"}

// maxNamed is how many sessions a transaction may name: what a client makes us remember has to be bounded.
const maxNamed = 1024

// enter makes the connection one of an account, for no session in particular.
func (p *pins) enter(store *session.Store, scope Scope, account string) {
	p.store, p.account, p.global = store, account, store != nil && scope == ScopeGlobal
	p.ours, p.hinted = nil, nil
	if p.global {
		p.ours = []session.Key{everybody}
	}
}

// name makes the connection work for the session of that name, or for itself if there is none. The name is valid.
func (p *pins) name(name string) {
	switch {
	case p.global:
	case name == "":
		p.ours = nil
	default:
		p.ours = []session.Key{p.key(name)}
	}
}

func (p *pins) key(name string) session.Key { return session.Key{Account: p.account, Name: name} }

// hint makes the statement that is being served work for these sessions, until the next one.
func (p *pins) hint(sessions []session.Key) {
	if !p.global {
		p.hinted = sessions
	}
}

// current is whom the statement that is being served works for; nobody: for the connection itself.
func (p *pins) current() []session.Key {
	if len(p.hinted) > 0 {
		return p.hinted
	}
	return p.ours
}

// need is what a read must see.
func (p *pins) need() router.Need {
	n := p.sees()
	return router.Need{
		Writing: n.Writing > 0, GTID: n.GTID, Since: n.Since, WroteAt: n.WroteAt, UnprovenAt: n.UnprovenAt,
		AsOf: n.AsOf, ReadAt: n.ReadAt, ReadBy: n.ReadBy,
	}
}

// sees is what the statement that is being served must see.
func (p *pins) sees() session.Need {
	if len(p.awaiting) > 0 {
		p.awaiting = p.branches.learn(p.awaiting, &p.local)
	}
	keys := p.current()
	if len(keys) == 0 {
		return p.local.Need()
	}
	n := p.store.Need(keys[0])
	for _, k := range keys[1:] {
		n = n.Merge(p.store.Need(k))
	}
	if p.borne {
		n = n.Merge(p.local.Need())
	}
	if p.global {
		l := p.local.Need()
		n.ReadAt, n.ReadBy = l.ReadAt, l.ReadBy
	}
	return n
}

// read notes a read that ended. The reads of everybody are not those of one: each connection keeps to its replica.
func (p *pins) read(r session.Read) {
	keys := p.current()
	if p.global || len(keys) == 0 {
		p.local.Read(r)
		return
	}
	for _, k := range keys {
		p.store.Read(k, r)
	}
}

// release ends the wait for writes that the primary lost.
func (p *pins) release(was, left gtid.Set) {
	for _, k := range p.current() {
		p.store.Release(k, was, left)
	}
	p.local.Release(was, left)
}

// pin acts as if they had written just now, with an unknown GTID.
func (p *pins) pin(at time.Time) {
	for _, k := range p.current() {
		p.store.Pin(k, at)
	}
	p.local.Pin(at)
}

// bear adds what a token says. Nobody can do that to the session of everybody, whose other members may be of other
// accounts.
func (p *pins) bear(n session.Need) {
	if p.global || len(p.current()) == 0 {
		p.local.Raise(n)
		p.borne = p.borne || p.global
		return
	}
	for _, k := range p.current() {
		p.store.Raise(k, n)
	}
}

// full reports whether the transaction has no room for these sessions.
func (p *pins) full(keys []session.Key) bool {
	n := len(p.named)
	if n+len(keys) <= maxNamed {
		return false
	}
	for _, k := range keys {
		if !slices.Contains(p.named, k) {
			n++
		}
	}
	return n > maxNamed
}

// collect notes that the statement that is being served is about to be sent to the primary. What has begun there as a
// write is now the write of its sessions too.
func (p *pins) collect() {
	for _, k := range p.current() {
		if !slices.Contains(p.named, k) {
			p.named = append(p.named, k)
		}
	}
	if p.writing {
		p.tell()
	}
}

// begin notes that a write is about to be sent. The writes of one transaction are one.
func (p *pins) begin() {
	if !p.writing {
		p.local.Begin()
		p.writing = true
	}
	p.parked = false
	p.collect()
}

// tell says Begin to the sessions that have not been told of the write.
func (p *pins) tell() {
	for ; p.begun < len(p.named); p.begun++ {
		p.store.Begin(p.named[p.begun])
	}
}

// decide notes that an XA COMMIT or ROLLBACK is about to be sent: it is a write of all whom the branch is for.
func (p *pins) decide(id router.XID) {
	for _, k := range p.branches.sessions(id) {
		if !slices.Contains(p.named, k) {
			p.named = append(p.named, k)
		}
	}
}

// prepare notes that a branch is prepared, or may be. All who are named in it wait for its end.
func (p *pins) prepare(id router.XID, at time.Time) {
	p.local.Begin()
	p.awaiting = append(p.awaiting, awaited{branch: p.branches.prepared(id, p.store, p.named, at)})
	p.awaiting = p.branches.learn(p.awaiting, &p.local)
}

// abandon notes that the write that is under way, if one is, will not have an outcome that anybody sees: the connection is
// lost, or what it does ends with a reset. Only a prepared branch outlives that. It is true if there was one.
func (p *pins) abandon(at time.Time) (w session.Write, ended bool) {
	for _, id := range p.preparing {
		p.prepare(id, at)
	}
	p.preparing = nil
	if ended = p.writing; ended {
		w = p.end(at, !p.parked, false)
	}
	p.forget()
	return w, ended
}

// committed notes GTIDs that the primary reported.
func (p *pins) committed(s gtid.Set) { p.gtids = p.gtids.Union(s) }

// none notes that it turned out that nothing was written.
func (p *pins) none() { p.finish(session.Write{None: true}) }

// end notes that the outcome of the write is known, or never will be: doubt. Answered says that whatever there is of it
// is in what the primary has from now on.
func (p *pins) end(at time.Time, doubt, answered bool) session.Write {
	w := session.Write{At: at, GTID: p.gtids, Unproven: doubt || p.doubt || p.gtids.IsEmpty(), Answered: answered}
	p.finish(w)
	p.doubt, p.gtids = false, gtid.Set{}
	return w
}

func (p *pins) finish(w session.Write) {
	for _, k := range p.named[:p.begun] {
		p.store.End(k, w)
	}
	p.local.End(w)
	p.writing, p.begun, p.parked = false, 0, false
}

// forget notes that no transaction is open, and no write is without an outcome.
func (p *pins) forget() {
	if len(p.named) > 0 {
		clear(p.named)
		p.named = p.named[:0]
	}
}
