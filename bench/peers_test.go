package bench

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"time"
)

// target is a way to the primary's data that the table compares: directly, or through one proxy.
type target struct {
	name    string
	address string
	pid     int          // of the proxy; 0: there is none
	stop    func() error // nil where there is nothing to stop
}

// Where other proxies are looked for: by name, as their packages install them, or where these variables say. A MySQL
// Router that is not where its package puts it needs the folder of its plugins too.
const (
	haproxyVariable = "BENCH_HAPROXY"
	routerVariable  = "BENCH_MYSQLROUTER"
	pluginsVariable = "BENCH_MYSQLROUTER_PLUGINS"
)

// startPeers starts the other proxies that are installed, in front of the primary. They know no SQL.
func startPeers(dir, primary string) ([]target, error) {
	var peers []target
	for _, p := range []struct {
		name, program string
		start         func(dir, program, listen, primary string) (*exec.Cmd, error)
	}{
		{"HAProxy", installed(haproxyVariable, "haproxy"), haproxy},
		{"MySQL Router", installed(routerVariable, "mysqlrouter"), mysqlRouter},
	} {
		if p.program == "" {
			continue
		}
		address, err := freeAddress()
		if err != nil {
			return peers, err
		}
		cmd, err := p.start(dir, p.program, address, primary)
		if err != nil {
			return peers, err
		}
		peer, err := startPeer(p.name, address, cmd)
		if err != nil {
			return peers, err
		}
		peers = append(peers, peer)
	}
	return peers, nil
}

// installed finds a program, "" if there is none. Debian keeps servers where only root looks.
func installed(variable, name string) string {
	if path := os.Getenv(variable); path != "" {
		return path
	}
	for _, path := range []string{name, filepath.Join("/usr/sbin", name)} {
		if found, err := exec.LookPath(path); err == nil {
			return found
		}
	}
	return ""
}

// freeAddress is one that nobody listened on a moment ago.
func freeAddress() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return l.Addr().String(), l.Close()
}

// startPeer starts a proxy and waits until it takes connections.
func startPeer(name, address string, cmd *exec.Cmd) (target, error) {
	if err := cmd.Start(); err != nil {
		return target{}, fmt.Errorf("start %s: %w", name, err)
	}
	t := target{name: name, address: address, pid: cmd.Process.Pid, stop: func() error {
		_ = cmd.Process.Kill() // it may have ended already
		_ = cmd.Wait()         // by a signal: ours
		return nil
	}}
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(startLimit); time.Now().Before(deadline); <-tick.C {
		if nc, err := net.Dial("tcp", address); err == nil {
			return t, nc.Close()
		}
	}
	return target{}, errors.Join(fmt.Errorf("%s does not listen", name), t.stop())
}

func haproxy(dir, program, listen, primary string) (*exec.Cmd, error) {
	file := filepath.Join(dir, "haproxy.cfg")
	text := fmt.Sprintf("global\n  maxconn 8000\ndefaults\n  mode tcp\n  timeout connect 5s\n  timeout client 1h\n  timeout server 1h\n"+
		"listen mysql\n  bind %s\n  server primary %s\n", listen, primary)
	return exec.Command(program, "-db", "-f", file), os.WriteFile(file, []byte(text), 0o600)
}

func mysqlRouter(dir, program, listen, primary string) (*exec.Cmd, error) {
	file := filepath.Join(dir, "router.conf")
	plugins := ""
	if folder := os.Getenv(pluginsVariable); folder != "" {
		plugins = "plugin_folder=" + folder + "\n"
	}
	text := fmt.Sprintf("[DEFAULT]\n%slogging_folder=%s\nruntime_folder=%[2]s\ndata_folder=%[2]s\nmax_total_connections=8000\n[logger]\nlevel=WARNING\n"+
		"[routing:plain]\nbind_address=%s\ndestinations=%s\nrouting_strategy=first-available\nprotocol=classic\n"+
		"client_ssl_mode=PASSTHROUGH\nserver_ssl_mode=AS_CLIENT\nmax_connect_errors=1000000\n", plugins, dir, listen, primary)
	return exec.Command(program, "-c", file), os.WriteFile(file, []byte(text), 0o600)
}
