package proxy

import (
	"strings"
	"testing"

	"github.com/go-mysql-org/go-mysql/mysql"

	"github.com/stickyproxy/stickyproxy/internal/mysqltest/fakeserver"
)

const beginReadOnly = "START TRANSACTION READ ONLY"

// snapshotServer is a server that knows whether a transaction is open.
func snapshotServer(s *scriptedServer, more map[string]fakeserver.Handler) {
	open := make(map[*fakeserver.Conn]bool)
	s.on(func(c *fakeserver.Conn, cmd fakeserver.Command) error {
		if h := more[cmd.SQL]; h != nil {
			return h(c, cmd)
		}
		word, _, _ := strings.Cut(cmd.SQL, " ")
		status := autocommit
		switch word {
		case "START":
			open[c] = true
		case "COMMIT", endsTransaction:
			open[c] = strings.HasSuffix(cmd.SQL, "CHAIN")
		case "SELECT", "SHOW":
			if open[c] {
				status = inTransaction
			}
			return c.Rows([]string{"server"}, [][]any{{s.name}}, fakeserver.OK{Status: status})
		default:
			if cmd.Code != mysql.COM_QUERY && cmd.Code != mysql.COM_PING {
				return errDefault
			}
		}
		if open[c] {
			status = inTransaction
		}
		return c.OK(fakeserver.OK{Status: status})
	})
}

// A READ ONLY transaction stays on one replica, from its beginning to its end.
func TestSnapshotOnReplica(t *testing.T) {
	r := startRig(t, rigOptions{})
	for _, s := range r.all() {
		snapshotServer(s, nil)
	}
	c := r.connect()
	c.ok(beginReadOnly)
	s := c.fromReplica(r, "SELECT a FROM t")
	other := r.replicas[0]
	if other == s {
		other = r.replicas[1]
	}
	r.fleet.only(other.name) // a transaction does not move
	c.from(s, "SELECT b FROM t")
	c.from(s, "SHOW WARNINGS")
	c.ok("COMMIT")
	s.wantSent(beginReadOnly, "SELECT a FROM t", "SELECT b FROM t", "SHOW WARNINGS", "COMMIT")
	c.from(other, "SELECT a FROM t")
	r.primary.wantSent()
}

// Until it has returned rows, a transaction can begin again on the primary.
func TestSnapshotMoves(t *testing.T) {
	for _, tt := range []struct {
		name    string
		replica map[string]fakeserver.Handler
		sql     string
		left    []string // what the replica was sent
	}{
		{"a statement that needs the primary", nil, "SELECT a FROM t FOR UPDATE", []string{beginReadOnly, endsTransaction}},
		{"the replica is lost", map[string]fakeserver.Handler{"SELECT a FROM t": hangingUp("SELECT a FROM t")}, "SELECT a FROM t",
			[]string{beginReadOnly, "SELECT a FROM t"}},
		{"the replica refuses", map[string]fakeserver.Handler{"SELECT a FROM t": refusing("SELECT a FROM t", mysql.ER_NO_SUCH_TABLE)},
			"SELECT a FROM t", []string{beginReadOnly, "SELECT a FROM t", endsTransaction}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := startRig(t, rigOptions{replicas: 1})
			snapshotServer(r.primary, nil)
			snapshotServer(r.replicas[0], tt.replica)
			c := r.connect()
			c.ok(beginReadOnly)
			c.from(r.primary, tt.sql)
			c.from(r.primary, "SELECT b FROM t")
			c.ok("COMMIT")
			c.from(r.replicas[0], "SELECT c FROM t")
			r.primary.wantSent(beginReadOnly, tt.sql, "SELECT b FROM t", "COMMIT")
			r.replicas[0].wantSent(append(tt.left, "SELECT c FROM t")...)
		})
	}
}

// After it has returned rows, what a replica must refuse is refused in the words of the transaction.
func TestSnapshotRefusesWrites(t *testing.T) {
	for _, mariaDB := range []bool{false, true} {
		r := startRig(t, rigOptions{replicas: 1, mariaDB: mariaDB})
		const write = "UPDATE t SET a = 1"
		snapshotServer(r.replicas[0], map[string]fakeserver.Handler{write: refusing(write, mysql.ER_OPTION_PREVENTS_STATEMENT)})
		c := r.connect()
		c.ok(beginReadOnly)
		c.from(r.replicas[0], "SELECT a FROM t")
		c.fails(write, mysql.ER_CANT_EXECUTE_IN_READ_ONLY_TRANSACTION)
		c.from(r.replicas[0], "SELECT b FROM t")
		r.primary.wantSent()
	}
}

