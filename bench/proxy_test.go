package bench

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/stickyproxy/stickyproxy/internal/mysqltest"
)

// proxyProcess is the proxy as an operator runs it: the program in a process of its own.
type proxyProcess struct {
	cmd   *exec.Cmd
	ended chan error // its exit, once

	primary string // address of a listener that sends everything to the primary
	auto    string // address of a listener in mode auto
	admin   string // address of the admin pages
}

// configuration has a listener for each way through the proxy. All ports are chosen by the system.
const configuration = `
listeners:
  - {address: "127.0.0.1:0", mode: primary}
  - {address: "127.0.0.1:0", mode: auto}
primary: %q
replicas: [%q]
monitor: {user: %q}
admin: "127.0.0.1:0"
log: {format: json}
`

// monitorPassword is where the proxy looks for the monitor's password when nothing is said.
const monitorPassword = "STICKYPROXY_MONITOR_PASSWORD"

// startLimit bounds the start of the proxy on a busy machine.
const startLimit = time.Minute

// buildProxy builds the program into dir, as `make build` does, and returns its path.
func buildProxy(dir string) (string, error) {
	program := filepath.Join(dir, "stickyproxy")
	cmd := exec.Command("go", "build", "-trimpath", "-o", program, "github.com/stickyproxy/stickyproxy/cmd/stickyproxy")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build the proxy: %w\n%s", err, out)
	}
	return program, nil
}

// startProxy builds and starts the proxy before a cluster with one replica. The caller stops it.
func startProxy(dir string, c *mysqltest.Cluster) (*proxyProcess, error) {
	program, err := buildProxy(dir)
	if err != nil {
		return nil, err
	}
	file := filepath.Join(dir, "stickyproxy.yaml")
	text := fmt.Sprintf(configuration, c.Primary.Addr(), c.Replicas[0].Addr(), c.Monitor.User)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		return nil, err
	}
	p := &proxyProcess{cmd: exec.Command(program, "serve", "--config", file), ended: make(chan error, 1)}
	p.cmd.Env = append(os.Environ(), monitorPassword+"="+c.Monitor.Password)
	// The pipe also ends the proxy if this process is killed: its first line about the servers, which are gone too, is
	// then a write to nobody.
	log, err := p.cmd.StderrPipe()
	if err != nil {
		return nil, err
	}
	if err := p.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start the proxy: %w", err)
	}
	told := make(chan error, 1)
	go p.follow(log, told)
	select {
	case err = <-told:
	case <-time.After(startLimit):
		err = errors.New("it did not say where it listens")
	}
	if err != nil {
		return nil, fmt.Errorf("start the proxy: %w", errors.Join(err, p.stop()))
	}
	return p, nil
}

// follow reads the proxy's log to its end, so that the proxy is never kept waiting, and then waits for the exit. It
// tells when all addresses are known, or that they never will be.
func (p *proxyProcess) follow(log io.Reader, told chan<- error) {
	var last string
	lines := bufio.NewScanner(log)
	for lines.Scan() {
		last = lines.Text()
		var line struct{ Msg, Address, Mode string }
		if json.Unmarshal(lines.Bytes(), &line) != nil || p.complete() {
			continue
		}
		switch {
		case line.Msg == "listening" && line.Mode == "primary":
			p.primary = line.Address
		case line.Msg == "listening":
			p.auto = line.Address
		case line.Msg == "admin pages":
			p.admin = line.Address
		}
		if p.complete() {
			told <- nil
		}
	}
	if !p.complete() {
		told <- fmt.Errorf("it ended: %s", last)
	}
	p.ended <- p.cmd.Wait()
}

func (p *proxyProcess) complete() bool { return p.primary != "" && p.auto != "" && p.admin != "" }

// stop ends the proxy at once and waits for its end.
func (p *proxyProcess) stop() error {
	_ = p.cmd.Process.Kill() // it may have ended already
	err := <-p.ended
	var exit *exec.ExitError
	if errors.As(err, &exit) && exit.Sys().(syscall.WaitStatus).Signal() == syscall.SIGKILL {
		return nil
	}
	return err
}

// onReplica returns how many statements the proxy has sent to the replica, from its metrics.
func (p *proxyProcess) onReplica() (int, error) {
	resp, err := http.Get("http://" + p.admin + "/metrics")
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	total := 0
	lines := bufio.NewScanner(resp.Body)
	for lines.Scan() {
		line := lines.Text()
		if !strings.HasPrefix(line, "stickyproxy_queries_total{") || !strings.Contains(line, `target="replica"`) {
			continue
		}
		n, err := strconv.ParseFloat(line[strings.LastIndexByte(line, ' ')+1:], 64)
		if err != nil {
			return 0, fmt.Errorf("metrics: %q: %w", line, err)
		}
		total += int(n)
	}
	return total, lines.Err()
}
