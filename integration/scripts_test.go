package integration

import "github.com/stickyproxy/stickyproxy/internal/mysqltest"

// scripts are what other proxies are known to get wrong, and what no proxy may get wrong.
var scripts = []script{
	{"reads", "", []string{
		"r:SELECT v FROM f WHERE id = 1", "r:SELECT * FROM f", "r:SELECT n, v FROM f ORDER BY id", "r:SELECT NULL", "r:SELECT v FROM f WHERE id = 99",
		"r:(SELECT id FROM f) UNION ALL (SELECT id FROM f) ORDER BY 1", "r:WITH c AS (SELECT id FROM f) SELECT COUNT(*) FROM c",
		"r:SELECT COUNT(*), SUM(n), CONCAT(v, 'x') FROM f GROUP BY v ORDER BY v", "r:SHOW TABLES", "r:DESCRIBE f", "r:SHOW CREATE TABLE f",
		"r:SELECT v FROM f WHERE id = 1 -- comment", "r:/* comment */ SELECT v /*! , n */ FROM f WHERE id = 1", "r:SELECT v FROM f WHERE id = 1;",
	}, false},
	{"errors", "", []string{
		"SELEC 1", "SELECT * FROM nothing_there", "SELECT nothing FROM f", "SELECT v FROM nowhere.f", "", ";", "-- nothing", "INSERT INTO f VALUES (1, 'one', 1)",
		"SELECT nothing_there(1)", "CALL nothing_there()",
	}, false},
	{"locking reads", "", []string{
		"p:SELECT v FROM f WHERE id = 1 FOR UPDATE", "p:SELECT v FROM f WHERE id = 1 FOR UPDATE /* app:x */", "p:SELECT v FROM f WHERE id = 1 LOCK IN SHARE MODE",
		"p:SELECT v FROM f WHERE id = 1 FOR UPDATE;", "p:(SELECT v FROM f WHERE id = 1 FOR UPDATE)", "r:SELECT v FROM f WHERE id = 1",
	}, false},
	{"skip locked", mysqltest.MySQL, []string{"p:SELECT v FROM f WHERE id = 1 FOR UPDATE OF f SKIP LOCKED", "p:SELECT v FROM f FOR SHARE NOWAIT", "r:TABLE f", "r:VALUES ROW(1, 2)"}, false},
	{"user variables", "", []string{
		"SET @x = 5", "p:SELECT @x", "p:SELECT @y := 6", "p:SELECT @y, @x", "p:SELECT v INTO @z FROM f WHERE id = 1", "p:SELECT @z", "r:SELECT v FROM f WHERE id = 1",
	}, false},
	{"sql_mode", "", []string{
		"r:SELECT v FROM f WHERE id = 1", "SET sql_mode = 'ANSI_QUOTES,NO_BACKSLASH_ESCAPES'", `r:SELECT "v" FROM f WHERE id = 1`, `r:SELECT 'a\'`,
		`SET SESSION sql_mode = CONCAT(@@sql_mode, ',PIPES_AS_CONCAT')`, "r:SELECT 'a' || 'b'", "SELECT @@sql_mode", "SET sql_mode = DEFAULT", `r:SELECT "v" FROM f WHERE id = 1`, "r:SELECT 'a' || 'b'",
	}, false},
	{"time_zone", "", []string{
		"r:SELECT FROM_UNIXTIME(0)", "SET time_zone = '+05:30'", "r:SELECT FROM_UNIXTIME(0)", "SELECT @@time_zone", "SET time_zone = 'no zone'", "r:SELECT FROM_UNIXTIME(0)",
	}, false},
	{"character sets", "", []string{
		"SET NAMES latin1", "r:SELECT 'caf\xe9'", "r:SELECT @@character_set_client, @@collation_connection", "SET NAMES utf8mb4 COLLATE utf8mb4_bin", "r:SELECT 'a' = 'A'",
		"SET NAMES gbk", "p:SELECT '\xbf\x5c'", "SET NAMES utf8mb4", "SET character_set_results = NULL", "SELECT 'caf\u00e9'", "SET CHARACTER SET latin1", "SELECT 'x', @@character_set_results",
	}, false},
	{"isolation", mysqltest.MySQL, []string{
		"SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED", "r:SELECT @@transaction_isolation", "SET SESSION max_execution_time = 60000", "SELECT @@max_execution_time",
		"r:SELECT v FROM f WHERE id = 1", "SET SESSION TRANSACTION READ ONLY", "UPDATE f SET v = 'one' WHERE id = 1", "SET SESSION TRANSACTION READ WRITE", "SET TRANSACTION READ ONLY", "BEGIN", "UPDATE f SET v = 'one' WHERE id = 1", "COMMIT",
	}, false},
	{"isolation", mysqltest.MariaDB, []string{
		"SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED", "r:SELECT @@tx_isolation", "SET SESSION max_statement_time = 60", "SELECT @@max_statement_time",
		"r:SELECT v FROM f WHERE id = 1", "SET SESSION TRANSACTION READ ONLY", "UPDATE f SET v = 'one' WHERE id = 1", "SET SESSION TRANSACTION READ WRITE", "SET TRANSACTION READ ONLY", "BEGIN", "UPDATE f SET v = 'one' WHERE id = 1", "COMMIT",
		"SET STATEMENT max_statement_time = 10 FOR SELECT v FROM f WHERE id = 1",
	}, false},
	{"session variables", "", []string{
		"SET SESSION group_concat_max_len = 5", "r:SELECT GROUP_CONCAT(v) FROM f", "SHOW WARNINGS", "SET SESSION div_precision_increment = 2", "r:SELECT 1/3", "SET SESSION sql_select_limit = 2",
		"r:SELECT id FROM f", "SET SESSION sql_select_limit = DEFAULT", "r:SELECT id FROM f", "SET lc_time_names = 'de_DE'", "r:SELECT DATE_FORMAT('2020-05-01', '%M')", "SET SESSION no_such_variable = 1", "SET SESSION wait_timeout = 1000", "r:SELECT v FROM f WHERE id = 1",
		"SET timestamp = 1000000000", "SELECT NOW()", "SET timestamp = DEFAULT", "SELECT NOW() > '2020-01-01'",
	}, false},
	{"temporary table", "", []string{
		"CREATE TEMPORARY TABLE tt (a INT)", "INSERT INTO tt VALUES (1)", "p:SELECT * FROM tt", "p:SELECT f.v FROM f JOIN tt ON f.id = tt.a", "CREATE TEMPORARY TABLE f (id INT)", "SELECT * FROM f",
		"DROP TEMPORARY TABLE f", "SELECT id FROM f", "DROP TEMPORARY TABLE tt", "SELECT * FROM tt",
	}, false},
	{"insert id", "", []string{
		"TRUNCATE w", "INSERT INTO w (v) VALUES ('a')", "SELECT LAST_INSERT_ID()", "SELECT LAST_INSERT_ID() + 0 AS id;", "SELECT * FROM w WHERE id = LAST_INSERT_ID()", "INSERT INTO w (v) VALUES ('b'), ('c')", "SELECT @@last_insert_id, @@identity", "~",
		"r:SELECT * FROM w", "p:SELECT LAST_INSERT_ID()", "UPDATE w SET id = LAST_INSERT_ID(id + 10) WHERE id = 1", "SELECT LAST_INSERT_ID()", "INSERT INTO w VALUES (NULL, LAST_INSERT_ID())", "SELECT * FROM w",
	}, false},
	{"found rows", "", []string{
		"r:SELECT SQL_CALC_FOUND_ROWS id FROM f LIMIT 1", "SELECT FOUND_ROWS()", "r:SELECT id FROM f LIMIT 2", "SELECT FOUND_ROWS()",
	}, false},
	{"row count", "", []string{
		"UPDATE f SET n = 5 WHERE id IN (1, 2)", "SELECT ROW_COUNT()", "UPDATE f SET n = id WHERE id = 1", "UPDATE f SET n = NULL WHERE id = 2", "SELECT ROW_COUNT(), 1", "~", "r:SELECT v FROM f WHERE id = 1", "SELECT ROW_COUNT()", "DELETE FROM f WHERE id = 99", "SELECT ROW_COUNT()",
	}, false},
	{"warnings", "", []string{
		"r:SELECT CAST('abc' AS SIGNED)", "SHOW WARNINGS", "r:SELECT CAST('abc' AS SIGNED) FROM f", "SHOW COUNT(*) WARNINGS", "SHOW WARNINGS LIMIT 1", "r:SELECT 1", "SHOW WARNINGS", "r:SELECT CAST('abc' AS SIGNED)", "SELECT @@warning_count", "SELECT * FROM nothing_there", "SHOW ERRORS",
		"SHOW WARNINGS", "SELECT @@error_count", "DROP TABLE IF EXISTS nothing_there", "SHOW WARNINGS", "SELECT 1/0", "SHOW WARNINGS", "SIGNAL SQLSTATE '01000' SET MESSAGE_TEXT = 'mind'", "GET DIAGNOSTICS @n = NUMBER", "SELECT @n",
	}, false},
	{"prepared in SQL", "", []string{
		"PREPARE s FROM 'SELECT v FROM f WHERE id = ?'", "SET @a = 1", "EXECUTE s USING @a", "SELECT v FROM f WHERE id = 1", "EXECUTE s USING @a", "DEALLOCATE PREPARE s", "EXECUTE s USING @a",
	}, false},
	{"transactions", "", []string{
		"BEGIN", "p:SELECT v FROM f WHERE id = 1", "SAVEPOINT a", "ROLLBACK TO SAVEPOINT a", "RELEASE SAVEPOINT a", "ROLLBACK TO SAVEPOINT a", "COMMIT", "r:SELECT v FROM f WHERE id = 1", "START TRANSACTION WITH CONSISTENT SNAPSHOT",
		"SELECT v FROM f", "ROLLBACK AND CHAIN", "p:SELECT v FROM f WHERE id = 1", "ROLLBACK", "COMMIT WORK", "SET autocommit = 0", "p:SELECT v FROM f WHERE id = 1", "COMMIT", "p:SELECT v FROM f WHERE id = 1", "SET autocommit = 1", "r:SELECT v FROM f WHERE id = 1",
		"START TRANSACTION READ ONLY", "SELECT v FROM f WHERE id = 1", "UPDATE f SET v = 'two' WHERE id = 2", "SELECT v FROM f WHERE id = 1", "COMMIT", "START TRANSACTION READ ONLY", "ROLLBACK", "START TRANSACTION READ ONLY", "SELECT v FROM f WHERE id = 1", "COMMIT", "START TRANSACTION READ WRITE", "COMMIT",
	}, true},
	{"locks", "", []string{
		"SELECT GET_LOCK('integration', 1)", "SELECT IS_FREE_LOCK('integration')", "r:SELECT v FROM f WHERE id = 1", "SELECT RELEASE_LOCK('integration')", "SELECT RELEASE_LOCK('integration')", "LOCK TABLES f READ", "SELECT v FROM f WHERE id = 1", "SELECT * FROM w", "UNLOCK TABLES", "SELECT COUNT(*) FROM f",
	}, false},
	{"routines", "", []string{
		"CALL several()", "CALL failing()", "CALL gives(@o)", "SELECT @o", "CALL several()", "SELECT writes()", "SELECT writes()", "SELECT * FROM hides", "SELECT * FROM hides", "SELECT v FROM app2.f", "DO 1", "DO SLEEP(0)",
	}, false},
	{"several statements", "", []string{
		"SELECT v FROM f WHERE id = 1; SELECT v FROM f WHERE id = 2", "UPDATE f SET v = 'one' WHERE id = 1; SELECT ROW_COUNT();", "SELECT v FROM f WHERE id = 1; SELEC 1; SELECT 3", "SET @m = 1; SELECT @m", "BEGIN; SELECT v FROM f; COMMIT", "SELECT v FROM f WHERE id = 1",
		"SELECT 1; CALL several(); SELECT 2", "SET sql_mode = 'ANSI_QUOTES'; SELECT \"v\" FROM f WHERE id = 1", "SELECT \"v\" FROM f WHERE id = 1", "USE app2; SELECT v FROM f", "SELECT v FROM f", "USE app",
	}, false},
	{"schemas", "", []string{
		"USE app2", "r:SELECT v FROM f WHERE id = 1", "SELECT DATABASE()", "USE nowhere", "r:SELECT v FROM f WHERE id = 1", "USE `app`", "r:SELECT v FROM f WHERE id = 1", "r:SELECT v FROM app2.f WHERE id = 1", "SHOW TABLES FROM app2",
	}, false},
	{"a schema that goes", "", []string{
		"USE app2", "CREATE TABLE g (id INT)", "DROP TABLE g", "SELECT * FROM g", "~", "SELECT * FROM g", "CREATE TABLE g (id INT, x INT)", "INSERT INTO g VALUES (1, 2)", "SELECT * FROM g", "~", "r:SELECT * FROM g", "ALTER TABLE g DROP COLUMN x", "SELECT * FROM g", "~", "r:SELECT * FROM g", "DROP TABLE g",
	}, false},
	{"handler", "", []string{"HANDLER f OPEN", "HANDLER f READ FIRST", "r:SELECT v FROM f WHERE id = 1", "HANDLER f READ NEXT", "HANDLER f CLOSE"}, true},
	{"XA", "", []string{"XA START 'x'", "SELECT v FROM f WHERE id = 1", "XA END 'x'", "XA ROLLBACK 'x'", "SELECT v FROM f WHERE id = 1", "XA COMMIT 'x'"}, true},
	{"explain", "", []string{"EXPLAIN SELECT 1", "EXPLAIN UPDATE f SET v = 'x' WHERE id = 1", "HELP 'nothing of that name'", "CHECKSUM TABLE f", "SHOW STATUS LIKE 'nothing'", "KILL 1", "KILL QUERY 0"}, false},
}
