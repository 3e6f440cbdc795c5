package fakeserver

import (
	"bufio"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"sync"
	"sync/atomic"
)

const (
	headerSize = 4
	maxFrame   = 1<<24 - 1 // bytes of payload in one frame; a longer packet goes on in the next
)

// ErrClosed is the error of a write after the bytes of CloseAfter have passed.
var ErrClosed = errors.New("fake server closed the connection on purpose")

// Wire is the packets of a connection. Close, Done and CloseAfter may be used from any goroutine,
// all else belongs to the one that serves the connection.
type Wire struct {
	reader   *bufio.Reader
	sequence byte // of the next frame
	closing  sync.Once
	done     chan struct{}

	raw net.Conn

	writing sync.Mutex   // a push writes from another goroutine
	net     net.Conn     // raw, or TLS over it after the login
	limit   atomic.Int64 // bytes until CloseAfter closes; negative: none
}

func newWire(nc net.Conn) *Wire {
	w := &Wire{raw: nc, net: nc, reader: bufio.NewReader(nc), done: make(chan struct{})}
	w.limit.Store(-1)
	return w
}

// Done is closed when the connection is closed from this side: what a handler that hangs waits
// for. It is not closed by the client going away, which only a read or write can notice; see
// WaitForClient.
func (w *Wire) Done() <-chan struct{} { return w.done }

// WaitForClient reads, and drops, what the client sends until it or anybody closes the connection:
// the way to hang and still end with the test. It returns the error of the read.
func (w *Wire) WaitForClient() error {
	_, err := io.Copy(io.Discard, w.reader)
	if err == nil {
		return io.EOF
	}
	return err
}

// Close closes the connection at once, also if a write is under way. It may be called again.
func (w *Wire) Close() error {
	var err error
	w.closing.Do(func() {
		close(w.done)
		err = w.raw.Close()
	})
	return err
}

// CloseAfter closes the connection after n more bytes were written; the write that comes that far
// returns ErrClosed.
func (w *Wire) CloseAfter(n int64) {
	w.limit.Store(n)
}

// Write writes bytes as they are: no header, no sequence number.
func (w *Wire) Write(b []byte) (int, error) {
	w.writing.Lock()
	n, err := w.write(b)
	w.writing.Unlock()
	if errors.Is(err, ErrClosed) {
		w.Close()
	}
	return n, err
}

func (w *Wire) write(b []byte) (int, error) {
	limit := w.limit.Load()
	if limit < 0 {
		return w.net.Write(b)
	}
	allowed := min(int64(len(b)), limit)
	w.limit.Store(limit - allowed)
	n, err := w.net.Write(b[:allowed])
	if err == nil && allowed == limit {
		err = ErrClosed
	}
	return n, err
}

// Packet writes a packet with the next sequence numbers, in frames of at most 16 MiB - 1.
func (w *Wire) Packet(payload []byte) error {
	_, err := w.Write(w.frames(nil, payload))
	return err
}

// Packets writes several packets with one write.
func (w *Wire) Packets(payloads ...[]byte) error {
	var b []byte
	for _, payload := range payloads {
		b = w.frames(b, payload)
	}
	_, err := w.Write(b)
	return err
}

func (w *Wire) frames(b, payload []byte) []byte {
	for {
		n := min(len(payload), maxFrame)
		b = append(b, byte(n), byte(n>>8), byte(n>>16), w.sequence)
		b = append(b, payload[:n]...)
		w.sequence++
		payload = payload[n:]
		if n < maxFrame {
			return b
		}
	}
}

// ReadPacket reads one packet of the client and takes over its sequence numbers.
func (w *Wire) ReadPacket() ([]byte, error) {
	var payload []byte
	for {
		var header [headerSize]byte
		if _, err := io.ReadFull(w.reader, header[:]); err != nil {
			return nil, err
		}
		n := int(binary.LittleEndian.Uint32(header[:]) & maxFrame)
		w.sequence = header[3] + 1
		start := len(payload)
		payload = append(payload, make([]byte, n)...)
		if _, err := io.ReadFull(w.reader, payload[start:]); err != nil {
			return nil, err
		}
		if n < maxFrame {
			return payload, nil
		}
	}
}

// push writes an error packet outside of any exchange.
func (w *Wire) push(code uint16, state, message string) error {
	payload := errorPayload(code, state, message)
	_, err := w.Write(append([]byte{byte(len(payload)), byte(len(payload) >> 8), 0, 0}, payload...))
	return err
}

// encrypted tells whether a password may be sent as it is.
func (w *Wire) encrypted() bool {
	_, isTLS := w.net.(*tls.Conn)
	return isTLS || w.net.LocalAddr().Network() == "unix"
}

// startTLS makes the rest of the connection encrypted.
func (w *Wire) startTLS(config *tls.Config) error {
	server := tls.Server(bufferedConn{w.net, w.reader}, config)
	if err := server.Handshake(); err != nil {
		return err
	}
	w.writing.Lock()
	w.net = server
	w.writing.Unlock()
	w.reader = bufio.NewReader(server)
	return nil
}

// bufferedConn reads first what was read ahead.
type bufferedConn struct {
	net.Conn
	reader *bufio.Reader
}

func (c bufferedConn) Read(b []byte) (int, error) { return c.reader.Read(b) }
