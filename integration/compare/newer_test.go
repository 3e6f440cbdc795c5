package compare

import (
	"os"
	"os/exec"
	"testing"

	"github.com/stickyproxy/stickyproxy/internal/mysqltest/clustertest"
)

// newerScripts are those about session state, where MariaDB 11.8 is another server than 10.11. (What differs in other
// scripts by nature is what it says in the OK packet of a login.)
const newerScripts = "variables_alike|charset|sql_mode_time_zone|set_timestamp|statements|prepared|transactions|temporary_table|show_warnings|collation_is_asked_for|collation_behind_names|set_statement|read_your_writes|change_user"

// The scripts about session state on the MariaDB of Debian's next suite, in a process of its own: the suite is a setting of
// the process.
func TestNewerMariaDB(t *testing.T) {
	cmd := exec.CommandContext(clustertest.Context(t), os.Args[0], "-test.run=TestScripts/mariadb/^("+newerScripts+")$", "-test.count=1")
	cmd.Env = append(os.Environ(), "STICKYPROXY_MARIADB_SUITE=trixie")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}
