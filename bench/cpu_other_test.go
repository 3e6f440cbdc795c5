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
