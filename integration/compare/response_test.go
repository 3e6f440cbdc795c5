package compare

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/go-mysql-org/go-mysql/mysql"

	"github.com/stickyproxy/stickyproxy/mysqlwire"
)

// packet is one packet of a response.
type packet struct {
	bytes []byte
	about about
}

// about is what has to be known of a packet to compare it.
type about uint8

const (
	aboutNothing    about = iota
	aboutPrepared         // the head of the answer to a prepare
	aboutColumnsEnd       // an EOF packet behind definitions of columns
	aboutEnd              // an OK packet, or what ends rows
)

// response is all packets of a response.
type response []packet

// String is the response for people, without what differs by nature:
//
//   - the ids of prepared statements, also in the text of an error;
//   - the order of the system variables in an OK packet, which is that of a hash table in the server and not the same each
//     time it is started, and the values of statement_id and last_gtid, which count a server's statements and transactions;
//   - what is said about the plan, which each server makes by its own statistics;
//   - what an EOF packet says about session state, which cannot follow it, and what an OK packet says about it if none
//     follows.
func (r response) String() string {
	var b strings.Builder
	for _, p := range r {
		b.WriteString("\n      ")
		switch {
		case p.bytes[0] == 0xFF && len(p.bytes) > 3:
			code := binary.LittleEndian.Uint16(p.bytes[1:])
			text := string(p.bytes[3:])
			fmt.Fprintf(&b, "ERR %d %q", code, noCursor.ReplaceAllString(text, "$1(id)$2"))
		case p.about == aboutPrepared:
			fmt.Fprintf(&b, "prepared %q", p.bytes[5:])
		case p.about == aboutColumnsEnd && len(p.bytes) == 5:
			fmt.Fprintf(&b, "EOF %d %#x", binary.LittleEndian.Uint16(p.bytes[1:]), eofStatus(p.bytes))
		case p.about == aboutEnd && p.bytes[0] == 0xFE && len(p.bytes) == 5:
			fmt.Fprintf(&b, "end %d %#x", binary.LittleEndian.Uint16(p.bytes[1:]), eofStatus(p.bytes))
		case p.about == aboutEnd:
			fmt.Fprintf(&b, "%q", sorted(p.bytes))
		default:
			fmt.Fprintf(&b, "%q", noCursor.ReplaceAll(p.bytes, []byte("The statement (id)$2")))
		}
	}
	return b.String()
}

// noCursor is an error that tells a statement's id; in a row of SHOW WARNINGS the length of the text is before it.
var noCursor = regexp.MustCompile(`(?s)(.?The statement )\(\d+\)( has no open cursor)`)

// plan is the flags about how well a statement was optimised: no good index, no index, slow.
// https://dev.mysql.com/doc/dev/mysql-server/latest/mysql__com_8h.html
const plan mysqlwire.Status = 0x10 | 0x20 | 0x0800

func eofStatus(p []byte) mysqlwire.Status {
	return mysqlwire.Status(binary.LittleEndian.Uint16(p[3:])) &^ (mysqlwire.StatusStateChanged | plan)
}

// sorted is an OK packet without the plan, and with its system variables in the order of their names.
func sorted(p []byte) []byte {
	ok, err := mysqlwire.ParseOK(p, true)
	if err != nil {
		return p
	}
	var variables, others [][]byte
	for c := (mysqlwire.Changes{Rest: ok.Session}); c.Next(); {
		value := c.Value
		switch string(c.Name) {
		case "statement_id":
			value = []byte("1234")
		case "last_gtid":
			value = []byte("0-1-1234")
		}
		entry := mysqlwire.AppendChange(nil, c.Kind, c.Name, value)
		if c.Kind == mysqlwire.TrackSystemVariable {
			variables = append(variables, entry)
			continue
		}
		others = append(others, entry)
	}
	slices.SortFunc(variables, bytes.Compare)
	ok.Status &^= plan
	ok.Session = nil
	return fmt.Appendf(ok.Append(nil, p[0] == 0xFE, false), "%s%s", bytes.Join(variables, nil), bytes.Join(others, nil))
}

// shape is what is left to compare of a response whose values differ by nature: the kinds of its packets.
func (r response) shape() string {
	var b strings.Builder
	for _, p := range r {
		switch p.bytes[0] {
		case 0xFF:
			fmt.Fprintf(&b, " ERR %d", binary.LittleEndian.Uint16(p.bytes[1:]))
		case 0x00:
			b.WriteString(" OK")
		case 0xFE:
			b.WriteString(" end")
		default:
			b.WriteString(" data")
		}
	}
	return b.String()
}

