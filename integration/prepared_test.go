package integration

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"testing"

	gomysql "github.com/go-mysql-org/go-mysql/mysql"

	"github.com/stickyproxy/stickyproxy/internal/mysqltest"
	"github.com/stickyproxy/stickyproxy/internal/mysqltest/clustertest"
	"github.com/stickyproxy/stickyproxy/mysqlwire"
)

const comResetConnection = gomysql.COM_RESET_CONNECTION

// A statement that was prepared on one server is executed on the other, in both directions, with NULLs and all.
func TestPreparedMoves(t *testing.T) {
	clustertest.EachEngine(t, func(t *testing.T, e mysqltest.Engine) {
		p := transactionRig(t, e)
		c := p.connect()
		const query = "SELECT CONCAT(COALESCE(?, 'null'), v) FROM t WHERE id = ?"
		onReplica := c.prepare(query)
		if got, where := onReplica.query(nil, 1); got != "null1" || !where.replica {
			t.Errorf("got %s from %v", got, where)
		}
		p.late()
		c.exec("UPDATE t SET v = 2 WHERE id = 1")
		onPrimary := c.prepare(query)
		for _, st := range []*prepared{onReplica, onPrimary} {
			if got, where := st.query(nil, 1); got != "null2" || where.replica {
				t.Errorf("pinned: got %s from %v, want null2 from the primary", got, where)
			}
		}
		p.lag(0)
		p.waitFresh()
		for _, st := range []*prepared{onReplica, onPrimary} {
			if got, where := st.query(nil, 1); got != "null2" || !where.replica {
				t.Errorf("released: got %s from %v, want null2 from a replica", got, where)
			}
			if got, where := st.query(5, 1); got != "52" || !where.replica {
				t.Errorf("another type: got %s from %v", got, where)
			}
		}
	})
}

// Many statements: each server counts its ids itself, and closed ones are gone.
func TestManyPrepared(t *testing.T) {
	clustertest.EachEngine(t, func(t *testing.T, e mysqltest.Engine) {
		p := transactionRig(t, e)
		c := p.connect()
		var statements []*prepared
		for i := range 100 {
			if i == 50 {
				c.exec("BEGIN") // from here on they are prepared on the primary
			}
			statements = append(statements, c.prepare(fmt.Sprintf("SELECT %d + v FROM t WHERE id = ?", i)))
		}
		c.exec("COMMIT")
		for i := 99; i >= 0; i-- {
			if got, where := statements[i].query(1); got != fmt.Sprint(i+1) || !where.replica {
				t.Fatalf("statement %d: got %s from %v", i, got, where)
			}
			if i%2 == 0 {
				statements[i].close()
			}
		}
		c.exec("BEGIN")
		for i := 1; i < 100; i += 2 {
			if got, where := statements[i].query(1); got != fmt.Sprint(i+1) || where.replica {
				t.Fatalf("statement %d in a transaction: got %s from %v", i, got, where)
			}
		}
		c.exec("COMMIT")
	})
}

// rawStatement is a prepared statement of a raw client.
type rawStatement struct {
	c  *raw
	id []byte
}

func (c *raw) prepare(sql string) rawStatement {
	c.t.Helper()
	p := c.command(gomysql.COM_STMT_PREPARE, []byte(sql)...)
	if p[0][0] != 0 {
		c.t.Fatalf("prepare %s: %v", sql, mysqlwire.ParseError(p[0]))
	}
	return rawStatement{c, bytes.Clone(p[0][1:5])}
}

// execute sends parameters as they are: NULL bitmap, whether types follow, types, values.
func (s rawStatement) execute(cursor byte, parameters ...byte) [][]byte {
	s.c.t.Helper()
	p := append(append([]byte(nil), s.id...), cursor, 1, 0, 0, 0)
	return s.c.command(gomysql.COM_STMT_EXECUTE, append(p, parameters...)...)
}

// longlong is a BIGINT parameter with its type, or without.
func longlong(typed bool, v uint64) []byte {
	b := []byte{0, 0}
	if typed {
		b = []byte{0, 1, gomysql.MYSQL_TYPE_LONGLONG, 0}
	}
	return binary.LittleEndian.AppendUint64(b, v)
}

