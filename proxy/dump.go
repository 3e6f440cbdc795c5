package proxy

import (
	"errors"
	"os"
	"sync"
	"time"
)

// errDumpEnded says that the primary ended a binlog dump: at an error, which the client was told, or at the end of the
// log for a client that does not wait for more.
var errDumpEnded = errors.New("the binlog dump is over")

// dump serves COM_BINLOG_DUMP and COM_BINLOG_DUMP_GTID, with which a replica or a program that captures changes gets
// the primary's binlog. The response has no end, and the client may acknowledge what it got in its midst
// (semi-synchronous replication), so both directions are copied without a look at them until one side closes; servers
// serve nothing else on the connection either. There is never a quiet moment, and such a client knows how to go on
// after an interruption: a shutdown ends the dump when it begins.
// https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_replication.html
func (c *conn) dump(r *request) error {
	if !r.whole() {
		return c.answer(errMalformed)
	}
	if refusal := c.noPrimary(); refusal != nil {
		return c.answer(refusal)
	}
	if !c.turn.end(c.nc, true, 0, time.Time{}) {
		_ = c.tell(c.seq+1, errShutdown) // it may be gone
		return errDrained
	}
	r.start = c.srv.now()
	c.revivePrimary()
	if err := c.tellPrimary(); err != nil {
		return c.primaryFailed(err)
	}
	l := c.primary
	if err := c.await(l, false); err != nil {
		return err
	}
	defer c.arrived(l)
	if err := l.write(r.head); err != nil {
		return c.writeFailed(l, r, err)
	}
	if len(l.owed) > 0 {
		if err := c.settle(l); err != nil {
			return err
		}
	}
	c.drop(&r.command)
	l.dead = true // it is not at rest any more
	return c.copyBoth(l)
}

// copyBoth copies in both directions until one side closes, and closes the server connection. At most one buffer is
// between the two in each direction: a slow client holds back the server. Both are kept while nothing comes: a reader
// without one reads a single byte from a TLS connection first.
func (c *conn) copyBoth(l *link) error {
	var up sync.WaitGroup
	var gone error
	up.Go(func() { gone = c.copyUp(l) })
	err := c.copyDown(l)
	_ = l.Conn.Close()
	_ = c.nc.SetReadDeadline(time.Unix(1, 0)) // ends copyUp, if it has not ended
	up.Wait()
	switch {
	case c.turn.draining():
		return errDrained
	case !errors.Is(gone, os.ErrDeadlineExceeded):
		return gone
	}
	return err
}

// copyDown copies what the server sends.
func (c *conn) copyDown(l *link) error {
	for {
		if err := l.in.Fill(); err != nil {
			return errDumpEnded
		}
		b := l.in.Bytes()
		if _, err := c.nc.Write(b); err != nil {
			return clientError{err}
		}
		l.in.Discard(len(b))
	}
}

// copyUp copies what the client sends, in a goroutine of its own to which the client reader belongs meanwhile. Its end
// ends copyDown, whether that waits for the server or for the client.
func (c *conn) copyUp(l *link) error {
	defer l.Conn.Close()
	defer c.nc.SetWriteDeadline(time.Unix(1, 0))
	for {
		if b := c.in.Bytes(); len(b) > 0 {
			if _, err := l.Conn.Write(b); err != nil {
				return errDumpEnded
			}
			c.in.Discard(len(b))
		}
		if err := c.in.Fill(); err != nil {
			return clientError{err}
		}
	}
}
