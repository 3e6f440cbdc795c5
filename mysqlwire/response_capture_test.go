package mysqlwire

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/go-mysql-org/go-mysql/mysql"
)

// capture is what a real server said. The files in testdata/captures are the same dialogue with MySQL 9.7.4 and
// MariaDB 10.11.19, each with all of its capabilities, in the "classic" form without CLIENT_DEPRECATE_EOF, and in the
// "bare" form without CLIENT_SESSION_TRACK as well. In them, "=" begins a command, ">" is what was sent and "<" what
// came before the server was silent.
type capture struct {
	caps      Capability
	exchanges []exchange
}

type exchange struct {
	name     string
	sent     []byte // the first packet: the command, with its header
	received []byte // all of the response
}

func mustCapture(t *testing.T, file string) capture {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", "captures", file+".txt"))
	if err != nil {
		t.Fatal(err)
	}
	var c capture
	for line := range strings.Lines(string(text)) {
		kind, rest, _ := strings.Cut(strings.TrimSpace(line), " ")
		last := len(c.exchanges) - 1
		switch kind {
		case "capabilities":
			n, err := strconv.ParseUint(rest, 0, 32)
			if err != nil {
				t.Fatal(err)
			}
			c.caps = Capability(n)
		case "=":
			c.exchanges = append(c.exchanges, exchange{name: rest})
		case ">":
			if c.exchanges[last].sent == nil {
				c.exchanges[last].sent = mustHex(t, rest)
			}
		case "<":
			c.exchanges[last].received = append(c.exchanges[last].received, mustHex(t, rest)...)
		}
	}
	if len(c.exchanges) < 80 {
		t.Fatalf("%s: %d exchanges", file, len(c.exchanges))
	}
	return c
}

// begin is a Response that waits for the answer to e.
func (c *capture) begin(e *exchange) func() *Response {
	return func() *Response {
		var r Response
		r.Begin(e.sent[HeaderSize], c.caps)
		r.Cursor = e.sent[HeaderSize] == mysql.COM_STMT_EXECUTE && e.sent[HeaderSize+5] != 0
		return &r
	}
}

var captures = []string{"mysql", "mysql-classic", "mysql-bare", "mariadb", "mariadb-classic", "mariadb-bare"}

// Ensure that the end of what real servers say is where they stop, and that the forms of a response tell the same.
func TestResponseOfRealServers(t *testing.T) {
	events := map[string][]string{}
	for _, file := range captures {
		t.Run(file, func(t *testing.T) {
			c := mustCapture(t, file)
			server, _, _ := strings.Cut(file, "-")
			for _, e := range c.exchanges {
				h := scan(t, c.begin(&e)(), e.received, whole)
				t.Run(e.name, func(t *testing.T) { mustScan(t, c.begin(&e), e.received, h.events) })
				got := strings.ReplaceAll(h.events, "cols-", "cols")
				if e.name == "execute error and cursor" {
					got = strings.TrimPrefix(got, "cols ") // the classic server knows of the error before it says EOF
				}
				if file == server {
					events[server] = append(events[server], e.name+": "+got)
				}
			}
			want := events[server]
			if file == server {
				return
			}
			classic := c.exchanges
			for i, j := 0, 0; i < len(classic); i, j = i+1, j+1 {
				for !strings.HasPrefix(want[j], classic[i].name+": ") {
					j++ // only the first dialogue has the query attributes
				}
				h := scan(t, c.begin(&classic[i])(), classic[i].received, whole)
				if got := classic[i].name + ": " + h.events; got != want[j] {
					t.Errorf("got %q, want %q", got, want[j])
				}
			}
		})
	}
}

// okPackets calls f with the payloads of all OK packets and ends of rows in a capture.
func (c *capture) okPackets(t *testing.T, f func(e *exchange, event Event, payload []byte)) {
	t.Helper()
	for _, e := range c.exchanges {
		for r, b := c.begin(&e)(), e.received; !r.Done(); {
			pass, packet, event, err := r.Scan(b)
			if err != nil || event == EventMore && pass == len(b) && !r.Done() {
				t.Fatalf("%s: %v", e.name, err)
			}
			if event == EventOK || event == EventEnd && c.caps.Has(CapDeprecateEOF) {
				f(&e, event, packet[HeaderSize:])
			}
			b = b[pass+len(packet):]
		}
	}
}

