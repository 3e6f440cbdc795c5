//go:build unix && !linux

package mysqltest

import (
	"os/exec"
	"syscall"
)

// dieWithParent can only separate the process from the terminal's signals here: without Linux's
// parent death signal a server outlives a killed parent.
func dieWithParent(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
}
