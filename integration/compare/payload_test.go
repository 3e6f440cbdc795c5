package compare

import (
	"encoding/binary"
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/go-mysql-org/go-mysql/mysql"

	"github.com/stickyproxy/stickyproxy/mysqlwire"
)

// payload is the command of a step that has one packet and one response.
func (c *client) payload(s step) ([]byte, error) {
	args := words(s.argument)
	switch s.command {
	case "":
		return c.query(s.argument), nil
	case "attributes":
		name, rest, _ := strings.Cut(s.argument, " ")
		value, sql, _ := strings.Cut(rest, " ")
		return c.query(sql, name, value), nil
	case "ping":
		return []byte{mysql.COM_PING}, nil
	case "reset_connection":
		return []byte{mysql.COM_RESET_CONNECTION}, nil
	case "statistics":
		return []byte{mysql.COM_STATISTICS}, nil
	case "process_info":
		return []byte{mysql.COM_PROCESS_INFO}, nil
	case "debug":
		return []byte{mysql.COM_DEBUG}, nil
	case "init_db":
		return append([]byte{mysql.COM_INIT_DB}, s.argument...), nil
	case "field_list":
		table, wildcard, _ := strings.Cut(s.argument, " ")
		return append(append(append([]byte{mysql.COM_FIELD_LIST}, table...), 0), wildcard...), nil
	case "set_option":
		n, err := strconv.ParseUint(s.argument, 10, 16)
		return binary.LittleEndian.AppendUint16([]byte{mysql.COM_SET_OPTION}, uint16(n)), err
	case "kill":
		n, err := strconv.ParseUint(s.argument, 10, 32)
		return binary.LittleEndian.AppendUint32([]byte{mysql.COM_PROCESS_KILL}, uint32(n)), err
	case "command":
		n, err := strconv.ParseUint(args[0], 0, 8)
		_, rest, _ := strings.Cut(s.argument, " ")
		return append([]byte{byte(n)}, rest...), err
	}
	return c.statementPayload(s.command, args, s.argument)
}

// noStatement is an id that no server has given out.
const noStatement = 77_777_777

// statementPayload is a command about a prepared statement.
func (c *client) statementPayload(command string, args []string, argument string) ([]byte, error) {
	if len(args) == 0 {
		return nil, fmt.Errorf("no statement for %q", command)
	}
	id, ok := c.statements[args[0]]
	if !ok {
		id = noStatement
	}
	about := func(code byte) []byte { return binary.LittleEndian.AppendUint32([]byte{code}, id) }
	switch command {
	case "execute":
		return c.execution(about(mysql.COM_STMT_EXECUTE), 0, true, args[1:])
	case "again":
		return c.execution(about(mysql.COM_STMT_EXECUTE), 0, false, args[1:])
	case "cursor":
		return c.execution(about(mysql.COM_STMT_EXECUTE), 1, true, args[1:])
	case "bulk", "bulk_again":
		return bulk(binary.LittleEndian.AppendUint32([]byte{mysqlwire.ComBulkExecute}, id), command == "bulk", argument)
	case "fetch":
		n, err := strconv.ParseUint(args[1], 10, 32)
		return binary.LittleEndian.AppendUint32(about(mysql.COM_STMT_FETCH), uint32(n)), err
	case "long":
		n, err := strconv.ParseUint(args[1], 10, 16)
		b := binary.LittleEndian.AppendUint16(about(mysql.COM_STMT_SEND_LONG_DATA), uint16(n))
		return append(b, strings.SplitN(argument, " ", 3)[2]...), err
	case "reset":
		return about(mysql.COM_STMT_RESET), nil
	case "close":
		delete(c.statements, args[0])
		return about(mysql.COM_STMT_CLOSE), nil
	}
	return nil, fmt.Errorf("unknown command %q", command)
}

// execution is a COM_STMT_EXECUTE.
// https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_com_stmt_execute.html
func (c *client) execution(b []byte, flags byte, withTypes bool, args []string) ([]byte, error) {
	b = append(b, flags, 1, 0, 0, 0)
	if len(args) == 0 {
		return b, nil
	}
	attributes := c.caps.Has(mysqlwire.CapQueryAttributes)
	if attributes {
		b = append(b, byte(len(args)))
	}
	nulls := make([]byte, (len(args)+7)/8)
	var types, values []byte
	for i, a := range args {
		typ, value, err := parameter(a)
		if err != nil {
			return nil, err
		}
		if a == "NULL" || a == "LONG" {
			value = nil
		}
		if a == "NULL" {
			nulls[i/8] |= 1 << (i % 8)
		}
		types = append(types, typ, 0)
		if attributes {
			types = append(types, 0) // without a name
		}
		values = append(values, value...)
	}
	b = append(b, nulls...)
	if withTypes {
		b = append(append(b, 1), types...)
	} else {
		b = append(b, 0)
	}
	return append(b, values...), nil
}

// bulk is a COM_STMT_BULK_EXECUTE: https://mariadb.com/kb/en/com_stmt_bulk_execute/
func bulk(b []byte, withTypes bool, argument string) ([]byte, error) {
	const sendsTypes, isNull = 0x80, 1
	var types, values []byte
	_, argument, _ = strings.Cut(argument, " ")
	for i, row := range strings.Split(argument, ";") {
		for _, a := range words(row) {
			typ, value, err := parameter(a)
			if err != nil {
				return nil, err
			}
			if i == 0 {
				types = append(types, typ, 0)
			}
			indicator := byte(0)
			if a == "NULL" {
				indicator = isNull
			}
			values = append(append(values, indicator), value...)
		}
	}
	if !withTypes {
		return append(append(b, 0, 0), values...), nil
	}
	return append(append(append(b, sendsTypes, 0), types...), values...), nil
}

// parameter is the type and the bytes of a value. LONG is one that was sent before.
func parameter(s string) (typ byte, value []byte, err error) {
	switch {
	case s == "NULL":
		return mysql.MYSQL_TYPE_NULL, nil, nil
	case s == "LONG":
		return mysql.MYSQL_TYPE_BLOB, nil, nil
	case s[0] == '\'':
		return mysql.MYSQL_TYPE_VAR_STRING, appendString(nil, strings.Trim(s, "'")), nil
	case strings.Contains(s, "."):
		f, err := strconv.ParseFloat(s, 64)
		return mysql.MYSQL_TYPE_DOUBLE, binary.LittleEndian.AppendUint64(nil, math.Float64bits(f)), err
	}
	n, err := strconv.ParseInt(s, 10, 64)
	return mysql.MYSQL_TYPE_LONGLONG, binary.LittleEndian.AppendUint64(nil, uint64(n)), err
}

// statementID reads the id in the answer to a prepare.
func statementID(b []byte) uint32 { return binary.LittleEndian.Uint32(b) }
