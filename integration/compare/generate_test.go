package compare

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
)

// generate makes a random script for one connection. What it does is likely to matter to what comes later: state is
// set, used, and ended in every way, between reads that may run on a replica.
func generate(r *rand.Rand, length int) []step {
	g := generator{Rand: r}
	var steps []step
	for len(steps) < length {
		line := g.line()
		s, err := parseStep(line)
		if err != nil {
			panic(fmt.Sprintf("%s: %v", line, err))
		}
		steps = append(steps, s)
	}
	return steps
}

type generator struct{ *rand.Rand }

// kinds are what a line may be, and how often. Trackers of session state are left to scripts: servers note some changes only
// while a tracker is on, and the proxy's are always on.
var kinds = []kind{
	{28, reads}, {6, oddReads}, {9, aboutPrevious}, {9, writes}, {9, transactions}, {6, readOnly}, {8, variables}, {5, userVariables},
	{5, temporary}, {4, schemas}, {10, preparedLines}, {4, errorLines}, {4, several}, {3, locks}, {2, routines}, {3, commands}, {12, []string{".settle"}},
}

// moreKinds are kinds that are there for long runs only. Not all that they find is mended.
var moreKinds = []kind{
	{8, newerReads}, {3, conditions}, {4, charsets}, {4, otherVariables}, {3, preparedKinds}, {3, moreWrites}, {2, views}, {2, files}, {2, branches}, {2, flavoured}, {2, moreRoutines}, {4, intoVariables}, {4, textsInVariables},
}

// kind is a kind of lines, and how often one of them is taken.
type kind struct {
	weight int
	lines  []string
}

