package router

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"
)

// hintsOf is what the comments of a text say, in short.
func hintsOf(t testing.TB, sql string, c Context) (list, cut string) {
	t.Helper()
	if !Classify([]byte(sql), c).Ours.Has(Hinted) {
		return "", sql
	}
	h, err := ReadHints([]byte(sql), c)
	if err != nil {
		return faultOf(t, err), sql
	}
	var all []string
	for _, hint := range h.List {
		all = append(all, strings.TrimPrefix(hint.Name.String(), "sticky_")+"="+hint.Value)
	}
	return strings.Join(all, " "), string(h.Cut([]byte(sql)))
}

func faultOf(t testing.TB, err error) string {
	t.Helper()
	var fault *HintError
	if !errors.As(err, &fault) || fault.Text == "" || strings.HasSuffix(fault.Text, ".") {
		t.Fatalf("%v is not a sentence for a client", err)
	}
	return map[Fault]string{FaultValue: "value!", FaultMixed: "mixed!", FaultUnknown: "unknown!"}[fault.Fault]
}

// Ensure hints are found where they count and nowhere else.
func TestReadHints(t *testing.T) {
	for _, tt := range []struct{ sql, want, cut string }{
		{"SELECT 1", "", ""},
		{"/* sticky_session=user-42 */ SELECT 1", "session=user-42", "  SELECT 1"},
		{"/*sticky_session='user-42'*/ SELECT 1", "session=user-42", "  SELECT 1"},
		{"SELECT 1 /* sticky_session=user-42 */", "session=user-42", "SELECT 1  "},
		{"SELECT/*sticky_session=u*/1", "session=u", "SELECT 1"},
		{"SELECT 1 -- sticky_session=u\n+ 1", "session=u", "SELECT 1  \n+ 1"},
		{"SELECT 1 # sticky_session=u", "session=u", "SELECT 1  "},
		{"#sticky_session=u\nSELECT 1", "session=u", " \nSELECT 1"},
		{"SELECT 1 --sticky_session=u", "", ""}, // no comment
		{"SELECT 1 /* STICKY_Session=u */", "session=u", "SELECT 1  "},
		{"SELECT 1 /* sticky_session = u */", "session=u", "SELECT 1  "},
		{"SELECT 1 /*sticky_session=\"a%20b\"*/", "session=a b", "SELECT 1  "},
		{"SELECT 1 /*sticky_session='a%2Fb%27c+d'*/", "session=a/b'c+d", "SELECT 1  "},
		{`SELECT 1 /*sticky_session='it\'s'*/`, "session=it's", "SELECT 1  "},
		{"SELECT 1 /*sticky_session='%zz'*/", "value!", ""},
		{"SELECT 1 /*sticky_session='abc*/", "value!", ""},
		{"SELECT 1 /*sticky_session=''*/", "session=", "SELECT 1  "}, // empty: for the proxy to refuse
		{"SELECT 1 /*sticky_session=*/", "session=", "SELECT 1  "},
		{"SELECT 1 /* sticky_session=%41 */", "session=%41", "SELECT 1  "}, // not quoted, not decoded
		{"SELECT 1 /* sticky_session=u, sticky_route=primary sticky_pin=1 */", "session=u route=primary pin=1", "SELECT 1  "},
		{"SELECT 1 /*action='%2Fx',sticky_session='u',traceparent='00-1'*/", "session=u", "SELECT 1 /*action='%2Fx', traceparent='00-1'*/"},
		{"SELECT 1 /*action='x',sticky_session='u'*/", "session=u", "SELECT 1 /*action='x', */"},
		{"SELECT 1 /*action='sticky_session=x',b='y'*/", "", ""},
		{"/* sticky_session=a */ SELECT 1 /* sticky_session=b */", "session=a session=b", "  SELECT 1  "},
		{"WITH c (a, b /* sticky_session=u */) AS (SELECT 1, 2) SELECT a FROM c", "session=u", "WITH c (a, b  ) AS (SELECT 1, 2) SELECT a FROM c"},
		{"SELECT a FROM (SELECT 1) AS c (a #sticky_pin=1\n)", "pin=1", "SELECT a FROM (SELECT 1) AS c (a  \n)"},
		{"/* from the cart; sticky_session=u */ SELECT 1", "session=u", "/* from the cart;   */ SELECT 1"},
		{"/* mysticky_session=u */ SELECT 1", "", ""},
		{"/* sticky_sessions=u */ SELECT 1", "unknown!", ""},
		{"/* a=1, sticky_posts=u */ SELECT 1", "unknown!", ""},
		{"/* all about sticky_posts=u */ SELECT 1", "", ""},
		{"/* set sticky_session = u when you can */ SELECT 1", "", ""},
		{"/* sticky_session */ SELECT 1", "", ""},
		{"SELECT '/* sticky_session=u */'", "", ""},
		{"SELECT `/* sticky_session=u */`", "", ""},
		{"SELECT 'it''s /* sticky_session=u */'", "", ""},
		{`SELECT 'it\'s /* sticky_session=u */'`, "", ""},
		{"/*! sticky_session=u */ SELECT 1", "", ""},
		{"/*!50000 SELECT 1 -- sticky_session=u\n */", "", ""},
		{"/*M! sticky_session=u */ SELECT 1", "", ""},
		{"SELECT /*+ sticky_session=u */ 1", "", ""},
		{"CREATE PROCEDURE p() BEGIN /* sticky_session=u */ SELECT 1; END", "", ""},
		{"CREATE PROCEDURE p() SELECT 1 /* sticky_session=u */", "", ""},
		{"CREATE TRIGGER r BEFORE INSERT ON t FOR EACH ROW /* sticky_session=u */ SET NEW.a = 1", "", ""},
		{"BEGIN NOT ATOMIC /* sticky_session=u */ SELECT 1; END", "", ""},
		{"/* sticky_session=u */ CREATE PROCEDURE p() SELECT 1", "session=u", "  CREATE PROCEDURE p() SELECT 1"},
		{"CREATE PROCEDURE p() SELECT 1; /* sticky_session=u */ SELECT 1", "session=u", "CREATE PROCEDURE p() SELECT 1;   SELECT 1"},
		{"/* sticky_token=v1.abc */ SELECT 1", "token=v1.abc", "  SELECT 1"},
		{"SELECT 1 " + strings.Repeat("/*sticky_pin=1*/", 65), "value!", ""},
	} {
		got, cut := hintsOf(t, tt.sql, Context{})
		if got != tt.want {
			t.Errorf("%s: got %q, want %q", tt.sql, got, tt.want)
		}
		if tt.cut == "" {
			tt.cut = tt.sql
		}
		if cut != tt.cut {
			t.Errorf("%s: without hints got %q, want %q", tt.sql, cut, tt.cut)
		}
	}
}

