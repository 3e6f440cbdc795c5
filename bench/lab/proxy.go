package lab

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"github.com/stickyproxy/stickyproxy/bench/client"
)

// Listener is an address of the proxy and how reads that come there are treated.
type Listener struct{ Mode, Scope string }

// Proxy is stickyproxy in front of a lab's servers, as a process of its own: what it costs is not mixed with what the
// measurement does. Whoever started it stops it.
type Proxy struct {
	cmd       *exec.Cmd
	dir       string
	ended     chan error // its exit, once
	addresses []string   // of the listeners
}

// MonitorPassword is the environment variable in which the proxy looks for its monitor's password.
const MonitorPassword = "STICKYPROXY_MONITOR_PASSWORD"

// proxyLimit bounds the start of the proxy, and the time until it reads from the replicas.
const proxyLimit = time.Minute

// StartProxy starts the program, which is stickyproxy, with these listeners on free ports, and waits until it reads from
// the replicas.
func (l *Lab) StartProxy(ctx context.Context, program string, listeners []Listener) (*Proxy, error) {
	dir, err := os.MkdirTemp("", "stickyproxy-bench-")
	if err != nil {
		return nil, err
	}
	p := &Proxy{dir: dir, ended: make(chan error, 1)}
	user, password := l.Monitor()
	file := filepath.Join(dir, "stickyproxy.yaml")
	if err := os.WriteFile(file, []byte(l.configuration(user, listeners)), 0o600); err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	p.cmd = exec.Command(program, "serve", "--config", file)
	p.cmd.Env = append(os.Environ(), MonitorPassword+"="+password)
	err = p.start(ctx, len(listeners))
	for i := 0; err == nil && i < len(listeners); i++ {
		if listeners[i].Mode != "primary" {
			err = l.awaitReads(ctx, p.Endpoint("", i, l.Primary))
		}
	}
	if err != nil {
		return nil, fmt.Errorf("start stickyproxy: %w", errors.Join(err, p.Stop()))
	}
	return p, nil
}

// enough is how many reads show that reads go to replicas.
const enough = 50

// awaitReads waits until reads through a proxy go to replicas. A proxy that has just started holds them on the primary
// for a while, because it does not know what was written before, and that is not what is to be measured. Replicas that
// are too late for it until the limit are no error: that is.
func (l *Lab) awaitReads(ctx context.Context, e client.Endpoint) error {
	c, err := client.Dial(ctx, e, client.Modern)
	if err != nil {
		return err
	}
	defer c.Close()
	limit, cancel := context.WithTimeout(ctx, proxyLimit)
	defer cancel()
	for limit.Err() == nil {
		before, err := l.replicaSelects(ctx)
		if err != nil {
			return err
		}
		for range enough {
			if _, err := c.Query(ctx, "/* sticky_session="+l.run+" */ SELECT n FROM "+Schema+"."+marker); err != nil {
				return err
			}
		}
		after, err := l.replicaSelects(ctx)
		if err != nil || after-before >= enough {
			return err
		}
		sleep(limit, 100*time.Millisecond)
	}
	return ctx.Err()
}

// configuration is the proxy's file.
func (l *Lab) configuration(monitor string, listeners []Listener) string {
	var b strings.Builder
	b.WriteString("listeners:\n")
	for _, li := range listeners {
		fmt.Fprintf(&b, "  - {address: \"127.0.0.1:0\", mode: %s, scope: %s}\n", li.Mode, li.Scope)
	}
	fmt.Fprintf(&b, "primary: %s\nreplicas:\n", server(l.Primary))
	for _, r := range l.Replicas {
		fmt.Fprintf(&b, "  - %s\n", server(r))
	}
	// After its start the proxy takes everybody for somebody who has just written, for one window.
	fmt.Fprintf(&b, "consistency: {window: 2s}\nmonitor: {user: %q}\nlog: {format: json}\ndrain_timeout: 1s\n", monitor)
	return b.String()
}

// server is how the proxy's file says where a server is, and how it is reached.
func server(e client.Endpoint) string {
	tls := e.TLS.Mode.String()
	if e.CA != "" {
		tls = fmt.Sprintf("{mode: %s, ca: %q}", tls, e.CA)
	}
	return fmt.Sprintf("{address: %q, tls: %s}", e.Address, tls)
}

