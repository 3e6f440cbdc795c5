package fakeserver

import (
	"bytes"
	"encoding/binary"
)

// reader takes a payload apart. After the first field that is not there all fields are empty and
// failed is set.
type reader struct {
	rest   []byte
	failed bool
}

func (r *reader) bytes(n uint64) []byte {
	if n > uint64(len(r.rest)) {
		r.failed, r.rest = true, nil
		return nil
	}
	b := r.rest[:n]
	r.rest = r.rest[n:]
	return b
}

func (r *reader) byte() byte {
	if b := r.bytes(1); len(b) == 1 {
		return b[0]
	}
	return 0
}

// text reads up to a NUL.
func (r *reader) text() string {
	end := bytes.IndexByte(r.rest, 0)
	if end < 0 {
		r.failed, r.rest = true, nil
		return ""
	}
	s := string(r.rest[:end])
	r.rest = r.rest[end+1:]
	return s
}

// length reads a length-encoded integer.
// https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_basic_dt_integers.html
func (r *reader) length() uint64 {
	first := r.byte()
	width := 0
	switch first {
	case 0xfc:
		width = 2
	case 0xfd:
		width = 3
	case 0xfe:
		width = 8
	default:
		return uint64(first)
	}
	var wide [8]byte
	copy(wide[:], r.bytes(uint64(width)))
	return binary.LittleEndian.Uint64(wide[:])
}

// pairs reads length-encoded names and values that fill a length-encoded block.
func (r *reader) pairs() map[string]string {
	block := &reader{rest: r.bytes(r.length())}
	found := make(map[string]string)
	for len(block.rest) > 0 && !block.failed {
		name := string(block.bytes(block.length()))
		found[name] = string(block.bytes(block.length()))
	}
	r.failed = r.failed || block.failed
	return found
}
