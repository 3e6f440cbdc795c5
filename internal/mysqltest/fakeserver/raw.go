package fakeserver

import (
	"net"
	"sync"
	"testing"
)

// Raw listens on a free port of 127.0.0.1 and gives each connection to serve, in a goroutine of
// its own; the connection is closed when serve returns. It returns the address. At the end of the
// test connections are closed and the goroutines waited for.
func Raw(t testing.TB, serve func(net.Conn)) (addr string) {
	t.Helper()
	return newAcceptor(t, serve).addr()
}

// acceptor listens and keeps what it has accepted, to close it.
type acceptor struct {
	listener net.Listener
	serve    func(net.Conn)
	running  sync.WaitGroup

	mu     sync.Mutex
	conns  map[net.Conn]bool
	closed bool
}

func newAcceptor(t testing.TB, serve func(net.Conn)) *acceptor {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	a := &acceptor{listener: listener, serve: serve, conns: make(map[net.Conn]bool)}
	a.running.Go(a.accept)
	t.Cleanup(a.close)
	return a
}

func (a *acceptor) addr() string { return a.listener.Addr().String() }

func (a *acceptor) accept() {
	for {
		c, err := a.listener.Accept()
		if err != nil { // closed
			return
		}
		if !a.keep(c) {
			c.Close()
			return
		}
		a.running.Go(func() { a.run(c) })
	}
}

func (a *acceptor) run(c net.Conn) {
	defer a.drop(c)
	a.serve(c)
}

func (a *acceptor) keep(c net.Conn) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if !a.closed {
		a.conns[c] = true
	}
	return !a.closed
}

func (a *acceptor) drop(c net.Conn) {
	c.Close()
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.conns, c)
}

// close may be called again.
func (a *acceptor) close() {
	a.listener.Close()
	a.mu.Lock()
	a.closed = true
	for c := range a.conns {
		c.Close()
	}
	a.mu.Unlock()
	a.running.Wait()
}
