//go:build !linux

package policies

import "time"

func shortSleep(d time.Duration) { time.Sleep(d) }
