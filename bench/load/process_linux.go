package load

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"
	"unsafe"
)

// CPU is the processor time, user and system, that a process and all its threads have used, those that ended
// included. It is the process's CPU clock, which counts nanoseconds where /proc/PID/stat counts hundredths of a second.
// https://man7.org/linux/man-pages/man3/clock_getcpuclockid.3.html
func CPU(pid int) (time.Duration, error) {
	const cpuClock = 2 // CPUCLOCK_SCHED, what the scheduler counted
	clock := ^pid<<3 | cpuClock
	var ts syscall.Timespec
	if _, _, errno := syscall.Syscall(syscall.SYS_CLOCK_GETTIME, uintptr(clock), uintptr(unsafe.Pointer(&ts)), 0); errno != 0 {
		return 0, fmt.Errorf("CPU clock of process %d: %w", pid, errno)
	}
	return time.Duration(ts.Nano()), nil
}

// Memory is the memory of a process that is in use, bytes (VmRSS).
// https://man7.org/linux/man-pages/man5/proc_pid_status.5.html
func Memory(pid int) (int64, error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(b)) {
		if text, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			kb, err := strconv.ParseInt(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(text), "kB")), 10, 64)
			return kb << 10, err
		}
	}
	return 0, fmt.Errorf("process %d has no memory of its own", pid)
}
