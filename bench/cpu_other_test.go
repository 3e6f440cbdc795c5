//go:build !linux

package bench

import (
	"errors"
	"time"
)

// processCPU needs a kernel that tells one process the CPU clock of another.
func processCPU(int) (time.Duration, error) {
	return 0, errors.New("the processor time of another process is read on Linux only")
}

// processMemory is read from files that only Linux has.
func processMemory(int) (int64, error) {
	return 0, errors.New("the memory of another process is read on Linux only")
}
