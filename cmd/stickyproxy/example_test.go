package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

const examplePath = "../../stickyproxy.example.yaml"

// readExample returns the example; with all is set, with every setting that it
// shows in a comment taken out of the comment: these have no space after the #,
// or two or four of them; explanations have another number.
func readExample(t *testing.T, all bool) string {
	t.Helper()
	content, err := os.ReadFile(examplePath)
	if err != nil {
		t.Fatal(err)
	}
	example := string(content)
	if all {
		example = regexp.MustCompile(`(?m)^( *)#((?:  |    )?[^ \n#].*)$`).ReplaceAllString(example, "$1$2")
		// It is the short form of listeners, and only one of the two can be there.
		example = strings.ReplaceAll(example, "\nlisten: ", "\n#")
	}
	return example
}

func TestExampleLoads(t *testing.T) {
	c := mustLoad(t, readExample(t, false))
	want := `listen 127.0.0.1:6033 auto; primary 10.0.0.1:3306; replica 10.0.0.2:3306 1 ""; ` +
		`replica 10.0.0.3:3306 2 "west"; auto 15s 30s; monitor stickyproxy "from the environment"`
	if got := summary(c); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

// The settings in comments are loaded too, and those that are said to be the
// defaults are.
func TestExampleWithEverythingLoads(t *testing.T) {
	dir := t.TempDir()
	cert, key := certificatePEM(t)
	for name, content := range map[string]string{
		"f.yaml": strings.Replace(readExample(t, true), "  password_env: STICKY", "  #", 1), "server-cert.pem": cert, "server-key.pem": key,
		"other-cert.pem": cert, "clients.pem": cert, "other-key.pem": key, "servers.pem": cert, "reports.password": "a", "monitor.password": "b",
	} {
		writeFile(t, filepath.Join(dir, name), content)
	}
	c, err := loadIn(t, dir, "--config", filepath.Join(dir, "f.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	if got, want := len(c.Listeners), 3; got != want {
		t.Errorf("listeners: got %d, want %d", got, want)
	}
	d := newConfig()
	if c.Consistency != d.Consistency || c.Overload != d.Overload || c.DrainTimeout != d.DrainTimeout || c.ConnectTimeout != d.ConnectTimeout ||
		c.MaxConnections != d.MaxConnections || c.Log != d.Log {
		t.Errorf("a value that the example shows in a comment is not the default: got %+v, want %+v", c, d)
	}
}

// A key that is not in the example is a key that nobody finds.
func TestExampleHasEveryKey(t *testing.T) {
	example := readExample(t, false)
	for _, s := range newConfig().settings() {
		if !regexp.MustCompile(`(?m)^#?` + s.name + `: ?`).MatchString(example) {
			t.Errorf("the key %q is missing", s.name)
		}
	}
}
