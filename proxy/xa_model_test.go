package proxy

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-mysql-org/go-mysql/mysql"

	"github.com/stickyproxy/stickyproxy/backend"
	"github.com/stickyproxy/stickyproxy/gtid"
	"github.com/stickyproxy/stickyproxy/internal/mysqltest/fakeserver"
	"github.com/stickyproxy/stickyproxy/router"
)

// xaModel is random clients of a proxy who prepare branches, decide about those of anybody, and read; servers that answer
// late, wrongly or not at all; and what everybody must see. The simulation of the other rules, in package backend, has no
// branches, because these are a matter of connections.
type xaModel struct {
	t       *testing.T
	r       *rand.Rand
	rig     *rig
	mariaDB bool
	rules   xaRules
	gone    chan struct{} // a client connection was closed
	clients []*xaClient
	must    map[string]int // the transaction that a session, or a connection without one, must see
	named   int            // how many connections without a session there were
	broken  string         // what went wrong
	trace   []string

	mu       sync.Mutex // guards what follows: the servers' handlers run in other goroutines
	last     int        // the newest transaction
	branches map[string]*xaBranch
	fate     xaFate // of the next XA PREPARE, COMMIT or ROLLBACK
	done     int    // the transaction of the last one that was decided about, 0 if it was a ROLLBACK
	began    int

	asked   []xaSample
	applied []int // by each replica

	reads, moved, decided int
}

// xaFate is how a server answers.
type xaFate int

const (
	xaAnswers   xaFate = iota
	xaRefuses          // with an error, and does nothing
	xaVanishes         // before it does anything
	xaDiesAfter        // it has done it
	xaFates
)

// xaSample is what the primary had when it was asked.
type xaSample struct {
	at   time.Time
	last int
}

// xaBranch is a branch on the primary.
type xaBranch struct {
	names    []string // who must see it
	at       time.Time
	prepared bool
	over     bool
	owner    *xaClient // MariaDB: who is still connected to it
}

// xaClient is a connection.
type xaClient struct {
	*checker
	session string // "": none
	name    string // whose reads these are
	parked  string // MariaDB: the branch that it has prepared and not decided about
}

// xaRules are the places at which a rule can be broken; each may be nil.
type xaRules struct {
	prepared   func(b *branches, id router.XID) // after an XA PREPARE
	vanished   func(b *branches, id router.XID) // after one that was not answered
	decides    func(b *branches, id router.XID) // before an XA COMMIT or ROLLBACK
	refused    func(b *branches, id router.XID) // after one that failed
	beforeRead func(b *branches)

	often xaFate // how servers answer half of the time
}

const xaReplicas = 2

func newXAModel(t *testing.T, seed uint64, rules xaRules) *xaModel {
	m := &xaModel{
		t: t, r: rand.New(rand.NewPCG(seed, 2)), mariaDB: seed%2 == 1, rules: rules, gone: make(chan struct{}, 1),
		must: map[string]int{}, branches: map[string]*xaBranch{}, applied: make([]int, xaReplicas),
	}
	m.rig = startRig(t, rigOptions{replicas: xaReplicas, mariaDB: m.mariaDB, trace: Trace{Closed: func() { m.gone <- struct{}{} }}})
	m.rig.primary.on(m.primary)
	m.rig.server.reports("p")
	m.commit()
	m.asks()
	for i := range 4 {
		c := &xaClient{}
		if i < 2 {
			c.session = fmt.Sprint("s", i)
		}
		m.clients = append(m.clients, c)
		m.join(c)
	}
	return m
}

// close ends the run, so that no Closed is waited for any more.
func (m *xaModel) close() {
	go func() {
		for range m.gone {
		}
	}()
	m.rig.stop()
	close(m.gone)
}

// join connects a client.
func (m *xaModel) join(c *xaClient) {
	c.checker, c.name, c.parked = m.rig.connectAs(usualClient, "", c.session), c.session, ""
	if c.session == "" {
		m.named++
		c.name = fmt.Sprint("connection ", m.named)
	}
}

// leave ends a connection, and begins another one. MariaDB's branches are free then.
func (m *xaModel) leave(c *xaClient) {
	c.close()
	<-m.gone
	m.mu.Lock()
	for _, b := range m.branches {
		if b.owner == c {
			b.owner = nil
		}
	}
	m.mu.Unlock()
	m.join(c)
}

