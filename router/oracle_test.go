package router

import (
	"fmt"
	"go/ast"
	"go/parser"
	gotoken "go/token"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"

	sqlparser "github.com/pingcap/tidb/pkg/parser"
	sqlast "github.com/pingcap/tidb/pkg/parser/ast"
	"github.com/pingcap/tidb/pkg/parser/mysql"
	_ "github.com/pingcap/tidb/pkg/parser/test_driver"
)

// oracle judges statements by the syntax tree of an independent parser. Its
// rules are written apart from those of the package: they share no table.
type oracle struct {
	parser   *sqlparser.Parser
	builtins map[string]bool
}

// verdict is what the oracle says of a text.
type verdict struct {
	parsed bool
	read   bool
	why    string // why it is no read
}

func newOracle(t testing.TB) *oracle {
	t.Helper()
	builtins, err := parserFunctions()
	if err != nil {
		t.Fatalf("functions that the other parser knows: %v", err)
	}
	return &oracle{parser: sqlparser.New(), builtins: builtins}
}

// parserFunctions reads the names of built-in functions out of the other
// parser's source, and adds what only MariaDB has or that parser takes as
// syntax.
var parserFunctions = sync.OnceValues(func() (map[string]bool, error) {
	out, err := exec.Command("go", "list", "-f", "{{.Dir}}", "github.com/pingcap/tidb/pkg/parser/ast").Output()
	if err != nil {
		return nil, fmt.Errorf("go list: %w", err)
	}
	file := filepath.Join(strings.TrimSpace(string(out)), "functions.go")
	tree, err := parser.ParseFile(gotoken.NewFileSet(), file, nil, 0)
	if err != nil {
		return nil, err
	}
	names := map[string]bool{}
	ast.Inspect(tree, func(n ast.Node) bool {
		if v, ok := n.(*ast.ValueSpec); ok && len(v.Values) == 1 {
			if lit, ok := v.Values[0].(*ast.BasicLit); ok && lit.Kind == gotoken.STRING {
				name, _ := strconv.Unquote(lit.Value)
				names[name] = true
			}
		}
		return true
	})
	if len(names) < 200 {
		return nil, fmt.Errorf("only %d functions in %s", len(names), file)
	}
	for name := range strings.FieldsSeq(mariadbFunctions) {
		names[name] = true
	}
	return names, nil
})

const mariadbFunctions = `
	add_months chr column_add column_check column_create column_exists column_get column_json column_list crc32c
	dayofmonth json_compact json_detailed json_equals json_exists json_loose json_normalize json_query json_value
	lengthb natural_sort_key nvl nvl2 old_password rownum sformat to_char encrypt octet_length update_xml trim_oracle
	extractvalue updatexml json_table median value json_merge st_asbinary export_set
	area asbinary astext aswkb aswkt boundary buffer centroid contains convexhull crosses dimension disjoint endpoint
	envelope equals exteriorring geomcollfromtext geomcollfromwkb geometrycollectionfromtext geometryfromtext
	geometryfromwkb geometryn geometrytype geomfromtext geomfromwkb glength interiorringn intersects isclosed isempty
	isring issimple linefromtext linefromwkb mlinefromtext mpointfromtext mpolyfromtext numgeometries
	numinteriorrings numpoints overlaps pointfromtext pointfromwkb pointn pointonsurface polyfromtext polyfromwkb
	polygonfromtext srid startpoint touches within x y geometrycollection linestring multilinestring multipoint
	multipolygon point polygon st_area st_asbinary st_asgeojson st_astext st_aswkb st_aswkt st_boundary st_buffer
	st_buffer_strategy st_centroid st_contains st_convexhull st_crosses st_difference st_dimension st_disjoint
	st_distance st_distance_sphere st_endpoint st_envelope st_equals st_exteriorring st_geometrycollectionfromtext
	st_geomcollfromtext st_geomcollfromwkb st_geometrycollectionfromwkb st_geometryfromtext st_geometryfromwkb
	st_geometryn st_geometrytype st_geomfromgeojson st_geomfromtext st_geomfromwkb st_interiorringn st_intersection
	st_intersects st_isclosed st_isempty st_isring st_issimple st_isvalid st_latitude st_length st_linefromtext
	st_linefromwkb st_linestringfromtext st_linestringfromwkb st_longitude st_numgeometries st_numinteriorrings
	st_numpoints st_overlaps st_pointfromtext st_pointfromwkb st_pointn st_pointonsurface st_polyfromtext
	st_polyfromwkb st_polygonfromtext st_polygonfromwkb st_relate st_srid st_startpoint st_symdifference st_touches
	st_multipointfromwkb st_multipolygonfromtext st_union st_validate st_within st_x st_y mbrcoveredby mbrcovers mbrdisjoint mbrcontains mbrdisjoint mbrequal mbrequals mbrintersects mbroverlaps mbrtouches
	mbrwithin grouping is_uuid linestringfromtext linestringfromwkb mlinefromwkb mpointfromwkb mpolyfromwkb
	multilinestringfromtext multilinestringfromwkb multipointfromtext multipointfromwkb multipolygonfromtext
	multipolygonfromwkb polygonfromwkb column_delete st_multipointfromtext st_multipolygonfromwkb
	st_multilinestringfromtext st_multilinestringfromwkb`

