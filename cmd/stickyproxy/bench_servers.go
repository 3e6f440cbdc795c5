package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/stickyproxy/stickyproxy/bench/client"
	"github.com/stickyproxy/stickyproxy/bench/lab"
	"github.com/stickyproxy/stickyproxy/internal/mysqltest"
)

type pflagFlag = pflag.Flag

// benchPasswordVariable holds the password of --user.
const benchPasswordVariable = "STICKYPROXY_BENCH_PASSWORD"

// benchServers are the flags that say on which servers a run is made.
type benchServers struct {
	local, lag string
	count      int
	primary    string
	replicas   []string
	user       string
	tls        tlsFlags
	yes        bool
	targets    []string
}

// localFlags are those of private servers.
func (s *benchServers) localFlags(f *pflag.FlagSet) {
	f.StringVar(&s.local, "local", "", "start private servers for the run: mariadb or mysql")
	f.StringVar(&s.lag, "lag", "", "how late the private replicas are: 50ms, 2s, or freeze:3s")
	f.IntVar(&s.count, "replicas", 2, "how many private replicas there are")
}

func (s *benchServers) flags(cmd *cobra.Command) {
	f := cmd.Flags()
	s.localFlags(f)
	f.StringVar(&s.primary, "primary", "", "your primary, host:port")
	f.StringArrayVar(&s.replicas, "replica", nil, "a replica of it, host:port; may be repeated")
	f.StringVar(&s.user, "user", "", "account on your servers; its password is in "+benchPasswordVariable)
	s.tls.define(f)
	f.BoolVar(&s.yes, "yes", false, "do not ask before the schema "+lab.Schema+" is made on your servers")
	f.StringArrayVar(&s.targets, "target", nil, "another endpoint that leads to these servers, NAME=ADDRESS; may be repeated")
}

// validate finds what does not fit together.
func (s *benchServers) validate() error {
	switch {
	case s.local == "" && s.primary == "":
		return errors.New("on which servers? use --local mariadb for private ones, or --primary and --replica for your own")
	case s.local != "" && (s.primary != "" || len(s.replicas) > 0 || s.user != ""):
		return errors.New("--local starts servers of its own; leave out --primary, --replica and --user")
	case s.local == "" && s.lag != "":
		return errors.New("--lag is for the private servers of --local; your own are as late as they are")
	case s.local != "" && (s.count < 1 || s.count > 8):
		return fmt.Errorf("--replicas %d: use 1 to 8", s.count)
	case s.local == "" && s.user == "":
		return errors.New("--user is missing: an account that may write in the schema " + lab.Schema + " and ask for replication")
	}
	if _, err := s.tls.backend(); err != nil {
		return err
	}
	if _, err := s.targetEndpoints(client.Endpoint{}); err != nil {
		return err
	}
	_, err := lab.ParseLag(s.lag)
	return err
}

// open starts the servers, or looks at those of the user and asks for consent.
func (s *benchServers) open(ctx context.Context, in io.Reader, p *progress) (*lab.Lab, error) {
	if s.local != "" {
		engine, err := mysqltest.ParseEngine(s.local)
		if err != nil {
			return nil, usageError{err: fmt.Errorf("--local: %w", err)}
		}
		late, err := lab.ParseLag(s.lag)
		if err != nil {
			return nil, err
		}
		fmt.Fprintf(p, "starting a private %s primary with %d replicas ...\n", engine, s.count)
		return lab.Private(ctx, engine, late, s.count, p)
	}
	primary, err := s.endpoint("primary", s.primary)
	if err != nil {
		return nil, err
	}
	var replicas []client.Endpoint
	for _, address := range s.replicas {
		r, err := s.endpoint("", address)
		if err != nil {
			return nil, err
		}
		replicas = append(replicas, r)
	}
	return lab.Attach(ctx, primary, replicas, func() error { return s.consent(in, p) })
}

// endpoint is one of the user's servers. A replica is named by its address.
func (s *benchServers) endpoint(name, address string) (client.Endpoint, error) {
	address, err := parseAddress(address, "127.0.0.1", defaultServerPort)
	if err != nil {
		return client.Endpoint{}, usageError{err: err}
	}
	tls, err := s.tls.backend()
	if err != nil {
		return client.Endpoint{}, err
	}
	if name == "" {
		name = address
	}
	return client.Endpoint{
		Name: name, Address: address, User: s.user, Password: os.Getenv(benchPasswordVariable), TLS: tls, CA: s.tls.ca,
	}, nil
}

// consent says what will be written and asks whether it may be.
func (s *benchServers) consent(in io.Reader, p *progress) error {
	fmt.Fprintf(p, "On %s the schema %s is made, written to under load, and removed at the end. Nothing else is changed.\n", s.primary, lab.Schema)
	if s.yes {
		return nil
	}
	if f, ok := in.(*os.File); !ok || !isTerminalFile(f) {
		return usageError{err: errors.New("say --yes to agree, or run it on a terminal to be asked")}
	}
	fmt.Fprint(p, "Go on? [y/N] ")
	answer, _ := bufio.NewReader(in).ReadString('\n') // no answer is no
	if a := strings.ToLower(strings.TrimSpace(answer)); a != "y" && a != "yes" {
		return errors.New("nothing was written")
	}
	return nil
}

func isTerminalFile(f *os.File) bool {
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

// targetEndpoints are the other endpoints, with the account of the servers behind them.
func (s *benchServers) targetEndpoints(like client.Endpoint) ([]client.Endpoint, error) {
	var list []client.Endpoint
	for _, t := range s.targets {
		t, _, _ = strings.Cut(t, ",pid=") // for bench load
		e, err := parseTarget(t, like)
		if err != nil {
			return nil, err
		}
		list = append(list, e)
	}
	return list, nil
}

// parseTarget reads NAME=ADDRESS.
func parseTarget(s string, like client.Endpoint) (client.Endpoint, error) {
	name, address, ok := strings.Cut(s, "=")
	if !ok || name == "" {
		return client.Endpoint{}, fmt.Errorf("%q is not NAME=ADDRESS", s)
	}
	address, err := parseAddress(address, "127.0.0.1", defaultServerPort)
	if err != nil {
		return client.Endpoint{}, err
	}
	like.Name, like.Address = name, address
	return like, nil
}

// flagValues are the values that a flag was given.
func flagValues(f *pflag.Flag) []string {
	if list, ok := f.Value.(pflag.SliceValue); ok {
		return list.GetSlice()
	}
	return []string{f.Value.String()}
}
