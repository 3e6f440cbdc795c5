package main

import (
	"log/slog"
	"net/netip"
	"time"

	"github.com/stickyproxy/stickyproxy/proxy"
	"github.com/stickyproxy/stickyproxy/router"
)

// The defaults of every setting that has one. stickyproxy.example.yaml explains
// each; change it together with these.
const (
	defaultListen         = "127.0.0.1:6033"
	defaultListenPort     = 6033
	defaultServerPort     = 3306
	defaultAdminHost      = "127.0.0.1"
	defaultAdminPort      = 6034
	defaultWindow         = 15 * time.Second // that of addons.mozilla.org
	defaultMaxLag         = 30 * time.Second
	defaultDrainTimeout   = 30 * time.Second
	defaultConnectTimeout = 5 * time.Second
	defaultMaxConnections = 10_000
)

// monitorPasswordVariable holds the password of --monitor-user, and of a
// monitor account in the file that names no other source.
const monitorPasswordVariable = "STICKYPROXY_MONITOR_PASSWORD"

// Config is everything that can be set, by the file and by flags, after it was
// checked: each value is usable as it is. Addresses are in the form that
// parseAddress returns. Make one with loadConfig; it does not change afterwards.
type Config struct {
	Listeners      []Listener // at least one
	Primary        Server
	Replicas       []Server // may be empty: everything goes to the primary
	Consistency    Consistency
	Overload       proxy.Overload       // reads that no replica may serve
	Monitor        *Account             // nil: nothing is known about the replicas, so they are not used
	Users          map[string]string    // password by name, for clients that only know mysql_native_password
	Own            map[string]proxy.Own // what accounts have of their own, by name
	TLS            TLS
	Admin          string        // address of the admin pages; "": none
	DrainTimeout   time.Duration // 0: clients are cut off at once
	ConnectTimeout time.Duration // for reaching and logging in to a server
	MaxConnections int           // clients at once, all listeners together
	LocalInfile    bool          // LOAD DATA LOCAL INFILE is possible where the server allows it
	Log            Log

	adminAt place
	usersIn []*Account // the users in the order of the file, before their passwords were read
}

// Listener is one address that clients connect to.
type Listener struct {
	Address string
	Mode    router.Mode    // consistency.mode unless it has its own
	Scope   proxy.Scope    // consistency.scope unless it has its own
	TLS     TLS            // that of the whole configuration unless it has its own
	From    []netip.Prefix // networks that may say for whom a connection is, by the PROXY protocol

	at                        place
	ownMode, ownScope, ownTLS bool
}

// Server is one MySQL server.
type Server struct {
	Address string
	Weight  int    // relative share of reads, at least 1
	Zone    string // for people
	TLS     ServerTLS

	SendProxyProtocol bool // it is told for whom a connection is

	at place
}

// Consistency is what reads may see.
type Consistency struct {
	Mode   router.Mode
	Scope  proxy.Scope
	Wait   time.Duration // how long a read may wait for a replica to have what it must see
	Window time.Duration // how long a write holds its session's reads on the primary
	MaxLag time.Duration // a replica that may be further behind gets no reads
}

// Account is a MySQL account of the configuration. Only Name and Password are
// used once the configuration is loaded.
type Account struct {
	Name     string
	Password string

	password, file, env *string    // the sources that were given
	own                 *proxy.Own // of a user; nil: nothing
	at, passwordAt      place
}

// Log says what is logged, to standard error.
type Log struct {
	Level slog.Level
	JSON  bool // one JSON object a line instead of text
}

// newConfig returns the defaults. There is no listener and no primary yet.
func newConfig() *Config {
	return &Config{
		Consistency:    Consistency{Window: defaultWindow, MaxLag: defaultMaxLag},
		Overload:       proxy.Overload{Reads: proxy.DefaultMovedReads, Wait: proxy.DefaultMovedWait},
		DrainTimeout:   defaultDrainTimeout,
		ConnectTimeout: defaultConnectTimeout,
		MaxConnections: defaultMaxConnections,
		LocalInfile:    true,
	}
}

// environment looks up one variable, like os.LookupEnv.
type environment func(name string) (value string, ok bool)

// loadConfig reads the file that the flags name, if any, puts the flags over it
// and checks the whole. The error lists every mistake that was found, a line
// each; it is a usageError when a flag is to blame.
func loadConfig(flags *serveFlags, env environment) (*Config, error) {
	c := newConfig()
	var found problems
	if flags.given("config") {
		readConfigFile(flags.config, c, &found)
	}
	flags.apply(c, &found)
	if found.none() {
		finish(c, flags.config, env, &found)
	}
	if err := found.err(); err != nil {
		return nil, err
	}
	return c, nil
}

// finish fills in what depends on more than one setting, and checks that all
// settings fit together.
func finish(c *Config, file string, env environment, found *problems) {
	if len(c.Listeners) == 0 {
		c.Listeners = []Listener{{Address: defaultListen, at: place{key: "listen"}}}
	}
	for i := range c.Listeners {
		l := &c.Listeners[i]
		if !l.ownMode {
			l.Mode = c.Consistency.Mode
		}
		if !l.ownScope {
			l.Scope = c.Consistency.Scope
		}
		if !l.ownTLS {
			l.TLS = c.TLS
		}
	}
	checkServers(c, file, found)
	checkListeners(c, found)
	readPasswords(c, env, found)
}
