package mysqlwire

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
)

// stream builds a server's response, packet by packet, without help from the code under test.
type stream struct {
	b   []byte
	seq byte // of the last frame
}

// packet adds a packet whose payload is all parts together.
func (s *stream) packet(parts ...[]byte) *stream {
	p := bytes.Join(parts, nil)
	for {
		n := min(len(p), 1<<24-1)
		s.seq++
		s.b = append(s.b, byte(n), byte(n>>8), byte(n>>16), s.seq)
		s.b = append(s.b, p[:n]...)
		p = p[n:]
		if n < 1<<24-1 {
			return s
		}
	}
}

// Payloads of small packets.
func okPacket(status Status, tail ...byte) []byte {
	return append([]byte{0x00, 1, 0, byte(status), byte(status >> 8), 0, 0}, tail...)
}

func eofPacket(status Status) []byte { return []byte{0xFE, 0, 0, byte(status), byte(status >> 8)} }

func errPacket(code uint16) []byte {
	return append([]byte{0xFF, byte(code), byte(code >> 8)}, "#HY000why"...)
}

func preparedPacket(columns, params int) []byte {
	return []byte{0, 7, 0, 0, 0, byte(columns), byte(columns >> 8), byte(params), byte(params >> 8), 0, 0, 0}
}

var definition = append([]byte("\x03def\x00\x00\x00\x01a\x00\x0c"), 0x3f, 0, 11, 0, 0, 0, 3, 0, 0, 0, 0, 0)

// form builds responses as a server does that negotiated CLIENT_DEPRECATE_EOF, or did not.
type form struct {
	deprecated bool
	chosen     bool // CLIENT_OPTIONAL_RESULTSET_METADATA too
}

func (f form) caps() Capability {
	c := CapProtocol41
	if f.deprecated {
		c |= CapDeprecateEOF
	}
	if f.chosen {
		c |= CapOptionalMetadata
	}
	return c
}

// end is the packet that ends rows.
func (f form) end(status Status, tail ...byte) []byte {
	if !f.deprecated {
		return eofPacket(status)
	}
	return append([]byte{0xFE, 0, 0, byte(status), byte(status >> 8), 0, 0}, tail...)
}

// definitions adds n definitions, and the EOF behind them where there is one.
func (f form) definitions(s *stream, n int) *stream {
	for range n {
		s.packet(definition)
	}
	if n > 0 && !f.deprecated {
		s.packet(eofPacket(StatusAutocommit))
	}
	return s
}

// columns adds the beginning of a result with rows.
func (f form) columns(s *stream, n int) *stream { return f.definitions(s.packet([]byte{byte(n)}), n) }

// heard is what Scan told about a response.
type heard struct {
	events  string // "infile ok end"; a ColumnsEnd is "cols", or "cols-" where there was no packet
	packets []byte // the packets of the events, with headers
	relayed []byte // everything that went to the client
	used    int    // bytes of the response
	done    bool
	seq     byte
	err     error
}

var eventNames = [...]string{EventOK: "ok", EventEnd: "end", EventErr: "err", EventInfile: "infile", EventPrepared: "prepared", EventColumnsEnd: "cols"}

// scan feeds r as a relay does: with a window on b that grows as next says, from the first byte that was neither passed
// nor part of an event. Next gets the window's end and returns a later one.
func scan(t testing.TB, r *Response, b []byte, next func(end int) int) heard {
	t.Helper()
	var h heard
	var events []string
	b = bytes.Clone(b)
	steps := 0
	for end := min(next(0), len(b)); !r.Done(); {
		if steps++; steps > 2*len(b)+100 {
			t.Fatal("no end of events")
		}
		pass, packet, event, err := r.Scan(b[h.used:end:end])
		if pass < 0 || h.used+pass+len(packet) > end {
			t.Fatalf("passed %d and %d bytes, there were %d", pass, len(packet), end-h.used)
		}
		at := h.used + pass
		h.used = at + len(packet)
		if len(packet) > 0 && &packet[0] != &b[at] {
			t.Fatal("the packet is not the bytes behind those passed")
		}
		h.relayed = append(h.relayed, b[h.used-pass-len(packet):h.used]...)
		if h.err = err; err != nil {
			break
		}
		if event == EventMore {
			if end == len(b) {
				break
			}
			end = min(next(end), len(b))
			continue
		}
		name := eventNames[event]
		if event == EventColumnsEnd && len(packet) == 0 {
			name = "cols-"
		}
		events = append(events, name)
		h.packets = append(h.packets, packet...)
	}
	h.events, h.done, h.seq = strings.Join(events, " "), r.Done(), r.Sequence
	return h
}

// whole shows everything at once, inSteps n bytes more each time.
func whole(int) int { return 1 << 30 }

func inSteps(n int) func(int) int { return func(end int) int { return end + n } }

func splitAt(n int) func(int) int {
	return func(end int) int {
		if end < n {
			return n
		}
		return whole(end)
	}
}

// same reports what differs between two hearings, "" if nothing does.
func (h *heard) same(o *heard) string {
	switch {
	case h.events != o.events:
		return fmt.Sprintf("events %q and %q", h.events, o.events)
	case !bytes.Equal(h.packets, o.packets):
		return fmt.Sprintf("packets %x and %x", h.packets, o.packets)
	case !bytes.Equal(h.relayed, o.relayed):
		return fmt.Sprintf("%d and %d bytes relayed", len(h.relayed), len(o.relayed))
	case h.done != o.done || h.seq != o.seq || (h.err == nil) != (o.err == nil):
		return fmt.Sprintf("done %v and %v, sequence %d and %d, %v and %v", h.done, o.done, h.seq, o.seq, h.err, o.err)
	}
	return ""
}

// mustScan checks that the response b, with other bytes behind it, ends exactly where it ends, tells the events, and
// does so however it is cut.
func mustScan(t *testing.T, begin func() *Response, b []byte, events string) {
	t.Helper()
	behind := append(bytes.Clone(b), 0, 0, 0, 9, 1, 2, 3)
	first := scan(t, begin(), behind, whole)
	if first.err != nil || !first.done || first.used != len(b) || !bytes.Equal(first.relayed, b) {
		t.Fatalf("got %+v of %d bytes", first, len(b))
	}
	if first.events != events {
		t.Fatalf("events %q, want %q", first.events, events)
	}
	cuts := []func(int) int{inSteps(1), inSteps(2), inSteps(3), inSteps(5), inSteps(64)}
	for n := range min(len(b), 2000) {
		cuts = append(cuts, splitAt(n))
	}
	for i, cut := range cuts {
		if other := scan(t, begin(), behind, cut); first.same(&other) != "" {
			t.Fatalf("cut %d: %s", i, first.same(&other))
		}
	}
	for n := range min(len(b), 2000) {
		if early := scan(t, begin(), b[:n], whole); early.done || early.err != nil {
			t.Fatalf("after %d of %d bytes: %+v", n, len(b), early)
		}
	}
}
