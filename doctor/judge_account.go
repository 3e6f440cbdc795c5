package doctor

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/stickyproxy/stickyproxy/backend"
)

// readOnlyPasses are the privileges that let an account write on a server that is read_only (not super_read_only).
// https://dev.mysql.com/doc/refman/en/server-system-variables.html#sysvar_read_only
// https://mariadb.com/kb/en/grant/#global-privileges
var readOnlyPasses = []string{"SUPER", "CONNECTION_ADMIN", "READ_ONLY ADMIN", "READ ONLY ADMIN"}

// needed are the privileges that the monitor's questions take, under all their names, and what comes with every account.
var needed = []string{"USAGE", "REPLICATION CLIENT", "BINLOG MONITOR", "REPLICA MONITOR", "SLAVE MONITOR"}

// lookPrivileges looks what the monitor account may not do and has to, and what it may do and need not.
func lookPrivileges(_ *examination, c *chart) (list []remark) {
	if c.streamsNo != nil {
		list = append(list, is(Error, grantStatement(c), "the monitor account may not ask how replication is: %v", c.streamsNo))
	} else if c.binlogNo != nil && !c.usesGTIDs() && c.role == backend.RolePrimary {
		list = append(list, is(Error, grantStatement(c), "the monitor account may not ask for the primary's position: %v", c.binlogNo))
	}
	if more := surplus(c.grants); len(more) > 0 {
		list = append(list, is(Warning, "use an account with no more than: "+grantStatement(c), "the monitor account may do more than it needs: %s", shorten(more)))
	}
	return list
}

// grantStatement gives the monitor account what it needs.
func grantStatement(c *chart) string {
	privileges := "REPLICATION CLIENT"
	if c.mariaDB && !c.version.before(10, 5, 9) {
		privileges = "REPLICA MONITOR" // https://mariadb.com/kb/en/grant/#replica-monitor
	} else if c.mariaDB && !c.version.before(10, 5, 2) {
		privileges = "REPLICATION SLAVE ADMIN"
	}
	user, host, found := cutLast(c.account, "@")
	if !found {
		user, host = c.account, "%"
	}
	return fmt.Sprintf("GRANT %s ON *.* TO %s@%s", privileges, quote(user), quote(host))
}

// quote writes a text as SQL does.
func quote(s string) string { return "'" + strings.ReplaceAll(s, "'", "''") + "'" }

// cutLast is strings.Cut at the last place.
func cutLast(s, sep string) (before, after string, found bool) {
	if i := strings.LastIndex(s, sep); i >= 0 {
		return s[:i], s[i+len(sep):], true
	}
	return s, "", false
}

// surplus are the privileges in grants beyond those that are needed. Reading performance_schema and sys does no harm.
func surplus(grants []string) (more []string) {
	for _, grant := range grants {
		privileges, on := readGrant(grant)
		if on == "performance_schema.*" || on == "sys.*" || on == "" {
			continue
		}
		for _, p := range privileges {
			if on == "*.*" && slices.Contains(needed, p) || p == "USAGE" {
				continue
			}
			more = append(more, p+" ON "+on)
		}
	}
	return more
}

// readGrant splits a statement of SHOW GRANTS. One without ON grants a role or a proxy user: both are empty then.
// https://dev.mysql.com/doc/refman/en/show-grants.html
func readGrant(grant string) (privileges []string, on string) {
	rest, ok := strings.CutPrefix(grant, "GRANT ")
	if !ok {
		return nil, ""
	}
	list, rest, ok := strings.Cut(rest, " ON ")
	if !ok {
		return nil, ""
	}
	on, _, ok = strings.Cut(rest, " TO ")
	if !ok {
		return nil, ""
	}
	for p := range strings.SplitSeq(list, ",") {
		privileges = append(privileges, strings.TrimSpace(p))
	}
	return privileges, strings.ReplaceAll(on, "`", "")
}

// passesReadOnly tells whether grants let their account write on a read-only server.
func passesReadOnly(grants []string) bool {
	for _, grant := range grants {
		privileges, on := readGrant(grant)
		if on != "*.*" {
			continue
		}
		for _, p := range privileges {
			if p == "ALL PRIVILEGES" || slices.Contains(readOnlyPasses, p) {
				return true
			}
		}
	}
	return false
}

// visitAccounts asks a replica what applications may do there, as far as their passwords are known. An account that
// cannot log in is no concern of the doctor.
func visitAccounts(ctx context.Context, server backend.ServerConfig, c *chart, accounts []backend.Account) (writers []string) {
	s, err := backend.NewServer(server)
	if err != nil {
		return nil
	}
	for _, account := range accounts {
		conn, err := s.Connect(ctx, login(account, server.Address))
		if err != nil {
			continue
		}
		v := &visitor{ctx: ctx, conn: conn, chart: c}
		if grants, err := v.grants(); err == nil && passesReadOnly(grants) {
			writers = append(writers, quote(account.User))
		}
		conn.Close()
	}
	return writers
}
