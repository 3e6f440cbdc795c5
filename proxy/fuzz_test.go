package proxy

import (
	"bytes"
	"io"
	"net"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/go-mysql-org/go-mysql/mysql"

	"github.com/stickyproxy/stickyproxy/backend"
	"github.com/stickyproxy/stickyproxy/mysqlwire"
	"github.com/stickyproxy/stickyproxy/router"
	"github.com/stickyproxy/stickyproxy/session"
)

// FuzzClientBytes serves a client who has logged in and then sends whatever comes to his mind. Servers give ready
// answers. There must be no panic, and when the client has gone, its goroutine and its server connections go too: else
// the wait for them never ends.
func FuzzClientBytes(f *testing.F) {
	for _, seed := range clientBytes() {
		f.Add(uint8(0), seed)
		f.Add(uint8(1), seed)
	}
	s := startCanned(f)
	f.Fuzz(func(t *testing.T, kind uint8, b []byte) {
		if len(b) > 4<<20 {
			return
		}
		caps := []mysqlwire.Capability{modern, modern &^ mysqlwire.CapDeprecateEOF, modern | mysqlwire.CapQueryAttributes,
			modern | mysqlwire.CapSessionTrack | mysqlwire.CapMultiStatements}[kind%4]
		s.sendBytes(t, caps, b)
	})
}

// clientBytes are conversations to begin with.
func clientBytes() [][]byte {
	command := func(code byte, body string) []byte {
		return mysqlwire.AppendPacket(nil, 0, append([]byte{code}, body...))
	}
	join := func(all ...[]byte) []byte { return bytes.Join(all, nil) }
	prepare := command(mysql.COM_STMT_PREPARE, "SELECT c FROM t WHERE id = ?")
	executed := executeOf(cannedID)
	return [][]byte{
		query("SELECT 1"),
		join(query("INSERT INTO t VALUES (1)"), query("SELECT 1"), command(mysql.COM_QUIT, "")),
		join(query("START TRANSACTION READ ONLY"), query("SELECT 1"), query("UPDATE t SET a = 1"), query("COMMIT")),
		join(prepare, executed, executed, command(mysql.COM_STMT_RESET, "\x09\x00\x00\x00"), command(mysql.COM_STMT_CLOSE, "\x09\x00\x00\x00"), executed),
		join(prepare, command(mysql.COM_STMT_SEND_LONG_DATA, "\x09\x00\x00\x00\x00\x00long"), executed,
			command(mysql.COM_STMT_FETCH, "\x09\x00\x00\x00\x05\x00\x00\x00")),
		join(prepare, command(mysql.COM_RESET_CONNECTION, ""), executed),
		join(prepare, command(mysql.COM_CHANGE_USER, "app\x00\x00\x00\x2d\x00caching_sha2_password\x00\x00"), executed),
		join(query("SET session_track_schema = 0"), query("USE b"), query("SELECT 1")),
		join(query("KILL 1"), command(mysql.COM_PROCESS_KILL, "\x01\x00\x00\x00"), query("KILL QUERY 2147483649")),
		join(query("CREATE TEMPORARY TABLE t (a INT)"), query("SELECT * FROM t"), query("DROP TABLE t")),
		join(command(mysql.COM_INIT_DB, "a"), command(mysql.COM_PING, ""), command(mysql.COM_STATISTICS, ""), command(mysql.COM_DEBUG, "")),
		join(query("LOAD DATA LOCAL INFILE 'f' INTO TABLE t"), mysqlwire.AppendPacket(nil, 2, []byte("abc")), mysqlwire.AppendPacket(nil, 3, nil), query("SELECT 1")),
		join(query("SET @sticky_session = 'a', @x = 1; SELECT 1; SELECT @sticky_token"), query("BEGIN /*sticky_session=b,sticky_pin=1*/"),
			query("INSERT INTO t VALUES (1) -- sticky_session='c%20d'"), query("COMMIT")),
		join(command(mysql.COM_STMT_PREPARE, "SET @sticky_session = ?"), executeOf(1), command(mysql.COM_STMT_PREPARE, "SELECT @sticky_route, @sticky_pin"),
			command(mysql.COM_STMT_EXECUTE, "\x02\x00\x00\x00\x01\x01\x00\x00\x00"), command(mysql.COM_STMT_FETCH, "\x02\x00\x00\x00\x05\x00\x00\x00"),
			command(mysql.COM_STMT_CLOSE, "\x01\x00\x00\x00")),
		command(mysql.COM_QUERY, "\x01\x01\x00\x01\xfe\x00\x0esticky_session\x02u1SELECT 1"),
		query("SELECT 1")[:3],
		{0, 0, 0, 0}, {5, 0, 0, 1, 3}, {0xFF, 0xFF, 0xFF, 0, 3, 'S'}, {0, 0, 0x20, 0, 3, 'S'},
	}
}

