package mysqlwire

import (
	"fmt"

	"github.com/go-mysql-org/go-mysql/mysql"
)

const (
	stateMarker = '#'
	stateSize   = 5
)

// Error is an error as a client of MySQL sees it: the payload of an ERR packet.
// https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_basic_err_packet.html
type Error struct {
	Code    uint16 // 1000-1999 and 3000 up are the server's, 2000-2999 a client library's
	State   string // SQLSTATE, five bytes; empty in an ERR that comes before the handshake (a server's "too many connections")
	Message string
}

// NewError makes an error with the SQLSTATE that belongs to code (HY000 where none does). The message is formatted as
// with fmt.Sprintf.
func NewError(code uint16, format string, args ...any) *Error {
	return &Error{Code: code, State: StateOf(code), Message: fmt.Sprintf(format, args...)}
}

// StateOf is the SQLSTATE that a server sends with the error code.
// https://dev.mysql.com/doc/mysql-errors/en/server-error-reference.html
func StateOf(code uint16) string {
	if s, ok := mysql.MySQLState[code]; ok {
		return s
	}
	return mysql.DEFAULT_MYSQL_STATE
}

// Error is the text as the mysql shell prints it.
func (e *Error) Error() string {
	state := e.State
	if state == "" {
		state = mysql.DEFAULT_MYSQL_STATE
	}
	return fmt.Sprintf("ERROR %d (%s): %s", e.Code, state, e.Message)
}

// Append appends the payload. The marker and the SQLSTATE are left out when State is empty, as they are in an ERR
// before the handshake; a State of another length than five bytes is cut or filled with zeros.
func (e *Error) Append(dst []byte) []byte {
	dst = append(dst, headerERR, byte(e.Code), byte(e.Code>>8))
	if e.State != "" {
		state := [stateSize]byte{'0', '0', '0', '0', '0'}
		copy(state[:], e.State)
		dst = append(append(dst, stateMarker), state[:]...)
	}
	return append(dst, e.Message...)
}

// ParseError reads an ERR payload, whose first byte (0xFF) the caller has seen. A payload too short to hold a code is
// itself an error, ER_MALFORMED_PACKET. A message that was sent without SQLSTATE gives an empty State.
func ParseError(payload []byte) *Error {
	if len(payload) < 3 {
		return NewError(mysql.ER_MALFORMED_PACKET, "Malformed communication packet.")
	}
	e := &Error{Code: uint16(payload[1]) | uint16(payload[2])<<8}
	b := payload[3:]
	if len(b) > stateSize && b[0] == stateMarker {
		e.State, b = string(b[1:1+stateSize]), b[1+stateSize:]
	}
	e.Message = string(b)
	return e
}
