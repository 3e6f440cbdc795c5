package proxy

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"

	"github.com/go-mysql-org/go-mysql/mysql"

	"github.com/stickyproxy/stickyproxy/backend"
	"github.com/stickyproxy/stickyproxy/mysqlwire"
)

// Fault says whose fault it is that something ended.
type Fault uint8

// Who can be at fault.
const (
	FaultClient  Fault = iota + 1 // a wrong password, a packet that makes no sense, silence
	FaultBackend                  // the server cannot be reached, is full or answers nonsense
	FaultProxy                    // we stop, or are not able to
)

// String is the name in logs and metrics.
func (f Fault) String() string {
	switch f {
	case FaultClient:
		return "client"
	case FaultBackend:
		return "backend"
	case FaultProxy:
		return "proxy"
	}
	return "unknown"
}

// LoginError is why a client was not let in.
type LoginError struct {
	Fault Fault
	User  string           // the client's word for itself; empty when it did not get that far
	Sent  *mysqlwire.Error // what the client was told, or would have been; nil: there was nobody to tell
	Err   error            // what happened, with more than the client may know; not nil

	// unread says that the client may still be sending what nobody will read.
	unread bool
	// denied says that the user or the password was wrong.
	denied bool
}

// Error is for the log: it may name servers.
func (e *LoginError) Error() string {
	if e.User == "" {
		return fmt.Sprintf("login: %v", e.Err)
	}
	return fmt.Sprintf("login of %q: %v", e.User, e.Err)
}

// Unwrap returns Err.
func (e *LoginError) Unwrap() error { return e.Err }

// Texts of errors that a server sends during a login, as MySQL has them.
const (
	textBadHandshake = "Bad handshake"
	textTooLarge     = "Got a packet bigger than 'max_allowed_packet' bytes"
	textOutOfOrder   = "Got packets out of order"
	textTimeout      = "Got timeout reading communication packets"
	textOldClient    = "Client does not support authentication protocol requested by server; consider upgrading MySQL client"
	textInsecure     = "Connections using insecure transport are prohibited while --require_secure_transport=ON."
	textShutdown     = "Server shutdown in progress"
	textUnreachable  = "Can't connect to MySQL server: the primary cannot be reached"
	textInternal     = "Internal error: the login could not be handled"
	textGuessing     = "Host '%.64s' is blocked because of many failed logins; try again in a few seconds"
	textCertificate  = ". Your certificate ends at stickyproxy: if the account has REQUIRE X509 (or SUBJECT, ISSUER), " +
		"give stickyproxy a certificate that the server takes, tls.cert and tls.key of the server, and check those of " +
		"clients by tls.ca of the listener"
	codeLocked        = 3118                                    // ER_ACCOUNT_HAS_BEEN_LOCKED
	codeBlocked       = 3955                                    // ER_USER_ACCESS_DENIED_FOR_USER_ACCOUNT_BLOCKED_BY_PASSWORD_LOCK
	codeUnreachable   = mysql.ER_CONNECT_TO_FOREIGN_DATA_SOURCE // clients take none of their own, such as 2003, from a server
	stateUnreachable  = "08S01"                                 // by which applications know that it may work later
	codeInsecure      = 3159                                    // ER_SECURE_TRANSPORT_REQUIRED
	codeClientSide    = 2000                                    // from here to 2999 are errors of client libraries
	codeClientSideEnd = 3000
)

var (
	errOrder    = errors.New("the client's packets are out of order")
	errTLSAgain = errors.New("the client asks for TLS where it is not offered")
	errInsecure = errors.New("TLS is required and the client does not use it")
	errOld      = errors.New("the client does not know authentication plugins")
	errStopping = errors.New("the proxy stops")
	errDenied   = errors.New("access denied")
	errGuessing = errors.New("many failed logins from this address")
	errNoKey    = errors.New("no key for passwords without TLS")

	errUnreachable = &mysqlwire.Error{Code: codeUnreachable, State: stateUnreachable, Message: textUnreachable}
)

// clientFault is an error of which the client is told.
func clientFault(err error, code uint16, text string) *LoginError {
	return &LoginError{Fault: FaultClient, Err: err, Sent: mysqlwire.NewError(code, "%s", text)}
}

// malformed is a packet that makes no sense; more may follow it.
func malformed(err error) *LoginError {
	e := clientFault(err, mysql.ER_HANDSHAKE_ERROR, textBadHandshake)
	e.unread = true
	return e
}

// ioFault is an error of the client's connection; the end of parent is the proxy's.
func ioFault(parent context.Context, err error) *LoginError {
	var timeout net.Error
	switch {
	case parent.Err() != nil:
		return &LoginError{Fault: FaultProxy, Err: errStopping, Sent: mysqlwire.NewError(mysql.ER_SERVER_SHUTDOWN, textShutdown)}
	case errors.Is(err, mysqlwire.ErrTooLarge):
		e := clientFault(err, mysql.ER_NET_PACKET_TOO_LARGE, textTooLarge)
		e.unread = true
		return e
	case errors.Is(err, os.ErrDeadlineExceeded), errors.As(err, &timeout) && timeout.Timeout():
		return clientFault(fmt.Errorf("the client is too slow: %w", err), mysql.ER_NET_READ_INTERRUPTED, textTimeout)
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return &LoginError{Fault: FaultClient, Err: fmt.Errorf("the client hung up: %w", err)}
	}
	return &LoginError{Fault: FaultClient, Err: err}
}

// backendFault is the error of a login to the primary that did not refuse the password; the end of parent is the proxy's.
func backendFault(parent context.Context, err error) *LoginError {
	var refused *mysqlwire.Error
	var account *backend.AccountError
	switch {
	case errors.As(err, &account):
		return clientFault(err, mysql.ER_NOT_SUPPORTED_AUTH_MODE, account.Error())
	case errors.As(err, &refused) && (refused.Code < codeClientSide || refused.Code >= codeClientSideEnd):
		sent := *refused
		if sent.State == "" {
			sent.State = mysqlwire.StateOf(sent.Code)
		}
		return &LoginError{Fault: faultOf(sent.Code), Err: err, Sent: &sent}
	case parent.Err() != nil:
		return &LoginError{Fault: FaultProxy, Err: errStopping, Sent: mysqlwire.NewError(mysql.ER_SERVER_SHUTDOWN, textShutdown)}
	}
	return &LoginError{Fault: FaultBackend, Err: err, Sent: errUnreachable}
}

// faultOf tells the refusals that are about the server, or about the proxy's host, from those that are about the client.
func faultOf(code uint16) Fault {
	switch code {
	case mysql.ER_CON_COUNT_ERROR, mysql.ER_SERVER_SHUTDOWN, mysql.ER_HOST_IS_BLOCKED, mysql.ER_HOST_NOT_PRIVILEGED,
		mysql.ER_OUT_OF_RESOURCES:
		return FaultBackend
	}
	return FaultClient
}

// isDenied says whether a server refused the user or the password. MariaDB has a code of its own for an account that
// takes no password.
func isDenied(err error) bool {
	var refused *mysqlwire.Error
	return errors.As(err, &refused) &&
		(refused.Code == mysql.ER_ACCESS_DENIED_ERROR || refused.Code == mysql.ER_ACCESS_DENIED_NO_PASSWORD_ERROR)
}
