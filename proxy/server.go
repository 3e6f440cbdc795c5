package proxy

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"github.com/stickyproxy/stickyproxy/backend"
	"github.com/stickyproxy/stickyproxy/gtid"
	"github.com/stickyproxy/stickyproxy/internal/netfd"
	"github.com/stickyproxy/stickyproxy/router"
	"github.com/stickyproxy/stickyproxy/session"
)

// Fleet is what a Server needs to know about the servers: *backend.Fleet.
type Fleet interface {
	// Snapshot returns what is known now; it is called for every statement.
	Snapshot() *backend.Snapshot
	// PrimaryInfo returns how the primary greets its clients.
	PrimaryInfo(context.Context) (backend.Greeting, error)
	// Reach opens a connection to the primary for a client who has not logged in yet; nil where there is none soon.
	Reach(context.Context, backend.Peer) *backend.Reached
	// Ask has the replicas asked for their positions soon.
	Ask()
	// Wrote is told that a write was acknowledged: its session will want to read.
	Wrote()
	// Failed is told that a connection to a replica failed.
	Failed(*backend.Server, error)
}

// Options of a [Server]. Fleet is needed; the rest has useful zero values.
type Options struct {
	Fleet    Fleet
	Sessions *session.Store    // what sessions of several connections must see; nil: there are none
	Accounts []backend.Account // accounts that the proxy checks itself: for clients that know mysql_native_password only
	Own      map[string]Own    // what accounts have of their own, by user name

	Window time.Duration // how long a write whose GTID is not known keeps a session on the primary; 0 is 15 s
	MaxLag time.Duration // how old a replica's data may be; 0 is 30 s
	Wait   time.Duration // how long a read may wait for a replica to have what it must see before it goes to the primary

	Overload Overload // how many reads may run on the primary at a time because no replica may serve them

	// Earlier is how long after New another process may still be serving clients of the same sessions, as one does that
	// this one replaces. Until then, reads of sessions with a name need what the primary has when they arrive. 0: there
	// is none.
	Earlier time.Duration

	ConnectTimeout time.Duration // for a client's login and for a connection to a server; 0 is 10 s
	MaxConnections int           // more clients get error 1040; 0 is no limit
	NoLocalInfile  bool          // LOAD DATA LOCAL INFILE is refused, as by a server with local_infile=OFF

	Logger *slog.Logger     // nil is silent
	Trace  Trace            // what metrics are made of
	Now    func() time.Time // nil is time.Now
}

// Policy is how the clients of one listener are treated. The zero Policy is mode auto without TLS.
type Policy struct {
	Mode       router.Mode
	Scope      Scope
	TLS        *tls.Config // nil: TLS is not offered
	RequireTLS bool        // refuse clients without TLS; a unix socket is as good
	// ProxyProtocol are the networks that may say, by a header of the PROXY protocol, for whom a connection is. A
	// header from elsewhere ends the connection.
	ProxyProtocol []netip.Prefix
}

// Own is what an account has in place of what the policy of its listener says.
type Own struct {
	Mode  *router.Mode   // nil: that of the policy
	Scope *Scope         // nil: that of the policy
	Wait  *time.Duration // nil: that of the options
}

// treat is how the clients of an account are treated on a listener with the policy p, and how long their reads may wait.
func (s *Server) treat(p Policy, user string) (Policy, time.Duration) {
	own, wait := s.o.Own[user], s.o.Wait
	if own.Mode != nil {
		p.Mode = *own.Mode
	}
	if own.Scope != nil {
		p.Scope = *own.Scope
	}
	if own.Wait != nil {
		wait = *own.Wait
	}
	return p, wait
}

// The defaults of Options.
const (
	DefaultWindow = 15 * time.Second
	DefaultMaxLag = 30 * time.Second
)

// rememberedAccounts is how many passwords are remembered for the next login of the same account.
const rememberedAccounts = 10_000