// Ensure that OK packets of real servers are understood to the last byte, and written again as they were.
func TestOKOfRealServers(t *testing.T) {
	for _, file := range captures {
		c := mustCapture(t, file)
		tracking := c.caps.Has(CapSessionTrack)
		seen := map[TrackKind]string{}
		texts := 0
		c.okPackets(t, func(e *exchange, event Event, p []byte) {
			ok, err := ParseOK(p, tracking)
			if err != nil {
				t.Fatalf("%s: %s: %v", file, e.name, err)
			}
			if len(ok.Info) > 0 {
				texts++
			}
			if strings.HasPrefix(e.name, "UPDATE") && !bytes.HasPrefix(ok.Info, []byte("Rows matched: 1")) {
				t.Errorf("%s: %s: text %q", file, e.name, ok.Info)
			}
			if got := ok.Append(nil, event == EventEnd, tracking); !bytes.Equal(got, p) {
				t.Errorf("%s: %s: got %x, want %x", file, e.name, got, p)
			}
			w := Changes{Rest: ok.Session}
			for w.Next() {
				seen[w.Kind] += string(w.Name) + "=" + string(w.Value) + " "
			}
			if w.Bad {
				t.Errorf("%s: %s: session state %x", file, e.name, ok.Session)
			}
		})
		checkSeen(t, file, texts, seen)
	}
}

// checkSeen checks what was learned from a whole dialogue.
func checkSeen(t *testing.T, file string, texts int, seen map[TrackKind]string) {
	t.Helper()
	if texts < 6 {
		t.Errorf("%s: %d texts", file, texts)
	}
	if strings.HasSuffix(file, "-bare") {
		if len(seen) > 0 {
			t.Errorf("%s: session state %v", file, seen)
		}
		return
	}
	want := map[TrackKind]string{
		TrackSchema: "=wire", TrackState: "=1", TrackSystemVariable: "autocommit=OFF autocommit=ON",
		TrackTransaction: "=T_______ ", TrackCharacteristic: "=START TRANSACTION;",
	}
	if strings.HasPrefix(file, "mysql") {
		want[TrackGTIDs] = ":"
	} else {
		want[TrackSystemVariable] = "last_gtid=0-1-"
	}
	for kind, text := range want {
		if !strings.Contains(seen[kind], text) {
			t.Errorf("%s: changes of kind %d: %q, want %q in it", file, kind, seen[kind], text)
		}
	}
}

// Ensure that query attributes are cut off exactly where MySQL does it: each of the commands ends in the text SELECT 1,
// with attributes before it that the server took or refused.
func TestQueryTextOfRealServer(t *testing.T) {
	c := mustCapture(t, "mysql")
	taken, refused := 0, 0
	for _, e := range c.exchanges {
		if e.sent[HeaderSize] != mysql.COM_QUERY {
			continue
		}
		sql, _, err := QueryText(e.sent[HeaderSize:], c.caps)
		failure := &Error{}
		if e.received[HeaderSize] == headerERR {
			failure = ParseError(e.received[HeaderSize:])
		}
		switch {
		case failure.Code == mysql.ER_MALFORMED_PACKET:
			refused++
			if !errors.Is(err, errShortCommand) && e.name != "date length 5" { // MySQL looks at the value, too
				t.Errorf("%s: got %q, %v", e.name, sql, err)
			}
		case failure.Code == 0:
			taken++
			if err == nil && string(sql) != e.name && string(sql) != "SELECT 1" && strings.TrimSpace(string(sql)) != "SELECT 1" {
				t.Errorf("%s: got %q", e.name, sql)
			}
			if err != nil && e.name != "attribute length 0xFE huge" { // MySQL reads four of the eight bytes
				t.Errorf("%s: %v", e.name, err)
			}
		}
	}
	if taken < 60 || refused < 10 {
		t.Errorf("%d taken, %d refused", taken, refused)
	}
}
