package fakeserver

import (
	"crypto/tls"
	"errors"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/go-mysql-org/go-mysql/mysql"
)

// DefaultCapabilities are announced unless Options say otherwise: what MySQL 8.4 announces, as far
// as this server can keep its word. CLIENT_SSL is added when there is a TLS configuration.
const DefaultCapabilities uint32 = mysql.CLIENT_LONG_PASSWORD | mysql.CLIENT_FOUND_ROWS | mysql.CLIENT_LONG_FLAG |
	mysql.CLIENT_CONNECT_WITH_DB | mysql.CLIENT_LOCAL_FILES | mysql.CLIENT_IGNORE_SPACE | mysql.CLIENT_PROTOCOL_41 |
	mysql.CLIENT_INTERACTIVE | mysql.CLIENT_TRANSACTIONS | mysql.CLIENT_SECURE_CONNECTION | mysql.CLIENT_MULTI_STATEMENTS |
	mysql.CLIENT_MULTI_RESULTS | mysql.CLIENT_PS_MULTI_RESULTS | mysql.CLIENT_PLUGIN_AUTH | mysql.CLIENT_CONNECT_ATTRS |
	mysql.CLIENT_PLUGIN_AUTH_LENENC_CLIENT_DATA | mysql.CLIENT_SESSION_TRACK | mysql.CLIENT_DEPRECATE_EOF |
	mysql.CLIENT_QUERY_ATTRIBUTES | mysql.CLIENT_OPTIONAL_RESULTSET_METADATA

// Handler answers one command of a connection, in that connection's goroutine. An error ends the
// connection without another byte. Commands that have no response (COM_STMT_CLOSE,
// COM_STMT_SEND_LONG_DATA) get here too; COM_QUIT and COM_CHANGE_USER do not.
type Handler func(c *Conn, cmd Command) error

// Options say how the server behaves. The zero value lets everybody in and answers OK.
type Options struct {
	Version      string            // announced; "8.4.0-fake" when empty
	Capabilities uint32            // announced; DefaultCapabilities when 0
	Plugin       string            // "caching_sha2_password" (also when empty) or "mysql_native_password"
	Users        map[string]string // password by account; nil lets everybody in with any password
	FullAuth     bool              // caching_sha2_password: always ask for the whole password, as for an account that is not cached
	TLS          *tls.Config       // nil: no TLS
	Handler      Handler           // nil: Default

	// Greet is called with a new connection before the greeting. It may write, wait, or close; an
	// error ends the connection. Nil does nothing.
	Greet func(net.Conn) error

	// Wrap puts something around a new connection, for example a faultyconn. Nil does nothing.
	Wrap func(net.Conn) net.Conn
}

// Server is a running fake server. Its methods may be called from any goroutine.
type Server struct {
	options  Options
	listener *acceptor
	threads  atomic.Uint32

	mu       sync.Mutex
	conns    map[*Conn]bool // true: logged in
	closed   bool
	received []Command
}

// New makes a server that does not listen; connections are given to it by Serve. It works within
// testing/synctest on net.Pipe.
func New(o Options) *Server {
	if o.Capabilities == 0 {
		o.Capabilities = DefaultCapabilities
	}
	if o.TLS != nil {
		o.Capabilities |= mysql.CLIENT_SSL
	}
	if o.Version == "" {
		o.Version = "8.4.0-fake"
	}
	if o.Plugin == "" {
		o.Plugin = mysql.AUTH_CACHING_SHA2_PASSWORD
	}
	if o.Handler == nil {
		o.Handler = Default
	}
	return &Server{options: o, conns: make(map[*Conn]bool)}
}

// Start starts a server on a free port of 127.0.0.1. It ends with the test: connections are
// closed and all its goroutines are waited for, so a handler must not wait for ever; see Conn.Done.
func Start(t testing.TB, o Options) *Server {
	t.Helper()
	s := New(o)
	s.listener = newAcceptor(t, func(c net.Conn) { _ = s.Serve(c) }) // how a connection ends is the test's business
	t.Cleanup(s.Close)
	return s
}

