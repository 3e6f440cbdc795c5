package clustertest_test

import (
	"testing"

	"github.com/stickyproxy/stickyproxy/internal/mysqltest"
	"github.com/stickyproxy/stickyproxy/internal/mysqltest/clustertest"
)

func TestMain(m *testing.M) { clustertest.Main(m) }

// Ensure that parallel tests have the cluster one after the other, each with an empty schema.
func TestSharedTakesTurns(t *testing.T) {
	t.Run("group", func(t *testing.T) {
		for _, name := range []string{"one", "two", "three"} {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				c := clustertest.Shared(t, mysqltest.MariaDB)
				mustExec(t, c.Primary, "CREATE TABLE app.t (a INT)")
				if again := clustertest.Shared(t, mysqltest.MariaDB); again != c {
					t.Error("the same test got another cluster")
				}
				t.Run("inner", func(t *testing.T) {
					mustExec(t, clustertest.Shared(t, mysqltest.MariaDB).Primary, "INSERT INTO app.t VALUES (1)")
				})
				if got := mustExec(t, c.Primary, "SELECT COUNT(*) FROM app.t"); got != "1" {
					t.Errorf("%s rows, want 1", got)
				}
			})
		}
	})
}

// Ensure that a cluster that a test has broken is not the next test's trouble.
func TestSharedReplacesBroken(t *testing.T) {
	var broken *mysqltest.Cluster
	t.Run("break", func(t *testing.T) {
		broken = clustertest.Shared(t, mysqltest.MariaDB)
		mustExec(t, broken.Primary, "CREATE TABLE app.t (a INT PRIMARY KEY)")
		if err := broken.WaitCaughtUp(clustertest.Context(t)); err != nil {
			t.Fatal(err)
		}
		mustExec(t, broken.Replicas[0], "SET sql_log_bin=0; INSERT INTO app.t VALUES (1)")
		mustExec(t, broken.Primary, "INSERT INTO app.t VALUES (1)")
	})
	t.Run("go on", func(t *testing.T) {
		c := clustertest.Shared(t, mysqltest.MariaDB)
		if c == broken {
			t.Error("got the broken cluster")
		}
		mustExec(t, c.Primary, "CREATE TABLE app.t (a INT)")
		if err := c.WaitCaughtUp(clustertest.Context(t)); err != nil {
			t.Error(err)
		}
	})
}

func mustExec(t *testing.T, s *mysqltest.Server, sql string) string {
	t.Helper()
	out, err := s.Exec(clustertest.Context(t), sql)
	if err != nil {
		t.Fatal(err)
	}
	return out
}
