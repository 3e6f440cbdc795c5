package mysqlwire

import (
	"bytes"
	"errors"
	"testing"

	"github.com/go-mysql-org/go-mysql/mysql"
)

const (
	more   = StatusMoreResults | StatusAutocommit
	opened = StatusCursorExists | StatusAutocommit
	auto   = StatusAutocommit
)

// responses is one response of every shape. Build adds the packets; in events, "cols" stands for the end of
// definitions in either form.
var responses = []struct {
	name    string
	command byte
	cursor  bool
	build   func(f form, s *stream)
	events  string
}{
	{"OK", mysql.COM_QUERY, false, func(_ form, s *stream) { s.packet(okPacket(auto)) }, "ok"},
	{"ERR", mysql.COM_QUERY, false, func(_ form, s *stream) { s.packet(errPacket(1064)) }, "err"},
	{"ERR without SQLSTATE", mysql.COM_QUERY, false, func(_ form, s *stream) { s.packet([]byte{0xFF, 1, 2}) }, "err"},
	{"OK with text and state", mysql.COM_QUERY, false, func(_ form, s *stream) {
		s.packet(okPacket(auto|StatusStateChanged, 1, 'i', 3, 2, 1, '1'))
	}, "ok"},
	{"no rows", mysql.COM_QUERY, false, func(f form, s *stream) { f.columns(s, 2).packet(f.end(auto)) }, "cols end"},
	{"rows", mysql.COM_QUERY, false, func(f form, s *stream) {
		f.columns(s, 3).packet([]byte("\x01a\xFB\x01b")).packet([]byte("\x01c\x01d\x00")).packet(f.end(auto))
	}, "cols end"},
	{"rows, end with state", mysql.COM_QUERY, false, func(f form, s *stream) {
		f.columns(s, 1).packet([]byte("\x01a")).packet(f.end(auto|StatusStateChanged, 0, 8, 3, 6, 0, 4, 'u', ':', '1', '3'))
	}, "cols end"},
	{"NULL first", mysql.COM_QUERY, false, func(f form, s *stream) {
		f.columns(s, 1).packet([]byte{0xFB}).packet([]byte{0xFB}).packet(f.end(auto))
	}, "cols end"},
	{"empty text first", mysql.COM_QUERY, false, func(f form, s *stream) {
		f.columns(s, 1).packet([]byte{0}).packet(f.end(auto))
	}, "cols end"},
	{"binary rows", mysql.COM_STMT_EXECUTE, false, func(f form, s *stream) {
		f.columns(s, 1).packet([]byte{0, 0, 1, 0, 0, 0}).packet([]byte{0, 4}).packet(f.end(auto))
	}, "cols end"},
	{"300 columns", mysql.COM_QUERY, false, func(f form, s *stream) {
		f.definitions(s.packet([]byte{0xFC, 0x2C, 0x01}), 300).packet(f.end(auto))
	}, "cols end"},
	{"OK, OK", mysql.COM_QUERY, false, func(_ form, s *stream) { s.packet(okPacket(more)).packet(okPacket(auto)) }, "ok ok"},
	{"rows, OK, rows", mysql.COM_QUERY, false, func(f form, s *stream) {
		f.columns(s, 1).packet([]byte("\x01a")).packet(f.end(more)).packet(okPacket(more))
		f.columns(s, 2).packet([]byte("\x01a\x01b")).packet(f.end(auto))
	}, "cols end ok cols end"},
	{"rows, ERR", mysql.COM_QUERY, false, func(f form, s *stream) {
		f.columns(s, 1).packet(f.end(more)).packet(errPacket(1054))
	}, "cols end err"},
	{"ERR among rows", mysql.COM_QUERY, false, func(f form, s *stream) {
		f.columns(s, 1).packet([]byte("\x01a")).packet(errPacket(1317))
	}, "cols err"},
	{"ERR in place of rows", mysql.COM_QUERY, false, func(f form, s *stream) { f.columns(s, 1).packet(errPacket(1317)) }, "cols err"},
	{"ERR among definitions", mysql.COM_QUERY, false, func(_ form, s *stream) {
		s.packet([]byte{2}).packet(definition).packet(errPacket(1041))
	}, "err"},
	{"LOCAL INFILE", mysql.COM_QUERY, false, func(_ form, s *stream) { s.packet([]byte("\xFBf")).packet(okPacket(auto)) }, "infile ok"},
	{"LOCAL INFILE without a name", mysql.COM_QUERY, false, func(_ form, s *stream) {
		s.packet([]byte{0xFB}).packet(okPacket(auto))
	}, "infile ok"},
	{"LOCAL INFILE, ERR", mysql.COM_QUERY, false, func(_ form, s *stream) { s.packet([]byte("\xFBf")).packet(errPacket(2)) }, "infile err"},
	{"LOCAL INFILE, then rows", mysql.COM_QUERY, false, func(f form, s *stream) {
		s.packet([]byte("\xFBf")).packet(okPacket(more))
		f.columns(s, 1).packet([]byte("\x01a")).packet(f.end(auto))
	}, "infile ok cols end"},
	{"CALL with OUT parameters", mysql.COM_STMT_EXECUTE, false, func(f form, s *stream) {
		f.columns(s, 1).packet([]byte{0, 0, 9}).packet(f.end(more))
		f.columns(s, 1).packet([]byte{0, 0, 9}).packet(f.end(more | StatusOutParams)).packet(okPacket(auto))
	}, "cols end cols end ok"},
	{"CALL with OUT parameters, MySQL's classic form", mysql.COM_STMT_EXECUTE, false, func(f form, s *stream) {
		s.packet([]byte{1}).packet(definition)
		if f.deprecated {
			s.packet([]byte{0, 0, 9}).packet(f.end(more | StatusOutParams)).packet(okPacket(auto))
			return
		}
		s.packet(eofPacket(more | StatusOutParams)).packet([]byte{0, 0, 9}).packet(eofPacket(auto)).packet(okPacket(auto))
	}, "cols end ok"},
	{"OUT parameters, then rows", mysql.COM_STMT_EXECUTE, false, func(f form, s *stream) {
		s.packet([]byte{1}).packet(definition)
		if !f.deprecated {
			s.packet(eofPacket(more | StatusOutParams))
		}
		s.packet(f.end(more))
		f.columns(s, 1).packet([]byte{0, 0, 9}).packet(f.end(auto))
	}, "cols end cols end"},
	{"progress reports", mysql.COM_QUERY, false, func(f form, s *stream) {
		report := []byte("\xFF\xFF\xFF\x01\x01\x02\x10\x27\x00\x04work")
		s.packet(report).packet(report)
		f.columns(s, 1).packet([]byte("\x01a")).packet(report).packet(f.end(auto))
	}, "cols end"},
	{"progress report before OK", mysql.COM_QUERY, false, func(_ form, s *stream) {
		s.packet([]byte{0xFF, 0xFF, 0xFF}).packet(okPacket(auto))
	}, "ok"},
	{"error with the code of progress reports", mysql.COM_QUERY, false, func(_ form, s *stream) {
		s.packet([]byte("\xFF\xFF\xFF#HY000any"))
	}, "err"},
	{"cursor", mysql.COM_STMT_EXECUTE, true, func(f form, s *stream) {
		s.packet([]byte{2}).packet(definition).packet(definition).packet(f.end(opened))
	}, "end"},
	{"the flag of a cursor that was not asked for", mysql.COM_STMT_EXECUTE, false, func(f form, s *stream) {
		s.packet([]byte{1}).packet(definition)
		if !f.deprecated {
			s.packet(eofPacket(opened))
		}
		s.packet([]byte{0, 0, 9}).packet(f.end(opened))
	}, "cols end"},
	{"cursor asked for, OK", mysql.COM_STMT_EXECUTE, true, func(_ form, s *stream) { s.packet(okPacket(auto)) }, "ok"},
	{"cursor asked for, rows", mysql.COM_STMT_EXECUTE, true, func(f form, s *stream) {
		f.columns(s, 1).packet([]byte{0, 0, 9}).packet(f.end(auto))
	}, "cols end"},
	{"cursor asked for, no rows", mysql.COM_STMT_EXECUTE, true, func(f form, s *stream) {
		f.columns(s, 1).packet(f.end(auto))
	}, "cols end"},
	{"cursor asked for, ERR", mysql.COM_STMT_EXECUTE, true, func(f form, s *stream) {
		f.columns(s, 1).packet(errPacket(1242))
	}, "cols err"},
	{"cursor asked for, two results", mysql.COM_STMT_EXECUTE, true, func(f form, s *stream) {
		f.columns(s, 1).packet([]byte{0, 0, 9}).packet(f.end(more))
		f.columns(s, 1).packet(f.end(more)).packet(okPacket(auto))
	}, "cols end cols end ok"},
	{"fetch", mysql.COM_STMT_FETCH, false, func(f form, s *stream) {
		s.packet([]byte{0, 0, 1}).packet([]byte{0, 0, 2}).packet(f.end(opened))
	}, "end"},
	{"fetch of the last", mysql.COM_STMT_FETCH, false, func(f form, s *stream) { s.packet(f.end(auto | StatusLastRowSent)) }, "end"},
	{"fetch without cursor", mysql.COM_STMT_FETCH, false, func(_ form, s *stream) { s.packet(errPacket(1421)) }, "err"},
	{"prepare, nothing", mysql.COM_STMT_PREPARE, false, func(_ form, s *stream) { s.packet(preparedPacket(0, 0)) }, "prepared"},
	{"prepare, columns", mysql.COM_STMT_PREPARE, false, func(f form, s *stream) {
		f.definitions(s.packet(preparedPacket(2, 0)), 2)
	}, "prepared cols"},
	{"prepare, parameters", mysql.COM_STMT_PREPARE, false, func(f form, s *stream) {
		f.definitions(s.packet(preparedPacket(0, 3)), 3)
	}, "prepared cols"},
	{"prepare, both", mysql.COM_STMT_PREPARE, false, func(f form, s *stream) {
		f.definitions(f.definitions(s.packet(preparedPacket(1, 2)), 2), 1)
	}, "prepared cols cols"},
	{"prepare, many", mysql.COM_STMT_PREPARE, false, func(f form, s *stream) {
		f.definitions(f.definitions(s.packet(preparedPacket(0x0102, 0x0103)), 0x0103), 0x0102)
	}, "prepared cols cols"},
	{"prepare, EOF with the flag of a cursor", mysql.COM_STMT_PREPARE, false, func(f form, s *stream) {
		s.packet(preparedPacket(1, 1)).packet(definition)
		if !f.deprecated {
			s.packet(eofPacket(opened))
		}
		f.definitions(s, 1)
	}, "prepared cols cols"},
	{"prepare, ERR", mysql.COM_STMT_PREPARE, false, func(_ form, s *stream) { s.packet(errPacket(1064)) }, "err"},
	{"field list", mysql.COM_FIELD_LIST, false, func(f form, s *stream) {
		s.packet(definition, []byte{0xFB}).packet(definition, []byte("\x010")).packet(f.end(auto))
	}, "end"},
	{"field list, ERR", mysql.COM_FIELD_LIST, false, func(_ form, s *stream) { s.packet(errPacket(1146)) }, "err"},
	{"statistics", mysql.COM_STATISTICS, false, func(_ form, s *stream) { s.packet([]byte("Uptime: 1")) }, ""},
	{"statistics, like an OK", mysql.COM_STATISTICS, false, func(_ form, s *stream) { s.packet([]byte{0, 0, 0, 8, 0}) }, ""},
	{"statistics, empty", mysql.COM_STATISTICS, false, func(_ form, s *stream) { s.packet() }, ""},
	{"statistics, ERR", mysql.COM_STATISTICS, false, func(_ form, s *stream) { s.packet(errPacket(1227)) }, "err"},
	{"set option", mysql.COM_SET_OPTION, false, func(f form, s *stream) { s.packet(f.end(auto)) }, "end"},
	{"set option, ERR", mysql.COM_SET_OPTION, false, func(_ form, s *stream) { s.packet(errPacket(1047)) }, "err"},
	{"debug", mysql.COM_DEBUG, false, func(f form, s *stream) { s.packet(f.end(auto)) }, "end"},
	{"ping", mysql.COM_PING, false, func(_ form, s *stream) { s.packet(okPacket(auto)) }, "ok"},
	{"init db", mysql.COM_INIT_DB, false, func(_ form, s *stream) {
		s.packet(okPacket(auto|StatusStateChanged, 0, 5, 1, 3, 2, 'd', 'b'))
	}, "ok"},
	{"reset connection", mysql.COM_RESET_CONNECTION, false, func(_ form, s *stream) { s.packet(okPacket(auto)) }, "ok"},
	{"statement reset", mysql.COM_STMT_RESET, false, func(_ form, s *stream) { s.packet(okPacket(auto)) }, "ok"},
	{"process kill", mysql.COM_PROCESS_KILL, false, func(_ form, s *stream) { s.packet(errPacket(1094)) }, "err"},
	{"process list", mysql.COM_PROCESS_INFO, false, func(f form, s *stream) {
		f.columns(s, 1).packet([]byte("\x011")).packet(f.end(auto))
	}, "cols end"},
	{"bulk execute", ComBulkExecute, false, func(f form, s *stream) {
		f.columns(s, 1).packet([]byte{0, 0, 1}).packet(f.end(auto))
	}, "cols end"},
	{"close", mysql.COM_STMT_CLOSE, false, func(form, *stream) {}, ""},
	{"long data", mysql.COM_STMT_SEND_LONG_DATA, false, func(form, *stream) {}, ""},
	{"quit", mysql.COM_QUIT, false, func(form, *stream) {}, ""},
}

