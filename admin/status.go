package admin

import (
	"encoding/json"
	"net/http"
	"time"
)

// status is the JSON of /status. Names are an interface: scripts depend on them,
// so a name is never reused for something else.
type status struct {
	Version       string                       `json:"version"`
	UptimeSeconds float64                      `json:"uptime_seconds"`
	Ready         bool                         `json:"ready"`
	NotReady      string                       `json:"not_ready,omitempty"`
	Draining      bool                         `json:"draining"`
	Servers       []serverJSON                 `json:"servers"`
	Sessions      int                          `json:"sessions"`
	Moved         movedJSON                    `json:"moved_reads"`
	Overload      overloadJSON                 `json:"overload_reads_total"`
	Connections   int64                        `json:"connections"`
	Accepted      uint64                       `json:"connections_total"`
	LoginFailures uint64                       `json:"login_failures_total"`
	Pins          pinsJSON                     `json:"session_pins_total"`
	Findings      []findingJSON                `json:"findings"`
	Queries       map[string]map[string]uint64 `json:"queries"`
}

// movedJSON counts the reads that are on the primary now because no replica may serve them, and those that wait for it.
type movedJSON struct {
	Running int `json:"running"`
	Waiting int `json:"waiting"`
}

// overloadJSON counts the reads that found no room on the primary, by what became of them.
type overloadJSON struct {
	Ran     uint64 `json:"ran"`
	Refused uint64 `json:"refused"`
}

// pinsJSON counts the writes that pinned a session, by whether a replica can be
// known to have them; see Metrics.Pinned.
type pinsJSON struct {
	Proven   uint64 `json:"proven"`
	Unproven uint64 `json:"unproven"`
}

// serverJSON is one server of /status.
type serverJSON struct {
	Address string `json:"address"`
	Role    Role   `json:"role"`
	Health  string `json:"health"`
	Problem string `json:"problem,omitempty"`
	Zone    string `json:"zone,omitempty"`
	Version string `json:"version,omitempty"`
	// Position is what the server has executed, in its own notation.
	Position string `json:"position,omitempty"`
	// LagMS is null when the lag is unknown, and for the primary.
	LagMS *float64 `json:"lag_ms"`
}

// statusPage answers /status.
func (h *handler) statusPage(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	// An error here is a reader that has gone: there is nobody to tell.
	_ = e.Encode(h.status())
}

// status asks all sources once.
func (h *handler) status() status {
	notReady := h.sources.notReady()
	running, waiting := h.sources.moved()
	return status{
		Version:       h.sources.Version,
		UptimeSeconds: h.sources.now().Sub(h.started).Seconds(),
		Ready:         notReady == "",
		NotReady:      notReady,
		Draining:      h.sources.draining(),
		Servers:       serversJSON(h.sources.servers()),
		Sessions:      h.sources.sessions(),
		Moved:         movedJSON{Running: running, Waiting: waiting},
		Overload: overloadJSON{
			Ran:     h.metrics.overloads[index(true)].Load(),
			Refused: h.metrics.overloads[index(false)].Load(),
		},
		Connections:   h.metrics.Connections(),
		Accepted:      h.metrics.opened.Load(),
		LoginFailures: h.metrics.loginFailures.Load(),
		Pins: pinsJSON{
			Proven:   h.metrics.pins[index(true)].Load(),
			Unproven: h.metrics.pins[index(false)].Load(),
		},
		Findings: findingsJSON(h.sources.findings()),
		Queries:  h.metrics.Queries(),
	}
}

// serversJSON never returns nil: an empty list is "[]" and not "null".
func serversJSON(servers []ServerStatus) []serverJSON {
	list := make([]serverJSON, 0, len(servers))
	for _, s := range servers {
		j := serverJSON{Address: s.Address, Role: s.Role, Health: s.Health.String(), Problem: s.Problem,
			Zone: s.Zone, Version: s.Version, Position: s.Position}
		if s.LagKnown && s.Role == RoleReplica {
			ms := float64(s.Lag) / float64(time.Millisecond)
			j.LagMS = &ms
		}
		list = append(list, j)
	}
	return list
}

// findingJSON is one thing of /status that is wrong with how a server is set up.
type findingJSON struct {
	Severity string `json:"severity"`
	Server   string `json:"server"`
	Check    string `json:"check"`
	Found    string `json:"found"`
	Advice   string `json:"advice"`
}

// findingsJSON never returns nil.
func findingsJSON(findings []Finding) []findingJSON {
	list := make([]findingJSON, 0, len(findings))
	for _, f := range findings {
		list = append(list, findingJSON(f))
	}
	return list
}