// Server accepts clients and serves each in a goroutine of its own. It is made by [New]; its methods may be called
// from any goroutine.
type Server struct {
	o         Options
	trace     Trace
	now       func() time.Time
	log       *slog.Logger
	admission Admission
	refused   *refusals
	views     *knownViews
	farewells chan struct{} // holds one value for each client that is being told that there are too many
	reaching  chan struct{} // holds one value for each login that has a connection to the primary already

	ctx    context.Context // ends with the server: logins that are under way stop
	cancel context.CancelFunc
	lastID atomic.Uint32
	// reporting is the incarnation of the last server that reported the GTID of a write.
	reporting atomic.Pointer[string]
	known     atomic.Pointer[gtid.Set] // what the primary knew of when a token had to be told from one of another cluster
	served    sync.WaitGroup           // a goroutine a client

	branches branches // of XA, that were prepared

	room      room         // on the primary, for reads that no replica may serve
	waiting   atomic.Int32 // reads that wait for a replica
	started   time.Time
	isSettled atomic.Bool
	settling  sync.Once

	watching sync.Once
	watched  sync.WaitGroup // the goroutine of watch

	mu        sync.Mutex
	listeners map[net.Listener]struct{}
	clients   map[*client]struct{}
	byID      map[uint32]*conn // those that were let in, by the ids that find knows
	draining  bool
}

// client is a connection that was accepted, from the first byte to the last.
type client struct {
	nc     net.Conn
	policy Policy
	conn   *conn // nil until the login is over
}

// New returns a server that listens nowhere yet.
func New(o Options) (*Server, error) {
	if o.Fleet == nil {
		return nil, errors.New("proxy: no fleet")
	}
	accounts, err := NewAccounts(o.Accounts, rememberedAccounts)
	if err != nil {
		return nil, fmt.Errorf("proxy: %w", err)
	}
	o.setDefaults()
	s := &Server{
		o: o, trace: o.Trace, now: o.Now, log: o.Logger, refused: newRefusals(), views: newKnownViews(),
		farewells: make(chan struct{}, maxFarewells), reaching: make(chan struct{}, maxReaching),
		listeners: make(map[net.Listener]struct{}), clients: make(map[*client]struct{}), byID: make(map[uint32]*conn),
	}
	s.room.open(o.Overload)
	s.started = s.now()
	s.ctx, s.cancel = context.WithCancel(context.Background())
	s.admission = Admission{Accounts: accounts, Timeout: o.ConnectTimeout, Key: RSAKey(), Connect: s.connectPrimary, patience: newPatience(o.Now)}
	s.lastID.Store(firstID)
	return s, nil
}

// firstID is below the first connection id of our own, for clients that are not greeted with the one that they have on
// the primary. Servers count theirs from 1; an id with the highest bit set is not one of theirs.
const firstID = 1 << 31

func (o *Options) setDefaults() {
	if o.Window == 0 {
		o.Window = DefaultWindow
	}
	if o.MaxLag == 0 {
		o.MaxLag = DefaultMaxLag
	}
	if o.ConnectTimeout == 0 {
		o.ConnectTimeout = DefaultConnectTimeout
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
}

// Serve accepts clients on l, who are treated by p, until [Server.Shutdown], and then returns nil. It closes l. It may
// be called for several listeners.
func (s *Server) Serve(l net.Listener, p Policy) error {
	if !s.listen(l) {
		return l.Close()
	}
	defer l.Close()
	s.watching.Do(func() { s.watched.Go(s.watch) })
	for {
		nc, err := l.Accept()
		if err != nil {
			if s.isDraining() {
				return nil
			}
			if wait(s.ctx, err) {
				continue
			}
			return fmt.Errorf("accept on %s: %w", l.Addr(), err)
		}
		s.accept(nc, p)
	}
}

// wait pauses after an error of Accept that passes, such as too many open files.
func wait(ctx context.Context, err error) bool {
	var t interface{ Temporary() bool }
	if !errors.As(err, &t) || !t.Temporary() {
		return false
	}
	select {
	case <-ctx.Done():
	case <-time.After(50 * time.Millisecond):
	}
	return true
}

// listen notes a listener; false when the server is shutting down.
func (s *Server) listen(l net.Listener) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.draining {
		s.listeners[l] = struct{}{}
	}
	return !s.draining
}

