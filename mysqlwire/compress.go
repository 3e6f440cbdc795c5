package mysqlwire

import (
	"errors"
	"fmt"
	"io"
	"net"
	"sync/atomic"
)

const (
	// compressedHeader is the size of a compressed frame's header: three bytes of payload length, one of sequence number
	// and three of the length that the payload had before it was compressed, 0 when it was not.
	compressedHeader = 7
	// minCompress is the size below which bytes are not worth compressing, as servers see it.
	minCompress = 50
	// maxChunk is how much goes into one frame. More would not compress better: zlib looks back 32 KiB, and zstd's blocks
	// have 128 KiB.
	maxChunk = 128 << 10
	// chunkRoom is what a frame may need besides its chunk: the header, and what zstd adds to bytes that do not shrink.
	chunkRoom = 64
)

// ErrCompression says that a peer breaks the rules of the compressed protocol.
var ErrCompression = errors.New("malformed compressed packet")

// Compress returns the connection as it goes on behind a login in which caps were negotiated: a [Compressed], or c
// itself if neither CapCompress nor CapZstd is in caps. With both it is zlib, as with servers. The level is zstd's,
// from the login request; it concerns what we send.
func Compress(c net.Conn, caps Capability, level byte) net.Conn {
	switch {
	case caps.Has(CapCompress):
		return newCompressed(c, zlibCodec{})
	case caps.Has(CapZstd):
		return newCompressed(c, zstdCodec{level: levelOf(level)})
	}
	return c
}

// Compressed is a connection on which everything is sent in compressed frames. It shows the frames of the usual
// protocol that are within; the two kinds of frames need not begin or end together.
// https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_basic_compression.html
//
// Compressed frames have sequence numbers of their own, which begin with 0 at each command and go on through its
// response. With every change of direction the numbers of the frames within take up those of the compressed ones: a
// response begins with [Compressed.Next]. That is all a client may check of them; a server checks nothing, and whoever
// passes frames on has to number them anew.
//
// Buffers and decompressors are borrowed while there is something in them; an idle connection holds none. A frame of
// zlib is decompressed as it is read; one of zstd is held as a whole, compressed and then decompressed: up to 32 MiB
// and 16 MiB. A frame that holds more than it announced is an error. No goroutine is started.
//
// Like any [net.Conn] it may be read by one goroutine and written by another. An error of Read within a frame is final,
// also that of a deadline. Close closes the connection below.
type Compressed struct {
	net.Conn
	codec codec
	seq   atomic.Uint32 // the low byte is the number of the next frame, in either direction

	payload payload
	body    io.ReadCloser // what is in the current frame; nil between two
	want    int           // how many bytes that may still be
	err     error         // how reading ended
}

// codec is an algorithm.
type codec interface {
	// compress appends src, compressed, to dst, which has room for len(src)+chunkRoom bytes less the header. A result
	// that is not shorter than src is not used.
	compress(dst, src []byte) []byte
	// open returns what is in p, at most size bytes. Close gives back what that needed.
	open(p *payload, size int) (io.ReadCloser, error)
}

func newCompressed(c net.Conn, codec codec) *Compressed {
	return &Compressed{Conn: c, codec: codec, payload: payload{in: NewReader(c)}}
}

// NetConn returns the connection below.
func (c *Compressed) NetConn() net.Conn { return c.Conn }

// Restart makes 0 the number of the next frame that is written: for what is said between two commands.
func (c *Compressed) Restart() { c.seq.Store(0) }

// Next returns the number of the next compressed frame, in whichever direction.
func (c *Compressed) Next() byte { return byte(c.seq.Load()) }

// Read reads from the current frame, and waits for the next one if there is none.
func (c *Compressed) Read(p []byte) (int, error) {
	for c.err == nil && len(p) > 0 {
		if c.body == nil {
			if err := c.next(); err != nil {
				return 0, err
			}
		}
		n, err := c.body.Read(p[:min(len(p), c.want)])
		c.want -= n
		if c.want == 0 && err == nil {
			err = c.atEnd()
		}
		if err == io.EOF {
			err = c.finish()
		}
		c.err = err
		if n > 0 {
			return n, nil
		}
	}
	return 0, c.err
}

