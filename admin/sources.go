package admin

import "time"

// Role is what a server is configured as.
type Role string

const (
	// RolePrimary is the server that takes writes.
	RolePrimary Role = "primary"
	// RoleReplica is a server that follows the primary.
	RoleReplica Role = "replica"
)

// Health is what is known of a server. The zero value is Unknown.
type Health uint8

const (
	// Unknown means that no health check has ended yet, or that there is no
	// account to check with. It is never shown as healthy.
	Unknown Health = iota
	// Up means that the last health check succeeded and the server may be used.
	Up
	// Down means that the last health check failed, or that the server is not what
	// it should be (a primary that is read-only, say).
	Down
)

// String returns "unknown", "up" or "down".
func (h Health) String() string {
	switch h {
	case Up:
		return "up"
	case Down:
		return "down"
	default:
		return "unknown"
	}
}

// ServerStatus is what is known of one server at one moment.
type ServerStatus struct {
	Address string // as configured; the label "server"
	Role    Role
	Health  Health
	Problem string // why it gets no work, one sentence for people; else empty
	Zone    string // as configured; may be empty
	// Version is the server's own, as announced. Position is what it has executed,
	// in its own notation. Both are empty while unknown.
	Version, Position string
	// Lag is an upper bound of how far a replica is behind the primary. It means
	// something only when LagKnown is set.
	Lag      time.Duration
	LagKnown bool
}

// Finding is one thing that is wrong with how a server is set up.
type Finding struct {
	Severity string // "warning" or "error"; the label "severity"
	Server   string // its address as configured, empty: it concerns all
	Check    string // what was looked at, a constant in snake_case
	Found    string // one sentence for people
	Advice   string // what to do about it
}

// Sources are the questions that the pages ask. Each function is called once a
// request, by any goroutine, and returns at once. A nil function answers zero.
type Sources struct {
	Version  string                // of the program
	Now      func() time.Time      // nil: time.Now
	Servers  func() []ServerStatus // the primary first; read only, never kept
	Sessions func() int            // sessions that are remembered
	Moved    func() (int, int)     // reads that run on the primary because no replica may serve them, and that wait for it
	Draining func() bool           // no new clients are taken
	Findings func() []Finding      // what is wrong with the servers' set-up; read only, never kept
}

func (s *Sources) now() time.Time {
	if s.Now == nil {
		return time.Now()
	}
	return s.Now()
}

func (s *Sources) servers() []ServerStatus {
	if s.Servers == nil {
		return nil
	}
	return s.Servers()
}

func (s *Sources) moved() (running, waiting int) {
	if s.Moved == nil {
		return 0, 0
	}
	return s.Moved()
}

func (s *Sources) sessions() int {
	if s.Sessions == nil {
		return 0
	}
	return s.Sessions()
}

func (s *Sources) findings() []Finding {
	if s.Findings == nil {
		return nil
	}
	return s.Findings()
}

func (s *Sources) draining() bool { return s.Draining != nil && s.Draining() }

// notReady returns why no client should be sent here now; empty when all is
// well. A primary that nobody checks counts as usable: without a monitor account
// a client finds out by connecting, and a proxy that never gets ready would be
// of no use.
func (s *Sources) notReady() string {
	if s.draining() {
		return "draining: no new clients are taken"
	}
	for _, server := range s.servers() {
		if server.Role != RolePrimary {
			continue
		}
		if server.Health == Down {
			return "primary " + server.Address + " is not usable" + reasonSuffix(server.Problem)
		}
		return ""
	}
	return "no primary is known"
}

func reasonSuffix(problem string) string {
	if problem == "" {
		return ""
	}
	return ": " + problem
}
