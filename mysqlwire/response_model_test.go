package mysqlwire

import (
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/go-mysql-org/go-mysql/mysql"
)

// model makes random valid responses and knows what they say.
type model struct {
	*rand.Rand
	form
	stream
	command byte
	cursor  bool // a cursor was asked for
	silent  bool // the present result has no definitions
	events  []string
}

// hear notes an event that Scan has to tell.
func (m *model) hear(event string) { m.events = append(m.events, event) }

func (m *model) bytes(most int) []byte {
	b := make([]byte, m.IntN(most+1))
	for i := range b {
		b[i] = byte(m.Uint32())
	}
	return b
}

func (m *model) chance(percent int) bool { return m.IntN(100) < percent }

// status is random but for the flags that say how a response goes on.
func (m *model) status(also Status) Status {
	return Status(m.Uint32())&^(StatusMoreResults|StatusCursorExists) | also
}

// counts are two random length-encoded integers.
func (m *model) counts() []byte {
	var b []byte
	for range 2 {
		b = appendLenenc(b, m.Uint64()>>m.IntN(64))
	}
	return b
}

// tail is what an OK has behind its counts: status, warnings, and perhaps a text and session state.
func (m *model) tail(s Status) []byte {
	b := []byte{byte(s), byte(s >> 8), byte(m.Uint32()), 0}
	if m.chance(50) {
		b = appendLenencBytes(b, m.bytes(300))
		if s&StatusStateChanged != 0 {
			b = appendLenencBytes(b, m.bytes(300))
		}
	}
	return b
}

func (m *model) ok(also Status) {
	m.packet([]byte{0}, m.counts(), m.tail(m.status(also)))
	m.hear("ok")
}

func (m *model) err() {
	m.packet([]byte{0xFF, byte(m.Uint32()), byte(m.IntN(255))}, m.bytes(100))
	m.hear("err")
}

// rowsEnd ends rows, or opens a cursor.
func (m *model) rowsEnd(also Status) {
	s := m.status(also)
	if m.deprecated {
		m.packet([]byte{0xFE}, m.counts(), m.tail(s))
	} else {
		m.packet([]byte{0xFE, byte(m.Uint32()), 0, byte(s), byte(s >> 8)})
	}
	m.hear("end")
}

// choose chooses whether definitions follow, and is what is told of it.
func (m *model) choose() []byte {
	m.silent = m.chosen && m.chance(50)
	switch {
	case !m.chosen:
		return nil
	case m.silent:
		return []byte{0}
	}
	return []byte{1}
}

func (m *model) manyDefinitions(n int) {
	if m.silent {
		return
	}
	for range n {
		m.packet([]byte("\x03def"), m.bytes(200))
	}
}

// columnsEnd ends definitions.
func (m *model) columnsEnd(also Status) {
	if m.deprecated {
		m.hear("cols-")
		return
	}
	s := m.status(0)&^StatusOutParams | also
	m.packet([]byte{0xFE, 0, 0, byte(s), byte(s >> 8)})
	m.hear("cols")
}

// rows are the rows of a result: what they begin with is what other packets begin with, too.
func (m *model) rows() {
	for range m.IntN(8) {
		if m.chance(10) {
			m.packet([]byte{0xFF, 0xFF, 0xFF, 1}, m.bytes(20)) // a progress report
		}
		switch m.IntN(4) {
		case 0:
			m.packet([]byte{0x00}, m.bytes(50))
		case 1:
			m.packet([]byte{0xFB}, m.bytes(50))
		case 2:
			m.packet([]byte{0xFC, byte(m.Uint32()), 1}, m.bytes(500))
		case 3:
			m.packet([]byte{byte(m.IntN(0xFB))}, m.bytes(250))
		}
	}
}

