package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/stickyproxy/stickyproxy/admin"
	"github.com/stickyproxy/stickyproxy/backend"
	"github.com/stickyproxy/stickyproxy/proxy"
	"github.com/stickyproxy/stickyproxy/session"
)

// service is the whole proxy: the servers it knows, the sessions it remembers and
// everything that listens. It is made by newService, opened by listen and used up
// by run.
type service struct {
	config   *Config
	logger   *slog.Logger
	fleet    *backend.Fleet
	sessions *session.Store
	proxy    *proxy.Server
	metrics  *admin.Metrics
	ward     *ward
	fronts   []*front
	admin    *http.Server
	adminOn  net.Listener // nil: there are no admin pages
	draining atomic.Bool
}

// front is one address that clients connect to, and how they are treated.
type front struct {
	address  string
	policy   proxy.Policy
	listener net.Listener // nil until listen
}

// newService makes everything that config describes, and opens nothing.
func newService(config *Config, logger *slog.Logger) (*service, error) {
	s := &service{config: config, logger: logger, metrics: admin.NewMetrics(reasonNames())}
	var err error
	if s.fleet, err = newFleet(config, logger); err != nil {
		return nil, fmt.Errorf("servers: %w", err)
	}
	if s.sessions, err = newSessions(config); err != nil {
		return nil, fmt.Errorf("sessions: %w", err)
	}
	if s.proxy, err = s.newProxy(); err != nil {
		return nil, err
	}
	if s.ward, err = newWard(config, logger); err != nil {
		return nil, fmt.Errorf("servers: %w", err)
	}
	if s.fronts, err = newFronts(config); err != nil {
		return nil, err
	}
	s.admin = admin.NewServer(admin.NewHandler(s.metrics, s.sources()), logger)
	return s, nil
}

// newFronts makes a front for each listener. Those with the same TLS settings
// share one certificate.
func newFronts(config *Config) ([]*front, error) {
	var fronts []*front
	offers := map[TLS]*tls.Config{}
	for _, l := range config.Listeners {
		key := TLS{Cert: l.TLS.Cert, Key: l.TLS.Key, CA: l.TLS.CA}
		if offers[key] == nil {
			offer, err := clientTLS(l.TLS)
			if err != nil {
				return nil, err
			}
			offers[key] = offer
		}
		policy := proxy.Policy{Mode: l.Mode, Scope: l.Scope, TLS: offers[key], RequireTLS: l.TLS.Required, ProxyProtocol: l.From}
		fronts = append(fronts, &front{address: l.Address, policy: policy})
	}
	return fronts, nil
}

func (s *service) newProxy() (*proxy.Server, error) {
	return proxy.New(proxy.Options{
		Fleet:          s.fleet,
		Sessions:       s.sessions,
		Accounts:       s.config.accounts(),
		Own:            s.config.Own,
		Window:         s.config.Consistency.Window,
		MaxLag:         s.config.Consistency.MaxLag,
		Wait:           s.config.Consistency.Wait,
		Overload:       s.config.Overload,
		Earlier:        max(s.config.DrainTimeout, time.Millisecond),
		ConnectTimeout: s.config.ConnectTimeout,
		MaxConnections: s.config.MaxConnections,
		NoLocalInfile:  !s.config.LocalInfile,
		Logger:         s.logger,
		Trace:          countIn(s.metrics),
	})
}

// listen opens all addresses before any is used: a proxy that cannot have one
// of them does not begin to serve on another.
func (s *service) listen(ctx context.Context) error {
	for _, f := range s.fronts {
		var err error
		if f.listener, err = listen(ctx, f.address); err != nil {
			return err
		}
	}
	if s.config.Admin == "" {
		return nil
	}
	l, err := listen(ctx, s.config.Admin)
	if err != nil {
		return fmt.Errorf("admin pages: %w", err)
	}
	s.adminOn = l
	return nil
}

// closeListeners closes what listen opened before it failed.
func (s *service) closeListeners() {
	for _, f := range s.fronts {
		if f.listener != nil {
			f.listener.Close()
		}
	}
	if s.adminOn != nil {
		s.adminOn.Close()
	}
}

// run serves until a signal or a failure and returns the failure. All that it
// started has ended when it returns.
//
// The monitor and the admin pages end last: while clients finish, their reads
// still need to know the replicas, and the load balancer needs to see why no new
// clients are taken.
func (s *service) run(ctx context.Context, signals <-chan os.Signal) error {
	group, failed := errgroup.WithContext(ctx)
	rest, endRest := context.WithCancel(context.WithoutCancel(ctx))
	group.Go(func() error { return s.watch(rest) })
	group.Go(func() error {
		s.ward.run(rest)
		return nil
	})
	if s.adminOn != nil {
		group.Go(s.serveAdmin)
	}
	for _, f := range s.fronts {
		group.Go(func() error { return s.proxy.Serve(f.listener, f.policy) })
	}
	group.Go(func() error {
		defer endRest()
		s.waitForEnd(failed, signals)
		s.drain(rest, signals)
		return s.admin.Close()
	})
	return group.Wait()
}

// watch asks the servers how they are until ctx ends.
func (s *service) watch(ctx context.Context) error {
	if err := s.fleet.Run(ctx); err != nil && ctx.Err() == nil {
		return fmt.Errorf("watching the servers: %w", err)
	}
	return nil
}

// serveAdmin answers the admin pages until they are closed.
func (s *service) serveAdmin() error {
	if err := s.admin.Serve(s.adminOn); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("admin pages: %w", err)
	}
	return nil
}

// waitForEnd returns at the first signal or when something failed.
func (s *service) waitForEnd(failed context.Context, signals <-chan os.Signal) {
	select {
	case sig := <-signals:
		s.logger.Info("draining: no new clients are taken; a second signal ends at once",
			"signal", sig.String(), "at_most", s.config.DrainTimeout)
	case <-failed.Done():
		s.logger.Error("ending, something failed", "err", context.Cause(failed))
	}
}

// drain lets the clients go, at most for the configured time or until another
// signal.
func (s *service) drain(ctx context.Context, signals <-chan os.Signal) {
	s.draining.Store(true)
	ctx, cancel := context.WithTimeout(ctx, s.config.DrainTimeout)
	defer cancel()
	done := make(chan error, 1)
	go func() { done <- s.proxy.Shutdown(ctx) }()
	select {
	case err := <-done:
		s.logDrained(err)
	case sig := <-signals:
		s.logger.Warn("ending at once, clients are cut off", "signal", sig.String())
		cancel()
		s.logDrained(<-done)
	}
}
