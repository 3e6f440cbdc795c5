package policies

import (
	"syscall"
	"time"
)

// shortSleep lets the kernel wake this thread, which it does within its timer slack of 50 us.
// https://man7.org/linux/man-pages/man2/nanosleep.2.html
func shortSleep(d time.Duration) {
	ts := syscall.NsecToTimespec(int64(d))
	_ = syscall.Nanosleep(&ts, nil) // a signal ends it early, and the caller looks again
}
