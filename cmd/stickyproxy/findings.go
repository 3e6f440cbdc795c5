package main

import (
	"context"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/stickyproxy/stickyproxy/admin"
	"github.com/stickyproxy/stickyproxy/doctor"
)

const (
	// examineEvery is how often the servers are looked at again: somebody may have mended one, or broken it.
	examineEvery = 5 * time.Minute
	// examineSoon is the same while a server cannot be asked.
	examineSoon = 30 * time.Second
)

// ward looks at the servers while the proxy runs. It is told of nothing and holds nothing up: what it finds is logged,
// once, and can be seen on the admin pages.
type ward struct {
	examine func(context.Context) []doctor.Finding
	logger  *slog.Logger
	newest  atomic.Pointer[[]doctor.Finding]
}

// newWard makes the ward for the servers of config.
func newWard(config *Config, logger *slog.Logger) (*ward, error) {
	options, err := config.examination()
	if err != nil {
		return nil, err
	}
	return &ward{logger: logger, examine: func(ctx context.Context) []doctor.Finding { return doctor.Examine(ctx, options) }}, nil
}

// run looks at once and then again and again until ctx ends.
func (w *ward) run(ctx context.Context) {
	for {
		findings := w.examine(ctx)
		if ctx.Err() != nil {
			return // what was broken off says nothing
		}
		w.learn(findings)
		select {
		case <-ctx.Done():
			return
		case <-time.After(pauseAfter(findings)):
		}
	}
}

// pauseAfter is the time to the next look.
func pauseAfter(findings []doctor.Finding) time.Duration {
	for _, f := range findings {
		if f.Check == "reach" && f.Problem() {
			return examineSoon
		}
	}
	return examineEvery
}

// learn logs what is new, and what is no more.
func (w *ward) learn(findings []doctor.Finding) {
	var before []doctor.Finding
	if p := w.newest.Swap(&findings); p != nil {
		before = *p
	}
	known := make(map[doctor.Finding]bool)
	for _, f := range before {
		known[f] = f.Problem()
	}
	for _, f := range findings {
		if !f.Problem() {
			continue
		}
		// That there is no monitor account is said at the start (logStart).
		if !known[f] && f.Check != "monitor" {
			w.logger.Log(context.Background(), level(f.Severity), "finding: "+f.Found, "server", f.Server, "check", f.Check, "advice", f.Advice)
		}
		delete(known, f)
	}
	for f, problem := range known {
		if problem {
			w.logger.Info("finding is no more: "+f.Found, "server", f.Server, "check", f.Check)
		}
	}
}

// level is how loud a finding is.
func level(s doctor.Severity) slog.Level {
	if s == doctor.Error {
		return slog.LevelError
	}
	return slog.LevelWarn
}

// problems are the newest findings that are not well, as the admin pages take them.
func (w *ward) problems() []admin.Finding {
	p := w.newest.Load()
	if p == nil {
		return nil
	}
	var list []admin.Finding
	for _, f := range *p {
		if f.Problem() {
			list = append(list, admin.Finding{Severity: string(f.Severity), Server: f.Server, Check: f.Check, Found: f.Found, Advice: f.Advice})
		}
	}
	return list
}
