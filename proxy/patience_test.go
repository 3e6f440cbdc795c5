package proxy

import (
	"context"
	"net"
	"net/netip"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

var (
	somewhere = netip.MustParsePrefix("192.0.2.1/32")
	nearby    = netip.MustParsePrefix("192.0.2.2/32")
)

// took is how long the answer to a failed login is delayed.
func took(p *patience, at netip.Prefix) time.Duration {
	start := time.Now()
	p.failed(context.Background(), at)
	return time.Since(start)
}

// Ensure that answers come later and later, up to a bound; that a success, or a minute, ends it; and that it is one
// address's business alone.
func TestPatience(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPatience(time.Now)
		row := func(behind ...time.Duration) {
			t.Helper()
			for i, w := range append(make([]time.Duration, freeFailures), behind...) {
				if got := took(p, somewhere); got != w {
					t.Errorf("failure %d: got %v, want %v", i+1, got, w)
				}
			}
		}
		const ms = time.Millisecond
		row(250*ms, 500*ms, 1000*ms, 2000*ms, 4000*ms, 4000*ms)
		if got := took(p, nearby); got != 0 {
			t.Errorf("another address waits for %v", got)
		}
		p.succeeded(somewhere)
		row(250 * ms)
		<-time.After(forgetFailures)
		row(250 * ms)
	})
}

// Ensure that as many answers wait as are counted, for one address and for all; that an address that has them wait is
// told to come back, and others are not; and that all is free again soon.
func TestPatienceIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPatience(time.Now)
		var waiting sync.WaitGroup
		guess := func(at netip.Prefix, times int) {
			for range times {
				waiting.Go(func() { p.failed(context.Background(), at) })
				synctest.Wait()
			}
		}
		guess(somewhere, freeFailures+maxDelayedEach)
		if p.delayed != maxDelayedEach || !p.exhausted(somewhere) || p.exhausted(nearby) {
			t.Errorf("%d answers wait, exhausted: %v and %v", p.delayed, p.exhausted(somewhere), p.exhausted(nearby))
		}
		guess(somewhere, 100)
		if p.delayed != maxDelayedEach {
			t.Errorf("%d answers wait", p.delayed)
		}
		for i := range 2 * maxDelayed / maxDelayedEach {
			guess(netip.PrefixFrom(netip.AddrFrom4([4]byte{198, 51, 100, byte(i)}), 32), freeFailures+maxDelayedEach)
		}
		if p.delayed != maxDelayed {
			t.Errorf("%d answers wait, want %d", p.delayed, maxDelayed)
		}
		if p.exhausted(nearby) {
			t.Error("an address is blocked for what others did")
		}
		waiting.Wait()
		if p.delayed != 0 || p.exhausted(somewhere) {
			t.Errorf("at the end %d answers wait", p.delayed)
		}
	})
}

// Ensure that what is remembered of addresses is bounded, and that one that is forgotten meanwhile does no harm.
func TestPatienceForgets(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPatience(time.Now)
		ctx, cancel := context.WithCancel(context.Background())
		for range freeFailures {
			p.failed(ctx, somewhere)
		}
		var waiting sync.WaitGroup
		waiting.Go(func() { p.failed(ctx, somewhere) })
		synctest.Wait()
		for i := range 2 * maxGuessers {
			p.failed(ctx, netip.PrefixFrom(netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)}), 32))
		}
		if got := p.guessers.Len(); got != maxGuessers {
			t.Errorf("%d addresses are remembered, want %d", got, maxGuessers)
		}
		cancel() // the end of the proxy
		waiting.Wait()
		if p.delayed != 0 {
			t.Errorf("%d answers wait", p.delayed)
		}
	})
}

func TestOrigin(t *testing.T) {
	for _, row := range []struct {
		remote net.Addr
		want   string
	}{
		{&net.TCPAddr{IP: net.ParseIP("192.0.2.1"), Port: 7}, "192.0.2.1/32"},
		{&net.TCPAddr{IP: net.ParseIP("2001:db8:1:2:3::4"), Port: 7}, "2001:db8:1:2::/64"},
		{&net.TCPAddr{IP: net.ParseIP("fe80::1"), Zone: "eth0"}, "fe80::/64"},
		{&net.TCPAddr{}, "invalid Prefix"},
		{&net.UnixAddr{Name: "@"}, "invalid Prefix"},
	} {
		if got := origin(&forwarded{remote: row.remote}).String(); got != row.want {
			t.Errorf("%v: got %s, want %s", row.remote, got, row.want)
		}
	}
}

// Ensure that a login that fails again and again is answered late, one that succeeds at once, and that while answers
// wait only passwords that are known to be right are tried.
func TestLoginBackOff(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		p := newPrimary()
		a := newAdmission(t, p)
		a.patience = newPatience(time.Now)
		mustLogin(t, a, "app", "secret")
		start := time.Now()
		for range freeFailures {
			mustRefuse(t, a, "nobody", "wrong", 1045, FaultClient)
		}
		if got := time.Since(start); got != 0 {
			t.Errorf("the first failures took %v", got)
		}
		mustRefuse(t, a, "app", "wrong", 1045, FaultClient)
		if got := time.Since(start); got != firstDelay {
			t.Errorf("the next one took %v", got)
		}
		var guessing sync.WaitGroup
		for range maxDelayedEach {
			guessing.Go(func() { mustRefuse(t, a, "app", "wrong", 1045, FaultClient) })
		}
		synctest.Wait()
		asked := p.tried()
		mustRefuse(t, a, "app", "guess", 1129, FaultClient)
		if got := p.tried() - asked; got != 0 {
			t.Errorf("the primary was asked %d times about a guess", got)
		}
		c, _ := mustLogin(t, a, "app", "secret")
		wantSteps(t, c, "fast ok")
		guessing.Wait()
		mustLogin(t, a, "open", "")
	})
}
