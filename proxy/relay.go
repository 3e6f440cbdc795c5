package proxy

import (
	"errors"
	"fmt"
	"os"
	"sync"

	"github.com/stickyproxy/stickyproxy/mysqlwire"
	"github.com/stickyproxy/stickyproxy/router"
)

// relay passes one response from a server to the client, frame by frame, without a look at rows. What was read in one
// go is written in one go. Packets that both sides write in the same way stay where they were read; the others are
// rewritten, and what follows them in the same go is copied behind them.
type relay struct {
	c    *conn
	l    *link
	r    *request
	resp mysqlwire.Response

	settled int    // bytes at the beginning of the server's buffer that can be written
	out     []byte // borrowed: what is to be written instead, nil when nothing was rewritten
	box     *[]byte
	infile  bool // the server waits for a file of the client
	started bool // bytes of the response were written: it cannot be taken back
}

// rewritten holds the buffers of relays that rewrite.
var rewritten = sync.Pool{New: func() any { b := make([]byte, 0, 16<<10); return &b }}

// relay returns when the response is over and written. An elsewhere error says that nothing was written and that the
// request may run on another server.
func (c *conn) relay(l *link, r *request) error {
	x := relay{c: c, l: l, r: r}
	x.resp.Begin(r.code, l.Capabilities)
	x.resp.Cursor, x.resp.Shift = r.cursor, r.shift+c.ahead()
	err := x.run()
	r.last = x.resp.Sequence
	x.release()
	if len(l.in.Bytes()) > 0 {
		l.dead = true // a server that says more than it was asked is about to go
	}
	l.in.Release()
	return err
}

func (x *relay) run() error {
	for {
		if err := x.scan(); err != nil {
			return err
		}
		done := x.resp.Done()
		if done {
			x.c.finish(x.l, x.r) // before the client can know
		}
		if err := x.flush(); err != nil {
			return err
		}
		if done {
			return nil
		}
		if x.infile {
			if err := x.file(); err != nil {
				return err
			}
		}
		if err := x.l.in.Fill(); err != nil {
			return x.lost(err)
		}
	}
}

// scan looks at what was read.
func (x *relay) scan() error {
	for !x.infile {
		pass, packet, event, err := x.resp.Scan(x.l.in.Bytes()[x.settled:])
		if err != nil {
			return x.lost(err)
		}
		x.pass(pass)
		if event == mysqlwire.EventMore {
			return nil
		}
		if err := x.news(event, packet); err != nil {
			return err
		}
		if x.resp.Done() {
			return nil
		}
	}
	return nil
}

// news handles a packet that says more than a row does.
func (x *relay) news(event mysqlwire.Event, packet []byte) error {
	switch event {
	case mysqlwire.EventOK, mysqlwire.EventEnd:
		return x.ended(event, packet)
	case mysqlwire.EventErr:
		return x.refused(packet)
	case mysqlwire.EventColumnsEnd:
		x.columnsEnd(packet)
		return nil
	case mysqlwire.EventPrepared:
		if err := x.c.prepared(x.l, x.r, packet[mysqlwire.HeaderSize:]); err != nil {
			return x.lost(err)
		}
	case mysqlwire.EventInfile:
		if x.r.class.Kind != router.Primary {
			return x.lost(fmt.Errorf("%w: a request for a file", mysqlwire.ErrMalformed)) // no read asks for one
		}
		x.infile = true
	}
	x.pass(len(packet))
	return nil
}