// start starts the process and waits until it has told all addresses.
func (p *Proxy) start(ctx context.Context, listeners int) error {
	log, err := p.cmd.StderrPipe()
	if err != nil {
		return err
	}
	ownGroup(p.cmd)
	started, told := make(chan error, 1), make(chan announcement, 1)
	go func() {
		// The kernel ends the process with the thread that started it, so that it never outlives this program.
		runtime.LockOSThread()
		if err := p.cmd.Start(); err != nil {
			p.ended <- nil
			started <- err
			return
		}
		started <- nil
		follow(log, listeners, told)
		p.ended <- p.cmd.Wait()
	}()
	if err := <-started; err != nil {
		return err
	}
	limit, cancel := context.WithTimeout(ctx, proxyLimit)
	defer cancel()
	select {
	case a := <-told:
		p.addresses = a.addresses
		return a.err
	case <-limit.Done():
		return fmt.Errorf("it does not say where it listens: %w", limit.Err())
	}
}

// announcement is where the proxy listens, or why it does not.
type announcement struct {
	addresses []string
	err       error
}

// follow reads the proxy's log to its end, so that the proxy is never kept waiting. It tells all addresses at once, or
// that there will be no more.
func follow(log io.Reader, listeners int, told chan<- announcement) {
	var addresses []string
	var last string
	lines := bufio.NewScanner(log)
	for lines.Scan() {
		last = lines.Text()
		var line struct{ Msg, Address string }
		if len(addresses) < listeners && json.Unmarshal(lines.Bytes(), &line) == nil && line.Msg == "listening" {
			if addresses = append(addresses, line.Address); len(addresses) == listeners {
				told <- announcement{addresses: addresses}
			}
		}
	}
	if len(addresses) < listeners {
		told <- announcement{err: fmt.Errorf("it ended: %s", last)}
	}
}

// PID is the proxy's process.
func (p *Proxy) PID() int { return p.cmd.Process.Pid }

// Endpoint is the listener by its number, with the account of somebody.
func (p *Proxy) Endpoint(name string, listener int, like client.Endpoint) client.Endpoint {
	return client.Endpoint{Name: name, Address: p.addresses[listener], User: like.User, Password: like.Password, Schema: like.Schema}
}

// Stop ends the proxy at once and waits for its end.
func (p *Proxy) Stop() error {
	if p.cmd.Process != nil {
		_ = p.cmd.Process.Kill() // it may have ended already
		var killed *exec.ExitError
		if err := <-p.ended; err != nil && !errors.As(err, &killed) {
			return errors.Join(err, os.RemoveAll(p.dir))
		}
	}
	return os.RemoveAll(p.dir)
}

// Selects returns how many SELECT statements each server has run since it started, the primary first.
func (l *Lab) Selects(ctx context.Context) ([]int64, error) {
	var all []int64
	for _, e := range append([]client.Endpoint{l.Primary}, l.Replicas...) {
		n, err := selects(ctx, e)
		if err != nil {
			return nil, err
		}
		all = append(all, n)
	}
	return all, nil
}

// replicaSelects is what Selects says of all replicas together.
func (l *Lab) replicaSelects(ctx context.Context) (sum int64, err error) {
	all, err := l.Selects(ctx)
	if err != nil {
		return 0, err
	}
	for _, n := range all[1:] {
		sum += n
	}
	return sum, nil
}

// selects asks one server. https://dev.mysql.com/doc/refman/en/server-status-variables.html#statvar_Com_xxx
func selects(ctx context.Context, e client.Endpoint) (n int64, err error) {
	c, err := client.Dial(ctx, e, client.Modern)
	if err != nil {
		return 0, err
	}
	defer c.Close()
	rows, err := c.Query(ctx, "SHOW GLOBAL STATUS LIKE 'Com_select'")
	if err != nil {
		return 0, err
	}
	if len(rows.Values) != 1 || len(rows.Values[0]) != 2 {
		return 0, fmt.Errorf("%s does not count its statements", e.Name)
	}
	_, err = fmt.Sscan(rows.Values[0][1].String, &n)
	return n, err
}
