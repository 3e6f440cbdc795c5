package mysqlwire

import (
	"errors"
	"fmt"

	"github.com/go-mysql-org/go-mysql/mysql"
)

// ErrMalformed says that a server's bytes are not a response.
var ErrMalformed = errors.New("malformed response")

// Event is why Response.Scan stopped.
type Event uint8

// The events of a response.
const (
	// EventMore: the bytes hold no more news; scan on when there are more of them.
	EventMore Event = iota
	// EventOK: an OK packet without rows before it.
	EventOK
	// EventEnd: the packet that ends rows, an EOF or an OK in its place.
	EventEnd
	// EventErr: an ERR packet; the response is over.
	EventErr
	// EventInfile: the server asks for a local file. Scan nothing before the client has sent it, up to the empty packet.
	EventInfile
	// EventPrepared: the OK that begins the response to COM_STMT_PREPARE.
	EventPrepared
	// EventColumnsEnd: the definitions are over. The packet is the EOF that says so, empty with CLIENT_DEPRECATE_EOF.
	EventColumnsEnd
)

type expect uint8

const (
	expectNothing  expect = iota // the response is over
	expectResult                 // OK, ERR, LOCAL INFILE or a column count
	expectRows                   // rows, or what ends them
	expectColumns                // r.columns definitions
	expectColEOF                 // the EOF behind definitions, or its place
	expectPrepared               // OK of COM_STMT_PREPARE, or ERR
	expectOne                    // one OK, EOF or ERR
	expectText                   // one packet of text, or ERR
)

// Response finds the end of a server's response to one command. It is a state machine that is fed with bytes and does
// not care where they come from; it looks at the first byte of packets only, and never into rows.
//
// The rules are in the "Command Phase" chapter,
// https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_command_phase.html.
type Response struct {
	// Sequence is the number of the last frame scanned, as the receiver will see it: Shift is in it.
	Sequence byte
	// Shift is added to the number of every frame scanned from now on, for a receiver that gets more or fewer packets
	// than the server sends.
	Shift byte
	// Cursor says that the command is a COM_STMT_EXECUTE which asked for a cursor: set it after Begin.
	Cursor bool
	// Columns is how many columns the last result has that has begun, and Definitions how many definitions are in it.
	Columns, Definitions int

	eof     bool   // the server sends the classic EOF packets
	chosen  bool   // results tell whether definitions are in them
	silent  bool   // the present one has none
	state   expect // what the next packet may be
	skip    int    // payload bytes of the current frame still to come
	joined  bool   // the next frame continues a packet
	columns int    // definitions still to come
	then    expect // what follows them
	nextN   int    // COM_STMT_PREPARE: definitions of columns after those of parameters
	more    Status // what the EOF behind definitions said already of the end of the rows
}

// Begin makes r ready for the response to command, one of go-mysql's mysql.COM_ constants, on a connection to a server
// with which caps were negotiated.
func (r *Response) Begin(command byte, caps Capability) {
	*r = Response{eof: !caps.Has(CapDeprecateEOF), chosen: caps.Has(CapOptionalMetadata), state: expectOne}
	switch command {
	case mysql.COM_QUERY, mysql.COM_STMT_EXECUTE, mysql.COM_PROCESS_INFO, ComBulkExecute:
		r.state = expectResult
	case mysql.COM_STMT_FETCH, mysql.COM_FIELD_LIST:
		r.state = expectRows
	case mysql.COM_STMT_PREPARE:
		r.state = expectPrepared
	case mysql.COM_STATISTICS:
		r.state = expectText
	default:
		if !Responds(command) {
			r.state = expectNothing
		}
	}
}

// Responds reports whether a command has a response at all.
func Responds(command byte) bool {
	switch command {
	case mysql.COM_STMT_SEND_LONG_DATA, mysql.COM_STMT_CLOSE, mysql.COM_QUIT:
		return false
	}
	return true
}

// Done reports whether the response is over.
func (r *Response) Done() bool { return r.state == expectNothing && r.skip == 0 && !r.joined }

// InRows reports whether the next packet is a row or the end of rows.
func (r *Response) InRows() bool { return r.state == expectRows }

