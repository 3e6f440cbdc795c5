package proxy

import (
	"testing"

	"github.com/stickyproxy/stickyproxy/internal/mysqltest/fakeserver"
	"github.com/stickyproxy/stickyproxy/mysqlwire"
)

// From 11 on, MariaDB reports a variable that was not set in the place of the one that was: the primary is asked for all of
// them, before the next read elsewhere.
func TestVariablesReportedByAnothersName(t *testing.T) {
	const (
		quote = "SET sql_quote_show_create = 0"
		watch = "SET profiling = 1"
	)
	for _, row := range []struct {
		version string
		asks    bool
	}{{"11.8.9-MariaDB-fake", true}, {"10.11.19-MariaDB-fake", false}} {
		r := startRig(t, rigOptions{replicas: 1, mariaDB: true, version: row.version})
		sets := append(alikeAsked[:2:2], "sql_quote_show_create")
		profiled := append(alikeAsked[:2:2], "profiling")
		r.primary.on(func(c *fakeserver.Conn, cmd fakeserver.Command) error {
			switch cmd.SQL {
			case quote, watch, "SET autocommit = 1":
				return c.OK(fakeserver.OK{Track: []fakeserver.Track{fakeserver.TrackVariable("autocommit", "ON")}})
			case askFor(sets):
				return c.Rows(append(sets, "n"), [][]any{{"utf8mb4", "utf8mb4_bin", "0", "3"}}, fakeserver.OK{})
			case askFor(profiled):
				return c.Rows(append(profiled, "n"), [][]any{{"utf8mb4", "utf8mb4_bin", "1", "3"}}, fakeserver.OK{})
			}
			return errDefault
		})
		c := r.connect()
		c.ok("SET autocommit = 1")
		c.from(r.replicas[0], "SELECT 1")
		c.ok(quote)
		c.from(r.replicas[0], "SELECT 2")
		c.from(r.replicas[0], "SELECT 3")
		if !row.asks {
			r.primary.wantSent("SET autocommit = 1", quote)
			continue
		}
		r.primary.wantSent("SET autocommit = 1", quote, askFor(sets), finds(3), setsNothing)
		if sent := r.replicas[0].sent(); len(sent) != 4 || sent[0] != "SELECT 1" || sent[2] != "SELECT 2" || sent[3] != "SELECT 3" {
			t.Errorf("the replica was sent %q", sent)
		}
		c.ok(watch)
		c.from(r.primary, "SELECT 4")
	}
}

// What can no longer be asked for when it matters, or may be anything, keeps reads on the primary.
func TestVariablesThatCannotBeAskedFor(t *testing.T) {
	for _, sql := range []string{
		"SET sql_log_bin = 0", "SET timestamp = 5", "SET rand_seed1 = 1, rand_seed2 = 2", "SET SESSION skip_replication = 1", "CALL sets()",
	} {
		r := startRig(t, rigOptions{replicas: 1, mariaDB: true, version: "11.8.9-MariaDB-fake"})
		r.primary.on(answering(map[string]fakeserver.OK{
			sql:                 {Track: []fakeserver.Track{fakeserver.TrackVariable("autocommit", "ON")}},
			"SET timestamp = 0": {Track: []fakeserver.Track{fakeserver.TrackVariable("identity", "0")}},
		}))
		c := r.connect()
		c.ok(sql)
		r.clock.advance(DefaultWindow)
		c.from(r.primary, "SELECT 1")
	}
}

// Where a variable is reported by another's name, the client is told of the one that it wants to be told of.
func TestReportedByItsOwnName(t *testing.T) {
	const off = mysqlwire.Status(0)
	for _, tt := range []struct {
		name, value string
		wanted      []string // nil: the defaults
		status      mysqlwire.Status
		own, is     string
	}{
		{"autocommit", "OFF", nil, off, "autocommit", "OFF"},
		{"sql_warnings", "OFF", nil, mysqlwire.StatusAutocommit, "autocommit", "ON"},
		{"sql_warnings", "ON", nil, off, "autocommit", "OFF"},
		{"sql_warnings", "ON", []string{"sql_warnings"}, off, "sql_warnings", "ON"},
		{"sql_warnings", "ON", []string{"time_zone"}, off, "sql_warnings", "ON"},
		{"collation_connection", "utf8mb4_uca1400_ai_ci", nil, off, "character_set_connection", "utf8mb4"},
		{"collation_connection", "binary", nil, off, "character_set_connection", "binary"},
		{"collation_connection", "latin1_bin", []string{"collation_connection"}, off, "collation_connection", "latin1_bin"},
		{"timestamp", "5.000000", nil, off, "timestamp", "5.000000"},
		{"time_zone", "SYSTEM", nil, off, "time_zone", "SYSTEM"},
	} {
		own, is := (&tracking{variables: tt.wanted}).byOwnName([]byte(tt.name), []byte(tt.value), tt.status)
		if string(own) != tt.own || string(is) != tt.is {
			t.Errorf("%s=%s for %v: got %s=%s, want %s=%s", tt.name, tt.value, tt.wanted, own, is, tt.own, tt.is)
		}
	}
}