// Ensure that the end of every kind of response is found, in both forms and however its bytes are cut.
func TestResponseEnd(t *testing.T) {
	for _, row := range responses {
		for name, f := range map[string]form{"classic": {}, "deprecated": {deprecated: true}} {
			t.Run(row.name+"/"+name, func(t *testing.T) {
				var s stream
				row.build(f, &s)
				events := row.events
				if f.deprecated {
					events = string(bytes.ReplaceAll([]byte(events), []byte("cols"), []byte("cols-")))
				}
				mustScan(t, func() *Response {
					var r Response
					r.Begin(row.command, f.caps())
					r.Cursor = row.cursor
					return &r
				}, s.b, events)
			})
		}
	}
}

// Ensure that the classic EOF is told from a text with an eight-byte length, however short the text is.
func TestResponseLongestEOF(t *testing.T) {
	var s stream
	f := form{}
	f.columns(&s, 1).packet([]byte{0xFE, 0, 0, 0, 0, 0, 0, 0, 0}).packet([]byte{0xFE, 0, 0, 2, 0, 0, 0, 0})
	mustScan(t, func() *Response {
		var r Response
		r.Begin(mysql.COM_QUERY, f.caps())
		return &r
	}, s.b, "cols end")
}

// Ensure that more columns than a table may have are followed to the end of the rows.
func TestResponseManyColumns(t *testing.T) {
	f := form{deprecated: true}
	var s stream
	s.packet([]byte{0xFD, 1, 0, 1}) // 65,537
	for range 1<<16 + 1 {
		s.packet(definition)
	}
	s.packet([]byte("\x01a")).packet(f.end(auto))
	var r Response
	r.Begin(mysql.COM_QUERY, f.caps())
	got := scan(t, &r, s.b, whole)
	if got.err != nil || got.used != len(s.b) || !r.Done() {
		t.Errorf("used %d of %d bytes, %v", got.used, len(s.b), got.err)
	}
}

