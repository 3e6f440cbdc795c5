package integration

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"runtime"
	"strings"
	"testing"

	gomysql "github.com/go-mysql-org/go-mysql/mysql"
	"github.com/go-sql-driver/mysql"

	"github.com/stickyproxy/stickyproxy/internal/mysqltest"
	"github.com/stickyproxy/stickyproxy/internal/mysqltest/clustertest"
	"github.com/stickyproxy/stickyproxy/mysqlwire"
)

// A client that reads 1 GiB slower than the server sends costs the proxy no memory.
func TestLargeResultInBoundedMemory(t *testing.T) {
	const (
		query = bigResult + " JOIN (SELECT 1 UNION ALL SELECT 2 UNION ALL SELECT 3 UNION ALL SELECT 4) AS four"
		row   = mysqlwire.HeaderSize + 4 + 1<<20 // frame header, length, text
		limit = 16 << 20
	)
	clustertest.EachEngine(t, func(t *testing.T, e mysqltest.Engine) {
		p := bigRig(t, e)
		c := p.raw(newCaps)
		c.send(gomysql.COM_QUERY, []byte(query)...)
		for range 2 { // column count, definition
			if _, err := c.read(); err != nil {
				t.Fatal(err)
			}
		}
		before := heap()
		b := make([]byte, 64<<10)
		for read, next := 0, 0; read < 1024*row; {
			n, err := c.conn.Read(b[:min(len(b), 1024*row-read)])
			if err != nil {
				t.Fatalf("after %d bytes: %v", read, err)
			}
			if read += n; read < next {
				continue
			}
			next += 16 << 20
			if now := heap(); now > before+limit { // collecting takes time, in which the server would send more
				t.Fatalf("the heap grew from %d to %d bytes after %d of the result", before, now, read)
			}
		}
		if end, _, err := mysqlwire.ReadPacket(c.conn, 1<<10); err != nil || end[0] != 0xFE {
			t.Fatalf("the end: %q, %v", end, err)
		}
		if where := p.last(); !where.replica {
			t.Errorf("it came from %v", where)
		}
	})
}

// heap is how many bytes are in use after a collection.
func heap() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// Packets around the largest frame and twice that pass unchanged, in both directions and by both protocols.
func TestLargePackets(t *testing.T) {
	const frame = mysqlwire.MaxFrame
	clustertest.EachEngine(t, func(t *testing.T, e mysqltest.Engine) {
		p := transactionRig(t, e)
		c := p.connect("maxAllowedPacket=134217728")
		c.exec("CREATE TEMPORARY TABLE b (id INT PRIMARY KEY, v LONGTEXT CHARACTER SET latin1)") // replicas do without these texts
		const insert = "REPLACE INTO b VALUES (1, '%s')"
		overhead := 1 + len(fmt.Sprintf(insert, "")) // of the packet: command and statement
		for _, size := range []int{frame, 2*frame + 1} {
			text := strings.Repeat("0123456789", size/10+1)[:size-overhead]
			c.exec(fmt.Sprintf(insert, text))
			wantDigest(c, text)
		}
		store := c.prepare("REPLACE INTO b VALUES (1, ?)")
		for _, size := range []int{frame - 1, 2 * frame} {
			text := strings.Repeat("9876543210", size/10+1)[:size]
			if _, err := store.Stmt.ExecContext(p.ctx, text); err != nil {
				t.Fatal(err)
			}
			p.forget(1)
			wantDigest(c, text)
			if got, _ := c.text("SELECT v FROM b"); got != text {
				t.Errorf("a text of %d bytes came back as another one of %d", len(text), len(got))
			}
		}
		for _, size := range []int{frame - 5, frame - 4, frame - 9, 2*frame - 9} { // the packet has the length of the text too
			got, where := p.connect("maxAllowedPacket=134217728").text(fmt.Sprintf("SELECT REPEAT('y', %d)", size))
			if len(got) != size || strings.Trim(got, "y") != "" || !where.replica {
				t.Errorf("a row of %d bytes came as %d from %v", size, len(got), where)
			}
		}
	})
}

