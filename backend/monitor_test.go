package backend

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-mysql-org/go-mysql/mysql"

	"github.com/stickyproxy/stickyproxy/mysqlwire"
)

// testClock is what every fake server's clock shows.
const testClock = "1767225600.250000"

// mysqlFacts are the values that askMySQL asks for.
func mysqlFacts(incarnation, readOnly, executed, gtidMode string) []string {
	return []string{"inc", incarnation, "clock", testClock, "uuid", incarnation, "ro", readOnly, "owned", "", "gtid", executed, "mode", gtidMode}
}

// owning has the server commit what it said it owns just now.
func owning(facts []string, owned string) []string {
	facts[slices.Index(facts, "owned")+1] = owned
	return facts
}

// serveFacts answers a monitor: facts, the replication status with these columns (none: no rows), and the binlog.
func serveFacts(c *fakeConn, version string, facts, status, binlog []string) {
	c.caps = allCaps
	if strings.Contains(version, "MariaDB") {
		c.caps &^= mysqlwire.CapLongPassword
	}
	c.greetAs(version, mysqlwire.PluginNative)
	var err error
	if c.login, err = mysqlwire.ParseLoginRequest(c.recv(), c.caps); err != nil {
		return
	}
	c.ok()
	if !c.setUp() {
		return
	}
	for q := c.command(); q != ""; q = c.command() {
		switch q {
		case "SHOW REPLICA STATUS", "SHOW SLAVE STATUS", "SHOW ALL SLAVES STATUS":
			c.rowOrNone(status)
		case "SHOW BINARY LOG STATUS", "SHOW MASTER STATUS":
			c.rowOrNone(binlog)
		default:
			c.rows(facts...)
		}
	}
}

func (c *fakeConn) rowOrNone(pairs []string) {
	if len(pairs) == 0 {
		c.ok()
		return
	}
	c.rows(pairs...)
}

// newTestMonitor returns a monitor of s.
func newTestMonitor(t *testing.T, s *Server, role Role) *monitor {
	t.Helper()
	f, err := NewFleet(Options{Primary: s.cfg, Monitor: &Account{User: "monitor"}})
	if err != nil {
		t.Fatal(err)
	}
	m := &monitor{fleet: f, member: &member{server: s, role: role}}
	t.Cleanup(m.hangUp)
	return m
}

