package integration

import (
	"errors"
	"runtime"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	gomysql "github.com/go-mysql-org/go-mysql/mysql"

	"github.com/stickyproxy/stickyproxy/internal/mysqltest"
	"github.com/stickyproxy/stickyproxy/internal/mysqltest/clustertest"
)

// Two thousand clients that do nothing cost a goroutine and a little memory each, and no buffers.
func TestIdleClients(t *testing.T) {
	const (
		clients = 2000
		perHead = 64 << 10 // bytes, of which the tests' own end of the connection is a part
	)
	clustertest.EachEngine(t, func(t *testing.T, e mysqltest.Engine) {
		p := transactionRig(t, e)
		p.do("DO 0") // what is made for the first client
		before, goroutines := inUse(), runtime.NumGoroutine()
		all := make([]*raw, clients)
		var group errgroup.Group
		group.SetLimit(16)
		for i := range all {
			all[i] = dialRaw(t, p.addr)
			group.Go(func() error { return all[i].login(p.account, newCaps, "app") })
		}
		if err := group.Wait(); err != nil {
			t.Fatal(err)
		}
		for _, c := range all {
			c.send(gomysql.COM_PING)
		}
		for _, c := range all {
			if got, err := c.response(gomysql.COM_PING); err != nil || got[0][0] != 0 {
				t.Fatalf("%q, %v", got, err)
			}
		}
		settle := time.Now().Add(time.Minute)
		for runtime.NumGoroutine() > goroutines+clients && time.Now().Before(settle) {
			runtime.Gosched()
		}
		if n := runtime.NumGoroutine() - goroutines; n > clients {
			t.Errorf("%d goroutines for %d clients", n, clients)
		}
		if each := (int64(inUse()) - int64(before)) / clients; each > perHead {
			t.Errorf("%d bytes a client, want at most %d", each, perHead)
		} else {
			t.Logf("%d bytes a client, both ends", each)
		}
		var errs []error
		for _, c := range all {
			errs = append(errs, c.conn.Close())
		}
		if err := errors.Join(errs...); err != nil {
			t.Error(err)
		}
		waitNobody(t, p, p.cluster.Primary)
	})
}

// inUse is the memory of heap and stacks after a collection.
func inUse() uint64 {
	runtime.GC()
	runtime.GC() // what pools kept over one collection is gone after two
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapInuse + m.StackInuse
}

// A client that goes without COM_QUIT is counted by the primary, as it is directly.
func TestAbortedClients(t *testing.T) {
	clustertest.EachEngine(t, func(t *testing.T, e mysqltest.Engine) {
		p := sharedRig(t, e)
		observer := p.connectTo(p.cluster.Primary.Addr())
		aborted := func() (name string, n int) {
			if err := observer.QueryRowContext(p.ctx, "SHOW GLOBAL STATUS LIKE 'Aborted_clients'").Scan(&name, &n); err != nil {
				t.Fatal(err)
			}
			return name, n
		}
		_, before := aborted()
		c := dialRaw(t, p.addr)
		if err := c.login(p.account, newCaps, "app"); err != nil {
			t.Fatal(err)
		}
		c.query("SELECT 1")
		if err := c.conn.Close(); err != nil {
			t.Fatal(err)
		}
		deadline := time.Now().Add(time.Minute)
		for _, n := aborted(); n == before; _, n = aborted() {
			if time.Now().After(deadline) {
				t.Fatal("the client is not counted")
			}
		}
	})
}