// result is one of the results of a command. It reports whether another one may follow.
func (m *model) result(also Status) bool {
	switch m.IntN(5) {
	case 0:
		m.err()
		return false
	case 1:
		m.ok(also)
		return true
	case 2:
		if m.command == mysql.COM_QUERY {
			m.packet([]byte{0xFB}, m.bytes(100))
			m.hear("infile")
		}
		m.ok(also)
		return true
	}
	n := 1 + m.IntN(5)
	m.packet([]byte{byte(n)}, m.choose())
	m.manyDefinitions(n)
	if m.cursor && m.chance(50) {
		m.rowsEnd(StatusCursorExists) // the response is over
		return false
	}
	out := m.chance(20) // OUT parameters: the first EOF tells alone that something follows, without it both do
	if out {
		m.columnsEnd(also | StatusOutParams)
	} else {
		m.columnsEnd(0)
	}
	m.rows()
	if m.chance(10) {
		m.err()
		return false
	}
	if out && !m.deprecated {
		also = 0
	}
	m.rowsEnd(also)
	return true
}

// response makes a whole response.
func (m *model) response() {
	commands := []byte{mysql.COM_QUERY, mysql.COM_STMT_EXECUTE, mysql.COM_STMT_FETCH, mysql.COM_STMT_PREPARE, mysql.COM_PING}
	m.command = commands[m.IntN(len(commands))]
	m.cursor = m.command == mysql.COM_STMT_EXECUTE && m.chance(50)
	m.seq = byte(m.Uint32())
	switch m.command {
	case mysql.COM_PING:
		m.ok(0)
	case mysql.COM_STMT_FETCH:
		m.rows()
		m.rowsEnd([]Status{StatusCursorExists, StatusLastRowSent}[m.IntN(2)])
	case mysql.COM_STMT_PREPARE:
		columns, params := m.IntN(4), m.IntN(4)
		m.packet(preparedPacket(columns, params), m.choose())
		m.hear("prepared")
		for _, n := range []int{params, columns} {
			if m.manyDefinitions(n); n > 0 {
				m.columnsEnd(0)
			}
		}
	default:
		for m.chance(40) {
			if !m.result(StatusMoreResults) {
				return
			}
		}
		m.result(0)
	}
}

func newModel(seed uint64) *model {
	r := rand.New(rand.NewPCG(seed, 1))
	m := &model{Rand: r, form: form{r.IntN(2) == 0, r.IntN(2) == 0}}
	m.response()
	return m
}

// fuzzSeed is a seed for FuzzResponse, whose last bit is for the form.
func (m *model) fuzzSeed(seed uint64) uint64 {
	if m.chosen {
		return seed<<1 | 1
	}
	return seed << 1
}

// begin is a Response that waits for the model's.
func (m *model) begin() *Response {
	var r Response
	r.Begin(m.command, m.caps())
	r.Cursor = m.cursor
	return &r
}

// Ensure that the end of random responses, several after each other, is found with the events that belong to it,
// however the bytes are cut.
func TestResponseModel(t *testing.T) {
	for seed := range uint64(2000) {
		m, cuts := newModel(seed), rand.New(rand.NewPCG(seed, 2))
		behind := append(m.b, newModel(seed+1).b...)
		first := scan(t, m.begin(), behind, whole)
		if want := strings.Join(m.events, " "); first.err != nil || !first.done || first.events != want {
			t.Fatalf("seed %d: got %q, done %v, %v, want %q", seed, first.events, first.done, first.err, want)
		}
		if first.used != len(m.b) || string(first.relayed) != string(m.b) || first.seq != m.seq {
			t.Fatalf("seed %d: %d bytes and number %d, want %d and %d", seed, first.used, first.seq, len(m.b), m.seq)
		}
		most := 1 + cuts.IntN(200)
		for _, cut := range []func(int) int{inSteps(1), splitAt(cuts.IntN(len(m.b))), func(end int) int { return end + 1 + cuts.IntN(most) }} {
			if other := scan(t, m.begin(), behind, cut); first.same(&other) != "" {
				t.Fatalf("seed %d: %s", seed, first.same(&other))
			}
		}
	}
}
