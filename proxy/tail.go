package proxy

import (
	"bytes"

	"github.com/stickyproxy/stickyproxy/router"
)

// tail is the end of a statement that is too long to be looked at as a whole. Libraries put their comments there.
type tail struct{ b []byte }

// tailSize is how much of it is kept: more than any comment with hints.
const tailSize = 8 << 10

// add notes what comes next of the statement.
func (t *tail) add(b []byte) {
	if t == nil {
		return
	}
	b = b[max(0, len(b)-tailSize):]
	if drop := len(t.b) + len(b) - tailSize; drop > 0 {
		t.b = append(t.b[:0], t.b[drop:]...)
	}
	t.b = append(t.b, b...)
}

// comment is the comment with which the statement ends, if it does: the end of a literal cannot look so, because its quote
// comes last.
func (t *tail) comment() []byte {
	b := bytes.TrimRight(t.b, " \t\r\n;")
	if !bytes.HasSuffix(b, []byte("*/")) {
		return nil
	}
	inner := b[:len(b)-2]
	from := bytes.LastIndex(inner, []byte("/*"))
	if from < 0 || bytes.Contains(inner[from+2:], []byte("*/")) {
		return nil
	}
	return b[from:]
}

// listenTail makes the hints count that a long statement ends with. The server has all of it by now, so that it is too
// late to refuse it: a hint that cannot be understood ends the connection.
func (c *conn) listenTail(r *request) error {
	if c.tail == nil {
		return nil
	}
	comment := c.tail.comment()
	if comment == nil || !router.MayHint(comment) {
		return nil
	}
	_, refused := c.hear(&r.hints, comment)
	if refused == nil {
		refused = c.obey(&r.hints)
	}
	if refused != nil {
		return clientError{refused}
	}
	c.pins.collect()
	return nil
}
