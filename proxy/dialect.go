package proxy

import (
	"bytes"

	"github.com/go-mysql-org/go-mysql/mysql"

	"github.com/stickyproxy/stickyproxy/mysqlwire"
	"github.com/stickyproxy/stickyproxy/router"
)

// sameForm reports whether the client would read the server's packet as it is.
func (x *relay) sameForm(ok *mysqlwire.OK, end bool) bool {
	if end {
		old, oldServer := !x.c.caps.Has(mysqlwire.CapDeprecateEOF), !x.l.Capabilities.Has(mysqlwire.CapDeprecateEOF)
		if old || oldServer {
			return old == oldServer
		}
	}
	if x.r.verbatim && x.c.caps.Has(mysqlwire.CapSessionTrack) {
		return true
	}
	if x.c.state.tracking.again && !x.l.MariaDB && x.c.caps.Has(mysqlwire.CapSessionTrack) {
		return false
	}
	return len(ok.Session) == 0 && (ok.Status&mysqlwire.StatusStateChanged == 0 || x.c.caps.Has(mysqlwire.CapSessionTrack))
}

// statusMetadataChanged says that a prepared statement has another number of columns than the client was told.
const statusMetadataChanged mysqlwire.Status = 0x0400

// columnsKnown corrects what the end of rows, or of their definitions, says of a prepared statement's columns. A server
// compares with what it has prepared itself, of which the client may know nothing.
func (x *relay) columnsKnown(packet []byte, status *mysqlwire.Status) {
	st := x.r.stmt
	if st == nil || st.columns == 0 || x.resp.Columns == 0 || x.r.class.Effects.Any(opaque) {
		return
	}
	*status &^= statusMetadataChanged
	if st.columns != x.resp.Columns {
		*status |= statusMetadataChanged
	}
	packet[x.statusAt(packet)+1] = byte(*status >> 8)
}

// openTransaction corrects what the server that does not have the client's transaction says of it: a replica that is asked
// about an earlier statement, or about one that is prepared there, or the primary while the transaction is a READ ONLY one on
// a replica.
func (x *relay) openTransaction(packet []byte, status *mysqlwire.Status) {
	const flags = mysqlwire.StatusInTrans | mysqlwire.StatusInTransRO
	mask := flags | mysqlwire.StatusAutocommit
	if x.c.primary.version == x.c.state.version {
		mask = lasting // MariaDB may keep a flag about sql_mode behind a CALL that has set that only for itself
	}
	other := x.c.primary.status & mask
	switch {
	case x.l.replica == x.c.snapshot.open,
		x.l.replica && x.r.class.Kind != router.Previous && x.r.code != mysql.COM_STMT_FETCH && x.r.code != mysql.COM_STMT_RESET:
		return
	case !x.l.replica:
		mask = flags
		other = flags
	}
	*status = *status&^mask | other
	at := x.statusAt(packet)
	packet[at], packet[at+1] = byte(*status), byte(*status>>8)
}

// follows says in a packet that the results of another part of the client's text follow, if that is so.
func (x *relay) follows(packet []byte, status *mysqlwire.Status) {
	if x.r.follows {
		*status |= mysqlwire.StatusMoreResults
		packet[x.statusAt(packet)] = byte(*status)
	}
}

// statusAt is where the flags are in a packet that was parsed already. In a classic EOF packet the warnings are before
// them, in an OK packet behind.
func (x *relay) statusAt(packet []byte) int {
	classic := !x.l.Capabilities.Has(mysqlwire.CapDeprecateEOF) || len(packet) == mysqlwire.HeaderSize+mysqlwire.EOFSize
	if packet[mysqlwire.HeaderSize] != 0 && classic {
		return mysqlwire.HeaderSize + 3
	}
	at := mysqlwire.HeaderSize + 1
	for range 2 {
		_, n := mysqlwire.Lenenc(packet[at:])
		at += n
	}
	return at
}

// tellsWarnings reports whether a command tells how many warnings the statement before had, which ran on another server.
// MariaDB has no such commands.
func (x *relay) tellsWarnings() bool {
	switch x.r.code {
	case mysql.COM_PING, mysql.COM_INIT_DB, mysql.COM_SET_OPTION:
		return !x.l.MariaDB && x.c.warned != nil && x.c.warned != x.l
	}
	return false
}

// columnsEnd puts in or leaves out the EOF packet behind definitions where the two sides differ.
func (x *relay) columnsEnd(packet []byte) {
	oldStyle := !x.c.caps.Has(mysqlwire.CapDeprecateEOF)
	switch {
	case oldStyle && len(packet) == 0:
		ok := mysqlwire.OK{Status: x.l.status & lasting}
		if x.r.follows {
			ok.Status |= mysqlwire.StatusMoreResults
		}
		x.cut(0)
		x.resp.Sequence++
		x.resp.Shift++
		x.out = ok.AppendEOF(mysqlwire.AppendHeader(x.out, 5, x.resp.Sequence))
	case !oldStyle && len(packet) > 0:
		x.cut(len(packet))
		x.resp.Sequence--
		x.resp.Shift--
	default:
		if len(packet) > 0 {
			if eof, err := mysqlwire.ParseEOF(packet[mysqlwire.HeaderSize:]); err == nil {
				x.columnsKnown(packet, &eof.Status)
				if x.r.class.Reason != router.ReasonServerState || !helps(x.c.text(x.r)) {
					x.openTransaction(packet, &eof.Status)
				}
				x.follows(packet, &eof.Status)
			}
		}
		maskEOF(packet)
		x.pass(len(packet))
	}
}

// helps reports whether a statement is HELP, in the middle of whose answer servers tell of no transaction.
func helps(sql []byte) bool {
	sql = bytes.TrimLeft(sql, " \t\r\n")
	return len(sql) > 4 && bytes.EqualFold(sql[:4], []byte("HELP"))
}

// lasting are the flags that say how the connection is, and not how a statement went.
const lasting = mysqlwire.StatusInTrans | mysqlwire.StatusAutocommit | mysqlwire.StatusInTransRO |
	statusNoBackslashEscapes | statusANSIQuotes

// Flags about sql_mode; a client's library escapes by the first one. The second one is MariaDB's.
const (
	statusNoBackslashEscapes mysqlwire.Status = 0x0200
	statusANSIQuotes         mysqlwire.Status = 0x8000
)
