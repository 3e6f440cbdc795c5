package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"syscall"
)

// unixSocketMode lets every account of the machine connect, as MySQL's own
// socket does: the password decides who gets in.
const unixSocketMode = 0o777

// listen opens one address of parseAddress. The caller closes the listener,
// which removes the file of a unix socket too. The error says what to do.
func listen(ctx context.Context, address string) (net.Listener, error) {
	network, target := networkOf(address)
	if network == "unix" {
		return listenUnix(ctx, target)
	}
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, network, target)
	if err != nil {
		return nil, listenError(address, err)
	}
	return l, nil
}

// listensAt returns the address of l as one writes it in a setting, with the
// port that the system chose when that was left to it.
func listensAt(l net.Listener) string {
	if a := l.Addr(); a.Network() == "unix" {
		return unixPrefix + a.String()
	}
	return l.Addr().String()
}

// listenUnix opens a unix socket. A socket file that a dead program left behind
// is removed; one that somebody listens on, or a file of another kind, is not.
func listenUnix(ctx context.Context, path string) (net.Listener, error) {
	if err := removeStale(ctx, path); err != nil {
		return nil, err
	}
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "unix", path)
	if err != nil {
		return nil, listenError(unixPrefix+path, err)
	}
	if err := os.Chmod(path, unixSocketMode); err != nil {
		l.Close()
		return nil, fmt.Errorf("listen on %s%s: %w", unixPrefix, path, err)
	}
	return l, nil
}

// removeStale removes the file of a socket that nobody listens on.
func removeStale(ctx context.Context, path string) error {
	info, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("listen on %s%s: %w", unixPrefix, path, err)
	}
	if info.Mode().Type() != fs.ModeSocket {
		return fmt.Errorf("listen on %s%s: there is a file that is not a socket; remove it or choose another path", unixPrefix, path)
	}
	var d net.Dialer
	conn, err := d.DialContext(ctx, "unix", path)
	if err == nil {
		conn.Close()
		return listenError(unixPrefix+path, syscall.EADDRINUSE)
	}
	if !errors.Is(err, syscall.ECONNREFUSED) {
		return fmt.Errorf("listen on %s%s: there is a socket that cannot be checked: %w", unixPrefix, path, err)
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("listen on %s%s: a stale socket cannot be removed: %w", unixPrefix, path, err)
	}
	return nil
}

// listenError says what to do about the usual reasons.
func listenError(address string, err error) error {
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return fmt.Errorf("listen on %s: another program listens there already; stop it or choose another address", address)
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		return fmt.Errorf("listen on %s: this machine does not have that address; choose one of its own", address)
	case errors.Is(err, syscall.EACCES):
		return fmt.Errorf("listen on %s: this account may not; choose a port above 1023 or a folder that it may write to", address)
	default:
		return fmt.Errorf("listen on %s: %w", address, err)
	}
}