// value is the first column of the first row of a text result of one column.
func (r response) value() (string, error) {
	for i, p := range r {
		if i < 2 || p.about == aboutColumnsEnd {
			continue
		}
		n, size := mysqlwire.Lenenc(p.bytes)
		if size == 0 || int(n) > len(p.bytes)-size || p.bytes[0] >= 0xFE {
			break
		}
		return string(p.bytes[size : size+int(n)]), nil
	}
	return "", errors.New("no value")
}

// response reads the response to a command.
func (c *client) response(command byte) (response, error) {
	r := reading{c: c}
	var err error
	switch command {
	case mysql.COM_STMT_CLOSE, mysql.COM_STMT_SEND_LONG_DATA:
	case mysql.COM_STMT_PREPARE:
		err = r.prepared()
	case mysql.COM_STMT_FETCH, mysql.COM_FIELD_LIST:
		_, err = r.rows()
	case mysql.COM_STATISTICS:
		_, err = r.next(aboutNothing)
	default:
		err = r.results()
	}
	return r.response, err
}

// reading is a response while it is read.
type reading struct {
	c        *client
	response response
}

func (r *reading) next(a about) ([]byte, error) {
	p, err := r.c.read()
	if err == nil {
		r.response = append(r.response, packet{p, a})
	}
	return p, err
}

// results reads results until no more follow.
func (r *reading) results() error {
	for more := true; more; {
		p, err := r.next(aboutNothing)
		if err != nil {
			return err
		}
		if p[0] == 0xFB {
			if err := r.c.sendFile(); err != nil {
				return err
			}
			if p, err = r.next(aboutNothing); err != nil {
				return err
			}
		}
		switch p[0] {
		case 0xFF:
			return nil
		case 0x00, 0xFE:
			r.response[len(r.response)-1].about = aboutEnd
			more = r.c.status(p)&mysqlwire.StatusMoreResults != 0
			continue
		}
		columns, size := mysqlwire.Lenenc(p)
		status, err := r.definitions(int(columns), len(p) == size || p[size] == 1)
		if err != nil || status&mysqlwire.StatusCursorExists != 0 {
			return err
		}
		if status, err = r.rows(); err != nil {
			return err
		}
		more = status&mysqlwire.StatusMoreResults != 0
	}
	return nil
}

// definitions reads n definitions, if they are there, and the EOF packet behind them, if there is one.
func (r *reading) definitions(n int, there bool) (mysqlwire.Status, error) {
	for i := 0; i < n && there; i++ {
		if _, err := r.next(aboutNothing); err != nil {
			return 0, err
		}
	}
	if n == 0 || r.c.caps.Has(mysqlwire.CapDeprecateEOF) {
		return 0, nil
	}
	p, err := r.next(aboutColumnsEnd)
	if err != nil {
		return 0, err
	}
	return r.c.status(p), nil
}

// rows reads rows up to what ends them.
func (r *reading) rows() (mysqlwire.Status, error) {
	for {
		p, err := r.next(aboutNothing)
		switch {
		case err != nil:
			return 0, err
		case p[0] == 0xFF:
			return 0, nil
		case p[0] == 0xFE && (len(p) < 9 || r.c.caps.Has(mysqlwire.CapDeprecateEOF) && len(p) < mysqlwire.MaxFrame):
			r.response[len(r.response)-1].about = aboutEnd
			return r.c.status(p), nil
		}
	}
}

// prepared reads the response to COM_STMT_PREPARE.
func (r *reading) prepared() error {
	p, err := r.next(aboutPrepared)
	if err != nil || p[0] == 0xFF {
		return err
	}
	if len(p) < 12 {
		return fmt.Errorf("answer to a prepare: %q", p)
	}
	columns, params := binary.LittleEndian.Uint16(p[5:]), binary.LittleEndian.Uint16(p[7:])
	there := len(p) == 12 || p[12] == 1
	for _, n := range []uint16{params, columns} {
		if _, err := r.definitions(int(n), there); err != nil {
			return err
		}
	}
	return nil
}

// status reads the flags of an OK or EOF packet.
func (c *client) status(p []byte) mysqlwire.Status {
	if p[0] == 0xFE && !c.caps.Has(mysqlwire.CapDeprecateEOF) {
		return mysqlwire.Status(binary.LittleEndian.Uint16(p[3:]))
	}
	at := 1
	for range 2 {
		_, n := mysqlwire.Lenenc(p[at:])
		at += n
	}
	return mysqlwire.Status(binary.LittleEndian.Uint16(p[at:]))
}

// difference is where two responses, as they are shown, differ first.
func difference(got, want string) string {
	g, w := strings.Split(got, "\n"), strings.Split(want, "\n")
	i := 0
	for i < len(g) && i < len(w) && g[i] == w[i] {
		i++
	}
	line := func(all []string) string {
		if i < len(all) {
			return strings.TrimSpace(all[i])
		}
		return "nothing more"
	}
	return fmt.Sprintf("     got %.400s\n    want %.400s", line(g), line(w))
}
