package doctor

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"

	"github.com/go-mysql-org/go-mysql/mysql"

	"github.com/stickyproxy/stickyproxy/backend"
	"github.com/stickyproxy/stickyproxy/mysqlwire"
)

// lookReach says why a server could not be asked.
func lookReach(_ *examination, c *chart) []remark {
	switch {
	case c.expired:
		return []remark{is(Error, "give the account a new password: ALTER USER ... IDENTIFIED BY ...", "the password of the monitor account has expired")}
	case c.err == nil:
		return nil
	}
	return []remark{{Error, c.err.Error(), reachAdvice(c.err)}}
}

// reachAdvice is what to do about a server that could not be asked.
func reachAdvice(err error) string {
	var refused *mysqlwire.Error
	var dial *net.OpError
	switch {
	case errors.As(err, &refused) && refused.Code == mysql.ER_ACCESS_DENIED_ERROR:
		return "check the name and the password of the monitor account, and from which hosts it may log in"
	case errors.As(err, &refused):
		return "the text is the server's own answer to the monitor account"
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, os.ErrDeadlineExceeded):
		return "see whether the server is overloaded, or a firewall drops packets on the way"
	case errors.As(err, &dial) && dial.Op == "dial":
		return "start the server, or correct its address"
	}
	return "see whether a MySQL server listens at this address, and how its TLS is set up"
}

// The oldest versions that the proxy's tests have seen, or that can at least report what it needs.
// https://dev.mysql.com/doc/refman/en/session-state-tracking.html
// https://mariadb.com/kb/en/session_track_system_variables/
func lookVersion(_ *examination, c *chart) []remark {
	advice := "use a newer server: MySQL from 5.7 or MariaDB from 10.2 on"
	if c.mariaDB && c.version.before(10, 2, 2) || !c.mariaDB && c.version.before(5, 7, 6) {
		return []remark{is(Warning, advice, "%s is too old to report what a statement changed", c.product())}
	}
	return nil
}

func (e *examination) product(c *chart) string { return c.product() }

// lookTLS says where rows and password hashes cross a network in the clear.
func lookTLS(e *examination, c *chart) []remark {
	if c.tls != "" || local(c.address) {
		return nil
	}
	mode := e.config(c).TLS.Mode
	if c.offersTLS {
		return []remark{is(Warning, "set its tls.mode to required or more", "the server can speak TLS, but tls.mode is %s", mode)}
	}
	return []remark{is(Warning, "give the server a certificate (ssl_cert, ssl_key), and set its tls.mode to required or more",
		"the server offers no TLS, so that rows cross the network in the clear, also those of clients that came over TLS")}
}

// encryption says how the server was reached.
func (e *examination) encryption(c *chart) string {
	if c.tls == "" {
		return "in the clear, and it is on this machine"
	}
	return fmt.Sprintf("%s, tls.mode is %s", c.tls, e.config(c).TLS.Mode)
}

// config is how the server is configured.
func (e *examination) config(c *chart) backend.ServerConfig {
	for _, s := range e.options.Replicas {
		if s.Address == c.address {
			return s
		}
	}
	return e.options.Primary
}

// local tells whether an address is on this machine.
func local(address string) bool {
	if strings.HasPrefix(address, "unix:") {
		return true
	}
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return false
	}
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

func lookTracking(e *examination, c *chart) []remark {
	if c.tracked {
		return nil
	}
	if names, ok := c.variable("session_track_system_variables"); ok && names == "" && c.mariaDB {
		return []remark{is(e.withoutGTID(), "take session_track_system_variables out of its option files, and set it to DEFAULT with SET GLOBAL",
			"session_track_system_variables is empty, and no session can turn it on: all reads stay on the primary")}
	}
	return []remark{is(e.withoutGTID(), "use a newer server, or one that announces CLIENT_SESSION_TRACK",
		"it does not report GTIDs and changes of the session, so that a write holds its session's reads for the window")}
}

// withoutGTID is how bad it is that a write has no GTID: modes with a window still keep the promise, at its price.
func (e *examination) withoutGTID() Severity {
	if e.options.GTIDOnly {
		return Error
	}
	return Warning
}

