package doctor

import (
	"context"
	"errors"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/stickyproxy/stickyproxy/backend"
	"github.com/stickyproxy/stickyproxy/mysqlwire"
)

// healthyMySQL is what a primary and a replica say when all is well.
func healthyMySQL() *examination {
	common := map[string]string{
		"gtid_mode": "ON", "enforce_gtid_consistency": "ON", "log_bin": "ON", "binlog_format": "ROW", "sql_mode": "ANSI",
		"time_zone": "SYSTEM", "system_time_zone": "UTC", "lower_case_table_names": "0", "replica_parallel_workers": "4",
		"replica_preserve_commit_order": "ON", "replica_skip_errors": "OFF", "replica_exec_mode": "STRICT",
		"max_allowed_packet": "67108864",
	}
	p := &chart{address: "10.0.0.1:3306", role: backend.RolePrimary, version: release{9, 7, 0}, tracked: true, tls: "TLS 1.3", incarnation: "p/1", variables: maps.Clone(common)}
	r := &chart{address: "10.0.0.2:3306", role: backend.RoleReplica, version: release{9, 7, 0}, tracked: true, tls: "TLS 1.3", incarnation: "r/1", variables: maps.Clone(common)}
	maps.Copy(p.variables, map[string]string{"server_id": "1", "server_uuid": "p", "read_only": "OFF", "super_read_only": "OFF"})
	maps.Copy(r.variables, map[string]string{"server_id": "2", "server_uuid": "r", "read_only": "ON", "super_read_only": "ON"})
	r.streams = []row{{"Source_UUID": "p", "Source_Host": "10.0.0.1", "Source_Port": "3306", "Replica_IO_Running": "Yes", "Replica_SQL_Running": "Yes", "SQL_Delay": "0"}}
	for _, c := range []*chart{p, r} {
		c.account, c.grants = "monitor@%", []string{"GRANT REPLICATION CLIENT ON *.* TO `monitor`@`%`"}
	}
	return newExamination(p, r)
}

// healthyMariaDB is the same of MariaDB.
func healthyMariaDB() *examination {
	common := map[string]string{"gtid_strict_mode": "ON", "log_bin": "ON", "binlog_format": "MIXED", "time_zone": "+00:00"}
	p := &chart{address: "10.0.0.1:3306", role: backend.RolePrimary, mariaDB: true, version: release{10, 11, 4}, tracked: true, tls: "TLS 1.3", incarnation: "1", variables: maps.Clone(common)}
	r := &chart{address: "10.0.0.2:3306", role: backend.RoleReplica, mariaDB: true, version: release{10, 11, 4}, tracked: true, tls: "TLS 1.3", incarnation: "2", variables: maps.Clone(common)}
	maps.Copy(p.variables, map[string]string{"server_id": "1", "read_only": "OFF"})
	maps.Copy(r.variables, map[string]string{"server_id": "2", "read_only": "ON"})
	r.streams = []row{{"Master_Server_Id": "1", "Master_Host": "10.0.0.1", "Master_Port": "3306", "Slave_IO_Running": "Yes", "Slave_SQL_Running": "Yes", "SQL_Delay": "0"}}
	for _, c := range []*chart{p, r} {
		c.account, c.grants = "monitor@%", []string{"GRANT BINLOG MONITOR, SLAVE MONITOR ON *.* TO `monitor`@`%` IDENTIFIED BY PASSWORD '*00'"}
	}
	return newExamination(p, r)
}

func newExamination(p *chart, replicas ...*chart) *examination {
	e := &examination{primary: p, replicas: replicas, options: Options{Primary: backend.ServerConfig{Address: p.address}}}
	for _, r := range replicas {
		e.options.Replicas = append(e.options.Replicas, backend.ServerConfig{Address: r.address})
	}
	return e
}

// problems are the findings that are not OK, as "severity server check".
func problems(findings []Finding) (list []string) {
	for _, f := range findings {
		if f.Problem() {
			list = append(list, string(f.Severity)+" "+f.Server+" "+f.Check)
		}
	}
	return list
}

