package proxy

import (
	"bytes"

	"github.com/stickyproxy/stickyproxy/mysqlwire"
)

// executeHead is the size of COM_STMT_EXECUTE before its parameters: command, id, flags, iteration count.
// https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_com_stmt_execute.html
const executeHead = 10

const (
	cursorFlags    = 0x07 // of the flags: any kind of cursor
	parameterCount = 0x08 // of the flags: a parameter count is sent even if it is 0 (query attributes)
)

// parameters finds the parameters in a COM_STMT_EXECUTE: where the byte is that says whether types follow, 0 if there
// are no parameters, and how many there are.
func (s *statement) parameters(p []byte, caps mysqlwire.Capability) (at, count int, err error) {
	at, count = executeHead, s.params
	if caps.Has(mysqlwire.CapQueryAttributes) && (count > 0 || p[5]&parameterCount != 0) {
		n, size := mysqlwire.Lenenc(p[at:])
		if size == 0 || n > 1<<16 {
			return 0, 0, errMalformed
		}
		at, count = at+size, int(n)
	}
	if count == 0 {
		return 0, 0, nil
	}
	at += (count + 7) / 8
	if at >= len(p) {
		return 0, 0, errMalformed
	}
	return at, count, nil
}

// learnTypes remembers the types that a COM_STMT_EXECUTE brings along, at most room bytes of them.
func (s *statement) learnTypes(p []byte, caps mysqlwire.Capability, room int) *mysqlwire.Error {
	at, count, err := s.parameters(p, caps)
	if err != nil {
		return errMalformed
	}
	if at == 0 || p[at] != 1 {
		return nil
	}
	b := p[at+1:]
	end := 0
	for range count {
		if end += 2; end > len(b) {
			return errMalformed
		}
		if caps.Has(mysqlwire.CapQueryAttributes) {
			n, size := mysqlwire.Lenenc(b[end:])
			if size == 0 || n > uint64(len(b)-end-size) {
				return errMalformed
			}
			end += size + int(n)
		}
	}
	switch {
	case end > room:
		return errTooManyTypes
	case !bytes.Equal(s.types, b[:end]):
		s.types = bytes.Clone(b[:end])
		s.typesNo++
	case s.typesNo == 0:
		s.typesNo = 1 // no bytes of types is also something to say
	}
	return nil
}

// untyped reports whether an execution comes without the types of its parameters, which were never sent. A server refuses
// it, whatever it makes of the statement.
func (s *statement) untyped(p []byte, caps mysqlwire.Capability) bool {
	at, _, err := s.parameters(p, caps)
	return err == nil && at != 0 && p[at] != 1 && s.typesNo == 0
}

// block is where the parameters of a COM_STMT_EXECUTE are, whose types were learned.
func (s *statement) block(p []byte, caps mysqlwire.Capability) mysqlwire.ParamBlock {
	at, count, err := s.parameters(p, caps)
	if at == 0 || err != nil {
		return mysqlwire.ParamBlock{}
	}
	b := mysqlwire.ParamBlock{
		Count: count, Named: caps.Has(mysqlwire.CapQueryAttributes), Nulls: p[at-(count+7)/8 : at], Types: s.types, Values: p[at+1:],
	}
	if p[at] == 1 {
		b.Values = b.Values[len(s.types):]
	}
	return b
}
