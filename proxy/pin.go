package proxy

import (
	"time"

	"github.com/stickyproxy/stickyproxy/backend"
	"github.com/stickyproxy/stickyproxy/gtid"
	"github.com/stickyproxy/stickyproxy/mysqlwire"
	"github.com/stickyproxy/stickyproxy/router"
	"github.com/stickyproxy/stickyproxy/session"
)

// sessionAttribute is the connection attribute that names a client's session.
const sessionAttribute = "sticky_session"

// pins is what the session of a client connection must see, and the write of this connection that has no outcome yet.
// A connection that names no session is its own.
type pins struct {
	store *session.Store
	key   session.Key // Name is empty: no session is named, and local is its record
	local session.Local

	writing bool     // Begin was said, End was not
	gtids   gtid.Set // what the servers reported as committed since then
	doubt   bool     // the write may be more than gtids
}

// everybody is the session of ScopeGlobal. No account has such a name: the protocol ends names with a NUL.
var everybody = session.Key{Account: "\x00", Name: "everybody"}

// name makes the connection work for a session that is not its own: that of its scope, or the one that its attributes
// name, if they do.
func (p *pins) name(store *session.Store, scope Scope, login backend.Login) error {
	if store == nil {
		return nil
	}
	if scope == ScopeGlobal {
		p.store, p.key = store, everybody
		return nil
	}
	for name, value := range mysqlwire.Attributes(login.Attributes) {
		if name != sessionAttribute || value == "" {
			continue
		}
		key := session.Key{Account: login.User, Name: value}
		if err := key.Validate(); err != nil {
			return err
		}
		p.store, p.key = store, key
	}
	return nil
}

// need is what a read must see.
func (p *pins) need() router.Need {
	n := p.local.Need()
	if p.key.Name != "" {
		n = p.store.Need(p.key)
	}
	return router.Need{Writing: n.Writing > 0, GTID: n.GTID, WroteAt: n.WroteAt, UnprovenAt: n.UnprovenAt}
}

// begin notes that a write is about to be sent. The writes of one transaction are one.
func (p *pins) begin() {
	switch {
	case p.writing:
		return
	case p.key.Name != "":
		p.store.Begin(p.key)
	default:
		p.local.Begin()
	}
	p.writing = true
}

// committed notes GTIDs that the primary reported.
func (p *pins) committed(s gtid.Set) { p.gtids = p.gtids.Union(s) }

// none notes that it turned out that nothing was written.
func (p *pins) none() {
	if p.key.Name != "" {
		p.store.End(p.key, session.Write{None: true})
	} else {
		p.local.End(session.Write{None: true})
	}
	p.writing = false
}

// end notes that the outcome of the write is known, or never will be: doubt.
func (p *pins) end(at time.Time, doubt bool) (proven bool) {
	proven = !doubt && !p.doubt && !p.gtids.IsEmpty()
	w := session.Write{At: at, GTID: p.gtids, Unproven: !proven}
	if p.key.Name != "" {
		p.store.End(p.key, w)
	} else {
		p.local.End(w)
	}
	p.writing, p.doubt, p.gtids = false, false, gtid.Set{}
	return proven
}
