package backend

import (
	"maps"
	"slices"
	"testing"
)

// Ensure that values are found, and that sessions are compared by value.
func TestVariables(t *testing.T) {
	names := []string{"sql_mode", "time_zone", "character_set_results", "session_track_schema", "session_track_system_variables"}
	a := newVariables(names, "ANSI,NO_ZERO_DATE\nSYSTEM\n\n1\n*")
	b := newVariables(names, "ANSI,NO_ZERO_DATE\n+02:00\n\n0")
	for _, tt := range []struct{ name, want string }{
		{"sql_mode", "ANSI,NO_ZERO_DATE"}, {"time_zone", "SYSTEM"}, {"character_set_results", ""}, {"mode", ""}, {"", ""},
		{"session_track_schema", "1"}, {"session_track_system_variables", "*"},
	} {
		if got := a.Get(tt.name); got != tt.want {
			t.Errorf("%s: got %q, want %q", tt.name, got, tt.want)
		}
	}
	if got, want := a.Differing(b), map[string]string{"time_zone": "SYSTEM"}; !maps.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	for name, other := range map[string]Variables{"itself": a, "an equal one": newVariables(names, "ANSI,NO_ZERO_DATE\nSYSTEM\n\n1\n*"), "nothing known": {}} {
		if got := a.Differing(other); got != nil {
			t.Errorf("against %s: got %v, want nothing", name, got)
		}
	}
	if got := (Variables{}).Get("sql_mode"); got != "" {
		t.Errorf("of nothing: got %q", got)
	}
}

// Ensure that what every login asks fits into the smallest packet that a server can be told to take.
func TestSetUpFitsSmallestPacket(t *testing.T) {
	queries := []string{trackMariaDB, trackMySQL}
	for _, all := range [][3]setUpQuestion{setUpMariaDB, setUpMariaDB111, setUpOldMariaDB, setUpMySQL, setUpOldMySQL} {
		for _, q := range all {
			queries = append(queries, q.query)
		}
	}
	for _, query := range queries {
		if got := len(query) + len("\x03\x00\x01"); got >= smallestPacket {
			t.Errorf("%d bytes: %s", got, query)
		}
	}
}

// Ensure that a server is asked for what it has, by the names that it has.
func TestSessionVariables(t *testing.T) {
	for _, tt := range []struct {
		mariaDB bool
		version string
		want    []string
	}{
		{true, "10.11.19-MariaDB", []string{"tx_isolation", "tx_read_only"}},
		{true, "11.1.1-MariaDB", []string{"transaction_isolation", "transaction_read_only"}},
		{true, "11.2.0-MariaDB", []string{"block_encryption_mode", "transaction_isolation", "transaction_read_only"}},
		{false, "5.7.19", []string{"tx_isolation", "tx_read_only"}},
		{false, "5.7.20", []string{"block_encryption_mode", "transaction_isolation", "transaction_read_only"}},
		{false, "9.7.4", []string{"block_encryption_mode", "transaction_isolation", "transaction_read_only"}},
	} {
		names := sessionVariables(tt.mariaDB, parseVersion(tt.version))
		c := Conn{MariaDB: tt.mariaDB, Version: tt.version}
		if got := names[slices.Index(names, "time_zone")+1:]; !slices.Equal(got, tt.want) {
			t.Errorf("%s: got %v, want %v", tt.version, got, tt.want)
		}
		if got, want := c.setUpQuestion().query, setUpQuestions(tt.mariaDB, parseVersion(tt.version))[trackersNone].query; got != want {
			t.Errorf("%s: asks %s, want %s", tt.version, got, want)
		}
	}
}

// What servers report and list, by their versions.
func TestNewerMariaDBs(t *testing.T) {
	for _, row := range []struct {
		version      string
		maria        bool
		blurs, lists bool
	}{
		{"5.5.5-10.11.19-MariaDB", true, false, false},
		{"11.0.2-MariaDB", true, true, false},
		{"11.8.9-MariaDB", true, true, true},
		{"12.0.0", false, false, false},
	} {
		c := &Conn{Version: row.version, MariaDB: row.maria}
		if c.Blurs() != row.blurs || c.ListsTemporary() != row.lists {
			t.Errorf("%s: blurs %v, lists temporary tables %v", row.version, c.Blurs(), c.ListsTemporary())
		}
	}
}
