package mysqltest_test

import (
	"context"
	"errors"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stickyproxy/stickyproxy/internal/mysqltest"
	"github.com/stickyproxy/stickyproxy/internal/mysqltest/clustertest"
)

func TestMain(m *testing.M) {
	if engine := os.Getenv(ownerVariable); engine != "" {
		runOwner(mysqltest.Engine(engine))
		return
	}
	clustertest.Main(m)
}

// Ensure that what the primary writes is seen on every replica.
func TestClusterReplicates(t *testing.T) {
	clustertest.EachEngine(t, func(t *testing.T, e mysqltest.Engine) {
		c, ctx := clustertest.Shared(t, e), clustertest.Context(t)
		mustExec(ctx, t, c.Primary, "CREATE TABLE app.t (a INT PRIMARY KEY, b TEXT); INSERT INTO app.t VALUES (1, 'one'), (2, NULL);")
		mustCatchUp(ctx, t, c)
		for _, s := range c.Servers() {
			if got, want := mustExec(ctx, t, s, "SELECT * FROM app.t ORDER BY a"), "1\tone\n2\tNULL"; got != want {
				t.Errorf("%s: rows %q, want %q", s.Name(), got, want)
			}
		}
	})
}

// Ensure that servers without GTIDs replicate, and that MySQL then has none; and that a replica whose
// applier fails is an error at once, with the server's reason.
func TestClusterWithoutGTID(t *testing.T) {
	clustertest.EachEngine(t, func(t *testing.T, e mysqltest.Engine) {
		c, ctx := clustertest.Start(t, mysqltest.Config{Engine: e, Replicas: 1, Lag: time.Second}), clustertest.Context(t)
		mustExec(ctx, t, c.Primary, "CREATE TABLE app.t (a INT PRIMARY KEY)")
		mustCatchUp(ctx, t, c)
		if got := mustExec(ctx, t, c.Replicas[0], "SELECT COUNT(*) FROM app.t"); got != "0" {
			t.Errorf("replica: %q, want 0", got)
		}
		position, err := c.Position(ctx, c.Primary)
		if err != nil {
			t.Fatal(err)
		}
		if hasGTID := position != ""; hasGTID != (e == mysqltest.MariaDB) {
			t.Errorf("position of a primary without GTIDs: %q", position)
		}

		mustExec(ctx, t, c.Replicas[0], "SET GLOBAL "+superReadOnly(e)+"=OFF; SET sql_log_bin=0; INSERT INTO app.t VALUES (1)")
		mustExec(ctx, t, c.Primary, "INSERT INTO app.t VALUES (1)")
		err = c.WaitCaughtUp(ctx)
		if err == nil || ctx.Err() != nil || !strings.Contains(err.Error(), "Duplicate entry") {
			t.Errorf("error %v, want that of the duplicate row", err)
		}
	})
}

func superReadOnly(e mysqltest.Engine) string {
	if e == mysqltest.MySQL {
		return "super_read_only"
	}
	return "read_only"
}

// Ensure that a lag of 2 s is there: a replica shows a write at the earliest 2 s after it by the
// servers' own clock, and everything before the lag was set at once.
func TestSetLag(t *testing.T) {
	clustertest.EachEngine(t, func(t *testing.T, e mysqltest.Engine) {
		c, ctx := clustertest.Shared(t, e), clustertest.Context(t)
		mustExec(ctx, t, c.Primary, "CREATE TABLE app.t (at DATETIME)")
		mustCatchUp(ctx, t, c)
		late := c.Replicas[0]
		if err := c.SetLag(ctx, late, 2*time.Second); err != nil {
			t.Fatal(err)
		}
		mustExec(ctx, t, c.Primary, "INSERT INTO app.t VALUES (NOW())")
		want, err := c.Position(ctx, c.Primary)
		if err != nil {
			t.Fatal(err)
		}
		waitForPosition(ctx, t, c, c.Replicas[1], want)
		got, err := c.Position(ctx, late)
		if err != nil {
			t.Fatal(err)
		}
		age := mustExec(ctx, t, c.Primary, "SELECT TIMESTAMPDIFF(SECOND, at, NOW()) FROM app.t")
		if got == want && age < "2" {
			t.Errorf("the late replica is at %s after %s s", got, age)
		}
		waitForPosition(ctx, t, c, late, want)
		if got := mustExec(ctx, t, late, "SELECT TIMESTAMPDIFF(SECOND, at, NOW()) >= 2 FROM app.t"); got != "1" {
			t.Error("the write was applied before its time")
		}
	})
}

