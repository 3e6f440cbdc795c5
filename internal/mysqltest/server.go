package mysqltest

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// Server is one server of a cluster. It keeps its address, socket and data when it is stopped or
// killed and started again. All methods may be called from any goroutine; those that start and
// stop wait for each other.
type Server struct {
	name     string
	dir      string
	programs programs
	keeper   *keeper
	hold     *portHold

	starting sync.Mutex // held while the process is started or stopped

	mu     sync.Mutex
	proc   *process // nil before the first start
	closed bool     // no more starts
}

// Name is "primary" or "replica 1" and so on, for people.
func (s *Server) Name() string { return s.name }

// Addr is the server's address, as in "127.0.0.1:40001". It never changes.
func (s *Server) Addr() string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(s.hold.port)) }

// Socket is the path of the server's unix socket. There, and only there, root@localhost needs no
// password.
func (s *Server) Socket() string { return filepath.Join(s.dir, "s.sock") }

func (s *Server) errorLog() string { return filepath.Join(s.dir, "error.log") }

// PID is the server's process, 0 when it does not run.
func (s *Server) PID() int {
	if p := s.process(); p != nil && p.running() {
		return p.cmd.Process.Pid
	}
	return 0
}

func (s *Server) process() *process {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.proc
}

// prepare makes the server's folder with a copy of the template.
func (s *Server) prepare(template, options string) error {
	for _, dir := range []string{s.dir, filepath.Join(s.dir, "tmp"), filepath.Join(s.dir, "files")} {
		if err := os.Mkdir(dir, 0o700); err != nil {
			return err
		}
	}
	if err := copyTree(template, filepath.Join(s.dir, "data")); err != nil {
		return fmt.Errorf("copy the data directory: %w", err)
	}
	return os.WriteFile(filepath.Join(s.dir, "my.cnf"), []byte(options), 0o600)
}

// Start starts the server on its address and data and waits until it answers. It does nothing
// when the server runs. A replica comes back replicating, whatever was stopped before.
func (s *Server) Start(ctx context.Context) error {
	s.starting.Lock()
	defer s.starting.Unlock()
	if s.PID() != 0 {
		return nil
	}
	p, err := s.launch()
	if err != nil {
		return fmt.Errorf("start %s: %w", s.name, err)
	}
	if err := s.waitReady(ctx, p); err != nil {
		return fmt.Errorf("start %s: %w", s.name, err)
	}
	return nil
}

func (s *Server) launch() (*process, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, errKeeperClosed
	}
	out, err := os.OpenFile(filepath.Join(s.dir, "out.log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	defer out.Close() // the process has its own
	// The context of a start must not end the server later.
	cmd := s.programs.server.build(context.Background(), "--defaults-file="+filepath.Join(s.dir, "my.cnf"))
	cmd.Stdout, cmd.Stderr, cmd.Dir = out, out, s.dir
	p, err := startProcess(s.keeper, cmd)
	if err != nil {
		return nil, err
	}
	s.proc = p
	return p, nil
}

// waitReady waits until the server greets on its socket. A server that ends instead tells why in
// its log.
func (s *Server) waitReady(ctx context.Context, p *process) error {
	ticker := time.NewTicker(10 * time.Millisecond)
	defer ticker.Stop()
	for !s.greets(ctx) {
		select {
		case <-ctx.Done():
			return fmt.Errorf("%w: %s", ctx.Err(), s.logTail())
		case <-p.done:
			return fmt.Errorf("it ended: %s", s.logTail())
		case <-ticker.C:
		}
	}
	return nil
}

// greets tells whether the server sends the greeting of protocol version 10. A server that is not
// ready refuses the connection, or sends an error packet.
// https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_connection_phase_packets_protocol_handshake_v10.html
func (s *Server) greets(ctx context.Context) bool {
	var dialer net.Dialer
	conn, err := dialer.DialContext(ctx, "unix", s.Socket())
	if err != nil {
		return false
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(5 * time.Second)); err != nil {
		return false
	}
	var start [5]byte
	n, err := conn.Read(start[:])
	return err == nil && n == len(start) && start[4] == 10
}

// logTail returns the errors at the end of the server's log.
func (s *Server) logTail() string {
	var text []string
	for _, path := range []string{filepath.Join(s.dir, "out.log"), s.errorLog()} {
		if b, err := os.ReadFile(path); err == nil && len(b) > 0 {
			text = append(text, lastLines(b, 8))
		}
	}
	return strings.Join(text, "\n")
}

// Stop shuts the server down in order (SIGTERM) and waits for its end. When ctx ends first, the
// server is killed and ctx's error returned.
func (s *Server) Stop(ctx context.Context) error {
	s.starting.Lock()
	defer s.starting.Unlock()
	p := s.process()
	if p == nil {
		return nil
	}
	p.signal(syscall.SIGTERM)
	p.signal(syscall.SIGCONT) // a paused process would not notice
	select {
	case <-p.done:
		return nil
	case <-ctx.Done():
		p.signal(syscall.SIGKILL)
		<-p.done
		return fmt.Errorf("stop %s: %w", s.name, ctx.Err())
	}
}

// Kill ends the server as a crash would (SIGKILL) and waits for its end.
func (s *Server) Kill() {
	if p := s.process(); p != nil {
		p.signal(syscall.SIGKILL)
		<-p.done
	}
}

// Restart stops the server in order and starts it again.
func (s *Server) Restart(ctx context.Context) error {
	if err := s.Stop(ctx); err != nil {
		return err
	}
	return s.Start(ctx)
}

// Pause stops the server's process where it is (SIGSTOP): connections stay open and nothing is
// answered, as on a machine that hangs. It returns when every thread has stopped, where that can be seen (Linux): the
// signal alone does not wait.
func (s *Server) Pause() {
	s.signalRunning(syscall.SIGSTOP)
	for p := s.process(); p != nil && !stopped(s.PID()); {
		select {
		case <-p.done:
			return
		case <-time.After(time.Millisecond):
		}
	}
}

// Resume lets a paused server go on.
func (s *Server) Resume() { s.signalRunning(syscall.SIGCONT) }

func (s *Server) signalRunning(sig syscall.Signal) {
	if p := s.process(); p != nil {
		p.signal(sig)
	}
}

// close kills the server and forbids further starts.
func (s *Server) close() {
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	s.Kill()
}

// Exec runs SQL statements as root on the server's socket, and returns their rows as the engine's shell prints them: one
// line a row, columns separated by tabs, no names. There are semicolons between statements. It stops at the first error.
// The connection, not the server, ends when ctx does: a statement that still runs may go on until it notices.
//
// On a replica, write nothing that the primary should not have: root passes read_only on MariaDB.
func (s *Server) Exec(ctx context.Context, sql string) (string, error) {
	results, err := s.script(ctx, sql)
	if err != nil {
		return "", err
	}
	return text(results), nil
}
