package proxy

import (
	"context"
	"io"
	"log/slog"
	"net"
	"testing"
	"time"

	"github.com/go-mysql-org/go-mysql/mysql"

	"github.com/stickyproxy/stickyproxy/backend"
	"github.com/stickyproxy/stickyproxy/mysqlwire"
	"github.com/stickyproxy/stickyproxy/router"
)

// fakeFleet is a fleet that never changes.
type fakeFleet struct{ snapshot *backend.Snapshot }

func (f fakeFleet) Snapshot() *backend.Snapshot                        { return f.snapshot }
func (fakeFleet) Reach(context.Context, backend.Peer) *backend.Reached { return nil }

func (f fakeFleet) PrimaryInfo(context.Context) (backend.Greeting, error) {
	return backend.Greeting{Version: "9.7.0"}, nil
}
func (f fakeFleet) Ask()                          {}
func (f fakeFleet) Wrote()                        {}
func (f fakeFleet) Failed(*backend.Server, error) {}

// modern are the capabilities of a usual client, and of a server connection made for it.
const modern = mysqlwire.CapProtocol41 | mysqlwire.CapDeprecateEOF | mysqlwire.CapTransactions | mysqlwire.CapMultiResults

// path is a client connection with a primary and a replica that give prepared answers.
type path struct {
	client net.Conn // what the client writes to and reads from
	conn   *conn
}

// startPath starts the goroutine of a client with these capabilities. Each server answers every command with what
// answer returns for it.
func startPath(t testing.TB, caps mysqlwire.Capability, answer func(command []byte) []byte) *path {
	t.Helper()
	inside, client := tcpPair(t)
	server, err := backend.NewServer(backend.ServerConfig{Address: "127.0.0.1:1", Weight: 1})
	if err != nil {
		t.Fatal(err)
	}
	view := router.View{Monitored: true, PrimaryUp: true, Replicas: []router.Replica{{
		Name: "replica", Incarnation: "r", Up: true, ReadOnly: true, Replicating: true, Weight: 1,
		FreshAsOf: time.Now().Add(time.Hour),
	}}}
	s, err := New(Options{
		Fleet:  fakeFleet{&backend.Snapshot{View: view, Servers: []*backend.Server{server}, Primary: server}},
		Logger: slog.New(slog.DiscardHandler),
		MaxLag: 2 * time.Hour,
	})
	if err != nil {
		t.Fatal(err)
	}
	connect := func(incarnation string) *backend.Conn {
		near, far := tcpPair(t)
		go serveAnswers(far, answer)
		return &backend.Conn{
			Conn: near, Server: server, Incarnation: incarnation, Status: mysqlwire.StatusAutocommit,
			Capabilities: caps | mysqlwire.CapDeprecateEOF | mysqlwire.CapSessionTrack, Tracked: true,
		}
	}
	c := newConn(s, 1, router.Auto, &Client{Conn: inside, Capabilities: caps, Primary: connect("p")})
	c.replica = newLink(connect("r"), true, c.state.version)
	ended := make(chan error, 1)
	go func() { ended <- c.serve() }()
	t.Cleanup(func() {
		_ = client.Close()
		<-ended
		c.primary.dead, c.replica.dead = true, true
		_ = c.primary.Conn.Conn.Close()
		_ = c.replica.Conn.Conn.Close()
		s.cancel()
	})
	return &path{client: client, conn: c}
}

// tcpPair returns both ends of a connection.
func tcpPair(t testing.TB) (net.Conn, net.Conn) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	a, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	b, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = a.Close(); _ = b.Close() })
	return a, b
}

// serveAnswers reads commands that arrive in one piece, and answers them. It allocates nothing.
func serveAnswers(nc net.Conn, answer func([]byte) []byte) {
	buf := make([]byte, 64<<10)
	for {
		n, err := nc.Read(buf)
		if err != nil {
			return
		}
		if _, err := nc.Write(answer(buf[:n])); err != nil {
			return
		}
	}
}

// ask sends a command and reads size bytes of answer into buf.
func (p *path) ask(t testing.TB, command, buf []byte, size int) {
	if _, err := p.client.Write(command); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(p.client, buf[:size]); err != nil {
		t.Fatal(err)
	}
}

// pointSelect is the answer to a text point select: a column, a row and the end, as a server with DEPRECATE_EOF
// sends it. Changes is the session state in the end.
func pointSelect(changes []byte) []byte {
	ok := mysqlwire.OK{Status: mysqlwire.StatusAutocommit, Session: changes}
	if changes != nil {
		ok.Status |= mysqlwire.StatusStateChanged
	}
	b := mysqlwire.AppendPacket(nil, 1, []byte{1})
	b = mysqlwire.AppendPacket(b, 2, []byte("\x03def\x06sbtest\x07sbtest1\x07sbtest1\x01c\x01c\x0c\xff\x00\xe0\x01\x00\x00\xfe\x01\x00\x00\x00\x00"))
	b = mysqlwire.AppendPacket(b, 3, []byte("\x0bhello world"))
	return mysqlwire.AppendPacket(b, 4, ok.Append(nil, true, true))
}

func query(sql string) []byte {
	return mysqlwire.AppendPacket(nil, 0, append([]byte{mysql.COM_QUERY}, sql...))
}

// cannedID is the id that servers give to each statement here.
const cannedID = 9

// executeOf executes a statement with one integer.
func executeOf(id byte) []byte {
	return mysqlwire.AppendPacket(nil, 0, []byte{mysql.COM_STMT_EXECUTE, id, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 8, 0, 1, 2, 3, 4, 5, 6, 7, 8})
}

// prepareOK is the answer to the PREPARE of a statement with one parameter and one column.
func prepareOK(caps mysqlwire.Capability) []byte {
	b := mysqlwire.AppendPacket(nil, 1, []byte{0, cannedID, 0, 0, 0, 1, 0, 1, 0, 0, 0, 0})
	seq := byte(2)
	for range 2 {
		b = mysqlwire.AppendPacket(b, seq, []byte("\x03def\x00\x00\x00\x01?\x00\x0c\x3f\x00\x00\x00\x00\x00\xfd\x00\x00\x00\x00\x00"))
		seq++
		if !caps.Has(mysqlwire.CapDeprecateEOF) {
			b = mysqlwire.AppendPacket(b, seq, []byte{0xFE, 0, 0, 2, 0})
			seq++
		}
	}
	return b
}

// prepareThen answers COM_STMT_PREPARE, and anything else with answer, but for the execution of another statement.
func prepareThen(answer []byte) func([]byte) []byte {
	prepared := prepareOK(mysqlwire.CapDeprecateEOF)
	unknown := mysqlwire.AppendPacket(nil, 1, (&mysqlwire.Error{Code: mysql.ER_UNKNOWN_STMT_HANDLER, State: "HY000"}).Append(nil))
	return func(command []byte) []byte {
		switch {
		case command[mysqlwire.HeaderSize] == mysql.COM_STMT_PREPARE:
			return prepared
		case command[mysqlwire.HeaderSize] == mysql.COM_STMT_EXECUTE && command[mysqlwire.HeaderSize+1] != cannedID:
			return unknown
		}
		return answer
	}
}
