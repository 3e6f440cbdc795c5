package compare

import (
	"context"
	"fmt"
	"net"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-mysql-org/go-mysql/mysql"

	"github.com/stickyproxy/stickyproxy/backend"
	"github.com/stickyproxy/stickyproxy/internal/mysqltest"
	"github.com/stickyproxy/stickyproxy/internal/mysqltest/clustertest"
	"github.com/stickyproxy/stickyproxy/proxy"
	"github.com/stickyproxy/stickyproxy/router"
)

func TestMain(m *testing.M) { clustertest.Main(m) }

// rig is a proxy in this process in front of a shared cluster. It ends with the test. Its methods may be called from any
// goroutine.
type rig struct {
	t       testing.TB
	cluster *mysqltest.Cluster
	fleet   *backend.Fleet
	addr    string // of the proxy

	mu    sync.Mutex
	roots []*client // administrators, at the primary and then at the replicas
	ran   []string  // where statements ran through the proxy: "replica", or "primary" and why
}

const (
	// probeInterval makes reads return to the replicas soon.
	probeInterval = 20 * time.Millisecond
	// window is how long a write without a GTID keeps reads on the primary; after that a replica has to be known to have
	// all that was written before the write's end, which is proof enough.
	window = time.Nanosecond
	// otherPassword is that of the accounts that are made here.
	otherPassword = "Comp4re!"
)

// newRig starts a proxy and makes the accounts that scripts use. Everything is cleared away at the end.
func newRig(t *testing.T, e mysqltest.Engine) *rig {
	t.Helper()
	r := &rig{t: t, cluster: clustertest.Shared(t, e)}
	options := backend.Options{
		Primary:  backend.ServerConfig{Address: r.cluster.Primary.Addr()},
		Monitor:  &backend.Account{User: r.cluster.Monitor.User, Password: r.cluster.Monitor.Password},
		Interval: probeInterval,
	}
	for _, s := range r.cluster.Replicas {
		options.Replicas = append(options.Replicas, backend.ServerConfig{Address: s.Addr()})
	}
	var err error
	if r.fleet, err = backend.NewFleet(options); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	watched := make(chan error, 1)
	go func() { watched <- r.fleet.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-watched; err != nil {
			t.Errorf("watching the servers: %v", err)
		}
	})
	r.serve()
	r.administrate()
	r.admin("CREATE USER other IDENTIFIED BY '" + otherPassword + "'; GRANT ALL ON app2.* TO other; GRANT SELECT ON app.* TO other;" +
		"GRANT ALL ON app2.* TO app; GRANT ALL ON `c\\_00____`.* TO app")
	t.Cleanup(func() {
		r.admin("DROP USER other; REVOKE ALL ON app2.* FROM app; REVOKE ALL ON `c\\_00____`.* FROM app")
	})
	r.settle()
	return r
}

// serve starts the proxy.
func (r *rig) serve() {
	r.t.Helper()
	trace := proxy.Trace{Query: r.traced, Panicked: clustertest.Panicked(r.t)}
	server, err := proxy.New(proxy.Options{Fleet: r.fleet, Window: window, Trace: trace})
	if err != nil {
		r.t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		r.t.Fatal(err)
	}
	r.addr = l.Addr().String()
	served := make(chan error, 1)
	go func() { served <- server.Serve(l, proxy.Policy{}) }()
	r.t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		if err := server.Shutdown(ctx); err != nil {
			r.t.Errorf("end of the proxy: %v", err)
		}
		if err := <-served; err != nil {
			r.t.Errorf("serve: %v", err)
		}
	})
}

func (r *rig) traced(replica bool, reason router.Reason, _ time.Duration) {
	where := "primary: " + reason.String()
	if replica {
		where = "replica"
	}
	r.mu.Lock()
	r.ran = append(r.ran, where)
	r.mu.Unlock()
}

