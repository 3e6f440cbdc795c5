package bench

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/stickyproxy/stickyproxy/bench/client"
	"github.com/stickyproxy/stickyproxy/bench/load"
	"github.com/stickyproxy/stickyproxy/internal/mysqltest"
	"github.com/stickyproxy/stickyproxy/mysqlwire"
)

func TestMain(m *testing.M) {
	code := m.Run()
	if err := theRig.close(); err != nil {
		fmt.Fprintf(os.Stderr, "end the servers and the proxy: %v\n", err)
		code = max(code, 1)
	}
	os.Exit(code)
}

// theRig is state of the process: one set of servers serves all benchmarks.
var theRig rig

// rig is a primary with one replica, and the proxy before them.
type rig struct {
	starting sync.Mutex
	err      error // why it could not start; the next benchmark need not try again
	dir      string
	cluster  *mysqltest.Cluster
	proxy    *proxyProcess
	large    bool // the table of the large result is there
}

// startRig returns the process's rig. If it cannot be started, the benchmark fails.
func startRig(tb testing.TB) *rig {
	tb.Helper()
	r := &theRig
	r.starting.Lock()
	defer r.starting.Unlock()
	if r.proxy == nil && r.err == nil {
		r.err = r.start()
	}
	if r.err != nil {
		tb.Fatal(r.err)
	}
	return r
}

func (r *rig) start() error {
	var err error
	if r.dir, err = os.MkdirTemp("", "stickyproxy-bench-"); err != nil {
		return err
	}
	r.cluster, err = mysqltest.Start(context.Background(), mysqltest.Config{
		Engine: mysqltest.MySQL, GTID: true, Replicas: 1, Log: os.Stderr,
		ExtraConfig: []string{"innodb_buffer_pool_size=256M", "max_connections=3000"}, // nothing is read from a disk
	})
	if err != nil {
		return err
	}
	if err := r.fill(makePoints); err != nil {
		return err
	}
	if r.proxy, err = startProxy(r.dir, r.cluster); err != nil {
		return err
	}
	return r.awaitReplica()
}

func (r *rig) close() error {
	var errs []error
	if r.proxy != nil {
		errs = append(errs, r.proxy.stop())
	}
	if r.cluster != nil {
		errs = append(errs, r.cluster.Close())
	}
	if r.dir != "" {
		errs = append(errs, os.RemoveAll(r.dir))
	}
	return errors.Join(errs...)
}

// The ids of points are all numbers of four digits, so that a statement can be changed in place.
const (
	firstPoint = 1000
	lastPoint  = 9999
	makePoints = `CREATE TABLE app.points (id INT PRIMARY KEY, k INT NOT NULL, c CHAR(120) NOT NULL, pad CHAR(60) NOT NULL) CHARSET latin1;
SET cte_max_recursion_depth = 1000000;
INSERT INTO app.points WITH RECURSIVE n(i) AS (SELECT 1000 UNION ALL SELECT i + 1 FROM n WHERE i < 9999)
SELECT i, i * 7, RPAD(SHA2(i, 256), 119, SHA2(i + 1, 256)), SHA2(i, 224) FROM n;`
	// About 42 MB on the wire: 200,000 rows of 210 bytes.
	makeLarge = `CREATE TABLE app.large (id INT PRIMARY KEY, k INT, s VARCHAR(190)) CHARSET latin1;
SET cte_max_recursion_depth = 1000000;
INSERT INTO app.large WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 200000)
SELECT i, i * 7, RPAD(SHA2(i, 256), 190, SHA2(i + 1, 256)) FROM n;`
)

// fillLimit bounds the making of a table on all servers.
const fillLimit = 5 * time.Minute

// fill runs statements on the primary and waits until the replica has run them too.
func (r *rig) fill(statements string) error {
	ctx, cancel := context.WithTimeout(context.Background(), fillLimit)
	defer cancel()
	if _, err := r.cluster.Primary.Exec(ctx, statements); err != nil {
		return err
	}
	return r.cluster.WaitCaughtUp(ctx)
}

// fillLarge makes the table of the large result.
func (r *rig) fillLarge(tb testing.TB) {
	tb.Helper()
	if r.large {
		return
	}
	if err := r.fill(makeLarge); err != nil {
		tb.Fatal(err)
	}
	r.large = true
}

// awaitReplica waits until the proxy reads from the replica.
func (r *rig) awaitReplica() error {
	c, err := dial(r.proxy.auto, r.cluster.App, client.Modern)
	if err != nil {
		return err
	}
	defer c.Close()
	packet := client.Text(pointText)
	ticker := time.NewTicker(10 * time.Millisecond)
	defer ticker.Stop()
	deadline := time.After(startLimit)
	for {
		if _, err := c.Do(packet); err != nil {
			return err
		}
		n, err := r.proxy.onReplica()
		if n > 0 || err != nil {
			return err
		}
		select {
		case <-deadline:
			return errors.New("the proxy sends no reads to the replica")
		case <-ticker.C:
		}
	}
}

// way is a way to the data.
type way struct {
	name    string
	address string
	proxied bool
	replica bool
}

func (r *rig) ways() []way {
	return []way{
		{name: "direct", address: r.cluster.Primary.Addr()},
		{name: "proxy-to-primary", address: r.proxy.primary, proxied: true},
		{name: "proxy-to-replica", address: r.proxy.auto, proxied: true, replica: true},
	}
}

// dial logs in to a server or to the proxy. The caller closes the connection.
func dial(address string, account mysqltest.Account, caps mysqlwire.Capability) (*client.Conn, error) {
	return client.Dial(context.Background(), client.Endpoint{
		Name: address, Address: address, User: account.User, Password: account.Password, Schema: mysqltest.AppSchema,
	}, caps)
}

// connect connects a client that is closed when the benchmark ends.
func (r *rig) connect(tb testing.TB, w way, caps mysqlwire.Capability) *client.Conn {
	tb.Helper()
	c, err := dial(w.address, r.cluster.App, caps)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = c.Close() }) // nothing is lost with it
	return c
}

// measured runs work and returns the processor time that the proxy spent on it. It fails the benchmark if fewer than
// reads statements went to the replica on a way that should lead there, or any on another.
func (r *rig) measured(b *testing.B, w way, reads int, work func() error) time.Duration {
	b.Helper()
	countBefore, err := r.proxy.onReplica()
	if err != nil {
		b.Fatal(err)
	}
	before, err := load.CPU(r.proxy.cmd.Process.Pid)
	if err != nil {
		b.Fatal(err)
	}
	b.ResetTimer()
	err = work()
	b.StopTimer()
	if err != nil {
		b.Fatal(err)
	}
	after, err := load.CPU(r.proxy.cmd.Process.Pid)
	if err != nil {
		b.Fatal(err)
	}
	countAfter, err := r.proxy.onReplica()
	if err != nil {
		b.Fatal(err)
	}
	if got := countAfter - countBefore; w.replica && got < reads || !w.replica && got > 0 {
		b.Fatalf("%s: %d of %d statements went to the replica", w.name, got, reads)
	}
	return after - before
}
