package main

import (
	"github.com/spf13/pflag"
)

// serveFlags are the flags of serve as they were written. They are the short
// form of a configuration file with one kind of listener.
type serveFlags struct {
	set *pflag.FlagSet

	config      string
	listen      []string
	replicas    []string
	monitorUser string
	single      []*singleFlag
}

// singleFlag is a flag that sets one value of the Config.
type singleFlag struct {
	name, text string
	setter     func(*Config) parse
}

// addServeFlags defines the flags of serve in set.
func addServeFlags(set *pflag.FlagSet) *serveFlags {
	f := &serveFlags{set: set}
	set.StringVar(&f.config, "config", "", "read the settings from `FILE`; flags win over it")
	set.StringArrayVar(&f.listen, "listen", nil, "take clients at `ADDRESS`, host:port or unix:/path; may be repeated (default "+defaultListen+")")
	f.add("primary", "ADDRESS", "the server that takes writes, host:port", (*Config).setPrimary)
	set.StringArrayVar(&f.replicas, "replica", nil, "a server that takes reads, at `ADDRESS`; may be repeated, and replaces the replicas of the file")
	f.add("mode", "MODE", "consistency: auto, window, gtid, eventual or primary (default auto)", func(c *Config) parse { return setMode(&c.Consistency.Mode) })
	f.add("scope", "SCOPE", "whose writes a read must see: session, global or fleet (default session)", func(c *Config) parse { return setScope(&c.Consistency.Scope) })
	f.add("window", "DURATION", "how long a write holds its session's reads on the primary (default "+defaultWindow.String()+")", (*Config).setWindow)
	f.add("wait", "DURATION", "how long a read may wait for a replica to have what it must see (default 0)", (*Config).setWait)
	f.add("max-lag", "DURATION", "a replica that may be further behind gets no reads (default "+defaultMaxLag.String()+")", (*Config).setMaxLag)
	set.StringVar(&f.monitorUser, "monitor-user", "", "account for health and lag, `NAME`; its password is taken from "+monitorPasswordVariable)
	f.add("admin", "ADDRESS", "serve /healthz, /readyz, /metrics and /status there (default: nowhere)", (*Config).setAdmin)
	f.add("drain-timeout", "DURATION", "how long clients may take to finish at the end (default "+defaultDrainTimeout.String()+")", (*Config).setDrainTimeout)
	f.add("connect-timeout", "DURATION", "how long reaching a server may take (default "+defaultConnectTimeout.String()+")", (*Config).setConnectTimeout)
	f.add("max-connections", "NUMBER", "clients at once (default 10000)", (*Config).setMaxConnections)
	f.add("log-level", "LEVEL", "debug, info, warn or error (default info)", func(c *Config) parse { return setLevel(&c.Log.Level) })
	f.add("log-format", "FORMAT", "text or json (default text)", func(c *Config) parse { return setFormat(&c.Log.JSON) })
	return f
}

// add defines a flag that sets one value.
func (f *serveFlags) add(name, kind, usage string, setter func(*Config) parse) {
	one := &singleFlag{name: name, setter: setter}
	f.single = append(f.single, one)
	f.set.StringVar(&one.text, name, "", "`"+kind+"`: "+usage)
}

// given tells whether a flag stands on the command line.
func (f *serveFlags) given(name string) bool { return f.set.Changed(name) }

// apply puts the flags that were given over c and notes what is wrong.
func (f *serveFlags) apply(c *Config, found *problems) {
	for _, one := range f.single {
		if f.given(one.name) {
			take(found, one.name, one.text, one.setter(c))
		}
	}
	if f.given("admin") {
		c.adminAt = place{flag: "--admin"}
	}
	if f.given("listen") {
		c.Listeners = nil
		for _, text := range f.listen {
			l := Listener{at: place{flag: "--listen"}}
			take(found, "listen", text, setAddress(&l.Address, "", defaultListenPort))
			c.Listeners = append(c.Listeners, l)
		}
	}
	if f.given("replica") {
		c.Replicas = nil
		for _, text := range f.replicas {
			r := Server{Weight: 1, at: place{flag: "--replica"}}
			take(found, "replica", text, setServerAddress(&r.Address))
			c.Replicas = append(c.Replicas, r)
		}
	}
	if f.given("monitor-user") {
		at := place{flag: "--monitor-user"}
		c.Monitor = &Account{at: at, passwordAt: at}
		take(found, "monitor-user", f.monitorUser, setText(&c.Monitor.Name))
	}
}

// setPrimary takes the place of the file's primary with everything it says:
// another server has another certificate.
func (c *Config) setPrimary() parse {
	c.Primary = Server{Weight: 1, at: place{flag: "--primary"}}
	return setServerAddress(&c.Primary.Address)
}

// take parses the text of one flag.
func take(found *problems, name, text string, p parse) {
	if err := p(text); err != nil {
		found.add(place{flag: "--" + name}, "%w", err)
	}
}
