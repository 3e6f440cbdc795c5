package router

import (
	"strings"
	"testing"
)

// pointSelect is a statement of 200 bytes as applications send them.
const pointSelect = "SELECT `c`.`id`, `c`.`post_id`, `c`.`body`, `u`.`name` FROM `comments` AS `c` JOIN `users` `u` " +
	"ON `u`.`id` = `c`.`user_id` WHERE `c`.`post_id` = 4711 AND `c`.`state` IN ('open', 'new') ORDER BY c.id LIMIT 20"

// Ensure Classify allocates nothing, whatever the text.
func TestClassifyAllocatesNothing(t *testing.T) {
	rows := readTables(t)
	rows = append(rows, row{file: "select", sql: pointSelect})
	for _, r := range rows {
		sql := []byte(r.sql)
		if n := testing.AllocsPerRun(5, func() { Classify(sql, r.context) }); n != 0 {
			t.Errorf("%s:%d: %s: got %.1f allocations, want 0", r.file, r.line, r.sql, n)
		}
	}
}

// Ensure what explain prints agrees with the kinds.
func TestExplain(t *testing.T) {
	rows := []struct {
		sql, target string
		reason      Reason
	}{
		{"SELECT 1", "replica", ReasonRead},
		{"START TRANSACTION READ ONLY", "replica", ReasonReadOnlyTransaction},
		{"SHOW WARNINGS", "primary", ReasonPrevious},
		{"SET @sticky_session = 'user-42'", "proxy", ReasonOwn},
		{"SELECT @sticky_token", "proxy", ReasonOwn},
		{"SELECT LENGTH(@sticky_token)", "proxy", ReasonOwn},
		{"SET @sticky_session = 'user-42'; SELECT 1", "primary", ReasonMulti},
		{"SET @sticky_posts = 1", "primary", ReasonSet},
		{"SELECT 1 FOR UPDATE", "primary", ReasonForUpdate},
		{"", "primary", ReasonEmpty},
	}
	for _, r := range rows {
		if target, reason := Explain([]byte(r.sql), Context{}); target != r.target || reason != r.reason {
			t.Errorf("%s: got %s %s, want %s %s", r.sql, target, reason, r.target, r.reason)
		}
	}
}

// Ensure every reason has a name of its own and a sentence.
func TestReasons(t *testing.T) {
	seen := map[string]bool{}
	for _, r := range append(Reasons(), ReasonNone) {
		if name := r.String(); name == "" || seen[name] || strings.Trim(name, "abcdefghijklmnopqrstuvwxyz_") != "" {
			t.Errorf("reason %d has the name %q", r, name)
		}
		seen[r.String()] = true
		if s := r.Sentence(); !strings.HasSuffix(s, ".") || strings.Count(s, ".") != 1 {
			t.Errorf("%s: %q is not one sentence", r, s)
		}
	}
	if got := reasonCount.String(); got != "invalid" {
		t.Errorf("got %q for no reason, want invalid", got)
	}
}

// Ensure modes are read as they are printed.
func TestModes(t *testing.T) {
	for m := range modeCount {
		if got, err := ParseMode(m.String()); err != nil || got != m {
			t.Errorf("ParseMode(%q): got %v, %v", m, got, err)
		}
	}
	if _, err := ParseMode("sometimes"); err == nil {
		t.Error("ParseMode takes an unknown mode")
	}
}

// Ensure the exported list names the variables that a replica may be asked, and
// no others.
func TestReplayedVariables(t *testing.T) {
	want := map[string]bool{}
	for name, v := range variables {
		if v == variableReplayed || v == variableNextTransaction || v == variableAutocommit {
			want[strings.ToLower(name)] = true
		}
	}
	for _, name := range ReplayedVariables() {
		if !want[name] {
			t.Errorf("%s is listed and not allowed", name)
		}
		delete(want, name)
	}
	for name := range want {
		t.Errorf("%s is allowed and not listed", name)
	}
}

// Ensure every effect has a name.
func TestEffects(t *testing.T) {
	if got := ReadsTables.String(); got != "reads_tables" || ReadsTables != 1<<(len(effectNames)-1) {
		t.Errorf("the last effect is %q, bit of %d names", got, len(effectNames))
	}
	if e := Begins | Ends; !e.Has(Begins) || e.Has(Begins|XA) || !e.Any(Begins|XA) || e.Any(XA) {
		t.Error("Has and Any do not tell all from some")
	}
}

func BenchmarkClassify(b *testing.B) {
	for _, r := range []struct{ name, sql string }{
		{"select-200", pointSelect},
		{"select-short", "SELECT a FROM t WHERE id = ?"},
		{"select-executable-comment", "SELECT /*!40001 SQL_NO_CACHE */ a FROM t WHERE id = 1"},
		{"update", "UPDATE t SET a = a + 1, b = 'x' WHERE id = 4711"},
		{"commit", "COMMIT"},
		{"insert-1MiB", "INSERT INTO t VALUES ('" + strings.Repeat("x", 1<<20) + "')"},
	} {
		b.Run(r.name, func(b *testing.B) {
			sql := []byte(r.sql)
			b.SetBytes(int64(len(sql)))
			b.ReportAllocs()
			for b.Loop() {
				Classify(sql, Context{})
			}
		})
	}
}
