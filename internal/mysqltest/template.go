package mysqltest

import (
	"context"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"regexp"
	"strings"
)

// Initialising a data directory takes seconds, copying one takes a moment: one template for each
// engine and version is kept in the cache folder.

// templateRevision is part of a template's name: raise it when the template's content changes.
const templateRevision = 1

var notForFileName = regexp.MustCompile(`[^A-Za-z0-9.+~-]`)

// dataTemplate returns the folder of an initialised data directory for these programs, making it
// if it is not there.
func dataTemplate(ctx context.Context, p programs, log io.Writer) (string, error) {
	cache, err := CacheDir()
	if err != nil {
		return "", err
	}
	dir := filepath.Join(cache, fmt.Sprintf("data-%s-%s-%d", p.engine, notForFileName.ReplaceAllString(p.version, "_"), templateRevision))
	if _, err := os.Stat(dir); err == nil {
		return dir, nil
	}
	lock, err := lockFile(ctx, dir+".lock", log)
	if err != nil {
		return "", err
	}
	defer lock.unlock()
	if _, err := os.Stat(dir); err == nil { // another process was faster
		return dir, nil
	}
	fmt.Fprintf(log, "%s %s: initialising a data directory (once)\n", p.engine, p.version)
	fresh := dir + ".new" // the lock is held: nobody else uses this name
	if err := os.RemoveAll(fresh); err != nil {
		return "", err
	}
	defer os.RemoveAll(fresh)
	if p.engine == MariaDB {
		err = initMariaDB(ctx, p, fresh)
	} else {
		err = initMySQL(ctx, p, fresh)
	}
	if err != nil {
		return "", err
	}
	return dir, os.Rename(fresh, dir)
}

// initMariaDB makes the system tables and removes the accounts without a password that would be
// reachable by TCP. Only root@localhost stays, which is the socket's.
// https://mariadb.com/docs/server/clients-and-utilities/deployment-tools/mariadb-install-db
func initMariaDB(ctx context.Context, p programs, dir string) error {
	if err := os.Mkdir(dir, 0o700); err != nil {
		return err
	}
	common := []string{"--no-defaults"}
	for _, option := range p.options {
		common = append(common, "--"+option)
	}
	common = append(common, "--datadir="+dir, "--innodb-log-file-size="+redoSize)
	if name := rootName(); name != "" {
		common = append(common, "--user="+name)
	}
	cmd := p.install.build(ctx, append(common, "--auth-root-authentication-method=normal", "--skip-test-db")...)
	if err := runQuietly(cmd); err != nil {
		return err
	}
	cmd = p.server.build(ctx, append(common, "--bootstrap", "--log-warnings=0")...)
	cmd.Stdin = strings.NewReader("DELETE FROM mysql.global_priv WHERE Host<>'localhost' OR User='';\n" +
		"DELETE FROM mysql.proxies_priv WHERE Host<>'localhost' OR User='';\n")
	return runQuietly(cmd)
}

// initMySQL makes a data directory whose only usable account is root@localhost without a password.
// https://dev.mysql.com/doc/refman/en/data-directory-initialization.html
func initMySQL(ctx context.Context, p programs, dir string) error {
	args := []string{"--no-defaults"}
	for _, option := range p.options {
		args = append(args, "--"+option)
	}
	args = append(args, "--datadir="+dir, "--initialize-insecure", "--loose-innodb-redo-log-capacity="+redoSize)
	if name := rootName(); name != "" {
		args = append(args, "--user="+name)
	}
	if err := runQuietly(p.server.build(ctx, args...)); err != nil {
		return err
	}
	// Each server makes its own server_uuid; equal ones cannot replicate from each other.
	err := os.Remove(filepath.Join(dir, "auto.cnf"))
	if os.IsNotExist(err) {
		return nil
	}
	return err
}

func runQuietly(cmd *exec.Cmd) error {
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w: %s", filepath.Base(cmd.Path), err, lastLines(out, 10))
	}
	return nil
}

// rootName returns the name of user 0 when that is who runs, else "": the servers refuse to run
// as root unless told so by name, and an ordinary user cannot choose.
func rootName() string {
	if os.Getuid() != 0 {
		return ""
	}
	if u, err := user.LookupId("0"); err == nil {
		return u.Username
	}
	return "root"
}

// copyTree copies a folder of plain files and folders, such as a data directory.
func copyTree(from, to string) error {
	return filepath.WalkDir(from, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(from, path)
		if err != nil {
			return err
		}
		target := filepath.Join(to, rel)
		if entry.IsDir() {
			return os.Mkdir(target, 0o700)
		}
		return copyFile(path, target)
	})
}

// copyFile shares the blocks with the original where the file system can, and else leaves out the
// blocks of zeros, of which fresh redo and undo logs are made.
func copyFile(from, to string) error {
	src, err := os.Open(from)
	if err != nil {
		return err
	}
	defer src.Close()
	dst, err := os.OpenFile(to, os.O_CREATE|os.O_WRONLY|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	if !cloneFile(src, dst) {
		err = copySparse(src, dst)
	}
	if closeErr := dst.Close(); err == nil {
		err = closeErr
	}
	return err
}

// copySparse copies src to dst, which is empty, with holes in place of blocks of zeros.
func copySparse(src io.Reader, dst *os.File) error {
	block, size := make([]byte, 64<<10), int64(0) // 64 KiB: a few of the servers' 16 KiB pages
	for {
		n, err := io.ReadFull(src, block)
		if n > 0 && !allZero(block[:n]) {
			if _, err := dst.WriteAt(block[:n], size); err != nil {
				return err
			}
		}
		size += int64(n)
		if err == io.EOF || err == io.ErrUnexpectedEOF {
			return dst.Truncate(size)
		}
		if err != nil {
			return err
		}
	}
}

func allZero(b []byte) bool {
	for _, c := range b {
		if c != 0 {
			return false
		}
	}
	return true
}