// ended learns from the packet that ends a result, and says it to the client in the client's way.
func (x *relay) ended(event mysqlwire.Event, packet []byte) error {
	ok, err := x.l.parseOK(event, &x.resp, packet[mysqlwire.HeaderSize:])
	if err != nil {
		return x.lost(err)
	}
	end := event == mysqlwire.EventEnd
	if end {
		x.r.rows, x.r.columns, x.r.some = true, x.resp.Columns, x.rowsCame(packet)
		x.columnsKnown(packet, &ok.Status)
	}
	if end && !x.l.Capabilities.Has(mysqlwire.CapDeprecateEOF) {
		x.untold(&ok)
		maskEOF(packet)
	}
	x.r.warnings, x.r.warned = ok.Warnings, x.r.warned || ok.Warnings > 0
	x.r.affected = ok.AffectedRows > 0
	x.r.counted = end || x.r.affected
	x.r.matched = x.r.class.Finds == router.FindsMatches && matchedRows(&ok)
	if x.tellsWarnings() {
		ok.Warnings = x.c.warnings
		at := x.statusAt(packet) + 2
		if end && !x.l.Capabilities.Has(mysqlwire.CapDeprecateEOF) {
			at -= 4 // in an EOF packet they come before the flags
		}
		packet[at], packet[at+1] = byte(ok.Warnings), byte(ok.Warnings>>8)
	}
	x.r.placed = false
	x.c.learn(x.l, ok)
	x.openTransaction(packet, &ok.Status)
	if x.resp.Done() {
		x.follows(packet, &ok.Status)
	}
	if x.sameForm(&ok, end) {
		x.pass(len(packet))
		return nil
	}
	var buf [128]byte // what there usually is to say
	b := append(buf[:0], 0, 0, 0, packet[3])
	if end && !x.c.caps.Has(mysqlwire.CapDeprecateEOF) {
		b = ok.AppendEOF(b)
	} else {
		if x.c.caps.Has(mysqlwire.CapSessionTrack) {
			if ok.Session = x.told(&ok); len(ok.Session) > 0 {
				ok.Status |= mysqlwire.StatusStateChanged // the server may have had nothing to tell
			}
		}
		b = ok.Append(b, end, x.c.caps.Has(mysqlwire.CapSessionTrack))
	}
	mysqlwire.AppendHeader(b[:0], len(b)-mysqlwire.HeaderSize, packet[3])
	x.replace(packet, b)
	return nil
}

// rowsCame reports whether the packet that ends a result, the first of its response, has certainly come behind rows, and not
// where it would without any.
func (x *relay) rowsCame(packet []byte) bool {
	behind := x.resp.Definitions + 2 // the number of columns and their definitions
	if !x.l.Capabilities.Has(mysqlwire.CapDeprecateEOF) {
		behind++
	}
	return packet[3]-x.resp.Shift != byte(behind) && !x.resp.Cursor
}

// told is what the client is told of the session state in a packet.
func (x *relay) told(ok *mysqlwire.OK) []byte {
	t, chained := &x.c.state.tracking, x.r.class.Effects.Any(router.Begins|router.Ends)
	x.c.late(x.l, x.r)
	told := t.forClient(ok, x.l, chained, x.r.class.Multi, x.c.inXA && !x.r.inXA)
	if !x.l.MariaDB && !x.l.replica && ok.Status&mysqlwire.StatusInTrans == 0 {
		told = t.over(told)
	}
	return t.placedAgain(told, x.c.state.schema, x.l.MariaDB)
}

// replace settles another packet instead of packet, which is next. One that is not longer is put where the old one was,
// so that nothing has to be copied but what follows it.
func (x *relay) replace(packet, other []byte) {
	if x.out != nil || len(other) > len(packet) {
		x.cut(len(packet))
		x.out = append(x.out, other...)
		return
	}
	copy(packet, other)
	x.l.in.Remove(x.settled+len(other), len(packet)-len(other))
	x.settled += len(other)
}

// untold notes that an EOF packet, other than the OK packet in its place, cannot say what was committed, and of other
// changes only that there are some: what calls for it may have done anything.
func (x *relay) untold(ok *mysqlwire.OK) {
	x.r.untold = true
	if ok.Status&mysqlwire.StatusStateChanged != 0 && x.r.class.Effects.Any(opaque) {
		x.r.changed = true
	}
}

// maskEOF takes the flag out of an EOF packet that says that session state follows: none can follow, and it may be about
// what only we asked to be told.
func maskEOF(packet []byte) {
	if len(packet) == mysqlwire.HeaderSize+5 {
		packet[mysqlwire.HeaderSize+4] &^= byte(mysqlwire.StatusStateChanged >> 8)
	}
}

