package proxy

import (
	"bytes"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/go-mysql-org/go-mysql/mysql"

	"github.com/stickyproxy/stickyproxy/backend"
	"github.com/stickyproxy/stickyproxy/internal/mysqltest/faultyconn"
	"github.com/stickyproxy/stickyproxy/mysqlwire"
)

// recorder is a connection that notes every write and answers with bytes given beforehand.
type recorder struct {
	net.Conn
	writes  []string
	answers bytes.Buffer
	closed  bool
}

func (r *recorder) Write(b []byte) (int, error) {
	r.writes = append(r.writes, string(b))
	return len(b), nil
}
func (r *recorder) Read(b []byte) (int, error)       { return r.answers.Read(b) }
func (r *recorder) Close() error                     { r.closed = true; return nil }
func (r *recorder) SetDeadline(time.Time) error      { return nil }
func (r *recorder) SetReadDeadline(time.Time) error  { return nil }
func (r *recorder) SetWriteDeadline(time.Time) error { return nil }

func newRecorded(t *testing.T) (*link, *recorder) {
	t.Helper()
	r := &recorder{}
	return newLink(&backend.Conn{Conn: r, Capabilities: modern | mysqlwire.CapSessionTrack, Status: mysqlwire.StatusAutocommit}, true, 0), r
}

var okPacket = mysqlwire.AppendPacket(nil, 1, (&mysqlwire.OK{Status: mysqlwire.StatusAutocommit}).Append(nil, false, true))

func errPacket(seq byte, code uint16) []byte {
	return mysqlwire.AppendPacket(nil, seq, (&mysqlwire.Error{Code: code, State: "HY000", Message: "no"}).Append(nil))
}

// What a server is told goes out in one write with the command that it is for, and its answers are owed.
func TestQueueIsOneWrite(t *testing.T) {
	l, r := newRecorded(t)
	s := newState(&backend.Conn{Tracked: true})
	s.setSchema("a")
	s.setVariable("time_zone", "UTC")
	s.replays(l)
	l.queue([]byte{mysql.COM_STMT_CLOSE, 1, 0, 0, 0})
	command := query("SELECT 1")
	if err := l.write(command); err != nil {
		t.Fatal(err)
	}
	want := "\x02\x00\x00\x00\x02a" + "\x1f\x00\x00\x00\x03SET @@SESSION.time_zone='UTC'" + "\x05\x00\x00\x00\x19\x01\x00\x00\x00" + string(command)
	want = strings.Replace(want, "\x1f", string(rune(len("\x03SET @@SESSION.time_zone='UTC'"))), 1)
	if len(r.writes) != 1 || r.writes[0] != want {
		t.Errorf("wrote %q, want %q", r.writes, want)
	}
	if string(l.owed) != "\x02\x03" || l.version != s.version {
		t.Errorf("owed % x, version %d", l.owed, l.version)
	}
	if err := l.write(nil); err != nil || len(r.writes) != 1 {
		t.Errorf("wrote nothing in %d writes, %v", len(r.writes), err)
	}
	r.answers.Write(okPacket)
	r.answers.Write(okPacket)
	if err := l.settle(told); err != nil || len(l.owed) != 0 || l.status != mysqlwire.StatusAutocommit {
		t.Errorf("settled with %v, owed % x", err, l.owed)
	}
}

// All answers are read even if the first is a refusal; a good-bye and garbage are the end.
func TestSettle(t *testing.T) {
	for _, tt := range []struct {
		name    string
		answers []byte
		refused uint16 // 0: it is lost, or fine
		lost    bool
	}{
		{"fine", append(bytes.Clone(okPacket), okPacket...), 0, false},
		{"refused", append(errPacket(1, 1227), okPacket...), 1227, false},
		{"refused twice", append(errPacket(1, 1227), errPacket(1, 1228)...), 1227, false},
		{"good-bye", errPacket(0, 4031), 0, true},
		{"the end", okPacket, 0, true},
		{"garbage", []byte{1, 0, 0, 1, 0xFD}, 0, true},
		{"a short OK", []byte{1, 0, 0, 1, 0x00}, 0, true},
		{"a request for a file", []byte{2, 0, 0, 1, 0xFB, 'f'}, 0, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			l, r := newRecorded(t)
			l.queue([]byte{mysql.COM_QUERY, 'a'})
			l.queue([]byte{mysql.COM_QUERY, 'b'})
			r.answers.Write(tt.answers)
			err := l.settle(told)
			refused := answered(err)
			switch {
			case tt.refused != 0 && (refused == nil || refused.Code != tt.refused):
				t.Errorf("got %v, want the refusal %d", err, tt.refused)
			case tt.lost && (err == nil || refused != nil):
				t.Errorf("got %v, want a lost connection", err)
			case tt.refused == 0 && !tt.lost && err != nil:
				t.Errorf("got %v", err)
			}
		})
	}
}

// The answer to a question of our own may have rows, which are dropped, whatever it is cut into.
func TestResponse(t *testing.T) {
	for chunk := 1; chunk < 40; chunk += 7 {
		r := &recorder{}
		r.answers.Write(pointSelect(mysqlwire.AppendChange(nil, mysqlwire.TrackSchema, nil, []byte("a"))))
		r.answers.Write(prepareOK(modern))
		nc := faultyconn.Wrap(r, faultyconn.Plan{ReadChunk: chunk})
		l := newLink(&backend.Conn{Conn: nc, Capabilities: modern | mysqlwire.CapSessionTrack}, false, 0)
		var told mysqlwire.OK
		if err := l.response(mysql.COM_QUERY, func(_ *link, ok mysqlwire.OK) { told = ok }, nil); err != nil || len(told.Session) == 0 {
			t.Fatalf("chunks of %d: %v, %+v", chunk, err, told)
		}
		var id uint32
		if err := l.response(mysql.COM_STMT_PREPARE, nil, func(p mysqlwire.Prepared) { id = p.ID }); err != nil || id != 9 {
			t.Fatalf("chunks of %d: %v, statement %d", chunk, err, id)
		}
		if err := l.response(mysql.COM_QUERY, nil, nil); !errors.Is(err, io.EOF) {
			t.Errorf("chunks of %d: %v", chunk, err)
		}
	}
}

// A connection says good-bye if it is at rest, once, and one that is dead says nothing.
func TestCloseLink(t *testing.T) {
	l, r := newRecorded(t)
	l.queue([]byte{mysql.COM_STMT_CLOSE, 1, 0, 0, 0})
	l.close()
	l.close()
	if len(r.writes) != 1 || !strings.HasSuffix(r.writes[0], "\x01\x00\x00\x00\x01") {
		t.Errorf("wrote %q", r.writes)
	}
	l, r = newRecorded(t)
	l.dead = true
	l.close()
	if len(r.writes) != 0 {
		t.Errorf("wrote %q", r.writes)
	}
	l = nil
	l.close()
}

// A buffer that grew beyond its purpose is not kept.
func TestAheadIsBounded(t *testing.T) {
	l, _ := newRecorded(t)
	for range maxAhead {
		l.queue([]byte{mysql.COM_STMT_CLOSE, 1, 0, 0, 0})
	}
	if err := l.write(nil); err != nil || l.ahead != nil {
		t.Errorf("%d bytes are kept, %v", cap(l.ahead), err)
	}
}
