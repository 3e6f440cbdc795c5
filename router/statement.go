package router

import "strings"

// Context is what changes how a text reads. The zero value is a MySQL
// connection with the default sql_mode, a harmless character set and no
// current schema.
type Context struct {
	// ANSIQuotes: double quotes quote identifiers (sql_mode ANSI_QUOTES).
	ANSIQuotes bool
	// NoBackslashEscapes: a backslash in a string is a backslash
	// (sql_mode NO_BACKSLASH_ESCAPES).
	NoBackslashEscapes bool
	// UnsafeCharset: a byte of a character may be a backslash or a quote
	// (character_set_client gbk, sjis, cp932, big5, gb18030).
	UnsafeCharset bool
	// Schema is the current schema; empty for none.
	Schema string
	// MariaDB tells the flavor of the servers: what is a built-in function
	// in one may be a stored function in the other.
	MariaDB bool
}

// Kind is where a statement may go, as far as its text tells.
type Kind uint8

const (
	// Primary: not proven to be a pure read. The zero value.
	Primary Kind = iota
	// Read: a pure read that any server with the data answers alike.
	Read
	// Previous: about the previous statement (warnings, row counts), so it
	// goes to the server which ran that.
	Previous
	// BeginReadOnly: begins a READ ONLY transaction, which as a whole is a read.
	BeginReadOnly
)

var kindNames = [...]string{Primary: "primary", Read: "read", Previous: "previous", BeginReadOnly: "begin_read_only"}

// String is the kind in snake_case, or "invalid".
func (k Kind) String() string {
	if int(k) >= len(kindNames) {
		return "invalid"
	}
	return kindNames[k]
}

// Effects is what a statement may do to the connection or depend on there: a
// set of bits. Several statements in a text give the union. It is computed for
// the primary's sake, and errs by naming more than happens. What is inside a
// stored program or a prepared statement cannot be seen: Calls, Executes and
// CallsFunction stand for it.
type Effects uint64

const (
	// UsesUserVariable: the text has a user variable in it.
	UsesUserVariable Effects = 1 << iota
	// SetsUserVariable: SET @x, @x := 1, INTO @x, or @x as an OUT argument.
	SetsUserVariable
	// SetsSystemVariable: a session system variable, also by SET NAMES and
	// SET SESSION TRANSACTION.
	SetsSystemVariable
	// SetsGlobal: SET GLOBAL, SET PERSIST or RESET PERSIST: the server's own.
	SetsGlobal
	// SetsTransaction: SET TRANSACTION without a scope, for the next one only.
	SetsTransaction
	// SetsSchema: USE.
	SetsSchema
	// SetsRole: SET ROLE.
	SetsRole
	// CreatesTemporary: CREATE TEMPORARY TABLE or SEQUENCE.
	CreatesTemporary
	// DropsTemporary: DROP TABLE, with or without TEMPORARY: a temporary
	// table hides one of the same name.
	DropsTemporary
	// LocksTables: LOCK TABLES, LOCK INSTANCE, FLUSH TABLES WITH READ LOCK or
	// FOR EXPORT, BACKUP LOCK, BACKUP STAGE.
	LocksTables
	// UnlocksTables: UNLOCK TABLES, UNLOCK INSTANCE, BACKUP UNLOCK, BACKUP STAGE END.
	UnlocksTables
	// GetsLock: GET_LOCK.
	GetsLock
	// ReleasesLock: RELEASE_LOCK or RELEASE_ALL_LOCKS.
	ReleasesLock
	// OpensHandler: HANDLER ... OPEN.
	OpensHandler
	// ClosesHandler: HANDLER ... CLOSE.
	ClosesHandler
	// Prepares: PREPARE as SQL.
	Prepares
	// Executes: EXECUTE as SQL, or EXECUTE IMMEDIATE: any effect is possible.
	Executes
	// Deallocates: DEALLOCATE PREPARE.
	Deallocates
	// Begins: BEGIN or START TRANSACTION, which end a transaction that is open.
	Begins
	// Ends: COMMIT or ROLLBACK (not to a savepoint).
	Ends
	// Chains: COMMIT or ROLLBACK AND CHAIN: a new transaction begins at once.
	Chains
	// Disconnects: COMMIT or ROLLBACK RELEASE: the server closes the connection.
	Disconnects
	// CommitsImplicitly: a statement that ends an open transaction, as DDL does.
	CommitsImplicitly
	// XA: any XA statement.
	XA
	// Kills: KILL.
	Kills
	// Calls: CALL or a compound statement: any effect is possible.
	Calls
	// CallsFunction: a function that is not a known built-in: it may set user
	// variables, take locks and create temporary tables.
	CallsFunction
	// UsesLastInsertID: LAST_INSERT_ID() or a variable with the same meaning.
	UsesLastInsertID
	// LoadsLocal: LOAD DATA or LOAD XML LOCAL: the server will ask the client for a file.
	LoadsLocal
	// ResetsPositions: RESET MASTER, RESET BINARY LOGS AND GTIDS, RESET
	// REPLICA and CHANGE REPLICATION SOURCE: positions known before mean nothing.
	ResetsPositions
	// UsesFoundRows: FOUND_ROWS(), which is about the last statement that
	// returned rows, other than what is about the previous one.
	UsesFoundRows
	// SetsUnreported: on MariaDB, a session system variable as @@name, without a
	// scope: the server does not report that it has changed.
	SetsUnreported
	// ReadsTables is set on Kind Previous only: the statement reads tables
	// too, so the previous server must also have what the session must see.
	ReadsTables
)

