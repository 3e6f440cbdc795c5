package main

import (
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"strings"
	"time"

	"github.com/stickyproxy/stickyproxy/proxy"
	"github.com/stickyproxy/stickyproxy/router"
)

// parse turns the text of a setting into its value. The file and the flags use
// the same ones, so that both take the same spellings and give the same errors.
type parse func(text string) error

// setText takes any text but none at all.
func setText(dst *string) parse {
	return func(text string) error {
		if text == "" {
			return errors.New("it is empty; give a value or leave the setting out")
		}
		*dst = text
		return nil
	}
}

// setAddress takes an address and fills in what is missing; see parseAddress.
func setAddress(dst *string, defaultHost string, defaultPort int) parse {
	return func(text string) error {
		address, err := parseAddress(text, defaultHost, defaultPort)
		*dst = address
		return err
	}
}

// setServerAddress takes the address of a server, which needs a host and a port
// that one can connect to.
func setServerAddress(dst *string) parse {
	return func(text string) error {
		address, err := parseAddress(text, "", defaultServerPort)
		if err != nil {
			return err
		}
		if strings.HasPrefix(address, ":") {
			return fmt.Errorf("%q has no host; write host:port", text)
		}
		if strings.HasSuffix(address, ":0") {
			return fmt.Errorf("%q has port 0; use a number from 1 to 65535", text)
		}
		*dst = address
		return nil
	}
}

// setDuration takes a duration with a unit, from least to most.
func setDuration(dst *time.Duration, least, most time.Duration) parse {
	return func(text string) error {
		d, err := time.ParseDuration(text)
		switch {
		case err != nil:
			return fmt.Errorf("%q is not a duration; write a number and a unit, like 15s, 500ms or 2m", text)
		case d < least || d > most:
			return fmt.Errorf("%s is out of range; use %s to %s", d, least, most)
		}
		*dst = d
		return nil
	}
}

// setNumber takes a whole number from least to most.
func setNumber(dst *int, least, most int) parse {
	return func(text string) error {
		n, err := strconv.Atoi(strings.ReplaceAll(text, "_", ""))
		if err != nil || n < least || n > most {
			return fmt.Errorf("%q is not possible; use a whole number from %d to %d", text, least, most)
		}
		*dst = n
		return nil
	}
}

// setMode takes the name of a consistency mode.
func setMode(dst *router.Mode) parse {
	return func(text string) error {
		mode, err := router.ParseMode(text)
		*dst = mode
		return err
	}
}

// setScope takes the name of a scope.
func setScope(dst *proxy.Scope) parse {
	return func(text string) error {
		scope, err := proxy.ParseScope(text)
		*dst = scope
		return err
	}
}

// setBeyond takes what happens to reads for which there is no room on the primary.
func setBeyond(dst *proxy.Beyond) parse {
	return func(text string) error {
		beyond, err := proxy.ParseBeyond(text)
		*dst = beyond
		return err
	}
}

// setLevel takes the name of a log level.
func setLevel(dst *slog.Level) parse {
	levels := map[string]slog.Level{
		"debug": slog.LevelDebug, "info": slog.LevelInfo, "warn": slog.LevelWarn, "error": slog.LevelError,
	}
	return func(text string) error {
		level, ok := levels[text]
		if !ok {
			return fmt.Errorf("%q is not a log level; use debug, info, warn or error", text)
		}
		*dst = level
		return nil
	}
}

// setFormat takes the name of a log format.
func setFormat(json *bool) parse {
	return func(text string) error {
		if text != "text" && text != "json" {
			return fmt.Errorf("%q is not a log format; use text or json", text)
		}
		*json = text == "json"
		return nil
	}
}

// The limits of durations. They catch a wrong unit ("15h" for "15s" is let
// through, "1500h" is not) and keep sums far from overflow.
const (
	shortest = time.Millisecond
	longest  = 24 * time.Hour

	longestWait = time.Minute // of a read: clients give up sooner than that
)

// The settings that both the file and a flag can give.
func (c *Config) setWindow() parse       { return setDuration(&c.Consistency.Window, shortest, longest) }
func (c *Config) setWait() parse         { return setDuration(&c.Consistency.Wait, 0, longestWait) }
func (c *Config) setMaxLag() parse       { return setDuration(&c.Consistency.MaxLag, shortest, longest) }
func (c *Config) setDrainTimeout() parse { return setDuration(&c.DrainTimeout, 0, longest) }
func (c *Config) setConnectTimeout() parse {
	return setDuration(&c.ConnectTimeout, shortest, time.Hour)
}
func (c *Config) setMaxConnections() parse { return setNumber(&c.MaxConnections, 1, 1_000_000) }
func (c *Config) setAdmin() parse          { return setAddress(&c.Admin, defaultAdminHost, defaultAdminPort) }
