package mysqlwire

import (
	"bytes"
	"errors"
)

// Status is the set of status flags that ends every result.
// https://dev.mysql.com/doc/dev/mysql-server/latest/mysql__com_8h.html#a1d854e841086925be1883e4d7b4e8cad
type Status uint16

// The flags that somebody between client and server has to know.
const (
	StatusInTrans      Status = 0x0001 // a transaction is open
	StatusAutocommit   Status = 0x0002
	StatusMoreResults  Status = 0x0008 // another result follows in this response
	StatusCursorExists Status = 0x0040 // rows wait in a cursor, to be fetched
	StatusLastRowSent  Status = 0x0080
	StatusOutParams    Status = 0x1000 // the rows are the OUT parameters of a prepared CALL
	StatusInTransRO    Status = 0x2000 // the open transaction is READ ONLY
	StatusStateChanged Status = 0x4000 // session state follows in the OK packet
)

// The first bytes of the packets that a response is made of.
const (
	headerOK     = 0x00
	headerInfile = 0xFB
	headerEOF    = 0xFE
	headerERR    = 0xFF
)

// EOFSize is how many bytes the payload of a classic EOF packet has.
const EOFSize = 5

var (
	errShortOK  = errors.New("malformed OK packet")
	errShortEOF = errors.New("malformed EOF packet")
)

// OK is the packet that ends a statement without rows and, with another first byte, rows where CLIENT_DEPRECATE_EOF
// was negotiated.
// https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_basic_ok_packet.html
type OK struct {
	AffectedRows uint64
	LastInsertID uint64
	Status       Status
	Warnings     uint16
	Info         []byte // a text for people: "Rows matched: 1  Changed: 1"
	Session      []byte // what changed: see Changes; not nil only with CLIENT_SESSION_TRACK and StatusStateChanged
}

// ParseOK reads an OK packet, whatever its first byte is. Tracking says whether CLIENT_SESSION_TRACK was negotiated on
// the connection that it came from. The result refers to p.
//
// A classic EOF packet is understood as well, which is too short to be an OK: with one, MySQL ends rows that an error in a
// stored routine has cut, which a handler of the routine caught, also where CLIENT_DEPRECATE_EOF was negotiated.
func ParseOK(p []byte, tracking bool) (OK, error) {
	var ok OK
	if len(p) == 0 {
		return ok, errShortOK
	}
	if len(p) == EOFSize && p[0] == headerEOF {
		return ParseEOF(p)
	}
	b := p[1:]
	for _, v := range []*uint64{&ok.AffectedRows, &ok.LastInsertID} {
		x, n := Lenenc(b)
		if n == 0 {
			return ok, errShortOK
		}
		*v, b = x, b[n:]
	}
	if len(b) < 4 {
		return ok, errShortOK
	}
	ok.Status = Status(b[0]) | Status(b[1])<<8
	ok.Warnings = uint16(b[2]) | uint16(b[3])<<8
	return ok, ok.parseTail(b[4:], tracking)
}

// parseTail reads what follows the warnings. The text has its length before it even without CLIENT_SESSION_TRACK, where
// the documentation lets it fill the packet: MySQL 9.7 and MariaDB 10.11 write it so, and clients read it so.
func (ok *OK) parseTail(b []byte, tracking bool) error {
	if len(b) == 0 {
		return nil // no text and no change: a server leaves out even the empty text
	}
	info, rest, valid := cutLenencBytes(b)
	switch {
	case valid:
		ok.Info = info
	case tracking:
		return errShortOK
	default:
		ok.Info = b // as documented
	}
	if !tracking || ok.Status&StatusStateChanged == 0 || len(rest) == 0 {
		return nil
	}
	if ok.Session, _, valid = cutLenencBytes(behindPadding(rest)); !valid {
		return errShortOK
	}
	return nil
}

// behindPadding is session state without the zeros that MariaDB writes before its length where the characters of the
// current schema (collation_database) have two bytes at least, as in ucs2, utf16 and utf32. Who takes the first of them for
// the length finds that nothing has changed.
func behindPadding(b []byte) []byte {
	if padded := bytes.TrimLeft(b, "\x00"); len(padded) > 0 {
		return padded
	}
	return b
}

// Append appends the packet's payload. End is true where it ends rows. Tracking says whether CLIENT_SESSION_TRACK was
// negotiated with the receiver; without it the session state is left out, and so is the flag that announces it.
func (ok *OK) Append(dst []byte, end, tracking bool) []byte {
	status := ok.Status
	if !tracking || ok.Session == nil {
		status &^= StatusStateChanged
	}
	first := byte(headerOK)
	if end {
		first = headerEOF
	}
	dst = append(dst, first)
	dst = appendLenenc(dst, ok.AffectedRows)
	dst = appendLenenc(dst, ok.LastInsertID)
	dst = append(dst, byte(status), byte(status>>8), byte(ok.Warnings), byte(ok.Warnings>>8))
	if len(ok.Info) > 0 || status&StatusStateChanged != 0 {
		dst = appendLenencBytes(dst, ok.Info)
	}
	if status&StatusStateChanged != 0 {
		dst = appendLenencBytes(dst, ok.Session)
	}
	return dst
}

// ParseEOF reads the classic EOF packet: warnings and status.
// https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_basic_eof_packet.html
func ParseEOF(p []byte) (OK, error) {
	if len(p) < EOFSize {
		return OK{}, errShortEOF
	}
	return OK{Warnings: uint16(p[1]) | uint16(p[2])<<8, Status: Status(p[3]) | Status(p[4])<<8}, nil
}

// AppendEOF appends the payload of the classic EOF packet that says the same as ok.
func (ok *OK) AppendEOF(dst []byte) []byte {
	status := ok.Status &^ StatusStateChanged
	return append(dst, headerEOF, byte(ok.Warnings), byte(ok.Warnings>>8), byte(status), byte(status>>8))
}
