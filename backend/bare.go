package backend

import (
	"context"
	"fmt"
)

// LogIn dials and logs in, and leaves the session as the server made it: no tracker is turned on, nothing is asked. It
// is for tools that speak to any endpoint of the protocol, somebody else's proxy for one. What is said about ctx, errors
// and the owner at [Server.Connect] holds here too; the fields that Connect learns from the server are empty.
func (s *Server) LogIn(ctx context.Context, l Login) (*Conn, error) {
	nc, err := s.dial(ctx, l.From)
	if err != nil {
		return nil, fmt.Errorf("connecting to %s: %w", s.cfg.Address, cause(ctx, err))
	}
	release := bound(ctx, nc)
	c, err := s.login(nc, l)
	if err = release(err); err != nil {
		_ = nc.Close()
		return nil, fmt.Errorf("login to %s: %w", s.cfg.Address, err)
	}
	return c, nil
}
