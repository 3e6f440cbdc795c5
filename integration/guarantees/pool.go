package guarantees

import (
	"context"
	"sync"
)

// pool is the connections of the application. Shared ones are taken and given back; those of one user are kept for
// them. Safe for concurrent use.
type pool struct {
	options *Options

	mu   sync.Mutex
	free []map[int][]*conn // by endpoint and owner; owner everybody has the shared ones
}

// everybody owns the shared connections.
const everybody = -1

// perEndpoint is how many connections of one owner are kept.
const perEndpoint = 4

func newPool(o *Options) *pool {
	p := &pool{options: o}
	for range o.To {
		p.free = append(p.free, make(map[int][]*conn))
	}
	return p
}

// take returns a connection for a turn of u, to an endpoint that is drawn from those that may serve it.
func (p *pool) take(ctx context.Context, u *user, write bool) (*conn, error) {
	e := p.endpoint(u, write)
	if c := p.pop(e, u); c != nil {
		return c, nil
	}
	attribute := ""
	if u.hint == ByConnectionAttribute {
		attribute = u.name
	}
	ctx, cancel := context.WithTimeout(ctx, p.options.timeout())
	defer cancel()
	c, err := dial(ctx, p.options.To[e], Schema, attribute)
	if err != nil {
		return nil, err
	}
	c.endpoint = e
	return c, nil
}

// endpoint draws the endpoint of a turn. A user who is known by the connection stays where it leads.
func (p *pool) endpoint(u *user, write bool) int {
	switch {
	case p.options.Split && write:
		return 0
	case p.options.Split:
		return 1 + u.rng.IntN(len(p.options.To)-1)
	case u.hint == ByConnection:
		return (u.id + u.renewed) % len(p.options.To)
	}
	return u.rng.IntN(len(p.options.To))
}

// owner is who may use the connections of u.
func (p *pool) owner(u *user) int {
	if u.hint.pooled() {
		return everybody
	}
	return u.id
}

// has tells whether a user who is known by the connection still has one.
func (p *pool) has(u *user) bool {
	e := p.endpoint(u, false)
	c := p.pop(e, u)
	if c == nil {
		return false
	}
	p.give(u, c)
	return true
}

// pop takes a connection that is free, any of them: users of a pool get whatever there is.
func (p *pool) pop(endpoint int, u *user) *conn {
	p.mu.Lock()
	defer p.mu.Unlock()
	owner := p.owner(u)
	list := p.free[endpoint][owner]
	for len(list) > 0 {
		i := u.rng.IntN(len(list))
		c := list[i]
		list[i] = list[len(list)-1]
		list = list[:len(list)-1]
		p.free[endpoint][owner] = list
		if c.wire.Alive() {
			return c
		}
		c.close()
	}
	return nil
}

// give takes a connection back, or closes it.
func (p *pool) give(u *user, c *conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	owner := p.owner(u)
	if list := p.free[c.endpoint][owner]; !c.broken && len(list) < perEndpoint {
		p.free[c.endpoint][owner] = append(list, c)
		return
	}
	c.close()
}

// drop closes the connections of one owner.
func (p *pool) drop(owner int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, byOwner := range p.free {
		for _, c := range byOwner[owner] {
			c.close()
		}
		delete(byOwner, owner)
	}
}