// administrate logs in to every server as root.
func (r *rig) administrate() {
	r.t.Helper()
	for _, s := range r.cluster.Servers() {
		c, _, err := dial(s.Addr(), login{account: r.cluster.Root, caps: plainCaps})
		if err != nil {
			r.t.Fatal(err)
		}
		r.roots = append(r.roots, c)
		r.t.Cleanup(c.close)
	}
	if r.cluster.Engine() == mysqltest.MySQL {
		r.admin("SET GLOBAL log_bin_trust_function_creators = 1")
		r.t.Cleanup(func() { r.admin("SET GLOBAL log_bin_trust_function_creators = 0") })
	}
}

// admin runs statements on the primary as root.
func (r *rig) admin(sql string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if _, err := r.roots[0].run(sql); err != nil {
		r.t.Fatalf("%v", err)
	}
}

// stage makes the schemas that a script finds afresh.
func (r *rig) stage(schema, other string) { r.adminFile("testdata/stage.sql", schema, other) }

// restage is stage after a script that changes only few things: a tenth of the work.
func (r *rig) restage(schema, other string) { r.adminFile("testdata/restage.sql", schema, other) }

func (r *rig) adminFile(name, schema, other string) {
	sql, err := os.ReadFile(name)
	if err != nil {
		panic(err)
	}
	r.admin(strings.NewReplacer("$schema", schema, "$other", other).Replace(string(sql)))
}

// drop removes the schemas of a script, which may not have been made.
func (r *rig) drop(schema, other string) {
	r.admin("DROP DATABASE IF EXISTS " + schema + "; DROP DATABASE IF EXISTS " + other)
}

// settle waits until every replica is known to have every write that was acknowledged before the call.
func (r *rig) settle() {
	since := time.Now()
	r.poll("replicas that are up to date", func() bool {
		for _, s := range r.fleet.Snapshot().Replicas {
			if !s.Up || !s.ReadOnly || !s.Replicating || !s.FreshAsOf.After(since) {
				return false
			}
		}
		return true
	})
}

// poll asks again and again until the answer is true.
func (r *rig) poll(what string, done func() bool) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	ticker := time.NewTicker(2 * time.Millisecond)
	defer ticker.Stop()
	for !done() {
		select {
		case <-ctx.Done():
			panic(fmt.Sprintf("waited in vain for %s: %+v", what, r.fleet.Status()))
		case <-ticker.C:
		}
	}
}

// await waits until a server is in the SLEEP of a statement that has this text in it: one that is killed before is interrupted with another answer.
func (r *rig) await(text string) {
	sql := "SELECT COUNT(*) FROM information_schema.processlist WHERE state = 'User sleep' AND info LIKE '%" + text + "%'"
	r.poll("a server that sleeps in "+text, func() bool {
		r.mu.Lock()
		defer r.mu.Unlock()
		for _, c := range r.roots {
			answer, err := c.run(sql)
			if err != nil {
				panic(err)
			}
			if n, err := answer.value(); err == nil && n != "0" {
				return true
			}
		}
		return false
	})
}

// where runs a step and tells where the proxy ran it, or the last command of it. A statement is traced after its response was sent, but before the
// next command is looked at, so commands that the proxy answers by itself go before and after it.
func (r *rig) where(c *client, run func()) string {
	if !barrier(c) {
		return "nowhere: the connection is over"
	}
	r.mu.Lock()
	before := len(r.ran)
	r.mu.Unlock()
	run()
	if !barrier(c) {
		return "nowhere: the connection is over"
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.ran) == before {
		return "nowhere"
	}
	return r.ran[len(r.ran)-1]
}

// barrier returns when everything before it is traced: the proxy answers by itself to a command that does not exist.
func barrier(c *client) bool {
	if c == nil || c.over != nil {
		return false
	}
	if c.send([]byte{0xEE}) != nil {
		return false
	}
	_, err := c.response(mysql.COM_PING)
	return err == nil
}

// reads is how many statements ran on replicas so far, and how many ran at all.
func (r *rig) reads() (onReplicas, all int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, where := range r.ran {
		if where == "replica" {
			onReplicas++
		}
	}
	return onReplicas, len(r.ran)
}