// sendBytes is a client's life with b as all that it ever says. It returns when everything that belongs to it is over.
func (s *canned) sendBytes(t *testing.T, caps mysqlwire.Capability, b []byte) {
	t.Helper()
	p := s.newProxy(t)
	login := backend.Login{User: "app", Capabilities: caps | defaultCapabilities}
	primary, err := s.server.Connect(t.Context(), login)
	if err != nil {
		t.Fatal(err)
	}
	inside, outside := net.Pipe()
	c := newConn(p, 1|firstID, router.Auto, &Client{Conn: inside, Capabilities: caps, Login: login, Primary: primary, Salt: make([]byte, 20)})
	c.login.Attributes = attribute("sticky_session", "s")
	if err := c.introduced(); err != nil {
		t.Fatal(err)
	}
	p.clients[&client{nc: inside, conn: c}] = struct{}{}
	var both sync.WaitGroup
	both.Go(func() { _, _ = io.Copy(io.Discard, outside) }) // up to the end, whatever it is
	both.Go(func() {
		_ = c.serve()
		c.close()
		_ = inside.Close()
	})
	_, _ = outside.Write(b)
	_ = outside.Close()
	both.Wait()
	p.cancel()
	s.waitForQuiet()
}

// canned is a server that gives ready answers.
type canned struct {
	listener net.Listener
	server   *backend.Server

	mu   sync.Mutex
	less *sync.Cond
	open int // connections
}

func startCanned(t testing.TB) *canned {
	t.Helper()
	path := filepath.Join(t.TempDir(), "s")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	s := &canned{listener: l}
	s.less = sync.NewCond(&s.mu)
	if s.server, err = backend.NewServer(backend.ServerConfig{Address: "unix:" + path}); err != nil {
		t.Fatal(err)
	}
	go s.accept()
	return s
}

