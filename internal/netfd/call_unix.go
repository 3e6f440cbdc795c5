//go:build unix && (!linux || race)

package netfd

import "syscall"

// Supported tells whether sockets can be read and written here by their descriptor.
const Supported = true

// read is read(2). Errno is 0 for success.
func read(fd uintptr, p []byte) (int, syscall.Errno) { return result(syscall.Read(int(fd), p)) }

// write is write(2).
func write(fd uintptr, p []byte) (int, syscall.Errno) { return result(syscall.Write(int(fd), p)) }

func result(n int, err error) (int, syscall.Errno) {
	errno, _ := err.(syscall.Errno)
	return n, errno
}
