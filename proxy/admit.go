package proxy

import (
	"context"
	"fmt"
	"net"
	"time"

	"github.com/go-mysql-org/go-mysql/mysql"

	"github.com/stickyproxy/stickyproxy/backend"
	"github.com/stickyproxy/stickyproxy/mysqlwire"
)

// login lets a client in.
func (s *Server) login(cl *client, id uint32) (*conn, error) {
	ctx, cancel := context.WithTimeout(s.ctx, s.o.ConnectTimeout)
	defer cancel()
	info, err := s.o.Fleet.PrimaryInfo(ctx)
	if err != nil {
		_, _ = cl.nc.Write(mysqlwire.AppendPacket(nil, 0, errNoPrimary.Append(nil)))
		return nil, fmt.Errorf("greeting: %w", err)
	}
	admission := s.admission
	admission.TLS, admission.TLSRequired, admission.ProxyFrom = cl.policy.TLS, cl.policy.RequireTLS, cl.policy.ProxyProtocol
	if s.o.NoLocalInfile {
		info.Capabilities &^= mysqlwire.CapLocalFiles // the servers refuse it to a client that has not asked for it
	}
	admitted, err := admission.Login(ctx, cl.nc, Hello{
		ConnectionID: id, Version: info.Version, Capabilities: info.Capabilities, Collation: byte(info.Collation),
	})
	if err != nil {
		return nil, err
	}
	c := newConn(s, id, cl.policy.Mode, admitted)
	c.policy = cl.policy
	if err := c.introduced(); err != nil {
		c.close()
		return nil, fmt.Errorf("connection attributes: %w", err)
	}
	s.mu.Lock()
	cl.conn = c
	draining := s.draining
	s.mu.Unlock()
	if draining {
		c.turn.stop(c.nc)
	}
	return c, nil
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
