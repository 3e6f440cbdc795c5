package doctor

import (
	"fmt"
	"slices"
	"strings"
)

// lookReadOnly: a replica that takes writes gets no reads, and one that takes some of them may have rows that the
// primary does not have.
func lookReadOnly(_ *examination, c *chart) (list []remark) {
	setting := "super_read_only"
	if c.mariaDB {
		setting = "read_only"
	}
	advice := "SET GLOBAL " + setting + "=ON, and the same in its option file"
	if !c.isOn("read_only") {
		return []remark{is(Error, advice, "it is not read-only, so that it gets no reads: a write by mistake would be there and nowhere else")}
	}
	if c.mariaDB || !c.isOn("super_read_only") {
		if len(c.writers) > 0 {
			list = append(list, is(Warning, writersAdvice(c), "it is read-only, but not for %s", shorten(c.writers)))
		}
	}
	if !c.mariaDB && !c.isOn("super_read_only") {
		list = append(list, is(Warning, advice, "super_read_only is OFF: an account with SUPER or CONNECTION_ADMIN may write there, and a view can hide that"))
	}
	return list
}

// writersAdvice is what to do about accounts that pass read_only.
func writersAdvice(c *chart) string {
	if c.mariaDB {
		return "REVOKE READ ONLY ADMIN and SUPER from accounts that applications use"
	}
	return "SET GLOBAL super_read_only=ON, or REVOKE SUPER and CONNECTION_ADMIN from accounts that applications use"
}

