package admin

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// mustGet returns the answer of h to one request.
func mustGet(t *testing.T, h http.Handler, method, path string) *httptest.ResponseRecorder {
	t.Helper()
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), method, path, nil))
	return w
}

// servers returns a source that always answers list.
func servers(list ...ServerStatus) func() []ServerStatus {
	return func() []ServerStatus { return list }
}

func TestPages(t *testing.T) {
	h := NewHandler(NewMetrics(testReasons), Sources{Servers: servers(ServerStatus{Role: RolePrimary, Health: Up})})
	for _, row := range []struct {
		name, method, path string
		code               int
		contains           string
	}{
		{"index lists the pages", "GET", "/", 200, "/metrics\n"},
		{"health", "GET", "/healthz", 200, "ok\n"},
		{"health by HEAD", "HEAD", "/healthz", 200, ""},
		{"ready", "GET", "/readyz", 200, "ready\n"},
		{"metrics of the proxy", "GET", "/metrics", 200, "\nstickyproxy_query_seconds_count{target=\"replica\"} 0\n"},
		{"metrics of the build", "GET", "/metrics", 200, "\nstickyproxy_build_info{goversion=\"go1"},
		{"metrics of the Go runtime", "GET", "/metrics", 200, "\ngo_goroutines "},
		{"metrics of the process", "GET", "/metrics", 200, "\nprocess_open_fds "},
		{"status", "GET", "/status", 200, `"ready": true`},
		{"unknown page", "GET", "/debug/pprof/", 404, ""},
		{"no writing", "POST", "/status", 405, ""},
	} {
		t.Run(row.name, func(t *testing.T) {
			w := mustGet(t, h, row.method, row.path)
			if w.Code != row.code {
				t.Errorf("code: got %d, want %d", w.Code, row.code)
			}
			if got := w.Body.String(); !strings.Contains(got, row.contains) {
				t.Errorf("body: got %q, want it to contain %q", got, row.contains)
			}
		})
	}
}

func TestReady(t *testing.T) {
	yes := func() bool { return true }
	for _, row := range []struct {
		name    string
		sources Sources
		want    string // why not; empty: ready
	}{
		{"primary is up", Sources{Servers: servers(ServerStatus{Role: RolePrimary, Health: Up})}, ""},
		{"nobody checks the primary", Sources{Servers: servers(ServerStatus{Role: RolePrimary})}, ""},
		{
			"replicas are down", Sources{Servers: servers(
				ServerStatus{Role: RolePrimary, Health: Up}, ServerStatus{Role: RoleReplica, Health: Down})}, "",
		},
		{
			"primary is down", Sources{Servers: servers(
				ServerStatus{Role: RolePrimary, Address: "p:3306", Health: Down}, ServerStatus{Role: RoleReplica, Health: Up})},
			"primary p:3306 is not usable",
		},
		{
			"primary is down and why", Sources{Servers: servers(
				ServerStatus{Role: RolePrimary, Address: "p:3306", Health: Down, Problem: "it is read-only"})},
			"primary p:3306 is not usable: it is read-only",
		},
		{"no primary", Sources{Servers: servers(ServerStatus{Role: RoleReplica, Health: Up})}, "no primary is known"},
		{"no sources at all", Sources{}, "no primary is known"},
		{
			"draining", Sources{Draining: yes, Servers: servers(ServerStatus{Role: RolePrimary, Health: Up})},
			"draining: no new clients are taken",
		},
	} {
		t.Run(row.name, func(t *testing.T) {
			w := mustGet(t, NewHandler(NewMetrics(nil), row.sources), "GET", "/readyz")
			wantCode, want := http.StatusServiceUnavailable, row.want+"\n"
			if row.want == "" {
				wantCode, want = http.StatusOK, "ready\n"
			}
			if got := w.Body.String(); w.Code != wantCode || got != want {
				t.Errorf("got %d %q, want %d %q", w.Code, got, wantCode, want)
			}
		})
	}
}

func TestStatus(t *testing.T) {
	clock := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	m := NewMetrics(testReasons)
	h := NewHandler(m, Sources{
		Version:  "v1.2.3",
		Now:      func() time.Time { return clock },
		Sessions: func() int { return 3 },
		Findings: func() []Finding {
			return []Finding{{Severity: "error", Server: "a:3306", Check: "read_only", Found: "it is not read-only", Advice: "SET GLOBAL"}}
		},
		Servers: servers(
			ServerStatus{Address: "p:3306", Role: RolePrimary, Health: Down, Problem: "it is read-only", Lag: 1, LagKnown: true},
			ServerStatus{Address: "a:3306", Role: RoleReplica, Health: Up, Zone: "b", Version: "9.7.4", Position: "u:1-5", LagKnown: true, Lag: 2500 * time.Microsecond},
			ServerStatus{Address: "b:3306", Role: RoleReplica}),
	})
	clock = clock.Add(90 * time.Second)
	m.ConnectionOpened()
	m.Pinned(false)
	m.Query(Replica, 2, time.Millisecond)
	const want = `{
  "version": "v1.2.3",
  "uptime_seconds": 90,
  "ready": false,
  "not_ready": "primary p:3306 is not usable: it is read-only",
  "draining": false,
  "servers": [
    {
      "address": "p:3306",
      "role": "primary",
      "health": "down",
      "problem": "it is read-only",
      "lag_ms": null
    },
    {
      "address": "a:3306",
      "role": "replica",
      "health": "up",
      "zone": "b",
      "version": "9.7.4",
      "position": "u:1-5",
      "lag_ms": 2.5
    },
    {
      "address": "b:3306",
      "role": "replica",
      "health": "unknown",
      "lag_ms": null
    }
  ],
  "sessions": 3,
  "moved_reads": {
    "running": 0,
    "waiting": 0
  },
  "overload_reads_total": {
    "ran": 0,
    "refused": 0
  },
  "connections": 1,
  "connections_total": 1,
  "login_failures_total": 0,
  "session_pins_total": {
    "proven": 0,
    "unproven": 1
  },
  "findings": [
    {
      "severity": "error",
      "server": "a:3306",
      "check": "read_only",
      "found": "it is not read-only",
      "advice": "SET GLOBAL"
    }
  ],
  "queries": {
    "primary": {},
    "replica": {
      "read": 1
    }
  }
}
`
	if got := mustGet(t, h, "GET", "/status").Body.String(); got != want {
		t.Errorf("got %s\nwant %s", got, want)
	}
	empty := mustGet(t, NewHandler(NewMetrics(nil), Sources{}), "GET", "/status").Body.String()
	if !strings.Contains(empty, `"servers": []`) {
		t.Errorf("without servers: got %s, want an empty list", empty)
	}
}

// A client that sends its request slowly, or a big one, must not hold memory.
func TestServerHasLimits(t *testing.T) {
	s := NewServer(http.NotFoundHandler(), nil)
	if s.ReadHeaderTimeout == 0 || s.ReadTimeout == 0 || s.WriteTimeout == 0 || s.IdleTimeout == 0 || s.MaxHeaderBytes == 0 {
		t.Errorf("a limit is missing: %+v", s)
	}
}
