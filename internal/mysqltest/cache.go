package mysqltest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"syscall"
	"time"
)

// CacheDir returns the folder that keeps what is expensive to make between runs (MySQL's programs,
// initialised data directories): STICKYPROXY_CACHE, or stickyproxy in the user's cache folder.
// It is made when it is not there. Removing it while no cluster is being started is safe.
func CacheDir() (string, error) {
	dir := os.Getenv("STICKYPROXY_CACHE")
	if dir == "" {
		user, err := os.UserCacheDir()
		if err != nil {
			user = filepath.Join(os.TempDir(), fmt.Sprintf("stickyproxy-cache-%d", os.Getuid()))
		}
		dir = filepath.Join(user, "stickyproxy")
	}
	dir, err := filepath.Abs(dir)
	if err != nil {
		return "", fmt.Errorf("cache folder: %w", err)
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", fmt.Errorf("cache folder (set STICKYPROXY_CACHE to another): %w", err)
	}
	return dir, nil
}

// fileLock is a lock between processes, held by an open file. The kernel lets go of it when the
// process ends, however it ends. It is not inherited by child processes.
type fileLock struct{ file *os.File }

// tryLock takes the lock if nobody has it; ok is false when somebody has.
func tryLock(path string) (lock *fileLock, ok bool, err error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, false, err
	}
	err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if err == nil {
		return &fileLock{f}, true, nil
	}
	f.Close()
	if errors.Is(err, syscall.EWOULDBLOCK) {
		return nil, false, nil
	}
	return nil, false, fmt.Errorf("lock %s: %w", path, err)
}

// lockFile takes the lock and waits for it until ctx ends.
func lockFile(ctx context.Context, path string, log io.Writer) (*fileLock, error) {
	const pause = 50 * time.Millisecond // flock cannot be interrupted by a context: ask again
	ticker := time.NewTicker(pause)
	defer ticker.Stop()
	for told := false; ; told = true {
		lock, ok, err := tryLock(path)
		if err != nil || ok {
			return lock, err
		}
		if !told {
			fmt.Fprintf(log, "waiting for another process that holds %s\n", path)
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("waiting for %s: %w", path, ctx.Err())
		case <-ticker.C:
		}
	}
}

// unlock gives the lock back. It may be called again.
func (l *fileLock) unlock() { l.file.Close() }