// Ensure that bytes which are no response are refused, and not waited for.
func TestResponseMalformed(t *testing.T) {
	for _, row := range []struct {
		name    string
		command byte
		form    form
		packets [][]byte
	}{
		{"empty first packet", mysql.COM_QUERY, form{deprecated: true}, [][]byte{{}}},
		{"no columns", mysql.COM_QUERY, form{deprecated: true}, [][]byte{{0xFC, 0, 0}}},
		{"too many columns", mysql.COM_QUERY, form{deprecated: true}, [][]byte{{0xFE, 1, 0, 0, 0x40, 0, 0, 0, 0}}},
		{"column count and more", mysql.COM_QUERY, form{deprecated: true}, [][]byte{{1, 1}}},
		{"column count and more than definitions to choose", mysql.COM_QUERY, form{chosen: true}, [][]byte{{1, 1, 1}}},
		{"short OK", mysql.COM_QUERY, form{deprecated: true}, [][]byte{{0, 0, 0, 2, 0, 0}}},
		{"short end", mysql.COM_QUERY, form{deprecated: true}, [][]byte{{1}, definition, {0xFE, 0, 0, 2, 0, 0}}},
		{"short EOF", mysql.COM_QUERY, form{}, [][]byte{{1}, definition, eofPacket(0), {0xFE, 0, 0, 2}}},
		{"empty definition", mysql.COM_QUERY, form{deprecated: true}, [][]byte{{1}, {}}},
		{"no EOF behind definitions", mysql.COM_QUERY, form{}, [][]byte{{1}, definition, []byte("\x01a")}},
		{"short EOF behind definitions", mysql.COM_QUERY, form{}, [][]byte{{1}, definition, {0xFE}}},
		{"EOF of ten bytes", mysql.COM_QUERY, form{}, [][]byte{{1}, definition, append(eofPacket(0), 0, 0, 0, 0, 0)}},
		{"short answer to prepare", mysql.COM_STMT_PREPARE, form{deprecated: true}, [][]byte{make([]byte, 11)}},
		{"rows after a ping", mysql.COM_PING, form{deprecated: true}, [][]byte{{1}}},
		{"short OK of a ping", mysql.COM_PING, form{deprecated: true}, [][]byte{{0}}},
		{"short end of set option", mysql.COM_SET_OPTION, form{}, [][]byte{{0xFE, 0}}},
	} {
		t.Run(row.name, func(t *testing.T) {
			var s stream
			for _, p := range row.packets {
				s.packet(p)
			}
			for _, cut := range []func(int) int{whole, inSteps(1)} {
				var r Response
				r.Begin(row.command, row.form.caps())
				if got := scan(t, &r, s.b, cut); !errors.Is(got.err, ErrMalformed) {
					t.Errorf("got %+v", got)
				}
			}
		})
	}
}

