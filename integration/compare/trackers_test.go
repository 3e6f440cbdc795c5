package compare

import (
	"testing"

	"github.com/stickyproxy/stickyproxy/internal/mysqltest"
	"github.com/stickyproxy/stickyproxy/internal/mysqltest/clustertest"
)

// A client is told from its first statement on, and again after each reset, what the server is set up to tell everybody.
func TestTrackersOfTheServer(t *testing.T) {
	const script = `
SET @x = 1
SET sql_mode = 'ANSI_QUOTES'
USE $other
SET time_zone = '+01:00'
BEGIN
SELECT * FROM g
INSERT INTO g VALUES (99)
COMMIT
SELECT @@session_track_system_variables, @@session_track_schema, @@session_track_state_change, @@session_track_transaction_info
SELECT v FROM $schema.f
.reset_connection
SET sql_mode = ''
USE $schema
SET time_zone = '+02:00'
SET SESSION session_track_schema = ON
USE $other
SET @x = 2
SET sql_mode = 'ANSI_QUOTES'
.change_user app $schema
SET sql_mode = ''
USE $other
[b] SET sql_mode = ''
[b] .init_db $other
[b] SET SESSION session_track_system_variables = DEFAULT, SESSION session_track_state_change = DEFAULT
[b] SET sql_mode = 'ANSI_QUOTES', time_zone = '+03:00'
`
	steps, err := parse(script)
	if err != nil {
		t.Fatal(err)
	}
	clustertest.EachEngine(t, func(t *testing.T, e mysqltest.Engine) {
		r := newRig(t, e)
		for _, row := range []struct{ name, set string }{
			{"variables", "SET GLOBAL session_track_system_variables = 'sql_mode'"},
			{"everything but variables", "SET GLOBAL session_track_system_variables = '', GLOBAL session_track_state_change = ON, " +
				"GLOBAL session_track_transaction_info = 'CHARACTERISTICS'"},
			{"no schema", "SET GLOBAL session_track_schema = OFF"},
		} {
			t.Run(row.name, func(t *testing.T) {
				t.Cleanup(func() {
					r.admin("SET GLOBAL session_track_system_variables = DEFAULT, GLOBAL session_track_schema = DEFAULT, " +
						"GLOBAL session_track_state_change = DEFAULT, GLOBAL session_track_transaction_info = DEFAULT")
				})
				r.admin(row.set)
				playScript(t, r, steps)
			})
		}
	})
}
