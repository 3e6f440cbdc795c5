package main

import (
	"strings"
	"testing"

	"github.com/stickyproxy/stickyproxy/integration/guarantees"
)

// Mistakes are told before anything is written, and nothing is written without consent.
func TestBenchCheckUsage(t *testing.T) {
	for _, row := range []struct {
		name, args, want string
	}{
		{"no account", "--to 127.0.0.1:1", "--user is missing"},
		{"no endpoint", "--user u", "no endpoint is given"},
		{"a bad endpoint", "--user u --to a:b:c", "--to: "},
		{"a bad place for the schema", "--user u --to a:1 --setup x:y:z", "--setup: "},
		{"a split without a replica", "--user u --to a:1 --split", "at least one replica"},
		{"a bad hint", "--user u --to a:1 --hint telepathy", `"telepathy" is no way to name a session`},
		{"a bad share", "--user u --to a:1 --write-share 2", "share of writes"},
		{"a bad TLS mode", "--user u --to a:1 --tls maybe", "not a TLS mode"},
		{"an authority that nobody asks", "--user u --to a:1 --tls-ca ca.pem", "--tls-ca has no effect with --tls preferred"},
		{"no file of an authority", "--user u --to a:1 --tls verify-ca --tls-ca nowhere.pem", "--tls-ca: ca cannot be read"},
		{"no time", "--user u --to a:1 --for 0s", "not positive"},
		{"no consent", "--user u --to a:1", "say --yes"},
	} {
		t.Run(row.name, func(t *testing.T) {
			status, stdout, stderr := runCommand(t, "", append([]string{"bench", "check"}, strings.Fields(row.args)...)...)
			if status != exitUsage || stdout != "" || !strings.Contains(stderr, row.want) {
				t.Errorf("got %d, %q, %q; want %q", status, stdout, stderr, row.want)
			}
		})
	}
}

// An endpoint where nobody is gives no verdict.
func TestBenchCheckNobody(t *testing.T) {
	status, stdout, stderr := runCommand(t, "", "bench", "check", "--yes", "--user", "u", "--to", closedPort(t))
	if status != exitFailure || stdout != "" || !strings.Contains(stderr, "connection refused") {
		t.Errorf("got %d, %q, %q", status, stdout, stderr)
	}
}

// The flags reach the options.
func TestBenchCheckOptions(t *testing.T) {
	f := checkFlags{to: []string{"a:1", "b"}, servers: benchServers{user: "u", tls: tlsFlags{mode: "required"}}, hints: []string{"token"}, length: 1, text: true, setup: "c"}
	o, err := f.options()
	if err != nil {
		t.Fatal(err)
	}
	if len(o.To) != 2 || o.To[1].Address != "b:6033" || o.Setup.Address != "c:6033" || o.Hints[0] != guarantees.ByToken || o.Prepared || !o.Transactions {
		t.Errorf("got %+v", o)
	}
}
