package proxy

import "testing"

// A temporary table is known by its name from its CREATE to its DROP, where the texts are plain.
func TestTemporaries(t *testing.T) {
	for _, tt := range []struct {
		name       string
		create     string
		known      bool
		drop, read string
		mentioned  bool
	}{
		{"plain", "CREATE TEMPORARY TABLE t (i INT)", true, "", "SELECT * FROM t", true},
		{"other case, quoted", "create temporary table if not exists `T` like x", true, "", "SELECT 1 FROM `t` AS u", true},
		{"with a schema", "CREATE OR REPLACE TEMPORARY TABLE app.t SELECT 1", true, "", "SELECT * FROM other.t", true},
		{"another table", "CREATE TEMPORARY TABLE tmp (i INT)", true, "", "SELECT * FROM posts", false},
		{"a part of a word", "CREATE TEMPORARY TABLE post (i INT)", true, "", "SELECT * FROM posts, my_post, post2", false},
		{"a word after parts of some", "CREATE TEMPORARY TABLE post (i INT)", true, "", "SELECT * FROM posts, repost.POST", true},
		{"behind a version", "CREATE TEMPORARY TABLE t (i INT)", true, "", "SELECT * FROM /*!80000t*/", true},
		{"dropped", "CREATE TEMPORARY TABLE t (i INT)", true, "DROP TEMPORARY TABLE IF EXISTS x, `t` ;", "SELECT * FROM t", false},
		{"dropped with its schema", "CREATE TEMPORARY TABLE t (i INT)", true, "drop table app.t", "SELECT * FROM t", false},
		{"another schema's dropped", "CREATE TEMPORARY TABLE t (i INT)", true, "DROP TABLE other.t", "SELECT * FROM t", true},
		{"drop with more behind it", "CREATE TEMPORARY TABLE t (i INT)", true, "DROP TABLE t /* or so */", "SELECT * FROM t", true},
		{"comment", "CREATE /* */ TEMPORARY TABLE t (i INT)", false, "", "", false},
		{"comment behind", "CREATE TEMPORARY TABLE t /*! (i INT) */", false, "", "", false},
		{"odd name", "CREATE TEMPORARY TABLE `t``u` (i INT)", false, "", "", false},
		{"not ASCII", "CREATE TEMPORARY TABLE `tä` (i INT)", false, "", "", false},
		{"no name", "CREATE TEMPORARY TABLE ", false, "", "", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var all temporaries
			if got := all.created([]byte(tt.create), "app"); got != tt.known {
				t.Fatalf("known: got %v, want %v", got, tt.known)
			}
			all.dropped([]byte(tt.drop), "app")
			if got := all.mentioned([]byte(tt.read)); got != tt.mentioned {
				t.Errorf("mentioned: got %v, want %v", got, tt.mentioned)
			}
		})
	}
}

// Where a server lists temporary tables, what may list them belongs where they are.
func TestTemporaryTablesListed(t *testing.T) {
	var all temporaries
	if all.listed([]byte("SHOW TABLES")) {
		t.Error("listed, and there are none")
	}
	all.created([]byte("CREATE TEMPORARY TABLE t (i INT)"), "app")
	for sql, want := range map[string]bool{
		"SHOW FULL TABLES FROM b": true, "show table status": true, "SELECT * FROM `information_schema`.`columns`": true,
		"SELECT * FROM tables": true, "SELECT * FROM tablespaces": false, "SELECT 1": false,
	} {
		if got := all.listed([]byte(sql)); got != want {
			t.Errorf("%s: got %v, want %v", sql, got, want)
		}
	}
}