// Ensure that a frozen or cut replica stays where it is until it is thawed or joined.
func TestFreezeAndCut(t *testing.T) {
	type control func(*mysqltest.Cluster, context.Context, *mysqltest.Server) error
	clustertest.EachEngine(t, func(t *testing.T, e mysqltest.Engine) {
		c, ctx := clustertest.Shared(t, e), clustertest.Context(t)
		mustExec(ctx, t, c.Primary, "CREATE TABLE app.t (a INT)")
		for _, row := range []struct {
			name     string
			off, on  control
			wantRows string
		}{
			{"freeze", (*mysqltest.Cluster).Freeze, (*mysqltest.Cluster).Thaw, "1"},
			{"cut", (*mysqltest.Cluster).Cut, (*mysqltest.Cluster).Join, "2"},
		} {
			mustCatchUp(ctx, t, c)
			held, free := c.Replicas[0], c.Replicas[1]
			before, err := c.Position(ctx, held)
			if err != nil {
				t.Fatal(err)
			}
			if err := row.off(c, ctx, held); err != nil {
				t.Fatalf("%s: %v", row.name, err)
			}
			mustExec(ctx, t, c.Primary, "INSERT INTO app.t VALUES (1)")
			want, err := c.Position(ctx, c.Primary)
			if err != nil {
				t.Fatal(err)
			}
			waitForPosition(ctx, t, c, free, want)
			if got, err := c.Position(ctx, held); err != nil || got != before {
				t.Errorf("%s: position %s, error %v, want still %s", row.name, got, err, before)
			}
			if err := row.on(c, ctx, held); err != nil {
				t.Fatalf("%s: %v", row.name, err)
			}
			waitForPosition(ctx, t, c, held, want)
			if got := mustExec(ctx, t, held, "SELECT COUNT(*) FROM app.t"); got != row.wantRows {
				t.Errorf("%s: %s rows afterwards, want %s", row.name, got, row.wantRows)
			}
		}
	})
}

// Ensure that a wait for a frozen replica ends with its context.
func TestWaitCaughtUpEndsWithContext(t *testing.T) {
	c, ctx := clustertest.Shared(t, mysqltest.MariaDB), clustertest.Context(t)
	if err := c.Freeze(ctx, c.Replicas[0]); err != nil {
		t.Fatal(err)
	}
	mustExec(ctx, t, c.Primary, "CREATE TABLE app.t (a INT)")
	short, cancel := context.WithTimeout(ctx, 100*time.Millisecond)
	defer cancel()
	if err := c.WaitCaughtUp(short); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("error %v, want the context's", err)
	}
}

// Ensure that a server keeps address and data when it is killed, stopped and started, that a
// replica follows again, and that Reset repairs what a test has broken.
func TestServerStopsAndStarts(t *testing.T) {
	clustertest.EachEngine(t, func(t *testing.T, e mysqltest.Engine) {
		c, ctx := clustertest.Shared(t, e), clustertest.Context(t)
		mustExec(ctx, t, c.Primary, "CREATE TABLE app.t (a INT); INSERT INTO app.t VALUES (1);")
		mustCatchUp(ctx, t, c)
		replica, addr, pid := c.Replicas[0], c.Replicas[0].Addr(), c.Replicas[0].PID()

		replica.Kill()
		if got := replica.PID(); got != 0 {
			t.Errorf("a killed server has pid %d", got)
		}
		mustExec(ctx, t, c.Primary, "INSERT INTO app.t VALUES (2)")
		mustCatchUp(ctx, t, c) // of the other replica: a dead one is not waited for
		if err := replica.Start(ctx); err != nil {
			t.Fatal(err)
		}
		mustCatchUp(ctx, t, c)
		if got := mustExec(ctx, t, replica, "SELECT COUNT(*) FROM app.t"); got != "2" {
			t.Errorf("%s rows after the restart, want 2", got)
		}
		if replica.Addr() != addr || replica.PID() == pid {
			t.Errorf("address %s and pid %d, were %s and %d", replica.Addr(), replica.PID(), addr, pid)
		}

		if err := replica.Stop(ctx); err != nil {
			t.Fatal(err)
		}
		if err := c.Freeze(ctx, c.Replicas[1]); err != nil {
			t.Fatal(err)
		}
		c.Primary.Pause()
		mustExec(ctx, t, c.Replicas[1], "SELECT 1")
		if err := c.Reset(ctx); err != nil {
			t.Fatal(err)
		}
		mustExec(ctx, t, c.Primary, "INSERT INTO app.t VALUES (3)")
		mustCatchUp(ctx, t, c)
	})
}

