//go:build !linux

package load

import (
	"errors"
	"time"
)

var errLinux = errors.New("what another process uses is read on Linux only")

// CPU needs a kernel that tells one process the CPU clock of another.
func CPU(int) (time.Duration, error) { return 0, errLinux }

// Memory needs /proc.
func Memory(int) (int64, error) { return 0, errLinux }
