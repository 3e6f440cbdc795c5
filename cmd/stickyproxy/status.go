package main

import (
	"github.com/stickyproxy/stickyproxy/admin"
	"github.com/stickyproxy/stickyproxy/backend"
)

// sources connects the admin pages with the rest of the proxy.
func (s *service) sources() admin.Sources {
	return admin.Sources{
		Version:  version(),
		Servers:  s.serverStatus,
		Sessions: s.sessions.Len,
		Moved:    s.proxy.Moved,
		Draining: s.draining.Load,
		Findings: s.ward.problems,
	}
}

// serverStatus returns what is known of all servers, the primary first.
func (s *service) serverStatus() []admin.ServerStatus {
	var list []admin.ServerStatus
	for _, server := range s.fleet.Status() {
		list = append(list, admin.ServerStatus{
			Address:  server.Address,
			Role:     role(server.Role),
			Health:   health(server),
			Problem:  server.Problem,
			Version:  server.Version,
			Position: server.Position,
			Zone:     server.Zone,
			Lag:      server.Lag.D,
			LagKnown: server.Lag.Known,
		})
	}
	return list
}

// role translates between the two packages, which do not know each other.
func role(r backend.Role) admin.Role {
	if r == backend.RolePrimary {
		return admin.RolePrimary
	}
	return admin.RoleReplica
}

// health tells a server that failed from one that was never asked. A primary
// that answers but cannot take writes is of no use; a replica that answers is up,
// and its problem says why it gets no reads.
func health(s backend.ServerStatus) admin.Health {
	switch {
	case !s.Asked:
		return admin.Unknown
	case !s.Up || (s.Role == backend.RolePrimary && s.Problem != ""):
		return admin.Down
	default:
		return admin.Up
	}
}

// logStart says what runs, and warns of what an operator would not expect.
func (s *service) logStart() {
	for _, f := range s.fronts {
		s.logger.Info("listening", "address", listensAt(f.listener), "mode", f.policy.Mode.String(), "tls_required", f.policy.RequireTLS)
	}
	c := s.config
	s.logger.Info("primary", "address", c.Primary.Address)
	for _, r := range c.Replicas {
		s.logger.Info("replica", "address", r.Address, "weight", r.Weight, "zone", r.Zone)
	}
	s.logger.Info("consistency", "mode", c.Consistency.Mode.String(), "window", c.Consistency.Window, "wait", c.Consistency.Wait, "max_lag", c.Consistency.MaxLag)
	if s.adminOn != nil {
		s.logger.Info("admin pages", "address", listensAt(s.adminOn))
	}
	switch {
	case len(c.Replicas) == 0:
		s.logger.Warn("there are no replicas: everything goes to the primary; name some with --replica")
	case c.Monitor == nil:
		s.logger.Warn("there is no monitor account, so nothing is known about the replicas: everything goes to the primary; " +
			"name an account with --monitor-user, it needs no more than REPLICATION CLIENT")
	}
}

// logDrained says how the draining ended.
func (s *service) logDrained(err error) {
	if err != nil {
		s.logger.Warn("not all clients had gone, the rest was cut off", "error", err)
		return
	}
	s.logger.Info("drained: all clients have gone")
}
