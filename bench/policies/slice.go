package policies

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
	"golang.org/x/sync/errgroup"
)

const (
	// The range of the histograms, microseconds, and their precision in digits.
	shortest, longest, digits = 1, 10 * 60 * 1_000_000, 3
	// lateLimit is how long a slice may go on after its last action was due.
	lateLimit = 10 * time.Second
)

func newHistogram() *hdrhistogram.Histogram { return hdrhistogram.New(shortest, longest, digits) }

// user is what is known of one user under one policy.
type user struct {
	next  atomic.Int64 // number of the last write that was sent
	acked atomic.Int64 // the highest number of a write that was acknowledged
	wrote atomic.Int64 // when the last write was sent or acknowledged, nanoseconds since the run began; 0: never
}

// acknowledge notes that write n is done.
func (u *user) acknowledge(n int64) {
	for {
		old := u.acked.Load()
		if old >= n || u.acked.CompareAndSwap(old, n) {
			return
		}
	}
}

// tally is what happened in one slice.
type tally struct {
	Reads, Own, Stale, Replica, Writes int64
	all                                int64 // reads that were done, in the warm-up too
	Unfinished                         int64 // actions that were not done when the slice was ended; they count as that late
	Took                               time.Duration
	reads, writes                      *hdrhistogram.Histogram
}

func newTally() *tally { return &tally{reads: newHistogram(), writes: newHistogram()} }

// add adds what another worker counted.
func (t *tally) add(o *tally) {
	t.all += o.all
	t.Reads, t.Own, t.Stale, t.Replica, t.Writes = t.Reads+o.Reads, t.Own+o.Own, t.Stale+o.Stale, t.Replica+o.Replica, t.Writes+o.Writes
	t.reads.Merge(o.reads)
	t.writes.Merge(o.writes)
}

// driver does the actions of one user after the other on one policy's connections. The fake of the tests is the other one.
type driver interface {
	write(user int, n int64) error
	read(user, id int, pinned bool) (n int64, replica bool, err error)
}

// slice is one policy's turn.
type slice struct {
	policy  *Policy
	users   []user
	begun   time.Time // of the run
	start   time.Time // of the slice
	warm    time.Duration
	actions []Action
	wait    func(ctx context.Context, until time.Time)
}

// run does the actions, each when it is due, on as many workers as there are drivers.
func (s *slice) run(ctx context.Context, drivers []driver, length time.Duration) (*tally, error) {
	ctx, cancel := context.WithTimeout(ctx, length+lateLimit)
	defer cancel()
	queue := make(chan Action, len(s.actions)) // an open load: nobody waits for a worker
	var mu sync.Mutex
	total, done := newTally(), int64(0)
	group, working := errgroup.WithContext(ctx)
	for _, d := range drivers {
		group.Go(func() error {
			t, n, err := s.work(working, d, queue)
			mu.Lock()
			defer mu.Unlock()
			total.add(t)
			done += n
			return err
		})
	}
	s.dispatch(working, queue)
	if err := group.Wait(); err != nil && ctx.Err() == nil {
		return nil, fmt.Errorf("%s: %w", s.policy.Name, err)
	}
	if err := context.Cause(ctx); err != nil && err != context.DeadlineExceeded {
		return nil, err
	}
	total.Unfinished = int64(len(s.actions)) - done
	total.Took = time.Since(s.start) - s.warm
	s.omit(total, queue)
	return total, nil
}

// dispatch hands out the actions when they are due.
func (s *slice) dispatch(ctx context.Context, queue chan<- Action) {
	defer close(queue)
	for _, a := range s.actions {
		s.wait(ctx, s.start.Add(a.At))
		if ctx.Err() != nil {
			return
		}
		queue <- a
	}
}

// omit counts the actions that were never done with the time that they had waited: leaving them out would make the
// slowest policy look faster than it is.
func (s *slice) omit(t *tally, queue <-chan Action) {
	for a := range queue {
		s.record(t, a)
	}
}

// work does actions until there are no more.
func (s *slice) work(ctx context.Context, d driver, queue <-chan Action) (t *tally, done int64, err error) {
	t = newTally()
	for {
		select {
		case <-ctx.Done():
			return t, done, nil
		case a, ok := <-queue:
			if !ok {
				return t, done, nil
			}
			if err := s.do(t, d, a); err != nil {
				return t, done, err
			}
			done++
		}
	}
}

// do does one action and counts it, unless it belongs to the warm-up.
func (s *slice) do(t *tally, d driver, a Action) error {
	counted := t
	if a.At < s.warm {
		counted = &tally{}
	}
	var err error
	if a.Kind == Write {
		err = s.write(counted, d, a)
	} else {
		err = s.read(counted, d, a)
		t.all++
	}
	if err == nil && counted == t {
		s.record(t, a)
	}
	return err
}

// record notes the latency of an action that has just ended.
func (s *slice) record(t *tally, a Action) {
	h := t.reads
	if a.Kind == Write {
		h = t.writes
	}
	us := time.Since(s.start.Add(a.At)).Microseconds()
	_ = h.RecordValue(min(max(us, shortest), longest)) // always in the range
}

func (s *slice) write(t *tally, d driver, a Action) error {
	u := &s.users[a.User]
	n := u.next.Add(1)
	u.wrote.Store(int64(time.Since(s.begun)))
	if err := d.write(a.User, n); err != nil {
		return fmt.Errorf("write: %w", err)
	}
	u.wrote.Store(int64(time.Since(s.begun)))
	u.acknowledge(n)
	t.Writes++
	return nil
}

func (s *slice) read(t *tally, d driver, a Action) error {
	id := a.Other
	if a.Kind == ReadOwn {
		id = a.User
	}
	u := &s.users[a.User]
	want, pinned := u.acked.Load(), s.pinned(u)
	n, replica, err := d.read(a.User, id, pinned)
	if err != nil {
		return fmt.Errorf("read: %w", err)
	}
	t.Reads++
	if replica {
		t.Replica++
	}
	if a.Kind == ReadOwn {
		t.Own++
		if n < want {
			t.Stale++
		}
	}
	return nil
}

// pinned tells whether the user's window is open.
func (s *slice) pinned(u *user) bool {
	wrote := u.wrote.Load()
	return s.policy.Window > 0 && wrote > 0 && time.Since(s.begun)-time.Duration(wrote) < s.policy.Window
}