// Ensure that numbers wrap, and that Shift moves those of all frames behind the place where it was set.
func TestResponseSequence(t *testing.T) {
	f := form{deprecated: true}
	var s stream
	f.columns(&s, 1)
	for range 600 {
		s.packet([]byte("\x01a"))
	}
	s.packet(f.end(auto))
	var r Response
	r.Begin(mysql.COM_QUERY, f.caps())
	if pass, _, event, err := r.Scan(s.b); event != EventColumnsEnd || err != nil || r.Sequence != 2 {
		t.Fatalf("passed %d, event %d, %v, sequence %d", pass, event, err, r.Sequence)
	}
	r.Shift++
	rest := s.b[len(s.b)-600*6-11:]
	for i, b := range [][]byte{rest[:3], rest[:6], rest[6:]} {
		pass, packet, event, err := r.Scan(b)
		if err != nil || i < 2 && (event != EventMore || pass != i*6) {
			t.Fatalf("scan %d passed %d, event %d, %v", i, pass, event, err)
		}
		if i == 2 && (event != EventEnd || packet[3] != 604%256 || r.Sequence != 604%256) {
			t.Fatalf("event %d, packet %x, sequence %d", event, packet, r.Sequence)
		}
	}
	for i := range 600 {
		if got, want := rest[i*6+3], byte(4+i); got != want {
			t.Fatalf("row %d has number %d, want %d", i, got, want)
		}
	}
}

