package mysqlwire

import (
	"encoding/binary"
	"errors"

	"github.com/go-mysql-org/go-mysql/mysql"
)

// TextColumn is the definition of a column of text in a result of our own, or of a parameter that takes text.
type TextColumn struct {
	Name      string
	Collation uint16 // id
	Bytes     uint32 // of the longest value
	Extended  bool   // the receiver has [CapExtendedMetadata]
}

// Append appends the payload of the definition.
// https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_com_query_response_text_resultset_column_definition.html
func (c *TextColumn) Append(dst []byte) []byte {
	const fixed, anyDecimals = 0x0C, 0x1F // bytes that follow; a string has no number of decimals
	for _, text := range []string{"def", "", "", "", c.Name, ""} {
		dst = appendLenencBytes(dst, []byte(text))
	}
	if c.Extended {
		dst = append(dst, 0) // none
	}
	dst = append(dst, fixed)
	dst = binary.LittleEndian.AppendUint16(dst, c.Collation)
	dst = binary.LittleEndian.AppendUint32(dst, c.Bytes)
	return append(dst, mysql.MYSQL_TYPE_VAR_STRING, 0, 0, anyDecimals, 0, 0)
}

// Text is a value of such a column.
type Text struct {
	Value string
	Null  bool
}

// AppendTextRow appends the payload of a row of a text result.
// https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_com_query_response_text_resultset_row.html
func AppendTextRow(dst []byte, row []Text) []byte {
	const null = 0xFB
	for _, v := range row {
		if v.Null {
			dst = append(dst, null)
			continue
		}
		dst = appendLenencBytes(dst, []byte(v.Value))
	}
	return dst
}

// AppendBinaryRow appends the payload of a row of the result of a prepared statement.
// https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_binary_resultset.html#sect_protocol_binary_resultset_row
func AppendBinaryRow(dst []byte, row []Text) []byte {
	const reserved = 2 // bits of the bit map of NULLs
	at := len(dst) + 1
	dst = append(dst, make([]byte, 1+(len(row)+7+reserved)/8)...)
	for i, v := range row {
		if v.Null {
			dst[at+(i+reserved)/8] |= 1 << ((i + reserved) % 8)
			continue
		}
		dst = appendLenencBytes(dst, []byte(v.Value))
	}
	return dst
}

// ParseCount reads the payload of the packet that begins a result: how many columns it has, at least one. Chosen says
// that the packet tells whether their definitions follow, because of [CapOptionalMetadata]; silent is that they do not.
// What ends definitions follows in any case.
// https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_com_query_response_text_resultset.html
func ParseCount(p []byte, chosen bool) (columns int, silent bool, err error) {
	count, size := Lenenc(p)
	if chosen && size < len(p) {
		silent, p = p[size] == 0, p[:len(p)-1]
	}
	if size != len(p) || count == 0 || count > maxColumns {
		return 0, false, errColumnCount
	}
	return int(count), silent, nil
}

// maxColumns is beyond what any server can send: each has at least a byte of a text of max_allowed_packet, 1 GiB at most.
// The limit of 4096 is that of tables only.
const maxColumns = 1 << 30

var errColumnCount = errors.New("malformed column count")

// AppendCount appends the payload of the packet that begins a result with n columns, whose definitions follow, to a
// receiver with which caps were negotiated.
func AppendCount(dst []byte, n int, caps Capability) []byte {
	dst = appendLenenc(dst, uint64(n))
	if caps.Has(CapOptionalMetadata) {
		dst = append(dst, definitionsFollow)
	}
	return dst
}

// definitionsFollow is what packets tell of them where [CapOptionalMetadata] was negotiated.
const definitionsFollow = 1

// Append appends the payload of the packet, to a receiver with which caps were negotiated. P is not Silent.
func (p *Prepared) Append(dst []byte, caps Capability) []byte {
	dst = binary.LittleEndian.AppendUint32(append(dst, headerOK), p.ID)
	dst = binary.LittleEndian.AppendUint16(dst, uint16(p.Columns))
	dst = binary.LittleEndian.AppendUint16(dst, uint16(p.Params))
	dst = binary.LittleEndian.AppendUint16(append(dst, 0), p.Warnings)
	if caps.Has(CapOptionalMetadata) {
		dst = append(dst, definitionsFollow)
	}
	return dst
}
