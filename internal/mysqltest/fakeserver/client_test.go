package fakeserver_test

import (
	"encoding/binary"
	"io"
	"net"
	"testing"
	"time"

	"github.com/go-mysql-org/go-mysql/client"
	"github.com/go-mysql-org/go-mysql/mysql"

	"github.com/stickyproxy/stickyproxy/internal/mysqltest/fakeserver"
)

func newClient(t *testing.T, o fakeserver.Options) *client.Conn {
	t.Helper()
	c, err := client.Connect(fakeserver.Start(t, o).Addr(), "app", "", "")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

func okBytes(t *testing.T, capabilities uint32, o fakeserver.OK) []byte {
	t.Helper()
	c := newRawClient(t, fakeserver.Options{
		Capabilities: capabilities | basic,
		Handler:      func(c *fakeserver.Conn, _ fakeserver.Command) error { return c.OK(o) },
	})
	c.write(0, []byte{mysql.COM_PING})
	return c.read()
}

// basic is what every client has since MySQL 5.7.
const basic uint32 = mysql.CLIENT_PROTOCOL_41 | mysql.CLIENT_SECURE_CONNECTION | mysql.CLIENT_PLUGIN_AUTH

// rawClient writes and reads single packets by hand. It is logged in as app without a password.
type rawClient struct {
	t    *testing.T
	conn net.Conn
}

func newRawClient(t *testing.T, o fakeserver.Options) *rawClient {
	t.Helper()
	near, far := net.Pipe()
	t.Cleanup(func() { near.Close() })
	s := fakeserver.New(o)
	go s.Serve(far)
	c := &rawClient{t, near}
	c.read()
	login := binary.LittleEndian.AppendUint32(nil, o.Capabilities|basic)
	login = append(append(login, 0, 0, 0, 1, 45), make([]byte, 23)...)
	c.write(1, append(login, "app\x00\x00caching_sha2_password\x00"...))
	if got := c.read(); got[0] != 0 {
		t.Fatalf("login: % x", got)
	}
	return c
}

func (c *rawClient) read() []byte {
	c.t.Helper()
	header := make([]byte, 4)
	if _, err := io.ReadFull(c.conn, header); err != nil {
		c.t.Fatal(err)
	}
	payload := make([]byte, int(header[0])|int(header[1])<<8|int(header[2])<<16)
	if _, err := io.ReadFull(c.conn, payload); err != nil {
		c.t.Fatal(err)
	}
	return payload
}

func (c *rawClient) write(sequence byte, payload []byte) {
	c.t.Helper()
	if _, err := c.conn.Write(append([]byte{byte(len(payload)), byte(len(payload) >> 8), 0, sequence}, payload...)); err != nil {
		c.t.Fatal(err)
	}
}

func waitForConns(t *testing.T, s *fakeserver.Server, n int) {
	t.Helper()
	for len(s.Conns()) != n {
		select {
		case <-t.Context().Done():
			t.Fatalf("%d connections, want %d", len(s.Conns()), n)
		case <-time.After(time.Millisecond):
		}
	}
}
