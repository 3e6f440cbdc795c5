package proxy

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/go-mysql-org/go-mysql/mysql"

	"github.com/stickyproxy/stickyproxy/internal/mysqltest/fakeserver"
	"github.com/stickyproxy/stickyproxy/mysqlwire"
)

// A text that is too large to keep is prepared and executed on the primary.
func TestTextThatIsNotKept(t *testing.T) {
	r := startRig(t, rigOptions{replicas: 1})
	c := r.connect()
	id := c.prepare("SELECT '" + strings.Repeat("x", 2<<20) + "'")
	c.executes(r.primary, execution(id, 0, ""))
	if got := c.ask(mysql.COM_STMT_RESET, statementBody(id, "")); got.err != nil {
		t.Error(got)
	}
}

// An execution of more than 1 MiB goes to the primary, framed anew where the types of the parameters are added.
func TestLargeExecution(t *testing.T) {
	for _, size := range []int{2 << 20, mysqlwire.MaxFrame - 25, mysqlwire.MaxFrame - 14, mysqlwire.MaxFrame - 13, mysqlwire.MaxFrame + 100, 2*mysqlwire.MaxFrame - 25} {
		t.Run(fmt.Sprint(size), func(t *testing.T) {
			r := startRig(t, rigOptions{replicas: 1})
			var got []byte
			var in string
			r.primary.on(func(_ *fakeserver.Conn, cmd fakeserver.Command) error {
				if cmd.Code == mysql.COM_STMT_EXECUTE {
					got = bytes.Clone(cmd.Payload)
				}
				return errDefault
			})
			c := r.connect()
			id := c.prepare("SELECT a FROM t WHERE b = ?")
			in = "\x00\x01\xfc\x00"
			c.executes(r.replicas[0], execution(id, 0, in+"\x01x"))
			value := make([]byte, size)
			for i := range value {
				value[i] = byte(i % 251)
			}
			body := execution(id, 0, "\x00\x00"+string(value))
			c.executes(r.primary, body)
			want := execution(0, 0, in+string(value))[4:]
			if string(got[4:]) != want {
				t.Errorf("the primary got %d bytes that differ from %d", len(got), len(want))
			}
			c.executes(r.primary, body) // now it knows the types
			c.from(r.replicas[0], "SELECT a FROM t")
		})
	}
}

// A client that goes in the middle of a command leaves the server with half of it, and with nothing that could be taken
// for the rest.
func TestHalfACommandIsNotCompleted(t *testing.T) {
	for _, tt := range []struct {
		name  string
		write func(c *checker)
	}{
		{"query", func(c *checker) {
			b := query("INSERT INTO t VALUES ('" + strings.Repeat("x", 2<<20) + "')")
			c.write(b[:len(b)-5])
		}},
		{"file", func(c *checker) {
			c.send(mysql.COM_QUERY, "LOAD DATA LOCAL INFILE 'f' INTO TABLE t")
			if _, err := c.packet(); err != nil {
				c.t.Fatal(err)
			}
			c.write([]byte{7, 0, 0, 2, 'a', 'b'})
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			gone := make(chan struct{})
			r := startRig(t, rigOptions{replicas: 1, trace: Trace{Closed: func() { close(gone) }}})
			ended := make(chan error, 1)
			r.primary.on(func(c *fakeserver.Conn, cmd fakeserver.Command) error {
				if !strings.HasPrefix(cmd.SQL, "LOAD") {
					return errDefault
				}
				_, err := c.LocalInfile("f")
				ended <- err
				return err
			})
			c := r.connectAs(usualClient|mysqlwire.CapLocalFiles, "", "")
			server := r.primary.Conns()[0]
			tt.write(c)
			c.close()
			<-gone
			<-server.Done()
			if tt.name == "file" {
				if err := <-ended; !errors.Is(err, io.ErrUnexpectedEOF) {
					t.Errorf("the server read the file up to %v", err)
				}
				r.primary.sent()
			}
			r.primary.wantSent()
		})
	}
}
