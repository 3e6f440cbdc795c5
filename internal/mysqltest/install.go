package mysqltest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
)

// EnsureInstalled makes sure that the engine's server and shell can be started, and returns the
// server's version as it tells it itself. Nothing happens when they are there.
//
//   - MariaDB: on Debian and its relatives, as root, the packages mariadb-server-core and
//     mariadb-client-core are installed; they bring programs and no service. If the environment
//     variable STICKYPROXY_MARIADB_SUITE names a suite of Debian (trixie, with MariaDB 11.8), they
//     come from there in the way that is said of MySQL.
//   - MySQL: a mysqld of MySQL 8.0.26 or later on PATH is used; else Debian's packages and the
//     libraries they need are unpacked into [CacheDir], for which no root is needed and nothing
//     is installed.
//
// Otherwise the error wraps [ErrNotInstalled] and says what to install. Processes that do this at
// the same time wait for each other. log gets a line a step; nil is silent.
func EnsureInstalled(ctx context.Context, e Engine, log io.Writer) (version string, err error) {
	p, err := ensure(ctx, e, orDiscard(log))
	return p.version, err
}

func orDiscard(log io.Writer) io.Writer {
	if log == nil {
		return io.Discard
	}
	return log
}

func ensure(ctx context.Context, e Engine, log io.Writer) (programs, error) {
	p, err := find(ctx, e)
	if !errors.Is(err, ErrNotInstalled) {
		return p, err
	}
	cache, err := CacheDir()
	if err != nil {
		return programs{}, err
	}
	lock, err := lockFile(ctx, filepath.Join(cache, "install.lock"), log)
	if err != nil {
		return programs{}, err
	}
	defer lock.unlock()
	if p, err = find(ctx, e); !errors.Is(err, ErrNotInstalled) { // another process was faster
		return p, err
	}
	other, ok, _ := mariaDBOfDebian() // what is wrong with it was said above
	switch {
	case e == MySQL:
		err = mySQLOfDebian().fetch(ctx, cache, log)
	case ok:
		err = other.fetch(ctx, cache, log)
	default:
		err = installMariaDB(ctx, log)
	}
	if err != nil {
		return programs{}, err
	}
	return find(ctx, e)
}

const mariaDBPackages = "mariadb-server-core mariadb-client-core"

func installMariaDB(ctx context.Context, log io.Writer) error {
	apt, err := exec.LookPath("apt-get")
	if err != nil {
		return fmt.Errorf("%w: MariaDB: install MariaDB 10.5 or later so that mariadbd, mariadb and mariadb-install-db are on PATH", ErrNotInstalled)
	}
	if os.Getuid() != 0 {
		return fmt.Errorf("%w: MariaDB: as root, run: apt-get install --no-install-recommends %s", ErrNotInstalled, mariaDBPackages)
	}
	fmt.Fprintf(log, "installing %s\n", mariaDBPackages)
	for _, args := range [][]string{
		{"update", "-qq"},
		{"install", "-y", "-qq", "--no-install-recommends", "-o", "DPkg::Lock::Timeout=300", "mariadb-server-core", "mariadb-client-core"},
	} {
		cmd := exec.CommandContext(ctx, apt, args...)
		cmd.Env = append(os.Environ(), "DEBIAN_FRONTEND=noninteractive")
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("%w: MariaDB: apt-get %s: %w: %s", ErrNotInstalled, args[0], err, lastLines(out, 5))
		}
	}
	return nil
}
