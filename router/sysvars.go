package router

// variable is what a name after @@ means.
type variable uint8

const (
	// variableOther: may differ from server to server.
	variableOther variable = iota
	// variableReplayed: the proxy keeps it the same on both connections.
	variableReplayed
	// variablePrevious: about the statement before.
	variablePrevious
	// variableInsertID: what an INSERT on this connection left.
	variableInsertID
	// variableNextTransaction: replayed; without a scope after @@, SET changes
	// it for the next transaction only.
	variableNextTransaction
	// variableAutocommit: replayed; to set it may end a transaction.
	variableAutocommit
	// variableGlobal, variablePersist and variableSession are scopes, not names.
	variableGlobal
	variablePersist
	variableSession
)

// variables is what is known of system variables; anything else may differ
// from server to server. See
// https://dev.mysql.com/doc/refman/9.4/en/server-system-variables.html.
var variables = map[string]variable{
	"GLOBAL":       variableGlobal,
	"PERSIST":      variablePersist,
	"PERSIST_ONLY": variablePersist,
	"SESSION":      variableSession,
	"LOCAL":        variableSession,

	"AUTOCOMMIT":               variableAutocommit,
	"CHARACTER_SET_CLIENT":     variableReplayed,
	"CHARACTER_SET_CONNECTION": variableReplayed,
	"CHARACTER_SET_RESULTS":    variableReplayed,
	"COLLATION_CONNECTION":     variableReplayed,
	"SQL_MODE":                 variableReplayed,
	"TIME_ZONE":                variableReplayed,
	"TRANSACTION_ISOLATION":    variableNextTransaction,
	"TRANSACTION_READ_ONLY":    variableNextTransaction,
	"TX_ISOLATION":             variableNextTransaction,
	"TX_READ_ONLY":             variableNextTransaction,

	"ERROR_COUNT":   variablePrevious,
	"WARNING_COUNT": variablePrevious,

	"IDENTITY":       variableInsertID,
	"INSERT_ID":      variableInsertID,
	"LAST_INSERT_ID": variableInsertID,
}

// ReplayedVariables lists, in no order, the session system variables that a
// statement may read on a replica (lower case; not every server has each of
// them). Whoever routes by this package must keep their values on a replica's
// connection equal to those on the primary's, or [Classify] is wrong about them.
func ReplayedVariables() []string {
	return []string{
		"autocommit", "character_set_client", "character_set_connection", "character_set_results",
		"collation_connection", "sql_mode", "time_zone", "transaction_isolation", "transaction_read_only",
		"tx_isolation", "tx_read_only",
	}
}

// schema is what a name before a dot means.
type schema uint8

const (
	schemaData   schema = iota // an ordinary one, or not a schema at all
	schemaServer               // a server's own
	schemaInfo                 // information_schema
)

// schemas are the schemas in which a server describes itself.
var schemas = map[string]schema{
	"MYSQL":              schemaServer,
	"PERFORMANCE_SCHEMA": schemaServer,
	"SYS":                schemaServer,
	"INFORMATION_SCHEMA": schemaInfo,
}

// infoTables are the tables of information_schema that replication keeps the
// same on every server. Not here, though they look alike: TABLES and PARTITIONS
// (numbers of rows, AUTO_INCREMENT, times), STATISTICS (estimates), EVENTS (disabled on a replica),
// CHARACTER_SETS, COLLATIONS and KEYWORDS (of the release), the privileges
// (of the account as this server matched it).
const infoTables = `
	CHECK_CONSTRAINTS COLUMNS KEY_COLUMN_USAGE PARAMETERS REFERENTIAL_CONSTRAINTS ROUTINES SCHEMATA
	TABLE_CONSTRAINTS TRIGGERS VIEWS`
