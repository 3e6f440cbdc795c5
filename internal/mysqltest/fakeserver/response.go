package fakeserver

import (
	"encoding/binary"
	"fmt"

	"github.com/go-mysql-org/go-mysql/mysql"
)

// OK is what an OK packet says, or the packet that ends the rows of a result.
type OK struct {
	AffectedRows uint64
	InsertID     uint64
	Status       uint16 // 0 means SERVER_STATUS_AUTOCOMMIT; SERVER_SESSION_STATE_CHANGED is added for Track
	Warnings     uint16
	Info         string
	Track        []Track // sent if the client can read it (CLIENT_SESSION_TRACK)
}

func (o OK) status() uint16 {
	status := o.Status
	if status == 0 {
		status = mysql.SERVER_STATUS_AUTOCOMMIT
	}
	if len(o.Track) > 0 {
		status |= mysql.SERVER_SESSION_STATE_CHANGED
	}
	return status
}

// payload encodes the packet with its first byte, 0x00 or 0xfe. With neither text nor state
// change it ends after the warnings, as the servers' own does.
// https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_basic_ok_packet.html
func (o OK) payload(first byte, tracking bool) []byte {
	if !tracking {
		o.Track = nil
	}
	b := appendLength([]byte{first}, o.AffectedRows)
	b = appendLength(b, o.InsertID)
	b = binary.LittleEndian.AppendUint16(b, o.status())
	b = binary.LittleEndian.AppendUint16(b, o.Warnings)
	if !tracking {
		return append(b, o.Info...)
	}
	if o.Info != "" || len(o.Track) > 0 {
		b = appendText(b, o.Info)
	}
	if len(o.Track) > 0 {
		var entries []byte
		for _, entry := range o.Track {
			entries = appendText(append(entries, entry.Type), string(entry.Data))
		}
		b = appendText(b, string(entries))
	}
	return b
}

// OK writes an OK packet.
func (c *Conn) OK(o OK) error {
	return c.Packet(o.payload(0x00, c.Has(mysql.CLIENT_SESSION_TRACK)))
}

// EOF writes what ends rows: an OK packet that begins with 0xfe, or, for a client without
// CLIENT_DEPRECATE_EOF, an EOF packet, which has no room for more than status and warnings.
func (c *Conn) EOF(o OK) error { return c.Packet(c.eofPayload(o)) }

func (c *Conn) eofPayload(o OK) []byte {
	if c.Has(mysql.CLIENT_DEPRECATE_EOF) {
		return o.payload(0xfe, c.Has(mysql.CLIENT_SESSION_TRACK))
	}
	o.Track = nil
	b := binary.LittleEndian.AppendUint16([]byte{0xfe}, o.Warnings)
	return binary.LittleEndian.AppendUint16(b, o.status())
}

// Error writes an error packet: the number, the SQLSTATE of five characters, the text.
func (c *Conn) Error(code uint16, state, message string) error {
	return c.Packet(errorPayload(code, state, message))
}

func errorPayload(code uint16, state, message string) []byte {
	b := binary.LittleEndian.AppendUint16([]byte{0xff}, code)
	return append(append(append(b, '#'), state...), message...)
}

// Rows writes a whole text result with one write. A nil is NULL; anything else is written as
// fmt.Sprint writes it. more says how it ends; SERVER_MORE_RESULTS_EXISTS in it announces another.
func (c *Conn) Rows(columns []string, rows [][]any, more OK) error {
	packets := c.columnPackets(columns)
	for _, row := range rows {
		packets = append(packets, textRow(row))
	}
	return c.Packets(append(packets, c.eofPayload(more))...)
}

// RowsThenError writes, with one write, a text result that ends with an error packet: what fails while it runs.
func (c *Conn) RowsThenError(columns []string, rows [][]any, code uint16) error {
	packets := c.columnPackets(columns)
	for _, row := range rows {
		packets = append(packets, textRow(row))
	}
	return c.Packets(append(packets, errorPayload(code, "HY000", "failed by script"))...)
}

// Columns writes the beginning of a result, up to its first row: for handlers that stop or wait
// between rows. Rows follow with Row or BinaryRow, the end with EOF.
func (c *Conn) Columns(columns ...string) error { return c.Packets(c.columnPackets(columns)...) }