// wantDigest lets the server compare what arrived.
func wantDigest(c *client, text string) {
	c.t.Helper()
	sum := sha256.Sum256([]byte(text))
	got, _ := c.text("SELECT SHA2(v, 256) FROM b")
	if got != hex.EncodeToString(sum[:]) {
		c.t.Errorf("a text of %d bytes arrived as another one", len(text))
	}
}

// A statement larger than what a server takes is answered as the server does it.
func TestPacketTooLarge(t *testing.T) {
	clustertest.EachEngine(t, func(t *testing.T, e mysqltest.Engine) {
		p := sharedRig(t, e)
		if _, err := p.cluster.Primary.Exec(p.ctx, "SET GLOBAL max_allowed_packet = 4194304"); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if _, err := p.cluster.Primary.Exec(context.Background(), "SET GLOBAL max_allowed_packet = 1073741824"); err != nil {
				t.Error(err)
			}
		})
		for _, size := range []int{5 << 20, 20 << 20} {
			c := p.raw(newCaps)
			c.seq = 0
			err := c.write(append([]byte{gomysql.COM_QUERY}, "SELECT '"+strings.Repeat("x", size)+"'"...))
			packets, readErr := c.response(gomysql.COM_QUERY)
			if readErr == nil && (packets[0][0] != 0xFF || mysqlwire.ParseError(packets[0]).Code != 1153) {
				t.Errorf("%d bytes: %.60q, want error 1153", size, packets[0])
			}
			if err == nil && readErr != nil {
				t.Logf("%d bytes: %v", size, readErr) // the reset overtook the error, as it does without a proxy
			}
		}
	})
}

// LOAD DATA LOCAL INFILE: the file is the client's, and its size does not matter.
func TestLocalInfile(t *testing.T) {
	clustertest.EachEngine(t, func(t *testing.T, e mysqltest.Engine) {
		p := transactionRig(t, e)
		var file bytes.Buffer
		const lines = 60_000
		for i := range lines {
			fmt.Fprintf(&file, "%d\tline %d of a file that has some megabytes\n", i, i)
		}
		mysql.RegisterReaderHandler("lines", func() io.Reader { return bytes.NewReader(file.Bytes()) })
		defer mysql.DeregisterReaderHandler("lines")
		c := p.connect()
		c.exec("CREATE TABLE l (id INT PRIMARY KEY, v VARCHAR(100))")
		result, err := c.ExecContext(p.ctx, "LOAD DATA LOCAL INFILE 'Reader::lines' INTO TABLE l")
		if err != nil {
			t.Fatal(err)
		}
		if n, err := result.RowsAffected(); err != nil || n != lines {
			t.Errorf("%d lines, %v", n, err)
		}
		p.forget(1)
		c.wants("SELECT CONCAT(COUNT(*), ' ', SUM(id)) FROM l", fmt.Sprintf("%d %d", lines, lines*(lines-1)/2), false)
		if _, err := c.ExecContext(p.ctx, "LOAD DATA LOCAL INFILE 'Reader::nobody' INTO TABLE l"); err == nil {
			t.Error("a file that the client does not give was loaded")
		}
		p.forget(1)
		c.wants("SELECT COUNT(*) FROM l", fmt.Sprint(lines), false)

		for _, caps := range []mysqlwire.Capability{newCaps, plainCaps} {
			r := p.raw(caps)
			r.file = []byte("-1\tone\n-2\ttwo\n")
			got := r.query("SELECT v FROM l WHERE id = 1; LOAD DATA LOCAL INFILE 'x' REPLACE INTO TABLE l; SELECT v FROM l WHERE id = -2")
			if last := lastRow(got); string(last) != "\x03two" {
				t.Errorf("the last of several results: %q", last)
			}
		}
	})
}
