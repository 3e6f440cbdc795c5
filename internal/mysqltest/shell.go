package mysqltest

import (
	"context"
	"os/exec"
)

// Shell returns a command, not started yet, that runs an engine's own client
// program ("mariadb" or MySQL's "mysql") from the installation that [Start]
// uses. It reads no option file, and nothing of MySQL's or MariaDB's in the
// environment. The program is killed when ctx ends. The error wraps
// [ErrNotInstalled] when the engine is not there: start a cluster of it first.
func Shell(ctx context.Context, e Engine, args ...string) (*exec.Cmd, error) {
	p, err := find(ctx, e)
	if err != nil {
		return nil, err
	}
	return p.shell.build(ctx, append([]string{"--no-defaults"}, args...)...), nil
}