// Ensure that each kind of server is asked in its own words, and understood.
func TestProbe(t *testing.T) {
	const set = testUUID + ":1-9"
	const owned = testUUID + ":20#7:21#8"
	upper := mustGTID(t, set+":20-21")
	mysqlStatus := []string{"Source_UUID", "src", "Replica_IO_Running", "Connecting", "Replica_SQL_Running", "Yes", "Relay_Source_Log_File", "binlog.000003", "Exec_Source_Log_Pos", "77"}
	oldStatus := []string{"Master_UUID", "src", "Slave_IO_Running", "No", "Slave_SQL_Running", "Yes", "Relay_Master_Log_File", "", "Exec_Master_Log_Pos", "0", "Last_IO_Error", "no route"}
	mariaFacts := []string{"inc", "m", "clock", testClock, "id", "3", "ro", "NO_LOCK", "slave", "0-1-8", "binlog", "0-1-9", "state", "0-1-9"}
	for _, row := range []struct {
		name          string
		version       string
		role          Role
		facts, status []string
		binlog        []string
		want          facts
		problem       string
	}{
		{
			name: "MySQL primary", version: "9.7.4", role: RolePrimary, facts: owning(mysqlFacts("p", "0", set, "ON"), owned),
			want: facts{incarnation: "p", id: "p", written: upper, has: mustGTID(t, set)},
		}, {
			name: "MySQL primary without GTIDs", version: "8.4.0", role: RolePrimary, facts: mysqlFacts("p", "OFF", "", "OFF_PERMISSIVE"),
			binlog: []string{"File", "binlog.000004", "Position", "198"},
			want:   facts{incarnation: "p", id: "p", byFile: true, written: mustFile(t, "binlog.000004", 198)},
		}, {
			name: "MySQL primary without a binlog", version: "5.7.44-log", role: RolePrimary, facts: mysqlFacts("p", "0", "", "OFF"),
			want: facts{incarnation: "p", id: "p", byFile: true},
		}, {
			name: "MySQL replica as primary", version: "8.0.36", role: RolePrimary, facts: owning(mysqlFacts("p", "1", set, "ON"), owned), status: mysqlStatus,
			want: facts{incarnation: "p", id: "p", readOnly: true, written: upper, has: mustGTID(t, set), sources: []source{{id: "src", running: true, applied: mustFile(t, "binlog.000003", 77)}}},
		}, {
			name: "MySQL replica", version: "8.0.36", role: RoleReplica, facts: owning(mysqlFacts("r", "1", set, "ON"), owned), status: mysqlStatus,
			want: facts{incarnation: "r", id: "r", readOnly: true, executed: mustGTID(t, set), shown: upper, sources: []source{{id: "src", running: true, applied: mustFile(t, "binlog.000003", 77)}}},
		}, {
			name: "old MySQL replica, stopped", version: "5.7.44", role: RoleReplica, facts: owning(mysqlFacts("r", "ON", set, "ON"), owned), status: oldStatus,
			want: facts{incarnation: "r", id: "r", readOnly: true, executed: mustGTID(t, set), shown: upper, sources: []source{{id: "src", problem: "no route"}}},
		}, {
			name: "MariaDB primary", version: "5.5.5-10.11.19-MariaDB", role: RolePrimary, facts: []string{"inc", "m", "clock", testClock, "id", "3", "ro", "0", "slave", "0-1-8", "binlog", "0-3-9", "state", "0-1-7,0-3-9"},
			want: facts{incarnation: "m", id: "3", written: mustMariaDB(t, "0-3-9"), has: mustMariaDB(t, "0-1-8,0-3-9")},
		}, {
			name: "MariaDB replica", version: "12.1.2-MariaDB", role: RoleReplica, facts: mariaFacts,
			status: []string{"Master_Server_Id", "1", "Slave_IO_Running", "Yes", "Slave_SQL_Running", "Yes"},
			want:   facts{incarnation: "m", id: "3", readOnly: true, executed: mustMariaDB(t, "0-1-8"), sources: []source{{id: "1", running: true}}},
		},
	} {
		t.Run(row.name, func(t *testing.T) {
			s := startFake(t, func(c *fakeConn) { serveFacts(c, row.version, row.facts, row.status, row.binlog) }).server(ServerConfig{})
			got, err := newTestMonitor(t, s, row.role).ask(t.Context(), askAll)
			if err != nil {
				t.Fatal(err)
			}
			if got.sent.IsZero() || got.got.Before(got.sent) {
				t.Errorf("sent %v, got %v", got.sent, got.got)
			}
			checkFacts(t, got, &row.want)
		})
	}
}

func checkFacts(t *testing.T, got, want *facts) {
	t.Helper()
	if got.incarnation != want.incarnation || got.id != want.id || got.readOnly != want.readOnly || got.byFile != want.byFile || len(got.sources) != len(want.sources) {
		t.Fatalf("got %+v, want %+v", got, want)
	}
	if !got.executed.Equal(want.executed) || !got.written.Equal(want.written) || !got.shown.Equal(want.shown) || !got.has.Equal(want.has) {
		t.Errorf("got executed %v, shown %v, written %v, has %v; want %v, %v, %v, %v",
			got.executed, got.shown, got.written, got.has, want.executed, want.shown, want.written, want.has)
	}
	if want := time.Date(2026, 1, 1, 0, 0, 0, 25e7, time.UTC); !got.clock.Equal(want) {
		t.Errorf("clock: got %v, want %v", got.clock, want)
	}
	for i, s := range got.sources {
		w := want.sources[i]
		if s.id != w.id || s.running != w.running || s.problem != w.problem || !s.applied.Equal(w.applied) {
			t.Errorf("source %d: got %+v, want %+v", i, s, w)
		}
	}
}