// Ensure that the primary too can crash and come back.
func TestPrimaryRestarts(t *testing.T) {
	clustertest.EachEngine(t, func(t *testing.T, e mysqltest.Engine) {
		c, ctx := clustertest.Shared(t, e), clustertest.Context(t)
		mustExec(ctx, t, c.Primary, "CREATE TABLE app.t (a INT)")
		c.Primary.Kill()
		if err := c.Primary.Start(ctx); err != nil {
			t.Fatal(err)
		}
		mustExec(ctx, t, c.Primary, "INSERT INTO app.t VALUES (1)")
		mustCatchUp(ctx, t, c)
	})
}

// Ensure that the accounts may do what they are for, and no more.
func TestAccounts(t *testing.T) {
	clustertest.EachEngine(t, func(t *testing.T, e mysqltest.Engine) {
		c, ctx := clustertest.Shared(t, e), clustertest.Context(t)
		for account, want := range map[mysqltest.Account][]string{
			c.App:         {"GRANT ALL PRIVILEGES ON `app`.* TO", "GRANT USAGE ON *.* TO"},
			c.Replication: {"GRANT REPLICATION SLAVE ON *.* TO"},
			c.Monitor:     {"GRANT " + monitorGrants(e) + " ON *.* TO"},
		} {
			var got []string
			for line := range strings.Lines(mustExec(ctx, t, c.Replicas[0], "SHOW GRANTS FOR '"+account.User+"'@'%'")) {
				what, _, _ := strings.Cut(line, " TO ")
				got = append(got, what+" TO")
			}
			slices.Sort(got)
			if !slices.Equal(got, want) {
				t.Errorf("%s: grants %q, want %q", account.User, got, want)
			}
		}
		passwordless := mustExec(ctx, t, c.Primary, "SELECT COUNT(*) FROM mysql.user WHERE authentication_string='' AND Host<>'localhost'")
		if passwordless != "0" {
			t.Errorf("%s accounts without a password can be reached by TCP", passwordless)
		}
	})
}

func monitorGrants(e mysqltest.Engine) string {
	if e == mysqltest.MariaDB {
		return "BINLOG MONITOR, SLAVE MONITOR"
	}
	return "REPLICATION CLIENT"
}

// Ensure that Exec tells the server's own error.
func TestExecError(t *testing.T) {
	clustertest.EachEngine(t, func(t *testing.T, e mysqltest.Engine) {
		c, ctx := clustertest.Shared(t, e), clustertest.Context(t)
		_, err := c.Primary.Exec(ctx, "SELECT 1; SELECT * FROM app.missing; SELECT 2;")
		if err == nil || !strings.Contains(err.Error(), "1146") || !strings.Contains(err.Error(), "primary") {
			t.Errorf("error %v, want 1146 of the primary", err)
		}
	})
}

