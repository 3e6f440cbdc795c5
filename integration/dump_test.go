package integration

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"strconv"
	"strings"
	"testing"

	gomysql "github.com/go-mysql-org/go-mysql/mysql"

	"github.com/stickyproxy/stickyproxy/internal/mysqltest"
	"github.com/stickyproxy/stickyproxy/internal/mysqltest/clustertest"
	"github.com/stickyproxy/stickyproxy/mysqlwire"
)

// dumpRig is a rig whose clients may read the binlog.
func dumpRig(t *testing.T, e mysqltest.Engine) *rig {
	t.Helper()
	p := sharedRig(t, e)
	status := "REPLICATION CLIENT"
	if e == mysqltest.MariaDB {
		status = "BINLOG MONITOR"
	}
	p.primary("CREATE TABLE app.d (v LONGTEXT); GRANT REPLICATION SLAVE, " + status + " ON *.* TO app")
	t.Cleanup(func() {
		if _, err := p.cluster.Primary.Exec(context.Background(), "DROP TABLE app.d; REVOKE REPLICATION SLAVE, "+status+" ON *.* FROM app"); err != nil {
			t.Error(err)
		}
	})
	return p
}

// primary asks the primary itself, as root.
func (p *rig) primary(statement string) string {
	p.t.Helper()
	out, err := p.cluster.Primary.Exec(p.ctx, statement)
	if err != nil {
		p.t.Fatalf("%s: %v", statement, err)
	}
	return strings.TrimSpace(out)
}

// position is where the primary's binlog ends now.
type position struct {
	file   string
	offset uint32
	gtids  string
}

func (p *rig) position() position {
	p.t.Helper()
	show, gtids := "SHOW BINARY LOG STATUS", "SELECT REPLACE(@@global.gtid_executed, '\\n', '')"
	if p.cluster.Engine() == mysqltest.MariaDB {
		show, gtids = "SHOW BINLOG STATUS", "SELECT @@global.gtid_binlog_pos"
	}
	fields := strings.Fields(p.primary(show))
	offset, err := strconv.ParseUint(fields[1], 10, 32)
	if err != nil {
		p.t.Fatal(err)
	}
	return position{fields[0], uint32(offset), p.primary(gtids)}
}

// replica logs in, as what it is, and registers with this server id.
func (p *rig) replica(id uint32, caps mysqlwire.Capability) *raw {
	p.t.Helper()
	c := p.raw(newCaps | caps)
	if caps != 0 {
		c.compress()
	}
	for _, statement := range []string{
		"SET @master_binlog_checksum = 'NONE', @mariadb_slave_capability = 4, @master_heartbeat_period = 1000000000",
		fmt.Sprintf("SET @slave_uuid = '%08d-0000-0000-0000-000000000000'", id),
	} {
		if packets := c.query(statement); packets[0][0] != 0 {
			p.t.Fatalf("%s: %q", statement, packets)
		}
	}
	b := binary.LittleEndian.AppendUint32(nil, id)
	b = append(b, make([]byte, 3+2+4+4)...) // no host, user, password, port, rank; the source finds itself
	if packets := c.command(gomysql.COM_REGISTER_SLAVE, b...); packets[0][0] != 0 {
		p.t.Fatalf("register: %q", packets)
	}
	return c
}

// dump asks for the binlog from a file and an offset on.
// https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_com_binlog_dump.html
func (c *raw) dump(id uint32, at position) {
	b := binary.LittleEndian.AppendUint32(nil, at.offset)
	b = binary.LittleEndian.AppendUint32(append(b, 0, 0), id)
	c.send(gomysql.COM_BINLOG_DUMP, append(b, at.file...)...)
}

// dumpGTIDs asks for what is not among the GTIDs of a position.
// https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_com_binlog_dump_gtid.html
// https://mariadb.com/kb/en/com_binlog_dump/
func (c *raw) dumpGTIDs(e mysqltest.Engine, id uint32, at position) {
	c.t.Helper()
	if e == mysqltest.MariaDB {
		c.query("SET @slave_connect_state = '" + at.gtids + "'")
		c.dump(id, position{offset: 4})
		return
	}
	set, err := gomysql.ParseMysqlGTIDSet(at.gtids)
	if err != nil {
		c.t.Fatal(err)
	}
	gtids := set.Encode()
	b := binary.LittleEndian.AppendUint32([]byte{4, 0}, id) // flag 4: GTIDs follow
	b = binary.LittleEndian.AppendUint64(append(b, 0, 0, 0, 0), 4)
	b = binary.LittleEndian.AppendUint32(b, uint32(len(gtids)))
	c.send(gomysql.COM_BINLOG_DUMP_GTID, append(b, gtids...)...)
}

