package mysqltest_test

import (
	"testing"
	"time"

	"github.com/stickyproxy/stickyproxy/internal/mysqltest"
	"github.com/stickyproxy/stickyproxy/internal/mysqltest/clustertest"
)

// Ensure that nothing arrives before a link's delay is over, that all of it arrives, and that the link can be taken away.
func TestDelayLink(t *testing.T) {
	clustertest.EachEngine(t, func(t *testing.T, e mysqltest.Engine) {
		c, ctx := clustertest.Shared(t, e), clustertest.Context(t)
		replica, delay := c.Replicas[0], 300*time.Millisecond
		if err := c.DelayLink(ctx, replica, delay); err != nil {
			t.Fatal(err)
		}
		mustCatchUp(ctx, t, c)
		before := time.Now()
		mustExec(ctx, t, c.Primary, "CREATE TABLE app.late (a INT PRIMARY KEY, b LONGTEXT); INSERT INTO app.late VALUES (1, REPEAT('x', 1000000))")
		clustertest.WaitFor(ctx, t, "the table", func() (bool, error) {
			n, err := replica.Exec(ctx, "SELECT COUNT(*) FROM information_schema.tables WHERE table_name='late'")
			return n == "1", err
		})
		if took := time.Since(before); took < delay {
			t.Errorf("the table was there after %v, over a link of %v", took, delay)
		}
		mustCatchUp(ctx, t, c)
		if got := mustExec(ctx, t, replica, "SELECT LENGTH(b) FROM app.late"); got != "1000000" {
			t.Errorf("length %s, want 1000000", got)
		}
		if err := c.DelayLink(ctx, replica, 0); err != nil {
			t.Fatal(err)
		}
		mustExec(ctx, t, c.Primary, "INSERT INTO app.late VALUES (2, '')")
		mustCatchUp(ctx, t, c)
	})
}

// Ensure that a link is refused where it would lose the replica's place.
func TestDelayLinkNeedsGTID(t *testing.T) {
	c := clustertest.Start(t, mysqltest.Config{Engine: mysqltest.MariaDB, Replicas: 1})
	if err := c.DelayLink(clustertest.Context(t), c.Replicas[0], time.Second); err == nil {
		t.Error("no error for a replica that follows by file and offset")
	}
}
