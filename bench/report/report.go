package report

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/stickyproxy/stickyproxy/bench/lag"
	"github.com/stickyproxy/stickyproxy/bench/load"
	"github.com/stickyproxy/stickyproxy/bench/policies"
	"github.com/stickyproxy/stickyproxy/bench/stats"
	"github.com/stickyproxy/stickyproxy/integration/guarantees"
)

// Format is the version of the files that are written.
const Format = 1

// Report is one run.
type Report struct {
	Command  string    `json:"command"` // lag, policies, load, check
	Format   int       `json:"format"`
	Repeat   string    `json:"repeat"` // the command line that makes such a run again
	Started  time.Time `json:"started"`
	Seconds  float64   `json:"took_s"`
	Version  string    `json:"stickyproxy"`
	Go       string    `json:"go"`
	Machine  Machine   `json:"machine"`
	Servers  []Server  `json:"servers"`
	LagText  string    `json:"replicas_are_late,omitempty"` // how private replicas were made late
	Problems []string  `json:"problems,omitempty"`

	Figures []stats.Figure `json:"figures"` // what compare compares

	*lag.Result                    // of bench lag
	Policies    *policies.Result   `json:"policies,omitempty"`
	Load        *load.Result       `json:"load,omitempty"`
	Check       *guarantees.Report `json:"check,omitempty"`
}

// Server is one server or endpoint of the run.
type Server struct {
	Role    string `json:"role"`
	Name    string `json:"name"`
	Address string `json:"address"`
	Version string `json:"version"`
}

// Machine is where the run was made.
type Machine struct {
	OS         string  `json:"os"`
	Arch       string  `json:"arch"`
	Kernel     string  `json:"kernel,omitempty"`
	CPU        string  `json:"cpu,omitempty"`
	Processors int     `json:"processors"`
	MemoryMB   int     `json:"memory_mb,omitempty"`
	Load       float64 `json:"load_average,omitempty"` // of the last minute, when the run began
}

// ThisMachine describes the machine. What the system does not tell is left out.
func ThisMachine() Machine {
	m := Machine{OS: runtime.GOOS, Arch: runtime.GOARCH, Processors: runtime.NumCPU()}
	m.Kernel = strings.TrimSpace(firstLine("/proc/sys/kernel/osrelease"))
	m.CPU = valueOf("/proc/cpuinfo", "model name")
	if kb, err := strconv.Atoi(strings.TrimSuffix(valueOf("/proc/meminfo", "MemTotal"), " kB")); err == nil {
		m.MemoryMB = kb >> 10
	}
	load, _, _ := strings.Cut(firstLine("/proc/loadavg"), " ")
	m.Load, _ = strconv.ParseFloat(load, 64) // 0 where it is not known
	return m
}

func firstLine(path string) string {
	b, err := os.ReadFile(path)
	if err != nil {
		return ""
	}
	line, _, _ := strings.Cut(string(b), "\n")
	return line
}

// valueOf finds "name : value" in a file.
func valueOf(path, name string) string {
	b, err := os.ReadFile(path)
	if err != nil {
		return ""
	}
	for line := range strings.Lines(string(b)) {
		if key, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(key) == name {
			return strings.TrimSpace(value)
		}
	}
	return ""
}

// WriteFile writes the report as JSON.
func (r *Report) WriteFile(path string) error {
	var b bytes.Buffer
	if err := r.Write(&b); err != nil {
		return err
	}
	return os.WriteFile(path, b.Bytes(), 0o644)
}

// Write writes the report as JSON.
func (r *Report) Write(w io.Writer) error {
	e := json.NewEncoder(w)
	e.SetIndent("", " ")
	return e.Encode(r)
}

// maxFile bounds a report that is read, bytes.
const maxFile = 64 << 20

// ReadFile reads a report that WriteFile wrote.
func ReadFile(path string) (*Report, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if info.Size() > maxFile {
		return nil, fmt.Errorf("%s: a report has at most %d MiB: %w", path, maxFile>>20, syscall.EFBIG)
	}
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	r := new(Report)
	if err := json.Unmarshal(b, r); err != nil {
		return nil, fmt.Errorf("%s is no report: %w", path, err)
	}
	switch {
	case r.Format == 0 || r.Command == "":
		return nil, fmt.Errorf("%s is no report: %w", path, errors.New("it does not say of what"))
	case r.Format > Format:
		return nil, fmt.Errorf("%s was written by a later version (format %d, this one reads %d)", path, r.Format, Format)
	}
	return r, nil
}