// A statement that commits implicitly takes the transaction to the primary, which judges it.
func TestSnapshotEndsImplicitly(t *testing.T) {
	r := startRig(t, rigOptions{replicas: 1})
	r.fleet.withoutGTIDs() // so that what writes pins by the window
	snapshotServer(r.replicas[0], nil)
	c := r.connect()
	c.ok(beginReadOnly)
	c.from(r.replicas[0], "SELECT a FROM t")
	c.ok("CREATE TABLE u (a INT)")
	r.replicas[0].wantSent(beginReadOnly, "SELECT a FROM t", endsTransaction)
	r.primary.wantSent(beginReadOnly, "CREATE TABLE u (a INT)")
	c.ok(beginReadOnly)
	c.from(r.primary, "SELECT a FROM t")
}

// What a transaction sees is fixed at its first read, so that is when the session's writes must be there, and again
// after COMMIT AND CHAIN.
func TestSnapshotSeesTheSession(t *testing.T) {
	r := startRig(t, rigOptions{replicas: 1})
	snapshotServer(r.replicas[0], nil)
	snapshotServer(r.primary, map[string]fakeserver.Handler{"INSERT INTO t VALUES (1)": func(c *fakeserver.Conn, _ fakeserver.Command) error {
		return c.OK(writeGTID(sourceUUID + ":5"))
	}})
	reader, writer := r.connectAs(usualClient, "", "s"), r.connectAs(usualClient, "", "s")
	reader.ok(beginReadOnly)
	writer.ok("INSERT INTO t VALUES (1)")
	reader.from(r.primary, "SELECT a FROM t")
	reader.ok("COMMIT")

	r.fleet.executed(mustGTID(t, sourceUUID+":1-5"))
	reader.ok(beginReadOnly)
	reader.from(r.replicas[0], "SELECT a FROM t")
	r.fleet.executed(mustGTID(t, sourceUUID+":1-4")) // a restored one, say
	reader.from(r.replicas[0], "SELECT b FROM t")
	reader.ok("COMMIT AND CHAIN")
	reader.from(r.primary, "SELECT c FROM t")
}

// To prepare a statement is not the first read of a transaction: the execution is, and its attributes may name a session that
// has seen more than the replica has.
func TestSnapshotIsNotTakenByPrepare(t *testing.T) {
	r := startRig(t, rigOptions{replicas: 1})
	replica := r.replicas[0]
	snapshotServer(replica, map[string]fakeserver.Handler{readT: func(c *fakeserver.Conn, _ fakeserver.Command) error {
		return c.Prepared(replica.statementID(), nil, []string{"server"})
	}})
	writer, reader := r.connectAs(usualClient, "", "s"), r.connectAs(multiClient, "", "")
	r.primary.on(answering(map[string]fakeserver.OK{write: writeGTID(sourceUUID + ":9"), beginReadOnly: {Status: inTransaction}}))
	writer.ok(write)
	reader.ok(beginReadOnly)
	id := reader.prepare(readT)
	replica.wantSent(beginReadOnly, "PREPARE "+readT)
	r.primary.sent()
	reader.executes(r.primary, execution(id, 0x08, "\x01\x00\x01\xfe\x00\x0esticky_session\x01s"))
	r.primary.wantSent(beginReadOnly, "PREPARE "+readT, "EXECUTE")
}

// Where each statement of a transaction sees the newest data, a transaction is not one read.
func TestReadCommittedStaysOnPrimary(t *testing.T) {
	for _, level := range []string{"READ-COMMITTED", "READ-UNCOMMITTED"} {
		r := startRig(t, rigOptions{replicas: 1})
		r.primary.variables = "transaction_isolation=" + level + "\n"
		c := r.connect()
		c.ok(beginReadOnly)
		c.from(r.primary, "SELECT a FROM t")
		r.replicas[0].wantSent()
	}
	r := startRig(t, rigOptions{replicas: 1})
	const set = "SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED"
	r.primary.on(answering(map[string]fakeserver.OK{set: {Track: []fakeserver.Track{fakeserver.TrackVariable("transaction_isolation", "READ-COMMITTED")}}}))
	c := r.connect()
	c.ok(set)
	c.ok(beginReadOnly)
	c.from(r.primary, "SELECT a FROM t")
}

