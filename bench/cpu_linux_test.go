package bench

import (
	"fmt"
	"os"
	"syscall"
	"time"
	"unsafe"
)

// processCPU is the processor time, user and system, that a process and all its threads have used, those that ended
// included. It is the process's CPU clock, which counts nanoseconds where /proc/PID/stat counts hundredths of a second.
// https://man7.org/linux/man-pages/man3/clock_getcpuclockid.3.html
func processCPU(pid int) (time.Duration, error) {
	const cpuClock = 2 // CPUCLOCK_SCHED, what the scheduler counted
	clock := ^pid<<3 | cpuClock
	var ts syscall.Timespec
	if _, _, errno := syscall.Syscall(syscall.SYS_CLOCK_GETTIME, uintptr(clock), uintptr(unsafe.Pointer(&ts)), 0); errno != 0 {
		return 0, fmt.Errorf("CPU clock of process %d: %w", pid, errno)
	}
	return time.Duration(ts.Nano()), nil
}

// processMemory is the resident memory of a process, bytes.
// https://man7.org/linux/man-pages/man5/proc_pid_statm.5.html
func processMemory(pid int) (int64, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", pid))
	if err != nil {
		return 0, err
	}
	var size, resident int64
	if _, err := fmt.Sscan(string(text), &size, &resident); err != nil {
		return 0, fmt.Errorf("memory of process %d: %w", pid, err)
	}
	return resident * int64(os.Getpagesize()), nil
}
