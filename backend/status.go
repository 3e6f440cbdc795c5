package backend

import "time"

// ServerStatus is what is known about one server, for people.
type ServerStatus struct {
	Address     string
	Role        Role
	Zone        string
	Asked       bool      // a question was answered or failed; false for all without a monitor account
	Up          bool      // the last question was answered and no failure was reported since
	Problem     string    // why it gets no work although it is configured, one sentence; "" when all is well
	Lag         Lag       // of a replica
	Version     string    // as announced
	Incarnation string    // which server answered
	ReadOnly    bool      // it refuses writes
	Replicating bool      // it follows somebody and nothing of that is stopped
	Position    string    // what it has executed of the primary's writes; of the primary, what it has written
	LastSeen    time.Time // when the last good answer came; zero: never
}

// Status returns what is known about every server, the primary first.
func (f *Fleet) Status() []ServerStatus {
	f.mu.Lock()
	defer f.mu.Unlock()
	all := []ServerStatus{f.status(f.primary)}
	all[0].Problem = f.primaryProblem()
	if all[0].Problem == "" && f.primary.err != nil {
		all[0].Problem = f.primary.err.Error()
	}
	for _, m := range f.replicas {
		s := f.status(m)
		s.Problem = f.replicaProblem(m, s.Lag)
		all = append(all, s)
	}
	return all
}

// status is what the roles have in common, and the lag. The caller holds f.mu.
func (f *Fleet) status(m *member) ServerStatus {
	s := ServerStatus{Address: m.server.Address(), Role: m.role, Zone: m.server.cfg.Zone, Asked: m.asked}
	if g, ok := m.server.Greeting(); ok {
		s.Version = g.Version
	}
	if m.facts == nil {
		return s
	}
	s.Up = m.err == nil
	s.Incarnation, s.ReadOnly, s.Replicating, s.LastSeen = m.facts.incarnation, m.facts.readOnly, m.facts.replicating(), m.facts.got
	if m.role == RolePrimary {
		s.Position = m.facts.written.String()
		return s
	}
	if f.primary.facts == nil {
		s.Position = m.facts.executed.String()
		return s
	}
	have := m.facts.position(f.primary.facts)
	s.Position = have.String()
	if s.Up {
		s.Lag = f.history.lag(have, f.now())
	}
	return s
}

// replicaProblem is why a replica gets no reads.
func (f *Fleet) replicaProblem(m *member, lag Lag) string {
	switch {
	case f.options.Monitor == nil:
		return "there is no monitor account"
	case !m.asked:
		return "it was not asked yet"
	case m.err != nil:
		return m.err.Error()
	case !m.facts.readOnly:
		return "it is not read-only"
	case !m.facts.follows():
		return "it follows no server"
	case !m.facts.replicating():
		return m.facts.stopped()
	case !lag.Known:
		return "it is not known how far it is behind"
	}
	return ""
}

// stopped is why a stream of the server is stopped.
func (f *facts) stopped() string {
	for _, s := range f.sources {
		if !s.running {
			return s.problem
		}
	}
	return ""
}
