package proxy

import (
	"testing"

	"github.com/stickyproxy/stickyproxy/router"
)

// Only a SET of nothing but trackers leaves all changes known.
func TestOnlyTracking(t *testing.T) {
	for sql, want := range map[string]bool{
		"SET session_track_schema = OFF": true,
		"SET SESSION session_track_system_variables='a,b=c', @@session_track_gtids=OWN_GTID": true,
		`set session_track_system_variables = "autocommit,time_zone"`:                        true,
		"SET sql_mode='session_track_x', session_track_schema=OFF":                           false,
		"SET session_track_schema=OFF, NAMES latin1":                                         false,
		"SET @x = @@session_track_schema":                                                    false,
		`SET session_track_system_variables='a\', sql_mode='`:                                false,
		"": false,
	} {
		sets := router.ReadSettings([]byte(sql))
		if got := sets.Only(isTracker); got != want {
			t.Errorf("%s: got %v, want %v", sql, got, want)
		}
	}
}
