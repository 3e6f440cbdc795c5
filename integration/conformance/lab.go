package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/stickyproxy/stickyproxy/backend"
	"github.com/stickyproxy/stickyproxy/internal/mysqltest"
	"github.com/stickyproxy/stickyproxy/proxy"
	"github.com/stickyproxy/stickyproxy/router"
	"github.com/stickyproxy/stickyproxy/session"
)

const (
	// probeInterval and window make reads return to the replicas soon, so that as many as possible are tried there: after
	// a write without a GTID that is when a replica is known to have all that was written before the write's end.
	probeInterval = 20 * time.Millisecond
	window        = time.Nanosecond
)

// lab is a primary and two replicas without lag, with a proxy in this process before them.
type lab struct {
	cluster *mysqltest.Cluster
	account mysqltest.Account
	work    string
	local   bool // the servers are reached by their sockets
	proxy   place
	server  *proxy.Server
	running errgroup.Group // the watch of the fleet and the listeners
	stop    context.CancelFunc

	onReplicas, all atomic.Int64
}

// place is where a server listens: host, port and the path of a unix socket.
type place struct{ address, socket string }

// primary is the place of the primary.
func (l *lab) primary() place { return place{l.cluster.Primary.Addr(), l.cluster.Primary.Socket()} }

// startLab starts the servers, the account of the tests and the proxy.
func startLab(ctx context.Context, o options, e mysqltest.Engine, work string) (*lab, error) {
	if err := os.MkdirAll(work, 0o755); err != nil {
		return nil, err
	}
	lines, err := serverOptions(filepath.Join(suites, o.suite, "server.cnf"))
	if err != nil {
		return nil, err
	}
	if err := setEnvironment(filepath.Join(suites, o.suite, "environment")); err != nil {
		return nil, err
	}
	c, err := mysqltest.Start(ctx, mysqltest.Config{Engine: e, GTID: true, ExtraConfig: lines, Log: os.Stderr})
	if err != nil {
		return nil, err
	}
	l := &lab{cluster: c, account: mysqltest.Account{User: "conformance", Password: "Conf-0rm"}, work: work, local: lines != nil}
	err = l.clean(ctx)
	if err == nil {
		err = l.serve()
	}
	if err == nil {
		err = l.settle(ctx)
	}
	if err != nil {
		return nil, errors.Join(err, l.close())
	}
	return l, nil
}

// serverOptions reads a suite's options of servers; nil if it has none.
func serverOptions(file string) ([]string, error) {
	text, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return strings.Split(string(text), "\n"), err
}

// setEnvironment sets what a suite wants in the environment of the servers and of its tests.
func setEnvironment(file string) error {
	text, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	for line := range strings.Lines(string(text)) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), "=")
		err = errors.Join(err, os.Setenv(name, value))
	}
	return err
}

// address is how the proxy reaches a server.
func (l *lab) address(s *mysqltest.Server) string {
	if l.local {
		return "unix:" + s.Socket()
	}
	return s.Addr()
}

// clean makes the account of the tests afresh, drops what tests have left, and waits for the replicas. The account may
// do everything on the primary; a replica refuses its writes.
func (l *lab) clean(ctx context.Context) error {
	names, err := l.cluster.Primary.Exec(ctx, "SELECT schema_name FROM information_schema.schemata WHERE schema_name NOT IN "+
		"('mysql','sys','information_schema','performance_schema')")
	if err != nil {
		return err
	}
	var b strings.Builder
	for name := range strings.Lines(names) {
		fmt.Fprintf(&b, "DROP DATABASE `%s`;", strings.TrimSpace(name))
	}
	name := "'" + l.account.User + "'@'%'"
	fmt.Fprintf(&b, "DROP USER IF EXISTS %s; CREATE USER %[1]s IDENTIFIED BY '%s'; GRANT ALL ON *.* TO %[1]s WITH GRANT OPTION;", name, l.account.Password)
	if l.cluster.Engine() == mysqltest.MariaDB {
		fmt.Fprintf(&b, "REVOKE READ ONLY ADMIN ON *.* FROM %s;", name)
	}
	if _, err := l.cluster.Primary.Exec(ctx, b.String()); err != nil {
		return err
	}
	return l.cluster.WaitCaughtUp(ctx)
}

