package lab

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/go-mysql-org/go-mysql/mysql"

	"github.com/stickyproxy/stickyproxy/backend"
	"github.com/stickyproxy/stickyproxy/bench/client"
	"github.com/stickyproxy/stickyproxy/mysqlwire"
)

// clockDifference is what two clocks may differ by before somebody should know.
const clockDifference = time.Second

// withServer runs f on a connection to a server, and notes what the server is.
func (l *Lab) withServer(ctx context.Context, e client.Endpoint, role string, f func(*client.Conn) error) error {
	c, err := client.Dial(ctx, e, client.Modern)
	if err != nil {
		return err
	}
	defer c.Close()
	rows, err := c.Query(ctx, "SELECT VERSION(), UNIX_TIMESTAMP(NOW(6))")
	if err != nil {
		return err
	}
	row := rows.Values[0]
	l.Servers = append(l.Servers, Server{Role: role, Name: e.Name, Address: e.Address, Version: row[0].String})
	if seconds, err := strconv.ParseFloat(row[1].String, 64); err == nil {
		l.checkClock(e, time.UnixMicro(int64(seconds*1e6)))
	}
	return f(c)
}

// checkClock notes a clock that is wrong. Our figures do not depend on it, but the servers' own lag and delays do.
func (l *Lab) checkClock(e client.Endpoint, now time.Time) {
	if d := time.Until(now); d.Abs() > clockDifference {
		l.Problems = append(l.Problems, fmt.Sprintf("the clock of %s differs from ours by %v: these figures do not depend on it, the servers' own lag and delay do", e.Name, d.Round(10*time.Millisecond)))
	}
}

// checkPrimary tells why the server cannot be written to.
func (l *Lab) checkPrimary(ctx context.Context) error {
	return l.withServer(ctx, l.Primary, "primary", func(c *client.Conn) error {
		rows, err := c.Query(ctx, "SELECT @@GLOBAL.read_only")
		if err != nil {
			return err
		}
		if rows.Values[0][0].String != "0" {
			return errors.New("it is read-only (read_only=ON); name the server that takes writes")
		}
		return nil
	})
}

// checkReplica tells why the server is no replica that can be measured.
func (l *Lab) checkReplica(ctx context.Context, e client.Endpoint) error {
	return l.withServer(ctx, e, "replica", func(c *client.Conn) error {
		rows, err := replication(ctx, c)
		if err != nil {
			return err
		}
		if len(rows.Values) == 0 {
			return errors.New("it is not a replica: it follows no other server")
		}
		return stopped(rows)
	})
}

// replication asks what a server follows. The statement with the new name is older servers' syntax error.
// https://dev.mysql.com/doc/refman/en/show-replica-status.html
func replication(ctx context.Context, c *client.Conn) (*backend.Rows, error) {
	rows, err := c.Query(ctx, "SHOW REPLICA STATUS")
	var refused *mysqlwire.Error
	if errors.As(err, &refused) && refused.Code == mysql.ER_PARSE_ERROR {
		rows, err = c.Query(ctx, "SHOW SLAVE STATUS")
	}
	if err == nil && len(rows.Values) == 0 && strings.Contains(c.Version(), "MariaDB") {
		rows, err = c.Query(ctx, "SHOW ALL SLAVES STATUS") // replication that has a name
	}
	if errors.As(err, &refused) && refused.Code == mysql.ER_SPECIFIC_ACCESS_DENIED_ERROR {
		return nil, fmt.Errorf("the account may not ask about replication; GRANT REPLICATION CLIENT ON *.* to it (MariaDB: REPLICA MONITOR): %w", err)
	}
	return rows, err
}

// stopped tells why a replica does not replicate.
func stopped(rows *backend.Rows) error {
	for _, row := range rows.Values {
		field := fields(rows.Columns, row)
		receives, applies := field("Replica_IO_Running", "Slave_IO_Running"), field("Replica_SQL_Running", "Slave_SQL_Running")
		if receives == "No" || applies == "No" {
			return fmt.Errorf("replication does not run (receiver: %s, applier: %s): %s%s", receives, applies, field("Last_IO_Error"), field("Last_SQL_Error"))
		}
	}
	return nil
}

// fields returns a function that finds a column's value by one of its names.
func fields(columns []string, row []sql.NullString) func(names ...string) string {
	return func(names ...string) string {
		for i, column := range columns {
			for _, name := range names {
				if column == name {
					return row[i].String
				}
			}
		}
		return ""
	}
}
