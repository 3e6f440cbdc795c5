package doctor

import (
	"context"
	"crypto/tls"
	"errors"
	"strconv"
	"strings"
	"time"

	"github.com/stickyproxy/stickyproxy/backend"
	"github.com/stickyproxy/stickyproxy/mysqlwire"
)

// variableNames are the global variables that are looked at. A server that lacks some does not mind.
var variableNames = []string{
	// who it is and what it lets through
	"server_id", "server_uuid", "read_only", "super_read_only",
	// what is proof
	"session_track_system_variables", "gtid_mode", "enforce_gtid_consistency", "gtid_strict_mode", "log_bin", "binlog_format",
	// how it replicates
	"replica_skip_errors", "slave_skip_errors", "replica_exec_mode", "slave_exec_mode", "replica_parallel_workers", "slave_parallel_workers",
	"replica_preserve_commit_order", "slave_preserve_commit_order", "replicate_events_marked_for_skip",
	// what a statement means
	"sql_mode", "collation_server", "time_zone", "system_time_zone", "lower_case_table_names", "transaction_isolation", "tx_isolation",
	"group_concat_max_len", "default_week_format", "div_precision_increment", "lc_time_names", "sql_select_limit", "max_sort_length",
	"max_allowed_packet",
}

// visitor asks one server. It belongs to the goroutine of visit.
type visitor struct {
	ctx   context.Context
	conn  *backend.Conn
	chart *chart
}

// visit asks one server all there is to ask, within ctx. Elsewhere are the positions of its replicas if it is the
// primary; their charts get what it does not have.
func visit(ctx context.Context, server backend.ServerConfig, role backend.Role, account backend.Account, elsewhere []*chart) *chart {
	c := &chart{address: server.Address, role: role}
	s, err := backend.NewServer(server)
	if err != nil {
		c.err = err
		return c
	}
	conn, err := s.Connect(ctx, login(account, server.Address))
	if err != nil {
		c.err = err
		return c
	}
	defer conn.Close()
	c.introduce(s, conn)
	if c.expired {
		return c
	}
	v := &visitor{ctx: ctx, conn: conn, chart: c}
	c.err = v.askAll(elsewhere)
	return c
}

// login is how the doctor logs in: as the monitor does.
func login(account backend.Account, address string) backend.Login {
	return backend.Login{
		User: account.User, Password: account.Password, Collation: mysqlwire.CollationUTF8MB4,
		Attributes: mysqlwire.AppendAttribute(nil, "program_name", "stickyproxy check"),
		TLS:        !strings.HasPrefix(address, "unix:"),
	}
}

// introduce notes what a login tells.
func (c *chart) introduce(s *backend.Server, conn *backend.Conn) {
	c.announced, c.version, c.mariaDB = conn.Version, readRelease(conn.Version), conn.MariaDB
	c.tracked, c.expired, c.incarnation = conn.Tracked, conn.Expired, conn.Incarnation
	if t, ok := conn.Conn.(*tls.Conn); ok {
		c.tls = tls.VersionName(t.ConnectionState().Version)
	}
	g, _ := s.Greeting()
	c.offersTLS = g.Capabilities.Has(mysqlwire.CapSSL)
}

// askAll asks everything. What the account may not ask is noted; the error is that of a connection that broke.
func (v *visitor) askAll(elsewhere []*chart) error {
	for _, ask := range []func() error{v.askVariables, v.askPosition, v.askStreams, v.askBinlog, v.askGrants, v.askWriters, v.askClock} {
		if err := ask(); err != nil {
			return err
		}
	}
	for _, replica := range elsewhere {
		if err := v.askErrant(replica); err != nil {
			return err
		}
	}
	return nil
}

// query asks one question. An answer of the server that is an error is returned apart from a broken connection.
func (v *visitor) query(sql string) (rows []row, refused, broken error) {
	answer, err := v.conn.Query(v.ctx, sql)
	var no *mysqlwire.Error
	switch {
	case errors.As(err, &no):
		return nil, no, nil
	case err != nil:
		return nil, nil, err
	}
	for _, values := range answer.Values {
		r := make(row, len(values))
		for i, value := range values {
			r[answer.Columns[i]] = value.String
		}
		rows = append(rows, r)
	}
	return rows, nil, nil
}

// one asks for one value; "" when the server refuses.
func (v *visitor) one(expression string) (string, error) {
	rows, _, err := v.query("SELECT " + expression + " AS value")
	if err != nil || len(rows) == 0 {
		return "", err
	}
	return rows[0]["value"], nil
}

func (v *visitor) askVariables() error {
	rows, refused, err := v.query("SHOW GLOBAL VARIABLES WHERE Variable_name IN ('" + strings.Join(variableNames, "','") + "')")
	if err != nil || refused != nil {
		return errors.Join(err, refused)
	}
	v.chart.variables = make(map[string]string, len(rows))
	for _, r := range rows {
		v.chart.variables[strings.ToLower(r["Variable_name"])] = r["Value"]
	}
	return nil
}

