package compare

import (
	"os"
	"os/exec"
	"testing"
)

// The scripts on the MariaDB of Debian's next suite (11.8), in a process of its own: the suite is a setting of the process.
func TestNewerMariaDB(t *testing.T) {
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestScripts$/mariadb", "-test.count=1")
	cmd.Env = append(os.Environ(), "STICKYPROXY_MARIADB_SUITE=trixie")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}
