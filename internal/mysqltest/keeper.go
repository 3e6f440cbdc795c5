package mysqltest

import (
	"errors"
	"os/exec"
	"runtime"
)

// keeper starts processes that must not outlive this one. On Linux each gets a parent death
// signal, and the kernel's "parent" is the thread that started the process, not the whole program
// (PR_SET_PDEATHSIG in https://man7.org/linux/man-pages/man2/pr_set_pdeathsig.2const.html). So one
// goroutine, locked to its thread, starts them all and lives as long as they may.
type keeper struct {
	requests chan keepRequest
	quit     chan struct{}
	done     chan struct{}
}

type keepRequest struct {
	cmd   *exec.Cmd
	reply chan error
}

var errKeeperClosed = errors.New("cluster is closed")

func newKeeper() *keeper {
	k := &keeper{requests: make(chan keepRequest), quit: make(chan struct{}), done: make(chan struct{})}
	go k.run()
	return k
}

// run never unlocks its thread: the thread ends with it, and with the thread whatever process of
// it is still there.
func (k *keeper) run() {
	defer close(k.done)
	runtime.LockOSThread()
	for {
		select {
		case r := <-k.requests:
			r.reply <- r.cmd.Start()
		case <-k.quit:
			return
		}
	}
}

// start starts the command. The caller waits for it.
func (k *keeper) start(cmd *exec.Cmd) error {
	dieWithParent(cmd)
	r := keepRequest{cmd: cmd, reply: make(chan error, 1)}
	select {
	case k.requests <- r:
		return <-r.reply
	case <-k.done:
		return errKeeperClosed
	}
}

// close ends the keeper, once.
func (k *keeper) close() {
	close(k.quit)
	<-k.done
}
