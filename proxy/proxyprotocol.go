package proxy

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"syscall"

	"github.com/pires/go-proxyproto"

	"github.com/stickyproxy/stickyproxy/mysqlwire"
)

// Sizes of the header with which a load balancer says for whom a connection is.
// https://www.haproxy.org/download/3.0/doc/proxy-protocol.txt
const (
	maxProxyV1  = 107     // bytes of the form in text, line end included
	proxyV2     = 16      // of the binary form, before what its last two bytes count
	maxProxyV2  = 4 << 10 // after that: addresses and what a load balancer has to say besides
	proxyV1Head = "PROX"
	proxyV2Head = "\r\n\r\n"
)

var (
	errUnlisted    = errors.New("a PROXY header from an address that proxy_protocol.from does not list")
	errProxyHeader = errors.New("a malformed PROXY header")
)

// preamble sends the greeting and takes a PROXY header off the connection, if there is one. Like MariaDB we greet
// first: so one who is listed may also connect for himself, and nothing has to be guessed. No packet begins as a
// header does: it would have a length of megabytes and be out of order.
// https://mariadb.com/kb/en/proxy-protocol-support/
func (l *login) preamble() *LoginError {
	if err := l.flush(); err != nil {
		return ioFault(l.parent, err)
	}
	head := make([]byte, mysqlwire.HeaderSize)
	if _, err := io.ReadFull(l.conn, head); err != nil {
		return ioFault(l.parent, err)
	}
	if s := string(head); s != proxyV1Head && s != proxyV2Head {
		l.ahead = head
		return nil
	}
	if !lists(l.ProxyFrom, l.conn.RemoteAddr()) {
		return malformed(errUnlisted)
	}
	h, err := readProxyHeader(l.conn, head)
	switch {
	case errors.Is(err, errProxyHeader):
		return malformed(err)
	case err != nil:
		return ioFault(l.parent, err)
	}
	if remote, local, ok := h.TCPAddrs(); ok && h.Command == proxyproto.PROXY {
		l.conn = &forwarded{Conn: l.conn, remote: remote, local: local}
	}
	return nil
}

// lists tells whether an address is in one of the networks.
func lists(networks []netip.Prefix, address net.Addr) bool {
	tcp, ok := address.(*net.TCPAddr)
	if !ok {
		return false
	}
	a := tcp.AddrPort().Addr().Unmap().WithZone("")
	for _, n := range networks {
		if n.Contains(a) {
			return true
		}
	}
	return false
}

// readProxyHeader reads the header that begins with head, and not a byte further.
func readProxyHeader(r io.Reader, head []byte) (*proxyproto.Header, error) {
	var err error
	if string(head) == proxyV1Head {
		head, err = readLine(r, head)
	} else {
		head, err = readBinary(r, head)
	}
	if err != nil {
		return nil, err
	}
	h, err := proxyproto.Read(bufio.NewReader(bytes.NewReader(head)))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errProxyHeader, err)
	}
	return h, nil
}

// readLine reads up to the end of the line.
func readLine(r io.Reader, head []byte) ([]byte, error) {
	for next := [1]byte{}; next[0] != '\n'; head = append(head, next[0]) {
		if len(head) == maxProxyV1 {
			return nil, errProxyHeader
		}
		if _, err := io.ReadFull(r, next[:]); err != nil {
			return nil, err
		}
	}
	return head, nil
}

// readBinary reads as much as the header says that it has.
func readBinary(r io.Reader, head []byte) ([]byte, error) {
	fixed := make([]byte, proxyV2)
	n := copy(fixed, head)
	if _, err := io.ReadFull(r, fixed[n:]); err != nil {
		return nil, err
	}
	rest := int(binary.BigEndian.Uint16(fixed[proxyV2-2:]))
	if rest > maxProxyV2 {
		return nil, errProxyHeader
	}
	whole := append(fixed, make([]byte, rest)...)
	_, err := io.ReadFull(r, whole[proxyV2:])
	return whole, err
}

// forwarded is a connection whose client is behind a load balancer. Its addresses are the client's own and the one
// that it connected to.
type forwarded struct {
	net.Conn
	remote, local net.Addr
}

// RemoteAddr returns the client's address.
func (f *forwarded) RemoteAddr() net.Addr { return f.remote }

// LocalAddr returns the address that the client connected to.
func (f *forwarded) LocalAddr() net.Addr { return f.local }

// SyscallConn gives access to the socket, if there is one.
func (f *forwarded) SyscallConn() (syscall.RawConn, error) {
	if s, ok := f.Conn.(syscall.Conn); ok {
		return s.SyscallConn()
	}
	return nil, errors.ErrUnsupported
}

// SetLinger says what happens to the socket when it is closed, where that can be said.
func (f *forwarded) SetLinger(seconds int) error {
	if c, ok := f.Conn.(interface{ SetLinger(int) error }); ok {
		return c.SetLinger(seconds)
	}
	return errors.ErrUnsupported
}

// CloseWrite tells the client that nothing more comes, where that can be told.
func (f *forwarded) CloseWrite() error {
	if c, ok := f.Conn.(interface{ CloseWrite() error }); ok {
		return c.CloseWrite()
	}
	return errors.ErrUnsupported
}
