package servers

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/stickyproxy/stickyproxy/backend"
	"github.com/stickyproxy/stickyproxy/doctor"
	"github.com/stickyproxy/stickyproxy/internal/mysqltest"
	"github.com/stickyproxy/stickyproxy/internal/mysqltest/clustertest"
)

// examine lets the doctor look at a cluster.
func examine(t *testing.T, c *mysqltest.Cluster, change ...func(*doctor.Options)) []doctor.Finding {
	t.Helper()
	o := doctor.Options{
		Primary: backend.ServerConfig{Address: c.Primary.Addr()},
		Monitor: &backend.Account{User: c.Monitor.User, Password: c.Monitor.Password},
	}
	for _, r := range c.Replicas {
		o.Replicas = append(o.Replicas, backend.ServerConfig{Address: r.Addr()})
	}
	for _, f := range change {
		f(&o)
	}
	return doctor.Examine(clustertest.Context(t), o)
}

// wantFindings fails the test unless exactly these problems are found, each as "severity server check: a part of the text",
// in which the servers are called p, r1 and r2.
func wantFindings(t *testing.T, c *mysqltest.Cluster, findings []doctor.Finding, want ...string) {
	t.Helper()
	names := map[string]string{c.Primary.Addr(): "p"}
	for i, r := range c.Replicas {
		names[r.Addr()] = fmt.Sprintf("r%d", i+1)
	}
	var got []string
	for _, f := range findings {
		if f.Problem() {
			got = append(got, fmt.Sprintf("%s %s %s: %s -> %s", f.Severity, names[f.Server], f.Check, f.Found, f.Advice))
		}
	}
	for _, w := range want {
		what, text, _ := strings.Cut(w, ": ")
		i := slices.IndexFunc(got, func(g string) bool { return strings.HasPrefix(g, what+":") && strings.Contains(g, text) })
		if i < 0 {
			t.Errorf("not found: %s", w)
			continue
		}
		got = slices.Delete(got, i, i+1)
	}
	for _, g := range got {
		t.Errorf("found and not expected: %s", g)
	}
}

// What the doctor finds on real servers: nothing on good ones, and each thing that is broken where it is broken.
func TestDoctor(t *testing.T) {
	clustertest.EachEngine(t, func(t *testing.T, e mysqltest.Engine) {
		c := clustertest.Shared(t, e)
		r1, r2 := c.Replicas[0], c.Replicas[1]
		wantFindings(t, c, examine(t, c))

		readOnly, stop, start := "super_read_only", "STOP REPLICA;", "START REPLICA;"
		if e == mysqltest.MariaDB {
			readOnly, stop, start = "read_only", "STOP SLAVE;", "START SLAVE;"
		}
		t.Run("writable and stopped", func(t *testing.T) {
			clustertest.Exec(t, r1, "SET GLOBAL read_only=OFF;")
			clustertest.Exec(t, r2, "%s", stop)
			wantFindings(t, c, examine(t, c),
				"error r1 read_only: SET GLOBAL "+readOnly+"=ON", "error r2 replication: it receives nothing", "error r2 replication: it applies nothing")
			clustertest.Exec(t, r1, "SET GLOBAL read_only=ON; SET GLOBAL %s=ON;", readOnly)
			clustertest.Exec(t, r2, "%s", start)
			if err := c.Reset(clustertest.Context(t)); err != nil { // waits until it is connected
				t.Fatal(err)
			}
		})
		t.Run("settings", func(t *testing.T) {
			clustertest.Exec(t, r1, "SET GLOBAL sql_mode='ANSI'; SET GLOBAL time_zone='+05:00';")
			wantFindings(t, c, examine(t, c), `warning r1 defaults: time_zone is "+05:00" (primary: "SYSTEM")`)
			clustertest.Exec(t, r1, "SET GLOBAL sql_mode='%s'; SET GLOBAL time_zone='SYSTEM';", strings.TrimSpace(clustertest.Read(t, c.Primary, "SELECT @@GLOBAL.sql_mode;")))
		})
	})
}