func TestHealthy(t *testing.T) {
	for name, e := range map[string]*examination{"MySQL": healthyMySQL(), "MariaDB": healthyMariaDB()} {
		findings := e.judge()
		if got := problems(findings); len(got) > 0 {
			t.Errorf("%s: got %v, want none", name, got)
		}
		if len(findings) < 10 || Worst(findings) != OK {
			t.Errorf("%s: got %d findings, worst %s", name, len(findings), Worst(findings))
		}
	}
}

// Where the problems of brokenSetups are.
const primary, replica = " 10.0.0.1:3306 ", " 10.0.0.2:3306 "

var refused = mysqlwire.NewError(1227, "Access denied; you need (at least one of) the REPLICATION CLIENT privilege(s)")

func set(c *chart, name, value string) { c.variables[name] = value }

// brokenSetups are healthy servers with one change each, and what is found then.
var brokenSetups = []struct {
	name   string
	change func(e *examination, p, r *chart)
	want   string // findings, separated by commas
	says   string // in the first of them, what was found or is to be done
	maria  bool
}{
	{"primary away", func(_ *examination, p, _ *chart) { p.err = errors.New("connecting: refused") }, "error" + primary + "reach", "refused", false},
	{"replica away", func(_ *examination, _, r *chart) { r.err = refused }, "error" + replica + "reach", "server's own answer", false},
	{"too slow", func(_ *examination, _, r *chart) { r.err = context.DeadlineExceeded }, "error" + replica + "reach", "firewall", false},
	{"expired", func(_ *examination, _, r *chart) { r.expired = true }, "error" + replica + "reach", "expired", false},
	{"old", func(_ *examination, p, _ *chart) { p.version = release{5, 6, 51} }, "warning" + primary + "version", "5.6.51", false},
	{"older than the primary", func(_ *examination, _, r *chart) { r.version = release{8, 4, 3} }, "warning" + replica + "release", "8.4.3", false},
	{"another product", func(_ *examination, _, r *chart) { r.mariaDB = true; r.version = release{10, 11, 0} }, "error" + replica + "release,warning" + replica + "gtid", "cannot be compared", false},
	{"in the clear", func(_ *examination, _, r *chart) { r.tls = "" }, "warning" + replica + "tls", "offers no TLS", false},
	{"TLS not used", func(_ *examination, _, r *chart) { r.tls, r.offersTLS = "", true }, "warning" + replica + "tls", "as-client", false},
	{"privilege missing", func(_ *examination, _, r *chart) { r.streams, r.streamsNo = nil, refused }, "error" + replica + "privileges", "GRANT REPLICATION CLIENT ON *.* TO 'monitor'@'%'", false},
	{"privilege missing, MariaDB", func(_ *examination, _, r *chart) { r.streams, r.streamsNo = nil, refused }, "error" + replica + "privileges", "GRANT REPLICA MONITOR ON", true},
	{"too many privileges", func(_ *examination, p, _ *chart) { p.grants = []string{"GRANT ALL PRIVILEGES ON *.* TO `root`@`%`"} }, "warning" + primary + "privileges", "ALL PRIVILEGES ON *.*", false},
	{"rights in a schema", func(_ *examination, p, _ *chart) {
		p.grants = append(p.grants, "GRANT SELECT, INSERT ON `app`.* TO `monitor`@`%`", "GRANT SELECT ON `performance_schema`.* TO `monitor`@`%`", "GRANT `r`@`%` TO `monitor`@`%`")
	}, "warning" + primary + "privileges", "SELECT ON app.*, INSERT ON app.*", false},
	{"no tracking", func(_ *examination, p, _ *chart) { p.tracked = false }, "warning" + primary + "tracking", "window", false},
	{"tracking turned off", func(_ *examination, p, _ *chart) { p.tracked = false; set(p, "session_track_system_variables", "") }, "warning" + primary + "tracking", "stay on the primary", true},
	{"no tracking, mode gtid", func(e *examination, p, _ *chart) { p.tracked = false; e.options.GTIDOnly = true }, "error" + primary + "tracking", "window", false},
	{"GTIDs off", func(_ *examination, p, r *chart) { set(p, "gtid_mode", "OFF"); set(r, "gtid_mode", "OFF") }, "warning" + primary + "gtid,warning" + replica + "gtid", "gtid_mode is OFF", false},
	{"GTIDs off, and no position", func(_ *examination, p, r *chart) {
		set(p, "gtid_mode", "OFF")
		set(r, "gtid_mode", "OFF")
		p.binlogNo = refused
	}, "error" + primary + "privileges,warning" + primary + "gtid,warning" + replica + "gtid", "position", false},
	{"GTIDs off on the replica", func(_ *examination, _, r *chart) { set(r, "gtid_mode", "OFF_PERMISSIVE") }, "error" + replica + "gtid", "the primary's is ON", false},
	{"no consistency", func(_ *examination, p, _ *chart) { set(p, "enforce_gtid_consistency", "WARN") }, "warning" + primary + "gtid", "WARN", false},
	{"not strict", func(_ *examination, _, r *chart) { set(r, "gtid_strict_mode", "OFF") }, "warning" + replica + "gtid", "gtid_strict_mode", true},
	{"no binary log", func(_ *examination, p, _ *chart) { set(p, "log_bin", "OFF") }, "error" + primary + "binlog", "log_bin", true},
	{"statements logged", func(_ *examination, p, _ *chart) { set(p, "binlog_format", "STATEMENT") }, "warning" + primary + "binlog", "binlog_format", false},
	{"schemas not logged", func(_ *examination, p, _ *chart) { p.binlog = row{"Binlog_Ignore_DB": "app"} }, "error" + primary + "binlog", "binlog_ignore_db is app", false},
	{"primary read-only", func(_ *examination, p, _ *chart) { set(p, "read_only", "ON") }, "error" + primary + "role", "writes fail", false},
	{"primary demoted", func(_ *examination, p, _ *chart) {
		set(p, "read_only", "ON")
		p.streams = []row{{"Source_Host": "10.0.0.9", "Source_Port": "3306"}}
	}, "error" + primary + "role", "10.0.0.9:3306", false},
	{"primary follows", func(_ *examination, p, _ *chart) {
		p.streams = []row{{"Master_Host": "10.0.0.9", "Master_Port": "3306"}}
	}, "warning" + primary + "role", "10.0.0.9:3306", true},
	{"the primary twice", func(_ *examination, _, r *chart) { r.incarnation = "p/1" }, "error" + replica + "identity", "the primary itself", false},
	{"same uuid", func(_ *examination, _, r *chart) { set(r, "server_uuid", "p") }, "error" + replica + "identity", "auto.cnf", false},
	{"same id", func(_ *examination, _, r *chart) { set(r, "server_id", "1") }, "error" + replica + "identity", "server_id", false},
	{"writable", func(_ *examination, _, r *chart) { set(r, "read_only", "OFF"); set(r, "super_read_only", "OFF") }, "error" + replica + "read_only", "SET GLOBAL super_read_only=ON", false},
	{"writable, MariaDB", func(_ *examination, _, r *chart) { set(r, "read_only", "OFF") }, "error" + replica + "read_only", "SET GLOBAL read_only=ON", true},
	{"writable for some", func(_ *examination, _, r *chart) { set(r, "super_read_only", "OFF") }, "warning" + replica + "read_only", "super_read_only", false},
	{"writable for the application", func(_ *examination, _, r *chart) { r.writers = []string{"'a'", "'b'", "'c'", "'d'"} }, "warning" + replica + "read_only", "'a', 'b', 'c' and 1 more", true},
	{"a writer before super_read_only", func(_ *examination, _, r *chart) { r.writers = []string{"'app'"} }, "", "", false},
	{"follows nobody", func(_ *examination, _, r *chart) { r.streams = nil }, "error" + replica + "replication", "CHANGE REPLICATION SOURCE TO", false},
	{"follows another", func(_ *examination, _, r *chart) { r.streams[0]["Source_UUID"] = "other" }, "error" + replica + "replication", "is not this primary", false},
	{"follows another, MariaDB", func(_ *examination, _, r *chart) { r.streams[0]["Master_Server_Id"] = "7" }, "error" + replica + "replication", "is not this primary", true},
	{"never reached it", func(_ *examination, _, r *chart) {
		r.streams[0]["Source_UUID"], r.streams[0]["Replica_IO_Running"], r.streams[0]["Last_IO_Error"] = "", "Connecting", "denied"
	}, "error" + replica + "replication,error" + replica + "replication", "never reached", false},
	{"stopped", func(_ *examination, _, r *chart) {
		r.streams[0]["Replica_IO_Running"], r.streams[0]["Replica_SQL_Running"] = "No", "No"
	}, "error" + replica + "replication,error" + replica + "replication", "START REPLICA", false},
	{"broken", func(_ *examination, _, r *chart) {
		r.streams[0]["Slave_SQL_Running"], r.streams[0]["Last_SQL_Error"] = "No", "duplicate key"
	}, "error" + replica + "replication", "duplicate key", true},
	{"connecting", func(_ *examination, _, r *chart) { r.streams[0]["Replica_IO_Running"] = "Connecting" }, "warning" + replica + "replication", "connecting", false},
	{"late on purpose", func(_ *examination, _, r *chart) { r.streams[0]["SQL_Delay"] = "3600" }, "warning" + replica + "replication", "3600 s", false},
	{"a part only", func(_ *examination, _, r *chart) { r.streams[0]["Replicate_Wild_Ignore_Table"] = "app.log%" }, "error" + replica + "complete", "replicate_wild_ignore_table is app.log%", false},
	{"other schemas", func(_ *examination, _, r *chart) { r.streams[0]["Replicate_Rewrite_DB"] = "(a,b)" }, "error" + replica + "complete", "replicate_rewrite_db is (a,b)", false},
	{"some domains", func(_ *examination, _, r *chart) { r.streams[0]["Replicate_Ignore_Domain_Ids"] = "5" }, "error" + replica + "complete", "replicate_ignore_domain_ids is 5", true},
	{"not the primary's", func(_ *examination, _, r *chart) { r.streams[0]["Replicate_Ignore_Server_Ids"] = "7, 1" }, "error" + replica + "complete", "server_id, 1", true},
	{"another's", func(_ *examination, _, r *chart) { r.streams[0]["Replicate_Ignore_Server_Ids"] = "11" }, "", "", true},
	{"marked for skip", func(_ *examination, _, r *chart) { set(r, "replicate_events_marked_for_skip", "FILTER_ON_SLAVE") }, "warning" + replica + "complete", "FILTER_ON_SLAVE", true},
	{"skips errors", func(_ *examination, _, r *chart) { set(r, "replica_skip_errors", "1062") }, "error" + replica + "complete", "1062", false},
	{"idempotent", func(_ *examination, _, r *chart) { set(r, "slave_exec_mode", "IDEMPOTENT") }, "warning" + replica + "complete", "IDEMPOTENT", true},
	{"commits in any order", func(_ *examination, _, r *chart) { set(r, "replica_preserve_commit_order", "OFF") }, "warning" + replica + "complete", "replica_preserve_commit_order", false},
	{"errant", func(_ *examination, _, r *chart) { r.errant = "u:1-3,\nv:4" }, "warning" + replica + "errant", "u:1-3,v:4", false},
	{"another sql_mode", func(_ *examination, _, r *chart) { set(r, "sql_mode", "") }, "warning" + replica + "defaults", `sql_mode is "" (primary: "ANSI")`, false},
	{"another case", func(_ *examination, _, r *chart) { set(r, "lower_case_table_names", "1") }, "warning" + replica + "defaults", "lower_case_table_names", false},
	{"shorter packets", func(_ *examination, _, r *chart) { set(r, "max_allowed_packet", "1048576") }, "warning" + replica + "defaults", "max_allowed_packet is 1048576 (primary: 67108864)", false},
	{"another zone", func(_ *examination, _, r *chart) { set(r, "system_time_zone", "CET") }, "error" + replica + "defaults", "CET", false},
	{"another zone that is not used", func(_ *examination, _, r *chart) { set(r, "system_time_zone", "CET") }, "", "", true},
	{"clock", func(_ *examination, _, r *chart) { r.clock = -12 * time.Second }, "warning" + replica + "clock", "12s behind", false},
	{"clock that is not known", func(_ *examination, _, r *chart) { r.clockError = maxClockError }, "", "", false},
}

