package proxy

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/go-mysql-org/go-mysql/mysql"

	"github.com/stickyproxy/stickyproxy/internal/mysqltest/fakeserver"
	"github.com/stickyproxy/stickyproxy/mysqlwire"
	"github.com/stickyproxy/stickyproxy/router"
)

// trackerServer keeps the trackers of its only client as a server does, and reports a change of time_zone and one of
// sql_mode with whatever is called SET time_zone.
func trackerServer(s *scriptedServer) {
	values := map[string]string{}
	defaults := []string{"time_zone,autocommit", "ON", "OFF", "OFF", "OFF"}
	prepared := ""
	s.on(func(c *fakeserver.Conn, cmd fakeserver.Command) error {
		switch {
		case cmd.Code == mysql.COM_STMT_PREPARE:
			prepared = cmd.SQL
			return errDefault
		case cmd.Code == mysql.COM_STMT_EXECUTE:
			cmd.SQL = prepared
		}
		switch {
		case strings.HasPrefix(cmd.SQL, "SET @@SESSION.session_track_"):
			for _, t := range trackers {
				_, rest, found := strings.Cut(cmd.SQL, t.name+"=")
				if value, _, _ := strings.Cut(rest, ",@@"); found {
					values[t.name] = strings.Trim(value, "'")
				}
			}
			return c.OK(fakeserver.OK{})
		case strings.HasPrefix(cmd.SQL, "SELECT @@SESSION.session_track_"):
			row := make([]any, len(trackers))
			names := make([]string, len(trackers))
			for i, t := range trackers {
				names[i], row[i] = t.name, values[t.name]
				if values[t.name] == "@@GLOBAL."+t.name {
					row[i] = defaults[i]
				}
			}
			return c.Rows(names, [][]any{row}, fakeserver.OK{})
		case strings.HasPrefix(cmd.SQL, "SET session_track_"):
			for _, part := range strings.Split(strings.TrimPrefix(cmd.SQL, "SET "), "; ") {
				name, value, _ := strings.Cut(part, " = ")
				values[name] = strings.Trim(value, "'")
			}
			return c.OK(fakeserver.OK{})
		case cmd.SQL == "SET time_zone = 'UTC'":
			return c.OK(fakeserver.OK{Track: []fakeserver.Track{
				fakeserver.TrackVariable("time_zone", "UTC"), fakeserver.TrackVariable("sql_mode", "ANSI"), fakeserver.TrackSchema("a"),
				fakeserver.TrackStateChange(), fakeserver.TrackGTIDs(sourceUUID + ":1"),
			}})
		}
		return errDefault
	})
}

// toldOf lists what an OK packet tells.
func toldOf(ok mysqlwire.OK) string {
	var told []string
	for c := (mysqlwire.Changes{Rest: ok.Session}); c.Next(); {
		switch c.Kind {
		case mysqlwire.TrackSystemVariable:
			told = append(told, string(c.Name))
		default:
			told = append(told, []string{"", "schema", "state", "gtids", "characteristics", "transaction"}[c.Kind])
		}
	}
	return strings.Join(told, " ")
}

// What a client sets is what it is told; what its servers tell us stays as it is.
func TestClientSetsTrackers(t *testing.T) {
	for _, tt := range []struct{ set, told string }{
		{"", "time_zone schema"},
		{"SET session_track_schema = OFF", "time_zone"},
		{"SET session_track_system_variables = 'sql_mode'", "sql_mode schema"},
		{"SET session_track_system_variables = '*'", "time_zone sql_mode schema"},
		{"SET session_track_system_variables = ''", "schema"},
		{"SET session_track_state_change = 1", "time_zone schema state"},
		{"SET session_track_gtids = OWN_GTID", "time_zone schema gtids"},
	} {
		for _, prepared := range []bool{false, true} {
			t.Run(fmt.Sprint(tt.set, prepared), func(t *testing.T) {
				r := startRig(t, rigOptions{replicas: 1})
				trackerServer(r.primary)
				r.fleet.executed(mustGTID(t, sourceUUID+":1"))
				c := r.connectAs(usualClient, "b", "")
				switch {
				case tt.set != "" && prepared:
					if got := c.ask(mysql.COM_STMT_EXECUTE, execution(c.prepare(tt.set), 0, "")); got.err != nil || got.lost != nil {
						t.Fatal(got)
					}
				case tt.set != "":
					c.ok(tt.set)
				}
				if got := toldOf(c.ok("SET time_zone = 'UTC'")); got != tt.told {
					t.Errorf("told %q, want %q", got, tt.told)
				}
				c.from(r.replicas[0], "SELECT 1")
				if got := r.replicas[0].sent(); !slices.ContainsFunc(got, func(s string) bool { return strings.Contains(s, "time_zone") }) {
					t.Errorf("the replica was sent %q", got)
				}
			})
		}
	}
}

