package mysqlwire

import "github.com/go-mysql-org/go-mysql/mysql"

// Capability is the set of flags with which client and server agree, at login, on what their connection can do: the
// server announces a set, the client answers with the part of it that it wants.
// https://dev.mysql.com/doc/dev/mysql-server/latest/group__group__cs__capabilities__flags.html
//
// The upper half are those that only MariaDB has: https://mariadb.com/kb/en/connection/#capabilities
type Capability uint64

// The capabilities that somebody between client and server has to know.
const (
	// CapLongPassword is set by every MySQL. MariaDB leaves it out of its greeting to say that it has 32 more flags in
	// the reserved bytes (it calls the flag CLIENT_MYSQL): https://mariadb.com/kb/en/connection/#capabilities
	CapLongPassword  Capability = Capability(mysql.CLIENT_LONG_PASSWORD)
	CapFoundRows     Capability = Capability(mysql.CLIENT_FOUND_ROWS) // an UPDATE counts rows found, not changed
	CapLongFlag      Capability = Capability(mysql.CLIENT_LONG_FLAG)
	CapConnectWithDB Capability = Capability(mysql.CLIENT_CONNECT_WITH_DB) // the login request names a schema
	// CapNoSchema has the server look over the schema in front of a table, which is one of the current schema then.
	CapNoSchema         Capability = Capability(mysql.CLIENT_NO_SCHEMA)
	CapCompress         Capability = Capability(mysql.CLIENT_COMPRESS) // with zlib
	CapLocalFiles       Capability = Capability(mysql.CLIENT_LOCAL_FILES)
	CapIgnoreSpace      Capability = Capability(mysql.CLIENT_IGNORE_SPACE)
	CapProtocol41       Capability = Capability(mysql.CLIENT_PROTOCOL_41)
	CapInteractive      Capability = Capability(mysql.CLIENT_INTERACTIVE) // interactive_timeout instead of wait_timeout
	CapSSL              Capability = Capability(mysql.CLIENT_SSL)
	CapTransactions     Capability = Capability(mysql.CLIENT_TRANSACTIONS)
	CapSecureConnection Capability = Capability(mysql.CLIENT_SECURE_CONNECTION) // the password's answer has a length
	CapMultiStatements  Capability = Capability(mysql.CLIENT_MULTI_STATEMENTS)
	CapMultiResults     Capability = Capability(mysql.CLIENT_MULTI_RESULTS)
	CapPSMultiResults   Capability = Capability(mysql.CLIENT_PS_MULTI_RESULTS)
	CapPluginAuth       Capability = Capability(mysql.CLIENT_PLUGIN_AUTH)
	CapConnectAttrs     Capability = Capability(mysql.CLIENT_CONNECT_ATTRS)
	CapPluginAuthLenenc Capability = Capability(mysql.CLIENT_PLUGIN_AUTH_LENENC_CLIENT_DATA)
	CapExpiredPasswords Capability = Capability(mysql.CLIENT_CAN_HANDLE_EXPIRED_PASSWORDS)
	CapSessionTrack     Capability = Capability(mysql.CLIENT_SESSION_TRACK)
	CapDeprecateEOF     Capability = Capability(mysql.CLIENT_DEPRECATE_EOF)
	CapZstd             Capability = Capability(mysql.CLIENT_ZSTD_COMPRESSION_ALGORITHM)
	CapQueryAttributes  Capability = Capability(mysql.CLIENT_QUERY_ATTRIBUTES)

	// CapOptionalMetadata has results say whether definitions of their columns follow, which the client can choose by
	// setting resultset_metadata: https://dev.mysql.com/doc/c-api/en/c-api-optional-metadata.html
	CapOptionalMetadata Capability = Capability(mysql.CLIENT_OPTIONAL_RESULTSET_METADATA)

	// CapProgress lets the server tell how far it is with a long statement, in packets before the response:
	// https://mariadb.com/kb/en/progress-reporting/
	CapProgress Capability = 1 << 32
	// CapBulkExecute allows COM_STMT_BULK_EXECUTE: a prepared statement runs for many rows of parameters at once.
	CapBulkExecute Capability = 1 << 34
	// CapExtendedMetadata adds to definitions what MariaDB's own types are (JSON, UUID, INET6, POINT).
	CapExtendedMetadata Capability = 1 << 35
)

// CapResultForm is what changes how results read: a server without what its client negotiated of it cannot serve it.
const CapResultForm = CapOptionalMetadata | CapExtendedMetadata

// mariaDBShift is where the capabilities that only MariaDB has begin.
const mariaDBShift = 32

const (
	// capLogin only matters to the login itself, which is a dialogue of its own on each side.
	capLogin = CapLongPassword | CapProtocol41 | CapSecureConnection | CapPluginAuth | CapPluginAuthLenenc | CapConnectAttrs

	// capSame changes what a statement does or how a packet reads, and nothing in between can make up for it: it has to
	// be the same towards the client and towards the server.
	capSame = CapFoundRows | CapLongFlag | CapNoSchema | CapLocalFiles | CapIgnoreSpace | CapInteractive | CapTransactions |
		CapMultiStatements | CapMultiResults | CapPSMultiResults | CapQueryAttributes | CapExpiredPasswords |
		CapOptionalMetadata | CapProgress | CapBulkExecute | CapExtendedMetadata

	// capTranslated may differ between the two sides: OK and EOF packets are re-encoded where it does. A classic client
	// is served in the classic form by servers too: the EOF packet behind definitions of columns says that more results
	// follow, how many warnings there are and more that nobody else can know at that point.
	capTranslated = CapSessionTrack | CapDeprecateEOF

	// capOurs concerns the way to the client alone; servers are spoken to without.
	capOurs = CapCompress | CapZstd
)

// Has says whether every flag of x is in c.
func (c Capability) Has(x Capability) bool { return c&x == x }

// Announced is what can be offered to a client when the server behind announced c: what belongs to the login, and what
// both the server and the relay can do, and compression, whatever the server can. CapLongPassword is in it unless some of
// MariaDB's additional flags are.
func (c Capability) Announced(tls bool) Capability {
	a := capLogin | capOurs | c.settled()&(capSame|capTranslated|CapConnectWithDB)
	if a.mariaDB() != 0 {
		a &^= CapLongPassword
	}
	if tls {
		a |= CapSSL
	}
	return a
}

// ForServer is what to ask of a server for a client that negotiated c. Tracking of the session is wanted in any case. The
// server may lack some of it, and CapConnectWithDB, CapConnectAttrs and CapSSL are for the one who logs in to add.
func (c Capability) ForServer() Capability {
	login := capLogin &^ CapConnectAttrs
	return login | CapLongFlag | CapTransactions | CapSessionTrack | c&(capSame|CapDeprecateEOF)
}

// mariaDB is the additional flags of MariaDB as they travel, where they do.
func (c Capability) mariaDB() uint32 { return uint32(c >> mariaDBShift) }

// settled is c without the additional flags of MariaDB where CapLongPassword says that there are none.
func (c Capability) settled() Capability {
	if c.Has(CapLongPassword) {
		return c & (1<<mariaDBShift - 1)
	}
	return c
}
