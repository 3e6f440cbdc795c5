package doctor

import (
	"strings"
	"testing"
	"time"

	"github.com/stickyproxy/stickyproxy/backend"
	"github.com/stickyproxy/stickyproxy/internal/mysqltest/fakeserver"
)

// script is what a fake server answers: rows by the beginning of the statement, the first that fits. A number alone is
// the code of a refusal.
type script []struct {
	begins  string
	columns []string
	values  [][]any
	refuse  uint16
}

func (s script) handle(c *fakeserver.Conn, cmd fakeserver.Command) error {
	for _, line := range s {
		switch {
		case !strings.HasPrefix(cmd.SQL, line.begins):
		case line.refuse != 0:
			return c.Error(line.refuse, "42000", "refused")
		case line.columns == nil:
			return c.OK(fakeserver.OK{})
		default:
			return c.Rows(line.columns, line.values, fakeserver.OK{})
		}
	}
	return c.Error(1064, "42000", "not in the script: "+cmd.SQL)
}

// greeting is what follows each login.
var greeting = script{
	{begins: "SET SESSION session_track"},
	{begins: "SELECT CONCAT(@@server_uuid", columns: []string{"inc", "db", "variables"}, values: [][]any{{"u/1", nil, "1"}}},
}

// talkative answers everything.
var talkative = append(greeting[:2:2],
	script{
		{begins: "SHOW GLOBAL VARIABLES", columns: []string{"Variable_name", "Value"}, values: [][]any{{"gtid_mode", "ON"}, {"READ_ONLY", "ON"}}},
		{begins: "SELECT @@global.gtid_executed", columns: []string{"value"}, values: [][]any{{"u:1-5"}}},
		{begins: "SHOW REPLICA STATUS", columns: []string{"Source_UUID", "SQL_Delay"}, values: [][]any{{"p", "0"}}},
		{begins: "SHOW BINARY LOG STATUS", columns: []string{"File", "Position"}, values: [][]any{{"binlog.000001", "4"}}},
		{begins: "SELECT CURRENT_USER()", columns: []string{"value"}, values: [][]any{{"monitor@10.%"}}},
		{begins: "SHOW GRANTS", columns: []string{"Grants for monitor@%"}, values: [][]any{{"GRANT USAGE ON *.* TO `monitor`@`%`"}}},
		{begins: "SELECT DISTINCT grantee", columns: []string{"grantee"}, values: [][]any{{"'root'@'%'"}}},
		{begins: "SELECT UNIX_TIMESTAMP", columns: []string{"value"}, values: [][]any{{"1000000000.5"}}},
		{begins: "SELECT GTID_SUBTRACT('u:1-5', @@global.gtid_executed)", columns: []string{"value"}, values: [][]any{{"u:5"}}},
	}...)

func visitFake(t *testing.T, s script, role backend.Role, elsewhere ...*chart) *chart {
	t.Helper()
	f := fakeserver.Start(t, fakeserver.Options{Version: "9.7.0", Handler: s.handle})
	return visit(t.Context(), backend.ServerConfig{Address: f.Addr()}, role, backend.Account{User: "monitor"}, elsewhere)
}

func TestVisit(t *testing.T) {
	c := visitFake(t, talkative, backend.RoleReplica)
	if c.err != nil {
		t.Fatal(c.err)
	}
	if c.version != (release{9, 7, 0}) || c.mariaDB || !c.tracked || c.incarnation != "u/1" || c.tls != "" {
		t.Errorf("introduced as %+v", c)
	}
	if !c.isOn("read_only") || c.executed != "u:1-5" || c.streams[0]["Source_UUID"] != "p" || c.binlog["File"] != "binlog.000001" {
		t.Errorf("chart: %+v", c)
	}
	if c.account != "monitor@10.%" || len(c.grants) != 1 || len(c.writers) != 1 {
		t.Errorf("accounts: %+v", c)
	}
	if ahead := time.Until(time.Unix(1000000000, 5e8)); (c.clock - ahead).Abs() > time.Minute {
		t.Errorf("clock: got %v, want %v", c.clock, ahead)
	}
	p := visitFake(t, talkative, backend.RolePrimary, c)
	if p.err != nil || c.errant != "u:5" {
		t.Errorf("errant: got %q, %v", c.errant, p.err)
	}
}

// Ensure that questions which the server refuses are noted, and that everything else is asked all the same.
func TestVisitRefused(t *testing.T) {
	refusing := append(greeting[:2:2], script{
		{begins: "SHOW REPLICA STATUS", refuse: 1227},
		{begins: "SHOW BINARY LOG STATUS", refuse: 1227},
		{begins: "SHOW GRANTS", refuse: 1142},
		{begins: "SELECT DISTINCT grantee", refuse: 1142},
		{begins: "SELECT UNIX_TIMESTAMP", refuse: 1142},
	}...)
	c := visitFake(t, append(refusing, talkative...), backend.RoleReplica)
	if c.err != nil || c.streamsNo == nil || c.binlogNo == nil || c.grants != nil || c.clockError != maxClockError || c.account == "" {
		t.Errorf("chart: %+v", c)
	}
}

// Ensure that a server that breaks off, and one that nobody is at, are findings.
func TestVisitBroken(t *testing.T) {
	if c := visitFake(t, greeting, backend.RolePrimary); c.err == nil {
		t.Error("a server that knows no variables: no error")
	}
	f := fakeserver.Start(t, fakeserver.Options{})
	f.Close()
	findings := Examine(t.Context(), Options{Primary: backend.ServerConfig{Address: f.Addr()}, Monitor: &backend.Account{User: "monitor"}})
	if len(findings) != 1 || findings[0].Check != "reach" || findings[0].Severity != Error || !strings.Contains(findings[0].Advice, "start the server") {
		t.Errorf("got %+v", findings)
	}
}

// Ensure that accounts of applications are looked at with their own rights.
func TestVisitAccounts(t *testing.T) {
	rights := append(greeting[:2:2], script{{begins: "SHOW GRANTS", columns: []string{"Grants"}, values: [][]any{{"GRANT SUPER ON *.* TO `app`@`%`"}}}}...)
	f := fakeserver.Start(t, fakeserver.Options{Version: "9.7.0", Handler: rights.handle, Users: map[string]string{"app": "secret"}, Plugin: "mysql_native_password"})
	accounts := []backend.Account{{User: "nobody", Password: "x"}, {User: "app", Password: "secret"}}
	got := visitAccounts(t.Context(), backend.ServerConfig{Address: f.Addr()}, new(chart), accounts)
	if len(got) != 1 || got[0] != "'app'" {
		t.Errorf("got %v", got)
	}
}
