package mysqlwire

import (
	"bytes"
	"fmt"
	"testing"

	"github.com/go-mysql-org/go-mysql/mysql"
)

// bigRow is a row of n bytes that begins with first. What its continuation frames begin with is in next.
func bigRow(n int, first, next byte) []byte {
	p := make([]byte, n)
	for at := MaxFrame; at < n; at += MaxFrame {
		p[at] = next
	}
	p[0] = first
	return p
}

// Ensure that rows of 16 MiB and more are passed, whatever their frames begin with: a row of exact multiples of the
// largest frame ends with an empty one, and the end of rows is only looked for where a packet begins.
func TestResponseBigRows(t *testing.T) {
	for _, f := range []form{{}, {deprecated: true}} {
		for _, size := range []int{MaxFrame - 1, MaxFrame, MaxFrame + 1, 2*MaxFrame - 1, 2 * MaxFrame, 2*MaxFrame + 4} {
			for _, next := range []byte{0x00, 0xFB, 0xFE, 0xFF} {
				t.Run(fmt.Sprintf("%v/%d/%x", f.deprecated, size, next), func(t *testing.T) {
					first := byte(0xFE) // an eight-byte length
					if size < MaxFrame {
						first = 0xFD
					}
					var s stream
					f.columns(&s, 1).packet(bigRow(size, first, next)).packet([]byte("\x01a")).packet(f.end(auto))
					checkBig(t, f, &s)
				})
			}
		}
	}
}

// checkBig scans a response with big rows in place, in large pieces that do not fit to its frames.
func checkBig(t *testing.T, f form, s *stream) {
	t.Helper()
	var r Response
	r.Begin(mysql.COM_QUERY, f.caps())
	var events []Event
	const step = 1<<20 + 1
	for used, end := 0, step; !r.Done(); {
		end = min(end, len(s.b))
		pass, packet, event, err := r.Scan(s.b[used:end])
		if err != nil {
			t.Fatal(err)
		}
		used += pass + len(packet)
		switch {
		case event != EventMore:
			if !r.atPacket() {
				t.Fatalf("event %d in the middle of a packet", event)
			}
			events = append(events, event)
		case end == len(s.b):
			t.Fatalf("not over after all %d bytes", end)
		case end-used > HeaderSize:
			t.Fatalf("waits at %d with %d bytes", used, end-used)
		default:
			end += step
		}
		if r.Done() && used != len(s.b) {
			t.Fatalf("over after %d of %d bytes", used, len(s.b))
		}
	}
	if len(events) != 2 || events[0] != EventColumnsEnd || events[1] != EventEnd || r.Sequence != s.seq {
		t.Errorf("events %v, number %d, want %d", events, r.Sequence, s.seq)
	}
}

// Ensure that definitions end with their last frame.
func TestResponseBigDefinition(t *testing.T) {
	for _, f := range []form{{}, {deprecated: true}} {
		var s stream
		s.packet([]byte{1}).packet(bigRow(MaxFrame+5, 3, 0xFE))
		if !f.deprecated {
			s.packet(eofPacket(auto))
		}
		checkBig(t, f, s.packet([]byte("\x01a")).packet(f.end(auto)))
	}
}

// Ensure that a packet of one frame's size where a small one belongs is refused as soon as it begins, and not buffered.
func TestResponseBigNews(t *testing.T) {
	for _, row := range []struct {
		name    string
		command byte
		first   byte
	}{
		{"OK", mysql.COM_QUERY, headerOK},
		{"ERR", mysql.COM_QUERY, headerERR},
		{"LOCAL INFILE", mysql.COM_QUERY, headerInfile},
		{"column count", mysql.COM_QUERY, 1},
		{"ERR among rows", mysql.COM_STMT_FETCH, headerERR},
		{"answer to prepare", mysql.COM_STMT_PREPARE, headerOK},
		{"pong", mysql.COM_PING, headerOK},
	} {
		t.Run(row.name, func(t *testing.T) {
			var r Response
			r.Begin(row.command, form{deprecated: true}.caps())
			got := scan(t, &r, []byte{0xFF, 0xFF, 0xFF, 1, row.first}, whole)
			if got.err == nil || got.used != 0 {
				t.Errorf("got %+v", got)
			}
		})
	}
}

// pointSelect is the response to a SELECT of two columns by primary key.
func pointSelect(f form) []byte {
	var s stream
	f.columns(&s, 2).packet([]byte("\x0242\x0bhello world")).packet(f.end(auto))
	return s.b
}

// Ensure that a scan allocates nothing.
func TestResponseAllocations(t *testing.T) {
	for _, f := range []form{{}, {deprecated: true}} {
		b := pointSelect(f)
		p := okPacket(auto|StatusStateChanged, 0, 8, 3, 6, 0, 4, 'u', ':', '1', '3')
		n := testing.AllocsPerRun(100, func() {
			if !scanInPlace(b, f.caps()) {
				t.Error("not over")
			}
			ok, _ := ParseOK(p, true)
			for c := (Changes{Rest: ok.Session}); c.Next(); {
				_ = c.Value
			}
		})
		if n != 0 {
			t.Errorf("%v allocations", n)
		}
	}
}

// scanInPlace reports whether b is a whole response to a COM_QUERY.
func scanInPlace(b []byte, caps Capability) bool {
	var r Response
	for r.Begin(mysql.COM_QUERY, caps); !r.Done() && len(b) > 0; {
		pass, packet, event, err := r.Scan(b)
		if err != nil || event == EventMore && pass < len(b) {
			return false
		}
		b = b[pass+len(packet):]
	}
	return r.Done() && len(b) == 0
}

func BenchmarkResponsePointSelect(b *testing.B) {
	p := pointSelect(form{deprecated: true})
	b.SetBytes(int64(len(p)))
	b.ReportAllocs()
	for b.Loop() {
		scanInPlace(p, form{deprecated: true}.caps())
	}
}

func BenchmarkResponseRows(b *testing.B) {
	var s stream
	form{deprecated: true}.columns(&s, 1)
	row := append([]byte{0xC7}, bytes.Repeat([]byte("x"), 199)...)
	for len(s.b) < 16<<20 {
		s.packet(row)
	}
	s.packet(form{deprecated: true}.end(auto))
	b.SetBytes(int64(len(s.b)))
	for b.Loop() {
		if !scanInPlace(s.b, form{deprecated: true}.caps()) {
			b.Fatal("not over")
		}
	}
}
