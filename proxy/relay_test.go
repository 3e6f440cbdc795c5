package proxy

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/go-mysql-org/go-mysql/mysql"

	"github.com/stickyproxy/stickyproxy/internal/mysqltest/fakeserver"
	"github.com/stickyproxy/stickyproxy/mysqlwire"
)

// Every kind of response reaches every kind of client whole and in its dialect, from servers of every kind. The client
// checks every sequence number.
func TestDialects(t *testing.T) {
	const eof = mysqlwire.CapDeprecateEOF
	more := fakeserver.OK{Status: autocommit | uint16(mysqlwire.StatusMoreResults)}
	answers := map[string]fakeserver.Handler{
		"SELECT 'rows'": func(c *fakeserver.Conn, _ fakeserver.Command) error {
			return c.Rows([]string{"a", "b"}, [][]any{{"1", nil}, {"2", strings.Repeat("x", 300)}}, fakeserver.OK{Warnings: 3})
		},
		"SELECT 'none'": func(c *fakeserver.Conn, _ fakeserver.Command) error {
			return c.Rows([]string{"a"}, nil, fakeserver.OK{})
		},
		"SELECT 'several'; SELECT 'results'": func(c *fakeserver.Conn, _ fakeserver.Command) error {
			return errors.Join(c.Rows([]string{"a"}, [][]any{{"1"}}, more), c.Rows([]string{"a", "b"}, [][]any{{"2", "3"}}, more),
				c.OK(fakeserver.OK{Info: "done"}))
		},
		"SELECT 'some'; SELECT 'error'": func(c *fakeserver.Conn, _ fakeserver.Command) error {
			return errors.Join(c.Rows([]string{"a"}, [][]any{{"1"}}, more), c.Error(mysql.ER_QUERY_INTERRUPTED, "70100", "stop"))
		},
		"SELECT 'error in rows'": func(c *fakeserver.Conn, _ fakeserver.Command) error {
			return errors.Join(c.Columns("a"), c.Row("1"), c.Error(mysql.ER_QUERY_INTERRUPTED, "70100", "stop"))
		},
	}
	want := map[string]struct {
		rows string
		ends int
		err  bool
	}{
		"SELECT 'rows'": {"1 2", 1, false}, "SELECT 'none'": {"", 1, false},
		"SELECT 'several'; SELECT 'results'": {"1 2", 3, false},
		"SELECT 'some'; SELECT 'error'":      {"1", 1, true}, "SELECT 'error in rows'": {"1", 0, true},
	}
	for _, tt := range []struct {
		name         string
		client       mysqlwire.Capability
		lacks        mysqlwire.Capability
		replicasLack mysqlwire.Capability
	}{
		{"all modern", usualClient | mysqlwire.CapMultiStatements, 0, 0},
		{"classic client", classicClient | mysqlwire.CapMultiStatements, 0, 0},
		{"classic servers", usualClient | mysqlwire.CapMultiStatements, eof, 0},
		{"classic replicas", usualClient | mysqlwire.CapMultiStatements, 0, eof},
		{"all classic", classicClient | mysqlwire.CapMultiStatements, eof, 0},
		{"query attributes", usualClient | mysqlwire.CapMultiStatements | mysqlwire.CapQueryAttributes, 0, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := startRig(t, rigOptions{replicas: 1, lacks: tt.lacks, replicasLack: tt.replicasLack})
			for _, s := range r.all() {
				s.on(func(c *fakeserver.Conn, cmd fakeserver.Command) error {
					if h := answers[cmd.SQL]; h != nil {
						return h(c, cmd)
					}
					return errDefault
				})
			}
			c := r.connectAs(tt.client, "", "")
			for sql, w := range want {
				got := c.query(sql)
				if strings.Join(got.rows, " ") != w.rows || len(got.ends) != w.ends || (got.err != nil) != w.err || got.lost != nil {
					t.Errorf("%s: got %v", sql, got)
				}
			}
			id := c.prepare("SELECT a FROM t WHERE b = ?")
			c.executes(r.replicas[0], execution(id, 0, parameters(c.caps, "\x00\x01", "\x08\x00", "12345678")))
			if got := c.ask(mysql.COM_STMT_EXECUTE, execution(id, 1, parameters(c.caps, "\x00\x01", "\x08\x00", "12345678"))); got.err != nil || len(got.rows) != 0 {
				t.Errorf("cursor: got %v", got)
			}
			if got := c.ask(mysql.COM_STMT_FETCH, statementBody(id, "\x01\x00\x00\x00")); got.err != nil || len(got.rows) != 1 {
				t.Errorf("fetch: got %v", got)
			}
		})
	}
}

// parameters are those of an execution with one parameter: NULL bits and flag, type, value.
func parameters(caps mysqlwire.Capability, bits, kind, value string) string {
	if caps.Has(mysqlwire.CapQueryAttributes) {
		return "\x01" + bits + kind + "\x00" + value
	}
	return bits + kind + value
}

