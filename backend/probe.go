package backend

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/stickyproxy/stickyproxy/gtid"
)

// Role is what a server is configured as.
type Role string

// The roles.
const (
	RolePrimary Role = "primary"
	RoleReplica Role = "replica"
)

// facts is what a server said about itself when it was asked once.
type facts struct {
	sent, got   time.Time // when the first question was sent, and when the last answer was there
	version     string
	incarnation string
	id          string // how replicas name it as their source: server_uuid, on MariaDB server_id
	readOnly    bool
	clock       time.Time // what the server's clock showed between sent and got
	executed    gtid.Set  // of a replica: what reads see
	shown       gtid.Set  // of a replica: no less than what reads had seen before sent; empty: unknown
	written     gtid.Set  // of the primary: no less than what was acknowledged, or seen by anybody, before sent; empty: unknown
	has         gtid.Set  // of the primary: the transactions that it has, and no others; empty: unknown
	byFile      bool      // written is a file and an offset, because not every write has a GTID
	sources     []source
}

// source is one stream that a server replicates.
type source struct {
	id      string   // see facts.id
	running bool     // its threads run; one that tries to reconnect does
	applied gtid.Set // how much of the source's binlog is applied, as file and offset
	problem string   // why it does not run, as the server tells
}

// follows tells whether the server replicates from anywhere, or is set up to.
func (f *facts) follows() bool { return len(f.sources) > 0 }

// replicating tells whether the server replicates and no stream of it is stopped.
func (f *facts) replicating() bool {
	for _, s := range f.sources {
		if !s.running {
			return false
		}
	}
	return f.follows()
}

// position is what of the primary's writes a replica has, in the terms of the primary's positions.
func (f *facts) position(primary *facts) gtid.Set {
	if !primary.byFile {
		return f.executed
	}
	for _, s := range f.sources {
		if s.id == primary.id {
			return s.applied
		}
	}
	return gtid.Set{} // it follows somebody else, whose files are other files
}

// probe asks the server that c leads to about itself.
func probe(ctx context.Context, c *Conn, role Role, now func() time.Time) (*facts, error) {
	f := &facts{sent: now(), version: c.Version}
	ask := askMySQL
	if c.MariaDB {
		ask = askMariaDB
	}
	if err := ask(ctx, c, role, f); err != nil {
		return nil, err
	}
	if role == RoleReplica || f.readOnly {
		if err := f.askReplication(ctx, c); err != nil {
			return nil, err
		}
	}
	f.got = now()
	return f, nil
}

// probePosition asks a server for its position, and takes the rest from its last answer.
func probePosition(ctx context.Context, c *Conn, role Role, last *facts, now func() time.Time) (*facts, error) {
	f := *last
	f.sent = now()
	ask := askMySQL
	if c.MariaDB {
		ask = askMariaDB
	}
	if err := ask(ctx, c, role, &f); err != nil {
		return nil, err
	}
	f.got = now()
	return &f, nil
}

// gotOr is when the answer was there, or other if there is no answer.
func (f *facts) gotOr(other time.Time) time.Time {
	if f == nil {
		return other
	}
	return f.got
}

// askMariaDB asks for what needs no privilege. The primary's position is gtid_binlog_pos: a transaction is there before
// it is acknowledged, and before anybody sees it. The replica's is gtid_slave_pos, where it comes only when reads see it.
// Both name the last writer of a domain only; what the primary has of earlier ones is in gtid_binlog_state, and in the
// gtid_slave_pos of the time when it was a replica itself.
// https://mariadb.com/kb/en/gtid/#system-variables-related-to-gtid
func askMariaDB(ctx context.Context, c *Conn, role Role, f *facts) error {
	row, err := askRow(ctx, c, "SELECT "+incarnationMariaDB+
		", UNIX_TIMESTAMP(NOW(6)), @@global.server_id, @@global.read_only, @@global.gtid_slave_pos, @@global.gtid_binlog_pos, @@global.gtid_binlog_state")
	if err != nil {
		return err
	}
	f.incarnation, f.clock, f.id, f.readOnly = row[0], unixTime(row[1]), row[2], isOn(row[3])
	applied, err := gtid.ParseMariaDB(row[4])
	if err != nil || role == RoleReplica {
		f.executed = applied
		return err
	}
	if f.written, err = gtid.ParseMariaDB(row[5]); err != nil {
		return err
	}
	logged, err := gtid.ParseMariaDB(row[6])
	f.has = logged.Union(applied)
	return err
}

// askMySQL asks for what needs no privilege, and of a primary where some writes have no GTID for its binlog. A
// transaction can be seen a moment before it is in gtid_executed: then it is in gtid_owned, which is therefore read
// first.
// https://dev.mysql.com/doc/refman/en/replication-options-gtids.html
func askMySQL(ctx context.Context, c *Conn, role Role, f *facts) error {
	row, err := askRow(ctx, c, "SELECT "+incarnationMySQL+
		", UNIX_TIMESTAMP(NOW(6)), @@server_uuid, @@global.read_only, @@global.gtid_owned, @@global.gtid_executed, @@global.gtid_mode")
	if err != nil {
		return err
	}
	f.incarnation, f.clock, f.id, f.readOnly = row[0], unixTime(row[1]), row[2], isOn(row[3])
	owned, err := parseOwned(row[4])
	if err != nil {
		return err
	}
	executed, err := gtid.ParseMySQL(row[5])
	if err != nil {
		return err
	}
	if role == RoleReplica {
		f.executed, f.shown = executed, executed.Union(owned)
		return nil
	}
	f.written, f.has, f.byFile = executed.Union(owned), executed, false
	if row[6] == "ON" {
		return nil
	}
	f.has, f.byFile = gtid.Set{}, true
	f.written, err = askBinlog(ctx, c)
	return err
}