// Ensure a hint counts whichever way a server reads a text with characters that
// have a backslash in them, and that what is not sure is not cut.
func TestHintsInWideCharset(t *testing.T) {
	const hint = " /* sticky_session=u */"
	c := Context{UnsafeCharset: true}
	for _, tt := range []struct{ sql, cut string }{
		{"INSERT INTO t VALUES ('\x95\\')" + hint, ""}, // Shift JIS: no escape
		{"INSERT INTO t VALUES ('\xb1')" + hint, ""},   // a character of one byte there
		{"INSERT INTO t VALUES ('\x95\x5e')" + hint, "INSERT INTO t VALUES ('\x95\x5e')  "},
	} {
		if tt.cut == "" {
			tt.cut = tt.sql
		}
		if got, cut := hintsOf(t, tt.sql, c); got != "session=u" || cut != tt.cut {
			t.Errorf("%q: got %q and %q", tt.sql, got, cut)
		}
	}
}

// partsOf is a text cut into parts, in short.
func partsOf(t testing.TB, sql string, c Context) string {
	t.Helper()
	if !Classify([]byte(sql), c).Ours.Has(Addressed) {
		return "theirs"
	}
	parts, err := Split([]byte(sql), c)
	if err != nil {
		return faultOf(t, err)
	}
	var all []string
	for _, p := range parts {
		var s strings.Builder
		if p.SQL != nil {
			fmt.Fprintf(&s, "{%s}", p.SQL)
		}
		for _, a := range p.Assignments {
			short := strings.TrimPrefix(a.Name.String(), "sticky_")
			switch {
			case a.Null:
				fmt.Fprintf(&s, "[%s=NULL]", short)
			case a.Param > 0:
				fmt.Fprintf(&s, "[%s=?%d/%d]", short, a.Param, p.Params)
			default:
				fmt.Fprintf(&s, "[%s=%q]", short, a.Value)
			}
		}
		for _, c := range p.Columns {
			fmt.Fprintf(&s, "<%s %s>", strings.TrimPrefix(c.Name.String(), "sticky_"), c.Title)
		}
		all = append(all, s.String())
	}
	return strings.Join(all, " | ")
}