// newProxy makes a proxy without listeners, to whom the server is the primary and a replica.
func (s *canned) newProxy(t *testing.T) *Server {
	t.Helper()
	sessions, err := session.NewStore(session.Options{Window: time.Second})
	if err != nil {
		t.Fatal(err)
	}
	snapshot := &backend.Snapshot{Servers: []*backend.Server{s.server}, Primary: s.server}
	snapshot.Monitored = true
	snapshot.Replicas = []router.Replica{{Incarnation: "r", Up: true, ReadOnly: true, Replicating: true, FreshAsOf: time.Now().Add(time.Hour)}}
	p, err := New(Options{Fleet: fakeFleet{snapshot}, Sessions: sessions, MaxLag: 2 * time.Hour, ConnectTimeout: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func (s *canned) accept() {
	for {
		nc, err := s.listener.Accept()
		if err != nil {
			return
		}
		s.count(1)
		go s.serve(nc)
	}
}

func (s *canned) count(n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.open += n
	s.less.Broadcast()
}

// waitForQuiet returns when the proxy has closed all its connections.
func (s *canned) waitForQuiet() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for s.open > 0 {
		s.less.Wait()
	}
}

// serve lets everybody in and answers every command in the form that it calls for.
func (s *canned) serve(nc net.Conn) {
	defer s.count(-1)
	defer nc.Close()
	greeting := mysqlwire.Greeting{Version: "8.4.0", Salt: make([]byte, 20), Capabilities: everything &^ (mysqlwire.CapSSL | mysqlwire.CapCompress | mysqlwire.CapZstd),
		Plugin: mysqlwire.PluginCachingSHA2}
	_, err := nc.Write(mysqlwire.AppendPacket(nil, 0, greeting.Append(nil)))
	if err != nil {
		return
	}
	p, seq, err := mysqlwire.ReadPacket(nc, 64<<10)
	if err != nil {
		return
	}
	request, err := mysqlwire.ParseLoginRequest(p, greeting.Capabilities)
	if err != nil {
		return
	}
	ok := mysqlwire.OK{Status: mysqlwire.StatusAutocommit}
	_, err = nc.Write(mysqlwire.AppendPacket(nil, seq+1, ok.Append(nil, false, true)))
	for err == nil {
		p, seq, err = mysqlwire.ReadPacket(nc, 64<<20)
		if err != nil || len(p) == 0 || p[0] == mysql.COM_QUIT {
			return
		}
		if bytes.Contains(p, []byte("LOCAL INFILE")) {
			seq, err = readFile(nc, seq)
		}
		if err == nil {
			_, err = nc.Write(cannedAnswer(p, request.Capabilities, seq+1))
		}
	}
}

// readFile has the client send a file, and returns the number of its last packet.
func readFile(nc net.Conn, seq byte) (byte, error) {
	if _, err := nc.Write(mysqlwire.AppendPacket(nil, seq+1, []byte("\xfbf"))); err != nil {
		return 0, err
	}
	for {
		if p, seq, err := mysqlwire.ReadPacket(nc, 64<<20); err != nil || len(p) == 0 {
			return seq, err
		}
	}
}

func cannedAnswer(p []byte, caps mysqlwire.Capability, seq byte) []byte {
	ok := mysqlwire.OK{Status: mysqlwire.StatusAutocommit}
	switch p[0] {
	case mysql.COM_STMT_CLOSE, mysql.COM_STMT_SEND_LONG_DATA:
		return nil
	case mysql.COM_STMT_PREPARE:
		return renumber(prepareOK(caps), seq)
	case mysql.COM_STATISTICS:
		return mysqlwire.AppendPacket(nil, seq, []byte("Uptime: 1"))
	case mysql.COM_STMT_FETCH, mysql.COM_FIELD_LIST, mysql.COM_SET_OPTION, mysql.COM_DEBUG:
		return mysqlwire.AppendPacket(nil, seq, endOf(ok, caps))
	case mysql.COM_PROCESS_INFO:
		return rowsOf(seq, caps, ok, "hello")
	case mysql.COM_QUERY, mysql.COM_STMT_EXECUTE:
		switch {
		case bytes.Contains(p, []byte("SELECT CONCAT(@@")):
			return rowsOf(seq, caps, ok, "r", "a", "1")
		case bytes.Contains(p, []byte("SELECT @@SESSION.session_track")):
			return rowsOf(seq, caps, ok, "*", "ON", "ON", "OFF", "OFF")
		case bytes.Contains(p, []byte("START")):
			ok.Status |= mysqlwire.StatusInTrans
		case bytes.Contains(p, []byte("USE ")):
			ok.Status |= mysqlwire.StatusStateChanged
			ok.Session = mysqlwire.AppendChange(nil, mysqlwire.TrackSchema, nil, []byte("b"))
		case bytes.Contains(p, []byte("SELECT")) || p[0] == mysql.COM_STMT_EXECUTE:
			return rowsOf(seq, caps, ok, "hello")
		}
	}
	return mysqlwire.AppendPacket(nil, seq, ok.Append(nil, false, true))
}

func endOf(ok mysqlwire.OK, caps mysqlwire.Capability) []byte {
	if caps.Has(mysqlwire.CapDeprecateEOF) {
		return ok.Append(nil, true, true)
	}
	return ok.AppendEOF(nil)
}

// rowsOf is one row.
func rowsOf(seq byte, caps mysqlwire.Capability, ok mysqlwire.OK, values ...string) []byte {
	packets := [][]byte{{byte(len(values))}}
	var row []byte
	for _, v := range values {
		packets = append(packets, definition)
		row = append(append(row, byte(len(v))), v...)
	}
	if !caps.Has(mysqlwire.CapDeprecateEOF) {
		packets = append(packets, ok.AppendEOF(nil))
	}
	var b []byte
	for _, p := range append(packets, row, endOf(ok, caps)) {
		b = mysqlwire.AppendPacket(b, seq, p)
		seq++
	}
	return b
}

var definition = []byte("\x03def\x00\x00\x00\x01c\x01c\x0c\xff\x00\xe0\x01\x00\x00\xfe\x01\x00\x00\x00\x00")

// renumber makes packets go on from seq.
func renumber(b []byte, seq byte) []byte {
	for at := 0; at < len(b); seq++ {
		b[at+3] = seq
		at += mysqlwire.HeaderSize + mysqlwire.FrameLen(b[at:])
	}
	return b
}
