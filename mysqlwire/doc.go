// Package mysqlwire is the MySQL client/server protocol as bytes: no sockets are opened here and no decision is made.
//
// # The protocol in a page
//
// Everything travels in frames: a header of four bytes (three of payload length, least significant first, and one
// sequence number) and the payload. A payload of 0xFFFFFF bytes and more is split: frames of exactly 0xFFFFFF bytes
// follow each other until a shorter one, possibly empty, ends the packet. The sequence number counts the frames of
// one exchange, both directions together, and wraps at 256.
//
// A connection begins with a login: the server greets ([Greeting]), the client answers ([LoginRequest]), both may go
// on for a few packets about the password, and the server ends with OK or ERR.
//
// Then the client sends one command at a time, sequence number 0, and waits for the whole response. What a response
// looks like depends on the command, and its end must be known to tell whose turn it is. [Response] is that
// knowledge: it is fed with the bytes as they arrive, passes rows without looking into them, and stops at the few
// packets that carry news:
//
//	OK    00 affected-rows last-insert-id status warnings [info] [session state]
//	ERR   ff code '#' sqlstate message
//	end   fe ... after rows: an EOF packet (fe warnings status), or, where CLIENT_DEPRECATE_EOF was negotiated, an OK
//	         whose first byte is fe
//
// The status flags in OK and end tell about the transaction; the session state in them tells what the statement
// changed ([Changes]): the schema, system variables, the GTID of the transaction that it committed.
//
// The packets are described at
// https://dev.mysql.com/doc/dev/mysql-server/latest/PAGE_PROTOCOL.html and
// https://mariadb.com/kb/en/clientserver-protocol/.
//
// # What is where
//
// packet.go has frames, reader.go a reader that holds a buffer only while there is something in it, response.go where
// a response ends, ok.go and track.go what OK packets say, command.go what commands look like, handshake.go, auth.go
// and capability.go the login, error.go the ERR packet.
package mysqlwire
