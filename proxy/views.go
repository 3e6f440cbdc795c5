package proxy

import (
	"bytes"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"

	"github.com/stickyproxy/stickyproxy/router"
)

// A view may call a stored function, and that may use what only the connection to the primary has: user variables, which
// is how views are given parameters, or temporary tables. A statement on such a view does not look like one that uses them.
// So before a read of a client that has any of that runs on a replica, the primary is asked for the views that the client
// sees, and what mentions one whose definition is not proven to be a pure read stays on the primary.

const (
	viewsAge    = time.Second // how long an answer counts: for so long, a view that was made elsewhere is not known
	viewsShare  = 50          // or so many times as long as the question took, if that is longer
	maxAccounts = 1024        // whose views are known
	maxViews    = 500         // that are looked at
	maxImpure   = 256         // names that a read is searched for
)

// viewsQuery is the question. A long definition is not looked at, and a lock does not hold the answer up for long.
func viewsQuery(mariaDB bool) string {
	const columns = "CAST(table_name AS CHAR), " +
		"IF(LENGTH(view_definition) <= 2000, CAST(view_definition AS CHAR), '') FROM information_schema.views " +
		"WHERE table_schema NOT IN ('mysql', 'sys', 'information_schema', 'performance_schema') LIMIT 501"
	if mariaDB {
		return "SET STATEMENT max_statement_time = 1 FOR SELECT " + columns
	}
	return "SELECT /*+ MAX_EXECUTION_TIME(1000) */ " + columns
}

// views are what an account sees of views that are not proven to be pure reads. It does not change once it is shared.
type views struct {
	names  [][]byte  // in lower case
	any    bool      // it is not known which: every read may use one
	until  time.Time // when to ask again
	change uint64    // of definitions, that was the last before the question
}

// knownViews are the views of accounts that were asked for lately. Safe for concurrent use.
type knownViews struct {
	of      *lru.Cache[string, *views]
	changes atomic.Uint64 // statements that may have defined a view or a function, through this proxy
}

func newKnownViews() *knownViews {
	of, err := lru.New[string, *views](maxAccounts)
	if err != nil {
		panic("BUG: " + err.Error()) // only of a size below 1
	}
	return &knownViews{of: of}
}

// defines are the effects of statements that may define something, where that can be seen.
const defines = router.CommitsImplicitly | router.Calls | router.Executes

// defined notes a statement with such effects that ran, or failed, on a primary.
func (k *knownViews) defined(text []byte) {
	if mentions(text, "view", "function") {
		k.changes.Add(1)
	}
}

// hidesState reports whether a read may use, in a view, what only the connection to the primary has.
func (c *conn) hidesState(r *request) (bool, error) {
	if !c.state.private || r.class.Kind != router.Read || r.class.OpensNothing || !r.runs() {
		return false, nil
	}
	v, err := c.views()
	if err != nil {
		return false, err
	}
	text := c.text(r)
	return v.any || text == nil || v.mentioned(text), nil
}

// views are the views of the client's account, as it sees them.
func (c *conn) views() (*views, error) {
	account := c.login.User + "@" + origin(c.nc).String() // as which the server may see the client
	known, now := c.srv.views, c.srv.now()
	if v, ok := known.of.Get(account); ok && now.Before(v.until) && v.change == known.changes.Load() {
		return v, nil
	}
	if c.primary.dead || c.primary.version != c.state.version {
		return &views{any: true}, nil // it would be another connection, or one with another character set
	}
	change := known.changes.Load()
	v, err := c.askForViews()
	if err != nil {
		return nil, err
	}
	took := c.srv.now().Sub(now)
	v.change, v.until = change, now.Add(max(viewsAge, viewsShare*took))
	known.of.Add(account, v)
	return v, nil
}

// askForViews asks the primary, and has it tell behind that what it told before of the rows that were found, and of no warnings:
// the read may fail, or open no table.
func (c *conn) askForViews() (*views, error) {
	ctx, cancel := c.connectTimeout()
	defer cancel()
	found, _, err := ask(ctx, c.primary, "SELECT FOUND_ROWS()")
	if err != nil {
		return nil, err
	}
	rows, failed := c.primary.Query(ctx, viewsQuery(c.primary.MariaDB))
	if failed != nil && answered(failed) == nil {
		c.primary.dead = true
		return nil, serverError{failed}
	}
	n, _ := strconv.ParseUint(found, 10, 64) // a server's number
	after := []string{finds(n)}
	if c.primary.MariaDB {
		// What SET STATEMENT has set, and set back, is reported together with what a later statement sets, which would not
		// explain it.
		after = []string{forgetsWarnings(true), finds(n), setsNothing}
	}
	for _, sql := range after {
		c.primary.queue(appendQuery(nil, c.primary.Capabilities, sql))
	}
	if err := c.consult(c.primary, told); err != nil && answered(err) == nil {
		return nil, err
	}
	if failed != nil {
		return &views{any: true}, nil
	}
	defined := make([]view, 0, len(rows.Values))
	for _, row := range rows.Values {
		defined = append(defined, view{strings.ToLower(row[0].String), row[1].String})
	}
	return impure(defined, c.primary.MariaDB), nil
}

// view is one as the server tells of it. The definition is empty if it is too long, or not for the client to see.
type view struct{ name, definition string }

// impure are the views that are not proven to be pure reads, and those that use them.
func impure(defined []view, mariaDB bool) *views {
	v := &views{any: len(defined) > maxViews}
	users := make(map[string][]string) // of a name, the views whose definitions have it in them
	var found []string
	for _, d := range defined {
		for i, name := range strings.Split(strings.ToLower(d.definition), "`") {
			if i%2 == 1 { // it is in quotes, as all names in a definition are
				users[name] = append(users[name], d.name)
			}
		}
		lists := mariaDB && strings.Contains(strings.ToLower(d.definition), "`information_schema`") // temporary tables, perhaps
		if lists || router.Classify([]byte(d.definition), router.Context{MariaDB: mariaDB}).Kind != router.Read {
			found = append(found, d.name)
		}
	}
	seen := make(map[string]bool)
	for len(found) > 0 && !v.any {
		name := found[len(found)-1]
		found = found[:len(found)-1]
		if seen[name] {
			continue
		}
		seen[name] = true
		v.names = append(v.names, []byte(name))
		v.any = len(v.names) > maxImpure || strings.TrimFunc(name, plainLetter) != "" // which may be written in several ways
		found = append(found, users[name]...)
	}
	return v
}

// mentioned reports whether a text has the name of one of the views in it, in whatever role.
func (v *views) mentioned(sql []byte) bool {
	if len(v.names) == 0 {
		return false
	}
	lower := bytes.ToLower(sql)
	for _, name := range v.names {
		if hasWord(lower, name) {
			return true
		}
	}
	return false
}
