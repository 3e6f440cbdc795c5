package proxy

import (
	"context"
	"net"
	"net/netip"
	"sync"
	"time"

	"github.com/hashicorp/golang-lru/v2/simplelru"
)

// How those who guess passwords are slowed down.
const (
	freeFailures   = 100                    // failed logins in a row from one address that cost nothing, as max_connect_errors is for other failures
	firstDelay     = 250 * time.Millisecond // of the answer to the next one; it doubles with each
	maxDelay       = 4 * time.Second
	forgetFailures = time.Minute // after the last one
	maxGuessers    = 4096        // addresses that are remembered
	maxDelayed     = 256         // answers that wait at a time
	maxDelayedEach = 8           // of them, for one address
)

// patience slows down who guesses passwords. After some failed logins in a row from one address, the answer to a
// further failure comes later and later. Nobody who gives the right password waits. As many answers wait at a time as
// are counted here; beyond that, an address that goes on failing is told to come back, and its passwords are not
// tried, but for those that are known to be right. Safe for concurrent use.
type patience struct {
	now func() time.Time

	mu       sync.Mutex
	guessers *simplelru.LRU[netip.Prefix, *guesser]
	delayed  int // answers that wait
}

// guesser is an address from which logins failed.
type guesser struct {
	failures int // in a row
	last     time.Time
	delayed  int // answers that wait
}

func newPatience(now func() time.Time) *patience {
	guessers, err := simplelru.NewLRU[netip.Prefix, *guesser](maxGuessers, nil)
	if err != nil {
		panic("BUG: " + err.Error()) // only for a size below 1
	}
	return &patience{now: now, guessers: guessers}
}

// origin is the address that failures count for: a customer's network in IPv6, where one has 2^64 addresses, and no
// address for all clients of unix sockets.
func origin(nc net.Conn) netip.Prefix {
	remote, ok := nc.RemoteAddr().(*net.TCPAddr)
	if !ok {
		return netip.Prefix{}
	}
	a := remote.AddrPort().Addr().Unmap()
	bits := a.BitLen()
	if a.Is6() {
		bits = 64
	}
	p, _ := a.WithZone("").Prefix(bits) // the zero Prefix for no address
	return p
}

// find returns the guesser at an address, nil if there is none, or none any more. The caller holds the lock.
func (p *patience) find(at netip.Prefix) *guesser {
	g, ok := p.guessers.Get(at)
	if !ok || g.delayed == 0 && p.now().Sub(g.last) >= forgetFailures {
		return nil
	}
	return g
}

// exhausted tells whether a login from an address, with a password that nobody knows to be right, is not to be tried.
func (p *patience) exhausted(at netip.Prefix) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	g := p.find(at)
	return g != nil && g.failures > freeFailures && (g.delayed >= maxDelayedEach || p.delayed >= maxDelayed)
}

// succeeded ends a row of failures.
func (p *patience) succeeded(at netip.Prefix) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if g := p.find(at); g != nil {
		g.failures = 0
	}
}

// failed counts a failed login and returns when it may be answered, or when ctx ends.
func (p *patience) failed(ctx context.Context, at netip.Prefix) {
	g, delay := p.count(at)
	if delay == 0 {
		return
	}
	timer := time.NewTimer(delay)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	g.delayed--
	p.delayed--
}

// count notes a failure. The delay of its answer, if there is one, is noted as begun.
func (p *patience) count(at netip.Prefix) (*guesser, time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	g := p.find(at)
	if g == nil {
		g = &guesser{}
		p.guessers.Add(at, g)
	}
	g.failures++
	g.last = p.now()
	if g.failures <= freeFailures || g.delayed >= maxDelayedEach || p.delayed >= maxDelayed {
		return g, 0
	}
	g.delayed++
	p.delayed++
	return g, delayAfter(g.failures)
}

// delayAfter is the delay of the answer to a failure, the first of which is number 1.
func delayAfter(failures int) time.Duration {
	delay := firstDelay
	for range failures - freeFailures - 1 {
		if delay *= 2; delay >= maxDelay {
			return maxDelay
		}
	}
	return delay
}
