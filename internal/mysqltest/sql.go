package mysqltest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
)

// shell is the engine's own client program on a server's socket, as root. It keeps a MySQL driver
// out of this package, and so out of the program.
type shell struct {
	programs programs
	keeper   *keeper
	server   string // name for errors
	dir      string
	socket   string
}

// run gives the shell the statements on its standard input and returns what it prints.
func (s shell) run(ctx context.Context, sql string, args ...string) (string, error) {
	args = append([]string{"--no-defaults", "--user=root", "--socket=" + s.socket, "--batch", "--raw",
		"--comments", "--default-character-set=utf8mb4"}, args...)
	if s.programs.engine == MySQL {
		args = append(args, "--ssl-mode=DISABLED", "--loose-commands") // DELIMITER; off by default since MySQL 9
	} else {
		args = append(args, "--skip-ssl") // on a socket TLS costs more than the statements
	}
	cmd := s.programs.shell.build(ctx, args...)
	cmd.Env = append(cmd.Env, "HOME="+s.dir) // no login file of the user
	cmd.Dir = s.dir
	var stdout, stderr bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(sql), &stdout, &stderr
	err := s.keeper.start(cmd)
	if err == nil {
		err = cmd.Wait()
	}
	if err != nil && ctx.Err() != nil {
		err = ctx.Err()
	}
	if err != nil {
		return "", fmt.Errorf("%s: %w", s.server, errors.Join(err, errorText(stderr.Bytes())))
	}
	return strings.TrimSuffix(stdout.String(), "\n"), nil
}

// errorText makes an error of what a shell printed; nil of nothing.
func errorText(b []byte) error {
	if text := lastLines(b, 5); text != "" {
		return errors.New(text)
	}
	return nil
}