func lookGTID(e *examination, c *chart) []remark {
	if c.mariaDB {
		return lookGTIDMariaDB(c)
	}
	return lookGTIDMySQL(e, c)
}

// lookGTIDMariaDB: MariaDB always counts GTIDs, if it has a binary log (lookBinlog). A position says that all before it
// is there only if sequence numbers never go back, which the strict mode makes sure of.
// https://mariadb.com/kb/en/gtid/#gtid_strict_mode
func lookGTIDMariaDB(c *chart) []remark {
	if c.isOn("gtid_strict_mode") {
		return nil
	}
	return []remark{is(Warning, "SET GLOBAL gtid_strict_mode=ON, and the same in its option file",
		"gtid_strict_mode is OFF: it accepts sequence numbers out of order, and a position is then no proof of what is before it")}
}

// lookGTIDMySQL: https://dev.mysql.com/doc/refman/en/replication-mode-change-online-enable-gtids.html
func lookGTIDMySQL(e *examination, c *chart) (list []remark) {
	mode := c.variables["gtid_mode"]
	switch {
	case mode == "ON":
	case c.role == backend.RoleReplica && e.primary.usesGTIDs() && !e.primary.mariaDB:
		list = append(list, is(Error, "turn GTIDs on here as on the primary: gtid_mode=ON", "gtid_mode is %s, but the primary's is ON", mode))
	default:
		list = append(list, is(e.withoutGTID(), "turn GTIDs on: gtid_mode=ON and enforce_gtid_consistency=ON, in the manual's steps if servers are in use",
			"gtid_mode is %s: a write has no GTID, so that it holds its session's reads for the window", mode))
	}
	if v := c.variables["enforce_gtid_consistency"]; v != "ON" && v != "1" && mode == "ON" {
		list = append(list, is(Warning, "SET GLOBAL enforce_gtid_consistency=ON, and the same in its option file",
			"enforce_gtid_consistency is %s: statements that cannot be logged with one GTID are let through", v))
	}
	return list
}

// lookBinlog looks at what the primary writes down for its replicas.
func lookBinlog(_ *examination, c *chart) (list []remark) {
	if !c.isOn("log_bin") {
		return []remark{is(Error, "set log_bin in its option file and restart it", "it has no binary log: nothing can replicate from it, and no write has a GTID")}
	}
	if c.is("STATEMENT", "binlog_format") {
		list = append(list, is(Warning, "SET GLOBAL binlog_format=ROW, and the same in its option file",
			"binlog_format is STATEMENT: a replica that runs a statement again may come to other rows"))
	}
	for _, column := range []string{"Binlog_Do_DB", "Binlog_Ignore_DB"} {
		if v := c.binlog[column]; v != "" {
			list = append(list, is(Error, "remove "+strings.ToLower(column)+" from its option file",
				"%s is %s: writes to some schemas never reach a replica, whose reads of them are old for ever", strings.ToLower(column), v))
		}
	}
	return list
}

// lookPrimary looks whether the primary is one.
func lookPrimary(_ *examination, c *chart) []remark {
	readOnly, source := c.isOn("read_only"), streamsText(c.streams)
	switch {
	case readOnly && source != "":
		return []remark{is(Error, "name the server that takes writes as the primary", "it is read-only and follows %s: it is no primary, and gets neither writes nor reads", source)}
	case readOnly:
		return []remark{is(Error, "SET GLOBAL read_only=OFF, if it is the server that takes writes", "it is read-only: writes fail")}
	case source != "":
		return []remark{is(Warning, "see whether that is meant; if not: STOP REPLICA and RESET REPLICA ALL, on MariaDB STOP SLAVE and RESET SLAVE ALL",
			"it takes writes, but follows %s", source)}
	}
	return nil
}

// streamsText names the sources that a server follows.
func streamsText(streams []row) string {
	var list []string
	for _, s := range streams {
		list = append(list, sourceAddress(s))
	}
	return strings.Join(list, " and ")
}

// sourceAddress is where a stream comes from.
func sourceAddress(s row) string {
	return net.JoinHostPort(s.first("Source_Host", "Master_Host"), s.first("Source_Port", "Master_Port"))
}