// A reset ends the transaction on the replica at once: an open one would hold back replication.
func TestResetEndsSnapshot(t *testing.T) {
	r := startRig(t, rigOptions{replicas: 1})
	snapshotServer(r.replicas[0], nil)
	c := r.connect()
	c.ok(beginReadOnly)
	c.from(r.replicas[0], "SELECT a FROM t")
	closed := r.replicas[0].Conns()[0].Done()
	if got := c.ask(mysql.COM_RESET_CONNECTION, ""); got.err != nil || got.lost != nil {
		t.Fatal(got)
	}
	<-closed
	c.from(r.replicas[0], "SELECT b FROM t")
}

// User variables that are set in the transaction are set on the primary too, but nothing that the replica refused is
// done there.
func TestSnapshotKeepsUserVariables(t *testing.T) {
	r := startRig(t, rigOptions{replicas: 1})
	const sets, refused = "SELECT a FROM t INTO @x", "SELECT f(1) INTO @x"
	snapshotServer(r.primary, nil)
	snapshotServer(r.replicas[0], map[string]fakeserver.Handler{
		sets: func(c *fakeserver.Conn, _ fakeserver.Command) error {
			return c.OK(fakeserver.OK{Status: inTransaction})
		},
		refused: refusing(refused, mysql.ER_OPTION_PREVENTS_STATEMENT),
	})
	c := r.connect()
	c.ok(beginReadOnly)
	c.from(r.replicas[0], "SELECT a FROM t")
	c.ok(sets)
	c.fails(refused, mysql.ER_CANT_EXECUTE_IN_READ_ONLY_TRANSACTION)
	c.ok("COMMIT")
	c.from(r.primary, "SELECT @x")
	r.primary.wantSent("START TRANSACTION READ ONLY", sets, "COMMIT AND NO CHAIN NO RELEASE", "SELECT @x")
	r.replicas[0].wantSent(beginReadOnly, "SELECT a FROM t", sets, refused, "SIGNAL SQLSTATE '25006' SET MYSQL_ERRNO = 1792, "+
		"MESSAGE_TEXT = 'Cannot execute statement in a READ ONLY transaction.'", "COMMIT")
}

// What is about the connection, and not about data, is asked of the primary meanwhile.
func TestSnapshotLeavesServerStateToPrimary(t *testing.T) {
	r := startRig(t, rigOptions{replicas: 1})
	snapshotServer(r.replicas[0], nil)
	c := r.connect()
	c.ok(beginReadOnly)
	c.from(r.replicas[0], "SELECT a FROM t")
	c.from(r.primary, "SELECT CONNECTION_ID()")
	if got := c.ask(mysql.COM_PROCESS_KILL, "\x63\x00\x00\x00"); got.err != nil {
		t.Error(got)
	}
	c.ok("KILL QUERY 99")
	c.from(r.replicas[0], "SELECT b FROM t")
	r.primary.wantSent("SELECT CONNECTION_ID()", "PROCESS KILL", "KILL QUERY 99")
}

// A schema and settings that change within the transaction are told to the primary after it.
func TestSnapshotStateIsToldAfterwards(t *testing.T) {
	r := startRig(t, rigOptions{replicas: 1})
	const set = "SET time_zone = 'UTC'"
	snapshotServer(r.replicas[0], map[string]fakeserver.Handler{
		set: answering(map[string]fakeserver.OK{set: {Status: inTransaction, Track: []fakeserver.Track{fakeserver.TrackVariable("time_zone", "UTC")}}}),
	})
	c := r.connect()
	c.ok(beginReadOnly)
	c.from(r.replicas[0], "SELECT a FROM t")
	c.ok(set)
	c.ok("COMMIT")
	c.ok("INSERT INTO t VALUES (1)")
	r.primary.wantSent("SET @@SESSION.time_zone='UTC'", "INSERT INTO t VALUES (1)")
}
