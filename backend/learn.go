package backend

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"time"

	"github.com/go-mysql-org/go-mysql/mysql"

	"github.com/stickyproxy/stickyproxy/gtid"
	"github.com/stickyproxy/stickyproxy/mysqlwire"
	"github.com/stickyproxy/stickyproxy/router"
)

// patience is how many questions in a row a primary may leave without an answer in time before it counts as down. One
// that refuses connections is down at once.
const patience = 3

// Failed reports that a client's connection to s failed with err. A replica gets no reads until a question that is asked
// after this moment is answered; it is asked soon. The primary is asked soon too, but a broken connection alone does not
// put it down. Errors that say nothing about the server's health do not count: an account or statement that it
// refused, a context that was cancelled.
func (f *Fleet) Failed(s *Server, err error) {
	if !blames(err) {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, m := range append([]*member{f.primary}, f.replicas...) {
		if m.server != s {
			continue
		}
		m.reports++
		if m.role == RoleReplica {
			f.setError(m, err)
			f.publish()
		}
		select {
		case m.kick <- struct{}{}:
		default:
		}
	}
}

// Ask makes the primary, and every replica that is up, be asked for its position soon: a read has to go to the primary, or
// waits, because no replica is known to have what its session must see. The questions are sent after this moment. However
// many reads want to know, one question a server is under way.
func (f *Fleet) Ask() {
	snap := f.snapshot.Load()
	f.primary.ask()
	for i := range snap.Replicas {
		if snap.Replicas[i].Up {
			f.replicas[i].ask()
		}
	}
}

// afterWrite is how long after a write everybody is asked what they have: replicas that are late by less than that have it
// by then, and know it when the session comes back to read. It bounds, too, how often writes make the servers be asked.
const afterWrite = 10 * time.Millisecond

// Wrote makes everybody be asked for their positions a moment after this one: a write was acknowledged, and its session
// will be back. Without that, the first read after each write would find that nobody was asked since.
func (f *Fleet) Wrote() {
	if f.wrote.CompareAndSwap(false, true) {
		time.AfterFunc(afterWrite, func() {
			f.wrote.Store(false)
			f.Ask()
		})
	}
}

// ask makes m be asked for its position soon.
func (m *member) ask() {
	select {
	case m.want <- struct{}{}:
	default:
	}
}

// blames tells whether err is the server's fault.
func blames(err error) bool {
	var sent *mysqlwire.Error
	switch {
	case err == nil, errors.Is(err, context.Canceled):
		return false
	case errors.As(err, &sent):
		return sent.Code == mysql.ER_SERVER_SHUTDOWN || sent.Code == mysql.ER_CON_COUNT_ERROR || sent.Code == mysql.ER_OUT_OF_RESOURCES
	}
	return true
}

// reports is how often a failure of m was reported.
func (f *Fleet) reports(m *member) uint64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	return m.reports
}

// learn takes in what came of one question to m: an answer or an error. Reports is what reports said before the question
// was sent: an answer to an older question does not take back a failure.
func (f *Fleet) learn(m *member, reports uint64, got *facts, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if m.role == RolePrimary && !m.asked {
		defer close(f.met)
	}
	m.asked = true
	m.failures++
	if err == nil {
		m.failures = 0
		if m.role == RolePrimary {
			f.learnPrimary(m.facts, got)
		}
		m.take(got)
	}
	if err != nil || m.reports == reports {
		f.setError(m, err)
	}
	f.publish()
}

// take makes got what is known of m. A position that went back (a restore, a reset) makes it another server than it was:
// what reads have seen there is not there any more.
func (m *member) take(got *facts) {
	switch before := m.facts; {
	case before == nil || before.incarnation != got.incarnation:
		m.identity = ID(got.incarnation)
	case !got.executed.Contains(before.executed) && !got.executed.SilentOn(before.executed):
		m.identity = ID(got.incarnation + "/" + strconv.FormatUint(m.identity, 16))
	}
	m.facts = got
}

// ID is the number of an incarnation of a server, the same in every process.
func ID(incarnation string) uint64 {
	if incarnation == "" {
		return 0
	}
	sum := sha256.Sum256([]byte(incarnation))
	return max(binary.BigEndian.Uint64(sum[:]), 1)
}

// learnPrimary takes in the primary's newest position. What an earlier incarnation had says nothing about this one, and
// what another server's replica has says nothing about writes.
func (f *Fleet) learnPrimary(before, got *facts) {
	switch {
	case before == nil:
	case before.incarnation != got.incarnation:
		f.history.forget()
		f.undone = gtid.Set{}
	case !got.written.Contains(before.written) && !got.written.SilentOn(before.written):
		f.undone = before.written
	}
	if notPrimary(got) {
		f.history.forget()
		return
	}
	f.history.add(got.written, got.sent)
}

