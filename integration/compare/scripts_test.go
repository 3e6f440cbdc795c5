package compare

import (
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stickyproxy/stickyproxy/internal/mysqltest"
	"github.com/stickyproxy/stickyproxy/internal/mysqltest/clustertest"
	"github.com/stickyproxy/stickyproxy/mysqlwire"
)

// scripts chooses others than usual, for people who look for a mistake.
var scripts = flag.String("scripts", "testdata/*.test", "scripts to play")

// Every script of testdata gets the same answers through the proxy as from the primary, on both engines, for clients of
// today, by text and prepared, and for those that know neither session tracking nor results without EOF packets.
func TestScripts(t *testing.T) {
	files, err := filepath.Glob(*scripts)
	if err != nil || len(files) == 0 {
		t.Fatalf("no scripts: %v", err)
	}
	clustertest.EachEngine(t, func(t *testing.T, e mysqltest.Engine) {
		r := newRig(t, e)
		for _, file := range files {
			t.Run(strings.TrimSuffix(filepath.Base(file), ".test"), func(t *testing.T) {
				text, err := os.ReadFile(file)
				if err != nil {
					t.Fatal(err)
				}
				steps, err := parse(string(text))
				if err != nil {
					t.Fatal(err)
				}
				playScript(t, r, forEngine(steps, e))
			})
		}
	})
}

// changesMore is in a script that changes more than what restage mends.
var changesMore = regexp.MustCompile(`(?i)\bcreate (or replace )?(table|procedure|function|view|database|user|trigger|event|role|sequence)\b|` +
	`\balter\b|\bdrop (table|view|database|procedure|function)\b|\brename\b|\btruncate\b|\btypes\b|\bload data\b|\bgrant\b`)

// playScript plays a script as each kind of client.
func playScript(t *testing.T, r *rig, steps []step) {
	if len(steps) == 0 {
		return // all of it is for the other engine
	}
	again := r.restage
	if slices.ContainsFunc(steps, func(s step) bool { return changesMore.MatchString(s.text) }) {
		again = r.stage
	}
	stage := r.stage
	for _, kind := range []struct {
		name    string
		caps    mysqlwire.Capability
		prepare bool
	}{
		{"new", newCaps, false},
		{"old", plainCaps, false},
		{"preparing", newCaps, true},
	} {
		direct := &player{rig: r, addr: r.cluster.Primary.Addr(), caps: kind.caps, prepare: kind.prepare, schema: "app", other: "app2"}
		stage(direct.schema, direct.other)
		want := direct.play(steps)
		stage = again
		proxied := *direct
		proxied.addr, proxied.proxied, proxied.where = r.addr, true, r.where
		stage(direct.schema, direct.other)
		r.settle()
		for i, got := range proxied.play(steps) {
			if got.seen != want[i].seen {
				t.Errorf("%s client, line %d: %s\n%s", kind.name, steps[i].line, steps[i].text, difference(got.seen, want[i].seen))
			}
			// A prepared START TRANSACTION READ ONLY runs on the primary, and so does what follows it.
			if got.where != "" && !kind.prepare && !strings.HasPrefix(got.where, steps[i].where) {
				t.Errorf("%s client, line %d: %s\n    ran on %s", kind.name, steps[i].line, steps[i].text, got.where)
			}
		}
	}
}