// Accounts: a monitor that may ask too little, one that may do everything, and an application that passes read_only.
func TestDoctorAccounts(t *testing.T) {
	clustertest.EachEngine(t, func(t *testing.T, e mysqltest.Engine) {
		c := clustertest.Shared(t, e)
		clustertest.Exec(t, c.Primary, "CREATE USER poor@'%%' IDENTIFIED BY 'poor'; CREATE USER strong@'%%' IDENTIFIED BY 'strong'; GRANT ALL ON *.* TO strong@'%%';")
		t.Cleanup(func() { clustertest.Exec(t, c.Primary, "DROP USER poor@'%%', strong@'%%';") })
		if err := c.WaitCaughtUp(clustertest.Context(t)); err != nil {
			t.Fatal(err)
		}
		as := func(user string) func(*doctor.Options) {
			return func(o *doctor.Options) { o.Monitor = &backend.Account{User: user, Password: user} }
		}
		missing := "GRANT REPLICATION CLIENT ON *.* TO 'poor'@'%'"
		if e == mysqltest.MariaDB {
			missing = "GRANT REPLICA MONITOR ON *.* TO 'poor'@'%'"
		}
		wantFindings(t, c, examine(t, c, as("poor")), "error p privileges: "+missing, "error r1 privileges: "+missing, "error r2 privileges: "+missing)
		wrong := func(o *doctor.Options) { o.Monitor.Password = "wrong" }
		wantFindings(t, c, examine(t, c, wrong), "error p reach: check the name and the password", "error r1 reach: 28000", "error r2 reach: 28000")
		passes := []string{"warning p privileges: more than it needs", "warning r1 privileges: more than it needs", "warning r2 privileges: more than it needs"}
		app := []string{}
		if e == mysqltest.MariaDB { // MySQL's replicas are super_read_only
			app = []string{"warning r1 read_only: 'strong'", "warning r2 read_only: 'strong'"}
		}
		wantFindings(t, c, examine(t, c, as("strong")), append(passes, app...)...)
		apps := func(o *doctor.Options) {
			o.Accounts = []backend.Account{{User: "strong", Password: "strong"}, {User: "poor", Password: "poor"}}
		}
		wantFindings(t, c, examine(t, c, apps), app...)
	})
}

// Servers that are not what the proxy is made for: no GTIDs, a replica that has written, and one that follows another
// primary.
func TestDoctorOtherClusters(t *testing.T) {
	clustertest.EachEngine(t, func(t *testing.T, e mysqltest.Engine) {
		bare := clustertest.Start(t, mysqltest.Config{Engine: e, Replicas: 1})
		want, grant, readOnly := []string{"warning p gtid: gtid_mode is OFF", "warning r1 gtid: gtid_mode is OFF"}, "REPLICATION CLIENT", "super_read_only"
		if e == mysqltest.MariaDB {
			want, grant, readOnly = []string{"warning p gtid: gtid_strict_mode is OFF", "warning r1 gtid: gtid_strict_mode is OFF"}, "BINLOG MONITOR, REPLICA MONITOR", "read_only"
		}
		wantFindings(t, bare, examine(t, bare), want...)

		c := clustertest.Start(t, mysqltest.Config{Engine: e, Replicas: 1, GTID: true})
		clustertest.Exec(t, c.Replicas[0], "SET GLOBAL %s=OFF; CREATE DATABASE errant; SET GLOBAL %[1]s=ON;", readOnly)
		wantFindings(t, c, examine(t, c), "warning r1 errant: transactions that the primary does not have")

		// Somebody mixed up the addresses. MariaDB knows a server by a number only.
		if e == mysqltest.MariaDB {
			clustertest.Exec(t, bare.Primary, "SET GLOBAL server_id=77;")
		}
		for _, s := range []*mysqltest.Server{bare.Primary, c.Replicas[0]} {
			clustertest.Exec(t, s, "SET GLOBAL %s=OFF; CREATE USER visitor@'%%' IDENTIFIED BY 'visitor'; GRANT %s ON *.* TO visitor@'%%';", readOnly, grant)
		}
		clustertest.Exec(t, c.Replicas[0], "SET GLOBAL %s=ON;", readOnly)
		findings := doctor.Examine(clustertest.Context(t), doctor.Options{
			Primary:  backend.ServerConfig{Address: bare.Primary.Addr()},
			Replicas: []backend.ServerConfig{{Address: c.Replicas[0].Addr()}},
			Monitor:  &backend.Account{User: "visitor", Password: "visitor"},
		})
		i := slices.IndexFunc(findings, func(f doctor.Finding) bool { return f.Check == "replication" })
		if i < 0 || findings[i].Severity != doctor.Error || !strings.Contains(findings[i].Found, "which is not this primary") {
			t.Errorf("got %+v", findings)
		}
	})
}
