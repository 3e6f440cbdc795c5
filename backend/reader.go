package backend

import (
	"bufio"
	"fmt"
	"io"
	"sync"

	"github.com/stickyproxy/stickyproxy/mysqlwire"
)

// First bytes of the packets that are told apart here.
const (
	headerOK     = 0x00
	headerInfile = 0xFB
	headerNull   = 0xFB
	headerEOF    = 0xFE
	headerERR    = 0xFF
)

// buffers are for the few packets of a login or of a question of our own.
var buffers = sync.Pool{New: func() any { return bufio.NewReaderSize(nil, 2<<10) }}

// reader reads packets while it is our turn to ask. A server sends nothing that was not asked for, so reading ahead
// loses nothing: when a dialogue is over, empty says so, and where it does not, the connection is not to be used.
// The zero reader has no connection.
type reader struct {
	conn io.Reader
	buf  *bufio.Reader // borrowed while a dialogue goes on
}

// Reset makes r read from conn.
func (r *reader) Reset(conn io.Reader) {
	r.conn = conn
	if r.buf != nil {
		r.buf.Reset(conn)
	}
}

// packet reads one packet of 1 to limit bytes.
func (r *reader) packet(limit int) (payload []byte, seq byte, err error) {
	if r.buf == nil {
		r.buf = buffers.Get().(*bufio.Reader)
		r.buf.Reset(r.conn)
	}
	p, seq, err := mysqlwire.ReadPacket(r.buf, limit)
	if err != nil {
		if err == io.EOF {
			err = io.ErrUnexpectedEOF
		}
		return nil, seq, err
	}
	if len(p) == 0 {
		return nil, seq, fmt.Errorf("%w: an empty packet", errProtocol)
	}
	return p, seq, nil
}

// empty ends a dialogue: it gives the buffer back, and it is an error when the server has sent more than was read.
func (r *reader) empty() error {
	if r.buf == nil {
		return nil
	}
	left := r.buf.Buffered()
	r.buf.Reset(nil)
	buffers.Put(r.buf)
	r.buf = nil
	if left > 0 {
		return errEarly
	}
	return nil
}