var (
	reads = []string{
		"SELECT v FROM f WHERE id = N", "SELECT * FROM f ORDER BY id", "SELECT id, v FROM w ORDER BY id", "SELECT COUNT(*), MAX(v) FROM w",
		"SELECT id FROM f LIMIT N", "SELECT SQL_CALC_FOUND_ROWS id FROM f LIMIT N", "SELECT v FROM $other.f WHERE id = N", "SELECT DATABASE()",
		"SELECT * FROM g", "SELECT CAST('abc' AS SIGNED)", "SELECT 1/0, 1/3", "SELECT * FROM types WHERE id = N", "SELECT v FROM f WHERE id = N FOR UPDATE",
		"SELECT GROUP_CONCAT(v ORDER BY id) FROM f", "SELECT FROM_UNIXTIME(N)", "SELECT ts FROM types WHERE id = 1", `SELECT "v" FROM f WHERE id = N`,
		"SELECT 'a' || 'b', 'a' = 'A', COLLATION('a')", "SELECT 'é', HEX('é'), v AS `é` FROM f WHERE id = N", `SELECT 'a\\b'`, "SELECT DATE_FORMAT('2020-05-01', '%M')",
		"SHOW TABLES", "SELECT f.v, w.v FROM f LEFT JOIN w ON f.id = w.id ORDER BY f.id", "SELECT REPEAT('x', 3000) FROM f", "SELECT NOT 1 BETWEEN -5 AND 5",
		"SELECT id FROM f WHERE n IS NULL ORDER BY id", "(SELECT id FROM f) UNION (SELECT 77) ORDER BY 1", "SELECT v FROM f WHERE id = N /* comment */", "SELECT id FROM w WHERE id IS NULL",
	}
	oddReads = []string{
		"SELECT @@sql_mode, @@time_zone, @@autocommit", "SELECT @@character_set_client, @@collation_connection, @@character_set_results", "SELECT @@div_precision_increment, @@sql_select_limit",
		"SHOW COLUMNS FROM w", "SELECT pure(N)", "SELECT writes()", "SELECT v FROM f WHERE id = N LOCK IN SHARE MODE", "SELECT * FROM hides", "SELECT * FROM v1",
	}
	aboutPrevious = []string{
		"SHOW WARNINGS", "SHOW ERRORS", "SHOW COUNT(*) WARNINGS", "SELECT FOUND_ROWS()", "SELECT ROW_COUNT()", "SELECT LAST_INSERT_ID()", "SELECT @@warning_count",
		"SELECT LAST_INSERT_ID(), 1", "SELECT @@last_insert_id", "SELECT @@error_count",
		"SHOW COUNT(*) ERRORS", "SELECT @n", "SHOW WARNINGS LIMIT 1",
	}
	writes = []string{
		"INSERT INTO w (v) VALUES ('N')", "INSERT INTO w (v) VALUES ('a'), ('b')", "INSERT INTO w (v, u) VALUES ('u', N)", "UPDATE f SET v = 'N' WHERE id = N", "UPDATE f SET n = N",
		"DELETE FROM w WHERE id = N", "REPLACE INTO f VALUES (N, 'replaced', N)", "INSERT IGNORE INTO f VALUES (N, 'ignored', NULL)", "INSERT INTO w (v, u) VALUES ('d', N) ON DUPLICATE KEY UPDATE v = 'dup'",
		"UPDATE w SET id = LAST_INSERT_ID(id + 100) WHERE id = N", "INSERT INTO w (v) VALUES (LAST_INSERT_ID())", "INSERT INTO w (v) VALUES ('é')", "INSERT INTO w (v) VALUES ('a text that is too long for it')",
		"TRUNCATE w", "CREATE TABLE made (a INT)", "DROP TABLE made", "ALTER TABLE w COMMENT 'N'", "INSERT INTO w (v) SELECT v FROM f", "DROP TABLE IF EXISTS made",
	}
	transactions = []string{
		"BEGIN", "BEGIN", "START TRANSACTION", "COMMIT", "COMMIT", "ROLLBACK", "COMMIT AND CHAIN", "ROLLBACK AND CHAIN", "SAVEPOINT s", "ROLLBACK TO s", "RELEASE SAVEPOINT s",
		"SET autocommit = 0", "SET autocommit = 1", "START TRANSACTION WITH CONSISTENT SNAPSHOT", "SET TRANSACTION ISOLATION LEVEL SERIALIZABLE", "SET TRANSACTION READ ONLY",
		"SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED", "SET SESSION TRANSACTION READ ONLY", "SET SESSION TRANSACTION READ WRITE", "XA START 'x$schema'", "XA END 'x$schema'", "XA ROLLBACK 'x$schema'",
	}
	readOnly  = []string{"START TRANSACTION READ ONLY", "START TRANSACTION READ ONLY", "COMMIT", "ROLLBACK", "START TRANSACTION READ ONLY, WITH CONSISTENT SNAPSHOT"}
	variables = []string{
		"SET sql_mode = ''", "SET sql_mode = 'ANSI_QUOTES'", "SET sql_mode = 'PIPES_AS_CONCAT,NO_BACKSLASH_ESCAPES'", "SET sql_mode = DEFAULT", "SET time_zone = '+0N:00'", "SET time_zone = DEFAULT",
		"SET NAMES latin1", "SET NAMES utf8mb4", "SET NAMES utf8mb4 COLLATE utf8mb4_bin", "SET NAMES gbk", "SET character_set_results = NULL", "SET CHARACTER SET latin1", "SET character_set_results = latin1",
		"SET div_precision_increment = N", "SET sql_select_limit = N", "SET sql_select_limit = DEFAULT", "SET lc_time_names = 'de_DE'", "SET group_concat_max_len = 1N", "SET SESSION max_error_count = N",
		"SET sql_mode = 'nonsense'", "SET time_zone = 'nowhere'", "SET SESSION default_week_format = N, SESSION sql_warnings = 1", "SET collation_connection = utf8mb4_bin", "SET foreign_key_checks = 0",
		"SET timestamp = 100000000N", "SET timestamp = DEFAULT", "SET insert_id = 5N", "SET sql_notes = 0", "SET sql_auto_is_null = 1", "SET sql_auto_is_null = 0",
		"SET completion_type = CHAIN", "SET completion_type = DEFAULT", "SET completion_type = DEFAULT",
	}
	userVariables = []string{
		"SET @x = N", "SELECT @x", "SELECT @y := N, @x", "SELECT v INTO @x FROM f WHERE id = N", "SELECT v FROM f WHERE id = @x", "SET @z = (SELECT MAX(id) FROM w)", "SELECT @x, @y, @z",
		"PREPARE p FROM 'SELECT v FROM f WHERE id = ?'", "EXECUTE p USING @x", "DEALLOCATE PREPARE p", "PREPARE p FROM 'SET @x = 5'", "EXECUTE p", "SELECT sets_x()", "PREPARE p FROM 'SELECT FOUND_ROWS()'",
		"PREPARE p FROM 'UPDATE f SET n = 9 WHERE id = ?'", "PREPARE p FROM 'SHOW WARNINGS'", "EXECUTE p", "SET @x = N, time_zone = '+0N:00'",
	}
	temporary = []string{
		"CREATE TEMPORARY TABLE tt (a INT)", "INSERT INTO tt VALUES (N)", "SELECT * FROM tt", "DROP TEMPORARY TABLE tt", "DROP TABLE IF EXISTS tt", "CREATE TEMPORARY TABLE f (id INT, v INT)", "DROP TEMPORARY TABLE f",
		"SELECT COUNT(*) FROM f JOIN tt ON f.id = tt.a", "CREATE TEMPORARY TABLE $other.tt SELECT N AS b", "ALTER TABLE tt RENAME TO t2", "SELECT * FROM t2",
	}
	schemas       = []string{"USE $other", "USE $schema", ".init_db $other", ".init_db $schema", "USE nowhere", "USE $schema"}
	preparedLines = []string{ // MySQL prepares what calls a routine again whenever any routine changed: then @x is of another type
		".prepare s1 SELECT v FROM f WHERE id = ?", ".prepare s1 SELECT id, n FROM f WHERE id > ? ORDER BY id", ".execute s1 N", ".execute s1 N", ".execute s1 'N'", ".execute s1 NULL", ".again s1 N", ".cursor s1 N", ".fetch s1 N", ".reset s1", ".close s1",
		".prepare s2 SELECT v FROM w ORDER BY id", ".execute s2", ".execute s2", ".cursor s2", ".fetch s2 1", ".prepare s3 INSERT INTO w (v, u) VALUES (?, ?)", ".execute s3 'N' N", ".again s3 'N' N", ".long s3 0 long N", ".execute s3 LONG N",
		".prepare s4 SELECT FOUND_ROWS()", ".execute s4", ".prepare s4 SELECT LAST_INSERT_ID()",
		".prepare s5 /* c */ UPDATE f SET n = N WHERE id < N", ".prepare s5 CALL several()", ".prepare s5 SELECT SQL_CALC_FOUND_ROWS id FROM f LIMIT N", ".prepare s5 SELECT @x IS NULL, sets_x()", ".execute s5", ".execute s5",
		".prepare s6 SELEC", ".prepare s6 COMMIT", ".prepare s6 SET time_zone = '+0N:00'", ".prepare s6 BEGIN", ".prepare s6 SHOW WARNINGS", ".execute s6", ".execute s6",
	}
	errorLines = []string{
		"SELEC N", "SELECT nothing FROM f", "SELECT * FROM nothing", "INSERT INTO f VALUES (1, 'dup', 1), (1, 'dup', 1)", "CALL nothing()", "SET nothing = 1", "SELECT (SELECT id FROM f)", "SELECT EXP(10000)", "DROP TABLE nothing", "DROP TABLE IF EXISTS nothing", "",
		"UPDATE f SET id = 1", "SELECT v FROM f WHERE v REGEXP '('",
	}
	several = []string{
		"SELECT v FROM f WHERE id = N; SELECT N", "UPDATE f SET n = N WHERE id = N; SELECT ROW_COUNT()", "INSERT INTO w (v) VALUES ('m'); SELECT LAST_INSERT_ID()", "BEGIN; SELECT v FROM f WHERE id = N", "BEGIN; INSERT INTO w (v) VALUES ('t'); COMMIT",
		"SET time_zone = '+0N:00'; SELECT FROM_UNIXTIME(0)", "SELECT N; SELEC; SELECT 1", "SELECT N; SELECT nothing; SELECT 1", "SET @x = N; SELECT @x", "SELECT CAST('abc' AS SIGNED); SELECT 1", "SELECT 1; SELECT CAST('abc' AS SIGNED)", "USE $other; SELECT * FROM g", "SELECT 1;",
		"SET sql_mode = 'ANSI_QUOTES'; SELECT nothing FROM f; SET sql_mode = ''", "CREATE TEMPORARY TABLE tt (a INT); SELECT * FROM tt", "SET autocommit = 0; SELECT N",
		"SELECT SQL_CALC_FOUND_ROWS id FROM f LIMIT N; SELECT FOUND_ROWS()", "COMMIT; SELECT v FROM f", "START TRANSACTION READ ONLY; SELECT v FROM f",
	}
	locks = []string{
		"LOCK TABLES f READ", "LOCK TABLES f WRITE, w WRITE", "UNLOCK TABLES", "UNLOCK TABLES", "SELECT GET_LOCK('$schema', 0)", "SELECT RELEASE_LOCK('$schema')", "HANDLER f OPEN", "HANDLER f READ NEXT", "HANDLER f CLOSE", "SELECT IS_USED_LOCK('$schema') = CONNECTION_ID()",
	}
	newerReads = []string{
		"WITH c AS (SELECT id, v FROM f) SELECT * FROM c ORDER BY id", "WITH RECURSIVE r (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM r WHERE n < N) SELECT * FROM r",
		"SELECT id, ROW_NUMBER() OVER (ORDER BY id), SUM(n) OVER (ORDER BY id) FROM f", "SELECT JSON_EXTRACT(j, '$.a'), JSON_TYPE(j), JSON_VALID(x) FROM types ORDER BY id", "SELECT JSON_EXTRACT('{', '$')",
		"SELECT j->'$.a' FROM types", "VALUES ROW(1, 2), ROW(N, 4)", "VALUES (1, 2), (N, 4)", "TABLE f", "SELECT n, COUNT(*) FROM f GROUP BY n WITH ROLLUP", "SELECT id FROM f INTERSECT SELECT id FROM w", "SELECT id FROM f EXCEPT SELECT N",
		"SELECT id FROM f WHERE id IN (SELECT id FROM w) OR EXISTS (SELECT 1 FROM $other.g)", "SELECT CAST('2020-13-01' AS DATE), STR_TO_DATE('x', '%Y')", "SELECT id FROM f ORDER BY id LIMIT N OFFSET 1", "SELECT INET_ATON('x'), CONVERT('é' USING latin1)",
		"SELECT COERCIBILITY('a'), CHARSET(v) FROM f LIMIT 1", "SELECT d.a FROM (SELECT id AS a FROM f) AS d WHERE d.a > N", "SELECT 'x' + N, v + 0 FROM f WHERE id = N", "SELECT id FROM f WHERE v = N", "SELECT 18446744073709551615 + N", "SELECT * FROM gen",
		"SELECT ELT(N, 'a', 'b'), FIELD(v, 'two'), INTERVAL(N, 1, 2) FROM f ORDER BY id", "SELECT DISTINCT n FROM f ORDER BY n", "SELECT SQL_CALC_FOUND_ROWS v FROM f ORDER BY id LIMIT 1, 1", "SELECT SQL_NO_CACHE id FROM f WHERE id = N", "SELECT SUM(n), AVG(n), STD(n) FROM f",
		"SELECT IF(id > N, (SELECT id FROM f), 1) FROM f ORDER BY id", "SELECT 1 FROM DUAL WHERE FALSE", "SELECT v FROM f WHERE id = N LIMIT 0", "SELECT SLEEP(0)", "SELECT BENCHMARK(N, 1)", "SELECT finds(N)", "DESCRIBE f", "SHOW FULL COLUMNS FROM f LIKE 'v%'", "SHOW CREATE TABLE f", "SHOW CREATE VIEW v1",
		"EXPLAIN SELECT 1", "SHOW VARIABLES LIKE 'sql_mode'", "SHOW CHARACTER SET LIKE 'utf8mb4'", "SHOW CREATE PROCEDURE gives", "CHECKSUM TABLE f", "SHOW DATABASES LIKE '$schema'", "SHOW FULL TABLES LIKE 'v%'", "HELP 'nothing at all'",
	}
	conditions = []string{
		"SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'no', MYSQL_ERRNO = 300N", "SIGNAL SQLSTATE '01000' SET MESSAGE_TEXT = 'hm'", "RESIGNAL", "SELECT @m",
	}
	charsets = []string{
		"SET NAMES binary", "SET NAMES utf8mb3", "SET NAMES DEFAULT", "SET CHARACTER SET DEFAULT", "SET NAMES utf8mb4 COLLATE utf8mb4_general_ci", "SET NAMES latin1 COLLATE latin1_german2_ci", "SET character_set_client = latin1", "SET character_set_client = utf8mb4",
		"SET character_set_connection = latin1", "SET collation_connection = latin1_swedish_ci", "SET collation_connection = DEFAULT", "SET character_set_results = DEFAULT", "SET character_set_results = utf8mb4", "SET character_set_database = latin1", "SELECT 'ß' = 'ss', HEX(_latin1'é'), 'é' = 'E'",
		"SELECT HEX(CONVERT('é' USING utf8mb4)), COLLATION(CONCAT('a', v)) FROM f LIMIT 1", "SELECT CHARSET('x'), COLLATION('x'), CHARSET(USER())", "SET NAMES cp932", "SET NAMES nothing", "SET NAMES latin1, @x = N", "SET time_zone = '+0N:00', NAMES latin1",
	}
	// SET unique_checks = 0 is left out: with foreign_key_checks off as well, a replica that is a MariaDB does not find the row
	// again that one event has inserted into an empty table, as writes() does, and stops. (MDEV-515 made inserts wait there.)
	otherVariables = []string{
		"SET sql_safe_updates = 1", "SET sql_safe_updates = 0", "SET sql_mode = CONCAT(@@sql_mode, ',ANSI')", "SET @@sql_mode = 'NO_ZERO_DATE'", "SET lc_messages = 'de_DE'", "SET lc_messages = DEFAULT", "SET rand_seed1 = N, rand_seed2 = N", "SET rand_seed1 = N, rand_seed2 = N; SELECT RAND()", "SET unique_checks = 1",
		"SET SESSION net_read_timeout = 3N", "SET SESSION transaction_isolation = 'SERIALIZABLE'", "SET GLOBAL sort_buffer_size = 100000", "SET ROLE NONE", "SET sql_quote_show_create = 0", "SET SESSION max_sort_length = 4", "SET SESSION sort_buffer_size = 1",
		"SET autocommit = DEFAULT", "SET SESSION wait_timeout = 300N, time_zone = 'nowhere'", "SET @@SESSION.div_precision_increment = N", "SET LOCAL group_concat_max_len = 4", "SET @x = @@sql_mode, sql_mode = ''", "SET big_tables = 1", "SET SESSION optimizer_switch = 'index_merge=off'",
		"SET sql_mode = 'NO_UNSIGNED_SUBTRACTION,HIGH_NOT_PRECEDENCE'", "SET SESSION binlog_format = 'ROW'", "SET last_insert_id = N", "SET identity = N", "SET SESSION default_storage_engine = 'MyISAM'", "SET windowing_use_high_precision = 0", "SET SESSION block_encryption_mode = 'aes-256-cbc'",
	}
	preparedKinds = []string{
		".prepare s7 CALL gives(?)", ".prepare s7 CALL changes(?, ?)", ".execute s7 N", ".execute s7 N 'N'", ".prepare s8 SELECT ? + 1, ?", ".execute s8 N 'N'", ".execute s8 NULL 1.5", ".again s8 N 'N'", ".cursor s8 N 'N'", ".fetch s8 N", ".prepare s8 SELECT v FROM f WHERE id = ? OR v = ?",
		".prepare s9 USE $other", ".prepare s9 SHOW TABLES", ".prepare s9 SET @x = N", ".prepare s9 SELECT @x := N", ".prepare s9 CREATE TEMPORARY TABLE tt (a INT)", ".prepare s9 SELECT * FROM tt", ".prepare s9 SELECT SQL_CALC_FOUND_ROWS v FROM f LIMIT 1", ".prepare s9 SELECT nothing FROM f",
		".prepare s9 SELECT ROW_COUNT()", ".prepare s9 ROLLBACK", ".prepare s9 SELECT CAST('abc' AS SIGNED)", ".execute s9", ".execute s9", ".cursor s9", ".fetch s9 N", ".reset s9", ".close s9", ".prepare s9 SELECT 1; SELECT 2", ".prepare s9 DO 1",
		"EXECUTE IMMEDIATE 'SELECT v FROM f WHERE id = N'", "PREPARE q FROM 'USE $other'", "PREPARE q FROM 'SELECT ?, ?'", "EXECUTE q USING @x, @y", "EXECUTE q", "PREPARE q FROM 'CALL gives(@x)'", "PREPARE q FROM @x", "DROP PREPARE q",
		"PREPARE q FROM 'COMMIT'", "PREPARE q FROM 'BEGIN'", "PREPARE q FROM 'SAVEPOINT s'", "PREPARE q FROM 'SELECT v INTO @x FROM f WHERE id = N'", "PREPARE q FROM 'SET sql_select_limit = N'", "PREPARE q FROM 'CREATE TEMPORARY TABLE tt (a INT)'",
		"EXECUTE IMMEDIATE 'SET @x = N'", "EXECUTE IMMEDIATE 'ROLLBACK'", "EXECUTE q",
	}
	moreWrites = []string{
		"INSERT INTO gen (id, a) VALUES (N, N)", "INSERT INTO gen (id, a) VALUES (5, N), (6, N)", "SELECT @t", "UPDATE gen SET a = a + 1", "INSERT INTO gen (id, b) VALUES (N, N)", "UPDATE f SET n = 1 WHERE 1 = 0", "UPDATE f SET n = (SELECT MAX(id) FROM w) WHERE id = N", "DELETE FROM w WHERE id IN (SELECT id FROM f)",
		"INSERT INTO w (v) VALUES ((SELECT v FROM f WHERE id = N))", "INSERT INTO w SET v = CAST('abc' AS SIGNED)", "UPDATE f JOIN w ON f.id = w.id SET f.v = 'joined'", "DELETE f FROM f JOIN w ON f.id = w.id WHERE f.id = N", "INSERT INTO w (v) SELECT v FROM f WHERE id = N FOR UPDATE",
		"UPDATE f SET v = 'x' ORDER BY id DESC LIMIT N", "UPDATE IGNORE f SET id = N", "INSERT INTO w (u) VALUES (N), (N)", "DELETE FROM f ORDER BY id LIMIT 1", "DO 1", "DO (SELECT MAX(id) FROM f)", "INSERT INTO w () VALUES ()", "REPLACE INTO w (id, v) SELECT id, v FROM f", "INSERT INTO f (id) VALUES ('x')",
	}
	intoVariables = []string{
		"SET @x = FOUND_ROWS()", "SELECT FOUND_ROWS() INTO @x", "SET @x = ROW_COUNT()", "SELECT ROW_COUNT() INTO @y", "SET @x = @@warning_count", "SELECT @@error_count INTO @x", "SELECT @x, @y, FOUND_ROWS()", "SELECT @x := LAST_INSERT_ID()",
		"DO LAST_INSERT_ID(N)", "SELECT LAST_INSERT_ID(N)", "SET @y = LAST_INSERT_ID(N)", "SELECT LAST_INSERT_ID(id) FROM f", "DO GET_LOCK('$schema', 0)", "SELECT GET_LOCK('$schema', 0) INTO @x", "SET @x = RELEASE_LOCK('$schema')", "SELECT v, @x := id FROM f WHERE id = N", "SELECT COUNT(*) INTO @y FROM w",
	}
	textsInVariables = []string{
		"SET @text = 'SELECT ROW_COUNT()'", "SET @text = 'SELECT FOUND_ROWS()'", "SET @text = 'SHOW WARNINGS'", "SET @text = 'SELECT v FROM f WHERE id > N'", "SET @text = 'INSERT INTO w (v) VALUES (N)'", "SET @text = 'UPDATE f SET n = N WHERE id = N'",
		"SET @text = 'SELECT CAST(''abc'' AS SIGNED)'", "SET @text = 'SET @x = N'", "PREPARE t FROM @text", "PREPARE t FROM @text", "PREPARE t FROM @text", "EXECUTE t", "EXECUTE t", "EXECUTE t", "EXECUTE t", "EXECUTE t", "EXECUTE IMMEDIATE @text", "EXECUTE IMMEDIATE @text",
	}
	views = []string{"CREATE OR REPLACE VIEW v2 AS SELECT id FROM f WHERE id < N", "SELECT * FROM v2 ORDER BY id", "DROP VIEW v2", "DROP VIEW IF EXISTS v2", "UPDATE v1 SET v = 'N' WHERE id = N", "SELECT * FROM v1 WHERE id = N", "CREATE OR REPLACE VIEW v2 AS SELECT CONNECTION_ID() > 0 AS c"}
	files = []string{
		`.file "a\nb\n"`, `.file "8,eight\n9,nine,more\n1,one\n"`, "LOAD DATA LOCAL INFILE 'x' INTO TABLE w (v)", "LOAD DATA LOCAL INFILE 'x' INTO TABLE f FIELDS TERMINATED BY ',' (id, v)", "LOAD DATA LOCAL INFILE 'x' INTO TABLE nothing",
		"LOAD DATA LOCAL INFILE 'x' INTO TABLE w (@v) SET v = CONCAT(@v, 'N')", "SELECT @v",
	}
	// XA PREPARE is left out: who goes on behind it waits for its locks, on servers that let him, and for a long time.
	branches  = []string{"XA START 'x$schema'", "XA END 'x$schema'", "XA COMMIT 'x$schema'", "XA ROLLBACK 'x$schema'", "XA COMMIT 'x$schema' ONE PHASE"}
	flavoured = []string{
		"INSERT INTO w (v) VALUES ('r') RETURNING id, v", "DELETE FROM w WHERE id = N RETURNING v", "SET STATEMENT group_concat_max_len = 4 FOR SELECT GROUP_CONCAT(v) FROM f", "BEGIN NOT ATOMIC SET @x = N; SELECT @x; END", `SELECT /*+ SET_VAR(sql_mode = 'ANSI_QUOTES') */ "v" FROM f WHERE id = N`,
		"SELECT /*! SQL_CALC_FOUND_ROWS */ id FROM f LIMIT N", "SELECT /*!50000 id */ FROM f", "SELECT /*M! id, */ v FROM f", "SELECT v FROM f WHERE id = N FOR SHARE", "SELECT v FROM f WHERE id = N FOR UPDATE SKIP LOCKED", "CREATE OR REPLACE TEMPORARY TABLE tt (a INT)", "SELECT ROWNUM(), id FROM f",
	}
	// What @x may be is no number: on MariaDB, the error of CALL changes(@x, @y) names a row, counted by the statement before.
	moreRoutines = []string{"CALL handles()", "CALL changes(@n, @y)", "CALL several(); SELECT N", "CALL counts()"}
	routines     = []string{"CALL several()", "CALL failing()", "CALL gives(@x)", "CALL hides_state()", "SELECT * FROM hidden", "SELECT @hidden", "CALL sets_mode()", "CALL sets_hidden()"}
	commands     = []string{".ping", ".reset_connection", ".reset_connection", ".change_user app $schema", ".change_user app", ".field_list f", ".set_option 0", ".set_option 1"}
)

// line is a random line, its numbers chosen.
func (g generator) line() string {
	kinds, total := kinds, 0
	if *more {
		kinds = slices.Concat(kinds, moreKinds)
	}
	for _, k := range kinds {
		total += k.weight
	}
	n := g.IntN(total)
	for _, k := range kinds {
		if n -= k.weight; n < 0 {
			return g.numbers(k.lines[g.IntN(len(k.lines))])
		}
	}
	panic("not reached")
}

// numbers puts digits in place of the word N and of an N at the end of a word.
func (g generator) numbers(line string) string {
	var b strings.Builder
	for i := range len(line) {
		after := i+1 < len(line) && isLetter(line[i+1])
		before := i > 0 && isLetter(line[i-1])
		if line[i] == 'N' && !before && !after {
			fmt.Fprint(&b, 1+g.IntN(4))
			continue
		}
		b.WriteByte(line[i])
	}
	if line == "" {
		return `""`
	}
	return b.String()
}

func isLetter(c byte) bool { return c|0x20 >= 'a' && c|0x20 <= 'z' || c == '_' }