// Addr is the server's address, as in "127.0.0.1:40001".
func (s *Server) Addr() string { return s.listener.addr() }

// Close stops listening, closes all connections and waits for their goroutines. It may be called
// again; the end of the test calls it too.
func (s *Server) Close() {
	s.mu.Lock()
	s.closed = true
	for c := range s.conns {
		c.Close()
	}
	s.mu.Unlock()
	if s.listener != nil {
		s.listener.close()
	}
}

// Serve runs one connection until its end and closes it. The error is that of the login or the
// handler, nil after COM_QUIT.
func (s *Server) Serve(nc net.Conn) error {
	if s.options.Wrap != nil {
		nc = s.options.Wrap(nc)
	}
	c := newConn(nc, s.threads.Add(1))
	defer c.Close()
	if !s.keep(c, false) {
		return net.ErrClosed
	}
	defer s.drop(c)
	if s.options.Greet != nil {
		if err := s.options.Greet(nc); err != nil {
			return err
		}
	}
	if err := (&login{conn: c, options: s.options}).run(); err != nil {
		return err
	}
	s.keep(c, true)
	return s.commands(c)
}

// keep remembers a connection and whether it is logged in. False: the server is closed.
func (s *Server) keep(c *Conn, loggedIn bool) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.closed {
		s.conns[c] = loggedIn
	}
	return !s.closed
}

func (s *Server) drop(c *Conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.conns, c)
}

// commands is the loop of a connection that is logged in.
func (s *Server) commands(c *Conn) error {
	for {
		cmd, err := c.readCommand()
		if err != nil {
			return err
		}
		s.mu.Lock()
		s.received = append(s.received, cmd)
		s.mu.Unlock()
		switch cmd.Code {
		case mysql.COM_QUIT:
			return nil
		case mysql.COM_CHANGE_USER:
			err = (&login{conn: c, options: s.options}).changeUser(cmd.Payload)
		default:
			err = s.options.Handler(c, cmd)
		}
		if err != nil {
			return err
		}
	}
}

// Received returns the commands of all connections so far, in the order of their arrival.
func (s *Server) Received() []Command {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.received)
}

// Conns returns the connections that are logged in, in no order.
func (s *Server) Conns() []*Conn {
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []*Conn
	for c, loggedIn := range s.conns {
		if loggedIn {
			all = append(all, c)
		}
	}
	return all
}

// Push sends an error to every connection that is logged in, with sequence number 0 and without
// being asked, and closes it: what a server does at its shutdown, on KILL, or after wait_timeout.
func (s *Server) Push(code uint16, state, message string) error {
	var errs []error
	for _, c := range s.Conns() {
		errs = append(errs, c.push(code, state, message), c.Close())
	}
	return errors.Join(errs...)
}

// Default answers OK to every command that has a response, with the state change that a command
// makes (COM_INIT_DB sets Schema). COM_STATISTICS gets its text; COM_STMT_PREPARE a statement
// without parameters and columns. It is for handlers that care about a few commands only.
func Default(c *Conn, cmd Command) error {
	switch cmd.Code {
	case mysql.COM_STMT_CLOSE, mysql.COM_STMT_SEND_LONG_DATA:
		return nil
	case mysql.COM_STATISTICS:
		return c.Packet([]byte("Uptime: 1"))
	case mysql.COM_STMT_PREPARE:
		return c.Prepared(1, nil, nil)
	case mysql.COM_INIT_DB:
		c.Schema = string(cmd.Payload)
		return c.OK(OK{Track: []Track{TrackSchema(c.Schema)}})
	case mysql.COM_SET_OPTION, mysql.COM_DEBUG:
		return c.EOF(OK{})
	}
	return c.OK(OK{})
}
