package proxy

import (
	"time"

	"github.com/stickyproxy/stickyproxy/router"
)

// Trace is told what happens on client connections. Every field may be nil. The functions are called by the
// connections' goroutines, several at a time, and must not block.
type Trace struct {
	// Query: a statement was answered, by a replica or by the primary, for this reason; took is the time from its last
	// byte's arrival to the hand-over of the answer's last byte.
	Query func(replica bool, reason router.Reason, took time.Duration)
	// Retried: a replica failed or refused a read, and it ran elsewhere.
	Retried func(refused bool)
	// Opened and Closed: a client connection was accepted, and is gone.
	Opened, Closed func()
	// LoginFailed: a client did not get in.
	LoginFailed func(err error)
	// Panicked: a mistake in the proxy has ended a client connection.
	Panicked func()
	// Pinned: a write ended, or may have, or a client said @sticky_pin, and the reads of its sessions go to the primary:
	// until a replica is known to have the write (proven), by its GTID or because it has what the primary had after the
	// answer, or for a window.
	Pinned func(proven bool)
	// Waited: a read waited for a replica to have what it must see, for so long, and was served by one or not.
	Waited func(served bool, d time.Duration)
	// Overloaded: a read that no replica may serve found no room on the primary; it ran there all the same, or later, or
	// (ran is false) was refused.
	Overloaded func(ran bool)
	// Lost: a session's write is gone, and the session was set free.
	Lost func()
}
