package fakeserver_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/go-mysql-org/go-mysql/client"
	"github.com/go-mysql-org/go-mysql/mysql"

	"github.com/stickyproxy/stickyproxy/internal/mysqltest/fakeserver"
	"github.com/stickyproxy/stickyproxy/internal/mysqltest/faultyconn"
)

// Ensure that both plugins work with right and wrong passwords, with and without TLS, on the fast
// way and on the full one.
// Ensure that a client whose plugin differs from the account's is told to change.
// Ensure that a client reads the rows a handler writes, with NULL, and both ways of ending rows.
func TestRows(t *testing.T) {
	for _, row := range []struct {
		name string
		caps uint32
	}{
		{"OK at the end", 0},
		{"EOF at the end", fakeserver.DefaultCapabilities &^ mysql.CLIENT_DEPRECATE_EOF},
	} {
		c := newClient(t, fakeserver.Options{Capabilities: row.caps, Handler: func(c *fakeserver.Conn, cmd fakeserver.Command) error {
			if cmd.SQL == "bad" {
				return c.Error(1064, "42000", "You have an error")
			}
			return c.Rows([]string{"a", "b"}, [][]any{{1, nil}, {"two", strings.Repeat("x", 300)}}, fakeserver.OK{})
		}})
		result, err := c.Execute("SELECT a, b")
		if err != nil {
			t.Fatalf("%s: %v", row.name, err)
		}
		got, _ := result.GetString(1, 0)
		long, _ := result.GetString(1, 1)
		null, _ := result.IsNull(0, 1)
		if result.RowNumber() != 2 || got != "two" || len(long) != 300 || !null {
			t.Errorf("%s: rows %v", row.name, result.Values)
		}
		_, err = c.Execute("bad")
		if my := new(mysql.MyError); !errors.As(err, &my) || my.Code != 1064 || my.State != "42000" {
			t.Errorf("%s: error %v, want 1064", row.name, err)
		}
	}
}

// Ensure that a prepared statement's rows can be sent.
func TestPrepared(t *testing.T) {
	c := newClient(t, fakeserver.Options{Handler: func(c *fakeserver.Conn, cmd fakeserver.Command) error {
		switch cmd.Code {
		case mysql.COM_STMT_PREPARE:
			return c.Prepared(7, []string{"?"}, []string{"a", "b"})
		case mysql.COM_STMT_EXECUTE:
			return errors.Join(c.Columns("a", "b"), c.BinaryRow("x", nil), c.EOF(fakeserver.OK{}))
		}
		return fakeserver.Default(c, cmd)
	}})
	statement, err := c.Prepare("SELECT ?, NULL")
	if err != nil {
		t.Fatal(err)
	}
	result, err := statement.Execute("x")
	if err != nil {
		t.Fatal(err)
	}
	got, _ := result.GetString(0, 0)
	null, _ := result.IsNull(0, 1)
	if statement.ParamNum() != 1 || got != "x" || !null {
		t.Errorf("%d parameters, row %v", statement.ParamNum(), result.Values)
	}
}

// Ensure the bytes of an OK packet with tracking against those seen from a real server:
// 03 29 00 27 is a GTID of 39 characters, 02 01 31 a state change.
func TestTrackBytes(t *testing.T) {
	gtid := "3e11fa47-71ca-11e1-9e33-c80aa9429562:13"
	want := append([]byte{0x03, 0x29, 0x00, 0x27}, gtid...)
	want = append(want, 0x02, 0x02, 0x01, '1')
	got := okBytes(t, mysql.CLIENT_SESSION_TRACK, fakeserver.OK{
		Track: []fakeserver.Track{fakeserver.TrackGTIDs(gtid), fakeserver.TrackStateChange()},
	})
	head := []byte{0, 0, 0, 0x02, 0x40, 0, 0, 0, byte(len(want))}
	if !bytes.Equal(got, append(head, want...)) {
		t.Errorf("with tracking: % x\nwant % x", got, append(head, want...))
	}
	if got, want := okBytes(t, 0, fakeserver.OK{Track: []fakeserver.Track{fakeserver.TrackSchema("x")}}), []byte{0, 0, 0, 2, 0, 0, 0}; !bytes.Equal(got, want) {
		t.Errorf("without: % x, want % x", got, want)
	}
	got = okBytes(t, mysql.CLIENT_SESSION_TRACK, fakeserver.OK{Track: []fakeserver.Track{fakeserver.TrackVariable("last_gtid", "0-1-9")}})
	if want := append([]byte{0x00, 0x10, 0x09}, "last_gtid\x050-1-9"...); !bytes.HasSuffix(got, want) {
		t.Errorf("variable: % x, want at the end % x", got, want)
	}
}

// Ensure that a connection ends where the handler says: before a response, between rows, and in
// the middle of a packet.
func TestCloses(t *testing.T) {
	stop := errors.New("stop")
	for _, row := range []struct {
		name    string
		handler fakeserver.Handler
	}{
		{"before the first byte", func(*fakeserver.Conn, fakeserver.Command) error { return stop }},
		{"between rows", func(c *fakeserver.Conn, _ fakeserver.Command) error {
			return errors.Join(c.Columns("a"), c.Row("1"), stop)
		}},
		{"in the middle of a packet", func(c *fakeserver.Conn, _ fakeserver.Command) error {
			c.CloseAfter(10)
			return c.Rows([]string{"a"}, [][]any{{"1"}}, fakeserver.OK{})
		}},
	} {
		c := newClient(t, fakeserver.Options{Handler: row.handler})
		if result, err := c.Execute("SELECT a"); err == nil {
			t.Errorf("%s: result %v", row.name, result)
		}
	}
}

