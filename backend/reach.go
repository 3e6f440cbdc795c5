package backend

import (
	"context"
	"errors"
	"fmt"
	"net"
	"time"
)

// Reached is a connection to a server that has greeted us and waits for a login. It has a thread there, and so an id,
// before anybody knows who is going to log in. It belongs to one goroutine, which ends it by Login or by Dismiss.
type Reached struct {
	dialogue dialogue
	polite   Account // who logs in if nobody else does
}

// ThreadID is what CONNECTION_ID() is going to be.
func (r *Reached) ThreadID() uint32 { return r.dialogue.greeting.ConnectionID }

// Salt is what the server has sent to be mixed with the password. The slice is not to be changed.
func (r *Reached) Salt() []byte { return r.dialogue.greeting.Salt }

// ErrOtherPlugin says that an account does not take an answer of mysql_native_password.
var ErrOtherPlugin = errors.New("the account has another plugin than mysql_native_password")

// Relay is Login for a client whose password nobody knows but who has answered the server's own salt, as
// mysql_native_password does. The error is [ErrOtherPlugin] when the account has another plugin.
func (r *Reached) Relay(ctx context.Context, l Login, answer []byte) (*Conn, error) {
	r.dialogue.relayed = answer
	return r.Login(ctx, l)
}

// reach dials and reads the greeting, bounded by ctx.
func (s *Server) reach(ctx context.Context, from Peer) (*Reached, error) {
	nc, err := s.dial(ctx, from)
	if err != nil {
		return nil, fmt.Errorf("connecting to %s: %w", s.cfg.Address, cause(ctx, err))
	}
	release := bound(ctx, nc)
	r, err := s.meet(nc)
	if err = release(err); err != nil {
		_ = nc.Close()
		return nil, fmt.Errorf("greeting of %s: %w", s.cfg.Address, err)
	}
	return r, nil
}

// meet reads the greeting on nc.
func (s *Server) meet(nc net.Conn) (*Reached, error) {
	r := &Reached{dialogue: dialogue{server: s, conn: nc, secure: s.network == "unix"}}
	r.dialogue.reader.Reset(nc)
	return r, r.dialogue.readGreeting()
}

// Login is the rest of [Server.Connect]. Whatever comes of it, r is of no more use.
func (r *Reached) Login(ctx context.Context, l Login) (*Conn, error) {
	return r.enter(ctx, l, func(c *Conn) error { return c.setUp(l) })
}

// enter logs in, and sets the session up.
func (r *Reached) enter(ctx context.Context, l Login, setUp func(*Conn) error) (*Conn, error) {
	d := &r.dialogue
	nc := d.conn // what may be closed when TLS over it has failed
	release := bound(ctx, nc)
	c, err := d.logIn(l)
	if err == nil {
		err = setUp(c)
	}
	if err = release(err); err != nil {
		_ = nc.Close()
		return nil, fmt.Errorf("login to %s: %w", d.server.cfg.Address, err)
	}
	return c, nil
}

// dismissal bounds a good-bye.
const dismissal = time.Second

// Dismiss closes a connection on which nobody logs in. Servers block an address from which too many connections end
// like that, which would be ours and that of all clients (max_connect_errors), so it is the monitor who logs in.
func (r *Reached) Dismiss(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, dismissal)
	defer cancel()
	if c, err := r.Login(ctx, monitorLogin(r.polite, r.dialogue.server)); err == nil {
		_ = c.Close()
	}
}

// Reach opens a connection to the primary before it is known who will log in. It returns nil where that cannot be had
// soon, or there is no account of ours to end it with if nobody does; the login opens one of its own then. From is the
// client for whom it is, as far as that is known already.
func (f *Fleet) Reach(ctx context.Context, from Peer) *Reached {
	s := f.primary.server
	if f.options.Monitor == nil || !f.Snapshot().PrimaryUp || s.cfg.SendProxyProtocol && from.Remote == nil {
		return nil
	}
	r, err := s.reach(ctx, from)
	if err != nil {
		return nil // the login will say so
	}
	r.polite = *f.options.Monitor
	return r
}
