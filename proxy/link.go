package proxy

import (
	"fmt"
	"time"

	"github.com/stickyproxy/stickyproxy/backend"
	"github.com/stickyproxy/stickyproxy/mysqlwire"
)

// link is a server connection in the hands of one client connection, and of its goroutine. Between two commands it is
// at rest: every response that it owes is either read or noted in owed.
type link struct {
	*backend.Conn
	in        *mysqlwire.Reader
	id        uint64           // of the server, as reads are noted
	found     uint32           // what FOUND_ROWS() told there at the end, if it said
	status    mysqlwire.Status // at the end of its last response that told
	replica   bool
	unsure    bool      // a transaction may have been begun or ended since
	version   uint64    // of the client's state that this server connection has
	resets    uint64    // how often the client's state had been reset when it was opened
	used      time.Time // when it was last sent a command
	warned    bool      // the last statement there that may have had warnings has left some
	foundSome bool      // FOUND_ROWS() there does not tell 0
	moded     bool      // sql_mode there is certainly the client's: it was the last to report one, or was told since
	returned  bool      // the server has still to say that the current schema is that again, see toldschema.go
	said      bool      // it is a replica that was left, and found is what it had found
	dead      bool      // it failed, or somebody ended it: not to be used again

	ahead []byte // packets that go out before the next command, in the same write
	owed  []byte // the commands among them that are answered, in order
}

func newLink(b *backend.Conn, replica bool, version uint64) *link {
	return &link{
		Conn:    b,
		in:      mysqlwire.NewReader(b.Conn),
		id:      backend.ID(b.Incarnation),
		replica: replica,
		status:  mysqlwire.Status(b.Status),
		version: version,
	}
}

// inTransaction reports whether a transaction was open at the end of the last response, or may have been.
func (l *link) inTransaction() bool { return l.unsure || l.status&mysqlwire.StatusInTrans != 0 }

// away reports whether what ran on l ran on a replica, which may be gone since.
func (l *link) away() bool { return l != nil && l.replica }

// is reports whether l leads to this incarnation of a server, and may be used.
func (l *link) is(server *backend.Server, incarnation string) bool {
	return l.Server == server && l.Incarnation == incarnation && !l.dead
}

// tracks reports whether OK packets of this connection have the form with session state.
func (l *link) tracks() bool { return l.Capabilities.Has(mysqlwire.CapSessionTrack) }

// queue puts a command ahead of the next one that is written.
func (l *link) queue(payload []byte) {
	l.ahead = mysqlwire.AppendPacket(l.ahead, 0, payload)
	var r mysqlwire.Response
	if r.Begin(payload[0], l.Capabilities); !r.Done() {
		l.owed = append(l.owed, payload[0])
	}
}

// maxAhead is how much may wait for the next command. Drivers close many statements in a row.
const maxAhead = 16 << 10

// write sends head, the beginning of a command or all of it, and what is queued before it.
func (l *link) write(head []byte) error {
	return l.send(head, func(b []byte) error { _, err := l.Conn.Write(b); return err })
}

// ask is write for a command that is whole, and waits until the response begins.
func (l *link) ask(command []byte) error { return l.send(command, l.in.Ask) }

func (l *link) send(head []byte, write func([]byte) error) error {
	if len(l.ahead) == 0 {
		if len(head) == 0 {
			return nil
		}
		return write(head)
	}
	l.ahead = append(l.ahead, head...)
	err := write(l.ahead)
	l.ahead = l.ahead[:0]
	if cap(l.ahead) > maxAhead {
		l.ahead = nil
	}
	return err
}

// settle reads the responses to queued commands that were written. The first refusal is returned as a
// *mysqlwire.Error; all responses are read even then. Any other error means that the connection is lost.
func (l *link) settle(learn func(*link, mysqlwire.OK)) error {
	var refused error
	for _, command := range l.owed {
		err := l.response(command, learn, nil)
		if _, ok := err.(*mysqlwire.Error); ok && refused == nil {
			refused = err
		} else if err != nil && !ok {
			return err
		}
	}
	l.owed = l.owed[:0]
	return refused
}

// response reads one response and drops its rows. An ERR packet is returned as a *mysqlwire.Error, and as a
// farewellError if it was sent before the server saw the command. Prepared, if not nil, gets the answer to a
// COM_STMT_PREPARE.
func (l *link) response(command byte, learn func(*link, mysqlwire.OK), prepared func(mysqlwire.Prepared)) error {
	var resp mysqlwire.Response
	var refused error
	resp.Begin(command, l.Capabilities)
	for {
		pass, packet, event, err := resp.Scan(l.in.Bytes())
		if err != nil {
			return err
		}
		payload := packet
		if len(packet) > 0 {
			payload = packet[mysqlwire.HeaderSize:]
		}
		switch event {
		case mysqlwire.EventErr:
			refused = mysqlwire.ParseError(payload)
			if packet[3] == 0 {
				return farewellError{refused}
			}
		case mysqlwire.EventOK, mysqlwire.EventEnd:
			ok, err := l.parseOK(event, &resp, payload)
			if err != nil {
				return err
			}
			learn(l, ok)
		case mysqlwire.EventPrepared:
			p, err := mysqlwire.ParsePrepared(payload)
			if err != nil {
				return err
			}
			prepared(p)
		case mysqlwire.EventInfile:
			return fmt.Errorf("%w: a request for a file", mysqlwire.ErrMalformed)
		}
		l.in.Discard(pass + len(packet))
		if resp.Done() {
			return refused
		}
		if event == mysqlwire.EventMore {
			if err := l.in.Fill(); err != nil {
				return err
			}
		}
	}
}

// parseOK reads the packet of an EventOK or EventEnd.
func (l *link) parseOK(event mysqlwire.Event, resp *mysqlwire.Response, payload []byte) (mysqlwire.OK, error) {
	if event == mysqlwire.EventEnd && !l.Capabilities.Has(mysqlwire.CapDeprecateEOF) {
		return resp.ParseEnd(payload)
	}
	return mysqlwire.ParseOK(payload, l.tracks())
}

// close ends the connection, politely if it is at rest.
func (l *link) close() {
	if l == nil {
		return
	}
	if !l.dead {
		l.ahead = mysqlwire.AppendQuit(l.ahead)
		_, _ = l.Conn.Write(l.ahead) // the server may be gone: nothing is lost
	}
	l.dead = true
	l.in.Close()
	_ = l.Conn.Close()
}