// Ensure that each broken set-up is found where it is, as bad as it is, and nothing else with it.
func TestProblems(t *testing.T) {
	for _, row := range brokenSetups {
		t.Run(row.name, func(t *testing.T) {
			e := healthyMySQL()
			if row.maria {
				e = healthyMariaDB()
			}
			row.change(e, e.primary, e.replicas[0])
			findings := e.judge()
			if got := strings.Join(problems(findings), ","); got != row.want {
				t.Fatalf("got  %s\nwant %s", got, row.want)
			}
			for _, f := range findings {
				if !f.Problem() {
					continue
				}
				if !strings.Contains(f.Found+"\n"+f.Advice, row.says) || f.Advice == "" {
					t.Errorf("got %q, advice %q; want it to say %q", f.Found, f.Advice, row.says)
				}
				break
			}
		})
	}
}

// Ensure that two addresses of one replica, and a replica of a replica, are told.
func TestReplicasTogether(t *testing.T) {
	e := healthyMySQL()
	other := *e.replicas[0]
	other.address = "10.0.0.3:3306"
	same := newExamination(e.primary, e.replicas[0], &other)
	if got, want := strings.Join(problems(same.judge()), ","), "warning 10.0.0.3:3306 identity"; got != want {
		t.Errorf("twice: got %s, want %s", got, want)
	}
	other.incarnation, other.variables = "s/1", maps.Clone(other.variables)
	other.variables["server_id"], other.variables["server_uuid"] = "3", "s"
	other.streams = []row{maps.Clone(e.replicas[0].streams[0])}
	other.streams[0]["Source_UUID"] = "r"
	chain := newExamination(e.primary, e.replicas[0], &other)
	if got, want := strings.Join(problems(chain.judge()), ","), "warning 10.0.0.3:3306 replication"; got != want {
		t.Errorf("chain: got %s, want %s", got, want)
	}
}

