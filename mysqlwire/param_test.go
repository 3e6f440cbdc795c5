package mysqlwire

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/go-mysql-org/go-mysql/mysql"
)

// block is a block of named parameters; values are as in the protocol, nil is NULL.
func block(params ...Param) []byte {
	nulls := make([]byte, (len(params)+7)/8)
	var types, values []byte
	for i, p := range params {
		sign := byte(0)
		if p.unsigned {
			sign = 0x80
		}
		types = appendLenencBytes(append(types, p.kind, sign), p.Name)
		if p.Value == nil {
			nulls[i/8] |= 1 << (i % 8)
		}
		values = append(values, p.Value...)
	}
	return append(append(append(nulls, 1), types...), values...)
}

func lenencText(s string) []byte { return appendLenencBytes(nil, []byte(s)) }

// Query attributes of every kind that has a text are read back, also beyond one byte of NULLs.
func TestQueryAttributes(t *testing.T) {
	double := binary.LittleEndian.AppendUint64(nil, math.Float64bits(1.5))
	params := []Param{
		{Name: []byte("s"), kind: mysql.MYSQL_TYPE_VAR_STRING, Value: lenencText("user-42")},
		{Name: []byte("empty"), kind: mysql.MYSQL_TYPE_STRING, Value: lenencText("")},
		{Name: []byte("null"), kind: mysql.MYSQL_TYPE_STRING},
		{Name: []byte("tiny"), kind: mysql.MYSQL_TYPE_TINY, Value: []byte{0xFF}},
		{Name: []byte("utiny"), kind: mysql.MYSQL_TYPE_TINY, unsigned: true, Value: []byte{0xFF}},
		{Name: []byte("short"), kind: mysql.MYSQL_TYPE_SHORT, Value: []byte{0xFE, 0xFF}},
		{Name: []byte("long"), kind: mysql.MYSQL_TYPE_LONG, Value: []byte{1, 0, 0, 0}},
		{Name: []byte("longlong"), kind: mysql.MYSQL_TYPE_LONGLONG, Value: []byte{0, 1, 0, 0, 0, 0, 0, 0}},
		{Name: []byte("double"), kind: mysql.MYSQL_TYPE_DOUBLE, Value: double},
		{Name: []byte("date"), kind: mysql.MYSQL_TYPE_DATE, Value: []byte{4, 0xEA, 7, 1, 2}},
		{kind: mysql.MYSQL_TYPE_BLOB, Value: lenencText("no name")},
	}
	payload := append([]byte{mysql.COM_QUERY, byte(len(params)), 1}, block(params...)...)
	payload = append(payload, "SELECT 1"...)
	if sql, _, err := QueryText(payload, CapQueryAttributes); err != nil || string(sql) != "SELECT 1" {
		t.Fatalf("text: %q, %v", sql, err)
	}
	var got []string
	for _, p := range QueryAttributes(payload, CapQueryAttributes).All() {
		s, ok := p.Text()
		got = append(got, fmt.Sprintf("%s=%s,%t", p.Name, s, ok))
	}
	const want = "s=user-42,true empty=,true null=,false tiny=-1,true utiny=255,true short=-2,true long=1,true " +
		"longlong=256,true double=1.5,true date=,false =no name,true"
	if strings.Join(got, " ") != want {
		t.Errorf("got  %s\nwant %s", strings.Join(got, " "), want)
	}
	for _, other := range [][]byte{nil, {mysql.COM_QUERY, 0, 1, 'S'}, payload[:20]} {
		for _, p := range QueryAttributes(other, CapQueryAttributes).All() {
			if _, ok := p.Text(); ok && len(other) < 20 {
				t.Errorf("% x has the attribute %s", other, p.Name)
			}
		}
	}
	if got := QueryAttributes(payload, 0); got.Count != 0 {
		t.Error("attributes of a client that sends none")
	}
}

// The values that are not at hand yet are absent, and so are all behind them.
func TestAbsentParams(t *testing.T) {
	b := block(Param{kind: mysql.MYSQL_TYPE_STRING, Value: lenencText("here")}, Param{kind: mysql.MYSQL_TYPE_STRING, Value: lenencText("cut off")},
		Param{kind: mysql.MYSQL_TYPE_TINY, Value: []byte{1}})
	p := ParamBlock{Count: 3, Named: true, Nulls: b[:1], Types: b[2 : 2+9], Values: b[2+9 : len(b)-3]}
	var got []string
	for i, v := range p.All() {
		s, ok := v.Text()
		got = append(got, fmt.Sprintf("%d %s %t %t", i, s, ok, v.Absent))
	}
	if want := "0 here true false 1  false true 2  false true"; strings.Join(got, " ") != want {
		t.Errorf("got %q", strings.Join(got, " "))
	}
}

// FuzzParams looks for bytes that make the reader panic.
func FuzzParams(f *testing.F) {
	f.Add(append([]byte{mysql.COM_QUERY, 1, 1}, block(Param{Name: []byte("a"), kind: mysql.MYSQL_TYPE_STRING, Value: lenencText("b")})...))
	f.Add([]byte{mysql.COM_QUERY, 2, 1, 0, 1, 1, 0, 0, 8, 0x80, 1, 'x', 5})
	f.Fuzz(func(t *testing.T, payload []byte) {
		for _, p := range QueryAttributes(payload, CapQueryAttributes).All() {
			if s, ok := p.Text(); !ok && s != "" {
				t.Errorf("%q is no text", s)
			}
		}
	})
}

// What is written is read by the rules for the packets of servers.
func TestAppendResult(t *testing.T) {
	p := Prepared{ID: 7, Columns: 2, Params: 300, Warnings: 1}
	for _, caps := range []Capability{0, CapOptionalMetadata} {
		if got, err := ParsePrepared(p.Append(nil, caps)); err != nil || got != p {
			t.Errorf("prepared: got %v, %v", got, err)
		}
		if n, silent, err := ParseCount(AppendCount(nil, 300, caps), caps.Has(CapOptionalMetadata)); n != 300 || silent || err != nil {
			t.Errorf("columns: got %d, %v, %v", n, silent, err)
		}
	}
	row := []Text{{Value: "a"}, {Null: true}, {Value: strings.Repeat("x", 300)}}
	if got, want := AppendTextRow(nil, row), append([]byte{1, 'a', 0xFB, 0xFC, 0x2C, 1}, strings.Repeat("x", 300)...); !bytes.Equal(got, want) {
		t.Errorf("text row: % x", got)
	}
	if got, want := AppendBinaryRow([]byte{9}, row), append([]byte{9, 0, 1 << 3, 1, 'a', 0xFC, 0x2C, 1}, strings.Repeat("x", 300)...); !bytes.Equal(got, want) {
		t.Errorf("binary row: % x", got)
	}
	c := TextColumn{Name: "@sticky_token", Collation: 255, Bytes: 1024}
	const want = "\x03def\x00\x00\x00\x0d@sticky_token\x00\x0c\xff\x00\x00\x04\x00\x00\xfd\x00\x00\x1f\x00\x00"
	if got := string(c.Append(nil)); got != want {
		t.Errorf("column: got %q, want %q", got, want)
	}
}