// notPrimary tells that a server is not what it is configured as: it takes no writes but follows somebody.
func notPrimary(f *facts) bool { return f.readOnly && f.follows() }

// setError remembers why m does not count as up, or that it does, and logs when that changed.
func (f *Fleet) setError(m *member, err error) {
	was := m.err
	m.err = err
	switch {
	case err != nil && was == nil:
		f.log.Warn("server is not available", "server", m.server.Address(), "role", string(m.role), "error", err)
	case err == nil && was != nil:
		f.log.Info("server is available again", "server", m.server.Address(), "role", string(m.role))
	}
}

// publish makes a new snapshot of what is known. The caller holds f.mu, except NewFleet.
func (f *Fleet) publish() {
	newer := make(chan struct{})
	s := &Snapshot{Primary: f.primary.server, Newer: newer}
	s.Monitored = f.options.Monitor != nil
	s.PrimaryReason = f.primaryProblem()
	s.PrimaryUp = s.PrimaryReason == ""
	if m := f.primary; m.facts != nil {
		s.PrimaryDemoted = notPrimary(m.facts)
		s.Clock = m.facts.primaryClock(m.identity)
		if s.PrimaryAsked = m.facts.sent; !s.PrimaryDemoted {
			s.PrimaryHas = m.facts.has
		}
		if m.err == nil && !m.facts.byFile && !m.facts.written.IsEmpty() {
			s.GTIDPrimary = m.facts.incarnation
		}
	}
	for _, m := range f.replicas {
		s.Servers = append(s.Servers, m.server)
		s.Replicas = append(s.Replicas, f.replica(m))
		s.Heaviest = max(s.Heaviest, m.server.cfg.Weight, 1)
	}
	old := f.snapshot.Swap(s)
	if f.newer != nil {
		close(f.newer)
	}
	f.newer = newer
	if old != nil && old.PrimaryUp && !s.PrimaryUp {
		f.log.Error("no primary", "reason", s.PrimaryReason)
	}
	if f.options.Changed != nil {
		f.options.Changed()
	}
}

// replica is what a decision needs to know about m.
func (f *Fleet) replica(m *member) router.Replica {
	r := router.Replica{Name: m.server.Address(), Weight: m.server.cfg.Weight, Zone: m.server.cfg.Zone}
	if m.facts == nil {
		return r
	}
	r.Incarnation, r.ReadOnly, r.Replicating, r.Executed = m.facts.incarnation, m.facts.readOnly, m.facts.replicating(), m.facts.executed
	r.ID, r.Up, r.AskedAt = m.identity, m.err == nil, m.facts.sent
	if !m.facts.shown.IsEmpty() {
		r.Shown, r.ShownAt = m.facts.shown, m.facts.sent
	}
	if f.primary.facts == nil {
		return r
	}
	// The primary's position may have been asked for again since, and found to be the same: the replica is fresh as of
	// then. But not beyond its own answer, so that what is known of a silent replica ages whatever the primary says.
	has := m.facts.position(f.primary.facts)
	if !f.primary.facts.written.ContainsCommon(has, f.undone) {
		r.Replicating = false // what it has is of a history that the primary has ended, and now says nothing about writes
	}
	r.FreshAsOf = f.history.freshAsOf(has)
	if r.FreshAsOf.After(m.facts.got) {
		r.FreshAsOf = m.facts.got
	}
	return r
}

// primaryProblem is why the primary cannot be used, "" when nothing is known against it. A server that answers but does
// not let the monitor ask is not known to be wrong.
func (f *Fleet) primaryProblem() string {
	m := f.primary
	switch {
	case f.options.Monitor == nil:
		return ""
	case !m.asked:
		return "it was not asked yet"
	case m.err != nil && m.failures > 0 && unreachable(m.err, m.failures):
		return m.err.Error()
	case m.facts != nil && notPrimary(m.facts):
		return fmt.Sprintf("%s is read-only and follows another server", m.server.Address())
	}
	return ""
}

// unreachable tells whether so many errors in a row, the last of them err, mean that nobody is there.
func unreachable(err error, failures int) bool {
	var sent *mysqlwire.Error
	if errors.As(err, &sent) {
		return false
	}
	var slow net.Error
	if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, os.ErrDeadlineExceeded) || errors.As(err, &slow) && slow.Timeout() {
		return failures >= patience
	}
	return true
}
