package router

// Reason says why a statement goes where it goes. It is a constant for
// metrics and for the explain command; the zero value means "no reason given".
type Reason uint8

// Reasons of a statement: what [Classify] found in its text.
const (
	// ReasonNone is the zero value: nothing was decided, or nothing holds.
	ReasonNone Reason = iota
	// ReasonRead is a proven pure read.
	ReasonRead
	// ReasonReadOnlyTransaction is START TRANSACTION READ ONLY.
	ReasonReadOnlyTransaction
	// ReasonPrevious is a statement about the one before it.
	ReasonPrevious
	// ReasonWrite changes data.
	ReasonWrite
	// ReasonDefinition changes schema, accounts or routines.
	ReasonDefinition
	// ReasonForUpdate takes exclusive row locks.
	ReasonForUpdate
	// ReasonForShare takes shared row locks.
	ReasonForShare
	// ReasonInto puts the result into a file or a variable.
	ReasonInto
	// ReasonUserVariable reads or sets a user variable.
	ReasonUserVariable
	// ReasonUnknownFunction calls what is not a known built-in function.
	ReasonUnknownFunction
	// ReasonConnectionFunction calls a function about this connection, or does
	// nothing but SLEEP with it.
	ReasonConnectionFunction
	// ReasonServerFunction calls a function about one server.
	ReasonServerFunction
	// ReasonLockFunction calls GET_LOCK or one of its family.
	ReasonLockFunction
	// ReasonSequence uses a sequence.
	ReasonSequence
	// ReasonSystemVariable reads a system variable that may differ by server.
	ReasonSystemVariable
	// ReasonServerSchema reads a schema in which a server describes itself.
	ReasonServerSchema
	// ReasonServerState is SHOW and its like about one server.
	ReasonServerState
	// ReasonExplain asks for a plan.
	ReasonExplain
	// ReasonTransaction begins, ends or marks a transaction.
	ReasonTransaction
	// ReasonSet sets variables, roles or the current schema.
	ReasonSet
	// ReasonSetStatement is MariaDB's SET STATEMENT ... FOR.
	ReasonSetStatement
	// ReasonCall runs a stored program.
	ReasonCall
	// ReasonDo is DO.
	ReasonDo
	// ReasonPreparedText is PREPARE, EXECUTE or DEALLOCATE as SQL.
	ReasonPreparedText
	// ReasonTableLock locks or unlocks tables or the instance.
	ReasonTableLock
	// ReasonHandler is HANDLER.
	ReasonHandler
	// ReasonAdministration is a statement about a server or its tables' files.
	ReasonAdministration
	// ReasonMulti is a text of several statements that are not all reads.
	ReasonMulti
	// ReasonEmpty is a text without a statement.
	ReasonEmpty
	// ReasonCharset has non-ASCII bytes in a character set in which a byte
	// of a character may look like a quote or a backslash.
	ReasonCharset
	// ReasonTooLarge is a statement that was not read as a whole.
	ReasonTooLarge
	// ReasonCommand is a command of the protocol that is no statement.
	ReasonCommand
	// ReasonNotUnderstood is anything else.
	ReasonNotUnderstood

	// ReasonInTransaction and the following are connection-local state
	// that keeps reads on the primary ([Query].Held).
	ReasonInTransaction
	// ReasonAutocommitOff holds because every statement is in a transaction.
	ReasonAutocommitOff
	// ReasonNextTransaction holds between SET TRANSACTION and its transaction.
	ReasonNextTransaction
	// ReasonXA holds from XA PREPARE until the branch is committed or rolled
	// back, or a window has passed.
	ReasonXA
	// ReasonTemporaryTable holds while temporary tables exist.
	ReasonTemporaryTable
	// ReasonTablesLocked holds from LOCK TABLES to UNLOCK TABLES.
	ReasonTablesLocked
	// ReasonNamedLock holds while a lock of GET_LOCK is held.
	ReasonNamedLock
	// ReasonOpenHandler holds while a HANDLER is open.
	ReasonOpenHandler
	// ReasonOpenCursor holds while a cursor is open.
	ReasonOpenCursor
	// ReasonLongData holds the execution that used SEND_LONG_DATA.
	ReasonLongData
	// ReasonUnknownState holds when the server reported a change of state
	// that cannot be named, until a reset.
	ReasonUnknownState
	// ReasonObserved holds while the primary counts, times or traces what the
	// statements of the connection do, for the client to ask about.
	ReasonObserved
	// ReasonPasswordUnknown holds because the client's login was passed on to
	// the primary, and no other server can be logged in to as that client.
	ReasonPasswordUnknown
	// ReasonHint holds because the client asked for the primary.
	ReasonHint
	// ReasonOwn is a statement on our variables: no server sees it.
	ReasonOwn

	// ReasonPrimaryMode and the following are results of [Decide].
	ReasonPrimaryMode
	// ReasonNoMonitor: nothing is known about any replica.
	ReasonNoMonitor
	// ReasonWriteInFlight: a write of the session has no outcome yet.
	ReasonWriteInFlight
	// ReasonWroteRecently: the session's window has not passed.
	ReasonWroteRecently
	// ReasonUnproven: only a GTID counts as proof, and a write has none.
	ReasonUnproven
	// ReasonReplicaBehind: no replica is known to have the session's writes.
	ReasonReplicaBehind
	// ReasonReadElsewhere: no replica is known to have what the session has
	// read from another server.
	ReasonReadElsewhere
	// ReasonWriteLost: the primary does not have a write of the session any
	// more; from the next read on the session is free of it.
	ReasonWriteLost
	// ReasonStarting: an earlier process may still be writing for the session.
	ReasonStarting
	// ReasonReplicaLate: every replica's lag is above the limit or unknown.
	ReasonReplicaLate
	// ReasonReplicaFailed: the replicas left had failed this statement before.
	ReasonReplicaFailed
	// ReasonReplicaRefused: a replica refused the statement as a write.
	ReasonReplicaRefused
	// ReasonNoReplica: no replica is up.
	ReasonNoReplica
	// ReasonReadUnproven is a read that a replica serves although it is not
	// known to have all that the session must see.
	ReasonReadUnproven

	reasonCount
)

