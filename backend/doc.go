// Package backend is the MySQL and MariaDB servers as we reach them: how to log in to one ([Server.Connect]), what is
// known about all of them ([Fleet]), and how that becomes the immutable picture a routing decision is made from
// ([Snapshot]).
//
// # Logging in
//
// A connection to a server is opened for one client and has exactly what that client negotiated: capabilities,
// collation, connection attributes. Two capabilities are added whatever the client speaks, CLIENT_SESSION_TRACK and
// CLIENT_DEPRECATE_EOF, because the end of a response must tell what the statement changed. After the login one more
// round trip turns the session trackers on and asks which server this is (the [Conn.Incarnation]).
//
// # What is known
//
// [Fleet.Run] keeps one goroutine and one connection a server. Once an interval each server is asked for its role, its
// replication and its position. The primary's positions are kept with the time at which they were asked for: when a
// replica is seen to have position P, then every write acknowledged before the question that P answers was sent is
// there. That time is the replica's FreshAsOf, and it ages by itself: a replica that is no longer asked, or no longer
// answers, is soon too old to use. The position is what the server has executed (gtid_executed, gtid_slave_pos, or how
// much of the source's binlog is applied), never a binlog stream, which runs ahead of what reads can see.
//
// # What is where
//
// server.go dials, login.go and auth.go log in, setup.go makes the session ours, conn.go is the connection and query.go
// asks small questions on it. probe.go knows what to ask a server about itself, monitor.go asks regularly, learn.go takes
// in the answers, position.go turns positions into FreshAsOf and lag, fleet.go publishes and status.go tells people.
package backend
