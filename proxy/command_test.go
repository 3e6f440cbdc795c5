package proxy

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/go-mysql-org/go-mysql/mysql"

	"github.com/stickyproxy/stickyproxy/internal/mysqltest/fakeserver"
	"github.com/stickyproxy/stickyproxy/mysqlwire"
)

// A command of any size reaches the server as it is, and its answer has the right numbers.
func TestLargeCommands(t *testing.T) {
	for _, size := range []int{maxWhole - 10, maxWhole - 4, maxWhole, 3 << 20, mysqlwire.MaxFrame - 1, mysqlwire.MaxFrame, mysqlwire.MaxFrame + 1, 2 * mysqlwire.MaxFrame} {
		for _, answer := range []string{"OK", "ERR"} {
			t.Run(fmt.Sprint(size, answer), func(t *testing.T) {
				r := startRig(t, rigOptions{replicas: 1})
				sql := "INSERT INTO t VALUES ('" + strings.Repeat("x", size-len("INSERT INTO t VALUES ('')")-1) + "')"
				r.primary.on(func(c *fakeserver.Conn, cmd fakeserver.Command) error {
					if len(cmd.SQL) > 100 && cmd.SQL != sql {
						t.Errorf("the server got %d other bytes", len(cmd.SQL))
					}
					if len(cmd.SQL) > 100 && answer == "ERR" {
						return c.Error(mysql.ER_DUP_ENTRY, "23000", "no")
					}
					return errDefault
				})
				c := r.connect()
				if answer == "ERR" {
					c.fails(sql, mysql.ER_DUP_ENTRY)
				} else {
					c.ok(sql)
				}
				c.ok("DELETE FROM t")
			})
		}
	}
}

// Commands that a client sends in one piece, or byte by byte, are told apart.
func TestPipelinedCommands(t *testing.T) {
	r := startRig(t, rigOptions{replicas: 1})
	c := r.connect()
	id := c.prepare("SELECT a FROM t")
	b := mysqlwire.AppendPacket(nil, 0, append([]byte{mysql.COM_STMT_CLOSE}, statementBody(id, "")...))
	b = append(b, query("SELECT 1")...)
	b = append(b, query("SELECT 2")...)
	for _, chunk := range []int{len(b), 1} {
		for rest := b; len(rest) > 0; rest = rest[min(chunk, len(rest)):] {
			c.write(rest[:min(chunk, len(rest))])
		}
		for range 2 {
			c.seq = 1
			if got := c.response(mysql.COM_QUERY); got.err != nil || len(got.rows) != 1 {
				t.Fatal(got)
			}
		}
	}
}

// What is no command packet ends the connection with an error.
func TestNoCommand(t *testing.T) {
	for _, tt := range []struct {
		name  string
		bytes []byte
	}{
		{"a wrong number", []byte{1, 0, 0, 5, mysql.COM_PING}},
		{"an empty packet", []byte{0, 0, 0, 0, 0}},
	} {
		r := startRig(t, rigOptions{replicas: 1})
		c := r.connect()
		c.write(tt.bytes)
		c.seq = 1
		c.ended(mysql.ER_NET_PACKETS_OUT_OF_ORDER)
	}
}

// A large command that gets nowhere is not taken for several: its rest is read, or the connection ends.
func TestRestOfRefusedCommands(t *testing.T) {
	rest := string(bytes.Repeat(query("DROP TABLE t"), 2<<20/len(query("DROP TABLE t"))))
	for _, code := range []byte{mysql.COM_PROCESS_KILL, mysql.COM_RESET_CONNECTION, mysql.COM_CHANGE_USER, mysql.COM_STMT_CLOSE,
		mysql.COM_STMT_RESET, mysql.COM_STMT_FETCH, mysql.COM_STMT_EXECUTE, mysql.COM_STMT_SEND_LONG_DATA, mysql.COM_BINLOG_DUMP, 0xFE} {
		t.Run(fmt.Sprint(code), func(t *testing.T) {
			r := startRig(t, rigOptions{replicas: 1})
			c := r.connect()
			id := c.prepare("SELECT a FROM t")
			if code == mysql.COM_STMT_CLOSE {
				c.send(code, statementBody(id, rest))
				c.from(r.replicas[0], "SELECT 1")
			} else if _, err := c.nc.Write(mysqlwire.AppendPacket(nil, 0, append([]byte{code}, "\xff\x00\x00\x00"+rest...))); err == nil {
				_, _ = c.nc.Write(query("SELECT 1"))
			}
			c.close()
			r.stop()
			for _, s := range r.all() {
				for _, sent := range s.sent() {
					if strings.Contains(sent, "DROP") {
						t.Fatalf("%s was sent %s", s.name, sent)
					}
				}
			}
		})
	}
}

// A small command in a large packet is what it is: the server judges what follows.
func TestSmallCommandsInLargePackets(t *testing.T) {
	rest := strings.Repeat("\x00", 2<<20)
	for _, code := range []byte{mysql.COM_SET_OPTION, mysql.COM_PING, mysql.COM_INIT_DB, mysql.COM_DEBUG} {
		r := startRig(t, rigOptions{replicas: 1})
		c := r.connect()
		c.send(code, rest)
		if p, err := c.packet(); err != nil || p[0] == 0xFF {
			t.Errorf("command %d: % x, %v", code, p, err)
		}
		c.ok("SET @a = 1")
	}
}

// An empty text, and one in attributes that make no sense, are answered.
func TestOddQueries(t *testing.T) {
	r := startRig(t, rigOptions{replicas: 1})
	c := r.connectAs(usualClient|mysqlwire.CapQueryAttributes, "", "")
	for _, body := range []string{"", "\x01", "\x00\x02SELECT 1", "\x01\x01\x00"} {
		if got := c.ask(mysql.COM_QUERY, body); got.err == nil || got.err.Code != mysql.ER_MALFORMED_PACKET {
			t.Errorf("%q: got %v", body, got)
		}
	}
	c.from(r.replicas[0], "SELECT 1")
	c.ok("")
}