// Ensure that the place in a response is known: whether a packet may be put in, and whether rows are on their way.
func TestResponsePlace(t *testing.T) {
	var s stream
	f := form{deprecated: true}
	f.columns(&s, 1).packet([]byte("\x01a")).packet(f.end(auto))
	var r Response
	r.Begin(mysql.COM_QUERY, f.caps())
	if !r.atPacket() || r.InRows() || r.Done() {
		t.Error("at the beginning")
	}
	first := HeaderSize + 1 + HeaderSize + len(definition)
	if pass, _, _, _ := r.Scan(s.b[:first-1]); pass != first-1 || r.atPacket() || r.InRows() {
		t.Error("in a definition")
	}
	if _, _, event, _ := r.Scan(s.b[first-1 : first]); event != EventColumnsEnd || !r.atPacket() || !r.InRows() {
		t.Error("behind the definitions")
	}
	_, packet, event, _ := r.Scan(s.b[first:])
	ok, err := r.ParseEnd(packet[HeaderSize:])
	if event != EventEnd || err != nil || ok.Status != auto || !r.Done() || !r.atPacket() || r.InRows() {
		t.Error("at the end")
	}
}

// atPacket reports whether the bytes scanned so far end where a packet ends.
func (r *Response) atPacket() bool { return r.skip == 0 && !r.joined }
