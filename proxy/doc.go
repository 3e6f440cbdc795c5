// Package proxy is the clients' side: it lets them in, sends each of their statements to the primary or to a replica, and
// relays the answers. It is the only package that sees all the others, and it is wired like this:
//
//	s, err := proxy.New(proxy.Options{Fleet: fleet, Sessions: sessions})
//	go s.Serve(listener, proxy.Policy{Mode: router.Auto})
//	...
//	err = s.Shutdown(ctx)
//
// # A client connection
//
// [Server.Serve] accepts, and starts a goroutine that owns the client's connection and everything that belongs to it
// until the end. It begins with the login ([Admission], login.go, authenticate.go), which yields the client's own
// connection to the primary. Then conn.go loops: read a command (command.go, request.go), find out where it goes (exec.go), send
// it on a connection to that server (link.go, replica.go), relay the response (relay.go, dialect.go), and, before its
// last byte is written, learn from it (learn.go).
//
// # What is remembered
//
// state.go, sysvars.go, temporary.go and tracking.go have what the client has made of its connection: what another
// server is told before it serves the client, and what keeps statements on the primary. prepared.go, statements.go
// and bind.go have prepared statements, which exist on both servers under ids of their own. snapshot.go has the READ
// ONLY transaction that may run on a replica. recall.go and found.go have what a statement leaves for questions about
// it. pin.go has what the client's session must see.
//
// dump.go is for clients that are no clients but replicas, or read the binlog like one.
//
// # What comes from outside
//
// A shutdown ends a client at its next quiet moment (turn.go, server.go); a replica that went silent loses the reads that
// wait for it ([Server.Serve] watches); a KILL finds the thread that serves a client (kill.go). These touch a connection
// by deadline or Close only.
package proxy