// askPosition asks for what errant transactions are looked for in.
func (v *visitor) askPosition() (err error) {
	name := "@@global.gtid_executed"
	if v.chart.mariaDB {
		name = "@@global.gtid_binlog_state"
	}
	v.chart.executed, err = v.one(name)
	return err
}

// askStreams asks what the server replicates.
// https://dev.mysql.com/doc/refman/en/show-replica-status.html
// https://mariadb.com/kb/en/show-replica-status/
func (v *visitor) askStreams() (err error) {
	statement := "SHOW REPLICA STATUS"
	switch {
	case v.chart.mariaDB:
		statement = "SHOW ALL SLAVES STATUS"
	case v.chart.version.before(8, 0, 22):
		statement = "SHOW SLAVE STATUS"
	}
	v.chart.streams, v.chart.streamsNo, err = v.query(statement)
	return err
}

// askBinlog asks for the end of the binary log, and which schemas are left out of it.
// https://dev.mysql.com/doc/refman/en/show-binary-log-status.html
func (v *visitor) askBinlog() error {
	statement := "SHOW BINARY LOG STATUS"
	if v.chart.mariaDB || v.chart.version.before(8, 2, 0) {
		statement = "SHOW MASTER STATUS"
	}
	rows, refused, err := v.query(statement)
	v.chart.binlogNo = refused
	if len(rows) > 0 {
		v.chart.binlog = rows[0]
	}
	return err
}

func (v *visitor) askGrants() (err error) {
	if v.chart.account, err = v.one("CURRENT_USER()"); err != nil {
		return err
	}
	v.chart.grants, err = v.grants()
	return err
}

// grants are those of the account that is logged in. Everybody may see their own.
func (v *visitor) grants() (list []string, err error) {
	rows, _, err := v.query("SHOW GRANTS")
	for _, r := range rows {
		for _, grant := range r { // the only column is named after the account
			list = append(list, grant)
		}
	}
	return list, err
}

// askWriters asks who may write although the server is read-only. An account with few privileges sees itself only.
func (v *visitor) askWriters() error {
	rows, _, err := v.query("SELECT DISTINCT grantee AS grantee FROM information_schema.user_privileges WHERE privilege_type IN ('" +
		strings.Join(readOnlyPasses, "','") + "') ORDER BY grantee")
	for _, r := range rows {
		v.chart.writers = append(v.chart.writers, r["grantee"])
	}
	return err
}

// askClock compares the server's clock with ours: its time was read between the question and the answer.
func (v *visitor) askClock() error {
	sent := time.Now()
	text, err := v.one("UNIX_TIMESTAMP(NOW(6))")
	took := time.Since(sent)
	seconds, bad := strconv.ParseFloat(text, 64)
	if err != nil || bad != nil {
		v.chart.clockError = maxClockError // it is not known
		return err
	}
	between := sent.Add(took / 2)
	v.chart.clock = time.UnixMicro(int64(seconds * 1e6)).Sub(between.Round(0))
	v.chart.clockError = took/2 + time.Millisecond
	return nil
}

// maxClockError is more than clocks are looked at with.
const maxClockError = 1000 * time.Hour

// askErrant asks the primary what of a replica's transactions it does not have. It comes after the replica's answer, so
// that nothing new is taken for errant.
// https://dev.mysql.com/doc/refman/en/gtid-functions.html#function_gtid-subtract
func (v *visitor) askErrant(replica *chart) (err error) {
	if replica.executed == "" || replica.mariaDB != v.chart.mariaDB {
		return nil
	}
	if v.chart.mariaDB {
		replica.errant = errantMariaDB(replica.executed, v.chart.executed, replica.id())
		return nil
	}
	replica.errant, err = v.one("GTID_SUBTRACT('" + strings.ReplaceAll(replica.executed, "\n", "") + "', @@global.gtid_executed)")
	return err
}

// errantMariaDB returns the transactions in a replica's gtid_binlog_state that were written on it, by its server id,
// and are not in the primary's. Both are lists of domain-server-sequence.
// https://mariadb.com/kb/en/gtid/#gtid_binlog_state
func errantMariaDB(replica, primary, id string) string {
	had := make(map[string]uint64)
	for origin, n := range mariaDBState(primary) {
		had[origin] = n
	}
	var errant []string
	for origin, n := range mariaDBState(replica) {
		if _, server, _ := strings.Cut(origin, "-"); server == id && n > had[origin] {
			errant = append(errant, origin+"-"+strconv.FormatUint(n, 10))
		}
	}
	return strings.Join(errant, ",")
}

// mariaDBState yields the last sequence number of each domain and server.
func mariaDBState(text string) func(func(string, uint64) bool) {
	return func(yield func(string, uint64) bool) {
		for item := range strings.SplitSeq(text, ",") {
			item = strings.TrimSpace(item)
			i := strings.LastIndexByte(item, '-')
			if i < 0 {
				continue
			}
			if n, err := strconv.ParseUint(item[i+1:], 10, 64); err == nil && !yield(item[:i], n) {
				return
			}
		}
	}
}