func (s *Server) isDraining() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.draining
}

// accept starts the goroutine of a client.
func (s *Server) accept(nc net.Conn, p Policy) {
	nc = netfd.New(nc)
	cl := &client{nc: nc, policy: p}
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.draining:
		_ = nc.Close()
	case s.o.MaxConnections > 0 && len(s.clients) >= s.o.MaxConnections:
		s.turnAwayFull(nc)
	default:
		s.clients[cl] = struct{}{}
		s.served.Go(func() { s.letIn(cl) })
	}
}

// letIn is a client's login. Whoever is let in is served by a goroutine of its own: a login goes deep, and the stack that
// grew for it goes back to the next login instead of staying with a client that may be idle for long.
func (s *Server) letIn(cl *client) {
	if f := s.trace.Opened; f != nil {
		f()
	}
	var c *conn
	err := s.contain(func() (err error) {
		c, err = s.login(cl)
		return err
	})
	if err == nil {
		s.served.Go(func() { s.serveClient(cl, c) })
		return
	}
	defer s.gone(cl)
	if f := s.trace.LoginFailed; f != nil {
		f(err)
	}
	s.log.Info("login failed", "client", address{cl.nc.RemoteAddr()}, "error", err)
}

// serveClient is a client's life behind the login.
func (s *Server) serveClient(cl *client, c *conn) {
	defer s.gone(cl)
	defer c.close()
	err := s.contain(c.serve) // it waits here for most of its life: what is on the stack below, idle clients pay for
	if errors.Is(err, errPanic) {
		c.crashed()
	}
	if l, ok := cl.nc.(interface{ SetLinger(int) error }); ok && c.primary.MariaDB && errors.Is(err, errIdle) {
		_ = l.SetLinger(0) // MariaDB resets the connection then, and drivers tell that from an end
	}
	s.logEnd(cl, c, err)
}

// contain runs what serves a client. A panic in it is a mistake of ours: it is logged, and an error, so that it costs the one
// client that came upon it, and not all of them.
func (s *Server) contain(f func() error) (err error) {
	defer func() {
		p := recover()
		if p == nil {
			return
		}
		err = fmt.Errorf("%w: %v", errPanic, p)
		s.log.Error("a panic ends a connection; please report it", "panic", p, "stack", string(debug.Stack()))
		if f := s.trace.Panicked; f != nil {
			f()
		}
	}()
	return f()
}

// logEnd says why a client's connection has ended.
func (s *Server) logEnd(cl *client, c *conn, err error) {
	level, why := slog.LevelInfo, "error"
	if errors.Is(err, errQuit) || errors.Is(err, errDrained) || errors.Is(err, errIdle) {
		level, why = slog.LevelDebug, "reason"
	}
	near, from := cl.nc.RemoteAddr(), c.nc.RemoteAddr()
	what := []any{"client", address{near}, "connection", c.id, "user", c.login.User, why, err}
	if from != near && from.String() != near.String() {
		what = append(what, "for", address{from})
	}
	s.log.Log(s.ctx, level, "connection ended", what...)
}

// address is an address in the log.
type address struct{ net.Addr }

// LogValue is the text of the address; it is made only for what is logged.
func (a address) LogValue() slog.Value { return slog.StringValue(a.String()) }

// reports notes that a server reports the GTIDs of writes.
func (s *Server) reports(incarnation string) {
	if old := s.reporting.Load(); old == nil || *old != incarnation {
		s.reporting.Store(&incarnation)
	}
}

// gone forgets a client.
func (s *Server) gone(cl *client) {
	_ = cl.nc.Close() // whoever closed it first
	s.mu.Lock()
	delete(s.clients, cl)
	if c := cl.conn; c != nil {
		s.forget(c, c.id)
		s.forget(c, c.thread.Load())
	}
	s.mu.Unlock()
	if f := s.trace.Closed; f != nil {
		f()
	}
}
