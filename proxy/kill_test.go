package proxy

import (
	"encoding/binary"
	"fmt"
	"strings"
	"testing"

	"github.com/go-mysql-org/go-mysql/mysql"

	"github.com/stickyproxy/stickyproxy/internal/mysqltest/fakeserver"
	"github.com/stickyproxy/stickyproxy/mysqlwire"
)

func TestParseKill(t *testing.T) {
	for _, tt := range []struct {
		sql   string
		id    uint64
		query bool
		ok    bool
	}{
		{"KILL 5", 5, false, true},
		{" kill  connection\t5 ; ", 5, false, true},
		{"KILL QUERY 18446744073709551615", 1<<64 - 1, true, true},
		{"KILL QUERY", 0, false, false},
		{"KILL", 0, false, false},
		{"", 0, false, false},
		{"KILL @id", 0, false, false},
		{"KILL 5 5", 0, false, false},
		{"KILL HARD 5", 0, false, false},
		{"KILL /* x */ 5", 0, false, false},
		{"KILL -5", 0, false, false},
		{"KILL CONNECTION_ID() + 1", 0, false, false},
	} {
		k, ok := parseKill([]byte(tt.sql))
		if ok != tt.ok || ok && (k.id != tt.id || k.query != tt.query) {
			t.Errorf("%q: got %+v, %v", tt.sql, k, ok)
		}
	}
	for _, sql := range []string{"KILL CONNECTION_ID()", "kill connection connection_id();"} {
		if k, ok := parseKill([]byte(sql)); !ok || !k.own || k.query {
			t.Errorf("%q: got %+v, %v", sql, k, ok)
		}
	}
}

func TestKillsFirst(t *testing.T) {
	for _, tt := range []struct{ sql, want string }{
		{"KILL 5; SELECT 1", "KILL 5| SELECT 1"},
		{"kill query 5;;SELECT 1", "kill query 5|;SELECT 1"},
		{"KILL 5; KILL 6; SELECT ';'; KILL 7", "KILL 5| KILL 6| SELECT ';'; KILL 7"},
		{"KILL 5 ; ", "KILL 5 ; "},
		{"SELECT 1; KILL 5", "SELECT 1; KILL 5"},
		{"KILL @a; SELECT 1", "KILL @a; SELECT 1"},
	} {
		var got []string
		for _, p := range killsFirst([]byte(tt.sql)) {
			got = append(got, string(p.SQL))
		}
		if got := strings.Join(got, "|"); got != tt.want {
			t.Errorf("%q: got %q, want %q", tt.sql, got, tt.want)
		}
	}
}

// busyClient is a client whose statement hangs on a server until that is told to kill it.
type busyClient struct {
	*checker
	thread uint32 // of the primary
	on     uint32 // the thread on which the statement hangs
	killed chan string
}

// startBusy starts a client whose statement, sql, hangs on a server.
func startBusy(t *testing.T, r *rig, s *scriptedServer, sql string) *busyClient {
	t.Helper()
	b := &busyClient{checker: r.connect(), killed: make(chan string, 10)}
	b.thread = r.primary.Conns()[0].ID
	arrived, stop := make(chan uint32, 1), make(chan struct{}, 10)
	s.on(func(c *fakeserver.Conn, cmd fakeserver.Command) error {
		switch {
		case cmd.SQL == sql:
			arrived <- c.ID
			select {
			case <-stop:
			case <-c.Done():
				return errHangUp
			}
			return c.Error(mysql.ER_QUERY_INTERRUPTED, "70100", "Query execution was interrupted")
		case strings.HasPrefix(cmd.SQL, "KILL"):
			b.killed <- cmd.SQL
			stop <- struct{}{}
		case cmd.Code == mysql.COM_PROCESS_KILL:
			b.killed <- fmt.Sprintf("COM %d", binary.LittleEndian.Uint32(cmd.Payload))
			stop <- struct{}{}
		}
		return errDefault
	})
	b.send(mysql.COM_QUERY, sql)
	b.on = <-arrived
	return b
}