// reasonText is what is shown of one Reason.
type reasonText struct{ name, sentence string }

var reasonTexts = [reasonCount]reasonText{
	ReasonNone:                {"none", "Nothing was decided."},
	ReasonRead:                {"read", "It is a pure read."},
	ReasonReadOnlyTransaction: {"read_only_transaction", "A READ ONLY transaction is one read."},
	ReasonPrevious:            {"previous", "It asks about the statement before it and goes where that went."},
	ReasonWrite:               {"write", "It changes data."},
	ReasonDefinition:          {"definition", "It changes schema, accounts or routines."},
	ReasonForUpdate:           {"for_update", "It locks the rows it reads for a change."},
	ReasonForShare:            {"for_share", "It locks the rows it reads against changes."},
	ReasonInto:                {"into", "It puts its result into a file or a variable."},
	ReasonUserVariable:        {"user_variable", "It uses a user variable, which only the primary's connection has."},
	ReasonUnknownFunction:     {"unknown_function", "It calls a function that is not a known built-in and may write."},
	ReasonConnectionFunction:  {"connection_function", "It calls a function about this connection, which only the primary's connection can answer."},
	ReasonServerFunction:      {"server_function", "It calls a function whose answer depends on the server."},
	ReasonLockFunction:        {"lock_function", "It uses a named lock, which lives on the primary."},
	ReasonSequence:            {"sequence", "It uses a sequence, which only the primary may advance."},
	ReasonSystemVariable:      {"system_variable", "It reads a system variable that may differ from server to server."},
	ReasonServerSchema:        {"server_schema", "It reads a schema in which a server describes itself."},
	ReasonServerState:         {"server_state", "It asks for the state of one server."},
	ReasonExplain:             {"explain", "It asks for a plan, which each server makes by its own statistics."},
	ReasonTransaction:         {"transaction", "It begins, ends or marks a transaction."},
	ReasonSet:                 {"set", "It sets the state of the connection or the server."},
	ReasonSetStatement:        {"set_statement", "It sets variables for one statement."},
	ReasonCall:                {"call", "It runs a stored program, which may write."},
	ReasonDo:                  {"do", "It evaluates expressions for what they do."},
	ReasonPreparedText:        {"prepared_text", "It works with a statement prepared in SQL, which only the primary's connection has."},
	ReasonTableLock:           {"table_lock", "It locks or unlocks tables."},
	ReasonHandler:             {"handler", "It works with a HANDLER, which only the primary's connection has."},
	ReasonAdministration:      {"administration", "It administers a server."},
	ReasonMulti:               {"multi_statement", "It holds several statements that are not all reads."},
	ReasonEmpty:               {"empty", "It holds no statement."},
	ReasonCharset:             {"charset", "In this character set a byte of a character may look like a quote."},
	ReasonTooLarge:            {"too_large", "It is larger than what is read before it is sent on."},
	ReasonCommand:             {"command", "It is a command of the protocol that the primary answers."},
	ReasonNotUnderstood:       {"not_understood", "It was not understood, so it is not proven to be a read."},
	ReasonInTransaction:       {"in_transaction", "A transaction is open on the primary."},
	ReasonAutocommitOff:       {"autocommit_off", "With autocommit off every statement is part of a transaction."},
	ReasonNextTransaction:     {"next_transaction", "SET TRANSACTION was given for the next transaction."},
	ReasonXA:                  {"xa", "What the session has prepared with XA PREPARE was not committed or rolled back yet."},
	ReasonTemporaryTable:      {"temporary_table", "The connection has temporary tables on the primary."},
	ReasonTablesLocked:        {"tables_locked", "The connection has locked tables on the primary."},
	ReasonNamedLock:           {"named_lock", "The connection holds a named lock on the primary."},
	ReasonOpenHandler:         {"open_handler", "The connection has an open HANDLER on the primary."},
	ReasonOpenCursor:          {"open_cursor", "The connection has an open cursor on the primary."},
	ReasonLongData:            {"long_data", "Its parameters were sent to the primary in pieces."},
	ReasonUnknownState:        {"unknown_state", "The server reported a change of state that cannot be repeated elsewhere."},
	ReasonObserved:            {"observed", "The connection has the primary note what its statements do."},
	ReasonPasswordUnknown:     {"password_unknown", "The client's login was passed on to the primary, so there is no password to log in to a replica with."},
	ReasonHint:                {"hint", "The client asked for the primary."},
	ReasonOwn:                 {"own", "It is said to the proxy, which answers it itself."},
	ReasonPrimaryMode:         {"primary_mode", "The mode sends everything to the primary."},
	ReasonNoMonitor:           {"no_monitor", "No monitor account is configured, so nothing is known about the replicas."},
	ReasonWriteInFlight:       {"write_in_flight", "A write of this session has no outcome yet."},
	ReasonWroteRecently:       {"wrote_recently", "This session wrote less than one window ago."},
	ReasonUnproven:            {"unproven", "This session made a write whose position is not known, and only a position counts as proof."},
	ReasonReplicaBehind:       {"replica_behind", "No replica is known to have this session's writes yet."},
	ReasonReadElsewhere:       {"read_elsewhere", "No replica is known to have what this session has read from another server."},
	ReasonWriteLost:           {"write_lost", "The primary does not have a write of this session any more."},
	ReasonStarting:            {"starting", "An earlier process may still be writing for this session."},
	ReasonReplicaLate:         {"replica_late", "The lag of every replica is above the limit or unknown."},
	ReasonReplicaFailed:       {"replica_failed", "The replicas that could serve it have failed it already."},
	ReasonReplicaRefused:      {"replica_refused", "A replica refused this statement as a write."},
	ReasonNoReplica:           {"no_replica", "No replica is up."},
	ReasonReadUnproven:        {"read_unproven", "It is a pure read, and it is not proven that the replica has this session's writes."},
}

// String is the reason in snake_case, as metrics and the explain command show
// it. A value that is no reason gives "invalid".
func (r Reason) String() string {
	if r >= reasonCount {
		return "invalid"
	}
	return reasonTexts[r].name
}

// Sentence says the reason to people: one plain sentence with its full stop.
func (r Reason) Sentence() string {
	if r >= reasonCount {
		return "The reason is not valid."
	}
	return reasonTexts[r].sentence
}

// Reasons lists every reason but [ReasonNone], in the order of their
// declaration. The slice is the caller's.
func Reasons() []Reason {
	all := make([]Reason, 0, reasonCount-1)
	for r := ReasonNone + 1; r < reasonCount; r++ {
		all = append(all, r)
	}
	return all
}