func (m *xaModel) log(format string, args ...any) {
	m.trace = append(m.trace, fmt.Sprintf("%7.3f ", m.rig.clock.now().Sub(clockStart).Seconds())+fmt.Sprintf(format, args...))
}

func (m *xaModel) commit() int {
	m.last++
	return m.last
}

// tracked is the OK of a transaction.
func (m *xaModel) tracked(n int, status uint16) fakeserver.OK {
	track := fakeserver.TrackGTIDs(fmt.Sprintf("%s:%d", sourceUUID, n))
	if m.mariaDB {
		track = fakeserver.TrackVariable("last_gtid", fmt.Sprintf("0-1-%d", n))
	}
	return fakeserver.OK{Status: status, Track: []fakeserver.Track{track}}
}

// primary is the primary's handler.
func (m *xaModel) primary(c *fakeserver.Conn, cmd fakeserver.Command) error {
	sql, _, _ := strings.Cut(cmd.SQL, " /*")
	fields := strings.Fields(sql)
	if sql == write || len(fields) > 2 && fields[0] == "XA" && (fields[1] == "START" || fields[1] == "END") {
		return c.OK(fakeserver.OK{Status: inTransaction})
	}
	if len(fields) < 3 || fields[0] != "XA" {
		return errDefault
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	id, verb := strings.Trim(fields[2], "'"), fields[1]
	b := m.branches[id]
	switch m.fate {
	case xaRefuses:
		return c.Error(mysql.ER_XAER_RMFAIL, "XAE07", "no")
	case xaVanishes:
		return errHangUp
	}
	var answer fakeserver.OK
	known := true
	if verb == "PREPARE" {
		answer = m.doPrepare(b)
	} else {
		answer, known = m.doDecide(b, verb, len(fields) > 3)
	}
	switch {
	case !known:
		return c.Error(mysql.ER_XAER_NOTA, "XAE04", "no such branch")
	case m.fate == xaDiesAfter:
		return errHangUp
	}
	return c.OK(answer)
}

func (m *xaModel) doPrepare(b *xaBranch) fakeserver.OK {
	b.prepared, b.at = true, m.rig.clock.now()
	status := autocommit
	if m.mariaDB {
		status = inTransaction
	}
	return m.tracked(m.commit(), status)
}

func (m *xaModel) doDecide(b *xaBranch, verb string, onePhase bool) (answer fakeserver.OK, known bool) {
	if b == nil || b.over || b.prepared == onePhase {
		return answer, false
	}
	b.prepared, b.over = false, true
	n := m.commit()
	if m.done = 0; verb == "COMMIT" {
		m.done = n
	}
	return m.tracked(n, autocommit), true
}

// replicate has a replica apply something.
func (m *xaModel) replicate() {
	m.mu.Lock()
	i, last := m.r.IntN(xaReplicas), m.last
	m.mu.Unlock()
	m.applied[i] += m.r.IntN(last - m.applied[i] + 1)
	m.log("replica %d has %d", i, m.applied[i])
	m.publish()
}

// asks has everybody be asked what they have.
func (m *xaModel) asks() {
	m.mu.Lock()
	m.asked = append(m.asked, xaSample{m.rig.clock.now(), m.last})
	m.mu.Unlock()
	m.log("all are asked")
	m.publish()
}

// publish has the proxy know of it.
func (m *xaModel) publish() {
	newest := m.asked[len(m.asked)-1]
	m.rig.fleet.change(func(s *backend.Snapshot) {
		s.PrimaryHas, s.PrimaryAsked = m.set(newest.last), newest.at
		for i := range s.Replicas {
			x := &s.Replicas[i]
			x.Executed, x.FreshAsOf = m.set(m.applied[i]), time.Time{}
			for _, sample := range m.asked {
				if sample.last <= m.applied[i] {
					x.FreshAsOf = sample.at
				}
			}
		}
	})
}

// set is the position after a transaction.
func (m *xaModel) set(last int) gtid.Set {
	if last == 0 {
		return gtid.Set{}
	}
	set, err := gtid.ParseMySQL(fmt.Sprintf("%s:1-%d", sourceUUID, last))
	if m.mariaDB {
		set, err = gtid.ParseMariaDB(fmt.Sprintf("0-1-%d", last))
	}
	if err != nil {
		m.t.Fatal(err)
	}
	return set
}
