package mysqlwire

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/go-mysql-org/go-mysql/mysql"
)

var errShortCommand = errors.New("malformed command packet")

// ComBulkExecute is MariaDB's COM_STMT_BULK_EXECUTE, which [CapBulkExecute] allows:
// https://mariadb.com/kb/en/com_stmt_bulk_execute/
const ComBulkExecute = 0xFA

// Prepared is the OK packet that answers COM_STMT_PREPARE.
type Prepared struct {
	ID       uint32
	Columns  int
	Params   int
	Warnings uint16
	Silent   bool // no definitions follow, see [CapOptionalMetadata]
}

// ParsePrepared reads the payload of the packet.
// https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_com_stmt_prepare.html#sect_protocol_com_stmt_prepare_response_ok
func ParsePrepared(p []byte) (Prepared, error) {
	if len(p) < 12 || p[0] != headerOK {
		return Prepared{}, errors.New("malformed answer to COM_STMT_PREPARE")
	}
	return Prepared{
		ID:       binary.LittleEndian.Uint32(p[1:]),
		Columns:  int(binary.LittleEndian.Uint16(p[5:])),
		Params:   int(binary.LittleEndian.Uint16(p[7:])),
		Warnings: binary.LittleEndian.Uint16(p[10:]),
		Silent:   len(p) > 12 && p[12] == 0,
	}, nil
}

// AppendQuit appends the packet of a COM_QUIT, with its header. It has no answer: the server closes the connection.
func AppendQuit(dst []byte) []byte { return AppendPacket(dst, 0, []byte{mysql.COM_QUIT}) }

// StatementID reads the statement id of COM_STMT_EXECUTE, _FETCH, _RESET, _CLOSE and _SEND_LONG_DATA.
func StatementID(payload []byte) (uint32, error) {
	if len(payload) < 5 {
		return 0, errShortCommand
	}
	return binary.LittleEndian.Uint32(payload[1:]), nil
}

// SetStatementID writes the statement id into the payload of one of these commands, which StatementID has read.
func SetStatementID(payload []byte, id uint32) {
	binary.LittleEndian.PutUint32(payload[1:], id)
}

// QueryText cuts the SQL text out of the payload of a COM_QUERY. With CLIENT_QUERY_ATTRIBUTES the attributes stand
// before it; they are returned as they are, without the counts, and empty when there are none. Both refer to payload.
// What a server would read in another way, or refuse, is an error.
// https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_com_query.html
func QueryText(payload []byte, caps Capability) (sql, attributes []byte, err error) {
	if len(payload) == 0 {
		return nil, nil, errShortCommand
	}
	b := payload[1:]
	if !caps.Has(CapQueryAttributes) {
		return b, nil, nil
	}
	count, n := Lenenc(b)
	if n == 0 {
		return nil, nil, errShortCommand
	}
	sets, m := Lenenc(b[n:])
	if m == 0 || sets != 1 { // servers refuse any other number, even where there are no attributes
		return nil, nil, errShortCommand
	}
	b = b[n+m:]
	if count == 0 {
		return b, nil, nil
	}
	if count > maxParams {
		return nil, nil, fmt.Errorf("%w: %d query attributes", errShortCommand, count)
	}
	if sql, err = skipParams(b, int(count)); err != nil {
		return nil, nil, err
	}
	return sql, b[:len(b)-len(sql)], nil
}

// maxParams is how many parameters the protocol can number.
const maxParams = 1<<16 - 1

// skipParams returns what follows a block of named parameters: null bitmap, the byte that says types are here, types
// and names, values.
func skipParams(b []byte, count int) (rest []byte, err error) {
	at := (count + 7) / 8
	if len(b) < at+1 || b[at] != 1 {
		return nil, errShortCommand
	}
	nulls, types := b[:at], b[at+1:]
	var ok bool
	values := types
	for range count {
		if _, values, ok = cutParamType(values); !ok {
			return nil, errShortCommand
		}
	}
	for i := range count {
		var t byte
		t, types, _ = cutParamType(types)
		if nulls[i/8]&(1<<(i%8)) != 0 {
			continue
		}
		n, ok := valueSize(t, values)
		if !ok {
			return nil, errShortCommand
		}
		values = values[n:]
	}
	return values, nil
}

// cutParamType splits b behind the type and the name at its beginning.
func cutParamType(b []byte) (t byte, rest []byte, ok bool) {
	if len(b) < 2 {
		return 0, nil, false
	}
	_, rest, ok = cutLenencBytes(b[2:])
	return b[0], rest, ok
}

// valueSize is the size of one binary parameter of the type t at the beginning of b. Where the documentation leaves
// room, it is what MySQL 9.7 does: a length comes before the value of every type that is not listed here, be it
// MYSQL_TYPE_YEAR, _INT24, _NULL or unknown.
// https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_binary_resultset.html#sect_protocol_binary_resultset_row_value
func valueSize(t byte, b []byte) (int, bool) {
	n := 0
	switch t {
	case mysql.MYSQL_TYPE_TINY:
		n = 1
	case mysql.MYSQL_TYPE_SHORT:
		n = 2
	case mysql.MYSQL_TYPE_LONG, mysql.MYSQL_TYPE_FLOAT:
		n = 4
	case mysql.MYSQL_TYPE_LONGLONG, mysql.MYSQL_TYPE_DOUBLE:
		n = 8
	case typeBool:
		return 0, false
	default:
		_, rest, ok := cutLenencBytes(b)
		return len(b) - len(rest), ok
	}
	return n, n <= len(b)
}

// typeBool is MYSQL_TYPE_BOOL, which servers refuse.
const typeBool = 244
