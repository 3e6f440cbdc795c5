package proxy

import (
	"errors"
	"fmt"
	"strings"

	"github.com/go-mysql-org/go-mysql/mysql"

	"github.com/stickyproxy/stickyproxy/mysqlwire"
)

var (
	errQuit        = errors.New("the client said good-bye")
	errIdle        = errors.New("the client was idle for too long")
	errHungUp      = errors.New("the client hung up in the middle of a command")
	errNoPassword  = errors.New("the client's password is not known, and only the primary was logged in to")
	errDrained     = errors.New("the proxy is shutting down")
	errPanic       = errors.New("a mistake in stickyproxy")
	errOutOfOrder  = errors.New("not a command packet")
	errNoSchema    = errors.New("no command takes back the choice of a schema")
	errOtherLimit  = errors.New("the replica has another max_allowed_packet than the primary")
	errOlder       = errors.New("the server is too old to speak to the client as the greeting has promised")
	errIncarnation = errors.New("another server answers at the address of the replica")
)

// elsewhere says that a server failed or refused a request, that the client has seen nothing of it, and that it may
// run on another server.
type elsewhere struct {
	err     error
	refused bool // the server answered, with an ERR packet: it is healthy, and only the primary's word counts
}

func (e elsewhere) Error() string { return e.err.Error() }
func (e elsewhere) Unwrap() error { return e.err }

// serverError says that a server connection ended, and that nothing can be done about it: the client's ends too, as it
// would without us. There is no ERR packet that says so: "Lost connection" is an error of client libraries, which find it
// out themselves, and those of MariaDB take an ERR packet with one of their own numbers for a malformed packet.
type serverError struct{ err error }

func (e serverError) Error() string { return fmt.Sprintf("server connection lost: %v", e.err) }
func (e serverError) Unwrap() error { return e.err }

// farewellError is an ERR packet that a server sent to nobody's question, before it closed the connection: it shuts
// down, or the connection was idle for too long.
type farewellError struct{ err error }

func (e farewellError) Error() string { return e.err.Error() }
func (e farewellError) Unwrap() error { return e.err }

// answered returns the ERR packet with which a server has answered, nil if err is anything else.
func answered(err error) *mysqlwire.Error {
	var farewell farewellError
	var refused *mysqlwire.Error
	if errors.As(err, &farewell) || !errors.As(err, &refused) {
		return nil
	}
	return refused
}

// refusal is an ERR packet, our own or one that a server gave to something that the client did not ask for, that the client
// has to get in place of an answer. The connection goes on.
type refusal struct{ answer *mysqlwire.Error }

func (e refusal) Error() string { return e.answer.Error() }

// clientError says that the client's connection ended.
type clientError struct{ err error }

func (e clientError) Error() string { return fmt.Sprintf("client connection lost: %v", e.err) }
func (e clientError) Unwrap() error { return e.err }

// The errors that are the proxy's own words to a client.
var (
	errNoPrimary = &mysqlwire.Error{Code: codeUnreachable, State: stateUnreachable,
		Message: "Can't connect to the primary MySQL server"}
	errNoReplica = &mysqlwire.Error{Code: codeUnreachable, State: stateUnreachable,
		Message: "Can't connect to the MySQL server that runs the statement"}
	errDemoted = &mysqlwire.Error{Code: mysql.ER_OPTION_PREVENTS_STATEMENT, State: "HY000",
		Message: "The primary MySQL server is read-only and follows another server, so it cannot execute this statement"}
	errOverload = &mysqlwire.Error{Code: 1637, State: "HY000", // ER_TOO_MANY_CONCURRENT_TRXS
		Message: "Too many reads run on the primary MySQL server because no replica may serve them; try again later"}
	errForgotten = &mysqlwire.Error{Code: mysql.ER_UNKNOWN_ERROR, State: "HY000",
		Message: "What is asked about the query before is not known: the replica that ran that has failed; run it again"}
	errReadOnly = &mysqlwire.Error{Code: mysql.ER_CANT_EXECUTE_IN_READ_ONLY_TRANSACTION, State: "25006",
		Message: "Cannot execute statement in a READ ONLY transaction."}
	errUnknownCommand = &mysqlwire.Error{Code: mysql.ER_UNKNOWN_COM_ERROR, State: "08S01", Message: "Unknown command"}
	errPacketOrder    = &mysqlwire.Error{Code: mysql.ER_NET_PACKETS_OUT_OF_ORDER, State: "08S01",
		Message: "Got packets out of order"}
	errShutdown = &mysqlwire.Error{Code: mysql.ER_SERVER_SHUTDOWN, State: "08S01",
		Message: "Server shutdown in progress"}
	errInactive = &mysqlwire.Error{Code: 4031, State: "HY000", // ER_CLIENT_INTERACTION_TIMEOUT
		Message: "The client was disconnected by the server because of inactivity. See wait_timeout and interactive_timeout for configuring this behavior."}
	errMalformed = &mysqlwire.Error{Code: mysql.ER_MALFORMED_PACKET, State: "HY000",
		Message: "Malformed communication packet"}
	errTooManyTypes = &mysqlwire.Error{Code: mysql.ER_OUT_OF_RESOURCES, State: "HY000",
		Message: "Out of memory for the parameters of prepared statements"}
	errTooManyStatements = &mysqlwire.Error{Code: mysql.ER_MAX_PREPARED_STMT_COUNT_REACHED, State: "42000",
		Message: fmt.Sprintf("Can't create more than max_prepared_stmt_count statements (current value: %d)", maxStatements)}
)

// errReadOnlyOf is errReadOnly in the words of the flavor.
func errReadOnlyOf(mariaDB bool) *mysqlwire.Error {
	e := *errReadOnly
	if mariaDB {
		e.Message = strings.TrimSuffix(e.Message, ".")
	}
	return &e
}

// errUnknownStatement is MySQL's answer to a statement id that it does not know.
func errUnknownStatement(id uint32, command string) *mysqlwire.Error {
	return &mysqlwire.Error{Code: mysql.ER_UNKNOWN_STMT_HANDLER, State: "HY000",
		Message: fmt.Sprintf("Unknown prepared statement handler (%d) given to %s", id, command)}
}

// interruption reports whether an ERR packet with this code says that the statement was stopped, by KILL, by a time
// limit or by a deadlock, and not that this server cannot run it.
func interruption(code uint16) bool {
	switch code {
	case mysql.ER_QUERY_INTERRUPTED, mysql.ER_LOCK_WAIT_TIMEOUT, mysql.ER_LOCK_DEADLOCK,
		3024, // ER_QUERY_TIMEOUT, MySQL's max_execution_time
		1969: // ER_STATEMENT_TIMEOUT, MariaDB's max_statement_time
		return true
	}
	return false
}