// A KILL QUERY hits the statement where it runs, by either id that a client can know.
func TestKillQuery(t *testing.T) {
	for _, greeting := range []bool{false, true} {
		for _, replica := range []bool{false, true} {
			r := startRig(t, rigOptions{replicas: 1})
			s, sql := r.primary, "UPDATE t SET a = 1"
			if replica {
				s, sql = r.replicas[0], "SELECT a FROM t"
			}
			victim := startBusy(t, r, s, sql)
			id := victim.thread
			if greeting {
				id = victim.id
			}
			killer := r.connect()
			killer.ok(fmt.Sprintf("KILL QUERY %d", id))
			if got, want := <-victim.killed, fmt.Sprintf("KILL QUERY %d", victim.on); got != want {
				t.Errorf("%s was sent %s, want %s", s.name, got, want)
			}
			if got := victim.response(mysql.COM_QUERY); got.err == nil || got.err.Code != mysql.ER_QUERY_INTERRUPTED {
				t.Errorf("the victim got %v", got)
			}
			if got := victim.query("SELECT b FROM t"); got.err != nil || got.lost != nil {
				t.Errorf("afterwards: %v", got)
			}
		}
	}
}

// A KILL ends the whole client, wherever its statement runs, as a command too.
func TestKillConnection(t *testing.T) {
	for _, command := range []bool{false, true} {
		for _, replica := range []bool{false, true} {
			gone := make(chan struct{}, 2)
			r := startRig(t, rigOptions{replicas: 1, trace: Trace{Closed: func() { gone <- struct{}{} }}})
			s, sql := r.primary, "UPDATE t SET a = 1"
			if replica {
				s, sql = r.replicas[0], "SELECT a FROM t"
			}
			victim := startBusy(t, r, s, sql)
			killer := r.connect()
			var got reply
			if command {
				got = killer.ask(mysql.COM_PROCESS_KILL, statementBody(victim.id, ""))
			} else {
				got = killer.query(fmt.Sprintf("KILL %d", victim.id))
			}
			if got.err != nil || got.lost != nil {
				t.Fatal(got)
			}
			victim.response(mysql.COM_QUERY)
			<-gone
			victim.ended(0)
			if replica {
				if got, want := <-victim.killed, fmt.Sprintf("KILL QUERY %d", victim.on); got != want {
					t.Errorf("the replica was sent %s, want %s", got, want)
				}
			}
		}
	}
}

// Whoever has read the OK of a KILL finds the connection ended, however soon it is tried.
func TestKilledBeforeTheOK(t *testing.T) {
	r := startRig(t, rigOptions{replicas: 1})
	killer := r.connect()
	for range 50 {
		victim := r.connect()
		victim.from(r.replicas[0], "SELECT 1")
		killer.ok(fmt.Sprintf("KILL %d", victim.id))
		_, _ = victim.nc.Write(mysqlwire.AppendPacket(nil, 0, append([]byte{mysql.COM_QUERY}, "SELECT 2"...))) // it may be closed
		if n, err := victim.in.Read(make([]byte, 1)); err == nil {
			t.Fatalf("the victim was answered: %d bytes", n)
		}
	}
}

// A KILL that the servers do not allow hits nobody.
func TestKillIsForTheServersToAllow(t *testing.T) {
	r := startRig(t, rigOptions{replicas: 1})
	victim := r.connect()
	victim.from(r.replicas[0], "SELECT 1")
	kill := fmt.Sprintf("KILL %d", r.primary.Conns()[0].ID)
	r.primary.on(refusing(kill, mysql.ER_KILL_DENIED_ERROR))
	killer := r.connect()
	killer.fails(kill, mysql.ER_KILL_DENIED_ERROR)
	victim.from(r.replicas[0], "SELECT 1")

	r = startRig(t, rigOptions{replicas: 1})
	busy := startBusy(t, r, r.replicas[0], "SELECT a FROM t")
	r.replicas[0].refuse.Store(true)
	killer = r.connect()
	killer.fails(fmt.Sprintf("KILL QUERY %d", busy.id), codeUnreachable)
	killer.ok("SET @a = 1")
}

// An id of nobody here is the primary's business.
func TestKillOfNobody(t *testing.T) {
	r := startRig(t, rigOptions{replicas: 1})
	r.primary.on(refusing("KILL 99", mysql.ER_NO_SUCH_THREAD))
	c := r.connect()
	c.fails("KILL 99", mysql.ER_NO_SUCH_THREAD)
	c.ok("KILL @id")
	if got := c.ask(mysql.COM_PROCESS_KILL, "\x62\x00\x00\x00"); got.err != nil {
		t.Error(got)
	}
	r.primary.wantSent("KILL 99", "KILL @id", "PROCESS KILL")
}
