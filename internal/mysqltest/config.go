package mysqltest

import (
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// Config says what cluster to start. Only Engine is required.
type Config struct {
	Engine Engine

	// Replicas is how many there are; 0 means 2, a negative number none.
	Replicas int

	// GTID replicates by GTID. Without it MySQL runs with gtid_mode=OFF; both engines then
	// replicate by file and offset. (MariaDB's servers count GTIDs all the same.)
	GTID bool

	// Lag is how late the replicas apply a change, in whole seconds; see [Cluster.SetLag].
	Lag time.Duration

	// Dir is the folder in which the cluster makes its own, temporary folder; the system's
	// temporary folder when empty. It must have a short path, for the sockets.
	Dir string

	// ExtraConfig and ReplicaConfig are lines for the option files of all servers, and of the
	// replicas, as in "max_connections=100". They win over what is set here.
	ExtraConfig   []string
	ReplicaConfig []string

	// Log gets a line a step; nil is silent. It must be safe for concurrent use if it is used
	// elsewhere too.
	Log io.Writer
}

// Validate tells what is wrong with the configuration.
func (c Config) Validate() error {
	if c.Engine != MariaDB && c.Engine != MySQL {
		return fmt.Errorf("unknown engine %q", c.Engine)
	}
	return validLag(c.Lag)
}

func validLag(d time.Duration) error {
	if d < 0 || d%time.Second != 0 {
		return fmt.Errorf("lag of %v: the servers delay by whole seconds only", d)
	}
	return nil
}

func (c Config) replicas() int {
	if c.Replicas == 0 {
		return 2
	}
	return max(0, c.Replicas)
}

// Account is a name and its password on all servers of a cluster, from any address.
type Account struct{ User, Password string }

// AppSchema is the schema of the application's account.
const AppSchema = "app"

// newAccount makes an account with a password of its own: the ports are open to every user of
// the machine.
func newAccount(user string) Account {
	secret := make([]byte, 12)
	rand.Read(secret) // never fails
	return Account{user, hex.EncodeToString(secret)}
}

// redoSize is the size of the redo log: large enough for transactions of some megabytes.
const redoSize = "64M"

// commonOptions are the same for both engines. The limits are high because tests go to the
// limits: thousands of connections, packets of 16 MiB and more, connections cut during the login.
var commonOptions = []string{
	"bind_address=127.0.0.1",
	"skip_name_resolve=ON",
	"max_connections=3000",
	"max_connect_errors=1000000000",
	"max_allowed_packet=1G",
	"local_infile=ON",
	"log_bin=binlog",
	"binlog_format=ROW",
	"relay_log=relay",
	"relay_log_recovery=ON",
	"report_host=127.0.0.1",
	"sync_binlog=0",
	"innodb_flush_log_at_trx_commit=2",
	"innodb_buffer_pool_size=64M",
	"table_open_cache=512",
	"table_definition_cache=512",
	"key_buffer_size=1M",
}

var mariaDBOptions = []string{
	"log_slave_updates=ON",
	"innodb_log_file_size=" + redoSize,
	"session_track_system_variables=autocommit,character_set_client,character_set_connection,character_set_results,time_zone",
}

// mySQLOptions leave MySQL one port and our certificates, and take three fifths of the memory it
// would use: a performance schema for a busy server and a log buffer of 64 MiB are not needed.
// https://dev.mysql.com/doc/refman/en/performance-schema-system-variables.html
var mySQLOptions = []string{
	"mysqlx=OFF",
	"auto_generate_certs=OFF",
	"log_replica_updates=ON",
	"loose_innodb_redo_log_capacity=" + redoSize,
	"innodb_log_buffer_size=4M",
	"performance_schema_digests_size=500",
	"performance_schema_error_size=100",
	"performance_schema_events_statements_history_long_size=100",
	"performance_schema_events_stages_history_long_size=100",
	"performance_schema_events_waits_history_long_size=100",
	"performance_schema_events_transactions_history_long_size=100",
}

// optionFile returns the text of one server's option file. index 0 is the primary.
func (s *Server) optionFile(cfg Config, index int) string {
	var b strings.Builder
	b.WriteString("[mysqld]\n")
	add := func(lines ...string) {
		for _, line := range lines {
			b.WriteString(line + "\n")
		}
	}
	tls := filepath.Join(filepath.Dir(s.dir), tlsFolder)
	add("datadir="+filepath.Join(s.dir, "data"), "tmpdir="+filepath.Join(s.dir, "tmp"),
		"secure_file_priv="+filepath.Join(s.dir, "files"),
		"socket="+s.Socket(), "pid_file="+filepath.Join(s.dir, "pid"), "log_error="+s.errorLog(),
		fmt.Sprintf("port=%d", s.hold.port), fmt.Sprintf("report_port=%d", s.hold.port),
		fmt.Sprintf("server_id=%d", index+1),
		"ssl_ca="+filepath.Join(tls, caFile), "ssl_cert="+filepath.Join(tls, certFile), "ssl_key="+filepath.Join(tls, certKey))
	if name := rootName(); name != "" {
		add("user=" + name)
	}
	for _, line := range commonOptions {
		// Not all options heed a later line: MySQL's skip_name_resolve=ON stays in part, whatever follows.
		if !slices.ContainsFunc(cfg.ExtraConfig, func(extra string) bool { return optionName(extra) == optionName(line) }) {
			add(line)
		}
	}
	add(s.programs.options...)
	switch {
	case cfg.Engine == MariaDB:
		add(mariaDBOptions...)
		if cfg.GTID {
			add("gtid_strict_mode=ON")
		}
	case cfg.GTID:
		add(mySQLOptions...)
		add("gtid_mode=ON", "enforce_gtid_consistency=ON")
	default:
		add(mySQLOptions...)
		add("gtid_mode=OFF", "enforce_gtid_consistency=OFF")
	}
	if index > 0 {
		add("read_only=ON")
		if cfg.Engine == MySQL {
			add("super_read_only=ON")
		}
	}
	add(cfg.ExtraConfig...)
	if index > 0 {
		add(cfg.ReplicaConfig...)
	}
	return b.String()
}

// optionName returns the name of the option that a line sets, spelled with underscores.
func optionName(line string) string {
	name, _, _ := strings.Cut(line, "=")
	return strings.ReplaceAll(strings.TrimSpace(name), "-", "_")
}