// Scan looks at b, the bytes of the response that follow those it has passed or returned before. The first pass bytes
// can go to the client as they are; packet is the frame, header included, that follows them and that the event is
// about. What is behind it was not looked at: call Scan again with it. With EventMore, bytes behind pass belong to a
// frame that has to be more complete: call Scan again with them and what follows.
func (r *Response) Scan(b []byte) (pass int, packet []byte, event Event, err error) {
	for {
		if r.skip > 0 {
			n := min(r.skip, len(b)-pass)
			pass += n
			if r.skip -= n; r.skip > 0 {
				return pass, nil, EventMore, nil
			}
		}
		rest := b[pass:]
		if r.state == expectColEOF && !r.eof && !r.joined {
			opens, wait := r.opensCursor(rest)
			if wait {
				return pass, nil, EventMore, nil
			}
			r.columnsEnd()
			if !opens {
				return pass, nil, EventColumnsEnd, nil
			}
		}
		if r.Done() || len(rest) < HeaderSize {
			return pass, nil, EventMore, nil
		}
		n := FrameLen(rest)
		if !r.joined {
			event, wait, err := r.look(rest, n)
			if wait || err != nil {
				return pass, nil, EventMore, err
			}
			if event != EventMore {
				r.number(rest)
				return pass, rest[:HeaderSize+n], event, nil
			}
		}
		r.number(rest)
		r.joined = n == MaxFrame
		r.skip = n
		pass += HeaderSize
	}
}

// number notes the sequence number of the frame whose header is h, and shifts it.
func (r *Response) number(h []byte) {
	h[3] += r.Shift
	r.Sequence = h[3]
}

