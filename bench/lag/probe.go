package lag

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"
)

// Writer makes the row of the primary n.
type Writer interface{ Write(n int64) error }

// Reader reads the row from a replica.
type Reader interface{ Read() (n int64, err error) }

const (
	// tight is the longest time between two reads that is not worth a pause: Go's timers are good to a millisecond.
	tight = time.Millisecond
	// slow is the longest pause between two reads while a write is waited for.
	slow = 2 * time.Millisecond
	// fineness is the part of a write's age that may pass between two reads.
	fineness = 20
	// longestGap bounds the random time between two writes, in mean times.
	longestGap = 5
	// longest is how late writes may be and still come as close together as planned.
	longest = 50 * time.Millisecond
)

// log is what happened to the writes, by their number less one. Writes are added by the writer; readers ask how old one
// is.
type log struct {
	start time.Time
	sent  atomic.Int64 // number of the last write that was sent

	mu    sync.Mutex
	acked []time.Duration // since start
	over  bool            // no more writes will come
}

func (l *log) since() time.Duration { return time.Since(l.start) }

// ack notes that the last write was acknowledged.
func (l *log) ack() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.acked = append(l.acked, l.since())
}

// age is how long ago write n was acknowledged; 0 if it is not yet.
func (l *log) age(n int64) time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	if n > int64(len(l.acked)) {
		return 0
	}
	return l.since() - l.acked[n-1]
}

func (l *log) end() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.over = true
}

// finished tells whether n was the last write.
func (l *log) finished(n int64) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.over && n >= l.sent.Load()
}

// follower is one replica's reader with what it saw.
type follower struct {
	name   string
	reader Reader
	log    *log
	wake   chan struct{} // holds a value when there is a new write

	seen   []time.Duration // by the number of the write less one: when the first read that saw it was sent
	missed time.Duration   // when the last read was sent that did not see all writes
	gaps   []time.Duration // between the read that saw a write first and the one before
	err    error
}

// measurement is one run of the writer and its followers.
type measurement struct {
	log       *log
	writer    Writer
	followers []*follower
	rate      float64 // writes a second
	random    *rand.Rand
}

// write makes writes for a time. They come at random intervals, so that nothing that happens regularly on the servers
// is hit or missed by them regularly. Writes that take longer than the intervals between them delay the next ones, and
// what is late by more than a moment is not made up for.
func (m *measurement) write(ctx context.Context, length time.Duration) error {
	defer m.finish()
	mean := float64(time.Second) / m.rate
	for next := time.Duration(0); ; {
		next = max(next, m.log.since()-longest) + time.Duration(min(m.random.ExpFloat64(), longestGap)*mean)
		pause(ctx, next-m.log.since())
		if ctx.Err() != nil || m.log.since() >= length {
			return context.Cause(ctx)
		}
		n := m.log.sent.Add(1)
		m.wakeAll()
		if err := m.writer.Write(n); err != nil {
			m.log.sent.Add(-1) // it may be there or not: nothing is said about it
			return fmt.Errorf("write on the primary: %w", err)
		}
		m.log.ack()
	}
}

func (m *measurement) finish() {
	m.log.end()
	m.wakeAll()
}

func (m *measurement) wakeAll() {
	for _, f := range m.followers {
		select {
		case f.wake <- struct{}{}:
		default:
		}
	}
}

// follow reads until all writes were seen, or ctx ends. An error is the replica's alone: it is kept.
func (f *follower) follow(ctx context.Context) {
	before := f.log.since()
	for {
		if int64(len(f.seen)) == f.log.sent.Load() {
			if f.log.finished(int64(len(f.seen))) {
				return
			}
			select {
			case <-ctx.Done():
				return
			case <-f.wake:
			}
			before = f.log.since()
			continue
		}
		sent := f.log.since()
		n, err := f.reader.Read()
		if err != nil {
			f.err = err
			if ctx.Err() != nil {
				f.err = fmt.Errorf("%w: %w", errSilent, err)
			}
			return
		}
		f.saw(n, sent, sent-before)
		if ctx.Err() != nil {
			return
		}
		before = sent
		f.rest(ctx)
	}
}

// saw notes what a read showed.
func (f *follower) saw(n int64, sent, gap time.Duration) {
	if last := f.log.sent.Load(); n < last {
		f.missed = sent
	}
	for int64(len(f.seen)) < n {
		f.seen = append(f.seen, sent)
		f.gaps = append(f.gaps, gap)
	}
}

// rest pauses as long as the age of the next write allows.
func (f *follower) rest(ctx context.Context) {
	if d := f.log.age(int64(len(f.seen))+1) / fineness; d >= tight {
		pause(ctx, min(d, slow))
	}
}

// probes are what is known of the writes at this replica, in their order.
func (f *follower) probes() []Probe {
	list := make([]Probe, len(f.log.acked))
	for i, acked := range f.log.acked {
		p := Probe{At: acked}
		if i < len(f.seen) {
			p.Seen, p.Age = true, max(0, f.seen[i]-acked)
		} else {
			p.Age = max(0, f.missed-acked)
		}
		list[i] = p
	}
	return list
}

// run writes for a time and then lets the followers see what is under way, for as long as settle at most.
func (m *measurement) run(ctx context.Context, length, settle time.Duration) error {
	reading, stop := context.WithCancel(ctx)
	defer stop()
	var followers sync.WaitGroup
	for _, f := range m.followers {
		followers.Go(func() { f.follow(reading) })
	}
	err := m.write(ctx, length)
	timer := time.AfterFunc(settle, stop)
	defer timer.Stop()
	if err != nil {
		stop()
	}
	followers.Wait()
	return err
}

// pause waits, or less if ctx ends.
func pause(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-t.C:
	}
}

// errSilent says that a replica did not answer any more. What it had then is not known, so none of it counts.
var errSilent = errors.New("it did not answer any more")

// errNoReplica says that nothing was measured.
var errNoReplica = errors.New("no replica could be read from until the end")

// Storm is a load on the primary that makes replicas late. Run makes it until ctx ends, which is no error.
type Storm interface {
	Run(ctx context.Context) error
}

// stormDuring runs the storm from one time to another.
func (m *measurement) stormDuring(ctx context.Context, s Storm, from, to time.Duration) error {
	pause(ctx, from-m.log.since())
	storm, stop := context.WithTimeout(ctx, to-m.log.since())
	defer stop()
	if err := s.Run(storm); err != nil && storm.Err() == nil {
		return fmt.Errorf("the storm: %w", err)
	}
	return nil
}

// both runs the measurement and the storm; nil is none.
func (m *measurement) both(ctx context.Context, o *Options) error {
	group, ctx := errgroup.WithContext(ctx)
	if o.Storm != nil {
		group.Go(func() error {
			from := o.WarmUp + o.Length
			return m.stormDuring(ctx, o.Storm, from, from+o.Length)
		})
	}
	group.Go(func() error { return m.run(ctx, o.total(), o.Settle) })
	return group.Wait()
}
