package mysqltest_test

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/stickyproxy/stickyproxy/internal/mysqltest"
	"github.com/stickyproxy/stickyproxy/internal/mysqltest/clustertest"
)

// ownerVariable makes the test program start a cluster of this engine in ownerDirVariable, and
// wait to be killed.
const (
	ownerVariable    = "STICKYPROXY_TEST_OWNER"
	ownerDirVariable = "STICKYPROXY_TEST_OWNER_DIR"
)

// runOwner prints a line with the process ids of the servers, and waits for ever.
func runOwner(e mysqltest.Engine) {
	c, err := mysqltest.Start(context.Background(), mysqltest.Config{Engine: e, GTID: true, Replicas: 1, Dir: os.Getenv(ownerDirVariable)})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Println(c.Primary.PID(), c.Replicas[0].PID())
	select {}
}

// Ensure that the servers die with a process that is killed, and that the folder it leaves is
// removed by the next start.
func TestKilledOwner(t *testing.T) {
	clustertest.EachEngine(t, func(t *testing.T, e mysqltest.Engine) {
		dir, ctx := shortDir(t), clustertest.Context(t)
		pids := startAndKillOwner(t, e, dir)
		for _, pid := range pids {
			clustertest.WaitFor(ctx, t, fmt.Sprintf("the end of process %d", pid), func() (bool, error) { return processEnded(pid), nil })
		}
		stale := folders(t, dir)
		if len(stale) != 1 {
			t.Fatalf("folders of the killed process: %v, want one", stale)
		}
		clustertest.Start(t, mysqltest.Config{Engine: e, GTID: true, Replicas: -1, Dir: dir})
		if now := folders(t, dir); len(now) != 1 || now[0] == stale[0] {
			t.Errorf("folders after the next start: %v, was %v", now, stale)
		}
	})
}

// startAndKillOwner starts another process with a cluster, kills it, and returns the servers'
// process ids.
func startAndKillOwner(t *testing.T, e mysqltest.Engine, dir string) []int {
	t.Helper()
	owner := exec.Command(os.Args[0])
	owner.Env = append(os.Environ(), ownerVariable+"="+string(e), ownerDirVariable+"="+dir)
	owner.Stderr = t.Output()
	out, err := owner.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := owner.Start(); err != nil {
		t.Fatal(err)
	}
	line, readErr := bufio.NewReader(out).ReadString('\n')
	owner.Process.Kill()
	owner.Wait()
	if readErr != nil {
		t.Fatalf("the owner's answer: %v", readErr)
	}
	var pids []int
	for _, word := range strings.Fields(line) {
		pid, err := strconv.Atoi(word)
		if err != nil {
			t.Fatal(err)
		}
		pids = append(pids, pid)
	}
	if len(pids) != 2 {
		t.Fatalf("process ids %q", line)
	}
	return pids
}

// processEnded tells whether a process is gone, or waits only to be collected by its new parent.
func processEnded(pid int) bool {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return true
	}
	_, afterName, _ := strings.Cut(string(stat), ") ")
	return strings.HasPrefix(afterName, "Z")
}

func folders(t *testing.T, dir string) []string {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil {
		t.Fatal(err)
	}
	return found
}