// impure are the functions that are built in and yet not for a replica.
var impure = set(`
	extractvalue updatexml get_lock release_lock release_all_locks is_free_lock is_used_lock last_insert_id connection_id current_user
	current_role session_user system_user user version load_file uuid_short master_pos_wait nextval lastval setval
	default_func found_rows row_count master_gtid_wait binlog_gtid_pos sequence source_pos_wait
	validate_password_strength des_encrypt des_decrypt gtid_subset gtid_subtract wait_for_executed_gtid_set`)

// ownTables are the tables of information_schema that a replica may show.
var ownTables = set(`
	check_constraints columns key_column_usage parameters referential_constraints routines schemata
	table_constraints triggers views`)

var sameVariables = set(`
	autocommit character_set_client character_set_connection character_set_results collation_connection sql_mode
	time_zone transaction_isolation transaction_read_only tx_isolation tx_read_only`)

func set(words string) map[string]bool {
	m := map[string]bool{}
	for w := range strings.FieldsSeq(words) {
		m[w] = true
	}
	return m
}

// judge parses sql and judges every statement in it. A text without one is no read.
func (o *oracle) judge(sql string, c Context) verdict {
	var mode mysql.SQLMode
	if c.ANSIQuotes {
		mode |= mysql.ModeANSIQuotes
	}
	if c.NoBackslashEscapes {
		mode |= mysql.ModeNoBackslashEscapes
	}
	o.parser.SetSQLMode(mode)
	statements, err := o.parse(plainer(sql))
	if err != nil {
		return verdict{}
	}
	v := verdict{parsed: true, read: len(statements) > 0, why: "no statement"}
	for _, s := range statements {
		if why := o.statement(s); why != "" && v.read {
			v.read, v.why = false, why
		}
	}
	return v
}

var (
	oldExplain = regexp.MustCompile(`(?i)^\s*(explain|desc|describe)\s+(extended|partitions)\s`)
	analyze    = regexp.MustCompile(`(?i)^\s*analyze\s+(format\s*=\s*\w+\s+)?(\(|select\s|with\s|update\s|delete\s|insert\s|replace\s)`)
)

// plainer writes MariaDB's forms of EXPLAIN, which the other parser does not
// know, in a form that it does.
func plainer(sql string) string {
	sql = oldExplain.ReplaceAllString(sql, "explain ")
	return analyze.ReplaceAllString(sql, "explain analyze $2")
}

