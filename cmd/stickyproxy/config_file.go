package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/goccy/go-yaml/ast"

	"github.com/stickyproxy/stickyproxy/proxy"
	"github.com/stickyproxy/stickyproxy/router"
)

// maxConfigFile bounds what is read of a file that was named by mistake.
const maxConfigFile = 1 << 20

// readConfigFile puts the settings of a file into c and notes what is wrong.
func readConfigFile(name string, c *Config, found *problems) {
	text, mode, err := readSmallFile(name, maxConfigFile)
	if err != nil {
		found.add(place{file: name}, "%w", err)
		return
	}
	r := &reader{file: name, found: found}
	root := r.root(text)
	if root == nil {
		return
	}
	top := r.place("", root)
	r.mapping(top, root, c.settings()...)
	checkReadable(c, mode, found)
	for _, l := range c.Listeners {
		if l.at.key == "listen" && len(c.Listeners) > 1 {
			found.add(l.at, "listeners is given too, and listen is the short form of one listener; keep one of the two")
		}
	}
}

// readSmallFile returns the content and the mode of a file of at most limit
// bytes. The mode is that of the file that was read, whatever the name means a
// moment later.
func readSmallFile(name string, limit int64) ([]byte, os.FileMode, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, 0, fmt.Errorf("it cannot be read: %w; check the path and the permissions", errors.Unwrap(err))
	}
	defer func() { _ = f.Close() }() // nothing was written
	info, err := f.Stat()
	if err != nil {
		return nil, 0, fmt.Errorf("it cannot be read: %w", err)
	}
	if info.IsDir() {
		return nil, 0, errors.New("it is a directory; name a file")
	}
	text, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err != nil {
		return nil, 0, fmt.Errorf("it cannot be read: %w", err)
	}
	if int64(len(text)) > limit {
		return nil, 0, fmt.Errorf("it is longer than %d bytes; is it the right file?", limit)
	}
	return text, info.Mode(), nil
}

// settings are the keys at the top of the file.
func (c *Config) settings() []setting {
	return []setting{
		{name: "listen", set: c.readListen},
		{name: "listeners", set: list(c.readListener)},
		{name: "primary", set: c.readPrimary},
		{name: "replicas", set: list(c.readReplica)},
		{name: "consistency", set: c.readConsistency},
		{name: "overload", set: c.readOverload},
		{name: "monitor", set: c.readMonitor},
		{name: "users", set: list(c.readUser)},
		{name: "tls", set: func(r *reader, at place, n ast.Node) { c.TLS = r.readTLS(at, n) }},
		{name: "admin", set: func(r *reader, at place, n ast.Node) { c.adminAt = at; scalar(c.setAdmin())(r, at, n) }},
		{name: "drain_timeout", set: scalar(c.setDrainTimeout())},
		{name: "connect_timeout", set: scalar(c.setConnectTimeout())},
		{name: "max_connections", set: scalar(c.setMaxConnections())},
		{name: "local_infile", set: truth(&c.LocalInfile)},
		{name: "log", set: c.readLog},
	}
}

// readListen reads the short form of one listener.
func (c *Config) readListen(r *reader, at place, n ast.Node) {
	l := Listener{at: at}
	scalar(setAddress(&l.Address, "", defaultListenPort))(r, at, n)
	c.Listeners = append(c.Listeners, l)
}

const needAddress = "add address: host:port"

// readListener reads one element of listeners.
func (c *Config) readListener(r *reader, at place, n ast.Node) {
	l := Listener{at: at}
	r.mapping(at, n,
		setting{name: "address", need: needAddress, set: func(r *reader, at place, n ast.Node) {
			l.at = at
			scalar(setAddress(&l.Address, "", defaultListenPort))(r, at, n)
		}},
		setting{name: "mode", set: func(r *reader, at place, n ast.Node) { l.ownMode = true; scalar(setMode(&l.Mode))(r, at, n) }},
		setting{name: "scope", set: func(r *reader, at place, n ast.Node) { l.ownScope = true; scalar(setScope(&l.Scope))(r, at, n) }},
		setting{name: "tls", set: func(r *reader, at place, n ast.Node) { l.ownTLS = true; l.TLS = r.readTLS(at, n) }},
		setting{name: "proxy_protocol", set: func(r *reader, at place, n ast.Node) { l.From = r.readProxyProtocol(at, n) }},
	)
	c.Listeners = append(c.Listeners, l)
}

func (c *Config) readPrimary(r *reader, at place, n ast.Node) {
	c.Primary = r.readServer(at, n, false)
}

func (c *Config) readReplica(r *reader, at place, n ast.Node) {
	c.Replicas = append(c.Replicas, r.readServer(at, n, true))
}

