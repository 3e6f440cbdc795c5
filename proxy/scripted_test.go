package proxy

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/go-mysql-org/go-mysql/mysql"

	"github.com/stickyproxy/stickyproxy/backend"
	"github.com/stickyproxy/stickyproxy/gtid"
	"github.com/stickyproxy/stickyproxy/internal/mysqltest/fakeserver"
	"github.com/stickyproxy/stickyproxy/mysqlwire"
)

// scriptedServer is a server that answers every read with its name, and does what a test says.
type scriptedServer struct {
	*fakeserver.Server
	t       testing.TB
	name    string // also its incarnation
	backend *backend.Server
	refuse  atomic.Bool // new connections

	mu        sync.Mutex
	script    fakeserver.Handler // nil: the default
	variables string             // of a new session, as lines of name=value
	views     [][]any            // names and definitions
	asked     int                // how often it was asked for them
	log       []string
	next      uint32 // the last statement id
}

func startScripted(t testing.TB, name string, o rigOptions) *scriptedServer {
	t.Helper()
	s := &scriptedServer{t: t, name: name, variables: "autocommit=1\n"}
	version := cmp.Or(o.version, "8.4.0-fake")
	if o.mariaDB {
		version = cmp.Or(o.version, "11.4.2-MariaDB")
	}
	s.Server = fakeserver.Start(t, fakeserver.Options{
		Version: version, Handler: s.handle, Capabilities: fakeserver.DefaultCapabilities &^ uint32(o.lacks),
		Greet: func(net.Conn) error {
			if s.refuse.Load() {
				return net.ErrClosed
			}
			return nil
		},
	})
	var err error
	if s.backend, err = backend.NewServer(backend.ServerConfig{Address: s.Addr()}); err != nil {
		t.Fatal(err)
	}
	return s
}

// on sets what the server does: a handler that returns errDefault leaves a command to the default.
func (s *scriptedServer) on(h fakeserver.Handler) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.script = h
}

// errDefault is what a script returns for commands that it does not care about.
var errDefault = fmt.Errorf("the default")

// errHangUp is what a script returns to end the connection.
var errHangUp = fmt.Errorf("the server hangs up")

// sent returns the commands that arrived since the last call, in short, but for those of the login.
func (s *scriptedServer) sent() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	log := s.log
	s.log = nil
	return log
}

// note logs a command, unless it is about trackers: these are ours, and sent behind the client's back.
func (s *scriptedServer) note(cmd fakeserver.Command) fakeserver.Handler {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !strings.Contains(cmd.SQL, "@@SESSION.session_track_") {
		s.log = append(s.log, brief(cmd))
	}
	return s.script
}

func (s *scriptedServer) handle(c *fakeserver.Conn, cmd fakeserver.Command) error {
	if done, err := s.setUp(c, cmd); done {
		return err
	}
	script := s.note(cmd)
	if script != nil {
		if err := script(c, cmd); err != errDefault {
			return err
		}
	}
	return s.answer(c, cmd)
}

// setUp answers the questions with which a server connection begins.
func (s *scriptedServer) setUp(c *fakeserver.Conn, cmd fakeserver.Command) (done bool, err error) {
	switch {
	case strings.HasPrefix(cmd.SQL, "SET SESSION session_track_system_variables='*'"):
		return true, c.OK(fakeserver.OK{})
	case strings.Contains(cmd.SQL, "FROM information_schema.views"):
		s.mu.Lock()
		defined := s.views
		s.asked++
		s.mu.Unlock()
		return true, c.Rows([]string{"name", "definition"}, defined, fakeserver.OK{})
	case strings.HasPrefix(cmd.SQL, "SELECT CONCAT(@@"):
		s.mu.Lock()
		variables := s.variables
		s.mu.Unlock()
		var schema any
		if c.Schema != "" {
			schema = c.Schema
		}
		return true, c.Rows([]string{"incarnation", "schema", "variables"}, [][]any{{s.name, schema, fakeserver.Values(cmd.SQL, "session_track_system_variables=autocommit\n"+variables)}}, fakeserver.OK{})
	}
	return false, nil
}

// answer is the default: the server's name for whatever asks for rows, OK for the rest.
func (s *scriptedServer) answer(c *fakeserver.Conn, cmd fakeserver.Command) error {
	word, rest, _ := strings.Cut(cmd.SQL, " ")
	switch {
	case cmd.Code == mysql.COM_STMT_PREPARE:
		return c.Prepared(s.statementID(), make([]string, strings.Count(cmd.SQL, "?")), []string{"server"})
	case aboutStatement(cmd.Code) && !s.owns(binary.LittleEndian.Uint32(cmd.Payload)):
		return c.Error(mysql.ER_UNKNOWN_STMT_HANDLER, "HY000", "Unknown prepared statement handler")
	case cmd.Code == mysql.COM_STMT_EXECUTE, cmd.Code == mysql.COM_STMT_FETCH:
		return s.binary(c, cmd)
	case cmd.Code != mysql.COM_QUERY:
		return fakeserver.Default(c, cmd)
	case word == "SELECT" || word == "SHOW":
		return c.Rows([]string{"server"}, [][]any{{s.name}}, fakeserver.OK{})
	case word == "START" || word == "BEGIN":
		return c.OK(fakeserver.OK{Status: inTransaction})
	case word == "USE":
		c.Schema = rest
		return c.OK(fakeserver.OK{Track: []fakeserver.Track{fakeserver.TrackSchema(rest)}})
	}
	return c.OK(fakeserver.OK{})
}