// lastRow is the last row of a response; an ERR is in its place.
func lastRow(packets [][]byte) []byte {
	if p := packets[len(packets)-1]; p[0] == 0xFF || len(packets) == 1 {
		return p
	}
	return packets[len(packets)-2]
}

// expectInt reads the only BIGINT of a binary result.
func expectInt(t testing.TB, packets [][]byte, want uint64) {
	t.Helper()
	row := lastRow(packets)
	if len(row) != 10 || binary.LittleEndian.Uint64(row[2:]) != want {
		t.Fatalf("got row %q, want %d", row, want)
	}
}

// Types that were sent to one server are known to the other when it needs them.
func TestParameterTypesSentOnce(t *testing.T) {
	clustertest.EachEngine(t, func(t *testing.T, e mysqltest.Engine) {
		p := transactionRig(t, e)
		for _, caps := range []mysqlwire.Capability{newCaps, plainCaps, newCaps | mysqlwire.CapQueryAttributes} {
			c := p.raw(caps)
			attributes := func(b []byte) []byte {
				if !c.caps.Has(mysqlwire.CapQueryAttributes) {
					return b
				}
				if b[1] == 1 { // a type has a name, which is empty
					b = append(append(bytes.Clone(b[:4]), 0), b[4:]...)
				}
				return append([]byte{1}, b...)
			}
			query := func(sql string) {
				b := []byte(sql)
				if c.caps.Has(mysqlwire.CapQueryAttributes) {
					b = append([]byte{0, 1}, b...)
				}
				if got := c.command(gomysql.COM_QUERY, b...); got[0][0] != 0 {
					t.Fatalf("%s: %q", sql, got)
				}
				p.forget(1)
			}
			st := c.prepare("SELECT CAST(? + 1 AS SIGNED)")
			p.forget(1)
			expectInt(t, st.execute(0, attributes(longlong(true, 1))...), 2)
			if where := p.next(); !where.replica {
				t.Fatalf("ran on %v", where)
			}
			query("BEGIN")
			expectInt(t, st.execute(0, attributes(longlong(false, 2))...), 3)
			if where := p.next(); where.replica {
				t.Fatalf("ran on %v", where)
			}
			expectInt(t, st.execute(0, attributes(longlong(true, 3))...), 4)
			query("COMMIT")
			p.forget(1)
			expectInt(t, st.execute(0, attributes(longlong(false, 4))...), 5)
			if where := p.next(); !where.replica {
				t.Fatalf("ran on %v", where)
			}
		}
	})
}

// A cursor is fetched where it was opened, whatever runs in between.
func TestCursor(t *testing.T) {
	clustertest.EachEngine(t, func(t *testing.T, e mysqltest.Engine) {
		p := transactionRig(t, e)
		p.do("CREATE TABLE n (id INT PRIMARY KEY)", "INSERT INTO n VALUES (1), (2), (3), (4), (5)")
		p.waitFresh()
		for _, caps := range []mysqlwire.Capability{newCaps, plainCaps} {
			c := p.raw(caps)
			for _, before := range []string{"DO 0", "BEGIN"} {
				c.query(before)
				st := c.prepare("SELECT id FROM n ORDER BY id")
				const readOnlyCursor = 1
				opened := st.execute(readOnlyCursor)
				if p := opened[len(opened)-1]; p[0] != 0xFE {
					t.Fatalf("open: %q", opened)
				}
				var ids []byte
				for range 3 {
					rows := c.command(gomysql.COM_STMT_FETCH, append(bytes.Clone(st.id), 2, 0, 0, 0)...)
					for _, row := range rows[:len(rows)-1] {
						ids = append(ids, row[2])
					}
					if got := c.query("SELECT v FROM t"); got[0][0] == 0xFF {
						t.Fatalf("in between: %q", got)
					}
				}
				if !bytes.Equal(ids, []byte{1, 2, 3, 4, 5}) {
					t.Errorf("fetched %v after %s", ids, before)
				}
				if got := c.command(gomysql.COM_STMT_RESET, st.id...); got[0][0] != 0 {
					t.Errorf("reset: %q", got)
				}
				c.send(gomysql.COM_STMT_CLOSE, st.id...)
				c.query("COMMIT")
			}
		}
	})
}