// parseOwned reads @@gtid_owned: a GTID set in which each number is followed by the threads that have it, "#7".
func parseOwned(text string) (gtid.Set, error) {
	if !strings.Contains(text, "#") {
		return gtid.ParseMySQL(text)
	}
	plain := make([]byte, 0, len(text))
	thread := false
	for _, c := range []byte(text) {
		thread = c == '#' || thread && '0' <= c && c <= '9'
		if !thread {
			plain = append(plain, c)
		}
	}
	return gtid.ParseMySQL(string(plain))
}

// unixTime reads seconds and a fraction; the zero time if they are none.
func unixTime(s string) time.Time {
	seconds, err := strconv.ParseFloat(s, 64)
	if err != nil || seconds <= 0 {
		return time.Time{}
	}
	return time.UnixMicro(int64(seconds * 1e6))
}

// askBinlog asks for the end of the server's binlog; the empty position where there is none. It needs REPLICATION
// CLIENT. The old statement went with MySQL 8.4.
// https://dev.mysql.com/doc/refman/en/show-binary-log-status.html
func askBinlog(ctx context.Context, c *Conn) (gtid.Set, error) {
	statement := "SHOW MASTER STATUS"
	if parseVersion(c.Version).atLeast(8, 2, 0) {
		statement = "SHOW BINARY LOG STATUS"
	}
	rows, err := c.Query(ctx, statement)
	if err != nil {
		return gtid.Set{}, fmt.Errorf("%s: %w", statement, err)
	}
	if len(rows.Values) == 0 {
		return gtid.Set{}, nil
	}
	return filePosition(rows.field(0, "File"), rows.field(0, "Position"))
}

// askReplication asks what the server replicates. It needs REPLICATION CLIENT, on MariaDB from 10.5 on REPLICA MONITOR.
// https://dev.mysql.com/doc/refman/en/show-replica-status.html
// https://mariadb.com/kb/en/show-replica-status/
func (f *facts) askReplication(ctx context.Context, c *Conn) error {
	statement := "SHOW SLAVE STATUS"
	switch {
	case c.MariaDB:
		statement = "SHOW ALL SLAVES STATUS"
	case parseVersion(c.Version).atLeast(8, 0, 22):
		statement = "SHOW REPLICA STATUS"
	}
	rows, err := c.Query(ctx, statement)
	if err != nil {
		return fmt.Errorf("%s: %w", statement, err)
	}
	for i := range rows.Values {
		f.sources = append(f.sources, readSource(rows, i, c.MariaDB))
	}
	return nil
}

// readSource reads one row of the replication status, whose columns have older and newer names. Seconds_Behind_Source
// is left out on purpose: it is 0 when all that arrived is applied, however much did not arrive.
func readSource(rows *Rows, i int, mariaDB bool) source {
	s := source{id: rows.field(i, "Source_UUID", "Master_UUID")}
	if mariaDB {
		s.id = rows.field(i, "Master_Server_Id")
	}
	receiver := rows.field(i, "Replica_IO_Running", "Slave_IO_Running")
	applier := rows.field(i, "Replica_SQL_Running", "Slave_SQL_Running")
	s.running = receiver != "" && receiver != "No" && applier == "Yes"
	if !s.running {
		s.problem = firstText(rows.field(i, "Last_SQL_Error"), rows.field(i, "Last_IO_Error"), "replication is stopped")
	}
	// A position that cannot be read is unknown: the replica proves nothing then.
	s.applied, _ = filePosition(rows.field(i, "Relay_Source_Log_File", "Relay_Master_Log_File"), rows.field(i, "Exec_Source_Log_Pos", "Exec_Master_Log_Pos"))
	return s
}

// filePosition makes a position of two texts.
func filePosition(file, offset string) (gtid.Set, error) {
	n, err := strconv.ParseUint(offset, 10, 64)
	if err != nil {
		return gtid.Set{}, fmt.Errorf("binlog offset %q: %w", offset, err)
	}
	return gtid.ParseFile(file, n)
}

// askRow asks for one row and returns its values; NULL is the empty text.
func askRow(ctx context.Context, c *Conn, query string) ([]string, error) {
	rows, err := c.Query(ctx, query)
	if err != nil {
		return nil, err
	}
	if len(rows.Values) != 1 {
		return nil, fmt.Errorf("%w: %d rows where one was asked for", errProtocol, len(rows.Values))
	}
	row := make([]string, len(rows.Columns))
	for i, v := range rows.Values[0] {
		row[i] = v.String
	}
	return row, nil
}

// field is the value in row i of the first column that is there; empty when none is.
func (r *Rows) field(i int, names ...string) string {
	for _, name := range names {
		for j, column := range r.Columns {
			if column == name {
				return r.Values[i][j].String
			}
		}
	}
	return ""
}

// isOn reads a switch. MariaDB 12 has more values of read_only than on and off; all but off forbid writes to somebody.
func isOn(s string) bool { return s != "" && s != "0" && s != "OFF" }

// firstText is the first of the texts that is not empty.
func firstText(texts ...string) string {
	for _, s := range texts {
		if s != "" {
			return s
		}
	}
	return ""
}
