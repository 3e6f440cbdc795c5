package backend

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/go-mysql-org/go-mysql/mysql"

	"github.com/stickyproxy/stickyproxy/mysqlwire"
)

// What turns the session trackers on. The list '*' is every session variable, on MariaDB with last_gtid, its way to
// report a transaction's GTID; on MySQL 8 and later with statement_id, which comes with every OK. CHARACTERISTICS rather
// than STATE because only it tells about a SET TRANSACTION for the next transaction.
// https://dev.mysql.com/doc/refman/en/session-state-tracking.html
// https://mariadb.com/kb/en/session_track_system_variables/
const (
	trackMariaDB = "SET SESSION session_track_system_variables='*', session_track_schema=ON, session_track_state_change=ON, session_track_transaction_info='CHARACTERISTICS'"
	trackMySQL   = trackMariaDB + ", session_track_gtids=OWN_GTID"
)

// Which server answers. The two last groups of UUID() are the server's network address and a clock sequence that a
// server draws anew whenever it starts, so a server that came back from a crash or a restore is another one although it
// kept its uuid. (The start itself can only be had from the status counters, 0.2 to 0.6 ms of the server's time a
// question where UUID() takes nothing measurable.) MariaDB has no server_uuid.
// https://dev.mysql.com/doc/refman/en/miscellaneous-functions.html#function_uuid
const (
	incarnationMySQL   = "CONCAT(@@server_uuid,'/',RIGHT(UUID(),17))"
	incarnationMariaDB = "CONCAT(@@global.server_id,'/',@@hostname,':',@@port,'/',RIGHT(UUID(),17))"
)

// incarnationOf is the expression for the flavor.
func incarnationOf(mariaDB bool) string {
	if mariaDB {
		return incarnationMariaDB
	}
	return incarnationMySQL
}

// setUp makes the fresh session ours and learns about it, in one round trip.
func (c *Conn) setUp(l Login) error {
	c.tellsTrackers = l.Capabilities.Has(mysqlwire.CapSessionTrack)
	out := c.appendOwner(c.appendCollation(nil), l)
	if _, err := c.Conn.Write(c.appendSetUp(out)); err != nil {
		return err
	}
	if err := c.readCollation(); err != nil {
		return fmt.Errorf("setting the collation: %w", err)
	}
	if err := c.readOwner(l); err != nil {
		return err
	}
	return c.readSetUp()
}

// appendSetUp appends the two statements of setUp. The one that returns rows is the first, so that ROW_COUNT() is after
// them what it is in a fresh session.
func (c *Conn) appendSetUp(out []byte) []byte {
	return c.appendTracking(c.appendQuery(out, c.setUpQuestion().query))
}

// smallestPacket is the least that max_allowed_packet can be, bytes: a server with that takes no longer statement, of ours
// either. https://mariadb.com/kb/en/server-system-variables/#max_allowed_packet
const smallestPacket = 1 << 10

// setUpQuestion is what setUp asks: once made, because every login asks it.
type setUpQuestion struct {
	query string
	names []string // of the variables among it
}

// The questions by flavor and age, and by the trackers among them.
var (
	setUpMariaDB    = setUpQuestions(true, version{11, 2, 0})
	setUpMariaDB111 = setUpQuestions(true, version{11, 1, 1})
	setUpOldMariaDB = setUpQuestions(true, version{})
	setUpMySQL      = setUpQuestions(false, version{8, 0, 0})
	setUpOldMySQL   = setUpQuestions(false, version{})
)

func setUpQuestions(mariaDB bool, v version) (all [3]setUpQuestion) {
	for i := range all {
		names := askedVariables(mariaDB, v, trackersAsked(i))
		all[i] = setUpQuestion{"SELECT " + incarnationOf(mariaDB) + ", DATABASE(), " + variablesQuery(names), names}
	}
	return all
}

func (c *Conn) setUpQuestion() *setUpQuestion {
	v := parseVersion(c.Version)
	asked, old := trackersNone, oldNames(c.MariaDB, v)
	if c.Capabilities.Has(mysqlwire.CapSessionTrack) {
		asked = trackersOurs
		if c.tellsTrackers {
			asked = trackersClients
		}
	}
	switch {
	case c.MariaDB && old:
		return &setUpOldMariaDB[asked]
	case c.MariaDB && !choosesEncryption(true, v):
		return &setUpMariaDB111[asked]
	case c.MariaDB:
		return &setUpMariaDB[asked]
	case old:
		return &setUpOldMySQL[trackersNone] // some of them lack trackers
	}
	return &setUpMySQL[asked]
}

