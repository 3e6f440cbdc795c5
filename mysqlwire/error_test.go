package mysqlwire

import "testing"

func TestError(t *testing.T) {
	for _, row := range []struct {
		name   string
		err    Error
		packet string
		text   string
	}{
		{"with a state", *NewError(1045, "Access denied for user '%s'", "x"),
			"\xff\x15\x04#28000Access denied for user 'x'", "ERROR 1045 (28000): Access denied for user 'x'"},
		{"without", Error{Code: 1040, Message: "Too many connections"},
			"\xff\x10\x04Too many connections", "ERROR 1040 (HY000): Too many connections"},
		{"no text", *NewError(3159, ""), "\xff\x57\x0c#HY000", "ERROR 3159 (HY000): "},
	} {
		t.Run(row.name, func(t *testing.T) {
			if got := string(row.err.Append(nil)); got != row.packet {
				t.Errorf("got %q, want %q", got, row.packet)
			}
			if got := ParseError([]byte(row.packet)); *got != row.err {
				t.Errorf("got %+v, want %+v", got, row.err)
			}
			if got := row.err.Error(); got != row.text {
				t.Errorf("got %q, want %q", got, row.text)
			}
		})
	}
}

func TestErrorOfBadPackets(t *testing.T) {
	for _, packet := range []string{"", "\xff", "\xff\x01"} {
		if got := ParseError([]byte(packet)); got.Code != 1835 {
			t.Errorf("%q: got %+v", packet, got)
		}
	}
	if got := (&Error{Code: 1, State: "x"}).Append(nil); string(got) != "\xff\x01\x00#x0000" {
		t.Errorf("got %q", got)
	}
	if got := StateOf(65000); got != "HY000" {
		t.Errorf("got %q", got)
	}
}
