package mysqlwire

import (
	"encoding/binary"
	"iter"
	"math"
	"strconv"

	"github.com/go-mysql-org/go-mysql/mysql"
)

// Param is one parameter of a command: of a prepared statement, or a query attribute, which has a name. It refers to
// the command's bytes.
type Param struct {
	Name   []byte
	Null   bool
	Absent bool // the value is beyond the bytes at hand
	Value  []byte

	kind     byte
	unsigned bool
}

// ParamBlock is where the parameters of a command are.
// https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_com_stmt_execute.html
type ParamBlock struct {
	Count  int
	Named  bool   // each type has a name: with CLIENT_QUERY_ATTRIBUTES
	Nulls  []byte // a bit for each parameter
	Types  []byte // two bytes for each, and its name
	Values []byte // one after the other, as far as they are at hand
}

// QueryAttributes finds the attributes of a COM_QUERY from which QueryText has cut the text.
func QueryAttributes(payload []byte, caps Capability) ParamBlock {
	if !caps.Has(CapQueryAttributes) || len(payload) == 0 {
		return ParamBlock{}
	}
	count, n := Lenenc(payload[1:])
	_, m := Lenenc(payload[1+n:])
	b := payload[1+n+m:]
	nulls := (int(min(count, maxParams)) + 7) / 8
	if count == 0 || count > maxParams || len(b) < nulls+1 {
		return ParamBlock{}
	}
	p := ParamBlock{Count: int(count), Named: true, Nulls: b[:nulls], Types: b[nulls+1:]}
	p.Values = p.Types
	for range p.Count {
		var ok bool
		if _, p.Values, ok = cutParamType(p.Values); !ok {
			return ParamBlock{}
		}
	}
	return p
}

// All are the parameters in their order. Bytes that make no sense end it.
func (p ParamBlock) All() iter.Seq2[int, Param] {
	return func(yield func(int, Param) bool) {
		types, values, absent := p.Types, p.Values, false
		for i := range p.Count {
			if i/8 >= len(p.Nulls) || len(types) < 2 {
				return
			}
			v := Param{kind: types[0], unsigned: types[1]&0x80 != 0, Null: p.Nulls[i/8]&(1<<(i%8)) != 0, Absent: absent}
			types = types[2:]
			if p.Named {
				var ok bool
				if v.Name, types, ok = cutLenencBytes(types); !ok {
					return
				}
			}
			if !v.Null && !absent {
				n, ok := valueSize(v.kind, values)
				if v.Absent = !ok; ok {
					v.Value, values = values[:n], values[n:]
				}
				absent = !ok
			}
			if !yield(i, v) {
				return
			}
		}
	}
}

// Text is the value as it would be written in SQL, without quotes: of a string or a number; false for anything else,
// and for NULL.
func (p *Param) Text() (string, bool) {
	if p.Null || p.Absent {
		return "", false
	}
	switch p.kind {
	case mysql.MYSQL_TYPE_VARCHAR, mysql.MYSQL_TYPE_VAR_STRING, mysql.MYSQL_TYPE_STRING, mysql.MYSQL_TYPE_TINY_BLOB,
		mysql.MYSQL_TYPE_MEDIUM_BLOB, mysql.MYSQL_TYPE_LONG_BLOB, mysql.MYSQL_TYPE_BLOB, mysql.MYSQL_TYPE_ENUM,
		mysql.MYSQL_TYPE_NEWDECIMAL, mysql.MYSQL_TYPE_DECIMAL:
		text, _, ok := cutLenencBytes(p.Value)
		return string(text), ok
	case mysql.MYSQL_TYPE_DOUBLE:
		return strconv.FormatFloat(math.Float64frombits(binary.LittleEndian.Uint64(p.Value)), 'f', -1, 64), true
	}
	return p.integer()
}

// integer is the value of an integer type.
func (p *Param) integer() (string, bool) {
	var u uint64
	var i int64
	switch p.kind {
	case mysql.MYSQL_TYPE_TINY:
		u, i = uint64(p.Value[0]), int64(int8(p.Value[0]))
	case mysql.MYSQL_TYPE_SHORT:
		x := binary.LittleEndian.Uint16(p.Value)
		u, i = uint64(x), int64(int16(x))
	case mysql.MYSQL_TYPE_LONG:
		x := binary.LittleEndian.Uint32(p.Value)
		u, i = uint64(x), int64(int32(x))
	case mysql.MYSQL_TYPE_LONGLONG:
		u = binary.LittleEndian.Uint64(p.Value)
		i = int64(u)
	default:
		return "", false
	}
	if p.unsigned {
		return strconv.FormatUint(u, 10), true
	}
	return strconv.FormatInt(i, 10), true
}
