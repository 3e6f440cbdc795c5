package proxy

import (
	"context"
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/go-mysql-org/go-mysql/mysql"

	"github.com/stickyproxy/stickyproxy/backend"
	"github.com/stickyproxy/stickyproxy/mysqlwire"
)

// login lets a client in.
func (s *Server) login(cl *client) (*conn, error) {
	ctx, cancel := context.WithTimeout(s.ctx, s.o.ConnectTimeout)
	defer cancel()
	info, err := s.o.Fleet.PrimaryInfo(ctx)
	if err != nil {
		_, _ = cl.nc.Write(mysqlwire.AppendPacket(nil, 0, errNoPrimary.Append(nil)))
		return nil, fmt.Errorf("greeting: %w", err)
	}
	admission := s.admission
	id, first := s.reach(ctx, cl)
	defer first.end()
	admission.Connect = first.connect
	var salt []byte
	if first.reached != nil {
		salt, admission.Relay = first.reached.Salt(), first.relay
	}
	admission.TLS, admission.TLSRequired, admission.ProxyFrom = cl.policy.TLS, cl.policy.RequireTLS, cl.policy.ProxyProtocol
	if s.o.NoLocalInfile {
		info.Capabilities &^= mysqlwire.CapLocalFiles // the servers refuse it to a client that has not asked for it
	}
	admitted, err := admission.Login(s.ctx, cl.nc, Hello{
		ConnectionID: id, Version: info.Version, Capabilities: info.Capabilities, Collation: byte(info.Collation), Salt: salt,
	})
	if err != nil {
		return nil, err
	}
	c := newConn(s, id, cl.policy.Mode, admitted)
	c.listener = cl.policy
	if err := c.introduced(); err != nil {
		c.close()
		return nil, fmt.Errorf("connection attributes: %w", err)
	}
	s.mu.Lock()
	cl.conn = c
	s.know(c)
	draining := s.draining
	s.mu.Unlock()
	if draining {
		c.turn.stop(c.nc)
	}
	return c, nil
}

// maxReaching bounds how many connections to the primary wait for logins: clients that never log in must not take it
// from those who do.
const maxReaching = 64

// firstConn is the primary's connection of a client who has not logged in yet. The client is greeted with the id of that
// connection, so that it finds itself in the primary's list of processes, and everybody means the same by its id.
type firstConn struct {
	reached *backend.Reached // nil: there is none, or no more
	held    bool             // a value in reaching
	srv     *Server
}

// reach returns the id of a client, and the connection that it is from, if there is one.
func (s *Server) reach(ctx context.Context, cl *client) (uint32, *firstConn) {
	first := &firstConn{srv: s}
	select {
	case s.reaching <- struct{}{}:
		first.held = true
	default:
		return s.lastID.Add(1) | firstID, first
	}
	var from backend.Peer
	if len(cl.policy.ProxyProtocol) == 0 {
		from = backend.Peer{Remote: cl.nc.RemoteAddr(), Local: cl.nc.LocalAddr()}
	}
	first.reached = s.o.Fleet.Reach(ctx, from)
	if r := first.reached; r != nil && s.find(uint64(r.ThreadID())) == nil {
		return r.ThreadID(), first
	}
	return s.lastID.Add(1) | firstID, first // a client of an earlier primary is known by that id
}

// connect logs in to the primary, for the first time on the connection that is open already.
func (f *firstConn) connect(ctx context.Context, l backend.Login) (*backend.Conn, error) {
	r := f.reached
	if f.reached = nil; r == nil {
		return f.srv.connectPrimary(ctx, l)
	}
	b, err := r.Login(ctx, l)
	if err != nil && ctx.Err() == nil && !judged(err) {
		return f.srv.connectPrimary(ctx, l) // it may have waited for too long
	}
	return b, err
}

// relay passes a client's answer on. The connection is there, or the answer would be to another salt.
func (f *firstConn) relay(ctx context.Context, l backend.Login, answer []byte) (*backend.Conn, error) {
	r := f.reached
	if f.reached = nil; r == nil {
		return nil, backend.ErrOtherPlugin
	}
	return r.Relay(ctx, l, answer)
}

// judged reports whether the primary has refused a login, and not just ended a connection that it waited for.
func judged(err error) bool {
	var refused *mysqlwire.Error
	return errors.As(err, &refused) && refused.Code != mysql.ER_NET_READ_ERROR && refused.Code != mysql.ER_NET_READ_INTERRUPTED
}

// end gives up what is left of it after the login.
func (f *firstConn) end() {
	if f.reached != nil {
		f.reached.Dismiss(f.srv.ctx)
	}
	if f.held {
		<-f.srv.reaching
	}
}

// connectPrimary logs in to the primary as a client.
func (s *Server) connectPrimary(ctx context.Context, l backend.Login) (*backend.Conn, error) {
	return s.o.Fleet.Snapshot().Primary.Connect(ctx, l)
}

// maxFarewells is how many clients that are one too many are told so at a time; the rest is cut off.
const maxFarewells = 64

// turnAwayFull says that there are too many clients, in place of the greeting. The caller holds the lock.
func (s *Server) turnAwayFull(nc net.Conn) {
	select {
	case s.farewells <- struct{}{}:
	default:
		_ = nc.Close()
		return
	}
	s.served.Go(func() {
		defer func() { <-s.farewells }()
		full := &mysqlwire.Error{Code: mysql.ER_CON_COUNT_ERROR, Message: "Too many connections"}
		_ = nc.SetDeadline(time.Now().Add(farewell))
		_, _ = nc.Write(mysqlwire.AppendPacket(nil, 0, full.Append(nil))) // it is closed anyway
		_ = nc.Close()
	})
}
