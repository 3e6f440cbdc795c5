package mysqltest

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
)

// Some servers are not in this machine's Debian, but in a newer suite. apt, told to use lists, a
// cache and an empty status file of our own, resolves the packages with all their libraries down
// to the C library and checks their signatures; dpkg-deb unpacks them into a folder. The programs
// start through that folder's own dynamic loader, so the system's libraries are never used and
// nothing is installed.

const (
	fetchKeyring = "/usr/share/keyrings/debian-archive-keyring.gpg"
	fetchedStamp = "version" // in the folder of a distribution; written last
)

// notNeeded are packages that apt pulls in for maintainer scripts or documentation only.
var notNeeded = regexp.MustCompile(`^(perl|perl-base|perl-modules-.*|libperl.*|libgdbm.*|libdb5.*|gcc-.*-base|libc-gconv-modules-extra|libtirpc-common|openssl-provider-legacy)$`)

// distribution is an engine as it is fetched.
type distribution struct {
	engine   Engine
	suite    string                                                     // of Debian
	folder   string                                                     // in the cache folder
	packages []string                                                   // with all that they depend on
	alone    []string                                                   // without: their programs are not used
	find     func(ctx context.Context, prefix string) (programs, error) // describes what was unpacked, and checks that the server starts
	instead  string                                                     // what else a person could do
}

// mySQLOfDebian is MySQL from the only suite that has it.
func mySQLOfDebian() distribution {
	return distribution{
		engine: MySQL, suite: "sid", folder: "mysql", packages: []string{"mysql-server-core", "mysql-client-core"},
		find: unpackedMySQL, instead: "put mysqld and mysql of MySQL 8.0.26 or later on PATH",
	}
}

// fetched returns the programs that fetch has put into the cache.
func (d distribution) fetched(ctx context.Context) (programs, error) {
	cache, err := CacheDir()
	if err != nil {
		return programs{}, err
	}
	prefix := filepath.Join(cache, d.folder)
	if _, err := os.Stat(filepath.Join(prefix, fetchedStamp)); err != nil {
		return programs{}, fmt.Errorf("%w: no %s in %s", ErrNotInstalled, d.engine, prefix)
	}
	p, err := d.find(ctx, prefix)
	if err != nil { // half removed by somebody, or from another machine: fetch it again
		return programs{}, fmt.Errorf("%w: %w", ErrNotInstalled, err)
	}
	return p, nil
}

// fetch fetches and unpacks the programs into the cache folder. The caller holds the lock.
func (d distribution) fetch(ctx context.Context, cache string, log io.Writer) error {
	f := &fetcher{distribution: d, dir: filepath.Join(cache, d.folder+"-fetch"), log: log}
	if err := f.fetch(ctx, filepath.Join(cache, d.folder)); err != nil {
		return fmt.Errorf("%w: %s: %s; fetching them from Debian's %s failed: %w", ErrNotInstalled, d.engine, d.instead, d.suite, err)
	}
	return nil
}

// loaderOf is the dynamic loader of what was unpacked in root, and the folder with its libraries.
func loaderOf(root string) (loader, libs string, err error) {
	loaders, err := filepath.Glob(filepath.Join(root, "usr/lib/*/ld-linux-*.so.*"))
	if err != nil || len(loaders) == 0 {
		return "", "", fmt.Errorf("no dynamic loader in %s", root)
	}
	return loaders[0], filepath.Dir(loaders[0]), nil
}

// unpackedMySQL describes the programs under prefix/root and checks that the server starts.
func unpackedMySQL(ctx context.Context, prefix string) (programs, error) {
	root := filepath.Join(prefix, "root")
	loader, libs, err := loaderOf(root)
	if err != nil {
		return programs{}, err
	}
	run := func(program string) command {
		path := filepath.Join(root, program)
		return command{
			path: loader,
			// mysqld finds its own files from its name, so it has to be the full path.
			prefix: []string{"--argv0", path, "--library-path", libs + ":" + filepath.Join(root, "usr/lib/mysql/private"), path},
			env:    []string{"OPENSSL_MODULES=" + filepath.Join(libs, "ossl-modules")},
		}
	}
	p := programs{
		engine: MySQL,
		server: run("usr/sbin/mysqld"),
		shell:  run("usr/bin/mysql"),
		options: []string{
			"basedir=" + filepath.Join(root, "usr"),
			"plugin_dir=" + filepath.Join(root, "usr/lib/mysql/plugin"),
			"lc_messages_dir=" + filepath.Join(root, "usr/share/mysql"),
		},
	}
	p.version, err = serverVersion(ctx, p.server)
	return p, err
}
