package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// running is a service in this process.
type running struct {
	service *service
	signals chan os.Signal
	ended   chan error
	logged  *syncBuffer
	stopped bool
}

// syncBuffer is a bytes.Buffer that several goroutines may write to.
type syncBuffer struct {
	mu     sync.Mutex
	buffer bytes.Buffer
}

func (b *syncBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buffer.Write(p)
}

func (b *syncBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buffer.String()
}

// startService runs what the flags describe until the test ends.
func startService(t *testing.T, args ...string) *running {
	t.Helper()
	config := mustLoad(t, "", args...)
	r := &running{signals: make(chan os.Signal, 2), ended: make(chan error, 1), logged: new(syncBuffer)}
	var err error
	if r.service, err = newService(config, newLogger(config.Log, r.logged)); err != nil {
		t.Fatal(err)
	}
	if err := r.service.listen(t.Context()); err != nil {
		t.Fatal(err)
	}
	r.service.logStart()
	go func() { r.ended <- r.service.run(context.WithoutCancel(t.Context()), r.signals) }()
	t.Cleanup(func() {
		if !r.stopped {
			r.stop(t, syscall.SIGTERM, syscall.SIGTERM)
		}
	})
	return r
}

// stop sends signals and waits for the end.
func (r *running) stop(t *testing.T, signals ...os.Signal) {
	t.Helper()
	r.stopped = true
	for _, s := range signals {
		r.signals <- s
	}
	if err := <-r.ended; err != nil {
		t.Errorf("end: %v", err)
	}
}

