package proxy

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/go-mysql-org/go-mysql/mysql"
)

// Views are impure if their definitions are not proven to be reads, are not known, or use such views.
func TestImpureViews(t *testing.T) {
	defined := []view{
		{"plain", "select `a`.`t`.`x` AS `x` from `a`.`t` where `a`.`t`.`x` > abs(-(1))"},
		{"given", "select `a`.`t`.`x` AS `x` from `a`.`t` where `a`.`t`.`x` = `parameter`()"},
		{"hidden", ""},
		{"uses", "select `a`.`Given`.`x` AS `x` from `a`.`given`"},
		{"uses_more", "select `a`.`uses`.`x` AS `x` from `a`.`uses` join `a`.`hidden`"},
		{"last", "select last_insert_id() AS `id`"},
		{"lists", "select `information_schema`.`TABLES`.`TABLE_NAME` AS `x` from `information_schema`.`TABLES`"},
	}
	v := impure(defined, true)
	var got []string
	for _, name := range v.names {
		got = append(got, string(name))
	}
	slices.Sort(got)
	if want := []string{"given", "hidden", "last", "lists", "uses", "uses_more"}; !slices.Equal(got, want) || v.any {
		t.Errorf("got %v, any %t, want %v", got, v.any, want)
	}
	for text, want := range map[string]bool{
		"SELECT * FROM plain": false, "SELECT * FROM `GIVEN`": true, "SELECT a.hidden.x FROM a.hidden": true, "SELECT given_x FROM t": false,
	} {
		if got := v.mentioned([]byte(text)); got != want {
			t.Errorf("%s: got %t", text, got)
		}
	}
}

// With too many views to look at, with too many impure ones, or with one whose name may be written in several ways,
// every read may use one.
func TestTooManyViews(t *testing.T) {
	for _, tt := range []struct {
		name       string
		n          int
		definition string
		want       bool
	}{
		{"v", maxViews, "select 1", false},
		{"v", maxViews + 1, "select 1", true},
		{"v", maxImpure, "", false},
		{"v", maxImpure + 1, "", true},
		{"a`b", 1, "select 1", false},
		{"a`b", 1, "", true},
		{"é", 1, "", true},
	} {
		var defined []view
		for i := range tt.n {
			defined = append(defined, view{fmt.Sprint(tt.name, i), tt.definition})
		}
		if got := impure(defined, false).any; got != tt.want {
			t.Errorf("%d views %s as %q: got %t", tt.n, tt.name, tt.definition, got)
		}
	}
}

// A client that has user variables reads on the primary from views that may use them. The answer to the question for
// those is shared, and counts until it is old or something was defined.
func TestViewsOfUserVariables(t *testing.T) {
	r := startRig(t, rigOptions{replicas: 1})
	r.primary.views = [][]any{{"Given", "select `parameter`() AS `x`"}, {"plain", "select 1 AS `x`"}}
	c, other := r.connect(), r.connect()
	c.from(r.replicas[0], "SELECT x FROM given")
	c.ok("SET @x = 1")
	c.from(r.primary, "SELECT x FROM given")
	c.from(r.replicas[0], "SELECT x FROM plain")
	c.from(r.replicas[0], "SELECT 'given'")
	other.from(r.replicas[0], "SELECT x FROM given")
	other.ok("SET @x = 1")
	other.from(r.primary, "SELECT x FROM GIVEN")
	r.primary.wantAsked(t, 1)
	c.ok("CREATE FUNCTION f() RETURNS INT RETURN @x")
	c.from(r.primary, "SELECT x FROM given")
	r.primary.wantAsked(t, 2)
	r.clock.advance(viewsAge)
	c.from(r.replicas[0], "SELECT x FROM plain")
	r.primary.wantAsked(t, 3)
	if got := c.ask(mysql.COM_RESET_CONNECTION, ""); got.err != nil {
		t.Fatal(got)
	}
	c.from(r.replicas[0], "SELECT x FROM given")
	r.primary.wantAsked(t, 3)
}

func (s *scriptedServer) wantAsked(t *testing.T, want int) {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.asked != want {
		t.Errorf("%s was asked for its views %d times, want %d", s.name, s.asked, want)
	}
}

// The questions for the two engines ask for one view more than are looked at.
func TestViewsQuery(t *testing.T) {
	for _, mariaDB := range []bool{true, false} {
		if q := viewsQuery(mariaDB); !strings.HasSuffix(q, fmt.Sprintf(" LIMIT %d", maxViews+1)) {
			t.Error(q)
		}
	}
}
