//go:build linux && !race

package netfd

import (
	"syscall"
	"unsafe"
)

// Supported tells whether sockets can be read and written here by their descriptor.
const Supported = true

// read is read(2), bare. Errno is 0 for success.
func read(fd uintptr, p []byte) (int, syscall.Errno) {
	n, _, errno := syscall.RawSyscall(syscall.SYS_READ, fd, uintptr(unsafe.Pointer(unsafe.SliceData(p))), uintptr(len(p)))
	return int(n), errno
}

// write is write(2), bare. A peer that is gone is EPIPE; the runtime ignores the SIGPIPE that comes with it.
func write(fd uintptr, p []byte) (int, syscall.Errno) {
	n, _, errno := syscall.RawSyscall(syscall.SYS_WRITE, fd, uintptr(unsafe.Pointer(unsafe.SliceData(p))), uintptr(len(p)))
	return int(n), errno
}
