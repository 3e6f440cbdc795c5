package integration

import (
	"testing"

	gomysql "github.com/go-mysql-org/go-mysql/mysql"

	"github.com/stickyproxy/stickyproxy/internal/mysqltest"
	"github.com/stickyproxy/stickyproxy/internal/mysqltest/clustertest"
	"github.com/stickyproxy/stickyproxy/mysqlwire"
)

// A client that is idle for longer than its wait_timeout loses the connection without asking for anything, with the word
// that the server has for that.
func TestWaitTimeout(t *testing.T) {
	clustertest.EachEngine(t, func(t *testing.T, e mysqltest.Engine) {
		p := sharedRig(t, e)
		end := func(addr string) string {
			c := dialRaw(t, addr)
			if err := c.login(p.account, newCaps, "app"); err != nil {
				t.Fatal(err)
			}
			c.query("SET wait_timeout = 1")
			c.seq = 0
			last, err := c.read()
			if err != nil {
				return "no word" // EOF, or a reset
			}
			if _, err := c.read(); err == nil {
				t.Error("the connection goes on")
			}
			return mysqlwire.ParseError(last).Error()
		}
		want, got := end(p.cluster.Primary.Addr()), end(p.addr)
		if got != want {
			t.Errorf("the end was %s, a server's is %s", got, want)
		}
	})
}

// Reads on a replica keep a client alive whose connection to the primary has nothing to do.
func TestWaitTimeoutOfTheOtherServer(t *testing.T) {
	clustertest.EachEngine(t, func(t *testing.T, e mysqltest.Engine) {
		p := sharedRig(t, e)
		c := dialRaw(t, p.addr)
		if err := c.login(p.account, newCaps, "app"); err != nil {
			t.Fatal(err)
		}
		c.query("SET wait_timeout = 1")
		for range 3 {
			if got := c.query("SELECT SLEEP(0.7)"); got[0][0] == gomysql.ERR_HEADER {
				t.Fatalf("%s", packetsText(got))
			}
			if r := p.last(); !r.replica {
				t.Errorf("the read ran on the %v", r)
			}
		}
		if got := c.query("SET @still = 'here'"); got[0][0] != gomysql.OK_HEADER {
			t.Errorf("%s", packetsText(got))
		}
	})
}
