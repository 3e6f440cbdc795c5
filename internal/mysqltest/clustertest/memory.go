package clustertest

import (
	"bufio"
	"fmt"
	"os"
	"strings"
	"syscall"
)

const (
	// memoryDir is where Linux has files in memory by convention: https://docs.kernel.org/filesystems/tmpfs.html
	memoryDir = "/dev/shm"

	// memoryNeeded is what has to be free there, and of the machine's memory: a cluster takes up to 600 MiB, and a few
	// packages are tested at a time.
	memoryNeeded = 8 << 30
)

// useMemory makes this process, and those that it starts, keep their temporary files in memory where there is plenty of
// it: servers wait for the disk with every schema they make. A TMPDIR that somebody has set stays.
func useMemory() error {
	if os.Getenv("TMPDIR") != "" || free(memoryDir) < memoryNeeded || available() < memoryNeeded {
		return nil
	}
	return os.Setenv("TMPDIR", memoryDir)
}

// free is how many bytes fit into a file system, 0 when it is not there.
func free(dir string) uint64 {
	var fs syscall.Statfs_t
	if syscall.Statfs(dir, &fs) != nil {
		return 0
	}
	return uint64(fs.Bavail) * uint64(fs.Bsize)
}

// available is how many bytes of memory programs may take without swapping, 0 where that is not told.
// https://man7.org/linux/man-pages/man5/proc_meminfo.5.html
func available() uint64 {
	f, err := os.Open("/proc/meminfo")
	if err != nil {
		return 0
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		var kib uint64
		if rest, ok := strings.CutPrefix(lines.Text(), "MemAvailable:"); ok {
			if _, err := fmt.Sscan(rest, &kib); err == nil {
				return kib << 10
			}
		}
	}
	return 0
}