// next waits for a frame and opens it. It may be called again after a deadline.
func (c *Compressed) next() error {
	in := c.payload.in
	in.Release()
	if err := in.Need(compressedHeader); err != nil {
		return err
	}
	h := in.Bytes()
	n, seq, size := FrameLen(h), h[3], FrameLen(h[4:])
	if want := c.Next(); seq != want && seq != 0 {
		c.err = fmt.Errorf("%w: number %d, want %d", ErrCompression, seq, want)
		return c.err
	}
	c.seq.Store(uint32(seq) + 1)
	in.Discard(compressedHeader)
	c.payload.left = n
	if size == 0 {
		c.body, c.want = &c.payload, n
	} else {
		c.want = size
		c.body, c.err = c.codec.open(&c.payload, size)
	}
	return c.err
}

// atEnd checks that a frame has no more in it than it announced; then it returns io.EOF.
func (c *Compressed) atEnd() error {
	var b [1]byte
	n, err := c.body.Read(b[:])
	if n > 0 {
		return fmt.Errorf("%w: longer than announced", ErrCompression)
	}
	return err
}

// finish leaves the current frame. Bytes behind the compressed ones do not count, as they do not for servers.
func (c *Compressed) finish() error {
	err := c.body.Close()
	c.body = nil
	if skipped := c.payload.skip(); skipped != nil {
		return skipped
	}
	return err
}

// Write sends p in frames of its own.
func (c *Compressed) Write(p []byte) (int, error) {
	written := 0
	for written < len(p) {
		buf := borrow(min(len(p)-written, maxChunk) + chunkRoom)
		out, n := c.fill(buf[:0], p[written:])
		_, err := c.Conn.Write(out)
		give(buf)
		if err != nil {
			return written, err
		}
		written += n
	}
	return written, nil
}

// fill puts p, or as much of it as there is room for, into frames in dst. It returns them and how much of p they hold.
func (c *Compressed) fill(dst, p []byte) (out []byte, n int) {
	for n < len(p) {
		chunk := p[n:min(len(p), n+maxChunk)]
		if cap(dst)-len(dst) < len(chunk)+chunkRoom {
			break
		}
		dst = c.appendFrame(dst, chunk)
		n += len(chunk)
	}
	return dst, n
}

// appendFrame appends a frame that holds chunk, compressed if that makes it shorter.
func (c *Compressed) appendFrame(dst, chunk []byte) []byte {
	seq := byte(c.seq.Add(1) - 1)
	at := len(dst)
	body := dst[at+compressedHeader : at+compressedHeader : at+len(chunk)+chunkRoom]
	size := 0
	if len(chunk) >= minCompress {
		body = c.codec.compress(body, chunk)
		size = len(chunk)
	}
	if size == 0 || len(body) >= size {
		size = 0
		body = append(body[:0], chunk...)
	}
	dst = AppendHeader(dst, len(body), seq)
	dst = append(dst, byte(size), byte(size>>8), byte(size>>16))
	return append(dst, body...)
}

// payload is what is left of the payload of a compressed frame.
type payload struct {
	in   *Reader
	left int // bytes
}

// more waits until some of the payload is buffered.
func (p *payload) more() error {
	if p.left == 0 {
		return io.EOF
	}
	if len(p.in.Bytes()) > 0 {
		return nil
	}
	return inFrame(p.in.Fill())
}

// inFrame is err where it is no good end of the stream.
func inFrame(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}

// Read reads bytes as they are. The end of the payload is io.EOF.
func (p *payload) Read(b []byte) (int, error) {
	if err := p.more(); err != nil {
		return 0, err
	}
	n := copy(b[:min(len(b), p.left)], p.in.Bytes())
	p.drop(n)
	return n, nil
}

// ReadByte spares decompressors a buffer of their own.
func (p *payload) ReadByte() (byte, error) {
	if err := p.more(); err != nil {
		return 0, err
	}
	b := p.in.Bytes()[0]
	p.drop(1)
	return b, nil
}

func (p *payload) drop(n int) {
	p.in.Discard(n)
	p.left -= n
}

// whole waits for all of the payload and returns it. It is valid until it is dropped.
func (p *payload) whole() ([]byte, error) {
	for len(p.in.Bytes()) < p.left {
		if err := p.in.Fill(); err != nil {
			return nil, inFrame(err)
		}
	}
	return p.in.Bytes()[:p.left], nil
}

// skip drops the rest of the payload, and the buffer if it is empty then.
func (p *payload) skip() error {
	for p.left > 0 {
		if err := p.more(); err != nil {
			return err
		}
		p.drop(min(p.left, len(p.in.Bytes())))
	}
	p.in.Release()
	return nil
}

// Close does nothing: a payload that is not compressed holds nothing but the connection's buffer.
func (p *payload) Close() error { return nil }