// Row writes one row of a text result; see Rows for values.
func (c *Conn) Row(values ...any) error { return c.Packet(textRow(values)) }

// BinaryRow writes one row of the result of a prepared statement; all columns are text.
// https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_binary_resultset.html
func (c *Conn) BinaryRow(values ...any) error {
	const reservedBits = 2 // of the NULL bit map
	b := make([]byte, 1+(len(values)+7+reservedBits)/8)
	for i, v := range values {
		if v == nil {
			bit := i + reservedBits
			b[1+bit/8] |= 1 << (bit % 8)
			continue
		}
		b = appendText(b, fmt.Sprint(v))
	}
	return c.Packet(b)
}

// Prepared answers COM_STMT_PREPARE.
// https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_com_stmt_prepare.html
func (c *Conn) Prepared(id uint32, params, columns []string) error {
	b := binary.LittleEndian.AppendUint32([]byte{0}, id)
	b = binary.LittleEndian.AppendUint16(b, uint16(len(columns)))
	b = binary.LittleEndian.AppendUint16(b, uint16(len(params)))
	packets := [][]byte{c.appendChoice(append(b, 0, 0, 0))}
	for _, names := range [][]string{params, columns} {
		if len(names) > 0 {
			packets = append(packets, c.definitions(names)...)
		}
	}
	return c.Packets(packets...)
}

// LocalInfile asks the client for a file and returns what it sends.
// https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_com_query_response_local_infile_request.html
func (c *Conn) LocalInfile(name string) ([]byte, error) {
	if err := c.Packet(append([]byte{0xfb}, name...)); err != nil {
		return nil, err
	}
	var content []byte
	for {
		part, err := c.ReadPacket()
		if err != nil || len(part) == 0 {
			return content, err
		}
		content = append(content, part...)
	}
}

func (c *Conn) columnPackets(columns []string) [][]byte {
	count := c.appendChoice(appendLength(nil, uint64(len(columns))))
	return append([][]byte{count}, c.definitions(columns)...)
}

// appendChoice appends that definitions follow, for clients that could have chosen that they do not.
func (c *Conn) appendChoice(b []byte) []byte {
	if c.Has(mysql.CLIENT_OPTIONAL_RESULTSET_METADATA) {
		b = append(b, 1)
	}
	return b
}

// definitions are column definitions with the EOF that follows for old clients.
func (c *Conn) definitions(names []string) [][]byte {
	var packets [][]byte
	for _, name := range names {
		packets = append(packets, definition(name))
	}
	if !c.Has(mysql.CLIENT_DEPRECATE_EOF) {
		packets = append(packets, c.eofPayload(OK{}))
	}
	return packets
}

// definition describes a column of text that may be NULL.
// https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_com_query_response_text_resultset_column_definition.html
func definition(name string) []byte {
	var b []byte
	for _, text := range []string{"def", "", "", "", name, name} {
		b = appendText(b, text)
	}
	b = append(b, 0x0c)
	b = binary.LittleEndian.AppendUint16(b, collation)
	b = binary.LittleEndian.AppendUint32(b, 1<<16) // longest value
	return append(b, mysql.MYSQL_TYPE_VAR_STRING, 0, 0, 0, 0, 0)
}

func textRow(values []any) []byte {
	b := []byte{}
	for _, v := range values {
		if v == nil {
			b = append(b, 0xfb)
			continue
		}
		b = appendText(b, fmt.Sprint(v))
	}
	return b
}

func appendText(b []byte, s string) []byte { return append(appendLength(b, uint64(len(s))), s...) }

// appendLength appends a length-encoded integer.
func appendLength(b []byte, n uint64) []byte {
	switch {
	case n < 0xfb:
		return append(b, byte(n))
	case n < 1<<16:
		return append(b, 0xfc, byte(n), byte(n>>8))
	case n < 1<<24:
		return append(b, 0xfd, byte(n), byte(n>>8), byte(n>>16))
	}
	return binary.LittleEndian.AppendUint64(append(b, 0xfe), n)
}