// aboutStatement reports whether a command is about a prepared statement, and answered.
func aboutStatement(code byte) bool {
	return code == mysql.COM_STMT_EXECUTE || code == mysql.COM_STMT_FETCH || code == mysql.COM_STMT_RESET
}

// owns reports whether a statement id is one of statementID's.
func (s *scriptedServer) owns(id uint32) bool { return id>>8 == uint32(s.name[len(s.name)-1]) }

func (s *scriptedServer) binary(c *fakeserver.Conn, cmd fakeserver.Command) error {
	if cmd.Code == mysql.COM_STMT_FETCH {
		if err := c.BinaryRow(s.name); err != nil {
			return err
		}
		return c.EOF(fakeserver.OK{Status: autocommit | uint16(mysqlwire.StatusLastRowSent)})
	}
	if err := c.Columns("server"); err != nil {
		return err
	}
	if cmd.Payload[4]&cursorFlags != 0 {
		return c.EOF(fakeserver.OK{Status: autocommit | uint16(mysqlwire.StatusCursorExists)})
	}
	if err := c.BinaryRow(s.name); err != nil {
		return err
	}
	return c.EOF(fakeserver.OK{})
}

const (
	autocommit    = uint16(mysqlwire.StatusAutocommit)
	inTransaction = uint16(mysqlwire.StatusAutocommit | mysqlwire.StatusInTrans)
)

// statementID is new for every statement of the server, so that a wrong one is noticed.
func (s *scriptedServer) statementID() uint32 {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.next++
	return s.next + uint32(s.name[len(s.name)-1])<<8
}

var commandNames = map[byte]string{
	mysql.COM_STMT_PREPARE: "PREPARE", mysql.COM_STMT_EXECUTE: "EXECUTE", mysql.COM_STMT_CLOSE: "CLOSE",
	mysql.COM_STMT_FETCH: "FETCH", mysql.COM_STMT_RESET: "RESET STATEMENT", mysql.COM_STMT_SEND_LONG_DATA: "LONG DATA",
	mysql.COM_INIT_DB: "INIT DB", mysql.COM_PING: "PING", mysql.COM_RESET_CONNECTION: "RESET", mysql.COM_PROCESS_KILL: "PROCESS KILL",
	mysql.COM_STATISTICS: "STATISTICS", mysql.COM_SET_OPTION: "SET OPTION", mysql.COM_DEBUG: "DEBUG", mysql.COM_FIELD_LIST: "FIELD LIST",
}

// brief is a command in a form to compare with: a text as it is, anything else by its name.
func brief(cmd fakeserver.Command) string {
	switch {
	case cmd.Code == mysql.COM_QUERY && len(cmd.SQL) > 1<<10:
		return fmt.Sprintf("%s... (%d bytes)", cmd.SQL[:10], len(cmd.SQL))
	case cmd.Code == mysql.COM_QUERY:
		return cmd.SQL
	case cmd.Code == mysql.COM_STMT_PREPARE:
		return "PREPARE " + cmd.SQL
	case cmd.Code == mysql.COM_INIT_DB:
		return "INIT DB " + string(cmd.Payload)
	}
	return commandNames[cmd.Code]
}

// refusing answers a text with an ERR packet, and leaves all others to the default.
func refusing(text string, code uint16) fakeserver.Handler {
	return func(c *fakeserver.Conn, cmd fakeserver.Command) error {
		if cmd.SQL != text {
			return errDefault
		}
		return c.Error(code, "HY000", "refused by script")
	}
}

// hangingUp ends the connection in place of an answer to a text.
func hangingUp(text string) fakeserver.Handler {
	return func(_ *fakeserver.Conn, cmd fakeserver.Command) error {
		if cmd.SQL != text {
			return errDefault
		}
		return errHangUp
	}
}

// reporting answers texts with OK packets.
func answering(answers map[string]fakeserver.OK) fakeserver.Handler {
	return func(c *fakeserver.Conn, cmd fakeserver.Command) error {
		ok, known := answers[cmd.SQL]
		if !known {
			return errDefault
		}
		return c.OK(ok)
	}
}

// writeGTID is the OK of a write whose GTID the primary reports.
func writeGTID(set string) fakeserver.OK {
	return fakeserver.OK{AffectedRows: 1, Track: []fakeserver.Track{fakeserver.TrackGTIDs(set)}}
}

const sourceUUID = "3e11fa47-71ca-11e1-9e33-c80aa9429562"

func mustGTID(t testing.TB, text string) gtid.Set {
	t.Helper()
	set, err := gtid.ParseMySQL(text)
	if err != nil {
		t.Fatal(err)
	}
	return set
}
