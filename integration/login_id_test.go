package integration

import (
	"fmt"
	"strconv"
	"strings"
	"testing"

	"github.com/stickyproxy/stickyproxy/internal/mysqltest"
	"github.com/stickyproxy/stickyproxy/internal/mysqltest/clustertest"
)

// A client is known by one id: the one that it is greeted with is the one that it finds in the list of processes.
func TestLoginConnectionID(t *testing.T) {
	clustertest.EachEngine(t, func(t *testing.T, e mysqltest.Engine) {
		p := sharedRig(t, e)
		c := dialRaw(t, p.addr)
		if err := c.login(p.account, newCaps, "app"); err != nil {
			t.Fatal(err)
		}
		got := packetsText(c.query(fmt.Sprintf("SELECT 'me' FROM information_schema.processlist WHERE id = %d AND id = CONNECTION_ID()", c.id)))
		if !strings.Contains(got, `"\x02me"`) {
			t.Errorf("id %d is not in the list of processes: %s", c.id, got)
		}
	})
}

// Clients that hang up before they log in, as health checks do, are no failed connections of ours to the primary: it
// would block our address, and all clients with it (max_connect_errors).
func TestLoginHangUp(t *testing.T) {
	clustertest.EachEngine(t, func(t *testing.T, e mysqltest.Engine) {
		p := sharedRig(t, e)
		aborted := func() int {
			out, err := p.cluster.Primary.Exec(p.ctx, "SHOW GLOBAL STATUS LIKE 'Aborted_connects'")
			if err != nil {
				t.Fatal(err)
			}
			fields := strings.Fields(out)
			n, err := strconv.Atoi(fields[len(fields)-1])
			if err != nil {
				t.Fatal(err)
			}
			return n
		}
		before := aborted()
		for range 3 {
			c := dialRaw(t, p.addr)
			if _, err := c.read(); err != nil {
				t.Fatal(err)
			}
			_ = c.conn.Close()
		}
		clustertest.WaitFor(p.ctx, t, "the end of connections without a login", func() (bool, error) {
			n, err := p.cluster.Primary.Exec(p.ctx, "SELECT COUNT(*) FROM information_schema.processlist WHERE user = 'unauthenticated user'")
			return n == "0", err
		})
		if got := aborted(); got != before {
			t.Errorf("%d aborted connections", got-before)
		}
	})
}
