package mysqltest

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// Ensure that a lock is had by one only, that waiting for it ends with the context, and that it
// can be had after it was given back.
func TestLockFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lock")
	lock, ok, err := tryLock(path)
	if err != nil || !ok {
		t.Fatalf("lock: %v, error %v", ok, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	var log bytes.Buffer
	cancel()
	if _, err := lockFile(ctx, path, &log); !errors.Is(err, context.Canceled) || !strings.Contains(log.String(), path) {
		t.Errorf("error %v, log %q; want the context's and what is waited for", err, log.String())
	}
	lock.unlock()
	lock, err = lockFile(t.Context(), path, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	lock.unlock()
}

// Ensure that a copy has every byte, with zeros at the beginning, between and at the end.
func TestCopyTree(t *testing.T) {
	from, to := t.TempDir(), filepath.Join(t.TempDir(), "copy")
	zeros := make([]byte, 200<<10)
	files := map[string][]byte{
		"empty":    {},
		"zeros":    zeros,
		"mixed":    slices.Concat(zeros, []byte("data"), zeros, []byte("more"), zeros[:100]),
		"sub/text": []byte("text"),
	}
	for name, content := range files {
		path := filepath.Join(from, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, content, 0o644)); err != nil {
			t.Fatal(err)
		}
	}
	if err := copyTree(from, to); err != nil {
		t.Fatal(err)
	}
	for name, want := range files {
		if got, err := os.ReadFile(filepath.Join(to, name)); err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s: %d bytes, error %v, want the same %d", name, len(got), err, len(want))
		}
	}
}

// Ensure that a held port is given to nobody else, and that a server can still listen on it.
func TestHoldPort(t *testing.T) {
	taken := make(map[int]bool)
	for range 50 {
		hold, err := holdPort()
		if err != nil {
			t.Fatal(err)
		}
		defer hold.release()
		if taken[hold.port] {
			t.Fatalf("port %d was given twice", hold.port)
		}
		taken[hold.port] = true
		address := net.JoinHostPort("127.0.0.1", strconv.Itoa(hold.port))
		if conn, err := net.Dial("tcp", address); err == nil {
			conn.Close()
			t.Errorf("%s answers before anybody listens", address)
		}
		listener, err := net.Listen("tcp", address)
		if err != nil {
			t.Fatalf("a server cannot listen on the port held for it: %v", err)
		}
		listener.Close()
	}
}

// Ensure that apt's answer is read: names with an epoch, packages that are not needed, other lines.
func TestPackageFiles(t *testing.T) {
	answer := "Reading package lists...\n" +
		"'mirror/pool/main/z/zlib/zlib1g_1.3-4_amd64.deb' zlib1g_1%3a1.3-4_amd64.deb 92424 SHA256:00\n" +
		"'mirror/pool/main/p/perl/perl-base_5.42_amd64.deb' perl-base_5.42_amd64.deb 1877832 SHA256:00\n"
	if got, want := packageFiles([]byte(answer)), []string{"zlib1g_1%3a1.3-4_amd64.deb"}; !slices.Equal(got, want) {
		t.Errorf("files %q, want %q", got, want)
	}
}

// Ensure that a path that leaves no room for a socket's name is refused, and leaves nothing.
func TestNewFolderTooLong(t *testing.T) {
	parent := filepath.Join(t.TempDir(), strings.Repeat("x", 90))
	if err := os.Mkdir(parent, 0o755); err != nil {
		t.Fatal(err)
	}
	if f, err := newFolder(parent, io.Discard); err == nil || !strings.Contains(err.Error(), "too long") {
		t.Errorf("folder %v, error %v", f, err)
	}
	if left, err := os.ReadDir(parent); err != nil || len(left) != 0 {
		t.Errorf("left behind: %v, error %v", left, err)
	}
}

func TestParseEngine(t *testing.T) {
	for name, want := range map[string]Engine{"mariadb": MariaDB, "MySQL": MySQL, "oracle": ""} {
		if got, err := ParseEngine(name); got != want || (err == nil) != (want != "") {
			t.Errorf("%s: %q, error %v", name, got, err)
		}
	}
}

// Ensure that versions without the statements and options used here are not taken.
func TestSupportedMySQL(t *testing.T) {
	for version, want := range map[string]bool{
		"5.7.44": false, "8.0.25": false, "8.0.26": true, "8.0.44-0ubuntu0.24.04": true, "8.4.0": true, "9.7.4-2": true, "x": false,
	} {
		if got := supportedMySQL(version); got != want {
			t.Errorf("%s: %v, want %v", version, got, want)
		}
	}
}