// shorten names the first few of a list.
func shorten(list []string) string {
	const most = 3
	if len(list) <= most {
		return strings.Join(list, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(list[:most], ", "), len(list)-most)
}

// lookReplication looks whom a replica follows and whether its threads run.
func lookReplication(e *examination, c *chart) (list []remark) {
	if c.streamsNo != nil {
		return nil // lookPrivileges says so
	}
	if len(c.streams) == 0 {
		return []remark{is(Error, "make it follow the primary: "+changeStatement(c)+" ..., then start it", "it follows no server, so that it gets no reads")}
	}
	if r, wrong := e.wrongSource(c); wrong {
		list = append(list, r)
	}
	for _, s := range c.streams {
		list = append(list, lookStream(c, s)...)
	}
	return list
}

func changeStatement(c *chart) string {
	if c.mariaDB {
		return "CHANGE MASTER TO"
	}
	return "CHANGE REPLICATION SOURCE TO"
}

// wrongSource tells whether none of a replica's sources is the primary. The primary's own name for itself counts, not
// the address: they may differ behind a service or a tunnel.
func (e *examination) wrongSource(c *chart) (remark, bool) {
	if e.primary.err != nil || e.primary.expired {
		return remark{}, false // it is not known who the primary is
	}
	met := false // some source has said who it is
	for _, s := range c.streams {
		id := sourceID(s)
		if id == e.primary.id() && id != "" {
			return remark{}, false
		}
		met = met || id != ""
		for _, other := range e.replicas {
			if other != c && other.err == nil && id != "" && id == other.id() {
				return is(Warning, "that is well if it is meant; reads there are late by two steps", "it follows the replica %s", other.address), true
			}
		}
	}
	if !met {
		return is(Error, "see below, or in its error log, why it does not reach its source", "it has never reached %s, so that it is not known whom it follows", streamsText(c.streams)), true
	}
	return is(Error, "make it follow the primary: "+changeStatement(c)+" ..., or name the server that it follows as the primary",
		"it follows %s, which is not this primary, so that it never gets the primary's writes", streamsText(c.streams)), true
}

// sourceID is the name of a stream's source: server_uuid, on MariaDB server_id; empty when it was never reached.
func sourceID(s row) string {
	if id := s.first("Source_UUID", "Master_UUID"); id != "" {
		return id
	}
	if id := s["Master_Server_Id"]; id != "0" {
		return id
	}
	return ""
}

// lookStream looks at one stream of a replica.
func lookStream(c *chart, s row) (list []remark) {
	start, from := "START REPLICA", sourceAddress(s)
	if c.mariaDB {
		start = "START SLAVE"
	}
	receiver, applier := s.first("Replica_IO_Running", "Slave_IO_Running"), s.first("Replica_SQL_Running", "Slave_SQL_Running")
	switch problem := s["Last_IO_Error"]; {
	case receiver == "Yes":
	case problem != "":
		list = append(list, is(Error, "mend that, then "+start, "it receives nothing from %s: %s", from, problem))
	case receiver == "No":
		list = append(list, is(Error, start, "it receives nothing from %s: its receiver is stopped", from))
	default:
		list = append(list, is(Warning, "look again in a moment", "it is just connecting to %s", from))
	}
	if problem := s["Last_SQL_Error"]; applier != "Yes" && problem != "" {
		list = append(list, is(Error, "mend that, then "+start, "it applies nothing from %s: %s", from, problem))
	} else if applier != "Yes" {
		list = append(list, is(Error, start, "it applies nothing from %s: its applier is stopped", from))
	}
	if delay := s.first("SQL_Delay"); delay != "" && delay != "0" {
		list = append(list, is(Warning, "take it off the list of replicas if it is for emergencies, or set its delay to 0",
			"it is %s s late on purpose: sessions that wrote do not use it for that long", delay))
	}
	return list
}

// follows says that a replica follows the primary.
func (e *examination) follows(c *chart) string {
	if len(c.streams) == 0 || e.primary.err != nil || e.primary.expired {
		return ""
	}
	return "it follows this primary and its threads run"
}

// filters are the columns of the replication status that say that only a part is replicated.
var filters = []string{
	"Replicate_Do_DB", "Replicate_Ignore_DB", "Replicate_Do_Table", "Replicate_Ignore_Table", "Replicate_Wild_Do_Table", "Replicate_Wild_Ignore_Table",
	"Replicate_Rewrite_DB", "Replicate_Do_Domain_Ids", "Replicate_Ignore_Domain_Ids",
}

// lookComplete looks for what makes a GTID count as executed although the write is not there: no answer to a read
// could tell.
func lookComplete(e *examination, c *chart) (list []remark) {
	for _, s := range c.streams {
		for _, column := range filters {
			if s[column] != "" {
				list = append(list, is(Error, "remove the filter, or take the replica off the list", "%s is %s: writes count as executed that are not there", strings.ToLower(column), s[column]))
			}
		}
		if id := e.primary.variables["server_id"]; slices.Contains(strings.Split(s["Replicate_Ignore_Server_Ids"], ", "), id) {
			list = append(list, is(Error, "take the id off IGNORE_SERVER_IDS", "it leaves out what the primary writes (replicate_ignore_server_ids has its server_id, %s)", id))
		}
	}
	if v, ok := c.variable("replicate_events_marked_for_skip"); ok && v != "REPLICATE" {
		list = append(list, is(Warning, "SET GLOBAL replicate_events_marked_for_skip=REPLICATE",
			"it leaves out what is written with skip_replication on (replicate_events_marked_for_skip is %s): such writes count as executed that are not there", v))
	}
	if v, _ := c.variable("replica_skip_errors", "slave_skip_errors"); v != "" && v != "OFF" {
		list = append(list, is(Error, "set replica_skip_errors=OFF (slave_skip_errors on older servers) and rebuild it if it has skipped any",
			"it skips errors of replication (%s): writes count as executed that are not there", v))
	}
	if c.is("IDEMPOTENT", "replica_exec_mode", "slave_exec_mode") {
		list = append(list, is(Warning, "set replica_exec_mode=STRICT (slave_exec_mode on older servers)", "it passes over rows that are missing or there already (exec_mode IDEMPOTENT), and differences go unseen"))
	}
	return append(list, lookCommitOrder(c)...)
}

// lookCommitOrder: with several appliers a later commit may be seen before an earlier one. Reads of a session that wrote
// are safe, because its GTIDs are looked at one by one; what others wrote may be seen in another order.
// https://dev.mysql.com/doc/refman/en/replication-options-replica.html#sysvar_replica_preserve_commit_order
func lookCommitOrder(c *chart) []remark {
	workers, _ := c.variable("replica_parallel_workers", "slave_parallel_workers")
	if c.mariaDB || workers == "" || workers == "0" || workers == "1" || c.isOn("replica_preserve_commit_order", "slave_preserve_commit_order") {
		return nil
	}
	return []remark{is(Warning, "set replica_preserve_commit_order=ON (slave_preserve_commit_order on older servers)",
		"replica_preserve_commit_order is OFF: a write may be seen there before one that it builds on")}
}

// lookErrant: what only a replica has is seen by some reads and not by others, and is in the way when it becomes the
// primary.
func lookErrant(_ *examination, c *chart) []remark {
	if c.errant == "" {
		return nil
	}
	return []remark{is(Warning, "find out what wrote there (mysqlbinlog shows it); rebuild the replica if rows differ, else give the primary empty transactions with these GTIDs",
		"it has transactions that the primary does not have: %s", cut(c.errant))}
}

// cut bounds a text for one line.
func cut(s string) string {
	const most = 200
	s = strings.Join(strings.Fields(s), "")
	if len(s) > most {
		s = s[:most] + "..."
	}
	return s
}
