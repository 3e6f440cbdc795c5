package router

// key is the part of a word in the grammar, for words that Classify looks at.
type key uint8

const (
	keyNone key = iota
	keyAlter
	keyAnalyze
	keyAs
	keyBackup
	keyBegin
	keyBinlog
	keyCache
	keyCall
	keyCase
	keyChain
	keyChange
	keyCharacter
	keyCharset
	keyCheck
	keyChecksum
	keyClone
	keyClose
	keyCode
	keyColumns
	keyCommit
	keyConnection
	keyConsistent
	keyCount
	keyCreate
	keyCurrent
	keyCurrentRole
	keyCurrentUser
	keyDatabase
	keyDatabases
	keyDeallocate
	keyDeclare
	keyDefault
	keyDelete
	keyDescribe
	keyDiagnostics
	keyDo
	keyDrop
	keyDual
	keyElse
	keyEnd
	keyErrors
	keyEvent
	keyExecute
	keyExplain
	keyExport
	keyExtended
	keyFlush
	keyFor
	keyFormat
	keyFrom
	keyFull
	keyFunction
	keyGet
	keyGlobal
	keyGrant
	keyGroup
	keyHandler
	keyHelp
	keyIf
	keyImmediate
	keyImport
	keyIndex
	keyInsert
	keyInstall
	keyInstance
	keyInto
	keyIsolation
	keyJoin
	keyKill
	keyLibrary
	keyLoad
	keyLocal
	keyLock
	keyLoop
	keyMaster
	keyMember
	keyNames
	keyNext
	keyNo
	keyNot
	keyOnly
	keyOf
	keyOpen
	keyOptimize
	keyOrder
	keyOrdinality
	keyPackage
	keyPartitions
	keyPassword
	keyPersist
	keyPrepare
	keyPrevious
	keyProcedure
	keyPurge
	keyRead
	keyRecover
	keyRecursive
	keyRelease
	keyRename
	keyRepair
	keyRepeat
	keyReplace
	keyReplica
	keyReset
	keyRestart
	keyRevoke
	keyRole
	keyRollback
	keySavepoint
	keySchema
	keySelect
	keySequence
	keySession
	keySet
	keyShare
	keyShow
	keyShutdown
	keySignal
	keySlave
	keySnapshot
	keySource
	keyStage
	keyStart
	keyStatement
	keyStatus
	keyStop
	keySystemTime
	keyTable
	keyTables
	keyTemporary
	keyThen
	keyTo
	keyTransaction
	keyTrigger
	keyTriggers
	keyTruncate
	keyUninstall
	keyUnlock
	keyUpdate
	keyUse
	keyValue
	keyValues
	keyView
	keyWarnings
	keyWhile
	keyWith
	keyWork
	keyXA
)