// Ensure that Push reaches an idle client as an error with sequence number 0.
func TestPush(t *testing.T) {
	s := fakeserver.Start(t, fakeserver.Options{})
	var raw net.Conn
	c, err := client.ConnectWithDialer(t.Context(), "tcp", s.Addr(), "app", "", "", func(ctx context.Context, network, addr string) (net.Conn, error) {
		var d net.Dialer
		var err error
		raw, err = d.DialContext(ctx, network, addr)
		return raw, err
	})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	waitForConns(t, s, 1)
	if err := s.Push(1053, "08S01", "Server shutdown in progress"); err != nil {
		t.Fatal(err)
	}
	got, err := io.ReadAll(raw)
	if err != nil || len(got) < 7 || got[3] != 0 || got[4] != 0xff || !bytes.HasSuffix(got, []byte("#08S01Server shutdown in progress")) {
		t.Errorf("read % x, error %v", got, err)
	}
}

// Ensure that COM_CHANGE_USER is a login of its own, with a new salt.
// encryptedPassword answers the packet that carries the server's public key.
// Ensure that a server can hang and send garbage before its greeting, and that its end, not the
// client's patience, ends the test.
func TestGreet(t *testing.T) {
	garbage := fakeserver.Start(t, fakeserver.Options{Greet: func(c net.Conn) error {
		_, err := c.Write([]byte("HTTP/1.1 400 Bad Request\r\n\r\n"))
		return errors.Join(err, net.ErrClosed)
	}})
	if c, err := client.Connect(garbage.Addr(), "app", "", ""); err == nil {
		t.Errorf("logged in: %v", c)
	}
	reached := make(chan bool, 1)
	hanging := fakeserver.Start(t, fakeserver.Options{Greet: func(c net.Conn) error {
		reached <- true
		_, err := c.Read(make([]byte, 1))
		return err
	}})
	c, err := net.Dial("tcp", hanging.Addr())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	<-reached
	hanging.Close()
	if n, err := c.Read(make([]byte, 1)); n != 0 || err == nil {
		t.Errorf("read %d bytes, error %v", n, err)
	}
}

// Ensure that a raw server is handed the connection and closes it.
func TestRaw(t *testing.T) {
	addr := fakeserver.Raw(t, func(c net.Conn) { io.CopyN(c, c, 4) })
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := c.Write([]byte("ping")); err != nil {
		t.Fatal(err)
	}
	if got, err := io.ReadAll(c); string(got) != "ping" || err != nil {
		t.Errorf("read %q, error %v", got, err)
	}
}

// Ensure that a faulty connection can be put around the server's side.
func TestWrap(t *testing.T) {
	broken := errors.New("broken")
	s := fakeserver.Start(t, fakeserver.Options{Wrap: func(c net.Conn) net.Conn {
		return faultyconn.Wrap(c, faultyconn.Plan{Writes: []faultyconn.Fault{{At: 20, Err: broken}}})
	}})
	if c, err := client.Connect(s.Addr(), "app", "", ""); err == nil {
		t.Errorf("logged in: %v", c)
	}
}

// Ensure that LOCAL INFILE and packets of 16 MiB and more pass in both directions.
func TestLargePackets(t *testing.T) {
	big := strings.Repeat("x", 1<<24+10)
	c := newClient(t, fakeserver.Options{Handler: func(c *fakeserver.Conn, cmd fakeserver.Command) error {
		return c.Rows([]string{"n", "big"}, [][]any{{len(cmd.SQL), big}}, fakeserver.OK{})
	}})
	result, err := c.Execute(big)
	if err != nil {
		t.Fatal(err)
	}
	length, _ := result.GetInt(0, 0)
	got, _ := result.GetString(0, 1)
	if length != int64(len(big)) || got != big {
		t.Errorf("server read %d bytes, client %d, want %d", length, len(got), len(big))
	}
}

// Ensure that the server works on a pipe in virtual time, with a handler that hangs.
func TestServeInBubble(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := fakeserver.New(fakeserver.Options{Handler: func(c *fakeserver.Conn, cmd fakeserver.Command) error {
			<-c.Done()
			return net.ErrClosed
		}})
		near, far := net.Pipe()
		served := make(chan error, 1)
		go func() { served <- s.Serve(far) }()
		c, err := client.ConnectWithDialer(t.Context(), "pipe", "", "app", "", "", func(context.Context, string, string) (net.Conn, error) { return near, nil })
		if err != nil {
			t.Fatal(err)
		}
		answer := make(chan error, 1)
		go func() {
			_, err := c.Execute("SELECT 1")
			answer <- err
		}()
		synctest.Wait()
		s.Close()
		if err := <-answer; err == nil {
			t.Error("a query of a hanging server was answered")
		}
		if err := <-served; err == nil {
			t.Error("Serve returned no error")
		}
		var sql []string
		for _, cmd := range s.Received() {
			sql = append(sql, cmd.SQL)
		}
		if !slices.Equal(sql, []string{"SELECT 1"}) {
			t.Errorf("received %q", sql)
		}
	})
}

// okBytes returns an OK packet's payload for a client with these capabilities beside the basic ones.
// newCertificates borrows the certificate of the standard library's test server.