// wantEvent reads events until one holds the value.
func (c *raw) wantEvent(value string) {
	c.t.Helper()
	for {
		p, err := c.read()
		if err == nil && p[0] != 0 {
			err = mysqlwire.ParseError(p)
		}
		if err != nil {
			c.t.Fatalf("waiting for %.20s: %v", value, err)
		}
		if bytes.Contains(p, []byte(value)) {
			return
		}
	}
}

// wantEnd reads until the connection ends.
func (c *raw) wantEnd() {
	c.t.Helper()
	for {
		if _, err := c.read(); err != nil {
			if isTimeout(err) {
				c.t.Errorf("the dump goes on: %v", err)
			}
			return
		}
	}
}

func isTimeout(err error) bool {
	timeout, ok := err.(interface{ Timeout() bool })
	return ok && timeout.Timeout()
}

// Programs that capture changes do so through the proxy, from a position and from GTIDs, with and without compression,
// also events of more than 16 MiB. A proxy that goes ends that at once.
func TestDump(t *testing.T) {
	clustertest.EachEngine(t, func(t *testing.T, e mysqltest.Engine) {
		p := dumpRig(t, e)
		writer := p.connect("maxAllowedPacket=0")
		start := p.position()
		large := big(17 << 20)
		writer.exec("INSERT INTO d VALUES ('before')")
		var dumps []*raw
		for i, caps := range []mysqlwire.Capability{0, mysqlwire.CapZstd, 0, mysqlwire.CapCompress} {
			id := uint32(4711 + i)
			c := p.replica(id, caps)
			if i < 2 {
				c.dump(id, start)
			} else {
				c.dumpGTIDs(e, id, start)
			}
			c.wantEvent("before")
			dumps = append(dumps, c)
		}
		writer.exec("INSERT INTO d VALUES ('after')", "INSERT INTO d VALUES ('"+large+"')", "INSERT INTO d VALUES ('at last')")
		for _, c := range dumps {
			for _, value := range []string{"after", large, "at last"} {
				c.wantEvent(value)
			}
		}
		_ = writer.Close()
		if err := p.proxy.Shutdown(p.ctx); err != nil {
			t.Error(err)
		}
		for _, c := range dumps {
			c.wantEnd()
		}
	})
}

// What is wrong with a dump is the server's own error; one that is killed,
// or whose client goes, leaves nothing behind on the primary.
func TestDumpEnds(t *testing.T) {
	clustertest.EachEngine(t, func(t *testing.T, e mysqltest.Engine) {
		p := dumpRig(t, e)
		bad := p.replica(4711, 0)
		bad.dump(4711, position{file: "nothing.000999", offset: 4})
		for {
			packet, err := bad.read()
			if err != nil {
				t.Fatal(err)
			}
			if packet[0] == 0xFF {
				if refused := mysqlwire.ParseError(packet); refused.Code != gomysql.ER_MASTER_FATAL_ERROR_READING_BINLOG {
					t.Errorf("got %v", refused)
				}
				break
			}
		}
		bad.wantEnd()
		start := p.position()
		p.connect().exec("INSERT INTO d VALUES ('one')")
		killed, left := p.replica(4712, 0), p.replica(4713, 0)
		for i, c := range []*raw{killed, left} {
			c.dump(4712+uint32(i), start)
			c.wantEvent("one")
		}
		p.connect().exec("KILL " + p.primary("SELECT MIN(id) FROM information_schema.processlist WHERE user = 'app' AND command LIKE 'Binlog Dump%'"))
		killed.wantEnd()
		_ = left.conn.Close()
		for p.primary("SELECT COUNT(*) FROM information_schema.processlist WHERE user = 'app' AND command LIKE 'Binlog Dump%'") != "0" {
			if p.ctx.Err() != nil {
				t.Fatal("a dump is left on the primary")
			}
		}
	})
}