// keys is the word of every key.
var keys = map[string]key{
	"ALTER": keyAlter, "ANALYZE": keyAnalyze, "ANALYSE": keyAnalyze, "AS": keyAs, "BACKUP": keyBackup,
	"BEGIN": keyBegin, "BINLOG": keyBinlog, "CACHE": keyCache, "CALL": keyCall, "CASE": keyCase, "CHAIN": keyChain,
	"CHANGE": keyChange, "CHARACTER": keyCharacter, "CHAR": keyCharacter, "CHARSET": keyCharset, "CHECK": keyCheck,
	"CHECKSUM": keyChecksum, "CLONE": keyClone, "CLOSE": keyClose, "CODE": keyCode, "COLUMNS": keyColumns,
	"FIELDS": keyColumns, "COMMIT": keyCommit, "CONNECTION": keyConnection, "CONSISTENT": keyConsistent,
	"COUNT": keyCount, "CREATE": keyCreate, "CURRENT": keyCurrent, "STACKED": keyCurrent,
	"CURRENT_ROLE": keyCurrentRole, "CURRENT_USER": keyCurrentUser, "DATABASE": keyDatabase,
	"DATABASES": keyDatabases, "SCHEMAS": keyDatabases, "DEALLOCATE": keyDeallocate, "DECLARE": keyDeclare,
	"DEFAULT": keyDefault, "DELETE": keyDelete, "DESCRIBE": keyDescribe, "DESC": keyDescribe,
	"DIAGNOSTICS": keyDiagnostics, "DO": keyDo, "DROP": keyDrop, "DUAL": keyDual, "ELSE": keyElse, "END": keyEnd,
	"ERRORS": keyErrors, "EVENT": keyEvent, "EXECUTE": keyExecute, "EXPLAIN": keyExplain, "EXPORT": keyExport,
	"EXTENDED": keyExtended, "FLUSH": keyFlush, "FOR": keyFor, "FORMAT": keyFormat, "FROM": keyFrom, "FULL": keyFull,
	"FUNCTION": keyFunction, "GET": keyGet, "GLOBAL": keyGlobal, "GRANT": keyGrant, "GROUP": keyGroup,
	"HANDLER": keyHandler, "HELP": keyHelp, "IF": keyIf, "IMMEDIATE": keyImmediate, "IMPORT": keyImport,
	"INDEX": keyIndex, "INDEXES": keyIndex, "KEYS": keyIndex, "INSERT": keyInsert, "INSTALL": keyInstall,
	"INSTANCE": keyInstance, "INTO": keyInto, "ISOLATION": keyIsolation, "JOIN": keyJoin, "KILL": keyKill,
	"LIBRARY": keyLibrary, "LOAD": keyLoad, "LOCAL": keyLocal, "LOCK": keyLock, "LOOP": keyLoop, "MASTER": keyMaster,
	"MEMBER": keyMember, "NAMES": keyNames, "NEXT": keyNext,
	"NO": keyNo, "NOT": keyNot, "ONLY": keyOnly, "OF": keyOf, "OPEN": keyOpen, "OPTIMIZE": keyOptimize,
	"ORDER": keyOrder, "ORDINALITY": keyOrdinality, "PACKAGE": keyPackage, "PARTITIONS": keyPartitions, "PASSWORD": keyPassword,
	"PERSIST": keyPersist, "PREPARE": keyPrepare, "PREVIOUS": keyPrevious, "PROCEDURE": keyProcedure,
	"PURGE": keyPurge, "READ": keyRead, "RECOVER": keyRecover, "RECURSIVE": keyRecursive, "RELEASE": keyRelease,
	"RENAME": keyRename, "REPAIR": keyRepair, "REPEAT": keyRepeat, "REPLACE": keyReplace, "REPLICA": keyReplica,
	"RESET": keyReset, "RESIGNAL": keySignal, "RESTART": keyRestart, "REVOKE": keyRevoke, "ROLE": keyRole,
	"ROLLBACK": keyRollback, "SAVEPOINT": keySavepoint, "SCHEMA": keySchema, "SELECT": keySelect,
	"SEQUENCE": keySequence, "SESSION": keySession, "SET": keySet, "SHARE": keyShare, "SHOW": keyShow,
	"SHUTDOWN": keyShutdown, "SIGNAL": keySignal, "SLAVE": keySlave, "SNAPSHOT": keySnapshot, "SOURCE": keySource, "STAGE": keyStage,
	"START": keyStart, "STATEMENT": keyStatement, "STATUS": keyStatus, "STOP": keyStop, "SYSTEM_TIME": keySystemTime,
	"TABLE": keyTable, "TABLES": keyTables, "TEMPORARY": keyTemporary, "THEN": keyThen, "TO": keyTo,
	"TRANSACTION": keyTransaction, "TRIGGER": keyTrigger, "TRIGGERS": keyTriggers, "TRUNCATE": keyTruncate,
	"UNINSTALL": keyUninstall, "UNLOCK": keyUnlock, "UPDATE": keyUpdate, "USE": keyUse, "VALUE": keyValue,
	"VALUES": keyValues, "VIEW": keyView, "WARNINGS": keyWarnings, "WHILE": keyWhile, "WITH": keyWith,
	"WORK": keyWork, "XA": keyXA,
}
