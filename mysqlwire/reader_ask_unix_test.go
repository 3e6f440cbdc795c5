//go:build unix

package mysqlwire

import (
	"net"
	"syscall"
	"testing"
)

// Ensure that a request to a peer that has said its good-bye and gone ends, with the good-bye or an error.
func TestReaderAskGone(t *testing.T) {
	for name, connect := range map[string]func(testing.TB) (a, b net.Conn){"tcp": connectTCP, "unix": connectUnix} {
		for _, goodbye := range []string{"", "bye"} {
			conn, peer := connect(t)
			r := NewReader(conn)
			mustWrite(t, write(peer, []byte(goodbye)))
			if err := peer.Close(); err != nil {
				t.Fatal(err)
			}
			awaitReadable(t, conn)
			err := r.Ask([]byte("q"))
			if err == nil {
				err = r.Need(3)
			}
			if err == nil && string(r.Bytes()) != goodbye || err != nil && name == "tcp" && goodbye != "" {
				t.Errorf("%s, %q: got %q, %v", name, goodbye, r.Bytes(), err)
			}
			r.Close()
		}
	}
}

// awaitReadable waits until something has come, if only the end, and leaves it where it is.
func awaitReadable(t *testing.T, conn net.Conn) {
	t.Helper()
	raw, err := conn.(syscall.Conn).SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	peek := func(fd uintptr) bool {
		_, _, err := syscall.Recvfrom(int(fd), make([]byte, 1), syscall.MSG_PEEK)
		return err != syscall.EAGAIN
	}
	if err := raw.Read(peek); err != nil {
		t.Fatal(err)
	}
}
