// Package clustertest gives tests the clusters of package mysqltest: one of their own that ends
// with the test, or one that all tests of the process take turns with.
//
//	func TestMain(m *testing.M) { clustertest.Main(m) }
//
//	func TestX(t *testing.T) {
//		clustertest.EachEngine(t, func(t *testing.T, e mysqltest.Engine) {
//			c := clustertest.Shared(t, e)
//			...
//		})
//	}
package clustertest

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime/debug"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stickyproxy/stickyproxy/internal/mysqltest"
)

// limit bounds everything that is waited for here: a machine that is busy with other tests may be
// slow, and a test should still fail with its own message.
const limit = 3 * time.Minute

// Start starts a cluster for this test; it is closed when the test ends.
func Start(t testing.TB, cfg mysqltest.Config) *mysqltest.Cluster {
	t.Helper()
	if cfg.Log == nil {
		cfg.Log = t.Output()
	}
	c, err := mysqltest.Start(context.Background(), cfg) // the programs may have to be fetched
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Errorf("close the cluster: %v", err)
		}
	})
	return c
}

// EachEngine runs a subtest for each engine.
func EachEngine(t *testing.T, test func(*testing.T, mysqltest.Engine)) {
	t.Helper()
	for _, e := range mysqltest.Engines() {
		t.Run(string(e), func(t *testing.T) { test(t, e) })
	}
}

// Context returns a context for what a test waits for. It ends with the test, and after three
// minutes at the latest.
func Context(t testing.TB) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	t.Cleanup(cancel)
	return ctx
}

// Exec runs statements as root on a server's own shell; format is that of [fmt.Sprintf]. It may be called when the test
// ends.
func Exec(t testing.TB, s *mysqltest.Server, format string, args ...any) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), time.Minute)
	defer cancel()
	if _, err := s.Exec(ctx, fmt.Sprintf(format, args...)); err != nil {
		t.Fatal(err)
	}
}

// Read is Exec of a query, and returns what it prints.
func Read(t testing.TB, s *mysqltest.Server, query string) string {
	t.Helper()
	text, err := s.Exec(Context(t), query)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// WaitFor asks again and again until done answers true, and fails the test when ctx ends or done
// has an error. what completes the sentence "waited in vain for".
func WaitFor(ctx context.Context, t testing.TB, what string, done func() (bool, error)) {
	t.Helper()
	ticker := time.NewTicker(10 * time.Millisecond)
	defer ticker.Stop()
	for {
		ok, err := done()
		if ok && err == nil {
			return
		}
		if err != nil {
			t.Fatalf("waiting for %s: %v", what, err)
		}
		select {
		case <-ctx.Done():
			t.Fatalf("waited in vain for %s: %v", what, ctx.Err())
		case <-ticker.C:
		}
	}
}

// Shared returns the process's cluster of an engine: GTIDs, two replicas, no lag. It is started
// when first asked for. Tests have it one after the other: the test that asks waits until the one
// before has ended, and then gets it with an empty schema [mysqltest.AppSchema], all servers running
// and replicas that follow without lag. Accounts, other schemas and global variables are a test's
// own to clean up. Within one test and its subtests further calls return the same cluster as it is.
// Parallel tests that need both engines ask for MariaDB first, or they wait for each other for ever.
//
// The package's TestMain must be [Main], which closes it.
func Shared(t testing.TB, e mysqltest.Engine) *mysqltest.Cluster {
	t.Helper()
	s := sharedOf(e)
	if !s.take(t) {
		return s.cluster
	}
	s.ready(t, e)
	return s.cluster
}

// Main runs the tests of a package, with temporary files in memory if they fit, closes the shared clusters and ends the
// process.
func Main(m *testing.M) {
	if err := useMemory(); err != nil {
		fmt.Fprintf(os.Stderr, "keep temporary files in memory: %v\n", err)
		os.Exit(1)
	}
	code := m.Run()
	if err := closeShared(); err != nil {
		fmt.Fprintf(os.Stderr, "close the shared clusters: %v\n", err)
		code = max(code, 1)
	}
	os.Exit(code)
}

// shared is one engine's cluster and who has it.
type shared struct {
	turn chan struct{} // holds one value while nobody has the cluster

	mu      sync.Mutex
	owner   string             // name of the test that has it
	cluster *mysqltest.Cluster // nil until the first test has it
}

// all is state of the process, like the tests it serves.
var all = struct {
	sync.Mutex
	byEngine map[mysqltest.Engine]*shared
}{byEngine: make(map[mysqltest.Engine]*shared)}

func sharedOf(e mysqltest.Engine) *shared {
	all.Lock()
	defer all.Unlock()
	if all.byEngine[e] == nil {
		s := &shared{turn: make(chan struct{}, 1)}
		s.turn <- struct{}{}
		all.byEngine[e] = s
	}
	return all.byEngine[e]
}

// take waits for the cluster to be free. False: this test or one around it has it already.
func (s *shared) take(t testing.TB) bool {
	if s.ownedBy(t.Name()) {
		return false
	}
	<-s.turn
	s.setOwner(t.Name())
	t.Cleanup(func() {
		s.setOwner("")
		s.turn <- struct{}{}
	})
	return true
}

func (s *shared) ownedBy(test string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.owner != "" && (test == s.owner || strings.HasPrefix(test, s.owner+"/"))
}

func (s *shared) setCluster(c *mysqltest.Cluster) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.cluster = c
}

func (s *shared) setOwner(test string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.owner = test
}

// ready starts the cluster, or brings it back to what a test expects. One that a test has broken
// beyond that is replaced.
func (s *shared) ready(t testing.TB, e mysqltest.Engine) {
	t.Helper()
	if s.cluster != nil {
		err := reset(s.cluster)
		if err == nil {
			return
		}
		t.Logf("replacing the shared cluster: %v", errors.Join(err, s.cluster.Close()))
		s.setCluster(nil)
	}
	c, err := mysqltest.Start(context.Background(), mysqltest.Config{Engine: e, GTID: true, Log: os.Stderr})
	if err != nil {
		t.Fatal(err)
	}
	s.setCluster(c)
}

func reset(c *mysqltest.Cluster) error {
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	c.Primary.Resume()
	if err := c.Primary.Start(ctx); err != nil {
		return err
	}
	emptySchema := fmt.Sprintf("DROP DATABASE IF EXISTS %[1]s; CREATE DATABASE %[1]s CHARACTER SET utf8mb4;", mysqltest.AppSchema)
	if _, err := c.Primary.Exec(ctx, emptySchema); err != nil {
		return err
	}
	return c.Reset(ctx)
}

func closeShared() error {
	all.Lock()
	defer all.Unlock()
	var firstErr error
	for e, s := range all.byEngine {
		delete(all.byEngine, e)
		if s.cluster == nil {
			continue
		}
		if err := s.cluster.Close(); err != nil && firstErr == nil {
			firstErr = err
		}
	}
	return firstErr
}

// Panicked returns a function for a proxy to call when a panic has ended one of its connections: the test has failed then.
func Panicked(t testing.TB) func() {
	return func() { t.Errorf("a panic in the proxy:\n%s", debug.Stack()) }
}
