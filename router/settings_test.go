package router

import (
	"slices"
	"strings"
	"testing"
)

// What a text sets, with its value where that is plain; "?" in front of what may be set by a text that is not certain.
func TestSettings(t *testing.T) {
	names := []string{"autocommit", "sql_mode", "timestamp", "time_zone", "names", "character set", "a.b"}
	for sql, want := range map[string]string{
		"SET autocommit=0": "autocommit=0",
		"set session autocommit := 'OFF', @@sql_mode = \"ANSI\"":      "autocommit=off sql_mode=ansi",
		"SET autocommit=0, autocommit=1":                              "autocommit=1",
		"SET autocommit=1; SET time_zone='+01:00'":                    "autocommit=1 time_zone=+01:00",
		"SELECT 1; SET LOCAL timestamp = DEFAULT;":                    "?timestamp",
		"SET timestamp = -1, sql_mode = CONCAT(@@sql_mode, ',ANSI')":  "sql_mode timestamp",
		"SET @@session.timestamp = 1 + 2":                             "timestamp",
		"SET @a = 1, @autocommit = 0, `sql_mode` = ''":                "sql_mode",
		"SET @a = (SELECT sql_mode, 1 FROM t)":                        "",
		"SET GLOBAL autocommit = 0, sql_mode = ''":                    "",
		"SET GLOBAL autocommit = 0, SESSION sql_mode = ANSI":          "sql_mode=ansi",
		"SET @@global.autocommit = 0, sql_mode = ANSI":                "sql_mode=ansi",
		"SET PERSIST timestamp = 0, @@persist_only.sql_mode = 1":      "",
		"SET NAMES utf8mb4 COLLATE 'utf8mb4_bin', autocommit = 0":     "autocommit=0 names",
		"SET CHARACTER SET latin1":                                    "character set",
		"SET CHARSET DEFAULT, NAMES utf8":                             "character set names",
		"SET SESSION a.b = 1":                                         "a.b=1",
		"SET ROLE autocommit":                                         "",
		"SET SESSION TRANSACTION READ ONLY":                           "",
		"SELECT @@autocommit, 'SET sql_mode'":                         "?autocommit ?sql_mode",
		"SET autocommit = 1; BEGIN NOT ATOMIC SET timestamp = 1; END": "?autocommit ?timestamp",
		"SET # autocommit = 0\n sql_mode = 1 -- , timestamp":          "sql_mode=1",
		"SET /*! autocommit = 0, */ time_zone = 'x'":                  "?autocommit ?time_zone",
		"SET time_zone = 'a\\', autocommit = 0, sql_mode = '":         "?autocommit ?sql_mode ?time_zone",
		"SET STATEMENT sql_mode = '' FOR SELECT 1":                    "?sql_mode",
		"SET time_zone = 'autocommit":                                 "?autocommit ?time_zone",
		"SET \xa0autocommit = 1":                                      "?autocommit",
		"SET sql_mode = 'ü'":                                          "sql_mode=ü",
		"":                                                            "",
	} {
		s := ReadSettings([]byte(sql))
		var got []string
		for _, name := range names {
			switch value, ok := s.Value(name); {
			case ok:
				got = append(got, name+"="+value)
			case s.May(name) && !s.sure:
				got = append(got, "?"+name)
			case s.May(name):
				got = append(got, name)
			}
		}
		slices.Sort(got)
		if got := strings.Join(got, " "); got != want {
			t.Errorf("%s: got %q, want %q", sql, got, want)
		}
	}
}

// A text that does anything else, or may, is not one that only sets these variables.
func TestSettingsOnly(t *testing.T) {
	for sql, want := range map[string]bool{
		"SET autocommit=0": true,
		"SET SESSION autocommit = @@global.autocommit": true,
		"/* a */ SET autocommit=0, @@autocommit=1;":    true,
		"SET autocommit=0; SET autocommit=1":           true,
		"SET autocommit=0; SELECT 1":                   false,
		"SET autocommit=0, sql_mode=''":                false,
		"SET autocommit=0, NAMES utf8":                 false,
		"SET autocommit=0, @a = 1":                     false,
		"SET autocommit=0, GLOBAL autocommit = 1":      false,
		"SET autocommit=0; SET ROLE r":                 false,
		"SET autocommit=0 /*! , sql_mode='' */":        false,
		"SET GLOBAL autocommit=0":                      false,
		"SELECT 1":                                     false,
		"":                                             false,
	} {
		s := ReadSettings([]byte(sql))
		if got := s.Only(func(name string) bool { return name == "autocommit" }); got != want {
			t.Errorf("%s: got %v, want %v", sql, got, want)
		}
	}
}

func TestSettingsCollate(t *testing.T) {
	for sql, want := range map[string]bool{
		"SET NAMES utf8 COLLATE utf8_bin":                       true,
		"SET autocommit=1, NAMES 'utf8' collate utf8_bin":       true,
		"SET GLOBAL sql_mode = '', NAMES utf8 COLLATE utf8_bin": true,
		"SET NAMES utf8, sql_mode = 'collate'":                  false,
		"SET NAMES utf8 /*! COLLATE utf8_bin */":                true,
		"SET collation_connection = 'names'":                    false,
	} {
		s := ReadSettings([]byte(sql))
		if got := s.MayCollate(); got != want {
			t.Errorf("%s: got %v, want %v", sql, got, want)
		}
	}
}

func TestSettingsEndsNames(t *testing.T) {
	for sql, want := range map[string]bool{
		"SET CHARACTER SET utf8":                            true,
		"SET CHARSET DEFAULT, sql_mode = ''":                true,
		"SET NAMES utf8, CHARACTER SET utf8":                true,
		"SET NAMES utf8; SET character_set_results = utf8":  true,
		"SET character_set_results = utf8, NAMES utf8":      false,
		"SET NAMES utf8 COLLATE utf8_bin":                   false,
		"SET character_set_client = utf8, sql_mode = 'set'": false,
		"SELECT 1; SET CHARACTER SET utf8":                  true,
		"SELECT 1; SET CHARACTER SET utf8; SET NAMES utf8":  false, // it might
		"SELECT 1": false,
	} {
		s := ReadSettings([]byte(sql))
		if got := s.EndsNames(); got != want {
			t.Errorf("%s: got %v, want %v", sql, got, want)
		}
	}
}

// FuzzSettings has anything read. What is certain agrees with what Classify says of the same text, and with a text in which
// every name is mentioned.
func FuzzSettings(f *testing.F) {
	for _, sql := range []string{
		"SET autocommit=0, @@session.sql_mode := 'ANSI', GLOBAL a.b = (1, 2)", "SET NAMES utf8 COLLATE utf8_bin; SELECT 1",
		"SET @a = 1, persist x = \"y\"", "SET /*!50000 a = 1 */", "SET STATEMENT a = 1 FOR SELECT 1", "SET @@", "SET ,(", "SET a.",
	} {
		f.Add([]byte(sql))
	}
	f.Fuzz(func(t *testing.T, sql []byte) {
		s := ReadSettings(sql)
		if !s.sure {
			return
		}
		if st := Classify(sql, Context{}); len(s.list) > 0 && !st.Effects.Any(SetsSystemVariable|SetsTransaction|Calls) && st.Kind != Primary {
			t.Fatalf("%q sets %v, and is %v with %v", sql, s.list, st.Kind, st.Effects)
		}
		for _, a := range s.list {
			if a.name != nameNames && a.name != nameCharset && !strings.Contains(a.name, ".") && !s.mentions(a.name) {
				t.Fatalf("%q does not mention %q", sql, a.name)
			}
		}
	})
}
