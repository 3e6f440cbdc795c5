package backend

import "context"

// LogIn dials and logs in, and leaves the session as the server made it: no tracker is turned on, nothing is asked. It
// is for tools that speak to any endpoint of the protocol, somebody else's proxy for one. What is said about ctx, errors
// and the owner at [Server.Connect] holds here too; the fields that Connect learns from the server are empty.
func (s *Server) LogIn(ctx context.Context, l Login) (*Conn, error) {
	r, err := s.reach(ctx, l.From)
	if err != nil {
		return nil, err
	}
	return r.enter(ctx, l, func(*Conn) error { return nil })
}
