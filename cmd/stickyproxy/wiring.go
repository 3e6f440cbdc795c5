package main

import (
	"log/slog"
	"math"
	"time"

	"github.com/stickyproxy/stickyproxy/admin"
	"github.com/stickyproxy/stickyproxy/backend"
	"github.com/stickyproxy/stickyproxy/proxy"
	"github.com/stickyproxy/stickyproxy/router"
	"github.com/stickyproxy/stickyproxy/session"
)

// newFleet makes the fleet that config describes.
func newFleet(config *Config, logger *slog.Logger) (*backend.Fleet, error) {
	options := backend.Options{Logger: logger}
	var err error
	if options.Primary, err = config.Primary.backend(); err != nil {
		return nil, err
	}
	for _, r := range config.Replicas {
		server, err := r.backend()
		if err != nil {
			return nil, err
		}
		options.Replicas = append(options.Replicas, server)
	}
	if m := config.Monitor; m != nil {
		options.Monitor = &backend.Account{User: m.Name, Password: m.Password}
	}
	return backend.NewFleet(options)
}

// newSessions makes the memory of what named sessions must see, empty at start.
// What is written through an earlier process while that drains is the proxy's to
// find out.
func newSessions(config *Config) (*session.Store, error) {
	return session.NewStore(session.Options{Window: sessionWindow(config)})
}

// sessionWindow is for how long the time of a write can matter to any listener.
func sessionWindow(config *Config) time.Duration {
	for _, l := range config.Listeners {
		if l.Mode == router.GTID {
			return afterWindow(config)
		}
	}
	for _, own := range config.Own {
		if own.Mode != nil && *own.Mode == router.GTID {
			return afterWindow(config)
		}
	}
	return max(config.Consistency.Window, config.Consistency.MaxLag)
}

// afterWindow is for how long the time of a write can matter in mode gtid: a
// replica needs what the primary had a window after it, and may be late.
func afterWindow(config *Config) time.Duration {
	if config.Consistency.Window > math.MaxInt64-config.Consistency.MaxLag {
		return math.MaxInt64
	}
	return config.Consistency.Window + config.Consistency.MaxLag
}

// backend returns the server as the fleet takes it, with the files that it
// names read.
func (s *Server) backend() (backend.ServerConfig, error) {
	reach, err := s.TLS.backend()
	c := backend.ServerConfig{
		Address: s.Address, Weight: s.Weight, Zone: s.Zone, TLS: reach, SendProxyProtocol: s.SendProxyProtocol,
	}
	if err == nil {
		err = c.Validate()
	}
	return c, err
}

// accounts returns the users whose passwords the proxy checks itself.
func (c *Config) accounts() []backend.Account {
	var list []backend.Account
	for name, password := range c.Users {
		list = append(list, backend.Account{User: name, Password: password})
	}
	return list
}

// reasonNames returns the names of the router's reasons by their number.
func reasonNames() []string {
	names := []string{router.ReasonNone.String()}
	for _, r := range router.Reasons() {
		for len(names) <= int(r) {
			names = append(names, "")
		}
		names[r] = r.String()
	}
	return names
}

// countIn returns hooks that count in m what the proxy does.
func countIn(m *admin.Metrics) proxy.Trace {
	return proxy.Trace{
		Query: func(replica bool, reason router.Reason, took time.Duration) {
			target := admin.Primary
			if replica {
				target = admin.Replica
			}
			m.Query(target, uint8(reason), took)
		},
		Retried:     m.Retried,
		Opened:      m.ConnectionOpened,
		Closed:      m.ConnectionClosed,
		LoginFailed: func(error) { m.LoginFailed() },
		Panicked:    m.Panicked,
		Pinned:      m.Pinned,
		Waited:      m.Waited,
		Overloaded:  m.Overloaded,
		Lost:        m.WriteLost,
	}
}
