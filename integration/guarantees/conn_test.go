package guarantees

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/go-mysql-org/go-mysql/mysql"

	"github.com/stickyproxy/stickyproxy/internal/mysqltest/fakeserver"
	"github.com/stickyproxy/stickyproxy/mysqlwire"
)

// heard is what a fake server was told.
type heard struct {
	sql, attribute string
	payload        []byte
}

// startEcho serves a table of one row, and tells what it hears.
func startEcho(t *testing.T, capabilities uint32) (*conn, *[]heard) {
	t.Helper()
	list := new([]heard)
	s := fakeserver.Start(t, fakeserver.Options{Capabilities: capabilities, Handler: func(c *fakeserver.Conn, cmd fakeserver.Command) error {
		*list = append(*list, heard{cmd.SQL, cmd.Attributes["sticky_session"], cmd.Payload})
		switch cmd.Code {
		case mysql.COM_STMT_CLOSE:
			return nil
		case mysql.COM_STMT_PREPARE:
			return c.Prepared(7, []string{"?"}, []string{"id", "version", "writer"})
		case mysql.COM_STMT_EXECUTE:
			if err := c.Columns("id", "version", "writer"); err != nil {
				return err
			}
			row := []byte{0, 0} // a row, and no column is NULL
			for _, n := range []uint64{3, 2, 1 << 40} {
				row = binary.LittleEndian.AppendUint64(row, n)
			}
			if err := c.Packet(row); err != nil {
				return err
			}
			return c.EOF(fakeserver.OK{})
		}
		switch cmd.SQL {
		case "bad":
			return c.Error(1205, "HY000", "locked")
		case "silence":
			<-t.Context().Done()
			return errors.New("over")
		case "write":
			return c.OK(fakeserver.OK{AffectedRows: 1, InsertID: 9})
		}
		return c.Rows([]string{"id", "version", "writer"}, [][]any{{3, nil, "1"}}, fakeserver.OK{})
	}})
	c, err := dial(t.Context(), Endpoint{Address: s.Addr(), User: "u"}, "", "me")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.close)
	return c, list
}

// Ensure that statements arrive as they were meant and answers are read, in both protocols, with and without attributes.
func TestConn(t *testing.T) {
	for name, caps := range map[string]uint32{"new": 0, "classic": fakeserver.DefaultCapabilities &^ (mysql.CLIENT_QUERY_ATTRIBUTES | mysql.CLIENT_DEPRECATE_EOF)} {
		t.Run(name, func(t *testing.T) {
			c, list := startEcho(t, caps)
			s := statement{sql: "SELECT ? AND ?", params: []uint64{5, 6}, attribute: "me"}
			a, err := c.do(t.Context(), time.Minute, s)
			if err != nil || len(a.rows) != 1 || fmt.Sprint(a.rows[0]) != "[3  1]" {
				t.Errorf("text: got %v, %v", a, err)
			}
			want := heard{sql: "SELECT 5 AND 6", attribute: "me"}
			if caps != 0 {
				want.attribute = ""
			}
			if got := (*list)[0]; got.sql != want.sql || got.attribute != want.attribute {
				t.Errorf("heard %+v, want %+v", got, want)
			}
			s.prepared = true
			for range 2 {
				a, err = c.do(t.Context(), time.Minute, s)
				if err != nil || len(a.rows) != 1 || fmt.Sprint(a.rows[0]) != "[3 2 1099511627776]" {
					t.Errorf("prepared: got %v, %v", a, err)
				}
			}
			if len(*list) != 4 || (*list)[1].sql != "SELECT ? AND ?" { // prepared once
				t.Errorf("heard %+v", *list)
			}
			a, err = c.do(t.Context(), time.Minute, statement{sql: "write"})
			if err != nil || a.affected != 1 || a.insertID != 9 {
				t.Errorf("write: got %+v, %v", a, err)
			}
		})
	}
}

// Ensure that a refusal leaves the connection usable and its kind is known, and that a lost one is broken.
func TestConnErrors(t *testing.T) {
	c, _ := startEcho(t, 0)
	_, err := c.do(t.Context(), time.Minute, statement{sql: "bad"})
	var refused *mysqlwire.Error
	if !errors.As(err, &refused) || !isHarmless(err) || c.broken {
		t.Errorf("refused: got %v, broken %v", err, c.broken)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := c.do(ctx, time.Minute, statement{sql: "silence"}); err == nil || isHarmless(err) || !c.broken {
		t.Errorf("cut off: got %v, broken %v", err, c.broken)
	}
}

// Ensure that many statements do not fill the server.
func TestForgetsHandles(t *testing.T) {
	c, list := startEcho(t, 0)
	for i := range maxHandles + 1 {
		if _, err := c.do(t.Context(), time.Minute, statement{sql: fmt.Sprintf("SELECT %d", i), prepared: true}); err != nil {
			t.Fatal(err)
		}
	}
	if len(c.handles) != 1 {
		t.Errorf("%d handles are kept", len(c.handles))
	}
	if want := 3*maxHandles + 2; len(*list) != want { // prepared and executed each, and closed
		t.Errorf("%d commands, want %d", len(*list), want)
	}
}
