package mysqltest

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
)

const (
	folderPrefix = "stickyproxy-lab-"
	ownerLock    = "owner.lock"

	// A socket's path has at most 107 bytes on Linux, 103 on other systems (unix(7)); the longest
	// name of ours in a cluster's folder is "/r999/s.sock".
	maxFolderPath = 103 - len("/r999/s.sock")
)

// folder is the place of one cluster's files. The lock in it tells that its owner lives.
type folder struct {
	path  string
	owner *fileLock
}

// newFolder makes a cluster's folder in parent (the system's temporary folder when empty), and
// removes those whose owners were killed. The folder gets its name after its lock, so a folder of
// that name whose lock is free has a dead owner.
func newFolder(parent string, log io.Writer) (*folder, error) {
	if parent == "" {
		parent = os.TempDir()
	}
	parent, err := filepath.Abs(parent)
	if err != nil {
		return nil, err
	}
	sweep(parent, log)
	fresh, err := os.MkdirTemp(parent, ".stickyproxy-new-")
	if err != nil {
		return nil, err
	}
	f := &folder{path: filepath.Join(parent, folderPrefix+strings.TrimPrefix(filepath.Base(fresh), ".stickyproxy-new-"))}
	if len(f.path) > maxFolderPath {
		os.Remove(fresh)
		return nil, fmt.Errorf("%s is too long for the paths of sockets in it: want at most %d bytes", f.path, maxFolderPath)
	}
	f.owner, _, err = tryLock(filepath.Join(fresh, ownerLock))
	if err == nil {
		err = os.Rename(fresh, f.path)
	}
	if err != nil {
		os.RemoveAll(fresh)
		return nil, err
	}
	return f, nil
}

// sweep removes folders of dead owners. What it may not remove belongs to another user.
func sweep(parent string, log io.Writer) {
	stale, _ := filepath.Glob(filepath.Join(parent, folderPrefix+"*")) // only a bad pattern is an error
	for _, path := range stale {
		lock, free, err := tryLock(filepath.Join(path, ownerLock))
		if err != nil || !free {
			continue
		}
		if os.RemoveAll(path) == nil {
			fmt.Fprintf(log, "removed %s, which a killed process left behind\n", path)
		}
		lock.unlock()
	}
}

// remove deletes the folder and everything in it.
func (f *folder) remove() error {
	err := os.RemoveAll(f.path)
	f.owner.unlock()
	return err
}
