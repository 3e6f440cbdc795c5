package mysqlwire

import (
	"bytes"
	"encoding/binary"
)

// cursor reads the fields of a packet one after another. Reading beyond the end gives zeros and empty texts and sets
// bad, so that a decoder asks once, at its end.
type cursor struct {
	b   []byte // what is left
	bad bool
}

func (c *cursor) err() error {
	if c.bad {
		return errHandshake
	}
	return nil
}

// next takes n bytes, all or none.
func (c *cursor) next(n int) []byte {
	if n > len(c.b) {
		c.bad, c.b = true, nil
		return nil
	}
	s := c.b[:n]
	c.b = c.b[n:]
	return s
}

// upTo takes n bytes, or what there is.
func (c *cursor) upTo(n int) []byte { return c.next(min(n, len(c.b))) }

func (c *cursor) byte() byte {
	if s := c.next(1); s != nil {
		return s[0]
	}
	return 0
}

func (c *cursor) uint16() uint16 {
	if s := c.next(2); s != nil {
		return binary.LittleEndian.Uint16(s)
	}
	return 0
}

func (c *cursor) uint32() uint32 {
	if s := c.next(4); s != nil {
		return binary.LittleEndian.Uint32(s)
	}
	return 0
}

// text takes a text that a NUL ends.
func (c *cursor) text() string {
	s, rest := cutNUL(c.b)
	if len(s) == len(c.b) {
		c.bad, c.b = true, nil
		return ""
	}
	c.b = rest
	return string(s)
}

// tailText takes a text that a NUL or the end of the packet ends.
func (c *cursor) tailText() string {
	s, rest := cutNUL(c.b)
	c.b = rest
	return string(s)
}

// lenenc takes bytes whose length is length-encoded before them.
func (c *cursor) lenenc() []byte {
	s, rest, ok := cutLenencBytes(c.b)
	c.b = rest
	c.bad = c.bad || !ok
	return s
}

// answer takes a client's answer to the salt, whose form depends on the capabilities.
func (c *cursor) answer(has Capability) []byte {
	switch {
	case has.Has(CapPluginAuthLenenc):
		return c.lenenc()
	case has.Has(CapSecureConnection):
		return c.next(int(c.byte()))
	}
	return []byte(c.text())
}

// cutNUL splits b at its first NUL, which is in neither part. Without one, all is s.
func cutNUL(b []byte) (s, rest []byte) {
	s, rest, _ = bytes.Cut(b, []byte{0})
	return s, rest
}

func appendNUL(dst []byte, s string) []byte { return append(append(dst, s...), 0) }