// Ensure statements on our variables are understood, whatever their form, and
// what cannot be served is refused.
func TestSplit(t *testing.T) {
	for _, tt := range []struct{ sql, want string }{
		{"SET @sticky_session = 'user-42'", `[session="user-42"]`},
		{"set @STICKY_Session:=\"a\";", `[session="a"]`},
		{"SET @`sticky_session` = 'a', @'sticky_pin' = 1, @\"sticky_route\" = 'primary'", `[session="a"][pin="1"][route="primary"]`},
		{"SET @sticky_session = NULL", "[session=NULL]"},
		{"SET @sticky_session = ?", "[session=?1/1]"},
		{"SET @sticky_session = ?, @sticky_token=?", "[session=?1/2][token=?2/2]"},
		{"SET @sticky_pin = TRUE, @sticky_pin = false", `[pin="1"][pin="0"]`},
		{`SET @sticky_session = 'it''s \'a\' \\ \n \% "b"'`, `[session="it's 'a' \\ \n \\% \"b\""]`},
		{"SET @sticky_session = 'a' 'b'", `[session="ab"]`},
		{"SET @sticky_session = _utf8mb4'a', @sticky_token = N'b'", `[session="a"][token="b"]`},
		{"/* why */ SET /* not */ @sticky_session = 'a' -- so", `[session="a"]`},
		{"SET @sticky_session = 'a', autocommit = 0", `{SET autocommit = 0}[session="a"]`},
		{"SET NAMES utf8mb4, @sticky_session = 'a', @x = (SELECT 1, 2), sql_mode=''", `{SET NAMES utf8mb4, @x = (SELECT 1, 2), sql_mode=''}[session="a"]`},
		{"SET @x = ?, @sticky_session = ?", "{SET @x = ?}[session=?2/2]"},
		{"SET @sticky_session='u1'; SELECT * FROM t", `[session="u1"] | { SELECT * FROM t}`},
		{"SELECT 1; SELECT 2; SET @sticky_pin=1; SELECT 3;; SELECT @sticky_token;", `{SELECT 1; SELECT 2} | [pin="1"] | { SELECT 3} | <token @sticky_token>`},
		{"SELECT @sticky_token", "<token @sticky_token>"},
		{"SELECT @Sticky_Token, @`sticky_session` AS s, @sticky_route r, @sticky_pin 'it''s', @sticky_pin as `p p`",
			"<token @Sticky_Token><session s><route r><pin it's><pin p p>"},
		{"SELECT @`sticky_session`, @'sticky_pin'", "<session @`sticky_session`><pin @'sticky_pin'>"},
		{"SET @sticky_posts = 1", "theirs"},
		{"SELECT @sticky_sessions", "theirs"},
		{"SELECT '@sticky_session'", "theirs"},
		{"SELECT `@sticky_session`", "theirs"},
		{"SET @sticky_session = CONCAT('a', 'b')", "mixed!"},
		{"SET @sticky_session = @x", "mixed!"},
		{"SET @sticky_session = 'a' COLLATE utf8mb4_bin", "mixed!"},
		{"SET @sticky_session = user_id", "mixed!"},
		{"SET @sticky_session", "mixed!"},
		{"SET @sticky_session =", "mixed!"},
		{"SET @sticky_session = 'a',", "mixed!"},
		{"SET @sticky_session = 'a", "mixed!"},
		{"SET @x = @sticky_token", "mixed!"},
		{"SET @x = 1, @y = (SELECT @sticky_token)", "mixed!"},
		{"SET STATEMENT max_statement_time = 1 FOR SELECT @sticky_token", "mixed!"},
		{"SELECT @sticky_token, 1", "mixed!"},
		{"SELECT 1, @sticky_token", "mixed!"},
		{"SELECT @sticky_session = 'a'", "mixed!"},
		{"SELECT @sticky_session := 'a'", "mixed!"},
		{"SELECT LENGTH(@sticky_token)", "mixed!"},
		{"SELECT @sticky_token FROM t", "mixed!"},
		{"SELECT @sticky_token INTO @x", "mixed!"},
		{"SELECT a INTO @sticky_session FROM t", "mixed!"},
		{"SELECT * FROM t WHERE id = @sticky_session", "mixed!"},
		{"UPDATE t SET a = @sticky_token", "mixed!"},
		{"CALL p(@sticky_session)", "mixed!"},
		{"CREATE PROCEDURE p() SET @sticky_session = 'a'", "mixed!"},
		{"CREATE PROCEDURE p() BEGIN SET @sticky_session = 'a'; SELECT 1; END", "mixed!"},
		{"PREPARE s FROM 'SET @sticky_session = ?'", "mixed!"},
		{"EXECUTE IMMEDIATE 'SELECT @`sticky_token`'", "mixed!"},
		{"PREPARE s FROM 'SELECT 1'", "theirs"},
		{"/*!50000 SET @sticky_session = 'a' */", "mixed!"},
		{"SET /*!50000 @x = 1, */ @sticky_session = 'a'", "mixed!"},
		{"SET @sticky_session = 'a'; SELECT /*!40001 SQL_NO_CACHE */ 1", `[session="a"] | { SELECT /*!40001 SQL_NO_CACHE */ 1}`},
		{"SET @sticky_session = 'a'; SELECT /*!50000 1; SELECT */ 2", `[session="a"] | { SELECT /*!50000 1; SELECT */ 2}`},
		{"SET @sticky_session = 'a'; SELECT /*!50000 1; SET @sticky_pin = 1; SELECT */ 2", "mixed!"},
		{"SET @sticky_session = 'a'; SELECT $$ ; $$", "mixed!"},
	} {
		if got := partsOf(t, tt.sql, Context{}); got != tt.want {
			t.Errorf("%s\n got %s\nwant %s", tt.sql, got, tt.want)
		}
	}
	if got, want := partsOf(t, "SET @sticky_session = \"a\"", Context{ANSIQuotes: true}), "mixed!"; got != want {
		t.Errorf("a quoted name: got %s", got)
	}
	if got, want := partsOf(t, `SET @sticky_session = 'a\'`, Context{NoBackslashEscapes: true}), `[session="a\\"]`; got != want {
		t.Errorf("no escapes: got %s, want %s", got, want)
	}
	if got, want := partsOf(t, "SET @sticky_session = '\x95\\'", Context{UnsafeCharset: true}), `[session="\x95\\"]`; got != want {
		t.Errorf("a wide character: got %s, want %s", got, want)
	}
}

