package integration

import (
	"bytes"
	"errors"
	"io"
	"os"
	"syscall"
	"testing"
	"time"

	gomysql "github.com/go-mysql-org/go-mysql/mysql"

	"github.com/stickyproxy/stickyproxy/internal/mysqltest"
	"github.com/stickyproxy/stickyproxy/internal/mysqltest/clustertest"
	"github.com/stickyproxy/stickyproxy/mysqlwire"
)

// Whatever somebody sends instead of a login, the connection ends, and others are served.
func TestGarbage(t *testing.T) {
	clustertest.EachEngine(t, func(t *testing.T, e mysqltest.Engine) {
		p := transactionRig(t, e, func(s *setup) { s.proxy.ConnectTimeout = 4 * time.Second })
		good := p.connect()
		rows := []struct {
			name string
			send []byte
		}{
			{"HTTP", []byte("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")},
			{"zeros", make([]byte, 1000)},
			{"0xFF", bytes.Repeat([]byte{0xFF}, 100_000)},
			{"16 MiB announced", []byte{0xFF, 0xFF, 0xFF, 1, 0x8D, 0xA6}},
			{"half a header", []byte{1, 0}},
			{"half a login", []byte{200, 0, 0, 1, 0x8D, 0xA6, 0x0F, 0x20}},
			{"empty packet", []byte{0, 0, 0, 1}},
			{"silence", nil},
		}
		var clients []*raw
		for _, row := range rows {
			c := dialRaw(t, p.addr)
			clients = append(clients, c)
			if _, err := c.read(); err != nil {
				t.Fatalf("greeting: %v", err)
			}
			if _, err := c.conn.Write(row.send); err != nil {
				t.Fatal(err)
			}
		}
		for i, c := range clients {
			if _, err := io.Copy(io.Discard, c.conn); errors.Is(err, os.ErrDeadlineExceeded) {
				t.Errorf("%s: the connection goes on", rows[i].name)
			}
		}
		good.wants(readT, "1", true)
	})
}

// Garbage after the login ends that connection only.
func TestGarbageAfterLogin(t *testing.T) {
	clustertest.EachEngine(t, func(t *testing.T, e mysqltest.Engine) {
		p := transactionRig(t, e)
		good := p.connect()
		for _, send := range [][]byte{
			{1, 0, 0, 7, gomysql.COM_PING},          // out of order
			{0, 0, 0, 0},                            // no command
			{255, 255, 255, 0, gomysql.COM_QUERY},   // and then nothing
			{1, 0, 0, 0, gomysql.COM_STMT_EXECUTE},  // no id
			{3, 0, 0, 0, gomysql.COM_STMT_CLOSE, 1}, // half an id
			bytes.Repeat([]byte{0xFF}, 100_000),
		} {
			c := p.raw(newCaps)
			_, err := c.conn.Write(send)
			if err == nil {
				err = c.closeWrite()
			}
			if err == nil { // else the proxy has ended it already
				_, err = io.Copy(io.Discard, c.conn)
			}
			if errors.Is(err, os.ErrDeadlineExceeded) {
				t.Errorf("%v: the connection goes on", send[:min(len(send), 8)])
			}
		}
		c := p.raw(newCaps)
		for _, code := range []byte{0x1D, 0x40, 0xFA, 0xFE, gomysql.COM_BINLOG_DUMP, gomysql.COM_REGISTER_SLAVE, gomysql.COM_SLEEP} {
			if got := c.command(code, 1, 2, 3, 4); got[0][0] != 0xFF {
				t.Errorf("command %#x: %q, want an error", code, got)
			}
		}
		if got, err := c.values(c.query(readT)); err != nil || len(got) != 1 || got[0] != "1" {
			t.Errorf("afterwards: %v, %v", got, err)
		}
		if e == mysqltest.MariaDB {
			p.forget(1) // COM_STMT_BULK_EXECUTE, of which the primary says what is wrong
		}
		good.wants(readT, "1", true)
	})
}

// A client that goes away in the middle of a result, of a query or of a transaction leaves nothing behind.
func TestClientGoesAway(t *testing.T) {
	clustertest.EachEngine(t, func(t *testing.T, e mysqltest.Engine) {
		p := bigRig(t, e)
		for _, leave := range []func(*raw){
			func(c *raw) { // a result from a replica
				c.send(gomysql.COM_QUERY, []byte(bigResult)...)
				if _, err := c.read(); err != nil {
					t.Fatal(err)
				}
			},
			func(c *raw) { // and from the primary
				c.query("BEGIN")
				c.query("UPDATE t SET v = 9")
				c.send(gomysql.COM_QUERY, []byte(bigResult)...)
				if _, err := c.read(); err != nil {
					t.Fatal(err)
				}
			},
			func(c *raw) { c.query("BEGIN"); c.query("UPDATE t SET v = 9") },
			func(c *raw) { c.query("LOCK TABLES t WRITE") },
			func(c *raw) { c.query("SELECT GET_LOCK('mine', 1)") },
			func(c *raw) { // half a statement
				if _, err := c.conn.Write([]byte{100, 0, 0, 0, gomysql.COM_QUERY, 'S', 'E'}); err != nil {
					t.Fatal(err)
				}
			},
			func(c *raw) { // half of a very large one
				if _, err := c.conn.Write(append([]byte{0xFF, 0xFF, 0xFF, 0, gomysql.COM_QUERY}, make([]byte, 3<<20)...)); err != nil {
					t.Fatal(err)
				}
			},
		} {
			c := p.raw(newCaps)
			leave(c)
			if err := c.conn.Close(); err != nil {
				t.Fatal(err)
			}
		}
		for _, s := range p.cluster.Servers() {
			waitNobody(t, p, s)
		}
		c := p.raw(newCaps)
		if got, err := c.values(c.query(readT)); err != nil || len(got) != 1 || got[0] != "1" {
			t.Errorf("afterwards: %v, %v", got, err)
		}
		if got := c.query("UPDATE t SET v = 2"); got[0][0] != 0 {
			t.Errorf("afterwards: %q", got)
		}
	})
}

// A client without a right to be here is told so.
func TestRefusedLogin(t *testing.T) {
	clustertest.EachEngine(t, func(t *testing.T, e mysqltest.Engine) {
		p := transactionRig(t, e)
		for _, row := range []struct {
			name     string
			account  mysqltest.Account
			schema   string
			want     uint16
			announce mysqlwire.Capability
		}{
			{"wrong password", mysqltest.Account{User: p.account.User, Password: "wrong"}, "app", 1045, newCaps},
			{"no password", mysqltest.Account{User: p.account.User}, "app", 1045, plainCaps},
			{"unknown user", mysqltest.Account{User: "nobody", Password: "x"}, "", 1045, newCaps},
			{"unknown schema", p.account, "nowhere", 1044, newCaps},
		} {
			for range 2 {
				var refused *mysqlwire.Error
				if err := dialRaw(t, p.addr).login(row.account, row.announce, row.schema); !errors.As(err, &refused) || refused.Code != row.want {
					t.Errorf("%s: %v, want error %d", row.name, err, row.want)
				}
			}
		}
		p.connect().wants(readT, "1", true)
	})
}

// isReset tells that the other side closed a connection with bytes in it that nobody had read.
func isReset(err error) bool {
	return errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE)
}
