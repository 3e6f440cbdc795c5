package backend

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net"
	"os"
	"reflect"
	"strings"
	"testing"

	"github.com/go-mysql-org/go-mysql/mysql"

	"github.com/stickyproxy/stickyproxy/internal/mysqltest/fakeserver"
	"github.com/stickyproxy/stickyproxy/mysqlwire"
)

// startTalk serves logins that check nothing, then talk.
func startTalk(t *testing.T, talk func(*fakeConn)) *Server {
	t.Helper()
	return startFake(t, func(c *fakeConn) {
		if c.welcome() {
			talk(c)
			c.hold()
		}
	}).server(ServerConfig{})
}

// Ensure that an idle connection counts as alive until the server says something or hangs up, and that the look costs
// no memory.
func TestAlive(t *testing.T) {
	for _, row := range []struct {
		name string
		end  func(*fakeConn)
	}{
		{"an ERR while idle", func(c *fakeConn) { c.seq = 0; c.err(mysql.ER_SERVER_SHUTDOWN, "bye") }},
		{"hangs up", func(c *fakeConn) { c.Close() }},
	} {
		t.Run(row.name, func(t *testing.T) {
			now, done := make(chan struct{}), make(chan struct{})
			c := connect(t, startTalk(t, func(c *fakeConn) {
				<-now
				row.end(c)
				close(done)
			}), Login{})
			if alive := c.Alive(); !alive || !c.Alive() {
				t.Error("quiet but not alive")
			}
			if n := testing.AllocsPerRun(100, func() { c.Alive() }); n != 0 {
				t.Errorf("%v allocations a look, want 0", n)
			}
			close(now)
			<-done
			for c.Alive() { // loopback delivers at once, or nearly
				if err := t.Context().Err(); err != nil {
					t.Fatal(err)
				}
			}
		})
	}
}

func TestClose(t *testing.T) {
	c := connect(t, startTalk(t, func(*fakeConn) {}), Login{})
	if err := c.Close(); err != nil {
		t.Error(err)
	}
	if err := c.Close(); err != nil {
		t.Errorf("the second time: %v", err)
	}
	if c.Alive() {
		t.Error("alive after Close")
	}
	if _, err := c.Query(t.Context(), "SELECT 1"); !errors.Is(err, net.ErrClosed) {
		t.Errorf("got %v, want closed", err)
	}
}

// Ensure that rows are read with and without EOF packets, and that an error of the server leaves the connection usable.
func TestQuery(t *testing.T) {
	for _, caps := range []mysqlwire.Capability{allCaps, allCaps &^ mysqlwire.CapDeprecateEOF, allCaps &^ mysqlwire.CapQueryAttributes} {
		t.Run(fmt.Sprintf("%08x", uint32(caps)), func(t *testing.T) {
			s := startFake(t, func(c *fakeConn) {
				if !c.greet(mysqlwire.PluginNative, caps) {
					return
				}
				c.ok()
				c.setUp()
				for q := c.command(); q != ""; q = c.command() {
					switch q {
					case "rows":
						c.rows("a", "1", "b", "two")
					case "bad":
						c.err(mysql.ER_PARSE_ERROR, "syntax")
					default:
						c.ok()
					}
				}
			}).server(ServerConfig{})
			c := connect(t, s, Login{Capabilities: mysqlwire.CapQueryAttributes})
			for range 2 {
				got, err := c.Query(t.Context(), "rows")
				want := &Rows{Columns: []string{"a", "b"}, Values: [][]sql.NullString{{{String: "1", Valid: true}, {String: "two", Valid: true}}}}
				if err != nil || !reflect.DeepEqual(got, want) {
					t.Fatalf("got %v, %v; want %v", got, err, want)
				}
				if _, err := c.Query(t.Context(), "bad"); refusal(t, err).Code != mysql.ER_PARSE_ERROR {
					t.Errorf("got %v", err)
				}
				if got, err := c.Query(t.Context(), "none"); err != nil || len(got.Values) > 0 {
					t.Errorf("no rows: got %v, %v", got, err)
				}
			}
			if !c.Alive() {
				t.Error("not alive")
			}
		})
	}
}

