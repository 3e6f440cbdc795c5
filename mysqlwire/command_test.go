package mysqlwire

import (
	"bytes"
	"errors"
	"strings"
	"testing"
)

// Ensure that the SQL text is found behind query attributes, and that nothing is taken for text which a server would
// not run. That this is what MySQL does is in TestQueryTextOfRealServer.
func TestQueryText(t *testing.T) {
	for _, row := range []struct {
		name, payload   string
		plain           bool // without CLIENT_QUERY_ATTRIBUTES
		sql, attributes string
		bad             bool
	}{
		{name: "plain", payload: "\x03SELECT 1", plain: true, sql: "SELECT 1"},
		{name: "plain, empty", payload: "\x03", plain: true},
		{name: "nothing", payload: "", plain: true, bad: true},
		{name: "nothing at all", payload: "", bad: true},
		{name: "no attributes", payload: "\x03\x00\x01SELECT 1", sql: "SELECT 1"},
		{name: "no counts", payload: "\x03", bad: true},
		{name: "no sets", payload: "\x03\x00", bad: true},
		{name: "zero sets", payload: "\x03\x00\x00SELECT 1", bad: true},
		{name: "two sets", payload: "\x03\x00\x02SELECT 1", bad: true},
		{name: "count in three bytes", payload: "\x03\xfc\x00\x00\x01SELECT 1", sql: "SELECT 1"},
		{name: "text", payload: "\x03\x01\x01\x00\x01\xfe\x00\x01n\x01vSELECT 1", sql: "SELECT 1", attributes: "\x00\x01\xfe\x00\x01n\x01v"},
		{name: "NULL", payload: "\x03\x01\x01\x01\x01\xfe\x00\x01nSELECT 1", sql: "SELECT 1", attributes: "\x01\x01\xfe\x00\x01n"},
		{name: "NULL and number", payload: "\x03\x02\x01\x01\x01\xfe\x00\x01n\x08\x80\x0012345678SELECT 1", sql: "SELECT 1",
			attributes: "\x01\x01\xfe\x00\x01n\x08\x80\x0012345678"},
		{name: "nine attributes", sql: "S", payload: "\x03\x09\x01\xff\x01\x01" + strings.Repeat("\x01\x00\x00", 9) + "S",
			attributes: "\xff\x01\x01" + strings.Repeat("\x01\x00\x00", 9)},
		{name: "tenth not NULL", payload: "\x03\x0a\x01\xff\x01\x01" + strings.Repeat("\x01\x00\x00", 10) + "vS", sql: "S",
			attributes: "\xff\x01\x01" + strings.Repeat("\x01\x00\x00", 10) + "v"},
		{name: "date", payload: "\x03\x01\x01\x00\x01\x0a\x00\x01n\x04\xe8\x07\x01\x02SELECT 1", sql: "SELECT 1",
			attributes: "\x00\x01\x0a\x00\x01n\x04\xe8\x07\x01\x02"},
		{name: "types not bound", payload: "\x03\x01\x01\x00\x00\xfe\x00\x01n\x01vSELECT 1", bad: true},
		{name: "boolean", payload: "\x03\x01\x01\x00\x01\xf4\x00\x01n\x01SELECT 1", bad: true},
		{name: "name too long", payload: "\x03\x01\x01\x00\x01\xfe\x00\x09n\x01v", bad: true},
		{name: "value too long", payload: "\x03\x01\x01\x00\x01\xfe\x00\x01n\x09v", bad: true},
		{name: "number too short", payload: "\x03\x01\x01\x00\x01\x08\x00\x01n1234567", bad: true},
		{name: "no bitmap", payload: "\x03\x09\x01\x00\x01", bad: true},
		{name: "no types", payload: "\x03\x01\x01\x00\x01\xfe", bad: true},
		{name: "too many", payload: "\x03\xfd\x00\x00\x01\x01" + strings.Repeat("\x00", 9000), bad: true},
	} {
		t.Run(row.name, func(t *testing.T) {
			caps := CapQueryAttributes
			if row.plain {
				caps = 0
			}
			sql, attributes, err := QueryText([]byte(row.payload), caps)
			if row.bad {
				if !errors.Is(err, errShortCommand) || sql != nil || attributes != nil {
					t.Errorf("got %q, %q, %v", sql, attributes, err)
				}
				return
			}
			if err != nil || string(sql) != row.sql || string(attributes) != row.attributes {
				t.Errorf("got %q, %q, %v", sql, attributes, err)
			}
		})
	}
}

// Ensure that reading a query allocates nothing, with attributes and without.
func TestQueryTextAllocations(t *testing.T) {
	p := []byte("\x03\x02\x01\x01\x01\xfe\x00\x01n\x08\x80\x0012345678SELECT 1")
	if n := testing.AllocsPerRun(100, func() {
		if _, _, err := QueryText(p, CapQueryAttributes); err != nil {
			t.Error(err)
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// Ensure that statement ids are read and changed in place, and nothing else is.
func TestStatementID(t *testing.T) {
	p := []byte{0x17, 0x78, 0x56, 0x34, 0x12, 9}
	id, err := StatementID(p)
	if err != nil || id != 0x12345678 {
		t.Errorf("got %#x, %v", id, err)
	}
	SetStatementID(p, 0xFEDCBA98)
	if want := []byte{0x17, 0x98, 0xBA, 0xDC, 0xFE, 9}; !bytes.Equal(p, want) {
		t.Errorf("got %x, want %x", p, want)
	}
	if _, err := StatementID(p[:4]); !errors.Is(err, errShortCommand) {
		t.Errorf("got %v", err)
	}
}

// Ensure that the answer to COM_STMT_PREPARE is read.
func TestParsePrepared(t *testing.T) {
	p := mustHex(t, "00785634120201030200"+"0504")
	got, err := ParsePrepared(p)
	if want := (Prepared{ID: 0x12345678, Columns: 0x0102, Params: 0x0203, Warnings: 0x0405}); err != nil || got != want {
		t.Errorf("got %+v, %v", got, err)
	}
	if _, err := ParsePrepared(p[:11]); err == nil {
		t.Error("a short packet is accepted")
	}
	p[0] = headerEOF
	if _, err := ParsePrepared(p); err == nil {
		t.Error("another packet is accepted")
	}
}

// Ensure that the text and the attributes are the end of the payload, whatever it is.
func FuzzQueryText(f *testing.F) {
	f.Add([]byte("\x03\x00\x01SELECT 1"), true)
	f.Add([]byte("\x03SELECT 1"), false)
	f.Add([]byte("\x03\x03\x01\x02\x01\xfe\x00\x01n\xfe\x00\x01m\x08\x00\x00\x01v12345678SELECT 1"), true)
	f.Fuzz(func(t *testing.T, p []byte, extended bool) {
		var caps Capability
		if extended {
			caps = CapQueryAttributes
		}
		sql, attributes, err := QueryText(p, caps)
		if err != nil {
			if sql != nil || attributes != nil {
				t.Fatalf("got %q and %q with an error", sql, attributes)
			}
			return
		}
		if !bytes.HasSuffix(p, append(bytes.Clone(attributes), sql...)) || len(sql)+len(attributes) >= len(p) {
			t.Fatalf("got %q and %q out of %q", attributes, sql, p)
		}
	})
}
