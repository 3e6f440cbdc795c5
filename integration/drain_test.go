package integration

import (
	"context"
	"errors"
	"io"
	"net"
	"testing"

	gomysql "github.com/go-mysql-org/go-mysql/mysql"

	"github.com/stickyproxy/stickyproxy/internal/mysqltest"
	"github.com/stickyproxy/stickyproxy/internal/mysqltest/clustertest"
	"github.com/stickyproxy/stickyproxy/mysqlwire"
)

// shutdown begins a shutdown and waits until no new clients are taken. The channel gives its end.
func (p *rig) shutdown(ctx context.Context) <-chan error {
	p.t.Helper()
	done := make(chan error, 1)
	server, addr := p.proxy, p.addr
	go func() { done <- server.Shutdown(ctx) }()
	clustertest.WaitFor(p.ctx, p.t, "the end of listening", func() (bool, error) {
		conn, err := net.Dial("tcp", addr)
		if err == nil {
			_ = conn.Close()
		}
		return err != nil, nil
	})
	return done
}

// ended reads the good-bye.
func ended(t *testing.T, c *raw) {
	t.Helper()
	c.seq = 0
	p, err := c.read()
	if err == nil && (p[0] != 0xFF || mysqlwire.ParseError(p).Code != 1053) {
		t.Errorf("good-bye %q, want error 1053", p)
	}
	if err == nil {
		_, err = c.read()
	}
	if !errors.Is(err, io.EOF) {
		t.Errorf("the connection ends with %v", err)
	}
}

// While the proxy shuts down, idle clients are sent away, a transaction may be finished, and so may a query.
func TestDrain(t *testing.T) {
	clustertest.EachEngine(t, func(t *testing.T, e mysqltest.Engine) {
		p := transactionRig(t, e)
		idle, writer, reader, waiting := p.raw(newCaps), p.raw(newCaps), p.raw(plainCaps), p.raw(newCaps)
		writer.query("BEGIN")
		writer.query("UPDATE t SET v = 2 WHERE id = 1")
		reader.query("START TRANSACTION READ ONLY")
		reader.query(readT)
		waiting.send(gomysql.COM_QUERY, []byte("UPDATE t SET v = 3 WHERE id = 1")...)
		waitRunning(t, p, "UPDATE t SET v = 3")
		done := p.shutdown(p.ctx)
		ended(t, idle)
		if got, err := reader.values(reader.query(readT)); err != nil || got[0] != "1" {
			t.Errorf("a READ ONLY transaction: %v, %v", got, err)
		}
		for _, c := range []*raw{reader, writer} {
			if got := c.query("COMMIT"); got[0][0] != 0 {
				t.Errorf("COMMIT: %q", got)
			}
			ended(t, c)
		}
		if got, err := waiting.response(gomysql.COM_QUERY); err != nil || got[0][0] != 0 {
			t.Errorf("the query that waited: %q, %v", got, err)
		}
		ended(t, waiting)
		if err := <-done; err != nil {
			t.Errorf("shutdown: %v", err)
		}
		if got, err := p.cluster.Primary.Exec(p.ctx, "SELECT v FROM app.t"); err != nil || got != "3" {
			t.Errorf("in the end there is %s, %v", got, err)
		}
	})
}

// waitRunning waits until the primary runs a statement.
func waitRunning(t *testing.T, p *rig, statement string) {
	t.Helper()
	clustertest.WaitFor(p.ctx, t, "a running "+statement, func() (bool, error) {
		n, err := p.cluster.Primary.Exec(p.ctx, "SELECT COUNT(*) FROM information_schema.processlist WHERE user = 'app' AND info LIKE '"+statement+"%'")
		return n == "1", err
	})
}

// Whoever has not ended when the time is over is cut off, in a transaction, in a query or in a result.
func TestDrainDeadline(t *testing.T) {
	clustertest.EachEngine(t, func(t *testing.T, e mysqltest.Engine) {
		p := bigRig(t, e)
		writer, waiting, slow := p.raw(newCaps), p.raw(newCaps), p.raw(newCaps)
		writer.query("BEGIN")
		writer.query("UPDATE t SET v = 2 WHERE id = 1")
		waiting.send(gomysql.COM_QUERY, []byte("UPDATE t SET v = 3 WHERE id = 1")...)
		waitRunning(t, p, "UPDATE t SET v = 3")
		slow.send(gomysql.COM_QUERY, []byte(bigResult)...)
		if _, err := slow.read(); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(p.ctx)
		done := p.shutdown(ctx)
		cancel()
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Errorf("shutdown: %v", err)
		}
		for _, c := range []*raw{writer, waiting, slow} {
			if n, err := io.Copy(io.Discard, c.conn); err != nil && !isReset(err) {
				t.Errorf("after %d bytes: %v", n, err)
			}
		}
		for _, s := range p.cluster.Servers() {
			waitNobody(t, p, s)
		}
		if got, err := p.cluster.Primary.Exec(p.ctx, "SELECT v FROM app.t"); err != nil || got == "2" {
			t.Errorf("in the end there is %s, %v", got, err)
		}
	})
}
