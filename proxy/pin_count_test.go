package proxy

import (
	"sync/atomic"
	"testing"
)

// pinCount counts the pins that a proxy tells of. The zero value is ready, for any goroutine.
type pinCount struct{ proven, waiting atomic.Int32 }

func (p *pinCount) add(proven bool) {
	if proven {
		p.proven.Add(1)
		return
	}
	p.waiting.Add(1)
}

// want fails the test unless there were pins of these kinds and no others.
func (p *pinCount) want(t *testing.T, proven, waiting bool) {
	t.Helper()
	if n, m := p.proven.Load(), p.waiting.Load(); n > 0 != proven || m > 0 != waiting {
		t.Errorf("%d proven pins, want some: %v; %d for a window, want some: %v", n, proven, m, waiting)
	}
}

// Who says that he has written counts as somebody whose write has no GTID.
func TestStickyPinIsCounted(t *testing.T) {
	for _, sql := range []string{"SET @sticky_pin = 1", "SELECT a FROM t /* sticky_pin=1 */"} {
		var told pinCount
		r := startRig(t, rigOptions{replicas: 1, trace: Trace{Pinned: told.add}})
		c := r.connect()
		c.query("SELECT a FROM t")
		told.want(t, false, false)
		c.query(sql)
		told.want(t, false, true)
	}
}
