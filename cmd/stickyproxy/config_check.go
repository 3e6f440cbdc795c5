package main

import "strings"

// checkServers looks at the primary and the replicas together.
func checkServers(c *Config, file string, found *problems) {
	if c.Primary.Address == "" {
		at := place{key: "primary", flag: "--primary"}
		if file != "" {
			at = place{key: "primary", file: file, line: 1, column: 1}
		}
		found.add(at, "no primary is given; name the server that takes writes, host:port")
		return
	}
	seen := map[string]bool{}
	for _, r := range c.Replicas {
		switch {
		case r.Address == c.Primary.Address:
			found.add(r.at, "%s is the primary too; remove it here, reads that no replica may serve go to the primary anyway", r.Address)
		case seen[r.Address]:
			found.add(r.at, "%s is listed twice; give one replica a weight instead", r.Address)
		}
		seen[r.Address] = true
	}
	for _, s := range append([]Server{c.Primary}, c.Replicas...) {
		if _, err := s.backend(); err != nil {
			found.add(s.TLS.at, "%w", err)
		}
	}
}

// checkListeners looks at all addresses of ours, and at the certificates.
func checkListeners(c *Config, found *problems) {
	servers := map[string]bool{c.Primary.Address: true}
	for _, r := range c.Replicas {
		servers[r.Address] = true
	}
	seen := map[string]bool{}
	for _, l := range c.Listeners {
		// Port 0 is a new port each time.
		anyPort := strings.HasSuffix(l.Address, ":0")
		switch {
		case servers[l.Address]:
			found.add(l.at, "%s is the address of a MySQL server; use another one, stickyproxy listens on %s if nothing is said", l.Address, defaultListen)
		case seen[l.Address] && !anyPort:
			found.add(l.at, "%s is listed twice; remove one", l.Address)
		}
		seen[l.Address] = true
		if err := l.TLS.check(); err != nil {
			found.add(l.TLS.at, "%w", err)
		}
	}
	if c.Admin != "" && seen[c.Admin] && !strings.HasSuffix(c.Admin, ":0") {
		found.add(c.adminAt, "%s is where clients connect; use another port, %d if nothing is said", c.Admin, defaultAdminPort)
	}
}