// Ensure that answers which nobody asked for are errors, in bounded memory.
func TestQueryBadAnswers(t *testing.T) {
	more := mysqlwire.OK{Status: mysqlwire.StatusMoreResults}
	definition := []byte("\x03def\x00\x00\x00\x01a\x00\x0c\x2d\x00\x01\x00\x00\x00\xfd\x00\x00\x00\x00\x00")
	for _, row := range []struct {
		name   string
		answer func(*fakeConn)
		want   error
	}{
		{"a file is asked for", func(c *fakeConn) { c.send([]byte("\xfb/etc/passwd")) }, errProtocol},
		{"more results", func(c *fakeConn) { c.send(more.Append(nil, false, true)) }, errProtocol},
		{"too many columns", func(c *fakeConn) { c.send([]byte{0xfc, 0xff, 0xff}) }, errProtocol},
		{"a malformed count", func(c *fakeConn) { c.send([]byte{0xfc, 0xff}) }, errProtocol},
		{"a malformed definition", func(c *fakeConn) { c.send([]byte{1}); c.send([]byte{3, 'd'}) }, errProtocol},
		{"a malformed row", func(c *fakeConn) { c.send([]byte{1}); c.send(definition); c.send([]byte{200}) }, errProtocol},
		{"an endless result", func(c *fakeConn) {
			c.send([]byte{1})
			c.send(definition)
			for p := append([]byte{0xfc, 0, 4}, make([]byte, 1024)...); ; {
				if _, err := c.Write(mysqlwire.AppendPacket(nil, 0, p)); err != nil {
					return
				}
			}
		}, errBigResult},
		{"a huge row", func(c *fakeConn) {
			c.send([]byte{1})
			c.send(definition)
			_, _ = c.Write([]byte{0, 0, 0x50, 0})
		}, errBigResult},
		{"more than was asked for", func(c *fakeConn) {
			ok := more
			ok.Status = 0
			b := mysqlwire.AppendPacket(nil, 1, ok.Append(nil, false, true))
			_, _ = c.Write(append(b, b...))
		}, errEarly},
	} {
		t.Run(row.name, func(t *testing.T) {
			c := connect(t, startTalk(t, func(c *fakeConn) {
				c.command()
				row.answer(c)
			}), Login{Capabilities: mysqlwire.CapDeprecateEOF})
			if _, err := c.Query(t.Context(), "SELECT 1"); !errors.Is(err, row.want) {
				t.Errorf("got %v, want %v", err, row.want)
			}
		})
	}
}

// Ensure that a question that is not answered ends with the context, and that a context that is over later does not
// touch the connection.
func TestQueryContext(t *testing.T) {
	asked := make(chan struct{})
	s := startTalk(t, func(c *fakeConn) {
		c.command()
		c.ok()
		c.command()
		close(asked)
	})
	ctx, cancel := context.WithCancel(t.Context())
	c, err := s.Connect(ctx, Login{})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	cancel()
	if _, err := c.Query(t.Context(), "SELECT 1"); err != nil {
		t.Errorf("after the login's context ended: %v", err)
	}
	ctx, cancel = context.WithCancel(t.Context())
	go func() {
		<-asked
		cancel()
	}()
	if _, err := c.Query(ctx, "SELECT 2"); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want canceled", err)
	}
}

func TestReset(t *testing.T) {
	s := startTalk(t, func(c *fakeConn) {
		if p := c.recv(); len(p) != 1 || p[0] != mysql.COM_RESET_CONNECTION {
			return
		}
		c.ok()
		if !c.setUp() {
			return
		}
		c.command()
		c.rows("a", "1")
	})
	c := connect(t, s, Login{})
	if err := c.Reset(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Query(t.Context(), "SELECT 1"); err != nil {
		t.Errorf("after the reset: %v", err)
	}
	if err := c.Reset(canceled()); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want canceled", err)
	}
}

