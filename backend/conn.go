package backend

import (
	"context"
	"net"
	"sync"
	"syscall"

	"github.com/stickyproxy/stickyproxy/internal/netfd"
	"github.com/stickyproxy/stickyproxy/mysqlwire"
)

// Conn is one logged-in connection to a server, at rest: no byte of a response is outstanding and none is buffered
// here. The embedded [net.Conn] (plain or TLS) is for its owner to speak the protocol on; one goroutine at a time, only
// Close and the deadlines may come from others. The fields say how the login left things and are not kept up to date.
type Conn struct {
	net.Conn
	Server       *Server
	ThreadID     uint32               // CONNECTION_ID() there
	Version      string               // as the server announced it: "8.4.3", "5.5.5-10.11.19-MariaDB"
	MariaDB      bool                 // flavor of the server
	Capabilities mysqlwire.Capability // negotiated: asked for and announced
	Collation    uint16               // id, as asked for at login
	Status       mysqlwire.Status     // at the end of the set-up
	Schema       string               // current schema, "" none
	Incarnation  string               // which server answered; empty only when Expired
	Warnings     uint16               // how many the server has counted at the login
	Told         string               // system variables that it reported there, as OK packets do; MariaDB does from 11 on
	Expired      bool                 // the password has: the server takes a new one and nothing else, and tells nothing
	Variables    Variables            // of the session
	Tracked      bool                 // the server reports GTIDs and changes of the session; old servers cannot

	tellsTrackers bool // Variables have those that turn session trackers on

	reader reader
	raw    syscall.RawConn  // nil: Alive cannot look
	peek   func(fd uintptr) // c.peekAt as a value, made once
	quiet  bool             // what peekAt saw
	close  func() error     // closes once
}

// newConn takes over the connection of a login that ended with ok.
func newConn(d *dialogue, ok mysqlwire.OK) *Conn {
	c := &Conn{
		Conn: d.conn, Server: d.server, ThreadID: d.greeting.ConnectionID, Version: d.greeting.Version,
		MariaDB: isMariaDB(d.greeting), Capabilities: d.caps, Collation: d.login.Collation, Status: ok.Status, Schema: d.login.Schema,
		Warnings: ok.Warnings, Told: toldVariables(ok.Session),
	}
	c.reader.Reset(d.conn)
	c.close = sync.OnceValue(d.conn.Close)
	c.preparePeek()
	return c
}

// toldVariables keeps the system variables of the session state in an OK packet.
func toldVariables(session []byte) string {
	var told []byte
	for ch := (mysqlwire.Changes{Rest: session}); ch.Next(); {
		if ch.Kind == mysqlwire.TrackSystemVariable {
			told = mysqlwire.AppendChange(told, ch.Kind, ch.Name, ch.Value)
		}
	}
	return string(told)
}

// Close closes the connection without a word to the server, which takes that as a good-bye. Calls after the first do
// nothing, and so does one on a Conn that was never connected.
func (c *Conn) Close() error {
	if c.close == nil {
		return nil
	}
	return c.close()
}

// preparePeek gets hold of the socket.
func (c *Conn) preparePeek() {
	if s, ok := c.socket().(syscall.Conn); ok {
		if raw, err := s.SyscallConn(); err == nil {
			c.raw, c.peek = raw, c.peekAt
		}
	}
}

// Alive tells whether the idle connection is still open and quiet, with one system call that does not wait. A server
// speaks to an idle connection only to end it (shutdown, KILL, timeout), so one that became readable is of no more use.
// It is for the owner, between two commands. Where the system has no such call, it is true.
func (c *Conn) Alive() bool {
	if c.raw == nil {
		return true
	}
	c.quiet = false
	return c.raw.Control(c.peek) == nil && c.quiet
}

// peekAt looks whether something could be read from the socket.
func (c *Conn) peekAt(fd uintptr) { c.quiet = netfd.Peek(fd) == netfd.ErrWait }

// HangUp tells the server that nobody waits for it any more, as a client does that is gone, so that it may end what waits
// for nothing (SLEEP, GET_LOCK). What it says until then can be read. Any goroutine may call it.
func (c *Conn) HangUp() {
	if w, ok := c.socket().(interface{ CloseWrite() error }); ok {
		_ = w.CloseWrite() // whoever uses the connection will find out
	}
}

// socket is the connection below TLS, if that is used.
func (c *Conn) socket() net.Conn {
	if t, ok := c.Conn.(interface{ NetConn() net.Conn }); ok {
		return t.NetConn()
	}
	return c.Conn
}

// Reset forgets the state of the session (COM_RESET_CONNECTION: transaction, variables, temporary tables, prepared
// statements, locks) and turns the trackers on again, in one round trip bounded by ctx. After an error the connection
// is in no known state: close it.
// https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_com_reset_connection.html
func (c *Conn) Reset(ctx context.Context) error {
	release := bound(ctx, c.Conn)
	return release(c.reset())
}