func TestWithoutMonitor(t *testing.T) {
	if got := Examine(t.Context(), Options{}); len(got) != 1 || got[0].Severity != Warning {
		t.Errorf("no replicas: got %v", got)
	}
	if got := Examine(t.Context(), Options{Replicas: []backend.ServerConfig{{Address: "r:1"}}}); len(got) != 1 || Worst(got) != Error {
		t.Errorf("replicas: got %v", got)
	}
}

func TestReadRelease(t *testing.T) {
	for text, want := range map[string]release{
		"8.0.36-debug": {8, 0, 36}, "5.5.5-10.11.19-MariaDB-log": {10, 11, 19}, "9.7.0": {9, 7, 0}, "12": {12, 0, 0}, "x": {}, "": {}, "1.2.3.4": {1, 2, 3},
	} {
		if got := readRelease(text); got != want {
			t.Errorf("%q: got %v, want %v", text, got, want)
		}
	}
}

func TestErrantMariaDB(t *testing.T) {
	for _, row := range []struct{ replica, primary, want string }{
		{"0-1-10", "0-1-12", ""},
		{"0-1-10,0-2-11", "0-1-12", "0-2-11"},
		{"0-1-10,0-2-11", "0-1-12,0-2-11", ""},
		{"0-1-10, 1-2-5,\n0-3-9", "", "1-2-5"}, // what came from others is not its own
		{"", "0-1-12", ""},
		{"nonsense,-,0-2-x", "", ""},
	} {
		if got := errantMariaDB(row.replica, row.primary, "2"); got != row.want {
			t.Errorf("%q before %q: got %q, want %q", row.replica, row.primary, got, row.want)
		}
	}
}

func TestPassesReadOnly(t *testing.T) {
	for grant, want := range map[string]bool{
		"GRANT ALL PRIVILEGES ON *.* TO `root`@`%`":                 true,
		"GRANT SELECT, SUPER ON *.* TO `a`@`%`":                     true,
		"GRANT CONNECTION_ADMIN ON *.* TO `a`@`%`":                  true,
		"GRANT READ_ONLY ADMIN ON *.* TO `a`@`%`":                   true,
		"GRANT ALL PRIVILEGES ON `app`.* TO `a`@`%`":                false,
		"GRANT SELECT, INSERT ON *.* TO `a`@`%`":                    false,
		"GRANT `SUPER`@`%` TO `a`@`%`":                              false,
		"GRANT PROXY ON ``@`` TO `root`@`localhost`":                false,
		"SET DEFAULT ROLE `r` FOR `a`@`%`":                          false,
		"GRANT SELECT (`a`, `SUPER`), INSERT ON `x`.`y` TO `a`@`%`": false,
	} {
		if got := passesReadOnly([]string{grant}); got != want {
			t.Errorf("%s: got %v, want %v", grant, got, want)
		}
	}
}
