package main

import (
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// socketPath returns the path of a socket in a folder with a short name:
// t.TempDir may be longer than a socket may be.
func socketPath(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "sp")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	return filepath.Join(dir, "s.sock")
}

// mustListen opens an address for the length of the test.
func mustListen(t *testing.T, address string) net.Listener {
	t.Helper()
	l, err := listen(t.Context(), address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

func TestListenTaken(t *testing.T) {
	taken := mustListen(t, "127.0.0.1:0").Addr().String()
	socket := socketPath(t)
	mustListen(t, unixPrefix+socket)
	for _, row := range []struct{ name, address, want string }{
		{"port", taken, "listen on " + taken + ": another program listens there already; stop it or choose another address"},
		{"socket", unixPrefix + socket, "listen on unix:" + socket + ": another program listens there already; stop it or choose another address"},
		{"address of another machine", "192.0.2.1:6033", "listen on 192.0.2.1:6033: this machine does not have that address; choose one of its own"},
		{"folder that is not there", "unix:/nowhere/s", "listen on unix:/nowhere/s: listen unix /nowhere/s: bind: no such file or directory"},
	} {
		t.Run(row.name, func(t *testing.T) {
			l, err := listen(t.Context(), row.address)
			if err == nil {
				l.Close()
				t.Fatal("got no error")
			}
			if got := err.Error(); got != row.want {
				t.Errorf("got %q, want %q", got, row.want)
			}
		})
	}
}

func TestListenUnix(t *testing.T) {
	socket := socketPath(t)
	l := mustListen(t, unixPrefix+socket)
	info, err := os.Stat(socket)
	if err != nil {
		t.Fatal(err)
	}
	if got := info.Mode().Perm(); got != unixSocketMode {
		t.Errorf("mode: got %o, want %o", got, unixSocketMode)
	}
	conn, err := net.Dial("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	conn.Close()
	l.Close()
	if _, err := os.Lstat(socket); !os.IsNotExist(err) {
		t.Errorf("after Close: got %v, want no file", err)
	}
}

// A program that was killed leaves its socket behind; nobody answers there.
func TestListenOnStaleSocket(t *testing.T) {
	socket := socketPath(t)
	dead := mustListen(t, unixPrefix+socket).(*net.UnixListener)
	dead.SetUnlinkOnClose(false)
	dead.Close()
	if _, err := os.Lstat(socket); err != nil {
		t.Fatal(err)
	}
	mustListen(t, unixPrefix+socket)
}

// Nothing but a socket is ever removed.
func TestListenOnFile(t *testing.T) {
	socket := socketPath(t)
	writeFile(t, socket, "precious")
	_, err := listen(t.Context(), unixPrefix+socket)
	if err == nil || !strings.Contains(err.Error(), "is not a socket; remove it or choose another path") {
		t.Errorf("got %v", err)
	}
	if content, err := os.ReadFile(socket); string(content) != "precious" {
		t.Errorf("the file: got %q, %v", content, err)
	}
}
