package mysqlwire

import (
	"io"
	"net"
	"sync"
	"syscall"

	"github.com/stickyproxy/stickyproxy/internal/netfd"
)

const (
	// smallBuffer holds a usual command or a small result with its definitions.
	smallBuffer = 16 << 10
	// largeBuffer is borrowed when one read filled the small one: a large result, where each read and write
	// costs the same whatever its size.
	largeBuffer = 256 << 10
)

var (
	smallBuffers = sync.Pool{New: func() any { return new([smallBuffer]byte) }}
	largeBuffers = sync.Pool{New: func() any { return new([largeBuffer]byte) }}
)

// Reader reads from a connection through a buffer that it borrows only while it has bytes in it: waiting for an idle
// peer costs no buffer. Bytes can be looked at, changed in place and written elsewhere without a copy.
//
// It belongs to one goroutine and does not close the connection.
type Reader struct {
	conn net.Conn
	raw  syscall.RawConn              // nil where the descriptor cannot be read directly (TLS, a pipe)
	try  func(fd uintptr) (done bool) // r.attempt as a value, made once

	buf  []byte // borrowed; nil while nothing is buffered and nobody asked to keep it
	r, w int    // the unread bytes are buf[r:w]
	full bool   // the last read filled the buffer: more is waiting

	first   [1]byte // where an idle reader without raw waits
	request []byte  // what Ask has to write before there is something to read
	n       int     // what attempt read
	err     error   // how attempt ended
	late    error   // how the wait of Ask ended, if it did without a byte: the next Fill says it
}

// NewReader returns a reader of c.
func NewReader(c net.Conn) *Reader {
	r := &Reader{conn: c}
	if s, ok := c.(syscall.Conn); ok && netfd.Supported {
		if raw, err := s.SyscallConn(); err == nil {
			r.raw, r.try = raw, r.attempt
		}
	}
	return r
}

// Bytes returns what is buffered and not yet discarded. It is valid until the next call of another method and may be
// changed in place.
func (r *Reader) Bytes() []byte { return r.buf[r.r:r.w] }

// Discard drops the first n bytes of Bytes, n <= len(Bytes()).
func (r *Reader) Discard(n int) {
	r.r += n
	if r.r == r.w {
		r.r, r.w = 0, 0
	}
}

// Remove takes n bytes, from the one at index at on, out of Bytes, at+n <= len(Bytes()). What is behind them moves up.
func (r *Reader) Remove(at, n int) {
	copy(r.buf[r.r+at:r.w], r.buf[r.r+at+n:r.w])
	r.w -= n
}

// Release gives the buffer back if it is empty. Call it before the peer may be idle for long.
func (r *Reader) Release() {
	if r.buf != nil && r.r == r.w {
		give(r.buf)
		r.buf, r.r, r.w = nil, 0, 0
	}
}

// Close gives the buffer back and drops what is in it. The connection stays open.
func (r *Reader) Close() {
	r.r, r.w = 0, 0
	r.Release()
}

// Fill waits until at least one more byte is buffered, with one read where that is possible. The end of the stream is
// io.EOF. A deadline of the connection ends the wait with os.ErrDeadlineExceeded.
func (r *Reader) Fill() error {
	if err := r.late; err != nil {
		r.late = nil
		return err
	}
	if r.buf == nil {
		return r.fillIdle()
	}
	r.makeRoom()
	n, err := r.conn.Read(r.buf[r.w:])
	r.got(n)
	if n > 0 {
		return nil
	}
	if err == nil {
		err = io.ErrNoProgress
	}
	return err
}

// Need waits until at least n bytes are buffered. An end in between is io.ErrUnexpectedEOF, or io.EOF when nothing at
// all was buffered. The buffer grows to n bytes: bound n first.
func (r *Reader) Need(n int) error {
	for len(r.Bytes()) < n {
		switch {
		case r.buf == nil || len(r.buf)-r.r >= n:
		case len(r.buf) >= n:
			r.moveDown()
		default:
			r.moveTo(borrow(n))
		}
		if err := r.Fill(); err != nil {
			if err == io.EOF && r.w > r.r {
				err = io.ErrUnexpectedEOF
			}
			return err
		}
	}
	return nil
}

