package mysqltest

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
)

// stopped tells whether every thread of a process is stopped by a signal, or nothing is known about it. See "state" in
// https://man7.org/linux/man-pages/man5/proc_pid_stat.5.html.
func stopped(pid int) bool {
	threads, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/stat", pid))
	for _, path := range threads {
		stat, err := os.ReadFile(path)
		if err != nil {
			continue // it has just ended
		}
		if _, state, ok := bytes.Cut(stat, []byte(") ")); ok && len(state) > 0 && state[0] != 'T' {
			return false
		}
	}
	return true
}