// look decides what the packet is whose first frame begins at b and has n bytes of payload. Wait: that takes more bytes
// than b has; nothing was changed then.
func (r *Response) look(b []byte, n int) (event Event, wait bool, err error) {
	if n == 0 {
		if r.state != expectRows && r.state != expectText {
			return 0, false, fmt.Errorf("%w: empty packet", ErrMalformed)
		}
		r.plain()
		return EventMore, false, nil
	}
	if len(b) <= HeaderSize {
		return 0, true, nil
	}
	if !r.tells(b[HeaderSize], n) {
		r.plain()
		return EventMore, false, nil
	}
	if n == MaxFrame {
		return 0, false, fmt.Errorf("%w: a packet of 16 MiB that is no row", ErrMalformed)
	}
	if len(b) < HeaderSize+n {
		return 0, true, nil
	}
	event, err = r.read(b[HeaderSize : HeaderSize+n])
	if err != nil {
		err = fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	return event, false, err
}

// tells reports whether the packet, which begins with first and whose first frame has n bytes, is one to look into:
// rows, definitions and texts are not.
func (r *Response) tells(first byte, n int) bool {
	switch {
	case first == headerERR:
		return true
	case r.state == expectRows:
		return r.endsRows(first, n)
	}
	return r.state != expectColumns && r.state != expectText
}

// endsRows: a row may begin with 0xFE only as the length of a value of 16 MiB and more; its first frame is full then.
func (r *Response) endsRows(first byte, n int) bool {
	if r.eof {
		return first == headerEOF && n < 9
	}
	return first == headerEOF && n < MaxFrame
}

// plain counts one definition or one text; there is nothing to tell about it.
func (r *Response) plain() {
	switch r.state {
	case expectColumns:
		if r.columns--; r.columns == 0 {
			r.state = expectColEOF
		}
	case expectText:
		r.state = expectNothing
	}
}

// read goes on behind a packet that tells something. It has the payload p, which is not empty.
func (r *Response) read(p []byte) (Event, error) {
	if p[0] == headerERR {
		return r.refused(p), nil
	}
	switch r.state {
	case expectRows:
		return r.end(p)
	case expectResult:
		return r.result(p)
	case expectColEOF:
		return r.columnsEOF(p)
	case expectPrepared:
		return r.prepared(p)
	}
	return r.one(p)
}

// refused ends the response, but for MariaDB's progress reports, which are ERR packets with the code 0xFFFF and without an
// SQLSTATE, whose mark is '#'. An error can have that code too: SIGNAL sets any.
// https://mariadb.com/kb/en/err_packet/
func (r *Response) refused(p []byte) Event {
	if len(p) >= 3 && p[1] == 0xFF && p[2] == 0xFF && (len(p) == 3 || p[3] != '#') {
		return EventMore
	}
	r.state = expectNothing
	return EventErr
}

// end handles the packet that ends rows.
func (r *Response) end(p []byte) (Event, error) {
	ok, err := r.ParseEnd(p)
	if err != nil {
		return 0, err
	}
	r.after(ok.Status | r.more)
	return EventEnd, nil
}

// one handles the only packet of a response. COM_SET_OPTION and COM_DEBUG are answered in the form that ends rows.
func (r *Response) one(p []byte) (Event, error) {
	event, err := EventOK, error(nil)
	switch p[0] {
	case headerOK:
		_, err = ParseOK(p, false)
	case headerEOF:
		event = EventEnd
		_, err = r.ParseEnd(p)
	default:
		err = errShortOK
	}
	if err != nil {
		return 0, err
	}
	r.state = expectNothing
	return event, nil
}

// after goes on to the next result, if there is one.
func (r *Response) after(s Status) {
	r.state, r.more = expectNothing, 0
	if s&StatusMoreResults != 0 {
		r.state = expectResult
	}
}

// ParseEnd reads the payload of the packet of EventEnd; session state is not read.
func (r *Response) ParseEnd(p []byte) (OK, error) {
	if r.eof {
		return ParseEOF(p)
	}
	return ParseOK(p, false)
}

// result handles the packet that begins a result.
func (r *Response) result(p []byte) (Event, error) {
	switch p[0] {
	case headerOK:
		ok, err := ParseOK(p, false)
		if err != nil {
			return 0, err
		}
		r.after(ok.Status)
		return EventOK, nil
	case headerInfile:
		return EventInfile, nil
	}
	columns, silent, err := ParseCount(p, r.chosen)
	if err != nil {
		return 0, err
	}
	r.Columns, r.silent = columns, silent
	r.define(columns, expectRows)
	r.Definitions = r.columns
	return EventMore, nil
}

// define expects n definitions, at least one, if they come at all, and then what follows them.
func (r *Response) define(n int, then expect) {
	r.state, r.columns, r.then = expectColumns, n, then
	if r.silent {
		r.state, r.columns = expectColEOF, 0
	}
}

// columnsEOF handles the EOF behind definitions, where the server sends one. If it says that the rows wait in the cursor
// that was asked for, it ends the response: of a CALL, MariaDB says so too when the routine had a cursor of its own, and
// sends the rows. MySQL says only in this one that more follows the OUT parameters of a CALL, and not in the one
// behind their row.
func (r *Response) columnsEOF(p []byte) (Event, error) {
	if p[0] != headerEOF || len(p) >= 9 {
		return 0, errShortEOF
	}
	eof, err := ParseEOF(p)
	if err != nil {
		return 0, err
	}
	if r.Cursor && r.then == expectRows && eof.Status&StatusCursorExists != 0 {
		r.state = expectNothing
		return EventEnd, nil
	}
	if eof.Status&StatusOutParams != 0 {
		r.more = eof.Status & StatusMoreResults
	}
	r.columnsEnd()
	return EventColumnsEnd, nil
}

// opensCursor reports whether b, which follows definitions without an EOF, is the end of rows that says that they wait
// in a cursor. A classic EOF says both in one packet, so there is no EventColumnsEnd then. Wait: it takes more bytes.
func (r *Response) opensCursor(b []byte) (opens, wait bool) {
	if !r.Cursor || r.then != expectRows {
		return false, false
	}
	if len(b) <= HeaderSize {
		return false, true
	}
	n := FrameLen(b)
	if !r.endsRows(b[HeaderSize], n) {
		return false, false
	}
	if len(b) < HeaderSize+n {
		return false, true
	}
	ok, err := ParseOK(b[HeaderSize:HeaderSize+n], false)
	return err == nil && ok.Status&StatusCursorExists != 0, false
}

// columnsEnd goes on behind the definitions.
func (r *Response) columnsEnd() {
	r.state = r.then
	if r.nextN > 0 {
		r.define(r.nextN, expectNothing)
		r.nextN = 0
	}
}

// prepared handles the first packet of the response to COM_STMT_PREPARE.
// https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_com_stmt_prepare.html#sect_protocol_com_stmt_prepare_response
func (r *Response) prepared(p []byte) (Event, error) {
	ok, err := ParsePrepared(p)
	if err != nil {
		return 0, err
	}
	r.state = expectNothing
	r.silent = ok.Silent
	switch {
	case ok.Params > 0:
		r.define(ok.Params, expectNothing)
		r.nextN = ok.Columns
	case ok.Columns > 0:
		r.define(ok.Columns, expectNothing)
	}
	return EventPrepared, nil
}
