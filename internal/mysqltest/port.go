package mysqltest

import (
	"fmt"
	"os"
	"syscall"
)

// portHold keeps a port of 127.0.0.1 for one server for as long as the cluster lives, also while
// the server is down: a socket that is bound to it and never listens. The kernel gives the port
// to nobody who asks for any free one, but lets the server listen on it, because both sides set
// SO_REUSEADDR (the servers always do). A client meanwhile gets "connection refused".
type portHold struct {
	fd   int
	port int
}

// holdPort takes a free port. SO_REUSEADDR comes after bind: with it set before, the kernel could
// choose a port that is held by another of these sockets.
func holdPort() (*portHold, error) {
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM, 0)
	if err != nil {
		return nil, os.NewSyscallError("socket", err)
	}
	syscall.CloseOnExec(fd)
	hold := &portHold{fd: fd}
	if err := hold.bind(); err != nil {
		hold.release()
		return nil, fmt.Errorf("take a free port: %w", err)
	}
	return hold, nil
}

func (h *portHold) bind() error {
	if err := syscall.Bind(h.fd, &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		return os.NewSyscallError("bind", err)
	}
	if err := syscall.SetsockoptInt(h.fd, syscall.SOL_SOCKET, syscall.SO_REUSEADDR, 1); err != nil {
		return os.NewSyscallError("setsockopt", err)
	}
	addr, err := syscall.Getsockname(h.fd)
	if err != nil {
		return os.NewSyscallError("getsockname", err)
	}
	h.port = addr.(*syscall.SockaddrInet4).Port
	return nil
}

// release gives the port back, once.
func (h *portHold) release() { syscall.Close(h.fd) }
