package proxy

import (
	"slices"
	"strings"
	"testing"

	"github.com/go-mysql-org/go-mysql/mysql"

	"github.com/stickyproxy/stickyproxy/backend"
	"github.com/stickyproxy/stickyproxy/internal/mysqltest/fakeserver"
	"github.com/stickyproxy/stickyproxy/mysqlwire"
	"github.com/stickyproxy/stickyproxy/router"
)

// The value that a server reported is written so that SET takes it back.
func TestAppendValue(t *testing.T) {
	for _, tt := range []struct{ name, value, want string }{
		{"sql_mode", "ANSI", "'ANSI'"},
		{"sql_mode", "", "''"},
		{"character_set_results", "", "NULL"},
		{"sql_select_limit", "18446744073709551615", "18446744073709551615"},
		{"long_query_time", "10.500000", "10.500000"},
		{"a", "-5", "-5"},
		{"time_zone", "-05:00", "'-05:00'"},
		{"a", "-", "'-'"},
		{"a", ".5", "'.5'"},
		{"init", `it's`, "_binary X'69742773'"},
		{"init", `\`, "_binary X'5c'"},
	} {
		if got := string(appendValue(nil, tt.name, tt.value)); got != tt.want {
			t.Errorf("%s %q: got %s, want %s", tt.name, tt.value, got, tt.want)
		}
	}
}

// All variables are in one SET, character sets last, and as NAMES where that says the same.
func TestAppendSet(t *testing.T) {
	for _, tt := range []struct {
		name string
		vars string // name=value, separated by spaces
		want string // the assignments, in order
	}{
		{"one", "a=1", "@@SESSION.a=1"},
		{"character sets last, the collation behind them", "collation_connection=utf8mb4_bin character_set_client=latin1 a=x",
			"@@SESSION.a='x',@@SESSION.character_set_client='latin1',@@SESSION.collation_connection='utf8mb4_bin'"},
		{"results by themselves", "character_set_client=latin1 character_set_connection=latin1 character_set_results=latin1 collation_connection=latin1_bin a=1",
			"@@SESSION.a=1,@@SESSION.character_set_client='latin1',@@SESSION.character_set_connection='latin1'," +
				"@@SESSION.character_set_results='latin1',@@SESSION.collation_connection='latin1_bin'"},
		{"NAMES with a collation", "character_set_client=latin1 character_set_connection=latin1 character_set_results=latin1 collation_connection=latin1_bin a=1 NAMES=latin1_bin",
			"@@SESSION.a=1,NAMES 'latin1' COLLATE 'latin1_bin'"},
		{"NAMES with another collation", "character_set_client=latin1 character_set_connection=latin1 character_set_results=latin1 collation_connection=utf8mb4_bin NAMES=latin1_bin",
			"NAMES 'latin1' COLLATE 'latin1_bin',@@SESSION.collation_connection='utf8mb4_bin'"},
		{"NAMES and another set", "character_set_client=latin1 character_set_connection=utf8mb4 character_set_results=latin1 NAMES=latin1_bin",
			"NAMES 'latin1' COLLATE 'latin1_bin',@@SESSION.character_set_connection='utf8mb4'"},
		{"not NAMES", "character_set_client=latin1 character_set_results=latin1",
			"@@SESSION.character_set_client='latin1',@@SESSION.character_set_results='latin1'"},
		{"what NAMES does not set", "character_set_client=latin1 character_set_connection=latin1 character_set_results=latin1 character_set_server=ascii NAMES=latin1_bin",
			"NAMES 'latin1' COLLATE 'latin1_bin',@@SESSION.character_set_server='ascii'"},
		{"different sets", "character_set_client=latin1 character_set_results=",
			"@@SESSION.character_set_client='latin1',@@SESSION.character_set_results=NULL"},
	} {
		vars := make(map[string]string)
		for _, v := range strings.Fields(tt.vars) {
			name, value, _ := strings.Cut(v, "=")
			vars[name] = value
		}
		sorted := func(s string) []string { // within one order, variables come as they like
			parts := strings.Split(s, ",")
			if tt.name == "different sets" || tt.name == "not NAMES" || tt.name == "results by themselves" {
				slices.Sort(parts)
			}
			return parts
		}
		named := vars["NAMES"]
		delete(vars, "NAMES")
		got := string(appendSet(nil, 0, vars, named))
		if !slices.Equal(sorted(strings.TrimPrefix(got, "\x03SET ")), sorted(tt.want)) {
			t.Errorf("%s: got %q, want %q", tt.name, got, tt.want)
		}
	}
	if got := string(appendQuery(nil, mysqlwire.CapQueryAttributes, "SET a=1")); got != "\x03\x00\x01SET a=1" {
		t.Errorf("with query attributes: %q", got)
	}
}

// Some variables are nobody else's business, and some cannot be told.
func TestReplayOf(t *testing.T) {
	for _, tt := range []struct {
		name    string
		version uint64
		held    router.Reason
	}{
		{"time_zone", 1, router.ReasonNone},
		{"session_track_gtids", 0, router.ReasonNone},
		{"last_insert_id", 0, router.ReasonNone},
		{"character_set_database", 0, router.ReasonNone},
		{"autocommit", 0, router.ReasonNone},
		{"timestamp", 0, router.ReasonUnknownState},
		{"sql_log_bin", 0, router.ReasonNone}, // it is on
		{"skip_replication", 0, router.ReasonUnknownState},
		{"profiling", 0, router.ReasonObserved},
	} {
		s := newState(&backend.Conn{Tracked: true})
		s.setVariable(tt.name, "1")
		if s.version != tt.version || s.held.reason() != tt.held {
			t.Errorf("%s: version %d, held %v", tt.name, s.version, s.held.reason())
		}
	}
}

// Servers do not report the collation of SET NAMES ... COLLATE: the primary is asked once, before the next read elsewhere.
func TestCollationIsAskedFor(t *testing.T) {
	r := startRig(t, rigOptions{replicas: 1})
	const set = "SET NAMES latin1 COLLATE latin1_bin"
	silent := false
	r.primary.on(func(c *fakeserver.Conn, cmd fakeserver.Command) error {
		switch cmd.SQL {
		case set:
			var all []fakeserver.Track
			for _, name := range []string{"character_set_client", "character_set_connection", "character_set_results"} {
				all = append(all, fakeserver.TrackVariable(name, "latin1"))
			}
			return c.OK(fakeserver.OK{Track: all})
		case tellsCollation:
			if silent {
				break
			}
			return c.OK(fakeserver.OK{Track: []fakeserver.Track{fakeserver.TrackVariable("collation_connection", "latin1_bin")}})
		}
		return errDefault
	})
	c := r.connect()
	c.ok(set)
	c.from(r.replicas[0], "SELECT 1")
	c.from(r.replicas[0], "SELECT 2")
	r.primary.wantSent(set, tellsCollation)
	r.replicas[0].wantSent("SET NAMES 'latin1' COLLATE 'latin1_bin'", "SELECT 1", "SELECT 2")
	silent = true
	d := r.connect()
	d.ok(set)
	d.loses("SELECT 1")
	d.ended(0)
	c.ok(set)
	r.primary.on(refusing(tellsCollation, 1))
	c.loses("SELECT 3")
	c.ended(0)
}

// Who has the primary trace or count what his statements do has them run there, until he has had enough.
func TestObservedStatementsStay(t *testing.T) {
	r := startRig(t, rigOptions{replicas: 1})
	r.primary.on(answering(map[string]fakeserver.OK{
		"SET optimizer_trace = 'enabled=on'":  {Track: []fakeserver.Track{fakeserver.TrackVariable("optimizer_trace", "enabled=on,one_line=off")}},
		"SET optimizer_trace = 'enabled=off'": {Track: []fakeserver.Track{fakeserver.TrackVariable("optimizer_trace", "enabled=off,one_line=off")}},
	}))
	c := r.connect()
	c.ok("SET optimizer_trace = 'enabled=on'")
	c.from(r.primary, "SELECT 1")
	c.ok("SET optimizer_trace = 'enabled=off'")
	c.from(r.replicas[0], "SELECT 1")
	for _, sql := range []string{"FLUSH STATUS", "flush local  status"} {
		c := r.connect()
		c.ok("FLUSH TABLES")
		r.clock.advance(DefaultWindow)
		c.from(r.replicas[0], "SELECT 1")
		c.ok(sql)
		r.clock.advance(DefaultWindow)
		c.from(r.primary, "SELECT 1")
		if got := c.ask(mysql.COM_RESET_CONNECTION, ""); got.err != nil {
			t.Fatal(got)
		}
		c.from(r.replicas[0], "SELECT 1")
	}
}