// readSetUp reads the answers to them.
func (c *Conn) readSetUp() error {
	rows, ok, err := c.readResult()
	if c.Expired = isExpired(err); err != nil && !c.Expired {
		return fmt.Errorf("asking which server it is: %w", err)
	}
	if err := c.readTracking(); err != nil {
		return fmt.Errorf("turning the session trackers on: %w", err)
	}
	if c.Expired {
		c.Tracked = false // changes to what is not known are of no use
		return c.reader.empty()
	}
	if len(rows.Values) != 1 || len(rows.Values[0]) != 3 || rows.Values[0][0].String == "" {
		return fmt.Errorf("%w: it does not say which server it is", errProtocol)
	}
	row := rows.Values[0]
	c.Incarnation, c.Schema, c.Variables = row[0].String, row[1].String, newVariables(c.setUpQuestion().names, row[2].String)
	c.Status = ok.Status
	if c.MariaDB && c.Variables.Get(trackerPrefix+"system_variables") == "" {
		c.Tracked = false // where a session begins without that tracker, no SET turns it on (seen with 10.11)
	}
	return c.reader.empty()
}

// reset is Reset without the bounds.
func (c *Conn) reset() error {
	out := mysqlwire.AppendPacket(nil, 0, []byte{mysql.COM_RESET_CONNECTION})
	if _, err := c.Conn.Write(c.appendSetUp(out)); err != nil {
		return err
	}
	if _, _, err := c.readResult(); err != nil {
		return fmt.Errorf("resetting the session: %w", err)
	}
	return c.readSetUp()
}

// appendTracking appends the statement that turns the trackers on, where the server has any.
func (c *Conn) appendTracking(out []byte) []byte {
	switch {
	case !c.Capabilities.Has(mysqlwire.CapSessionTrack):
		return out
	case c.MariaDB:
		return c.appendQuery(out, trackMariaDB)
	}
	return c.appendQuery(out, trackMySQL)
}

// readTracking reads the answer to appendTracking. A server that announces session tracking but lacks a variable of it
// (they came one by one during MySQL 5.7) counts as one that does not track, and so does one that wants a new password
// first.
func (c *Conn) readTracking() error {
	if !c.Capabilities.Has(mysqlwire.CapSessionTrack) {
		return nil
	}
	_, _, err := c.readResult()
	var refused *mysqlwire.Error
	if isExpired(err) || errors.As(err, &refused) && refused.Code == mysql.ER_UNKNOWN_SYSTEM_VARIABLE {
		c.Tracked = false
		return nil
	}
	c.Tracked = err == nil
	return err
}

// isMariaDB tells the flavor of a server by what it announces: MariaDB leaves one flag out that every MySQL has, even
// where the version was configured to look like another one.
func isMariaDB(g mysqlwire.Greeting) bool {
	return !g.Capabilities.Has(mysqlwire.CapLongPassword) || strings.Contains(strings.ToLower(g.Version), "mariadb")
}

// version is a server's version as it can be compared.
type version struct{ major, minor, patch int }

// parseVersion reads "8.0.36-debug" or "5.5.5-10.11.19-MariaDB". What is not a number is 0.
func parseVersion(s string) version {
	s = strings.TrimPrefix(s, "5.5.5-") // MariaDB 10, for replicas of MySQL 5.5
	var n [3]int
	for i := range n {
		digits := s
		if end := strings.IndexFunc(s, func(r rune) bool { return r < '0' || r > '9' }); end >= 0 {
			digits, s = s[:end], s[end:]
		} else {
			s = ""
		}
		n[i], _ = strconv.Atoi(digits)
		if !strings.HasPrefix(s, ".") {
			break
		}
		s = s[1:]
	}
	return version{n[0], n[1], n[2]}
}

// atLeast tells whether v is that version or a later one.
func (v version) atLeast(major, minor, patch int) bool {
	if v.major != major {
		return v.major > major
	}
	if v.minor != minor {
		return v.minor > minor
	}
	return v.patch >= patch
}
