package proxy

import (
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-mysql-org/go-mysql/mysql"

	"github.com/stickyproxy/stickyproxy/mysqlwire"
)

// trapped is a client connection on which the proxy makes a mistake, the next time that it reads or writes there.
type trapped struct {
	net.Conn
	read, write atomic.Bool
}

func (c *trapped) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	if c.read.Load() {
		panic("a mistake in Read")
	}
	return n, err
}

func (c *trapped) Write(b []byte) (int, error) {
	if c.write.Load() {
		panic("a mistake in Write")
	}
	return c.Conn.Write(b)
}

// mistaken is a proxy whose clients' connections have traps.
type mistaken struct {
	*rig
	accepted       chan *trapped
	panicked, gone chan struct{}
}

func startMistaken(t *testing.T, o Options) *mistaken {
	m := &mistaken{accepted: make(chan *trapped, 8), panicked: make(chan struct{}, 8), gone: make(chan struct{}, 8)}
	m.rig = startRig(t, rigOptions{
		replicas: 1,
		options:  o,
		trace:    Trace{Panicked: func() { m.panicked <- struct{}{} }, Closed: func() { m.gone <- struct{}{} }},
		wrap: func(nc net.Conn) net.Conn {
			c := &trapped{Conn: nc}
			m.accepted <- c
			return c
		},
	})
	return m
}

// wantLost checks that a client was cut off, by a panic, and returns when nothing is left of it.
func (m *mistaken) wantLost(c *checker) {
	m.t.Helper()
	if p, err := c.packet(); err == nil {
		m.t.Errorf("got % x, want the end of the connection", p)
	}
	<-m.panicked
	<-m.gone
}

// A panic while a client logs in costs that client, and nobody else.
func TestPanicInLogin(t *testing.T) {
	m := startMistaken(t, Options{})
	other := m.connect()
	<-m.accepted
	c := m.dial(m.address)
	if _, err := c.packet(); err != nil { // the greeting
		t.Fatal(err)
	}
	(<-m.accepted).read.Store(true)
	c.write([]byte{1, 0, 0, 1, 0})
	m.wantLost(c)
	other.from(m.replicas[0], "SELECT 1")
	m.connect().from(m.replicas[0], "SELECT 1")
}

// A panic in a command costs the connection, and nothing that others share: the server's connection is closed without a
// word, and the place on the primary is free again.
func TestPanicInCommand(t *testing.T) {
	m := startMistaken(t, Options{Overload: Overload{Reads: 1, Beyond: BeyondError}})
	m.fleet.fresh(clockStart.Add(-time.Hour)) // so that reads need a place on the primary
	other := m.connect()
	<-m.accepted
	c := m.connect()
	(<-m.accepted).write.Store(true)
	c.send(mysql.COM_QUERY, "SELECT 1")
	m.wantLost(c)
	if running, _ := m.server.Moved(); running != 0 {
		t.Errorf("%d reads run on the primary", running)
	}
	other.from(m.primary, "SELECT 1")
}

// A write that was on its way when the proxy panicked may have happened: its session reads from the primary.
func TestPanicInWrite(t *testing.T) {
	m := startMistaken(t, Options{})
	other := m.connectAs(usualClient, "", "s")
	<-m.accepted
	other.from(m.replicas[0], "SELECT 1")
	c := m.connectAs(usualClient, "", "s")
	long := mysqlwire.AppendPacket(nil, 0, append([]byte{mysql.COM_QUERY}, "INSERT INTO t VALUES ("+strings.Repeat("1", 2*maxWhole)...))
	c.write(long[:len(long)/2])
	for other.query("SELECT 1").rows[0] != m.primary.name { // as soon as the write is known to be on its way
	}
	(<-m.accepted).read.Store(true)
	c.write(long[len(long)/2:])
	m.wantLost(c)
	other.from(m.primary, "SELECT 1")
}
