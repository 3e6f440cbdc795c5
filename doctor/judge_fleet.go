package doctor

import (
	"fmt"
	"strings"
	"time"
)

// lookRelease compares a replica's product and version with the primary's.
// https://dev.mysql.com/doc/refman/en/replication-compatibility.html
func lookRelease(e *examination, c *chart) []remark {
	p := e.primary
	switch {
	case c.mariaDB != p.mariaDB:
		return []remark{is(Error, "use the same product everywhere", "it is %s and the primary %s: their positions cannot be compared", c.product(), p.product())}
	case c.version.before(p.version[0], p.version[1], 0):
		return []remark{is(Warning, "upgrade replicas before the primary", "it is older (%s) than the primary (%s), from which replication may fail", c.version, p.version)}
	}
	return nil
}

// lookIdentity looks for one server under two addresses, and two servers under one name.
func lookIdentity(e *examination, c *chart) (list []remark) {
	for _, other := range e.all() {
		if other == c {
			break
		}
		if other.err != nil || other.expired {
			continue
		}
		switch {
		case c.incarnation == other.incarnation && other == e.primary:
			list = append(list, is(Error, "remove it from the replicas, or correct its address", "it is the primary itself, under another address"))
		case c.incarnation == other.incarnation:
			list = append(list, is(Warning, "remove it, and give one a weight instead", "it is the same server as %s", other.address))
		case !c.mariaDB && !other.mariaDB && c.id() == other.id():
			list = append(list, is(Error, "stop one of them, remove auto.cnf from its data directory and start it", "it has the same server_uuid as %s: their transactions cannot be told apart", other.address))
		case c.variables["server_id"] == other.variables["server_id"]:
			list = append(list, is(Error, "give each server a server_id of its own", "it has the same server_id as %s: replication drops what seems to be a server's own", other.address))
		}
	}
	return list
}

// settings are the defaults of a session that change what a read answers. The proxy gives a replica the primary's
// values of all of them, at the price of a statement for each new connection.
var settings = []string{
	"sql_mode", "collation_server", "time_zone", "transaction_isolation", "tx_isolation", "group_concat_max_len",
	"default_week_format", "div_precision_increment", "lc_time_names", "sql_select_limit", "max_sort_length",
}

// lookDefaults compares the settings that a new session starts with.
func lookDefaults(e *examination, c *chart) (list []remark) {
	var names, differing []string
	for _, name := range settings {
		here, ok := c.variables[name]
		there, both := e.primary.variables[name]
		if ok && both && here != there {
			names = append(names, name)
			differing = append(differing, fmt.Sprintf("%s is %q (primary: %q)", name, here, there))
		}
	}
	if len(names) > 0 {
		list = append(list, is(Warning, "make them equal in the option files: "+strings.Join(names, ", "),
			"%s; reads get the primary's value of what a session can set, which costs a statement for each connection", strings.Join(differing, ", ")))
	}
	return append(list, lookFixedDefaults(e.primary, c)...)
}

// lookFixedDefaults compares what no session can set.
func lookFixedDefaults(p, c *chart) (list []remark) {
	if here, there := c.variables["lower_case_table_names"], p.variables["lower_case_table_names"]; here != there {
		list = append(list, is(Warning, "make it equal; that takes a new data directory", "lower_case_table_names is %s (primary: %s): names of tables mean something else there", here, there))
	}
	if here, there := c.variables["max_allowed_packet"], p.variables["max_allowed_packet"]; here != there {
		list = append(list, is(Warning, "make it equal in the option files",
			"max_allowed_packet is %s (primary: %s): reads that could notice, as those that make long texts, stay on the primary", here, there))
	}
	if !p.is("SYSTEM", "time_zone") {
		return list
	}
	if here, there := c.variables["system_time_zone"], p.variables["system_time_zone"]; here != there {
		list = append(list, is(Error, "set time_zone to a zone that is not SYSTEM on all servers, or make the machines' time zones equal",
			"time_zone is SYSTEM, which is %s there and %s on the primary: reads tell other times", here, there))
	}
	return list
}

// clockTolerance is what clocks may differ by; those that are kept by NTP differ by milliseconds.
const clockTolerance = time.Second

// lookClock compares the servers' clocks. Nothing is decided by them; but NOW() in a read tells the server's time.
func lookClock(e *examination, c *chart) []remark {
	d := c.clock - e.primary.clock
	if d.Abs() <= clockTolerance+c.clockError+e.primary.clockError {
		return nil
	}
	way := "ahead of"
	if d < 0 {
		way = "behind"
	}
	return []remark{is(Warning, "keep the clocks of all machines by NTP", "its clock is %v %s the primary's: NOW() in a read tells another time there", d.Abs().Round(100*time.Millisecond), way)}
}