// parse parses sql. The parser's stand-in for decimals panics on long ones; such
// a text counts as not parsed, and the parser is made anew.
func (o *oracle) parse(sql string) (statements []sqlast.StmtNode, err error) {
	defer func() {
		if p := recover(); p != nil {
			o.parser = sqlparser.New()
			err = fmt.Errorf("parser: %v", p)
		}
	}()
	statements, _, err = o.parser.ParseSQL(sql)
	return statements, err
}

// statement is why a statement is no read, or empty.
func (o *oracle) statement(s sqlast.StmtNode) string {
	switch s := s.(type) {
	case *sqlast.SelectStmt, *sqlast.SetOprStmt:
	case *sqlast.ShowStmt:
		if why := show(s); why != "" {
			return why
		}
	case *sqlast.ExplainStmt:
		if _, described := s.Stmt.(*sqlast.ShowStmt); !described {
			return "explain"
		}
		return o.statement(s.Stmt)
	default:
		return fmt.Sprintf("%T", s)
	}
	finder := &finder{oracle: o}
	s.Accept(finder)
	return finder.why
}

func show(s *sqlast.ShowStmt) string {
	switch s.Tp {
	case sqlast.ShowDatabases, sqlast.ShowTables, sqlast.ShowColumns, sqlast.ShowCreateView, sqlast.ShowTriggers,
		sqlast.ShowProcedureStatus, sqlast.ShowFunctionStatus, sqlast.ShowCreateDatabase, sqlast.ShowCreateProcedure:
	default:
		return fmt.Sprintf("show %d", s.Tp)
	}
	switch strings.ToLower(s.DBName) {
	case "mysql", "sys", "performance_schema", "information_schema":
		return "schema " + s.DBName
	}
	return ""
}

// finder visits a tree and keeps the first thing that no read has.
type finder struct {
	oracle *oracle
	why    string
}

// Enter looks at one node.
func (f *finder) Enter(n sqlast.Node) (sqlast.Node, bool) {
	if why := f.node(n); why != "" && f.why == "" {
		f.why = why
	}
	return n, f.why != ""
}

// Leave goes on.
func (f *finder) Leave(n sqlast.Node) (sqlast.Node, bool) { return n, true }

func (f *finder) node(n sqlast.Node) string {
	switch n := n.(type) {
	case *sqlast.SelectStmt:
		if n.LockInfo != nil && n.LockInfo.LockType != sqlast.SelectLockNone {
			return "lock"
		}
		if n.SelectIntoOpt != nil {
			return "into"
		}
	case *sqlast.VariableExpr:
		return variableNode(n)
	case *sqlast.FuncCallExpr:
		return f.function(n)
	case *sqlast.TableName:
		return table(n.Schema.L, n.Name.L)
	case *sqlast.ColumnNameExpr:
		if l := n.Name.Name.L; (l == "nextval" || l == "currval") && n.Name.Table.L != "" {
			return "sequence"
		}
	case sqlast.DMLNode:
		switch n.(type) {
		case *sqlast.SetOprStmt, *sqlast.SelectStmt, *sqlast.ShowStmt:
		default:
			return fmt.Sprintf("%T", n)
		}
	}
	return ""
}

func variableNode(n *sqlast.VariableExpr) string {
	if !n.IsSystem {
		return "user variable"
	}
	if n.IsGlobal || !sameVariables[strings.ToLower(n.Name)] {
		return "system variable"
	}
	return ""
}

func (f *finder) function(n *sqlast.FuncCallExpr) string {
	switch name := n.FnName.L; {
	case n.Schema.L != "":
		return "function of a schema"
	case impure[name]:
		return "function " + name
	case !f.oracle.builtins[name]:
		return "unknown function " + name
	}
	return ""
}

func table(schema, name string) string {
	switch schema {
	case "mysql", "sys", "performance_schema":
		return "schema " + schema
	case "information_schema":
		if !ownTables[name] {
			return "information_schema." + name
		}
	}
	return ""
}
