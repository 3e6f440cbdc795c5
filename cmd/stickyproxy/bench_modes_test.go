package main

import (
	"bytes"
	"strings"
	"testing"

	"github.com/stickyproxy/stickyproxy/bench/policies"
)

// Mistakes are told before a server is started.
func TestBenchModesUsage(t *testing.T) {
	for name, row := range map[string]struct{ args, want string }{
		"engine":  {"--local oracle", "--local: "},
		"lag":     {"--lags 1s,tomorrow", `--lags: "tomorrow" is not a lag`},
		"no lags": {"--lags=", "--lags: none is given"},
		"length":  {"--for 1ms", "at least 500ms"},
	} {
		t.Run(name, func(t *testing.T) {
			status, stdout, stderr := runCommand(t, "", append([]string{"bench", "modes"}, strings.Fields(row.args)...)...)
			if status != exitUsage || stdout != "" || !strings.Contains(stderr, row.want) {
				t.Errorf("got %d, %q, %q; want %q", status, stdout, stderr, row.want)
			}
		})
	}
}

// A row tells the difference to the primary without a proxy, and says so where a share is not known.
func TestModeRows(t *testing.T) {
	share := 0.625
	var out bytes.Buffer
	modeRows(&out, "5ms", []policies.Outcome{
		{Policy: direct, Read: policies.Latencies{P50: 0.2, P99: 1}},
		{Policy: "auto", Own: 10, ReplicaShare: &share, Read: policies.Latencies{P50: 0.25, P99: 0.9}},
		{Policy: "eventual", Own: 10, Stale: 3, Read: policies.Latencies{P50: 0.2, P99: 1}},
	})
	want := "| 5ms\t| `auto`\t| 62 %\t| 0 of 10\t| +0.05 ms\t| -0.10 ms\t|\n| 5ms\t| `eventual`\t| ?\t| 3 of 10\t| +0.00 ms\t| +0.00 ms\t|\n"
	if got := out.String(); got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}