// Ask writes request to a peer that speaks only when it is asked, and waits for the first bytes of the answer, without a
// look whether they are there already: before the request there can be none. They are in Bytes when Ask returns; if none
// came, the next Fill says why. An error of Ask itself means that the request was not written, or only in part.
//
// Where something is buffered, or the descriptor cannot be used, it only writes.
func (r *Reader) Ask(request []byte) error {
	if r.raw == nil || r.buf != nil || len(request) == 0 {
		_, err := r.conn.Write(request)
		return err
	}
	r.request, r.n, r.err = request, 0, nil
	if err := r.raw.Read(r.try); err != nil {
		r.err = err
	}
	return r.asked()
}

// asked finds out how Ask ended.
func (r *Reader) asked() error {
	rest := r.request
	r.request = nil
	switch {
	case rest == nil: // all was written
		r.got(r.n)
		r.late = r.err
		return nil
	case r.err != nil:
		return r.err
	}
	_, err := r.conn.Write(rest)
	return err
}

// fillIdle waits without a buffer for the first bytes.
func (r *Reader) fillIdle() error {
	if r.raw != nil {
		if err := r.raw.Read(r.try); err != nil {
			return err
		}
		r.got(r.n)
		return r.err
	}
	n, err := r.conn.Read(r.first[:])
	if n == 0 {
		if err == nil {
			err = io.ErrNoProgress
		}
		return err
	}
	r.buf = borrow(smallBuffer)
	r.buf[0] = r.first[0]
	r.got(1)
	return nil
}

// attempt writes the request, if there is one, and otherwise reads once; it holds a buffer only if something came. It
// reports whether the wait for the descriptor is over.
//
// The order is what spares a look that would find nothing: the poller forgets what it knew of the descriptor before the
// first attempt, so the answer, which can only come after the request, is news to it and ends the wait.
func (r *Reader) attempt(fd uintptr) bool {
	if r.request != nil {
		return r.attemptWrite(fd)
	}
	buf := borrow(smallBuffer)
	n, err := netfd.Read(fd, buf)
	if n > 0 {
		r.buf, r.n, r.err = buf, n, nil
		return true
	}
	give(buf)
	r.n, r.err = 0, err
	return err != netfd.ErrWait
}

// attemptWrite writes the request. If it went out as a whole, the answer is waited for.
func (r *Reader) attemptWrite(fd uintptr) bool {
	n, err := netfd.Write(fd, r.request)
	if r.request = r.request[n:]; len(r.request) == 0 {
		r.request = nil
		return false
	}
	if err != netfd.ErrWait {
		r.err = err
	}
	return true
}

func (r *Reader) got(n int) {
	r.w += n
	r.full = r.buf != nil && r.w == len(r.buf)
}

// makeRoom leaves at least one free byte behind the buffered ones, and takes a large buffer where a small one filled up.
func (r *Reader) makeRoom() {
	switch {
	case r.full && len(r.buf) < largeBuffer:
		r.moveTo(borrow(largeBuffer))
	case r.w < len(r.buf):
	case r.r > 0:
		r.moveDown()
	default:
		r.moveTo(borrow(2 * len(r.buf)))
	}
}

// moveDown moves the unread bytes to the beginning of the buffer.
func (r *Reader) moveDown() {
	r.r, r.w = 0, copy(r.buf, r.buf[r.r:r.w])
}

// moveTo takes the unread bytes along into the larger buffer b.
func (r *Reader) moveTo(b []byte) {
	n := copy(b, r.buf[r.r:r.w])
	give(r.buf)
	r.buf, r.r, r.w = b, 0, n
}

func borrow(n int) []byte {
	switch {
	case n <= smallBuffer:
		return smallBuffers.Get().(*[smallBuffer]byte)[:]
	case n <= largeBuffer:
		return largeBuffers.Get().(*[largeBuffer]byte)[:]
	}
	return make([]byte, n)
}

func give(b []byte) {
	switch len(b) {
	case smallBuffer:
		smallBuffers.Put((*[smallBuffer]byte)(b))
	case largeBuffer:
		largeBuffers.Put((*[largeBuffer]byte)(b))
	}
}