// Ensure names are told in any case, and only whole.
func TestParseName(t *testing.T) {
	for n := NameNone + 1; n < nameCount; n++ {
		if ParseName(n.String()) != n || ParseName([]byte(strings.ToUpper(n.String()))) != n {
			t.Errorf("%s is not found", n)
		}
	}
	for _, text := range []string{"", "sticky_", "sticky_sessions", "select", "session"} {
		if n := ParseName(text); n != NameNone {
			t.Errorf("%q: got %s", text, n)
		}
	}
	if nameCount.String() != "invalid" {
		t.Error("a name that is none has a text")
	}
}

// FuzzReadHints looks for texts that make the reader panic, or in which it finds
// what the classifier has not seen, or whose hints are still there when cut.
func FuzzReadHints(f *testing.F) {
	f.Add([]byte("/*a='x',sticky_session='u%20v',sticky_route=primary*/ SELECT 1 -- sticky_pin=1"), uint8(0))
	f.Add([]byte("SELECT '\x95\\' /* sticky_session=u */"), uint8(fuzzUnsafe))
	f.Add([]byte("SET @sticky_session = 'a', @x = ?; SELECT @sticky_token AS t; SELECT 1"), uint8(0))
	f.Add([]byte("CREATE PROCEDURE p() BEGIN /* sticky_session=u */ END; #sticky_pin=1\n SELECT \"a\""), uint8(fuzzANSI))
	f.Fuzz(func(t *testing.T, sql []byte, flags uint8) {
		c := fuzzContext(flags)
		st := Classify(sql, c)
		h, err := ReadHints(sql, c)
		if err == nil && len(h.List) > 0 && !st.Ours.Has(Hinted) && !c.UnsafeCharset {
			t.Fatalf("%q has hints and is not called so", sql)
		}
		if err == nil && len(h.cuts) > 0 {
			checkCut(t, sql, h, c)
		}
		checkSplit(t, sql, c)
	})
}

// checkCut checks that a text without its hints is the same statement.
func checkCut(t *testing.T, sql []byte, h Hints, c Context) {
	t.Helper()
	cut := h.Cut(sql)
	if again, err := ReadHints(cut, c); err == nil && len(again.List) != 0 {
		t.Fatalf("%q has hints, and without them %q too", sql, cut)
	}
	was, is := Classify(sql, c), Classify(cut, c)
	was.Ours, is.Ours = 0, 0
	if was != is {
		t.Fatalf("%q is %s, and without hints %q is %s", sql, was.describe(), cut, is.describe())
	}
}

// checkSplit checks that nothing of ours is left in the parts for a server.
func checkSplit(t *testing.T, sql []byte, c Context) {
	t.Helper()
	parts, err := Split(sql, c)
	if err != nil || c.UnsafeCharset && !ascii(sql) { // there, Classify says so of what may be ours
		return
	}
	for _, p := range parts {
		if p.SQL != nil && bytes.IndexByte(p.SQL, '@') >= 0 && Classify(p.SQL, c).Ours.Has(Addressed) {
			t.Fatalf("%q: %q of it is for a server", sql, p.SQL)
		}
	}
}
