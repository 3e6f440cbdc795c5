package backend

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/stickyproxy/stickyproxy/gtid"
	"github.com/stickyproxy/stickyproxy/router"
)

// DefaultInterval is how often a server is asked about itself when nothing else is said.
const DefaultInterval = time.Second

// Options of a [Fleet].
type Options struct {
	Primary  ServerConfig
	Replicas []ServerConfig
	// Monitor is an account of our own for health and lag; it needs REPLICATION CLIENT, on MariaDB from 10.5 on REPLICA
	// MONITOR. Nil: nothing is known about replicas, and everything is for the primary.
	Monitor  *Account
	Interval time.Duration    // between two questions to a server; 0 is DefaultInterval
	Logger   *slog.Logger     // nil is silent
	Now      func() time.Time // nil is time.Now; its values must have a monotonic reading or never go back
	Changed  func()           // called after each new snapshot, by any goroutine; returns soon and calls nothing here but Snapshot; nil: nothing
}

// Validate tells what is wrong with the options.
func (o *Options) Validate() error {
	if o.Interval < 0 {
		return fmt.Errorf("monitor interval %v is negative", o.Interval)
	}
	if o.Monitor != nil && o.Monitor.User == "" {
		return errors.New("the monitor account has no name")
	}
	if err := o.Primary.Validate(); err != nil {
		return fmt.Errorf("primary: %w", err)
	}
	for i := range o.Replicas {
		if err := o.Replicas[i].Validate(); err != nil {
			return fmt.Errorf("replica %d: %w", i+1, err)
		}
	}
	return nil
}

// Snapshot is what was known about the fleet at one moment. It is immutable.
type Snapshot struct {
	router.View
	Servers       []*Server // same index as View.Replicas
	Primary       *Server
	PrimaryReason string // why PrimaryUp is false, for people; "" when it is true
	// PrimaryDemoted: the configured primary answered that it is read-only and follows another server. It must not be
	// used, neither for writes nor for reads.
	PrimaryDemoted bool
	// Incarnation of the primary that says that each of its transactions gets a GTID; "" where that is not so or not
	// known.
	GTIDPrimary string
	// Clock is what is known of the primary's clock.
	Clock Clock
	// Newer is closed when there is a newer snapshot.
	Newer <-chan struct{}
}

// Clock is a reading of the primary's clock: it showed Says at a moment between Asked and Answered of ours. ID is that of
// the server; 0: nothing is known.
type Clock struct {
	ID                    uint64
	Asked, Answered, Says time.Time
}

// primaryClock is the reading of the server with this identity.
func (f *facts) primaryClock(identity uint64) Clock {
	if f.clock.IsZero() {
		return Clock{}
	}
	return Clock{ID: identity, Asked: f.sent, Answered: f.got, Says: f.clock}
}

// Fleet is the primary and the replicas, and what is known about them. Safe for concurrent use.
type Fleet struct {
	options  Options
	log      *slog.Logger
	snapshot atomic.Pointer[Snapshot]
	met      chan struct{} // closed when the primary was asked for the first time
	greeting chan struct{} // holds one value: the right to read the primary's greeting
	wrote    atomic.Bool   // everybody is about to be asked because of a write

	mu       sync.Mutex // guards what follows, and the members' knowledge
	primary  *member
	replicas []*member
	history  history       // of the primary
	undone   gtid.Set      // what the primary had before its position went back (RESET MASTER); replicas may have it still
	newer    chan struct{} // of the newest snapshot
}

// member is a server of the fleet and what is known about it.
type member struct {
	server *Server
	role   Role
	kick   chan struct{} // holds a value when it is to be asked soon
	want   chan struct{} // holds a value when its position is wanted soon

	// Guarded by Fleet.mu.
	facts    *facts // the newest good answer; nil: none yet
	identity uint64 // of the server that gave it
	err      error  // why it does not count as up; nil when it does, or was never asked
	asked    bool   // a question was answered, or failed
	failures int    // of questions, in a row
	reports  uint64 // failures that were reported by others
}

// NewFleet returns a fleet that knows nothing yet; [Fleet.Run] makes it learn.
func NewFleet(o Options) (*Fleet, error) {
	if err := o.Validate(); err != nil {
		return nil, err
	}
	if o.Interval == 0 {
		o.Interval = DefaultInterval
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	f := &Fleet{options: o, log: o.Logger, met: make(chan struct{}), greeting: make(chan struct{}, 1)}
	f.greeting <- struct{}{}
	if f.log == nil {
		f.log = slog.New(slog.DiscardHandler)
	}
	var err error
	if f.primary, err = newMember(o.Primary, RolePrimary); err != nil {
		return nil, err
	}
	for _, c := range o.Replicas {
		m, err := newMember(c, RoleReplica)
		if err != nil {
			return nil, err
		}
		f.replicas = append(f.replicas, m)
	}
	f.publish()
	return f, nil
}

func newMember(c ServerConfig, role Role) (*member, error) {
	s, err := NewServer(c)
	if err != nil {
		return nil, err
	}
	return &member{server: s, role: role, kick: make(chan struct{}, 1), want: make(chan struct{}, 1)}, nil
}

// now is the time on the clock of the options.
func (f *Fleet) now() time.Time { return f.options.Now() }

// Run asks every server regularly until ctx ends. It returns nil; call it once.
func (f *Fleet) Run(ctx context.Context) error {
	if f.options.Monitor == nil {
		f.log.Warn("no monitor account: nothing is known about the replicas, so every statement goes to the primary")
		<-ctx.Done()
		return nil
	}
	var g errgroup.Group
	for _, m := range f.members() {
		mon := &monitor{fleet: f, member: m}
		g.Go(func() error { return mon.run(ctx) })
	}
	return g.Wait()
}

// members returns the members, the primary first.
func (f *Fleet) members() []*member {
	f.mu.Lock()
	defer f.mu.Unlock()
	return append([]*member{f.primary}, f.replicas...)
}

// Snapshot returns the newest picture, without a lock.
func (f *Fleet) Snapshot() *Snapshot { return f.snapshot.Load() }

// PrimaryInfo returns what the primary says about itself before a login, waiting for the first contact. When that
// failed the error says why, and the next call may succeed. With a monitor account the contact is the monitor's, so Run
// must be running; when it returns without an error, the primary's role has been looked at.
func (f *Fleet) PrimaryInfo(ctx context.Context) (Greeting, error) {
	contact := f.contact
	if f.options.Monitor == nil {
		contact = f.greet
	}
	if err := contact(ctx); err != nil {
		return Greeting{}, err
	}
	g, _ := f.primary.server.Greeting()
	return g, nil
}

// contact waits until the monitor has met the primary.
func (f *Fleet) contact(ctx context.Context) error {
	select {
	case <-f.met:
	case <-ctx.Done():
		return fmt.Errorf("waiting for the first contact with the primary: %w", context.Cause(ctx))
	}
	if _, ok := f.primary.server.Greeting(); ok {
		return nil
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.primary.err == nil {
		return nil
	}
	return fmt.Errorf("the primary was not reached yet: %w", f.primary.err)
}

// greet reads the primary's greeting if it is not known, one goroutine at a time.
func (f *Fleet) greet(ctx context.Context) error {
	select {
	case <-f.greeting:
	case <-ctx.Done():
		return fmt.Errorf("waiting for the primary's greeting: %w", context.Cause(ctx))
	}
	defer func() { f.greeting <- struct{}{} }()
	if _, ok := f.primary.server.Greeting(); ok {
		return nil
	}
	return f.primary.server.greet(ctx)
}
