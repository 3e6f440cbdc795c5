package mysqltest

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
)

// Engine is the kind of server a cluster is made of.
type Engine string

// The engines that can be started.
const (
	MariaDB Engine = "mariadb"
	MySQL   Engine = "mysql"
)

// Engines returns all engines, for tests that run on each.
func Engines() []Engine { return []Engine{MariaDB, MySQL} }

// ParseEngine reads the name of an engine as people write it on a command line: "mariadb" or
// "mysql", in any case.
func ParseEngine(s string) (Engine, error) {
	for _, e := range Engines() {
		if strings.EqualFold(s, string(e)) {
			return e, nil
		}
	}
	return "", fmt.Errorf("unknown engine %q: want mariadb or mysql", s)
}

// ErrNotInstalled is inside the error of [Start] and [EnsureInstalled] when an engine's programs
// are not on this machine and cannot be brought here. The error's text says what to install.
var ErrNotInstalled = errors.New("server programs not found")

// command is a program with what has to stand before its arguments.
type command struct {
	path   string
	prefix []string
	env    []string
}

// build returns the command with its arguments, in an environment without options for it.
func (c command) build(ctx context.Context, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, c.path, append(append([]string(nil), c.prefix...), args...)...)
	cmd.Env = append(cleanEnvironment(os.Environ()), c.env...)
	return cmd
}

// cleanEnvironment leaves out the variables by which MySQL's and MariaDB's programs take options
// (MYSQL_PWD, MYSQL_HOST, MYSQL_TCP_PORT ...): a developer's settings must not reach a lab.
func cleanEnvironment(env []string) []string {
	var kept []string
	for _, v := range env {
		if !strings.HasPrefix(v, "MYSQL") && !strings.HasPrefix(v, "MARIADB") {
			kept = append(kept, v)
		}
	}
	return append(kept, "LC_ALL=C")
}

// programs are the programs of one engine on this machine.
type programs struct {
	engine  Engine
	version string // as the server tells it, for example "10.11.6-MariaDB-0+deb12u1"
	server  command
	shell   command
	install command  // mariadb-install-db; MySQL's server does it itself
	options []string // lines for the server's option file that belong to this installation
}

// find looks for an engine's programs on this machine. The error wraps ErrNotInstalled when
// they are not here.
func find(ctx context.Context, e Engine) (programs, error) {
	switch e {
	case MariaDB:
		return findMariaDB(ctx)
	case MySQL:
		return findMySQL(ctx)
	}
	return programs{}, fmt.Errorf("unknown engine %q", e)
}

func findMariaDB(ctx context.Context) (programs, error) {
	if d, ok, err := mariaDBOfDebian(); ok || err != nil {
		if err != nil {
			return programs{}, err
		}
		return d.fetched(ctx)
	}
	p := programs{engine: MariaDB}
	for _, want := range []struct {
		name string
		into *command
	}{{"mariadbd", &p.server}, {"mariadb", &p.shell}, {"mariadb-install-db", &p.install}} {
		path, err := lookPath(want.name)
		if err != nil {
			return programs{}, fmt.Errorf("%w: %s is not on PATH", ErrNotInstalled, want.name)
		}
		want.into.path = path
	}
	var err error
	p.version, err = serverVersion(ctx, p.server)
	return p, err
}

// findMySQL prefers a mysqld of the machine. Debian's MariaDB packages install links with MySQL's
// names, so a program's name is no proof of what it is; its version text is.
func findMySQL(ctx context.Context) (programs, error) {
	for _, dir := range searchPath() {
		p := programs{
			engine: MySQL,
			server: command{path: filepath.Join(dir, "mysqld")},
		}
		if !isExecutable(p.server.path) {
			continue
		}
		version, err := serverVersion(ctx, p.server)
		if err != nil || strings.Contains(version, "MariaDB") || !supportedMySQL(version) {
			continue
		}
		p.version = version
		if p.shell.path = findMySQLShell(ctx); p.shell.path != "" {
			return p, nil
		}
	}
	return mySQLOfDebian().fetched(ctx)
}

// findMySQLShell returns the path of MySQL's own shell, or "".
func findMySQLShell(ctx context.Context) string {
	for _, dir := range searchPath() {
		path := filepath.Join(dir, "mysql")
		if !isExecutable(path) {
			continue
		}
		out, err := exec.CommandContext(ctx, path, "--no-defaults", "--version").Output()
		if err == nil && !strings.Contains(string(out), "MariaDB") {
			return path
		}
	}
	return ""
}

// supportedMySQL tells whether the version knows the statements and options used here:
// CHANGE REPLICATION SOURCE and log_replica_updates came with 8.0.23 and 8.0.26.
// https://dev.mysql.com/doc/refman/8.0/en/change-replication-source-to.html
func supportedMySQL(version string) bool {
	var major, minor, patch int
	if _, err := fmt.Sscanf(version, "%d.%d.%d", &major, &minor, &patch); err != nil {
		return false
	}
	return major > 8 || major == 8 && (minor > 0 || patch >= 26)
}

var versionText = regexp.MustCompile(`Ver (\S+)`)

// serverVersion asks a server program for its version.
func serverVersion(ctx context.Context, c command) (string, error) {
	out, err := c.build(ctx, "--no-defaults", "--version").CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("%s --version: %w: %s", c.path, err, lastLines(out, 3))
	}
	found := versionText.FindSubmatch(out)
	if found == nil {
		return "", fmt.Errorf("%s --version was not understood: %s", c.path, lastLines(out, 3))
	}
	return string(found[1]), nil
}

// searchPath is PATH and the folders where servers are installed, which an ordinary user's PATH
// often lacks.
func searchPath() []string {
	return append(filepath.SplitList(os.Getenv("PATH")), "/usr/sbin", "/usr/local/sbin", "/usr/local/mysql/bin", "/usr/libexec")
}

func lookPath(name string) (string, error) {
	for _, dir := range searchPath() {
		if path := filepath.Join(dir, name); isExecutable(path) {
			return path, nil
		}
	}
	return "", exec.ErrNotFound
}

func isExecutable(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular() && info.Mode()&0o111 != 0
}

// lastLines returns the end of a program's output, for an error's text.
func lastLines(out []byte, n int) string {
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	return strings.Join(lines[max(0, len(lines)-n):], "\n")
}
