package lab

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/stickyproxy/stickyproxy/internal/mysqltest"
)

// Lag is how private replicas are late.
type Lag struct {
	Delay  time.Duration // every change arrives so much later
	Freeze time.Duration // each replica in turn stops applying for so long, again and again
}

// maxLag bounds a lag: what is longer is a mistake.
const maxLag = time.Hour

// ParseLag reads "50ms", "2s", or "freeze:3s". Empty is no lag of ours.
func ParseLag(s string) (Lag, error) {
	if s == "" {
		return Lag{}, nil
	}
	text, freeze := strings.CutPrefix(s, "freeze:")
	d, err := time.ParseDuration(text)
	if err != nil || d < 0 || d > maxLag || freeze && d == 0 {
		return Lag{}, fmt.Errorf("%q is not a lag; use a time like 50ms or 2s, or freeze:3s for replicas that stop for so long", s)
	}
	if freeze {
		return Lag{Freeze: d}, nil
	}
	return Lag{Delay: d}, nil
}

// String is the lag as ParseLag reads it.
func (l Lag) String() string {
	switch {
	case l.Freeze > 0:
		return "freeze:" + l.Freeze.String()
	case l.Delay > 0:
		return l.Delay.String()
	}
	return ""
}

// How it is made, for the report.
func (l Lag) describe() string {
	switch {
	case l.Freeze > 0:
		return fmt.Sprintf("each replica in turn stops applying for %v (STOP and START of the SQL thread)", l.Freeze)
	case l.Delay == 0:
		return "none but the replicas' own"
	case l.Delay%time.Second == 0:
		return fmt.Sprintf("%v, by the servers' own delay (SOURCE_DELAY, MASTER_DELAY)", l.Delay)
	}
	return fmt.Sprintf("%v, by a network between primary and replica on which everything arrives so much later", l.Delay)
}

// apply makes the replicas late, but for a freeze, which takes a goroutine.
func (l Lag) apply(ctx context.Context, c *mysqltest.Cluster) error {
	var errs []error
	for _, r := range c.Replicas {
		switch {
		case l.Delay == 0:
		case l.Delay%time.Second == 0:
			errs = append(errs, c.SetLag(ctx, r, l.Delay))
		default:
			errs = append(errs, c.DelayLink(ctx, r, l.Delay))
		}
	}
	return errors.Join(errs...)
}

// freezer stops and starts appliers until it is stopped.
type freezer struct {
	stop context.CancelFunc
	done sync.WaitGroup
	err  error // valid after done
}

// startFreezer begins to freeze one replica after the other. Between two freezes the replicas have the same time to
// catch up.
func startFreezer(c *mysqltest.Cluster, d time.Duration) *freezer {
	ctx, stop := context.WithCancel(context.Background())
	f := &freezer{stop: stop}
	f.done.Go(func() {
		for i := 0; ctx.Err() == nil && f.err == nil; i++ {
			f.err = freezeOnce(ctx, c, c.Replicas[i%len(c.Replicas)], d)
		}
	})
	return f
}

func freezeOnce(ctx context.Context, c *mysqltest.Cluster, r *mysqltest.Server, d time.Duration) error {
	sleep(ctx, d)
	if err := c.Freeze(ctx, r); err != nil {
		return unless(ctx, err)
	}
	sleep(ctx, d)
	return unless(ctx, c.Thaw(ctx, r))
}

// end stops it. The replica that is frozen then stays so: the cluster is closed next.
func (f *freezer) end() error {
	f.stop()
	f.done.Wait()
	return f.err
}

func unless(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return nil
	}
	return err
}

func sleep(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-t.C:
	}
}
