package fakeserver

import (
	"errors"
	"fmt"

	"github.com/go-mysql-org/go-mysql/mysql"
)

// Command is one command of a client.
type Command struct {
	Code       byte              // mysql.COM_QUERY and so on
	Payload    []byte            // all after the code
	SQL        string            // of COM_QUERY and COM_STMT_PREPARE
	Attributes map[string]string // query attributes of COM_QUERY; values of numbers are in hexadecimal bytes
}

func (c *Conn) readCommand() (Command, error) {
	c.sequence = 0
	payload, err := c.ReadPacket()
	if err != nil {
		return Command{}, err
	}
	if len(payload) == 0 {
		return Command{}, errors.New("empty command")
	}
	cmd := Command{Code: payload[0], Payload: payload[1:]}
	switch cmd.Code {
	case mysql.COM_STMT_PREPARE:
		cmd.SQL = string(cmd.Payload)
	case mysql.COM_QUERY:
		r := &reader{rest: cmd.Payload}
		if c.Has(mysql.CLIENT_QUERY_ATTRIBUTES) {
			cmd.Attributes = r.queryAttributes()
		}
		cmd.SQL = string(r.rest)
		if r.failed {
			return Command{}, fmt.Errorf("malformed query attributes: %x", cmd.Payload)
		}
	}
	return cmd, nil
}

// queryAttributes reads what stands before the text of COM_QUERY.
// https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_com_query.html
func (r *reader) queryAttributes() map[string]string {
	count := r.length()
	r.length() // number of sets, always 1
	if count == 0 || r.failed || count > uint64(len(r.rest)) {
		return nil
	}
	nulls := r.bytes((count + 7) / 8)
	r.byte() // types are bound, always 1
	types, names := make([]byte, count), make([]string, count)
	for i := range count {
		types[i] = r.byte()
		r.byte() // the sign
		names[i] = string(r.bytes(r.length()))
	}
	attributes := make(map[string]string)
	for i := range count {
		if r.failed || nulls[i/8]&(1<<(i%8)) != 0 {
			continue
		}
		attributes[names[i]] = r.attributeValue(types[i])
	}
	return attributes
}

func (r *reader) attributeValue(kind byte) string {
	width := uint64(0)
	switch kind {
	case mysql.MYSQL_TYPE_TINY:
		width = 1
	case mysql.MYSQL_TYPE_SHORT:
		width = 2
	case mysql.MYSQL_TYPE_LONG, mysql.MYSQL_TYPE_FLOAT:
		width = 4
	case mysql.MYSQL_TYPE_LONGLONG, mysql.MYSQL_TYPE_DOUBLE:
		width = 8
	default:
		return string(r.bytes(r.length()))
	}
	return fmt.Sprintf("%x", r.bytes(width))
}
