package doctor

import (
	"strconv"
	"strings"
	"time"

	"github.com/stickyproxy/stickyproxy/backend"
)

// chart is what one server said. It is complete when visit has returned, and not changed afterwards.
type chart struct {
	address string
	role    backend.Role
	err     error // why the server was not reached, or stopped to answer; what follows is incomplete then

	version     release
	announced   string // the version as the server tells it
	mariaDB     bool
	tracked     bool // it reports GTIDs and changes of the session
	expired     bool // the monitor's password
	incarnation string
	tls         string        // version of TLS; "" none
	offersTLS   bool          // it could speak TLS
	clock       time.Duration // ahead of ours
	clockError  time.Duration // how wrong that may be

	variables map[string]string // global ones, by name in lower case; what the server does not have is not there
	account   string            // as CURRENT_USER tells it
	grants    []string          // of the monitor, one GRANT statement each
	executed  string            // gtid_executed of MySQL, gtid_binlog_state of MariaDB
	errant    string            // of a replica: what it executed and the primary did not
	streams   []row             // replication status
	streamsNo error             // why that may not be asked
	binlog    row               // end of the binary log; nil: there is none
	binlogNo  error             // why that may not be asked
	writers   []string          // accounts that read_only does not stop, as far as they can be seen
}

// row is one row of an answer, by the name of the column.
type row map[string]string

// first is the first of the columns that is there and has a value: newer servers have other names.
func (r row) first(names ...string) string {
	for _, name := range names {
		if r[name] != "" {
			return r[name]
		}
	}
	return ""
}

// variable is the value of the first of the variables that the server has; false when it has none.
func (c *chart) variable(names ...string) (string, bool) {
	for _, name := range names {
		if v, ok := c.variables[name]; ok {
			return v, true
		}
	}
	return "", false
}

// isOn tells whether a switch is on: one with more values than two is on unless it is off.
func (c *chart) isOn(names ...string) bool {
	v, ok := c.variable(names...)
	return ok && v != "" && v != "0" && !strings.EqualFold(v, "OFF")
}

// is tells whether a variable has a value.
func (c *chart) is(value string, names ...string) bool {
	v, ok := c.variable(names...)
	return ok && strings.EqualFold(v, value)
}

// id is how replicas name the server as their source: server_uuid, on MariaDB server_id.
func (c *chart) id() string {
	if c.mariaDB {
		return c.variables["server_id"]
	}
	return c.variables["server_uuid"]
}

// usesGTIDs tells whether each of the server's writes gets a GTID.
func (c *chart) usesGTIDs() bool {
	if c.mariaDB {
		return c.isOn("log_bin")
	}
	return c.is("ON", "gtid_mode")
}

// product is the server's kind and version for people.
func (c *chart) product() string {
	if c.mariaDB {
		return "MariaDB " + c.version.String()
	}
	return "MySQL " + c.version.String()
}

// release is the version of a server: major, minor, patch.
type release [3]int

// readRelease reads "8.0.36-debug" or "5.5.5-10.11.19-MariaDB". What is not a number is 0.
func readRelease(announced string) release {
	announced = strings.TrimPrefix(announced, "5.5.5-") // MariaDB 10, for replicas of MySQL 5.5
	if end := strings.IndexFunc(announced, func(r rune) bool { return r != '.' && (r < '0' || r > '9') }); end >= 0 {
		announced = announced[:end]
	}
	var v release
	for i, part := range strings.SplitN(announced, ".", 4) {
		if i < len(v) {
			v[i], _ = strconv.Atoi(part)
		}
	}
	return v
}

// String returns "8.4.3".
func (v release) String() string {
	return strconv.Itoa(v[0]) + "." + strconv.Itoa(v[1]) + "." + strconv.Itoa(v[2])
}

// before tells whether v is an older version than major.minor.patch.
func (v release) before(major, minor, patch int) bool {
	for i, want := range [...]int{major, minor, patch} {
		if v[i] != want {
			return v[i] < want
		}
	}
	return false
}
