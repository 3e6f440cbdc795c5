package proxy

import "context"

// Shutdown ends the server: it accepts no more clients, and each one that is there ends at its next quiet moment,
// between two commands and outside of a transaction. When ctx ends, the rest is cut off and the error is ctx's.
// Shutdown returns when the last client is gone.
func (s *Server) Shutdown(ctx context.Context) error {
	defer s.watched.Wait()
	defer s.cancel()
	s.drain()
	done := make(chan struct{})
	go s.waitForClients(done)
	select {
	case <-done:
		return nil
	case <-ctx.Done():
	}
	s.cancel()
	s.cut()
	<-done
	return ctx.Err()
}

// waitForClients closes done when the last client is gone.
func (s *Server) waitForClients(done chan<- struct{}) {
	s.served.Wait()
	close(done)
}

// drain stops listening and asks every client to go.
func (s *Server) drain() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.draining = true
	for l := range s.listeners {
		_ = l.Close()
	}
	for cl := range s.clients {
		if cl.conn != nil {
			cl.conn.turn.stop(cl.nc)
		}
	}
}

// cut closes what clients are left, and the server connections that they wait for.
func (s *Server) cut() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for cl := range s.clients {
		_ = cl.nc.Close()
		if cl.conn == nil {
			continue
		}
		for _, l := range []*link{cl.conn.busy.Load(), cl.conn.waits.Load()} {
			if l != nil {
				_ = l.Conn.Close()
			}
		}
	}
}
