package servers

import (
	"context"
	"crypto/tls"
	"errors"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	gomysql "github.com/go-mysql-org/go-mysql/mysql"

	"github.com/stickyproxy/stickyproxy/backend"
	"github.com/stickyproxy/stickyproxy/internal/mysqltest"
	"github.com/stickyproxy/stickyproxy/internal/mysqltest/clustertest"
	"github.com/stickyproxy/stickyproxy/mysqlwire"
)

// newBackend returns the server at address.
func newBackend(t *testing.T, c backend.ServerConfig) *backend.Server {
	t.Helper()
	s, err := backend.NewServer(c)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// mustConnect logs in and closes with the test.
func mustConnect(t *testing.T, s *backend.Server, l backend.Login) *backend.Conn {
	t.Helper()
	c, err := s.Connect(clustertest.Context(t), l)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// mustAsk runs a statement that has at most one value in its result.
func mustAsk(t *testing.T, c *backend.Conn, query string) string {
	t.Helper()
	rows, err := c.Query(clustertest.Context(t), query)
	if err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	if len(rows.Values) == 0 {
		return ""
	}
	return rows.Values[0][0].String
}

// appLogin is a login of the application's account with everything a client may ask for.
func appLogin(c *mysqltest.Cluster) backend.Login {
	return backend.Login{User: c.App.User, Password: c.App.Password, Schema: mysqltest.AppSchema, Collation: 45, Capabilities: ^mysqlwire.Capability(0)}
}

// Ensure that logins over each transport end in a session of which everything is known.
func TestBackendLogin(t *testing.T) {
	clustertest.EachEngine(t, func(t *testing.T, e mysqltest.Engine) {
		cluster := clustertest.Shared(t, e)
		for _, row := range []struct {
			name   string
			config backend.ServerConfig
			tls    bool
			want   bool
		}{
			{"TCP", backend.ServerConfig{Address: cluster.Primary.Addr()}, false, false},
			{"TLS as the client", backend.ServerConfig{Address: cluster.Primary.Addr()}, true, true},
			{"TLS with a CA", backend.ServerConfig{Address: cluster.Primary.Addr(), TLS: backend.TLS{Mode: backend.TLSVerifyIdentity, Roots: cluster.CertPool()}}, false, true},
			{"unix", backend.ServerConfig{Address: "unix:" + cluster.Primary.Socket()}, false, false},
		} {
			t.Run(row.name, func(t *testing.T) {
				// On MySQL this makes the first login the long one (a key, or the password itself).
				if _, err := cluster.Primary.Exec(clustertest.Context(t), "FLUSH LOCAL PRIVILEGES"); err != nil {
					t.Fatal(err)
				}
				l := appLogin(cluster)
				l.TLS, l.Attributes = row.tls, mysqlwire.AppendAttribute(nil, "program_name", "test")
				s := newBackend(t, row.config)
				for range 2 {
					c := mustConnect(t, s, l)
					if _, got := c.Conn.(*tls.Conn); got != row.want {
						t.Errorf("over TLS: got %v, want %v", got, row.want)
					}
					if !c.Tracked || c.Incarnation == "" || c.Schema != mysqltest.AppSchema || c.MariaDB != (e == mysqltest.MariaDB) || !c.Alive() {
						t.Errorf("connection: %+v", c)
					}
					if got, want := mustAsk(t, c, "SELECT CONNECTION_ID()"), strconv.Itoa(int(c.ThreadID)); got != want {
						t.Errorf("connection id: got %s, want %s", got, want)
					}
					if !strings.HasPrefix(mustAsk(t, c, "SELECT @@collation_connection"), "utf8mb4_") || mustAsk(t, c, "SELECT @@sql_mode") != c.Variables.Get("sql_mode") {
						t.Error("the session is not what was said of it")
					}
					// CLIENT_INTERACTIVE was passed on.
					if got, want := mustAsk(t, c, "SELECT @@wait_timeout"), mustAsk(t, c, "SELECT @@global.interactive_timeout"); got != want {
						t.Errorf("wait_timeout: got %s, want interactive_timeout %s", got, want)
					}
				}
			})
		}
	})
}

// Ensure that a server's refusals come through.
func TestBackendRefusals(t *testing.T) {
	clustertest.EachEngine(t, func(t *testing.T, e mysqltest.Engine) {
		cluster := clustertest.Shared(t, e)
		s := newBackend(t, backend.ServerConfig{Address: cluster.Primary.Addr()})
		for _, row := range []struct {
			name   string
			change func(*backend.Login)
			code   uint16
		}{
			{"wrong password", func(l *backend.Login) { l.Password = "wrong" }, gomysql.ER_ACCESS_DENIED_ERROR},
			{"no password", func(l *backend.Login) { l.Password = "" }, gomysql.ER_ACCESS_DENIED_ERROR},
			{"unknown account", func(l *backend.Login) { l.User = "nobody" }, gomysql.ER_ACCESS_DENIED_ERROR},
			{"schema of others", func(l *backend.Login) { l.Schema = "mysql" }, gomysql.ER_DBACCESS_DENIED_ERROR},
		} {
			t.Run(row.name, func(t *testing.T) {
				l := appLogin(cluster)
				row.change(&l)
				_, err := s.Connect(clustertest.Context(t), l)
				var refused *mysqlwire.Error
				if !errors.As(err, &refused) || refused.Code != row.code {
					t.Errorf("got %v, want code %d", err, row.code)
				}
			})
		}
	})
}

// trackedBy runs a statement and returns what its OK says was changed: names and GTIDs to values.
func trackedBy(t *testing.T, c *backend.Conn, query string) map[string]string {
	t.Helper()
	p := []byte{gomysql.COM_QUERY}
	if c.Capabilities.Has(mysqlwire.CapQueryAttributes) {
		p = append(p, 0, 1)
	}
	if _, err := c.Write(mysqlwire.AppendPacket(nil, 0, append(p, query...))); err != nil {
		t.Fatal(err)
	}
	p, _, err := mysqlwire.ReadPacket(c, 1<<20)
	if err != nil || p[0] != 0 {
		t.Fatalf("%s: %q, %v", query, p, err)
	}
	ok, err := mysqlwire.ParseOK(p, true)
	if err != nil {
		t.Fatal(err)
	}
	changes := map[string]string{}
	for ch := (mysqlwire.Changes{Rest: ok.Session}); ch.Next(); {
		name := string(ch.Name)
		switch ch.Kind {
		case mysqlwire.TrackGTIDs:
			name = "last_gtid"
		case mysqlwire.TrackSchema:
			name = "schema"
		case mysqlwire.TrackCharacteristic:
			name = "next"
		}
		changes[name] = string(ch.Value)
	}
	return changes
}

// Ensure that the trackers tell about GTIDs, every variable, the schema and the next transaction, and do again after a
// reset.
func TestBackendTracking(t *testing.T) {
	clustertest.EachEngine(t, func(t *testing.T, e mysqltest.Engine) {
		cluster := clustertest.Shared(t, e)
		c := mustConnect(t, newBackend(t, backend.ServerConfig{Address: cluster.Primary.Addr()}), appLogin(cluster))
		for range 2 {
			if got := trackedBy(t, c, "CREATE OR REPLACE VIEW v AS SELECT 1"); got["last_gtid"] == "" {
				t.Errorf("a write: %v, want its GTID", got)
			}
			if got := trackedBy(t, c, "SET sql_safe_updates=1"); got["sql_safe_updates"] == "" {
				t.Errorf("a variable: %v", got)
			}
			if got := trackedBy(t, c, "USE information_schema"); got["schema"] != "information_schema" {
				t.Errorf("a schema: %v", got)
			}
			if got := trackedBy(t, c, "SET TRANSACTION ISOLATION LEVEL READ COMMITTED"); got["next"] == "" {
				t.Errorf("the next transaction: %v", got)
			}
			if err := c.Reset(clustertest.Context(t)); err != nil {
				t.Fatal(err)
			}
			trackedBy(t, c, "USE "+mysqltest.AppSchema)
		}
	})
}

// Ensure that the incarnation is the same for all connections to a server, another for each server, and another after
// a restart.
func TestBackendIncarnation(t *testing.T) {
	clustertest.EachEngine(t, func(t *testing.T, e mysqltest.Engine) {
		cluster := clustertest.Shared(t, e)
		seen := map[string]string{}
		for _, server := range cluster.Servers() {
			s := newBackend(t, backend.ServerConfig{Address: server.Addr()})
			c := mustConnect(t, s, appLogin(cluster))
			if again := mustConnect(t, s, appLogin(cluster)); again.Incarnation != c.Incarnation {
				t.Errorf("%s: %q, then %q", server.Name(), c.Incarnation, again.Incarnation)
			}
			if other, ok := seen[c.Incarnation]; ok {
				t.Errorf("%s and %s are both %q", server.Name(), other, c.Incarnation)
			}
			seen[c.Incarnation] = server.Name()
		}
		server := cluster.Replicas[0]
		if err := server.Restart(clustertest.Context(t)); err != nil {
			t.Fatal(err)
		}
		c := mustConnect(t, newBackend(t, backend.ServerConfig{Address: server.Addr()}), appLogin(cluster))
		if other, ok := seen[c.Incarnation]; ok {
			t.Errorf("after a restart: still %q, as %s was", c.Incarnation, other)
		}
	})
}

// observed is a fleet that runs, and its wake-up.
type observed struct {
	*backend.Fleet
	changed chan struct{}
}

// observe runs a fleet for the cluster.
func observe(t *testing.T, c *mysqltest.Cluster) *observed {
	t.Helper()
	o := &observed{changed: make(chan struct{}, 1)}
	options := backend.Options{
		Primary:  backend.ServerConfig{Address: c.Primary.Addr()},
		Monitor:  &backend.Account{User: c.Monitor.User, Password: c.Monitor.Password},
		Interval: 20 * time.Millisecond,
		Changed: func() {
			select {
			case o.changed <- struct{}{}:
			default:
			}
		},
	}
	for _, r := range c.Replicas {
		options.Replicas = append(options.Replicas, backend.ServerConfig{Address: r.Addr()})
	}
	var err error
	if o.Fleet, err = backend.NewFleet(options); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := o.Run(ctx); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(func() {
		cancel()
		wg.Wait()
	})
	return o
}

// until waits for a snapshot.
func (o *observed) until(t *testing.T, what string, done func(*backend.Snapshot) bool) {
	t.Helper()
	ctx := clustertest.Context(t)
	for !done(o.Snapshot()) {
		select {
		case <-o.changed:
		case <-ctx.Done():
			t.Fatalf("waited in vain for %s: %+v", what, o.Status())
		}
	}
}

// Ensure the claim that everything rests on: when a replica is said to be fresh as of a moment after a write was
// acknowledged, then the write is there to be read. With GTIDs and without, and the replica's applier stops and starts.
func TestBackendFreshness(t *testing.T) {
	clustertest.EachEngine(t, func(t *testing.T, e mysqltest.Engine) {
		t.Run("GTID", func(t *testing.T) { testFreshness(t, clustertest.Shared(t, e)) })
		t.Run("files", func(t *testing.T) { testFreshness(t, clustertest.Start(t, mysqltest.Config{Engine: e, Replicas: 1})) })
	})
}

func testFreshness(t *testing.T, cluster *mysqltest.Cluster) {
	ctx := clustertest.Context(t)
	o := observe(t, cluster)
	replica := cluster.Replicas[0]
	writer := mustConnect(t, newBackend(t, backend.ServerConfig{Address: cluster.Primary.Addr()}), appLogin(cluster))
	mustAsk(t, writer, "CREATE TABLE fresh (id INT PRIMARY KEY, n INT) ENGINE=InnoDB")
	mustAsk(t, writer, "INSERT INTO fresh VALUES (1, 0)")
	if err := cluster.WaitCaughtUp(ctx); err != nil {
		t.Fatal(err)
	}
	reader := mustConnect(t, newBackend(t, backend.ServerConfig{Address: replica.Addr()}), appLogin(cluster))
	var hidden time.Time // when the first write that the stopped replica does not have was acknowledged
	for n := 1; n <= 24; n++ {
		switch n % 12 {
		case 6:
			if err := cluster.Freeze(ctx, replica); err != nil {
				t.Fatal(err)
			}
			o.until(t, "a stopped applier", func(s *backend.Snapshot) bool { return !s.Replicas[0].Replicating })
		case 9:
			o.until(t, "growing lag", func(*backend.Snapshot) bool { l := o.Status()[1].Lag; return l.Known && l.D > 0 })
			if got := o.Snapshot().Replicas[0].FreshAsOf; got.After(hidden) {
				t.Errorf("a stopped replica is fresh as of %v, want not after %v", got, hidden)
			}
			if err := cluster.Thaw(ctx, replica); err != nil {
				t.Fatal(err)
			}
		}
		mustAsk(t, writer, "UPDATE fresh SET n="+strconv.Itoa(n)+" WHERE id=1")
		acknowledged := time.Now()
		if n%12 == 6 {
			hidden = acknowledged
		}
		if n%12 >= 6 && n%12 < 9 {
			continue
		}
		o.until(t, "the write", func(s *backend.Snapshot) bool { return s.Replicas[0].FreshAsOf.After(acknowledged) })
		if got, want := mustAsk(t, reader, "SELECT n FROM fresh WHERE id=1"), strconv.Itoa(n); got != want {
			t.Fatalf("fresh as of after write %s, but reads give %s", want, got)
		}
		if got, want := o.Snapshot().Replicas[0].Incarnation, reader.Incarnation; got != want {
			t.Fatalf("the monitor speaks to %q, the reader to %q", got, want)
		}
	}
	o.until(t, "no lag", func(*backend.Snapshot) bool { return o.Status()[1].Lag == backend.Lag{Known: true} })
}

// Ensure that a frozen server counts as down and a lost primary as lost, and that both come back.
func TestBackendLosesServers(t *testing.T) {
	clustertest.EachEngine(t, func(t *testing.T, e mysqltest.Engine) {
		cluster := clustertest.Shared(t, e)
		ctx := clustertest.Context(t)
		o := observe(t, cluster)
		up := func(s *backend.Snapshot) bool {
			return s.PrimaryUp && s.Replicas[0].Up && !s.Replicas[0].FreshAsOf.IsZero()
		}
		o.until(t, "all servers", up)
		cluster.Replicas[0].Pause()
		o.until(t, "a silent replica", func(s *backend.Snapshot) bool { return !s.Replicas[0].Up && s.PrimaryUp })
		cluster.Replicas[0].Resume()
		o.until(t, "the replica", up)
		if err := cluster.Primary.Stop(ctx); err != nil {
			t.Fatal(err)
		}
		o.until(t, "no primary", func(s *backend.Snapshot) bool { return !s.PrimaryUp && s.PrimaryReason != "" })
		if err := cluster.Primary.Start(ctx); err != nil {
			t.Fatal(err)
		}
		o.until(t, "the primary", up)
	})
}
