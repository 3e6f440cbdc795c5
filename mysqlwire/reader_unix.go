//go:build unix

package mysqlwire

import (
	"io"
	"os"
	"syscall"
)

const canReadRaw = true

// readRaw reads once from the descriptor and holds a buffer only if something came. It reports whether the wait for
// the descriptor is over.
func (r *Reader) readRaw(fd uintptr) bool {
	buf := borrow(smallBuffer)
	n, err := syscall.Read(int(fd), buf)
	for err == syscall.EINTR {
		n, err = syscall.Read(int(fd), buf)
	}
	if n > 0 {
		r.buf, r.n, r.err = buf, n, nil
		return true
	}
	give(buf)
	r.n = 0
	switch err {
	case syscall.EAGAIN:
		return false
	case nil:
		r.err = io.EOF
	default:
		r.err = os.NewSyscallError("read", err)
	}
	return true
}
