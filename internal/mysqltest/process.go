package mysqltest

import (
	"os"
	"os/exec"
)

// process is one run of a server program.
type process struct {
	cmd  *exec.Cmd
	done chan struct{} // closed when the process has ended and was waited for
}

// startProcess starts cmd by the keeper and waits for its end in the background.
func startProcess(k *keeper, cmd *exec.Cmd) (*process, error) {
	if err := k.start(cmd); err != nil {
		return nil, err
	}
	p := &process{cmd: cmd, done: make(chan struct{})}
	go p.wait()
	return p, nil
}

func (p *process) wait() {
	defer close(p.done)
	_ = p.cmd.Wait() // how it ended is in the server's own log
}

func (p *process) running() bool {
	select {
	case <-p.done:
		return false
	default:
		return true
	}
}

// signal sends a signal; one to a process that has ended is dropped.
func (p *process) signal(s os.Signal) { _ = p.cmd.Process.Signal(s) }
