package proxy

import (
	"sync"
	"time"

	"github.com/stickyproxy/stickyproxy/mysqlwire"
	"github.com/stickyproxy/stickyproxy/router"
)

// request is a command on its way: what it is, and what became of it.
type request struct {
	command
	class   router.Statement
	stmt    *statement // of a command about a prepared statement
	making  *statement // of COM_STMT_PREPARE
	instead []byte     // what is sent in place of head, nil: head
	longer  []byte     // of a command that is not whole: what is sent in place of head's payload, nil: that
	hints   hints      // what the client says about it
	follows bool       // the results of another part of the client's text follow
	shift   byte       // how many frames fewer than the client's were sent, modulo 256
	last    byte       // the sequence number of the last frame of the response
	cursor  bool       // it asks for a cursor
	known   bool       // it is an EXECUTE, and its class tells what that executes
	reads   bool       // and that is a read
	once    bool       // and that leaves nothing on its connection, or is meant for one server, as KILL is
	movable bool       // nothing is lost if another server runs it after one failed
	moved   bool       // it has one of the places on the primary for reads that no replica may serve
	left    *link      // a replica that it made us leave, and that may still be asked what it had found
	victim  *conn      // of a KILL that ends a client's connection
	reason  router.Reason
	start   time.Time // when it had arrived
	wait    waiting
	saw     router.Need // what it had to see when its server was chosen

	failure  *mysqlwire.Error // the ERR packet that ended it, nil if it succeeded
	verbatim bool             // the server says what the client wants to be told, and nothing else
	changed  bool             // the server reported a change of state
	untold   bool             // it ended in a way that cannot say what was committed
	rows     bool             // it returned some, or could have
	columns  int              // of those
	warnings uint16           // how many the server counted
	counted  bool             // ROW_COUNT() behind it is not 0, if it did not fail
	affected bool             // but above 0: it has changed rows
	warned   bool             // it did, for any part of the text
	matched  bool             // it is an UPDATE, and has matched rows
	some     bool             // it has returned at least one row, if it is one query
	masked   bool             // the client was told another error than the server's
	named    bool             // and, by name, one that is recorded
	placed   bool             // and, in the last packet, the current schema
	entered  bool             // which was not that before
	blurred  bool             // or one by a name that may stand for others

	xa       []router.XAStatement // in its text
	xaUnread bool                 // there may be others
	inXA     bool                 // an XA transaction was open on the primary when it was sent
}

// work is what serving a command takes. It is borrowed for that, so that a client that is idle has none.
type work struct {
	request request
	query   router.Query
}

var works = sync.Pool{New: func() any { return new(work) }}

// usesVariables reports whether a request uses user variables, or prepares what does.
func (r *request) usesVariables() bool {
	return (r.class.Effects | r.makes()).Has(router.UsesUserVariable)
}

// mayWrite reports whether a request may write, or prepares what may.
func (r *request) mayWrite() bool {
	return r.class.Writes || r.class.Multi || r.making != nil && r.making.class.Writes
}

// makes are the effects of what a COM_STMT_PREPARE prepares.
func (r *request) makes() router.Effects {
	if r.making == nil {
		return 0
	}
	return r.making.class.Effects
}