// Commands with odd responses pass.
func TestOddResponses(t *testing.T) {
	for _, caps := range []mysqlwire.Capability{usualClient, classicClient} {
		r := startRig(t, rigOptions{replicas: 1})
		c := r.connectAs(caps, "", "")
		c.send(mysql.COM_STATISTICS, "")
		if p, err := c.packet(); err != nil || string(p) != "Uptime: 1" {
			t.Errorf("STATISTICS: %q, %v", p, err)
		}
		for _, code := range []byte{mysql.COM_SET_OPTION, mysql.COM_DEBUG} {
			c.send(code, "\x00\x00")
			if p, err := c.packet(); err != nil || p[0] != 0xFE {
				t.Errorf("command %d: % x, %v", code, p, err)
			}
		}
		if got := c.ask(mysql.COM_PING, ""); got.err != nil || len(got.ends) != 1 {
			t.Errorf("PING: %v", got)
		}
		c.from(r.replicas[0], "SELECT 1")
	}
}

// A row of more than one frame, and many rows, pass as they are.
func TestLargeResults(t *testing.T) {
	r := startRig(t, rigOptions{replicas: 1})
	large := strings.Repeat("y", mysqlwire.MaxFrame+1<<20)
	r.replicas[0].on(func(c *fakeserver.Conn, cmd fakeserver.Command) error {
		switch cmd.SQL {
		case "SELECT large":
			return c.Rows([]string{"a"}, [][]any{{large}, {"small"}}, fakeserver.OK{})
		case "SELECT many":
			rows := make([][]any, 3000)
			for i := range rows {
				rows[i] = []any{fmt.Sprint(i), strings.Repeat("z", i%200)}
			}
			return c.Rows([]string{"a", "b"}, rows, fakeserver.OK{})
		}
		return errDefault
	})
	for _, caps := range []mysqlwire.Capability{usualClient, classicClient} {
		c := r.connectAs(caps, "", "")
		if got := c.query("SELECT large"); len(got.rows) != 2 || got.rows[0] != large || got.rows[1] != "small" {
			t.Errorf("got %d rows, %v", len(got.rows), got.err)
		}
		if got := c.query("SELECT many"); len(got.rows) != 3000 || got.rows[2999] != "2999" {
			t.Errorf("got %d rows, %v", len(got.rows), got.err)
		}
		c.from(r.replicas[0], "SELECT 1")
	}
	r.primary.wantSent()
}

// An OK packet tells a client only of what it wants to be told, and one without session tracking of nothing.
func TestSessionStateIsFiltered(t *testing.T) {
	r := startRig(t, rigOptions{replicas: 1})
	r.primary.on(answering(map[string]fakeserver.OK{"SET time_zone = 'UTC'": {Info: "hello", Track: []fakeserver.Track{
		fakeserver.TrackVariable("time_zone", "UTC"), fakeserver.TrackVariable("statement_id", "7"), fakeserver.TrackSchema("s"),
		fakeserver.TrackStateChange(), fakeserver.TrackGTIDs(sourceUUID + ":1"), fakeserver.TrackTransaction("I_______"),
	}}}))
	c := r.connect()
	ok := c.ok("SET time_zone = 'UTC'")
	var told []string
	for ch := (mysqlwire.Changes{Rest: ok.Session}); ch.Next(); {
		told = append(told, fmt.Sprintf("%d %s=%s", ch.Kind, ch.Name, ch.Value))
	}
	if want := []string{"0 time_zone=UTC", "1 =s"}; !slices.Equal(told, want) || string(ok.Info) != "hello" {
		t.Errorf("told %q, %q, want %q", told, ok.Info, want)
	}
	for _, caps := range []mysqlwire.Capability{classicClient, usualClient &^ mysqlwire.CapSessionTrack} {
		ok = r.connectAs(caps, "", "").ok("SET time_zone = 'UTC'")
		if ok.Session != nil || ok.Status&mysqlwire.StatusStateChanged != 0 {
			t.Errorf("without tracking: told %q, %x", ok.Session, ok.Status)
		}
	}
}

