package router

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// testDataPackage is the Debian package with the test suite of MariaDB.
const testDataPackage = "mariadb-test-data"

// startTestData gives the folder of the unpacked package. It is fetched once
// into the cache folder: STICKYPROXY_CACHE, or else the user's.
func startTestData(t *testing.T) string {
	t.Helper()
	cache := os.Getenv("STICKYPROXY_CACHE")
	if cache == "" {
		user, err := os.UserCacheDir()
		if err != nil {
			t.Fatalf("no cache folder, set STICKYPROXY_CACHE: %v", err)
		}
		cache = filepath.Join(user, "stickyproxy")
	}
	dir := filepath.Join(cache, testDataPackage)
	if _, err := os.Stat(dir); err == nil {
		return dir
	}
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	if err := fetchTestData(ctx, cache, dir); err != nil {
		t.Fatalf("get Debian's package %s (needs apt-get, dpkg-deb and Debian's archive): %v", testDataPackage, err)
	}
	return dir
}

// fetchTestData downloads and unpacks the package beside dir and renames it
// then, so that dir is there as a whole or not at all.
func fetchTestData(ctx context.Context, cache, dir string) error {
	if err := os.MkdirAll(cache, 0o755); err != nil {
		return err
	}
	work, err := os.MkdirTemp(cache, testDataPackage+"-*.tmp")
	if err != nil {
		return err
	}
	defer os.RemoveAll(work)
	if err := downloadPackage(ctx, work); err != nil {
		return err
	}
	debs, err := filepath.Glob(filepath.Join(work, "*.deb"))
	if err != nil || len(debs) != 1 {
		return fmt.Errorf("found %d packages after the download", len(debs))
	}
	unpacked := filepath.Join(work, "unpacked")
	if err := runIn(ctx, work, "dpkg-deb", "-x", debs[0], unpacked); err != nil {
		return err
	}
	err = os.Rename(unpacked, dir)
	if errors.Is(err, fs.ErrExist) {
		return nil // another test run was faster
	}
	return err
}

// downloadPackage uses the machine's package lists and, where these are
// missing or too old, fresh ones of its own.
func downloadPackage(ctx context.Context, work string) error {
	first := runIn(ctx, work, "apt-get", "download", testDataPackage)
	if first == nil {
		return nil
	}
	lists, cache := filepath.Join(work, "lists"), filepath.Join(work, "cache")
	for _, dir := range []string{filepath.Join(lists, "partial"), filepath.Join(cache, "archives", "partial")} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return err
		}
	}
	own := []string{"-o", "Dir::State::Lists=" + lists, "-o", "Dir::Cache=" + cache, "-o", "APT::Sandbox::User="}
	if err := runIn(ctx, work, "apt-get", append(own, "update")...); err != nil {
		return errors.Join(first, err)
	}
	return runIn(ctx, work, "apt-get", append(own, "download", testDataPackage)...)
}

func runIn(ctx context.Context, dir, name string, args ...string) error {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s %s: %w\n%s", name, strings.Join(args, " "), err, out)
	}
	return nil
}