// Ensure that trackers are asked for in the server's own words, and that a server without them is not sent away.
func TestSetUp(t *testing.T) {
	for _, row := range []struct {
		name    string
		version string
		caps    mysqlwire.Capability
		unknown bool // the server lacks a variable
		off     bool // and its sessions begin without the tracker of variables
		told    bool // the client wants to be told
		asks    string
		track   string
		maria   bool
		tracked bool
	}{
		{name: "MySQL", version: "8.4.3", caps: allCaps, track: trackMySQL, tracked: true},
		{name: "MySQL 5.7 before its time", version: "5.7.5", caps: allCaps, unknown: true, track: trackMySQL},
		{name: "MySQL 5.6", version: "5.6.51", caps: allCaps &^ mysqlwire.CapSessionTrack},
		{name: "MariaDB", version: "5.5.5-10.11.19-MariaDB", caps: allCaps &^ mysqlwire.CapLongPassword, track: trackMariaDB, maria: true, tracked: true},
		{name: "MariaDB in disguise", version: "8.0.30", caps: allCaps &^ mysqlwire.CapLongPassword, track: trackMariaDB, maria: true, tracked: true},
		{name: "MariaDB without the tracker", version: "5.5.5-10.11.19-MariaDB", caps: allCaps, off: true, track: trackMariaDB, maria: true},
		{name: "MySQL, and a client that is told", version: "8.4.3", caps: allCaps, told: true, asks: "@@session_track_gtids", track: trackMySQL, tracked: true},
		{name: "MariaDB, and a client that is told", version: "11.4.2-MariaDB", caps: allCaps, told: true, asks: "@@session_track_schema", track: trackMariaDB, maria: true, tracked: true},
		{name: "MariaDB behind a proxy", version: "11.4.2-MariaDB", caps: allCaps, track: trackMariaDB, maria: true, tracked: true},
	} {
		t.Run(row.name, func(t *testing.T) {
			said := make(chan string, 2)
			s := startFake(t, func(c *fakeConn) {
				c.caps = row.caps
				c.greetAs(row.version, mysqlwire.PluginNative)
				c.login, _ = mysqlwire.ParseLoginRequest(c.recv(), row.caps)
				c.ok()
				question, variables := c.command(), "session_track_system_variables=*\n"
				said <- question
				if row.off {
					variables = ""
				}
				c.rows("inc", "x", "db", "", "variables", fakeserver.Values(question, variables))
				if row.track != "" {
					said <- c.command()
					if row.unknown {
						c.err(mysql.ER_UNKNOWN_SYSTEM_VARIABLE, "unknown")
					} else {
						c.ok()
					}
				}
				c.hold()
			}).server(ServerConfig{})
			var l Login
			if row.told {
				l.Capabilities = mysqlwire.CapSessionTrack
			}
			c := connect(t, s, l)
			if got, want := <-said, "SELECT "+incarnationOf(row.maria); !strings.HasPrefix(got, want) || !strings.Contains(got, row.asks) {
				t.Errorf("got %q, want %q...%s...", got, want, row.asks)
			}
			if row.track != "" {
				if got := <-said; got != row.track {
					t.Errorf("got %q, want %q", got, row.track)
				}
			}
			if c.MariaDB != row.maria || c.Tracked != row.tracked {
				t.Errorf("got MariaDB %v, tracked %v; want %v, %v", c.MariaDB, c.Tracked, row.maria, row.tracked)
			}
		})
	}
}

func TestParseVersion(t *testing.T) {
	for _, row := range []struct {
		text string
		want version
	}{
		{"8.0.36", version{8, 0, 36}},
		{"8.0.22-debug", version{8, 0, 22}},
		{"9.7.4-2", version{9, 7, 4}},
		{"5.5.5-10.11.19-MariaDB-0+deb12u1-log", version{10, 11, 19}},
		{"11.4.2-MariaDB", version{11, 4, 2}},
		{"5.7.44-48-log", version{5, 7, 44}},
		{"8.4", version{8, 4, 0}},
		{"", version{}},
		{"x.y", version{}},
	} {
		if got := parseVersion(row.text); got != row.want {
			t.Errorf("%q: got %v, want %v", row.text, got, row.want)
		}
	}
	v := version{8, 0, 22}
	if !v.atLeast(8, 0, 22) || !v.atLeast(5, 9, 99) || v.atLeast(8, 0, 23) || v.atLeast(8, 1, 0) || v.atLeast(9, 0, 0) {
		t.Error("atLeast")
	}
}

// Ensure that a unix socket is reached and counts as safe.
func TestUnixSocket(t *testing.T) {
	dir, err := os.MkdirTemp("", "s") // shorter than t.TempDir: a socket's path has at most 107 bytes
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	l, err := net.Listen("unix", dir+"/s")
	if err != nil {
		t.Fatal(err)
	}
	f := &fakeServer{t: t, listener: l}
	f.wg.Go(func() {
		f.accept(func(c *fakeConn) {
			if c.greet(mysqlwire.PluginNative, allCaps) && isClear(switchTo(c, mysqlwire.PluginClear, nil)) {
				c.ok()
				c.setUp()
				c.hold()
			}
		})
	})
	t.Cleanup(f.close)
	s, err := NewServer(ServerConfig{Address: "unix:" + dir + "/s"})
	if err != nil {
		t.Fatal(err)
	}
	c := connect(t, s, Login{User: testUser, Password: testPassword})
	if !c.Alive() {
		t.Error("not alive")
	}
}
