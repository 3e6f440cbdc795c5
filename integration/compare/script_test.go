package compare

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/stickyproxy/stickyproxy/internal/mysqltest"
)

// A script is lines of text. A line that is empty or begins with '#' is a comment; any other line is a step:
//
//	[tags] SQL # replica
//	[tags] .command arguments
//
// The tags, separated by spaces, may be left out. "mysql" or "mariadb" keep the step to that engine, "shape" says that
// the values in the response differ by nature (an id, a time) so that only the kinds of its packets are compared, and
// any other tag is the name of the connection that does the step, "a" if there is none. It is opened by its first step.
// Behind the SQL "# replica" or "# primary" says where the proxy has to run it. What begins with a double quote is a Go
// string. $schema and $other are the names of the two schemas that a script finds, $id_b is the id that connection b was
// greeted with, and $thread_b its CONNECTION_ID() after its step ".thread".
//
// The commands:
//
//	.connect [user=name] [schema=name] [collation=id] [+capability] [-capability]   open the connection in another way
//	.settle                         wait until the replicas have everything
//	.prepare s SQL                  prepare a statement, for this connection named s
//	.execute s values               execute it: NULL, 1, 1.5 or 'text'
//	.again s values                 the same, without the types
//	.cursor s values                the same, with a cursor
//	.fetch s n                      fetch n rows from the cursor
//	.long s n text                  send data for parameter n
//	.bulk s values; values; ...     execute it for many rows at once, which MariaDB can
//	.bulk_again s values; ...       the same, without the types
//	.reset s, .close s              the statement's end, or that of its cursor and long data
//	.attributes name value SQL      a text with a query attribute
//	.file text                      what the next LOAD DATA LOCAL gets
//	.send SQL, .reap                send a text, and read its response later
//	.await text                     wait until a server is in the SLEEP of a statement that has this text in it
//	.thread                         learn CONNECTION_ID()
//	.init_db name, .ping, .reset_connection, .statistics, .process_info, .debug
//	.change_user user [schema], .field_list table [wildcard], .set_option n, .kill id, .command n bytes, .quit
type step struct {
	line       int // in the script
	text       string
	connection string
	shape      bool
	where      string // "replica", "primary" or empty
	only       mysqltest.Engine
	command    string // without its dot, empty for SQL
	argument   string // the SQL, or what follows the command
}

// parse reads a script.
func parse(script string) ([]step, error) {
	var steps []step
	for i, line := range strings.Split(script, "\n") {
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' {
			continue
		}
		s, err := parseStep(line)
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", i+1, err)
		}
		s.line = i + 1
		steps = append(steps, s)
	}
	return steps, nil
}

func parseStep(line string) (step, error) {
	s := step{text: line, connection: "a"}
	if line[0] == '[' {
		tags, rest, ok := strings.Cut(line[1:], "] ")
		if !ok {
			return s, errors.New("no end of the tags")
		}
		s.tag(strings.Fields(tags))
		line = rest
	}
	for _, where := range []string{"replica", "primary"} {
		if text, ok := strings.CutSuffix(line, "# "+where); ok {
			s.where, line = where, strings.TrimSpace(text)
		}
	}
	s.argument = line
	if line[0] == '.' {
		s.command, s.argument, _ = strings.Cut(line[1:], " ")
	}
	var err error
	if strings.HasPrefix(s.argument, `"`) && strings.HasSuffix(s.argument, `"`) {
		s.argument, err = strconv.Unquote(s.argument)
	}
	return s, err
}

func (s *step) tag(tags []string) {
	for _, t := range tags {
		switch t {
		case "mysql", "mariadb":
			s.only = mysqltest.Engine(t)
		case "shape":
			s.shape = true
		default:
			s.connection = t
		}
	}
}

// forEngine leaves out the steps of the other engine.
func forEngine(steps []step, e mysqltest.Engine) []step {
	var kept []step
	for _, s := range steps {
		if s.only == "" || s.only == e {
			kept = append(kept, s)
		}
	}
	return kept
}

// format is the steps as a script.
func format(steps []step) string {
	var b strings.Builder
	for _, s := range steps {
		fmt.Fprintln(&b, "\t"+s.text)
	}
	return b.String()
}

// words splits arguments at spaces outside of single quotes.
func words(s string) []string {
	var all []string
	for s = strings.TrimSpace(s); s != ""; s = strings.TrimSpace(s) {
		end := strings.IndexByte(s, ' ')
		if s[0] == '\'' {
			if end = strings.IndexByte(s[1:], '\''); end >= 0 {
				end += 2
			}
		}
		if end < 0 {
			end = len(s)
		}
		all = append(all, s[:end])
		s = s[end:]
	}
	return all
}