// testStatements reads the SQL statements out of every .test file below dir,
// each text once.
func testStatements(t *testing.T, dir string) []string {
	t.Helper()
	seen := map[string]bool{}
	var all []string
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || filepath.Ext(path) != ".test" {
			return err
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		for _, s := range extract(string(text)) {
			if !seen[s] {
				seen[s] = true
				all = append(all, s)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// script cuts a file of the mysqltest language into statements. See
// https://mariadb.com/kb/en/mysql-test-overview/ and
// https://dev.mysql.com/doc/dev/mysql-server/latest/PAGE_MYSQLTEST_LANGUAGE_REFERENCE.html.
type script struct {
	text      string
	delimiter string
	found     []string
}

// extract gives the SQL statements of a script, without those in which the
// script's own variables are to be replaced.
func extract(text string) []string {
	s := script{text: text, delimiter: ";"}
	for s.text != "" {
		s.next()
	}
	return s.found
}

// next passes a comment, a command or a statement.
func (s *script) next() {
	s.text = strings.TrimLeft(s.text, " \t\r\n}")
	switch {
	case s.text == "":
	case s.text[0] == '#':
		s.line()
	case strings.HasPrefix(s.text, "--"):
		s.command(strings.TrimSpace(s.line()[2:]))
	default:
		s.command(s.upTo())
	}
}

// line takes the rest of the line.
func (s *script) line() string {
	line, rest, _ := strings.Cut(s.text, "\n")
	s.text = rest
	return line
}

// upTo takes what comes before the delimiter, or before the { of a block.
func (s *script) upTo() string {
	quote := byte(0)
	word, _, _ := strings.Cut(strings.ToLower(s.text[:min(len(s.text), 8)]), "(")
	block := strings.TrimSpace(word) == "if" || strings.TrimSpace(word) == "while"
	for i := 0; i < len(s.text); i++ {
		b := s.text[i]
		switch {
		case quote != 0:
			if b == '\\' {
				i++
			} else if b == quote {
				quote = 0
			}
		case b == '\'' || b == '"' || b == '`':
			quote = b
		case strings.HasPrefix(s.text[i:], s.delimiter):
			taken := s.text[:i]
			s.text = s.text[i+len(s.delimiter):]
			return taken
		case block && b == '{':
			s.text = s.text[i+1:]
			return ""
		}
	}
	taken := s.text
	s.text = ""
	return taken
}

// commands are the words that start a command of the language and not SQL.
var commands = set(`
	append_file assert cat_file change_user character_set chmod connect connection copy_file copy_files_wildcard
	dec delimiter diff_files die dirty_close disable_abort_on_error disable_async_client disable_connect_log
	disable_cursor_protocol disable_info disable_metadata disable_parsing disable_prepare_warnings
	disable_ps2_protocol disable_ps_protocol disable_query_log disable_reconnect disable_result_log
	disable_service_connection disable_session_track_info disable_view_protocol disable_warnings disconnect echo
	enable_abort_on_error enable_async_client enable_connect_log enable_cursor_protocol enable_info enable_metadata
	enable_parsing enable_prepare_warnings enable_ps2_protocol enable_ps_protocol enable_query_log enable_reconnect
	enable_result_log enable_service_connection enable_session_track_info enable_view_protocol enable_warnings
	end error exec exec_in_background execw exit expr file_exists force-cpdir force-rmdir horizontal_results if inc
	let list_files list_files_append_file list_files_write_file lowercase_result mkdir move_file output perl
	ping query_get_value query_log reap real_sleep remove_file remove_files_wildcard replace_column replace_numeric_round
	replace_regex replace_result require reset_connection result result_format rmdir rpl_skip sync_slave_with_master
	save_master_pos send_kill send_quit send_shutdown shutdown_server skip skip_if_hypergraph sleep sorted_result
	partially_sorted_result source start_timer sync_with_master system timer vertical_results wait_for_slave_to_stop
	while write_file write_line evalp_never optimizer_trace default_charset remove_files`)

// command keeps what is SQL.
func (s *script) command(text string) {
	text = strings.TrimSpace(text)
	word, rest, _ := strings.Cut(strings.NewReplacer("\n", " ", "\t", " ", "(", " (").Replace(text), " ")
	switch word = strings.ToLower(word); {
	case word == "delimiter":
		s.delimiter, _, _ = strings.Cut(strings.TrimSpace(rest), " ")
		if s.delimiter == "" {
			s.delimiter = ";"
		}
	case word == "perl" || word == "write_file" || word == "append_file":
		s.document()
	case commands[word] || text == "" || text[0] == '$' || text[0] == '#':
	case strings.HasPrefix(word, "eval") || word == "send" || word == "send_eval" || word == "query" ||
		word == "query_vertical" || word == "query_horizontal":
		if !strings.Contains(text, "$") {
			s.found = append(s.found, strings.TrimSpace(text[len(word):]))
		}
	default:
		s.found = append(s.found, text)
	}
}

// document passes a text that ends with a line EOF.
func (s *script) document() {
	for s.text != "" && strings.TrimSpace(s.line()) != "EOF" {
		continue
	}
}