// Trackers that are set where they cannot be taken back leave nothing that can be relied on.
func TestTrackersSetInTransaction(t *testing.T) {
	for _, before := range []string{"SET @a = 1", "LOCK TABLES t READ"} {
		r := startRig(t, rigOptions{replicas: 1})
		r.server.reports("p")
		c := r.connectAs(usualClient, "", "s")
		c.ok(before)
		c.ok("BEGIN")
		r.primary.on(answering(map[string]fakeserver.OK{"SET session_track_gtids = OFF": {Status: inTransaction}}))
		c.ok("SET session_track_gtids = OFF")
		c.ok("COMMIT")
		c.from(r.primary, "SELECT 1")
		c.ok(write)
		if got := pinned(r.sessions.Need(appSession)); got != "as of" {
			t.Errorf("after %s: pinned %q", before, got)
		}
	}
}

// A server that answers nonsense about its trackers is not trusted, and nothing else happens.
func TestTrackersWithoutAnswer(t *testing.T) {
	r := startRig(t, rigOptions{replicas: 1})
	r.primary.on(func(c *fakeserver.Conn, cmd fakeserver.Command) error {
		if !strings.HasPrefix(cmd.SQL, "SELECT @@SESSION.session_track_") {
			return errDefault
		}
		return c.Rows([]string{"a"}, [][]any{{"x"}}, fakeserver.OK{})
	})
	c := r.connect()
	c.ok("SET session_track_schema = OFF")
	c.from(r.replicas[0], "SELECT 1")

	r.primary.on(refusing(setTrackers(len(trackers), nil), 1227))
	if got := c.query("SET session_track_schema = OFF"); got.lost == nil {
		t.Errorf("got %v", got)
	}
}

// Which statements may set trackers, or show them.
func TestMentionsTracking(t *testing.T) {
	for _, tt := range []struct {
		sql  string
		want bool
	}{
		{"SET session_track_gtids = OFF", true},
		{"SET SESSION Session_Track_Schema = OFF", true},
		{"SET time_zone = 'UTC'", false},
		{"SELECT @@session_track_gtids", true},
		{"SELECT 'session_track_gtids'", false},
		{"SHOW VARIABLES", true},
		{"SHOW VARIABLES LIKE 'session_track%'", true},
		{"SHOW SESSION VARIABLES LIKE 'Sess_on%'", true},
		{"SHOW VARIABLES LIKE 's%'", true},
		{"SHOW VARIABLES LIKE '%track%'", true},
		{"SHOW VARIABLES LIKE '_ession%'", true},
		{"SHOW VARIABLES LIKE '\u015fession%'", true},
		{"SHOW VARIABLES WHERE variable_name = 'session_track_schema'", true},
		{"show session variables\n like 'profil%'", false},
		{`SHOW VARIABLES LIKE "sql_mode"`, false},
		{"SHOW GLOBAL VARIABLES LIKE 'max_allowed_packet'", false},
		{"SET session_track_gtids = '" + strings.Repeat("x", maxTrackingText) + "'", false},
	} {
		if got := mentionsTracking(router.Classify([]byte(tt.sql), router.Context{}), []byte(tt.sql)); got != tt.want {
			t.Errorf("%.40s: got %v", tt.sql, got)
		}
	}
}