// Parameters in pieces arrive whole, for the first execution only.
func TestLongData(t *testing.T) {
	clustertest.EachEngine(t, func(t *testing.T, e mysqltest.Engine) {
		p := transactionRig(t, e)
		c := p.raw(newCaps)
		st := c.prepare("SELECT CAST(LENGTH(?) AS SIGNED)")
		piece := bytes.Repeat([]byte("x"), 100_000)
		for range 3 {
			c.send(gomysql.COM_STMT_SEND_LONG_DATA, append(append(bytes.Clone(st.id), 0, 0), piece...)...)
		}
		blob := []byte{0, 1, gomysql.MYSQL_TYPE_BLOB, 0}
		expectInt(t, st.execute(0, blob...), 300_000)
		expectInt(t, st.execute(0, append(blob, 2, 'a', 'b')...), 2)
		c.send(gomysql.COM_STMT_SEND_LONG_DATA, append(append(bytes.Clone(st.id), 0, 0), piece...)...)
		if got := c.command(gomysql.COM_STMT_RESET, st.id...); got[0][0] != 0 {
			t.Fatalf("reset: %q", got)
		}
		expectInt(t, st.execute(0, append(blob, 2, 'a', 'b')...), 2)
		c.send(gomysql.COM_STMT_SEND_LONG_DATA, append([]byte{99, 0, 0, 0, 0, 0}, piece...)...) // nobody's: no answer
		expectInt(t, st.execute(0, append(blob, 1, 'a')...), 1)
	})
}

// Statements that the client does not have are unknown, whatever the servers have.
func TestUnknownStatement(t *testing.T) {
	clustertest.EachEngine(t, func(t *testing.T, e mysqltest.Engine) {
		p := transactionRig(t, e)
		c := p.raw(newCaps)
		st := c.prepare("SELECT 1")
		c.send(gomysql.COM_STMT_CLOSE, st.id...)
		for _, code := range []byte{gomysql.COM_STMT_EXECUTE, gomysql.COM_STMT_FETCH, gomysql.COM_STMT_RESET} {
			for _, id := range [][]byte{st.id, {1, 2, 3, 4}} {
				got := c.command(code, append(bytes.Clone(id), 0, 1, 0, 0, 0)...)
				if got[0][0] != 0xFF || mysqlwire.ParseError(got[0]).Code != 1243 {
					t.Errorf("command %d on %v: %q, want error 1243", code, id, got)
				}
			}
		}
		expect := c.query("SELECT 1")
		if got, err := c.values(expect); err != nil || len(got) != 1 {
			t.Errorf("afterwards: %v %v", got, err)
		}
	})
}

// A statement's names mean what they meant when it was prepared.
func TestPreparedUnderAnotherSchema(t *testing.T) {
	clustertest.EachEngine(t, func(t *testing.T, e mysqltest.Engine) {
		p := sharedRig(t, e)
		stageSchemas(t, p)
		c := p.connect()
		const query = "SELECT v FROM f WHERE id = ?"
		english := c.prepare(query)
		c.exec("BEGIN")
		alsoEnglish := c.prepare(query)
		c.exec("COMMIT", "USE app2")
		spanish := c.prepare(query)
		for range 2 {
			for st, want := range map[*prepared]string{english: "one", alsoEnglish: "one", spanish: "uno"} {
				if got, where := st.query(1); got != want {
					t.Errorf("got %s from %v, want %s", got, where, want)
				}
			}
			c.exec("USE app")
		}
	})
}

// stageSchemas makes a table of one name in two schemas. Only the primary's own shell writes, so no client is pinned.
func stageSchemas(t *testing.T, p *rig) {
	t.Helper()
	const schemas = `
		CREATE TABLE app.f (id INT PRIMARY KEY, v VARCHAR(20));
		INSERT INTO app.f VALUES (1, 'one');
		CREATE DATABASE app2;
		GRANT ALL ON app2.* TO app;
		CREATE TABLE app2.f (id INT PRIMARY KEY, v VARCHAR(20));
		INSERT INTO app2.f VALUES (1, 'uno');`
	if _, err := p.cluster.Primary.Exec(p.ctx, schemas); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if _, err := p.cluster.Primary.Exec(context.Background(), "DROP DATABASE app2; REVOKE ALL ON app2.* FROM app;"); err != nil {
			t.Error(err)
		}
	})
	p.waitFresh()
}
