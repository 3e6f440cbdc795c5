package policies

import (
	"context"
	"time"
)

// coarse is what Go's timers may be late by when a program is idle.
const coarse = 1500 * time.Microsecond

// precisely waits until a time, to some tens of microseconds where the system can: what a timer is late by would count
// as latency.
func precisely(ctx context.Context, until time.Time) {
	if d := time.Until(until) - coarse; d > 0 {
		t := time.NewTimer(d)
		defer t.Stop()
		select {
		case <-ctx.Done():
			return
		case <-t.C:
		}
	}
	for d := time.Until(until); d > 0; d = time.Until(until) {
		shortSleep(d)
	}
}
