// Package netfd reads and writes sockets without telling the scheduler of each system call.
//
// Go treats every system call as one that may block: before it, the thread hands its processor back on trust, and if
// the kernel pauses the thread in the call, the background monitor gives that processor to another thread, which has to
// be woken for it and finds little to do. A socket of package net is in non-blocking mode: a read or a write of it
// returns at once. But a write over loopback, or into a fast network card, delivers the bytes on the way and wakes their
// receiver, and the kernel likes to run the receiver first; so a proxy pays for that precaution about every other query
// (0.5 futex calls a query, and a quarter of its processor time) and never needs it.
//
// What may wait still waits in the runtime's poller, by way of [syscall.RawConn]: only the call itself is bare. The
// price is that such a call cannot be preempted, so a garbage collection may have to wait for it, for the time that the
// kernel takes to copy one buffer.
//
// Bare calls are used on Linux. Elsewhere, and under the race detector, which takes what happens before what from the
// functions of package syscall, the same code runs on those.
package netfd

import (
	"errors"
	"io"
	"net"
	"os"
	"syscall"
)

// Conn is a stream socket that is read and written with bare system calls. Like any [net.Conn] it may be closed and
// given deadlines from everywhere; it may be read by one goroutine and written by another, but not written by two.
type Conn struct {
	net.Conn
	raw syscall.RawConn
	in  transfer
	out transfer
}

// transfer is one Read or Write while it goes on.
type transfer struct {
	try func(fd uintptr) (done bool) // a method of the Conn as a value, made once
	p   []byte
	n   int
	err error
}

// New returns nc as a [Conn], or as it is where it is no socket that could be one. It takes ownership of nc.
func New(nc net.Conn) net.Conn {
	s, ok := nc.(syscall.Conn)
	if !ok || !Supported {
		return nc
	}
	raw, err := s.SyscallConn()
	if err != nil {
		return nc
	}
	c := &Conn{Conn: nc, raw: raw}
	c.in.try, c.out.try = c.tryRead, c.tryWrite
	return c
}

// SyscallConn returns the socket: see [syscall.Conn].
func (c *Conn) SyscallConn() (syscall.RawConn, error) { return c.raw, nil }

// CloseWrite tells the peer that nothing more comes, where that can be told.
func (c *Conn) CloseWrite() error {
	if w, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return w.CloseWrite()
	}
	return errors.ErrUnsupported
}

// SetLinger is [net.TCPConn.SetLinger], where there is one.
func (c *Conn) SetLinger(seconds int) error {
	if l, ok := c.Conn.(interface{ SetLinger(int) error }); ok {
		return l.SetLinger(seconds)
	}
	return errors.ErrUnsupported
}

// Read reads once, and waits if there is nothing to read.
func (c *Conn) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	return c.in.run(p, c.raw.Read)
}

// Write writes all of p, and waits where the socket takes no more.
func (c *Conn) Write(p []byte) (int, error) { return c.out.run(p, c.raw.Write) }

// run has the poller try, and try again when the socket is ready.
func (t *transfer) run(p []byte, poll func(func(uintptr) bool) error) (int, error) {
	t.p, t.n, t.err = p, 0, nil
	err := poll(t.try)
	t.p = nil
	if err == nil {
		err = t.err
	}
	return t.n, err
}

func (c *Conn) tryRead(fd uintptr) bool {
	n, err := Read(fd, c.in.p)
	if err == ErrWait {
		return false
	}
	c.in.n, c.in.err = n, err
	return true
}

func (c *Conn) tryWrite(fd uintptr) bool {
	for c.out.n < len(c.out.p) {
		n, err := Write(fd, c.out.p[c.out.n:])
		if err == ErrWait {
			return false
		}
		if err != nil {
			c.out.err = err
			return true
		}
		c.out.n += n
	}
	return true
}

// ErrWait says that the socket has nothing to read, or no room for what is written.
const ErrWait = syscall.EAGAIN

// Read reads once from the descriptor of a non-blocking socket. The end of the stream is io.EOF.
func Read(fd uintptr, p []byte) (int, error) {
	n, errno := read(fd, p)
	for errno == syscall.EINTR {
		n, errno = read(fd, p)
	}
	switch {
	case errno == ErrWait:
		return 0, ErrWait
	case errno != 0:
		return 0, os.NewSyscallError("read", errno)
	case n == 0:
		return 0, io.EOF
	}
	return n, nil
}

// Peek tells what a read of a socket would meet, and takes nothing: nil for bytes, ErrWait for none yet (always, where
// sockets cannot be looked at), io.EOF for the end of the stream. It never waits, whatever mode the socket is in.
func Peek(fd uintptr) error {
	var p [1]byte
	n, err := peek(fd, p[:])
	for err == syscall.EINTR {
		n, err = peek(fd, p[:])
	}
	if n == 0 && err == nil {
		return io.EOF
	}
	return err
}

// Ended tells whether the peer of a socket has ended its side, or is gone, and all that it sent was read. Any goroutine
// may ask.
func Ended(nc net.Conn) bool {
	s, ok := nc.(syscall.Conn)
	if !ok {
		return false
	}
	raw, err := s.SyscallConn()
	if err != nil {
		return false
	}
	ended := false
	_ = raw.Control(func(fd uintptr) { // an error: it is closed on this side
		err := Peek(fd)
		ended = err != nil && err != ErrWait
	})
	return ended
}

// Write writes once to the descriptor of a non-blocking socket, p or a part of it.
func Write(fd uintptr, p []byte) (int, error) {
	n, errno := write(fd, p)
	for errno == syscall.EINTR {
		n, errno = write(fd, p)
	}
	switch {
	case errno == ErrWait:
		return 0, ErrWait
	case errno != 0:
		return 0, os.NewSyscallError("write", errno)
	}
	return n, nil
}
