package mysqltest

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
)

// suiteVariable names the Debian suite from which MariaDB is taken: trixie has MariaDB 11.8. Empty: the MariaDB of this
// machine.
const suiteVariable = "STICKYPROXY_MARIADB_SUITE"

var suiteName = regexp.MustCompile(`^[a-z]+$`)

// mariaDBOfDebian is MariaDB from the suite that the environment names; false: it names none.
func mariaDBOfDebian() (d distribution, ok bool, err error) {
	suite := os.Getenv(suiteVariable)
	if suite == "" {
		return d, false, nil
	}
	if !suiteName.MatchString(suite) {
		return d, false, fmt.Errorf("%s: %q is no suite of Debian", suiteVariable, suite)
	}
	return distribution{
		engine: MariaDB, suite: suite, folder: "mariadb-" + suite, packages: []string{"mariadb-server-core", "mariadb-client-core"},
		alone: []string{"mariadb-server"}, find: unpackedMariaDB, instead: "unset " + suiteVariable,
	}, true, nil
}

// wrapped are the programs that the others start by their names.
var wrapped = []string{"usr/sbin/mariadbd", "usr/bin/mariadb", "usr/bin/my_print_defaults", "usr/bin/resolveip"}

// unpackedMariaDB describes the programs under prefix/root and checks that the server starts. The script that makes the
// system tables starts programs by their names, so a script is in the place of each, which uses the loader.
func unpackedMariaDB(ctx context.Context, prefix string) (programs, error) {
	root := filepath.Join(prefix, "root")
	for _, name := range wrapped {
		if err := wrap(root, name); err != nil {
			return programs{}, err
		}
	}
	base := filepath.Join(root, "usr")
	plugins := filepath.Join(base, "lib/mysql/plugin")
	if _, err := os.Stat(plugins); err != nil {
		return programs{}, err
	}
	p := programs{
		engine:  MariaDB,
		server:  command{path: filepath.Join(base, "sbin/mariadbd")},
		shell:   command{path: filepath.Join(base, "bin/mariadb")},
		install: command{path: filepath.Join(base, "bin/mariadb-install-db")},
		options: []string{
			"basedir=" + base,
			"plugin_dir=" + plugins,
			"lc_messages_dir=" + filepath.Join(base, "share/mysql"),
			"character_sets_dir=" + filepath.Join(base, "share/mysql/charsets"),
		},
	}
	var err error
	p.version, err = serverVersion(ctx, p.server)
	return p, err
}

// wrap puts a script in the place of a program, which gets another name. It does nothing where that was done before.
func wrap(root, name string) error {
	loader, libs, err := loaderOf(root)
	if err != nil {
		return err
	}
	path := filepath.Join(root, name)
	moved := path + ".program"
	if _, err := os.Stat(moved); err == nil {
		return nil
	}
	if err := os.Rename(path, moved); err != nil {
		return err
	}
	up, err := filepath.Rel(filepath.Dir(path), root)
	if err != nil {
		return err
	}
	inRoot := func(p string) string {
		rel, _ := filepath.Rel(root, p) // both are below it
		return `"$here/` + filepath.Join(up, rel) + `"`
	}
	script := "#!/bin/sh\nhere=$(dirname \"$(readlink -f \"$0\")\")\nexec " + inRoot(loader) + ` --argv0 "$0" --library-path ` + inRoot(libs) +
		" " + inRoot(moved) + " \"$@\"\n"
	return os.WriteFile(path, []byte(script), 0o755)
}