// readServer reads a server as an address alone, or as a mapping. Only a replica
// has a weight and a zone: there is no choice among primaries.
func (r *reader) readServer(at place, n ast.Node, replica bool) Server {
	s := Server{Weight: 1, at: at}
	address := func(r *reader, at place, n ast.Node) { s.at = at; scalar(setServerAddress(&s.Address))(r, at, n) }
	if !isMapping(n) {
		address(r, at, n)
		return s
	}
	settings := []setting{
		{name: "address", set: address, need: needAddress},
		{name: "tls", set: func(r *reader, at place, n ast.Node) { s.TLS = r.readServerTLS(at, n) }},
		{name: "send_proxy_protocol", set: truth(&s.SendProxyProtocol)},
	}
	if replica {
		settings = append(settings,
			setting{name: "weight", set: scalar(setNumber(&s.Weight, 1, 1000))},
			setting{name: "zone", set: text(setText(&s.Zone))})
	}
	r.mapping(at, n, settings...)
	return s
}

func (c *Config) readConsistency(r *reader, at place, n ast.Node) {
	r.mapping(at, n,
		setting{name: "mode", set: scalar(setMode(&c.Consistency.Mode))},
		setting{name: "scope", set: scalar(setScope(&c.Consistency.Scope))},
		setting{name: "window", set: scalar(c.setWindow())},
		setting{name: "wait", set: scalar(c.setWait())},
		setting{name: "max_lag", set: scalar(c.setMaxLag())},
	)
}

func (c *Config) readOverload(r *reader, at place, n ast.Node) {
	r.mapping(at, n,
		setting{name: "reads", set: scalar(setNumber(&c.Overload.Reads, 1, 1_000_000))},
		setting{name: "beyond", set: scalar(setBeyond(&c.Overload.Beyond))},
		setting{name: "wait", set: scalar(setDuration(&c.Overload.Wait, shortest, longestWait))},
	)
}

func (c *Config) readMonitor(r *reader, at place, n ast.Node) {
	c.Monitor = &Account{at: at, passwordAt: at}
	r.mapping(at, n,
		setting{name: "user", set: text(setText(&c.Monitor.Name)), need: "add user: NAME, an account with REPLICATION CLIENT"},
		setting{name: "password_file", set: c.Monitor.source(&c.Monitor.file, r.setPath)},
		setting{name: "password_env", set: c.Monitor.source(&c.Monitor.env, setText)},
	)
}

func (c *Config) readUser(r *reader, at place, n ast.Node) {
	u := &Account{at: at, passwordAt: at}
	r.mapping(at, n,
		setting{name: "name", set: text(setText(&u.Name)), need: "add name: NAME, as the client logs in"},
		setting{name: "password", set: u.source(&u.password, setAny)},
		setting{name: "password_file", set: u.source(&u.file, r.setPath)},
		setting{name: "password_env", set: u.source(&u.env, setText)},
		setting{name: "mode", set: func(r *reader, at place, n ast.Node) {
			mode := new(router.Mode)
			u.ownSettings().Mode = mode
			scalar(setMode(mode))(r, at, n)
		}},
		setting{name: "scope", set: func(r *reader, at place, n ast.Node) {
			scope := new(proxy.Scope)
			u.ownSettings().Scope = scope
			scalar(setScope(scope))(r, at, n)
		}},
		setting{name: "wait", set: func(r *reader, at place, n ast.Node) {
			wait := new(time.Duration)
			u.ownSettings().Wait = wait
			scalar(setDuration(wait, 0, longestWait))(r, at, n)
		}},
	)
	c.usersIn = append(c.usersIn, u)
}

// ownSettings are what a user has of its own, from now on not nil.
func (a *Account) ownSettings() *proxy.Own {
	if a.own == nil {
		a.own = &proxy.Own{}
	}
	return a.own
}

func (c *Config) readLog(r *reader, at place, n ast.Node) {
	r.mapping(at, n,
		setting{name: "level", set: scalar(setLevel(&c.Log.Level))},
		setting{name: "format", set: scalar(setFormat(&c.Log.JSON))})
}

// setPath takes the path of another file. One that does not begin at the root
// is looked for beside the configuration file, wherever the proxy is started.
func (r *reader) setPath(dst *string) parse {
	return func(text string) error {
		if err := setText(dst)(text); err != nil {
			return err
		}
		if !filepath.IsAbs(text) {
			*dst = filepath.Join(filepath.Dir(r.file), text)
		}
		return nil
	}
}

func isMapping(n ast.Node) bool {
	switch n.(type) {
	case *ast.MappingNode, *ast.MappingValueNode:
		return true
	default:
		return false
	}
}
