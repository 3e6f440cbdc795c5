package backend

import (
	"context"
	"errors"
	"time"

	"github.com/stickyproxy/stickyproxy/mysqlwire"
)

const (
	// minProbeTime is what a server is given at least to answer on an open connection.
	minProbeTime = time.Second
	// loginTime is what one is given at least that has to be logged in to first. Nothing is expected of it meanwhile, and
	// on a busy machine a login with RSA and TLS takes its time: giving up early would never end.
	loginTime = 3 * time.Second
	// maxBackoff bounds how seldom a server that does not answer is asked, unless the interval itself is longer.
	maxBackoff = 4 * time.Second
	// minGap bounds how often reported failures make a server be asked.
	minGap = 100 * time.Millisecond
	// minWantGap bounds how often a server is asked for its position because reads wait for it.
	minWantGap = time.Millisecond
)

// question is what a server is asked.
type question uint8

const (
	askAll      question = iota // everything
	askPosition                 // what it has executed; the rest is as it was said last
)

// monitor asks one server about itself, again and again. It belongs to the goroutine of run.
type monitor struct {
	fleet  *Fleet
	member *member
	conn   *Conn     // nil: to be opened
	next   time.Time // when the next regular question is due
	failed int       // failures in a row

	started time.Time // when everything was asked for last
	last    *facts    // the newest good answer
}

// run asks until ctx ends.
func (m *monitor) run(ctx context.Context) error {
	defer m.hangUp()
	m.next = m.fleet.now()
	m.regular(ctx, true)
	for {
		q, ok := m.wait(ctx)
		switch {
		case !ok:
			return nil
		case q == askPosition:
			m.round(ctx, askPosition)
		default:
			m.regular(ctx, false)
		}
	}
}

// regular asks for everything and sets when to do so again.
func (m *monitor) regular(ctx context.Context, first bool) {
	m.started = m.fleet.now()
	m.round(ctx, askAll)
	m.schedule(first)
}

// round asks once and reports what came of it.
func (m *monitor) round(ctx context.Context, q question) {
	reports := m.fleet.reports(m.member)
	f, err := m.ask(ctx, q)
	if ctx.Err() != nil {
		return
	}
	m.failed++
	if err == nil {
		m.failed, m.last = 0, f
	}
	m.fleet.learn(m.member, reports, f, err)
}

// ask asks once, within a time. When the connection that was open turns out to be broken, it asks again on a new one: a
// restarted server is up, and a killed connection says nothing about the server.
func (m *monitor) ask(ctx context.Context, q question) (*facts, error) {
	fresh, atLeast := m.conn == nil, minProbeTime
	if fresh {
		atLeast = loginTime
	}
	ctx, cancel := context.WithTimeout(ctx, max(m.fleet.options.Interval, atLeast))
	defer cancel()
	f, err := m.askOnce(ctx, q)
	if err != nil && !fresh && m.conn == nil && ctx.Err() == nil {
		f, err = m.askOnce(ctx, askAll)
	}
	return f, err
}

// monitorLogin is how our own account logs in to s.
func monitorLogin(a Account, s *Server) Login {
	return Login{
		User: a.User, Password: a.Password, Collation: asciiCollation,
		Attributes: mysqlwire.AppendAttribute(nil, "program_name", "stickyproxy monitor"), TLS: s.network != "unix",
	}
}

func (m *monitor) askOnce(ctx context.Context, q question) (*facts, error) {
	if m.conn == nil {
		c, err := m.member.server.Connect(ctx, monitorLogin(*m.fleet.options.Monitor, m.member.server))
		if err != nil {
			return nil, err
		}
		m.conn = c
		q = askAll
	}
	f, err := m.probe(ctx, q)
	var refused *mysqlwire.Error
	if err != nil && !errors.As(err, &refused) {
		m.hangUp()
	}
	return f, err
}

// probe asks on the open connection. A server that turns out to be another one than it was is asked for everything, and so
// is a primary that takes no writes any more.
func (m *monitor) probe(ctx context.Context, q question) (*facts, error) {
	if q == askPosition && m.last != nil {
		f, err := probePosition(ctx, m.conn, m.member.role, m.last, m.fleet.now)
		if err != nil || f.incarnation == m.last.incarnation && (m.member.role == RoleReplica || f.readOnly == m.last.readOnly) {
			return f, err
		}
	}
	return probe(ctx, m.conn, m.member.role, m.fleet.now)
}

// asciiCollation is utf8mb4_general_ci, which every server has.
const asciiCollation = 45

// hangUp closes the connection, if there is one.
func (m *monitor) hangUp() {
	if m.conn != nil {
		_ = m.conn.Close()
		m.conn = nil
	}
}

// schedule sets when the next regular question is due. Replicas are asked a quarter of an interval after the primary:
// one that is nearly up to date then has the primary's newest position.
func (m *monitor) schedule(first bool) {
	interval := m.fleet.options.Interval
	if first && m.member.role == RoleReplica {
		m.next = m.next.Add(interval / 4)
	}
	m.next = m.next.Add(backoff(interval, m.failed))
	if now := m.fleet.now(); m.next.Before(now) {
		m.next = now
	}
}

// backoff is the time between two questions after so many failures in a row: the interval, then doubling.
func backoff(interval time.Duration, failed int) time.Duration {
	longest := max(interval, maxBackoff)
	for ; failed > 1 && interval < longest; failed-- {
		interval *= 2
	}
	return min(interval, longest)
}

// wait waits until there is something to ask: the regular question, which is due at its time or soon after a failure
// was reported, or the position, soon after a read wanted it. False: ctx ended.
func (m *monitor) wait(ctx context.Context) (question, bool) {
	due := time.NewTimer(m.next.Sub(m.fleet.now()))
	defer due.Stop()
	select {
	case <-ctx.Done():
		return askAll, false
	case <-due.C:
		return askAll, true
	case <-m.member.kick:
		return askAll, m.pause(ctx, m.started.Add(minGap))
	case <-m.member.want:
		return askPosition, m.pause(ctx, m.last.gotOr(m.started).Add(minWantGap))
	}
}

// pause waits until earliest. False: ctx ended.
func (m *monitor) pause(ctx context.Context, earliest time.Time) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(earliest.Sub(m.fleet.now())):
		return true
	}
}
