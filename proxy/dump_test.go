package proxy

import (
	"net"
	"testing"

	"github.com/stickyproxy/stickyproxy/backend"
	"github.com/stickyproxy/stickyproxy/mysqlwire"
)

// sizes is a client's connection that notes how much was written at a time.
type sizes struct {
	net.Conn
	written []int
}

func (s *sizes) Write(b []byte) (int, error) {
	s.written = append(s.written, len(b))
	return len(b), nil
}

// What comes from a server in one piece goes to the client in one, also where the server's connection is none that can
// be asked what is there: over TLS a binlog went on byte by byte, each in a record of its own.
func TestDumpCopiesInLargePieces(t *testing.T) {
	const blocks, size = 20, 1000
	server, ours := net.Pipe()
	go func() {
		defer server.Close()
		for range blocks {
			_, _ = server.Write(make([]byte, size)) // the other end reads until this one is closed
		}
	}()
	client := &sizes{}
	c := &conn{nc: client}
	l := &link{Conn: &backend.Conn{Conn: ours}, in: mysqlwire.NewReader(ours)}
	if err := c.copyDown(l); err != errDumpEnded {
		t.Errorf("the copy ended with %v", err)
	}
	total := 0
	for _, n := range client.written {
		total += n
	}
	if total != blocks*size || len(client.written) > 2*blocks {
		t.Errorf("%d bytes in %d pieces, want %d in about %d", total, len(client.written), blocks*size, blocks)
	}
}