// Ensure that a monitor's broken connection alone says nothing about the server, and a refusal keeps it.
func TestMonitorReconnects(t *testing.T) {
	var logins atomic.Int32
	s := startFake(t, func(c *fakeConn) {
		n := logins.Add(1)
		if !c.welcome() {
			return
		}
		c.command()
		c.rows(mysqlFacts("p", "0", testUUID+":1-3", "ON")...)
		if n == 1 {
			return // hangs up
		}
		c.command()
		c.err(mysql.ER_SPECIFIC_ACCESS_DENIED_ERROR, "not you")
		c.command()
		c.rows(mysqlFacts("p", "0", testUUID+":1-4", "ON")...)
		c.hold()
	}).server(ServerConfig{})
	m := newTestMonitor(t, s, RolePrimary)
	for range 2 {
		if _, err := m.ask(t.Context(), askAll); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := m.ask(t.Context(), askAll); refusal(t, err).Code != mysql.ER_SPECIFIC_ACCESS_DENIED_ERROR {
		t.Errorf("got %v", err)
	}
	if _, err := m.ask(t.Context(), askAll); err != nil {
		t.Error(err)
	}
	if got, want := logins.Load(), int32(2); got != want {
		t.Errorf("logins: got %d, want %d", got, want)
	}
}

// Ensure that a running fleet learns about its servers, notices one that goes and comes back, and ends without a trace.
func TestRun(t *testing.T) {
	var broken atomic.Bool
	status := []string{"Source_UUID", "p", "Replica_IO_Running", "Yes", "Replica_SQL_Running", "Yes"}
	primary := startFake(t, func(c *fakeConn) { serveFacts(c, "8.4.3", mysqlFacts("p", "0", testUUID+":1-9", "ON"), nil, nil) })
	replica := startFake(t, func(c *fakeConn) {
		if broken.Load() {
			c.err(mysql.ER_CON_COUNT_ERROR, "Too many connections")
			return
		}
		serveFacts(c, "8.4.3", mysqlFacts("r", "1", testUUID+":1-9", "ON"), status, nil)
	})
	changed := make(chan struct{}, 1)
	f, err := NewFleet(Options{
		Primary:  ServerConfig{Address: primary.listener.Addr().String()},
		Replicas: []ServerConfig{{Address: replica.listener.Addr().String()}},
		Monitor:  &Account{User: "monitor"}, Interval: time.Millisecond,
		Changed: func() {
			select {
			case changed <- struct{}{}:
			default:
			}
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- f.Run(ctx) }()
	waitFor := func(what string, done func(*Snapshot) bool) {
		t.Helper()
		for !done(f.Snapshot()) {
			select {
			case <-changed:
			case <-t.Context().Done():
				t.Fatal(what)
			}
		}
	}
	if g, err := f.PrimaryInfo(ctx); err != nil || g.Version != "8.4.3" {
		t.Errorf("primary: %+v, %v", g, err)
	}
	waitFor("fresh replica", func(s *Snapshot) bool {
		r := s.Replicas[0]
		return s.PrimaryUp && r.Up && r.ReadOnly && r.Replicating && !r.FreshAsOf.IsZero() && r.Incarnation == "r"
	})
	broken.Store(true)
	replica.dropAll()
	waitFor("replica down", func(s *Snapshot) bool { return !s.Replicas[0].Up && s.PrimaryUp })
	if st := f.Status()[1]; !strings.Contains(st.Problem, "Too many connections") {
		t.Errorf("status: %+v", st)
	}
	broken.Store(false)
	f.Failed(f.Snapshot().Servers[0], errors.New("a client's connection broke")) // asks soon, whatever the back-off
	waitFor("replica up again", func(s *Snapshot) bool { return s.Replicas[0].Up })
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

// dropAll closes the connections there are.
func (f *fakeServer) dropAll() {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, c := range f.conns {
		c.Close()
	}
	f.conns = nil
}

// Ensure that without a monitor account the greeting is read once, however many ask.
func TestPrimaryInfoWithoutMonitor(t *testing.T) {
	var contacts atomic.Int32
	s := startFake(t, func(c *fakeConn) {
		contacts.Add(1)
		c.caps = allCaps
		c.greetAs("9.1.0", mysqlwire.PluginNative)
		c.hold()
	})
	f, err := NewFleet(Options{Primary: ServerConfig{Address: s.listener.Addr().String()}})
	if err != nil {
		t.Fatal(err)
	}
	got := make(chan error)
	for range 8 {
		go func() {
			g, err := f.PrimaryInfo(t.Context())
			if err == nil && g.Version != "9.1.0" {
				err = errors.New("version " + g.Version)
			}
			got <- err
		}()
	}
	for range 8 {
		if err := <-got; err != nil {
			t.Error(err)
		}
	}
	if got := contacts.Load(); got != 1 {
		t.Errorf("contacts: got %d, want 1", got)
	}
}
