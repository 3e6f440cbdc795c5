package fakeserver

import "github.com/go-mysql-org/go-mysql/mysql"

// Track is one entry of session tracking in an OK packet: its type and its data without the
// outer length, so that a test can also send what no server would.
// https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_basic_ok_packet.html
type Track struct {
	Type byte
	Data []byte
}

// TrackVariable says that a system variable of the session has changed. MariaDB tells a
// transaction's GTID as the variable last_gtid.
func TrackVariable(name, value string) Track {
	return Track{mysql.SESSION_TRACK_SYSTEM_VARIABLES, appendText(appendText(nil, name), value)}
}

// TrackSchema says what the current schema is now.
func TrackSchema(name string) Track {
	return Track{mysql.SESSION_TRACK_SCHEMA, appendText(nil, name)}
}

// TrackStateChange says that something of the session's state has changed.
func TrackStateChange() Track {
	return Track{mysql.SESSION_TRACK_STATE_CHANGE, appendText(nil, "1")}
}

// TrackGTIDs tells GTIDs as MySQL does (session_track_gtids), with encoding 0.
func TrackGTIDs(set string) Track {
	return Track{mysql.SESSION_TRACK_GTIDS, appendText([]byte{0}, set)}
}

// TrackTransaction tells the state of the transaction, eight characters as in "T___W___".
func TrackTransaction(state string) Track {
	return Track{mysql.SESSION_TRACK_TRANSACTION_STATE, appendText(nil, state)}
}
