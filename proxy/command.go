package proxy

import (
	"github.com/go-mysql-org/go-mysql/mysql"

	"github.com/stickyproxy/stickyproxy/mysqlwire"
)

// maxWhole is how much of a command is read before it is sent on. A larger one streams: its statement is not
// classified as a whole, so it goes to the primary.
const maxWhole = 1 << 20

// command is a command packet of the client. Head refers to the client reader's buffer and stays valid until the
// command is dropped there.
type command struct {
	code byte
	head []byte // the packet from its header on: all of it, unless rest > 0 or more frames follow
	rest int    // bytes of the first frame that were not read yet
	more bool   // another frame follows the first
	ours bool   // we made it, of a part of the client's: head is not in the reader
}

// whole reports whether head is the whole packet.
func (m *command) whole() bool { return m.rest == 0 && !m.more }

// runs reports whether the command runs a statement.
func (m *command) runs() bool {
	return m.code == mysql.COM_QUERY || m.code == mysql.COM_STMT_EXECUTE || m.code == mysqlwire.ComBulkExecute
}

// payload is the packet behind its first header, as far as head has it; nothing once the command was dropped.
func (m *command) payload() []byte { return m.head[min(mysqlwire.HeaderSize, len(m.head)):] }

// read waits for the client's next command.
func (c *conn) read() (command, error) {
	c.in.Release()
	if err := c.in.Need(mysqlwire.HeaderSize + 1); err != nil {
		return command{}, err
	}
	h := c.in.Bytes()
	n := mysqlwire.FrameLen(h)
	if n == 0 || h[3] != 0 && !c.compressed() {
		return command{}, errOutOfOrder
	}
	h[3] = 0
	m := command{more: n == mysqlwire.MaxFrame}
	size := mysqlwire.HeaderSize + n
	if size > maxWhole {
		m.rest = size - maxWhole
		size = maxWhole
	}
	if err := c.in.Need(size); err != nil {
		return command{}, err
	}
	m.head = c.in.Bytes()[:size]
	m.code = m.head[mysqlwire.HeaderSize]
	return m, nil
}

// compressed reports whether the client's frames come in compressed ones. Then the numbers they bear count something
// else: servers do not look at them, and one that is spoken to without compression has to get true ones.
func (c *conn) compressed() bool { return c.caps&(mysqlwire.CapCompress|mysqlwire.CapZstd) != 0 }

// drop removes the command from the client reader; afterwards its bytes must not be used. Doing it twice is harmless.
func (c *conn) drop(m *command) {
	if !m.ours {
		c.in.Discard(len(m.head))
	}
	m.head = nil
}

// ahead is how much higher than usual the next number towards a client with compression is: the numbers of a response
// go on from those of the compressed frames.
func (c *conn) ahead() byte {
	if z, ok := c.nc.(*mysqlwire.Compressed); ok {
		return z.Next() - (c.seq + 1)
	}
	return 0
}

// skip reads a command that goes nowhere to its end.
func (c *conn) skip(r *request) error {
	whole := r.whole()
	c.drop(&r.command)
	if whole {
		return nil
	}
	return c.stream(nil, &r.command)
}

// stream sends what follows the head of a command that is larger than what is read at once. The head must have been
// sent and dropped. Without a link, it is dropped too.
func (c *conn) stream(l *link, m *command) error {
	if err := c.forward(l, m.rest); err != nil {
		return err
	}
	for more := m.more; more; {
		n, err := c.forwardFrame(l, 0)
		if err != nil {
			return err
		}
		more = n == mysqlwire.MaxFrame
	}
	return nil
}

// streamLonger is stream for a command whose beginning, r.longer, is longer than the client's. The rest moves through
// the frames, which are made anew.
func (c *conn) streamLonger(l *link, r *request) error {
	left, more := len(r.longer)+r.rest, r.more // bytes of payload that are known to follow
	c.drop(&r.command)
	n, seq := min(left, mysqlwire.MaxFrame), byte(0)
	if err := l.write(append(mysqlwire.AppendHeader(nil, n, seq), r.longer...)); err != nil {
		return err
	}
	if err := c.forward(l, n-len(r.longer)); err != nil {
		return err
	}
	for left -= n; n == mysqlwire.MaxFrame; left -= n {
		if more {
			next, err := c.joinFrame(left)
			if err != nil {
				return clientError{err}
			}
			left, more = left+next, next == mysqlwire.MaxFrame
		}
		n = min(left, mysqlwire.MaxFrame)
		seq++
		if _, err := l.Conn.Write(mysqlwire.AppendHeader(nil, n, seq)); err != nil {
			return err
		}
		if err := c.forward(l, n); err != nil {
			return err
		}
	}
	r.shift = c.seq - seq
	return nil
}

// joinFrame takes out the header of the client's next frame, which comes after n bytes of the present one, and returns
// its payload length.
func (c *conn) joinFrame(n int) (int, error) {
	if err := c.in.Need(n + mysqlwire.HeaderSize); err != nil {
		return 0, err
	}
	b := c.in.Bytes()
	h := b[n : n+mysqlwire.HeaderSize]
	next := mysqlwire.FrameLen(h)
	c.seq = c.sequenceOf(h)
	copy(b[mysqlwire.HeaderSize:], b[:n])
	c.in.Discard(mysqlwire.HeaderSize)
	return next, nil
}

// sequenceOf is the sequence number of the client's frame whose header is h.
func (c *conn) sequenceOf(h []byte) byte {
	if c.compressed() {
		return c.seq + 1
	}
	return h[3]
}

// forwardFrame sends one frame of the client to the server, unshift subtracted from its sequence number, and returns
// its payload length.
func (c *conn) forwardFrame(l *link, unshift byte) (int, error) {
	if err := c.in.Need(mysqlwire.HeaderSize); err != nil {
		return 0, clientError{err}
	}
	h := c.in.Bytes()
	n := mysqlwire.FrameLen(h)
	c.seq = c.sequenceOf(h)
	h[3] = c.seq - unshift
	return n, c.forward(l, mysqlwire.HeaderSize+n)
}

// forward sends the client's next n bytes to the server as they come.
func (c *conn) forward(l *link, n int) error {
	for n > 0 {
		if len(c.in.Bytes()) == 0 {
			if err := c.in.Fill(); err != nil {
				return clientError{err}
			}
		}
		b := c.in.Bytes()
		b = b[:min(n, len(b))]
		if l != nil {
			if _, err := l.Conn.Write(b); err != nil {
				return err
			}
		}
		c.tail.add(b)
		n -= len(b)
		c.in.Discard(len(b))
	}
	return nil
}