// A file of the client goes to the server, whatever it is cut into, and the numbers of packets go on behind it.
func TestLocalInfile(t *testing.T) {
	for _, tt := range []struct {
		name  string
		parts []string
	}{
		{"empty", nil},
		{"small", []string{"a", "bc", strings.Repeat("d", 70_000)}},
		{"a packet of several frames", []string{strings.Repeat("e", mysqlwire.MaxFrame), strings.Repeat("f", mysqlwire.MaxFrame+7), "g"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := startRig(t, rigOptions{replicas: 1})
			var got []byte
			r.primary.on(func(c *fakeserver.Conn, cmd fakeserver.Command) error {
				if !strings.HasPrefix(cmd.SQL, "LOAD") {
					return errDefault
				}
				var err error
				got, err = c.LocalInfile("f")
				return errors.Join(err, c.OK(fakeserver.OK{AffectedRows: 5}))
			})
			for _, caps := range []mysqlwire.Capability{usualClient, classicClient} {
				c := r.connectAs(caps|mysqlwire.CapLocalFiles, "", "")
				c.send(mysql.COM_QUERY, "LOAD DATA LOCAL INFILE 'f' INTO TABLE t")
				if p, err := c.packet(); err != nil || string(p) != "\xfbf" {
					t.Fatalf("got %q, %v", p, err)
				}
				for _, part := range append(tt.parts, "") {
					c.write(mysqlwire.AppendPacket(nil, c.seq, []byte(part)))
					c.seq += byte(1 + len(part)/mysqlwire.MaxFrame)
				}
				if reply := c.response(mysql.COM_QUERY); reply.err != nil || len(reply.ends) != 1 || reply.ends[0].AffectedRows != 5 {
					t.Fatalf("got %v", reply)
				}
				if want := strings.Join(tt.parts, ""); string(got) != want {
					t.Errorf("the server got %d bytes, want %d", len(got), len(want))
				}
				c.ok("DELETE FROM t")
			}
		})
	}
}

// A server that is lost while it gets a file is an error with the next number.
func TestServerLostDuringFile(t *testing.T) {
	r := startRig(t, rigOptions{replicas: 1})
	r.primary.on(func(c *fakeserver.Conn, cmd fakeserver.Command) error {
		return errors.Join(c.Packet([]byte("\xfbf")), errHangUp)
	})
	c := r.connectAs(usualClient|mysqlwire.CapLocalFiles, "", "")
	c.send(mysql.COM_QUERY, "LOAD DATA LOCAL INFILE 'f' INTO TABLE t")
	if _, err := c.packet(); err != nil {
		t.Fatal(err)
	}
	c.write(mysqlwire.AppendPacket(mysqlwire.AppendPacket(nil, c.seq, []byte("x")), c.seq+1, nil))
	c.seq += 2
	c.ended(0)
}

// A server that asks for a file where the statement is a read makes no sense.
func TestReadAsksForNoFile(t *testing.T) {
	r := startRig(t, rigOptions{replicas: 1})
	asks := func(c *fakeserver.Conn, cmd fakeserver.Command) error { return c.Packet([]byte("\xfb/etc/passwd")) }
	r.replicas[0].on(asks)
	c := r.connectAs(usualClient|mysqlwire.CapLocalFiles, "", "")
	c.from(r.primary, "SELECT a FROM t")
	c.ok("START TRANSACTION READ ONLY")
	c.from(r.primary, "SELECT 1")
}

// A server that says more than it was asked is not asked again.
func TestTooMuchIsSaid(t *testing.T) {
	for _, first := range []func(c *fakeserver.Conn) []byte{
		func(*fakeserver.Conn) []byte { return pointSelect(nil) },
		func(*fakeserver.Conn) []byte {
			return mysqlwire.AppendPacket(nil, 1, (&mysqlwire.Error{Code: mysql.ER_NO_SUCH_TABLE, State: "42S02"}).Append(nil))
		},
	} {
		r := startRig(t, rigOptions{replicas: 1})
		said := false
		r.replicas[0].on(func(c *fakeserver.Conn, cmd fakeserver.Command) error {
			if said {
				return errDefault
			}
			said = true
			_, err := c.Write(append(first(c), pointSelect(nil)...))
			return err
		})
		c := r.connect()
		if got := c.query("SELECT a FROM t"); got.err != nil || len(got.rows) != 1 {
			t.Fatal(got)
		}
		c.from(r.replicas[0], "SELECT a FROM t")
		if got := len(r.replicas[0].Received()); got != 6 {
			t.Errorf("%d commands on the replica, want two logins and two reads", got)
		}
	}
}

// A client that goes in the middle of a result ends its connection, and nothing else.
func TestClientGoesInResult(t *testing.T) {
	gone := make(chan struct{})
	r := startRig(t, rigOptions{replicas: 1, trace: Trace{Closed: func() { close(gone) }}})
	r.replicas[0].on(func(c *fakeserver.Conn, cmd fakeserver.Command) error {
		if err := c.Columns("a"); err != nil {
			return err
		}
		for range 10_000 {
			if err := c.Row(strings.Repeat("x", 10_000)); err != nil {
				return err
			}
		}
		return c.EOF(fakeserver.OK{})
	})
	c := r.connect()
	c.send(mysql.COM_QUERY, "SELECT a FROM t")
	if _, err := c.packet(); err != nil {
		t.Fatal(err)
	}
	c.close()
	<-gone
	if got := r.fleet.failures(); got != 0 {
		t.Errorf("the fleet heard of %d failures", got)
	}
}

// The buffer for rewritten packets goes back to its pool only as large as it was meant to be.
func TestRelease(t *testing.T) {
	x := relay{}
	x.release()
	box := make([]byte, 0, 1<<20)
	x.box, x.out = &box, box
	x.release()
	if x.out != nil || x.box != nil || !bytes.Equal(box, nil) {
		t.Error("still borrowed")
	}
}
