package proxy

import (
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-mysql-org/go-mysql/mysql"

	"github.com/stickyproxy/stickyproxy/internal/mysqltest/fakeserver"
)

// crowded is a proxy whose replicas are all late, and with room for one read on the primary, which a client has taken.
type crowded struct {
	*rig
	ran, refused atomic.Int32 // reads for which there was no room
	first        *checker
	release      chan struct{}
}

func startCrowded(t *testing.T, beyond Beyond, wait time.Duration) *crowded {
	t.Helper()
	c := &crowded{release: make(chan struct{})}
	c.rig = startRig(t, rigOptions{
		options: Options{Overload: Overload{Reads: 1, Beyond: beyond, Wait: wait}},
		trace: Trace{Overloaded: func(ran bool) {
			if ran {
				c.ran.Add(1)
			} else {
				c.refused.Add(1)
			}
		}},
	})
	c.fleet.fresh(clockStart.Add(-time.Hour))
	arrived := make(chan struct{})
	c.primary.on(func(fc *fakeserver.Conn, cmd fakeserver.Command) error {
		if cmd.SQL == "SELECT slow FROM t" {
			close(arrived)
			select {
			case <-c.release:
			case <-fc.Done():
			}
		}
		return errDefault
	})
	c.first = c.connect()
	c.first.send(mysql.COM_QUERY, "SELECT slow FROM t")
	<-arrived
	return c
}

// goOn lets the first read end.
func (c *crowded) goOn() {
	c.t.Helper()
	close(c.release)
	if got := c.first.response(mysql.COM_QUERY); got.err != nil || got.lost != nil {
		c.t.Errorf("the first read: %v", got)
	}
}

// await returns when so many reads run on the primary and wait.
func (c *crowded) await(running, waiting int) {
	for r, w := c.server.Moved(); r != running || w != waiting; r, w = c.server.Moved() {
		runtime.Gosched()
	}
}

func (c *crowded) wantCounts(ran, refused int32) {
	c.t.Helper()
	if c.ran.Load() != ran || c.refused.Load() != refused {
		c.t.Errorf("%d ran and %d were refused, want %d and %d", c.ran.Load(), c.refused.Load(), ran, refused)
	}
}

// Where there is no room on the primary, a read that no replica may serve gets an error, at once or in the end. Writes
// and what belongs on the primary are not touched, and with room again the read runs.
func TestOverloadRefuses(t *testing.T) {
	for _, beyond := range []Beyond{BeyondError, BeyondWait} {
		c := startCrowded(t, beyond, time.Millisecond)
		other := c.connect()
		other.fails("SELECT a FROM t", errOverload.Code)
		c.wantCounts(0, 1)
		other.ok("UPDATE t SET a = 1")
		other.from(c.primary, "SELECT a FROM t FOR UPDATE")
		if running, waiting := c.server.Moved(); running != 1 || waiting != 0 {
			t.Errorf("%v: %d reads on the primary and %d waiting, want 1 and none", beyond, running, waiting)
		}
		c.goOn()
		c.await(0, 0) // its place is free a moment after its answer
		other.from(c.primary, "SELECT a FROM t")
		c.wantCounts(0, 1)
	}
}

func TestOverloadIsOnlyCounted(t *testing.T) {
	c := startCrowded(t, BeyondPrimary, 0)
	c.connect().from(c.primary, "SELECT a FROM t")
	c.wantCounts(1, 0)
	c.goOn()
}

// A read that waits runs when its turn comes: on a replica if one may serve it by then.
func TestOverloadWaits(t *testing.T) {
	for _, fresh := range []bool{false, true} {
		c := startCrowded(t, BeyondWait, time.Minute)
		c.fleet.only("r1")
		other := c.connect()
		other.send(mysql.COM_QUERY, "SELECT a FROM t")
		c.await(1, 1)
		want := "p"
		if fresh {
			c.fleet.fresh(clockStart.Add(time.Hour))
			want = "r1"
		}
		c.goOn()
		if got := other.response(mysql.COM_QUERY); len(got.rows) != 1 || got.rows[0] != want {
			t.Errorf("fresh %v: got %v, want a row of %s", fresh, got, want)
		}
		c.wantCounts(1, 0)
	}
}

// Who needs nothing newer stays on a replica, whatever there is on the primary.
func TestOverloadLeavesReplicas(t *testing.T) {
	c := startCrowded(t, BeyondError, 0)
	c.fleet.fresh(clockStart.Add(time.Hour))
	c.connect().fromReplica(c.rig, "SELECT a FROM t")
	c.wantCounts(0, 0)
	c.goOn()
}

func TestParseBeyond(t *testing.T) {
	for _, b := range []Beyond{BeyondWait, BeyondError, BeyondPrimary} {
		if got, err := ParseBeyond(b.String()); got != b || err != nil {
			t.Errorf("%v: got %v, %v", b, got, err)
		}
	}
	if _, err := ParseBeyond("never"); err == nil {
		t.Error("never: no error")
	}
}
