package proxy

import "github.com/stickyproxy/stickyproxy/mysqlwire"

// ok gives the client an OK packet of our own.
func (c *conn) ok() error { return c.okTelling(nil) }

// okTelling is ok with session state, nil for none.
func (c *conn) okTelling(session []byte) error {
	ok := mysqlwire.OK{Status: c.status(), Session: session}
	if session != nil {
		ok.Status |= mysqlwire.StatusStateChanged
	}
	return c.reply(ok.Append(nil, false, c.caps.Has(mysqlwire.CapSessionTrack)))
}

// status is what a packet of our own says of the connection, and whether results of another part of the text follow.
func (c *conn) status() mysqlwire.Status {
	l := c.primary
	if c.snapshot.open {
		l = c.replica
	}
	s := l.status & lasting
	if c.request.follows {
		s |= mysqlwire.StatusMoreResults
	}
	return s
}

// reply gives the client packets of our own.
func (c *conn) reply(payloads ...[]byte) error {
	c.seq += c.ahead()
	var b []byte
	for _, p := range payloads {
		c.seq++
		b = mysqlwire.AppendPacket(b, c.seq, p)
	}
	c.request.last = c.seq
	if _, err := c.nc.Write(b); err != nil {
		return clientError{err}
	}
	return nil
}

// refuse is answer for a command of which maybe only a part was read.
func (c *conn) refuse(r *request, e *mysqlwire.Error) error {
	if err := c.skip(r); err != nil {
		return err
	}
	r.rest, r.more = 0, false
	return c.answer(e)
}

// answer gives the client an ERR packet of our own; the connection goes on.
func (c *conn) answer(e *mysqlwire.Error) error {
	c.request.failure = e
	if !c.request.whole() {
		return clientError{e} // what is left of the command is not worth reading
	}
	if err := c.tell(c.seq+1, e); err != nil {
		return clientError{err}
	}
	return nil
}

// tell writes an ERR packet.
func (c *conn) tell(seq byte, e *mysqlwire.Error) error {
	if z, ok := c.nc.(*mysqlwire.Compressed); ok && seq == 0 {
		z.Restart()
	}
	_, err := c.nc.Write(mysqlwire.AppendPacket(nil, seq, e.Append(nil)))
	return err
}
