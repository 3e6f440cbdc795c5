//go:build !linux

package load

import (
	"errors"
	"time"
)

var errLinux = errors.New("what another process uses is read on Linux only")

// processCPU needs a kernel that tells one process the CPU clock of another.
func processCPU(int) (time.Duration, error) { return 0, errLinux }

// processMemory needs /proc.
func processMemory(int) (int64, error) { return 0, errLinux }
