package main

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"path/filepath"
	"strconv"
	"strings"
)

// unixPrefix begins the address of a unix socket: "unix:/run/stickyproxy.sock".
const unixPrefix = "unix:"

// maxUnixPath is the longest path of a unix socket that Linux takes, and 3 less
// than it takes on macOS; see unix(7), sun_path.
const maxUnixPath = 101

// parseAddress returns the canonical form of an address, so that two spellings
// of one address are equal: host:port with the host in lower case, [address]:port
// for IPv6, or unix:/path. A missing port becomes defaultPort. A missing host
// becomes defaultHost; when that is empty too, the host stays empty, which means
// all addresses of this machine.
func parseAddress(s, defaultHost string, defaultPort int) (string, error) {
	if path, ok := strings.CutPrefix(s, unixPrefix); ok {
		return parseUnixAddress(path)
	}
	host, port, err := splitAddress(s)
	if err != nil {
		return "", err
	}
	if port == "" {
		port = strconv.Itoa(defaultPort)
	}
	n, err := strconv.ParseUint(port, 10, 16)
	if err != nil {
		return "", fmt.Errorf("%q has no usable port; use a number from 1 to 65535", s)
	}
	if host == "" {
		host = defaultHost
	}
	return net.JoinHostPort(strings.ToLower(host), strconv.FormatUint(n, 10)), nil
}

// splitAddress takes an address apart. The port is empty when there is none.
func splitAddress(s string) (host, port string, err error) {
	switch {
	case s == "":
		return "", "", errors.New("the address is empty; write host:port or unix:/path")
	case strings.ContainsAny(s, " \t\r\n/@,"):
		return "", "", fmt.Errorf("%q is not an address; write host:port, [IPv6]:port or unix:/path", s)
	case strings.HasPrefix(s, "["):
		return splitBracketed(s)
	case strings.Count(s, ":") > 1:
		return "", "", fmt.Errorf("%q looks like IPv6; write it in brackets, like [::1]:3306", s)
	}
	host, port, found := strings.Cut(s, ":")
	if found && port == "" {
		return "", "", fmt.Errorf("%q ends with a colon; add the port or take the colon away", s)
	}
	return host, port, nil
}

// splitBracketed takes "[::1]" and "[::1]:3306" apart and brings the IPv6
// address into its one canonical form.
func splitBracketed(s string) (host, port string, err error) {
	inside, rest, closed := strings.Cut(s[1:], "]")
	ip, err := netip.ParseAddr(inside)
	if !closed || err != nil || !ip.Is6() || (rest != "" && (rest[0] != ':' || len(rest) == 1)) {
		return "", "", fmt.Errorf("%q is not an IPv6 address; write [::1]:3306", s)
	}
	return ip.String(), strings.TrimPrefix(rest, ":"), nil
}

// parseUnixAddress checks the path of a unix socket.
func parseUnixAddress(path string) (string, error) {
	switch {
	case !filepath.IsAbs(path):
		return "", fmt.Errorf("unix:%s needs a path from the root; write unix:/path", path)
	case len(path) > maxUnixPath:
		return "", fmt.Errorf("the path of the socket has %d bytes; use at most %d", len(path), maxUnixPath)
	}
	return unixPrefix + filepath.Clean(path), nil
}

// networkOf returns the arguments of net.Listen and net.Dial for an address of
// parseAddress.
func networkOf(address string) (network, target string) {
	if path, ok := strings.CutPrefix(address, unixPrefix); ok {
		return "unix", path
	}
	return "tcp", address
}