// Ensure that replicas are read only and that extra lines reach the servers they are for; and that
// Close ends every process, removes every file, and may be called again.
func TestOwnCluster(t *testing.T) {
	clustertest.EachEngine(t, func(t *testing.T, e mysqltest.Engine) {
		dir, ctx := shortDir(t), clustertest.Context(t)
		c := clustertest.Start(t, mysqltest.Config{
			Engine: e, GTID: true, Replicas: 1, Dir: dir,
			ExtraConfig: []string{"max_connections=77"}, ReplicaConfig: []string{"max_connections=78"},
		})
		for s, want := range map[*mysqltest.Server]string{c.Primary: "0\t1\t77", c.Replicas[0]: "1\t1\t78"} {
			if got := mustExec(ctx, t, s, "SELECT @@read_only, @@local_infile, @@max_connections"); got != want {
				t.Errorf("%s: read_only, local_infile, max_connections are %q, want %q", s.Name(), got, want)
			}
		}
		if got := mustExec(ctx, t, c.Replicas[0], "SELECT @@GLOBAL."+superReadOnly(e)); got != "1" {
			t.Errorf("%s is %s", superReadOnly(e), got)
		}
		c.Replicas[0].Pause() // a stopped process can be killed too
		pids := []int{c.Primary.PID(), c.Replicas[0].PID()}
		for range 2 {
			if err := c.Close(); err != nil {
				t.Fatal(err)
			}
		}
		for _, pid := range pids {
			if err := syscall.Kill(pid, 0); err != syscall.ESRCH {
				t.Errorf("process %d: %v, want that there is none", pid, err)
			}
		}
		if left, err := os.ReadDir(dir); err != nil || len(left) != 0 {
			t.Errorf("left behind: %v, error %v", left, err)
		}
		if err := c.Primary.Start(ctx); err == nil {
			t.Error("a server of a closed cluster started")
		}
		if _, err := c.Primary.Exec(ctx, "SELECT 1"); err == nil {
			t.Error("a server of a closed cluster answered")
		}
	})
}

// Ensure that a server that cannot start is an error with the server's own words, and that
// nothing is left of the cluster.
func TestStartFails(t *testing.T) {
	clustertest.EachEngine(t, func(t *testing.T, e mysqltest.Engine) {
		dir := shortDir(t)
		c, err := mysqltest.Start(t.Context(), mysqltest.Config{Engine: e, Dir: dir, ExtraConfig: []string{"no_such_variable=1"}})
		if err == nil {
			c.Close()
			t.Fatal("it started")
		}
		if !strings.Contains(err.Error(), "no_such_variable") {
			t.Errorf("error %v does not tell what the server said", err)
		}
		if left, err := os.ReadDir(dir); err != nil || len(left) != 0 {
			t.Errorf("left behind: %v, error %v", left, err)
		}
	})
}

func TestConfigValidate(t *testing.T) {
	for _, row := range []struct {
		name string
		cfg  mysqltest.Config
		want string
	}{
		{"no engine", mysqltest.Config{}, "unknown engine"},
		{"half a second", mysqltest.Config{Engine: mysqltest.MySQL, Lag: 500 * time.Millisecond}, "whole seconds"},
		{"negative", mysqltest.Config{Engine: mysqltest.MySQL, Lag: -time.Second}, "whole seconds"},
	} {
		if _, err := mysqltest.Start(t.Context(), row.cfg); err == nil || !strings.Contains(err.Error(), row.want) {
			t.Errorf("%s: error %v, want one with %q", row.name, err, row.want)
		}
	}
}

func mustExec(ctx context.Context, t *testing.T, s *mysqltest.Server, sql string) string {
	t.Helper()
	out, err := s.Exec(ctx, sql)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func mustCatchUp(ctx context.Context, t *testing.T, c *mysqltest.Cluster) {
	t.Helper()
	if err := c.WaitCaughtUp(ctx); err != nil {
		t.Fatal(err)
	}
}

func waitForPosition(ctx context.Context, t *testing.T, c *mysqltest.Cluster, s *mysqltest.Server, want string) {
	t.Helper()
	clustertest.WaitFor(ctx, t, s.Name()+" at "+want, func() (bool, error) {
		got, err := c.Position(ctx, s)
		return got == want, err
	})
}

// shortDir is a temporary folder whose path leaves room for a socket's name, which that of
// t.TempDir may not.
func shortDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "mt")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}
