package mysqltest

import (
	"fmt"
	"strings"
	"time"
)

// dialect writes the statements that differ between the engines, or with and without GTIDs.
type dialect struct {
	engine Engine
	gtid   bool
}

// accounts makes the accounts and the application's schema. Run on the primary, it becomes the
// first entries of the binlog and so happens on the replicas too.
func (d dialect) accounts(app, monitor, replication, root Account) string {
	monitoring := "REPLICATION CLIENT"
	if d.engine == MariaDB {
		// BINLOG MONITOR is MariaDB's name of REPLICATION CLIENT since 10.5.2; SHOW REPLICA STATUS
		// needs the other one. https://mariadb.com/docs/server/reference/sql-statements/account-management-sql-statements/grant
		monitoring = "BINLOG MONITOR, REPLICA MONITOR"
	}
	var b strings.Builder
	fmt.Fprintf(&b, "CREATE DATABASE %s CHARACTER SET utf8mb4;\n", AppSchema)
	for _, a := range []struct {
		Account
		grant string
	}{
		{root, "ALL ON *.* TO %s WITH GRANT OPTION"},
		{app, "ALL ON " + AppSchema + ".* TO %s"},
		{monitor, monitoring + " ON *.* TO %s"},
		{replication, "REPLICATION SLAVE ON *.* TO %s"},
	} {
		name := "'" + a.User + "'@'%'"
		fmt.Fprintf(&b, "CREATE USER %s IDENTIFIED BY '%s';\nGRANT %s;\n", name, a.Password, fmt.Sprintf(a.grant, name))
	}
	return b.String()
}

// follow makes a fresh replica follow the primary from the primary's first change on.
func (d dialect) follow(port int, a Account, authority string) string {
	options := []string{
		"HOST='127.0.0.1'", fmt.Sprintf("PORT=%d", port),
		"USER='" + a.User + "'", "PASSWORD='" + a.Password + "'",
		"CONNECT_RETRY=1", "SSL=1", "SSL_CA='" + authority + "'",
	}
	switch {
	case d.engine == MySQL && d.gtid:
		options = append(options, "AUTO_POSITION=1")
	case d.gtid:
		options = append(options, "USE_GTID=slave_pos")
	case d.engine == MariaDB:
		options = append(options, "USE_GTID=no")
	}
	if d.engine == MySQL {
		options = append(options, "RETRY_COUNT=86400") // MySQL 9 gives up after 10
	}
	if !d.gtid {
		options = append(options, "LOG_FILE='binlog.000001'", "LOG_POS=4") // where every binlog begins
	}
	return d.change(options...) + " " + d.threads("START", "")
}

// change is the statement that changes how a replica follows; options lack their first word.
func (d dialect) change(options ...string) string {
	verb, word := "CHANGE REPLICATION SOURCE TO ", "SOURCE_"
	if d.engine == MariaDB {
		verb, word = "CHANGE MASTER TO ", "MASTER_"
	}
	return verb + word + strings.Join(options, ", "+word) + ";"
}

// threads is START or STOP of a replica's threads: SQL_THREAD, IO_THREAD, or both ("").
func (d dialect) threads(verb, thread string) string {
	word := " REPLICA "
	if d.engine == MariaDB {
		word = " SLAVE "
	}
	return strings.TrimSpace(verb+word+thread) + ";"
}

// delay makes a replica late. MariaDB wants both threads to stand still for it.
func (d dialect) delay(lag time.Duration) string {
	return d.threads("STOP", "") + d.change(fmt.Sprintf("DELAY=%d", lag/time.Second)) + d.threads("START", "")
}

// position asks for what a server has executed.
func (d dialect) position(primary bool) string {
	switch {
	case d.engine == MySQL:
		return "SELECT @@GLOBAL.gtid_executed"
	case primary:
		return "SELECT @@GLOBAL.gtid_binlog_pos"
	}
	return "SELECT @@GLOBAL.gtid_slave_pos"
}

// target asks the primary for what a replica has to wait for. The last line of SHOW BINARY LOGS
// has the file and the offset.
func (d dialect) target() string {
	if d.gtid {
		return d.position(true)
	}
	return "SHOW BINARY LOGS"
}

// wait waits on a replica for the primary's answer to target, a second at most. Its answer is for
// waited.
func (d dialect) wait(target string) (string, error) {
	if d.gtid {
		function := "WAIT_FOR_EXECUTED_GTID_SET"
		if d.engine == MariaDB {
			function = "MASTER_GTID_WAIT"
		}
		return fmt.Sprintf("SELECT %s('%s', 1)", function, strings.ReplaceAll(target, "\n", "")), nil
	}
	fields := strings.Fields(lastLines([]byte(target), 1))
	if len(fields) < 2 {
		return "", fmt.Errorf("SHOW BINARY LOGS: not understood: %q", target)
	}
	function := "SOURCE_POS_WAIT"
	if d.engine == MariaDB {
		function = "MASTER_POS_WAIT"
	}
	return fmt.Sprintf("SELECT %s('%s', %s, 1)", function, fields[0], fields[1]), nil
}

// waited tells from the answer of wait whether the replica has it all. For GTIDs 0 says so, and 1
// or -1 that the time was over; for a file it is the number of events that were waited for,
// -1, or NULL when nothing is applied.
// https://dev.mysql.com/doc/refman/en/replication-functions-synchronization.html
func (d dialect) waited(answer string) bool {
	if d.gtid {
		return answer == "0"
	}
	return answer != "NULL" && !strings.HasPrefix(answer, "-")
}
