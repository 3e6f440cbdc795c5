package backend

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync/atomic"
	"time"

	"github.com/stickyproxy/stickyproxy/internal/netfd"
	"github.com/stickyproxy/stickyproxy/mysqlwire"
)

// Account is a MySQL account as a program logs in with it.
type Account struct {
	User, Password string
}

// ServerConfig says how to reach one server.
type ServerConfig struct {
	Address string // host:port, or unix: and the path of a socket
	Weight  int    // relative share of reads, 0 is 1
	Zone    string // where it runs, for people and for preferring what is near
	TLS     TLS
	// SendProxyProtocol tells the server the address of the client for whom a connection is, by a header of the PROXY
	// protocol. The server has to expect it (MariaDB: proxy_protocol_networks).
	SendProxyProtocol bool
}

// Validate tells what is wrong with the configuration.
func (c *ServerConfig) Validate() error {
	if c.Weight < 0 {
		return fmt.Errorf("server %s: weight %d is negative", c.Address, c.Weight)
	}
	network, _, err := splitAddress(c.Address)
	if err != nil {
		return err
	}
	if err := c.TLS.validate(network); err != nil {
		return fmt.Errorf("server %s: %w", c.Address, err)
	}
	return nil
}

// splitAddress returns what [net.Dial] wants.
func splitAddress(address string) (network, target string, err error) {
	if path, ok := strings.CutPrefix(address, "unix:"); ok {
		if path == "" {
			return "", "", errors.New("server address unix: has no path")
		}
		return "unix", path, nil
	}
	host, port, err := net.SplitHostPort(address)
	if err != nil || host == "" || port == "" {
		return "", "", fmt.Errorf("server address %q is not host:port or unix:/path", address)
	}
	return "tcp", address, nil
}

// Greeting is what a server says about itself before anybody has logged in.
type Greeting struct {
	Version      string               // as announced, with the "5.5.5-" that MariaDB 10 puts before it
	Capabilities mysqlwire.Capability // as announced
	Collation    byte                 // low byte of the id of the server's default collation
}

// Server is one address where a server is expected. It is safe for concurrent use; which server really answers there
// is known for each connection only ([Conn.Incarnation]).
type Server struct {
	cfg             ServerConfig
	network, target string
	tls             *tls.Config // what to use when TLS is used
	greeting        atomic.Pointer[Greeting]
}

// NewServer returns the server at c.Address. Nothing is opened.
func NewServer(c ServerConfig) (*Server, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	c.Weight = max(c.Weight, 1)
	s := &Server{cfg: c}
	s.network, s.target, _ = splitAddress(c.Address)
	s.tls = s.cfg.TLS.config(s.network, s.target)
	return s, nil
}

// Address returns the address as it was configured.
func (s *Server) Address() string { return s.cfg.Address }

// Greeting returns what a server at the address said when it was last reached; false when it never was.
func (s *Server) Greeting() (Greeting, bool) {
	if g := s.greeting.Load(); g != nil {
		return *g, true
	}
	return Greeting{}, false
}

// keepAlive is how long a connection is quiet before TCP asks whether the server is still there.
const keepAlive = 30 * time.Second

// dial opens a connection on behalf of a client, or of ourselves; TCP_NODELAY is on, as Go does it.
func (s *Server) dial(ctx context.Context, from Peer) (net.Conn, error) {
	d := net.Dialer{KeepAlive: keepAlive}
	nc, err := d.DialContext(ctx, s.network, s.target)
	if err != nil {
		return nil, err
	}
	nc = netfd.New(nc)
	if !s.cfg.SendProxyProtocol {
		return nc, nil
	}
	if err := announce(nc, from); err != nil {
		_ = nc.Close()
		return nil, err
	}
	return nc, nil
}

// Connect dials, logs in, turns the session trackers on and asks which server it is: once the server has greeted, two
// round trips, and what TLS and a password that is not in the server's cache need beyond. Everything is bounded by ctx, which should have a deadline and has no influence any
// more on the connection that is returned; that is the caller's, who closes it.
//
// When the server refused, the error holds its answer as a [*mysqlwire.Error].
func (s *Server) Connect(ctx context.Context, l Login) (*Conn, error) {
	r, err := s.reach(ctx, l.From)
	if err != nil {
		return nil, err
	}
	return r.Login(ctx, l)
}

// greet reads one greeting and hangs up. Servers count that as a failed connection, so it is for once only.
func (s *Server) greet(ctx context.Context) error {
	r, err := s.reach(ctx, Peer{})
	if err != nil {
		return err
	}
	return r.dialogue.conn.Close()
}
