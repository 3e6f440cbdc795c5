package integration

import (
	"context"
	"errors"
	"strings"
	"syscall"
	"testing"

	gomysql "github.com/go-mysql-org/go-mysql/mysql"

	"github.com/stickyproxy/stickyproxy/internal/mysqltest"
	"github.com/stickyproxy/stickyproxy/internal/mysqltest/clustertest"
	"github.com/stickyproxy/stickyproxy/mysqlwire"
)

// A client that is idle for longer than its wait_timeout, its own or the server's, loses the connection without asking for
// anything, with the word that the server has for that.
func TestWaitTimeout(t *testing.T) {
	clustertest.EachEngine(t, func(t *testing.T, e mysqltest.Engine) {
		p := sharedRig(t, e)
		endsAlike(t, p, "SET wait_timeout = 1")
		setIdleLimit(t, p, "1")
		t.Cleanup(func() { setIdleLimit(t, p, "DEFAULT") })
		endsAlike(t, p, "SET @x = 1", "SELECT 1")
	})
}

// endsAlike has clients of the proxy and of the primary run a statement each and be silent then, all at the same time. For
// each statement the end has to be the same.
func endsAlike(t *testing.T, p *rig, statements ...string) {
	t.Helper()
	var proxied, direct []*raw
	for _, statement := range statements {
		proxied = append(proxied, startIdle(t, p, p.addr, statement))
		direct = append(direct, startIdle(t, p, p.cluster.Primary.Addr(), statement))
	}
	for i, statement := range statements {
		if got, want := endOfIdle(t, proxied[i]), endOfIdle(t, direct[i]); got != want {
			t.Errorf("after %s: the end was %s, a server's is %s", statement, got, want)
		}
	}
}

// setIdleLimit sets the primary's own wait_timeout.
func setIdleLimit(t *testing.T, p *rig, seconds string) {
	t.Helper()
	if _, err := p.cluster.Primary.Exec(context.Background(), "SET GLOBAL wait_timeout = "+seconds); err != nil {
		t.Error(err)
	}
}

// startIdle runs a statement on a new connection.
func startIdle(t *testing.T, p *rig, addr, statement string) *raw {
	t.Helper()
	c := dialRaw(t, addr)
	if err := c.login(p.account, newCaps, "app"); err != nil {
		t.Fatal(err)
	}
	c.query(statement)
	return c
}

// endOfIdle tells what the server says to a client that is silent.
func endOfIdle(t *testing.T, c *raw) string {
	t.Helper()
	c.seq = 0
	last, err := c.read()
	if errors.Is(err, syscall.ECONNRESET) {
		return "a reset"
	}
	if err != nil {
		return err.Error()
	}
	if _, err := c.read(); err == nil {
		t.Error("the connection goes on")
	}
	return mysqlwire.ParseError(last).Error()
}

// Reads on a replica keep a client alive whose connection to the primary has nothing to do, and what it has there.
func TestWaitTimeoutOfTheOtherServer(t *testing.T) {
	clustertest.EachEngine(t, func(t *testing.T, e mysqltest.Engine) {
		p := sharedRig(t, e)
		p.do("CREATE TABLE t (v INT)", "INSERT INTO t VALUES (1)")
		c := dialRaw(t, p.addr)
		if err := c.login(p.account, newCaps, "app"); err != nil {
			t.Fatal(err)
		}
		c.query("SET wait_timeout = 1, @x = 'kept'")
		for range 3 {
			if got := c.query("SELECT v FROM t WHERE SLEEP(0.7) = 0"); got[0][0] == gomysql.ERR_HEADER {
				t.Fatalf("%s", packetsText(got))
			}
			if r := p.last(); !r.replica {
				t.Errorf("the read ran on the %v", r)
			}
		}
		if got := packetsText(c.query("SELECT @x")); !strings.Contains(got, "kept") {
			t.Errorf("%s", got)
		}
	})
}