// serve puts the proxy in front of the servers. Test suites write on one connection and read on another, so its scope is
// that of an application whose sessions have no names.
func (l *lab) serve() error {
	o := backend.Options{
		Primary: backend.ServerConfig{Address: l.address(l.cluster.Primary)},
		Monitor: &backend.Account{User: l.cluster.Monitor.User, Password: l.cluster.Monitor.Password},

		Interval: probeInterval,
	}
	for _, r := range l.cluster.Replicas {
		o.Replicas = append(o.Replicas, backend.ServerConfig{Address: l.address(r)})
	}
	fleet, err := backend.NewFleet(o)
	if err != nil {
		return err
	}
	certificate, err := proxy.SelfSigned()
	if err != nil {
		return err
	}
	log, err := os.Create(filepath.Join(l.work, "proxy.log"))
	if err != nil {
		return err
	}
	sessions, err := session.NewStore(session.Options{Window: window})
	if err != nil {
		return err
	}
	l.server, err = proxy.New(proxy.Options{Fleet: fleet, Sessions: sessions, Window: window, Trace: proxy.Trace{Query: l.traced}, Logger: slog.New(slog.NewTextHandler(log, nil))})
	if err != nil {
		return err
	}
	var ctx context.Context
	ctx, l.stop = context.WithCancel(context.Background())
	l.running.Go(func() error { return fleet.Run(ctx) })
	policy := proxy.Policy{Scope: proxy.ScopeGlobal, TLS: proxy.ServerTLS(certificate, nil)}
	if l.proxy.address, err = l.listen("tcp", "127.0.0.1:0", policy); err != nil {
		return err
	}
	l.proxy.socket, err = l.listen("unix", filepath.Join(l.work, "proxy.sock"), policy)
	return err
}

// listen lets the proxy listen and returns where.
func (l *lab) listen(network, address string, policy proxy.Policy) (string, error) {
	listener, err := net.Listen(network, address)
	if err != nil {
		return "", err
	}
	l.running.Go(func() error { return l.server.Serve(listener, policy) })
	return listener.Addr().String(), nil
}

func (l *lab) traced(replica bool, _ router.Reason, _ time.Duration) {
	l.all.Add(1)
	if replica {
		l.onReplicas.Add(1)
	}
}

// reads is how many statements ran on replicas so far, and how many ran at all.
func (l *lab) reads() (onReplicas, all int64) { return l.onReplicas.Load(), l.all.Load() }

func (l *lab) close() error {
	var errs []error
	if l.server != nil {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		errs = append(errs, l.server.Shutdown(ctx))
		l.stop()
		errs = append(errs, l.running.Wait())
	}
	return errors.Join(append(errs, l.cluster.Close())...)
}

// play runs the script of a suite against an address, and its output goes to a file with the name of the run.
func (l *lab) play(ctx context.Context, o options, name string, at place) (results, error) {
	dir := filepath.Join(l.work, name)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	output, err := os.Create(filepath.Join(l.work, name+".log"))
	if err != nil {
		return nil, err
	}
	defer output.Close()
	reports, script, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer reports.Close()
	cmd, err := l.command(ctx, o, dir, at)
	if err != nil {
		return nil, err
	}
	cmd.Stdout, cmd.Stderr, cmd.ExtraFiles = output, output, []*os.File{script}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	script.Close() // the process has its own
	r, err := readResults(reports)
	if err := errors.Join(err, cmd.Wait()); err != nil {
		return nil, fmt.Errorf("%s, %s: %w: see %s", o.suite, name, err, output.Name())
	}
	return r, nil
}

// command is the script of a suite; it and all that it started end with ctx.
func (l *lab) command(ctx context.Context, o options, dir string, at place) (*exec.Cmd, error) {
	host, port, err := net.SplitHostPort(at.address)
	if err != nil {
		return nil, err
	}
	cache, err := mysqltest.CacheDir()
	if err != nil {
		return nil, err
	}
	cache = filepath.Join(cache, "conformance")
	if err := os.MkdirAll(cache, 0o755); err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, "bash", append([]string{filepath.Join(suites, o.suite, "run")}, o.args...)...)
	cmd.Env = append(os.Environ(), "HOST="+host, "PORT="+port, "SOCKET="+at.socket, "USER="+l.account.User, "PASSWORD="+l.account.Password,
		"ENGINE="+string(l.cluster.Engine()), "CACHE="+cache, "WORK="+dir, "SOURCE="+o.source)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	return cmd, nil
}

// settle waits until the proxy knows of the primary: before that, every login fails.
func (l *lab) settle(ctx context.Context) error {
	return l.cluster.WaitCaughtUp(ctx)
}
