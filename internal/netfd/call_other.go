//go:build !unix

package netfd

import "syscall"

// Supported tells whether sockets can be read and written here by their descriptor.
const Supported = false

func read(uintptr, []byte) (int, syscall.Errno)  { return 0, syscall.EINVAL }
func write(uintptr, []byte) (int, syscall.Errno) { return 0, syscall.EINVAL }
