package admin

import (
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// handler answers the pages. Its fields do not change once it serves.
type handler struct {
	metrics *Metrics
	sources *Sources
	started time.Time
}

// NewHandler returns the pages listed in the package comment. The uptime counts
// from this call. Only GET and HEAD are answered.
func NewHandler(m *Metrics, s Sources) http.Handler {
	h := &handler{metrics: m, sources: &s, started: s.now()}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", indexPage)
	mux.HandleFunc("GET /healthz", healthPage)
	mux.HandleFunc("GET /readyz", h.readyPage)
	mux.HandleFunc("GET /status", h.statusPage)
	mux.Handle("GET /metrics", promhttp.HandlerFor(newRegistry(m, &s), promhttp.HandlerOpts{
		// The process collector cannot read /proc everywhere; the rest is still worth having.
		ErrorHandling: promhttp.ContinueOnError,
		// A scrape is cheap, but not so cheap that a crowd should run at once.
		MaxRequestsInFlight: 4,
	}))
	return mux
}

// NewServer returns an HTTP server for h with limits on everything that a client
// can make slow or big. The caller calls Serve with a listener of its own, and
// Shutdown or Close in the end. A nil logger is silent.
func NewServer(h http.Handler, logger *slog.Logger) *http.Server {
	if logger == nil {
		logger = slog.New(slog.DiscardHandler)
	}
	return &http.Server{
		Handler:           h,
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       10 * time.Second,
		WriteTimeout:      30 * time.Second, // a scrape waits for up to 4 others
		IdleTimeout:       2 * time.Minute,  // Prometheus asks every 15 to 60 s on one connection
		MaxHeaderBytes:    16 << 10,
		ErrorLog:          slog.NewLogLogger(logger.Handler(), slog.LevelWarn),
	}
}

// indexPage lists the pages.
func indexPage(w http.ResponseWriter, _ *http.Request) {
	text(w, http.StatusOK, "stickyproxy\n\n/healthz\n/readyz\n/metrics\n/status")
}

// healthPage answers while the process can answer at all. Restarting the proxy
// does not repair a server, so servers are not looked at.
func healthPage(w http.ResponseWriter, _ *http.Request) { text(w, http.StatusOK, "ok") }

// readyPage answers whether clients may be sent here.
func (h *handler) readyPage(w http.ResponseWriter, _ *http.Request) {
	if why := h.sources.notReady(); why != "" {
		text(w, http.StatusServiceUnavailable, why)
		return
	}
	text(w, http.StatusOK, "ready")
}

// text writes a short page for people.
func text(w http.ResponseWriter, code int, s string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(code)
	// An error here is a reader that has gone: there is nobody to tell.
	_, _ = io.WriteString(w, fmt.Sprintln(s))
}