// refused handles an ERR packet. It ends the response, unless another server can still give a better one.
func (x *relay) refused(packet []byte) error {
	x.r.failure = mysqlwire.ParseError(packet[mysqlwire.HeaderSize:])
	x.r.columns = x.resp.Columns // the definitions came before
	if x.r.namesOtherStatement() {
		seq := packet[3]
		x.cut(len(packet))
		x.out = mysqlwire.AppendPacket(x.out, seq, x.r.failure.Append(nil))
		return nil
	}
	first := !x.started && x.settled == 0 && x.out == nil
	unasked := first && packet[3] == x.resp.Shift // said before it saw the command: the connection is over
	if unasked {
		x.l.dead = true
		packet[3] = x.c.seq + 1
	}
	if (first || x.unseen()) && x.l.replica && x.r.movable && (unasked || !interruption(x.r.failure.Code)) {
		x.l.in.Discard(x.settled + len(packet)) // with the definitions, and rows, if it failed behind them
		err := x.r.failure
		x.r.failure, x.r.columns = nil, 0
		return elsewhere{err: err, refused: !unasked}
	}
	if x.c.snapshot.open && x.l.replica && refusedAsWrite(x.r.failure.Code) && x.r.failure.Code != errReadOnly.Code {
		// The client knows of its READ ONLY transaction, and not of the replica's being read-only.
		x.r.masked = true
		x.cut(len(packet))
		x.out = mysqlwire.AppendPacket(x.out, packet[3], errReadOnlyOf(x.l.MariaDB).Append(nil))
		return nil
	}
	x.pass(len(packet))
	return nil
}

// unseen reports whether the client has seen nothing of a response whose first result has not ended: of what ended before,
// state may have been learned.
func (x *relay) unseen() bool {
	return !x.started && !x.r.class.Multi && !x.r.class.Effects.Any(opaque)
}

// lost says what it means that the server's bytes ended or make no sense.
func (x *relay) lost(err error) error {
	x.l.dead = true
	if !x.started && x.l.replica && x.r.movable {
		return elsewhere{err: err}
	}
	return serverError{err}
}

// pass settles the next n bytes as they are.
func (x *relay) pass(n int) {
	if x.out == nil {
		x.settled += n
		return
	}
	x.out = append(x.out, x.l.in.Bytes()[:n]...)
	x.l.in.Discard(n)
}

// cut drops the next n bytes, in whose place something else is appended to out.
func (x *relay) cut(n int) {
	if x.out == nil {
		x.box = rewritten.Get().(*[]byte)
		x.out = append((*x.box)[:0], x.l.in.Bytes()[:x.settled]...)
	}
	x.l.in.Discard(x.settled + n)
	x.settled = 0
}

// flush writes what is settled.
func (x *relay) flush() error {
	b := x.out
	if b == nil {
		b = x.l.in.Bytes()[:x.settled]
	}
	if len(b) == 0 {
		return nil
	}
	if !x.started {
		if !x.c.begun(x.l) {
			return x.lost(os.ErrDeadlineExceeded)
		}
		x.started = true
	}
	_, err := x.c.nc.Write(b)
	x.l.in.Discard(x.settled)
	x.settled = 0
	x.release()
	if err != nil {
		return clientError{err}
	}
	return nil
}

// release gives the rewriting buffer back; one that grew is left to the collector.
func (x *relay) release() {
	if x.out != nil && cap(x.out) <= 64<<10 {
		*x.box = x.out
		rewritten.Put(x.box)
	}
	x.out, x.box = nil, nil
}

// file has the client send its file, and goes on behind it.
func (x *relay) file() error {
	x.infile = false
	x.c.seq = x.resp.Sequence
	err := x.c.sendFile(x.l, x.resp.Shift)
	x.resp.Sequence = x.c.seq
	var gone clientError
	if errors.As(err, &gone) {
		x.l.dead = true // it has a part of the file; a good-bye would be taken for more of it
		return err
	}
	if err != nil {
		return x.lost(err)
	}
	x.resp.Shift += x.c.ahead()
	return nil
}

// sendFile sends the client's file to the server: packets up to an empty one.
// https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_com_query_response_local_infile_request.html
func (c *conn) sendFile(l *link, shift byte) error {
	c.drop(&c.request.command)
	for joined := false; ; {
		n, err := c.forwardFrame(l, shift)
		if err != nil || n == 0 && !joined {
			return err
		}
		joined = n == mysqlwire.MaxFrame
	}
}