// get returns an admin page.
func (r *running) get(t *testing.T, path string) string {
	t.Helper()
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	request, err := http.NewRequestWithContext(t.Context(), "GET", "http://"+r.service.adminOn.Addr().String()+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	response, err := client.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response.Status + "\n" + string(body)
}

// address returns where the first listener is.
func (r *running) address() string { return r.service.fronts[0].listener.Addr().String() }

// closedPort returns an address where nobody listens.
func closedPort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

func TestServiceLife(t *testing.T) {
	before := runtime.NumGoroutine()
	primary, socket := closedPort(t), socketPath(t)
	r := startService(t, "--listen", "127.0.0.1:0", "--listen", unixPrefix+socket, "--admin", "127.0.0.1:0",
		"--primary", primary, "--replica", "127.0.0.1:1", "--drain-timeout", "1s")
	for _, row := range []struct{ path, contains string }{
		{"/healthz", "200 OK\nok\n"},
		{"/readyz", "200 OK\nready\n"},
		{"/metrics", `stickyproxy_queries_total{reason="read",target="replica"} 0`},
		{"/status", `"address": "` + primary + `"`},
	} {
		if got := r.get(t, row.path); !strings.Contains(got, row.contains) {
			t.Errorf("%s: got %s, want it to contain %s", row.path, got, row.contains)
		}
	}
	r.stop(t, syscall.SIGTERM)
	for _, want := range []string{
		"msg=listening address=" + r.address(), "msg=listening address=unix:" + socket, "msg=primary address=" + primary,
		"msg=replica address=127.0.0.1:1 weight=1", "mode=auto window=15s wait=0s max_lag=30s", "level=WARN msg=\"there is no monitor account",
		"signal=terminated", "drained",
	} {
		if got := r.logged.String(); !strings.Contains(got, want) {
			t.Errorf("log: got\n%s\nwant it to contain %s", got, want)
		}
	}
	if _, err := net.Dial("tcp", r.address()); err == nil {
		t.Error("it still listens")
	}
	if _, err := os.Lstat(socket); !os.IsNotExist(err) {
		t.Errorf("the socket: got %v, want no file", err)
	}
	waitForGoroutines(t, before)
}

// waitForGoroutines waits until no more goroutines run than before. It fails by
// the time limit of the tests.
func waitForGoroutines(t *testing.T, before int) {
	t.Helper()
	for runtime.NumGoroutine() > before {
		runtime.Gosched()
	}
}

// A client that does not go is cut off, by the time limit or by a second signal.
func TestServiceEndsWithClient(t *testing.T) {
	for _, row := range []struct {
		name, limit string
		signals     []os.Signal
	}{
		{"no time at all", "0s", []os.Signal{syscall.SIGTERM}},
		{"a time limit", "50ms", []os.Signal{syscall.SIGTERM}},
		{"a second signal", "24h", []os.Signal{syscall.SIGTERM, syscall.SIGINT}},
	} {
		t.Run(row.name, func(t *testing.T) {
			r := startService(t, "--listen", "127.0.0.1:0", "--primary", closedPort(t), "--drain-timeout", row.limit)
			client, err := net.Dial("tcp", r.address())
			if err != nil {
				t.Fatal(err)
			}
			defer client.Close()
			r.stop(t, row.signals...)
			// Whatever it was told before, the connection has an end.
			if _, err := io.Copy(io.Discard, client); err != nil {
				t.Logf("the client read: %v", err)
			}
		})
	}
}

// While clients finish, load balancers are told to send no more.
func TestNotReadyWhileDraining(t *testing.T) {
	r := startService(t, "--listen", "127.0.0.1:0", "--primary", closedPort(t), "--admin", "127.0.0.1:0")
	r.service.draining.Store(true)
	if got, want := r.get(t, "/readyz"), "503 Service Unavailable\ndraining: no new clients are taken\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// When one address cannot be had, nothing listens at all.
func TestAddressTaken(t *testing.T) {
	taken := mustListen(t, "127.0.0.1:0").Addr().String()
	socket := socketPath(t)
	for _, row := range []struct {
		name  string
		flags []string
		want  string
	}{
		{"a listener", []string{"--listen", unixPrefix + socket, "--listen", taken}, "listen on " + taken + ": another program"},
		{"the admin pages", []string{"--listen", unixPrefix + socket, "--admin", taken}, "admin pages: listen on " + taken + ": another program"},
	} {
		t.Run(row.name, func(t *testing.T) {
			config := mustLoad(t, "", append(row.flags, "--primary", "127.0.0.1:1")...)
			err := serve(t.Context(), config, slog.New(slog.DiscardHandler), nil)
			if err == nil || !strings.HasPrefix(err.Error(), row.want) {
				t.Errorf("got %v, want %s", err, row.want)
			}
			if _, err := os.Lstat(socket); !os.IsNotExist(err) {
				t.Errorf("the socket: got %v, want no file", err)
			}
		})
	}
}

// Each listener has its own policy.
func TestFronts(t *testing.T) {
	dir := t.TempDir()
	writeCertificate(t, dir)
	writeFile(t, filepath.Join(dir, "f.yaml"), `
primary: 127.0.0.1:1
listeners:
  - address: 127.0.0.1:6101
  - address: 127.0.0.1:6102
    mode: auto
  - address: 127.0.0.1:6103
    mode: primary
  - address: 127.0.0.1:6104
    tls: {cert: cert.pem, key: key.pem, required: true}
`)
	config, err := loadIn(t, dir, "--config", filepath.Join(dir, "f.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	s, err := newService(config, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, f := range s.fronts {
		got = append(got, fmt.Sprintf("%s %v %v", f.policy.Mode, f.address, f.policy.RequireTLS))
	}
	want := "auto 127.0.0.1:6101 false, auto 127.0.0.1:6102 false, primary 127.0.0.1:6103 false, auto 127.0.0.1:6104 true"
	if got := strings.Join(got, ", "); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

// A reason that the router can give has a name of its own in the metrics.
func TestReasonNames(t *testing.T) {
	seen := map[string]bool{}
	for i, name := range reasonNames() {
		if name == "" || seen[name] {
			t.Errorf("reason %d: got the name %q, want one of its own", i, name)
		}
		seen[name] = true
	}
}

func TestCountIn(t *testing.T) {
	r := startService(t, "--listen", "127.0.0.1:0", "--primary", closedPort(t), "--admin", "127.0.0.1:0")
	trace := countIn(r.service.metrics)
	trace.Query(true, 1, time.Millisecond)
	trace.Query(false, 0, time.Millisecond)
	trace.LoginFailed(io.EOF)
	trace.Panicked()
	trace.Retried(true)
	trace.Pinned(true)
	page := r.get(t, "/metrics")
	for _, want := range []string{
		`stickyproxy_queries_total{reason="none",target="primary"} 1`,
		`stickyproxy_query_seconds_count{target="replica"} 1`,
		"stickyproxy_login_failures_total 1",
		"stickyproxy_panics_total 1",
		`stickyproxy_replica_retries_total{cause="refused"} 1`,
		`stickyproxy_session_pins_total{proven="true"} 1`,
	} {
		if !strings.Contains(page, want+"\n") {
			t.Errorf("metrics: %q is missing", want)
		}
	}
	if got := testing.AllocsPerRun(100, func() { trace.Query(true, 1, time.Millisecond) }); got != 0 {
		t.Errorf("allocations a query: got %v, want 0", got)
	}
}
