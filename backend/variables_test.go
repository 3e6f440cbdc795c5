package backend

import (
	"maps"
	"testing"
)

// Ensure that values are found, and that sessions are compared by value.
func TestVariables(t *testing.T) {
	a := newVariables("sql_mode=ANSI,NO_ZERO_DATE\ntime_zone=SYSTEM\ncharacter_set_results=\n")
	b := newVariables("sql_mode=ANSI,NO_ZERO_DATE\ntime_zone=+02:00\ncharacter_set_results=\n")
	for _, tt := range []struct{ name, want string }{
		{"sql_mode", "ANSI,NO_ZERO_DATE"}, {"time_zone", "SYSTEM"}, {"character_set_results", ""}, {"mode", ""}, {"", ""},
	} {
		if got := a.Get(tt.name); got != tt.want {
			t.Errorf("%s: got %q, want %q", tt.name, got, tt.want)
		}
	}
	if got, want := a.Differing(b), map[string]string{"time_zone": "SYSTEM"}; !maps.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	for name, other := range map[string]Variables{"itself": a, "an equal one": newVariables(a.lines.Value()), "nothing known": {}} {
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
	for _, query := range []string{setUpMariaDB, setUpOldMariaDB, setUpMySQL, setUpOldMySQL, trackMariaDB, trackMySQL} {
		if got := len(query) + len("\x03\x00\x01"); got >= smallestPacket {
			t.Errorf("%d bytes: %s", got, query)
		}
	}
}