// effectNames are the bits of Effects in their order.
var effectNames = [...]string{
	"uses_user_variable", "sets_user_variable", "sets_system_variable", "sets_global", "sets_transaction",
	"sets_schema", "sets_role", "creates_temporary", "drops_temporary", "locks_tables", "unlocks_tables",
	"gets_lock", "releases_lock", "opens_handler", "closes_handler", "prepares", "executes", "deallocates",
	"begins", "ends", "chains", "disconnects", "commits_implicitly", "xa", "kills", "calls", "calls_function",
	"uses_last_insert_id", "loads_local", "resets_positions", "uses_found_rows", "sets_unreported",
	"reads_tables",
}

// String lists the effects in snake_case with commas between, for people and
// tests; "none" when there is none.
func (e Effects) String() string {
	var set []string
	for i, name := range effectNames {
		if e>>i&1 == 1 {
			set = append(set, name)
		}
	}
	if set == nil {
		return "none"
	}
	return strings.Join(set, ",")
}

// Has tells whether every effect in x is in e.
func (e Effects) Has(x Effects) bool { return e&x == x }

// Any tells whether some effect in x is in e.
func (e Effects) Any(x Effects) bool { return e&x != 0 }

// Statement is what a text was found to be.
type Statement struct {
	// Kind is where it may go.
	Kind Kind
	// Reason is why Kind is what it is.
	Reason Reason
	// Writes: it may change data or schema; false only when it is proven not
	// to. COMMIT is false: it writes what the transaction's other statements
	// wrote, and whoever saw those knows.
	Writes bool
	// Effects is what it may do to the connection.
	Effects Effects
	// NoTables: it certainly uses none.
	NoTables bool
	// OpensNothing: it certainly opens no table or view: it uses none, or shows
	// what takes none. On MariaDB, it leaves alone the warnings of the statement
	// before, unless it has some of its own.
	OpensNothing bool
	// UsesRowCount: it asks how many rows the statement before it changed.
	UsesRowCount bool
	// UsesWarnings: it asks for the warnings or the error of the statement
	// before it.
	UsesWarnings bool
	// Grows: it calls a function that returns NULL in place of a text longer
	// than max_allowed_packet, or cuts it off; that limit may differ from server
	// to server.
	Grows bool
	// Finds is what FOUND_ROWS() tells after it.
	Finds Finding
	// Multi: the text has more than one statement. Empty ones and comments do
	// not count, so a trailing semicolon does not make it so.
	Multi bool
	// Ours is what in the text is said to the proxy.
	Ours Ours
}
