package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/stickyproxy/stickyproxy/bench/client"
	"github.com/stickyproxy/stickyproxy/bench/lab"
	"github.com/stickyproxy/stickyproxy/bench/report"
	"github.com/stickyproxy/stickyproxy/integration/guarantees"
)

// errBroken makes the exit status tell of violations; they have been printed.
var errBroken = errors.New("a session guarantee was broken")

// checkFlags are the flags of bench check as they were written.
type checkFlags struct {
	servers       benchServers // private ones, or the account on endpoints
	output        benchOutput
	to            []string
	hints         []string
	setup         string
	users, cells  int
	least         int64
	length, think time.Duration
	writes        float64
	seed          uint64
	split, text   bool
	autocommit    bool
}

func newBenchCheckCommand() *cobra.Command {
	f := &checkFlags{}
	cmd := &cobra.Command{
		Use:   "check {--local mariadb|mysql | --to ADDRESS[,ADDRESS] --user NAME}",
		Short: "Look for reads that break a session guarantee",
		Long: `Let users work on one or several endpoints of a replicated database, and judge every
answer by what the user who got it had written and read before: read your writes,
monotonic reads, monotonic writes, writes follow reads. An endpoint may be any that
speaks the MySQL protocol; with --local it is a stickyproxy that is started in front
of private servers, or these themselves with --split.

It works in the schema ` + guarantees.Schema + `, which it makes and removes again, also when it is
interrupted; the account needs all privileges on that schema and no others. Its
password is in ` + benchPasswordVariable + `.

The exit status is 0 if nothing was broken, else 1. An error or a write with an
unknown outcome is not a violation; they are counted apart.`,
		Example: `  stickyproxy bench check --to 127.0.0.1:6033 --user app
  stickyproxy bench check --to proxy1:6033,proxy2:6033 --hint token --user app --for 1m
  stickyproxy bench check --to primary:3306,replica:3306 --split --user app
  stickyproxy bench check --local mariadb --lag 100ms --html check.html`,
		Args: noArguments,
	}
	f.define(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if err := f.validate(); err != nil {
			return usageError{err: err}
		}
		return benchRun(cmd, f.open, &f.output, f.run)
	}
	return cmd
}

func (f *checkFlags) define(cmd *cobra.Command) {
	set := cmd.Flags()
	f.servers.localFlags(set)
	f.output.flags(cmd)
	set.StringSliceVar(&f.to, "to", nil, "where users connect: `ADDRESS`, several with commas between them")
	set.StringVar(&f.setup, "setup", "", "make the schema at `ADDRESS` (default: the first of --to)")
	set.StringVar(&f.servers.user, "user", "", "account, `NAME`; its password is in "+benchPasswordVariable)
	f.servers.tls.define(set)
	set.StringSliceVar(&f.hints, "hint", []string{string(guarantees.ByConnection)}, "how a session is named, `HINT`: connection, nothing, variable, comment, attribute, connection_attribute or token; users take turns with several")
	set.BoolVar(&f.split, "split", false, "what naive applications do: write to the first address, read from the others")
	set.DurationVar(&f.length, "for", 10*time.Second, "how long users work")
	set.IntVar(&f.users, "users", 8, "how many users work at the same time")
	set.IntVar(&f.cells, "cells", 16, "how many rows they share")
	set.Int64Var(&f.least, "least-probes", 100, "no result with fewer reads that were judged")
	set.Float64Var(&f.writes, "write-share", 0.2, "share of turns that write, 0 to 1")
	set.DurationVar(&f.think, "think", 0, "pause of a user between two turns")
	set.BoolVar(&f.text, "text", false, "prepare no statements")
	set.BoolVar(&f.autocommit, "autocommit", false, "begin no transactions")
	set.Uint64Var(&f.seed, "seed", 0, "of what users do; 0: another one each time")
	set.BoolVar(&f.servers.yes, "yes", false, "do not ask before the schema "+guarantees.Schema+" is made on your servers")
}

// validate finds what does not fit together.
func (f *checkFlags) validate() error {
	if f.servers.local == "" {
		if f.servers.lag != "" {
			return errors.New("--lag is for the private servers of --local; your own are as late as they are")
		}
		_, err := f.options()
		return err
	}
	if len(f.to) > 0 || f.setup != "" || f.servers.user != "" {
		return errors.New("--local starts servers of its own; leave out --to, --setup and --user")
	}
	o := f.work()
	o.To = make([]guarantees.Endpoint, 2) // to be replaced: there are at least so many
	return errors.Join(f.servers.validate(), o.Validate())
}

// work is what the users do.
func (f *checkFlags) work() guarantees.Options {
	o := guarantees.Options{
		Duration: f.length, Split: f.split, Users: f.users, Cells: f.cells, Prepared: !f.text,
		Transactions: !f.autocommit, WriteShare: f.writes, Think: f.think, Seed: f.seed,
	}
	for _, hint := range f.hints {
		o.Hints = append(o.Hints, guarantees.Hint(hint))
	}
	return o
}

// options are what the flags say of servers of the user.
func (f *checkFlags) options() (guarantees.Options, error) {
	o := f.work()
	if f.servers.user == "" {
		return o, errors.New("--user is missing: an account with all privileges on the schema " + guarantees.Schema)
	}
	for _, text := range f.to {
		e, err := f.endpoint(text)
		if err != nil {
			return o, fmt.Errorf("--to: %w", err)
		}
		o.To = append(o.To, e)
	}
	if f.setup != "" {
		e, err := f.endpoint(f.setup)
		if err != nil {
			return o, fmt.Errorf("--setup: %w", err)
		}
		o.Setup = &e
	}
	return o, o.Validate()
}

func (f *checkFlags) endpoint(text string) (guarantees.Endpoint, error) {
	address, err := parseAddress(text, "127.0.0.1", defaultListenPort)
	if err != nil {
		return guarantees.Endpoint{}, err
	}
	tls, err := f.servers.tls.backend()
	return guarantees.Endpoint{
		Address: address, User: f.servers.user, Password: os.Getenv(benchPasswordVariable), TLS: tls,
	}, err
}

// consent says what will be written, and asks whether it may be.
func (f *checkFlags) consent(in io.Reader, out io.Writer) error {
	if f.servers.yes {
		return nil
	}
	if file, ok := in.(*os.File); !ok || !isTerminalFile(file) {
		return usageError{err: fmt.Errorf("it makes the schema %s, writes to it and removes it again; say --yes to agree, or run it on a terminal to be asked", guarantees.Schema)}
	}
	fmt.Fprintf(out, "At %s the schema %s is made, written to for %v, and removed again. Go on? [y/N] ", strings.Join(f.to, ", "), guarantees.Schema, f.length)
	answer, _ := bufio.NewReader(in).ReadString('\n') // no answer is no
	if a := strings.ToLower(strings.TrimSpace(answer)); a != "y" && a != "yes" {
		return errors.New("nothing was written")
	}
	return nil
}

// open starts private servers, or looks at the user's endpoints after consent.
func (f *checkFlags) open(ctx context.Context, in io.Reader, p *progress) (*lab.Lab, error) {
	if f.servers.local != "" {
		return f.servers.open(ctx, in, p)
	}
	if err := f.consent(in, p); err != nil {
		return nil, err
	}
	o, err := f.options()
	if err != nil {
		return nil, err
	}
	var list []client.Endpoint
	for _, e := range o.To {
		list = append(list, client.Endpoint{Name: e.Address, Address: e.Address, User: e.User, Password: e.Password, TLS: e.TLS})
	}
	return lab.Look(ctx, list)
}

// run lets the users work.
func (f *checkFlags) run(ctx context.Context, l *lab.Lab, r *report.Report, p *progress) (err error) {
	var o guarantees.Options
	if f.servers.local == "" {
		o, err = f.options()
	} else {
		var stop func() error
		if o, stop, err = f.local(ctx, l); stop != nil {
			defer func() { err = errors.Join(err, stop()) }()
		}
	}
	if err != nil {
		return err
	}
	done := f.follow(p)
	c, err := guarantees.Run(ctx, o)
	done()
	if err != nil {
		return err
	}
	r.SetCheck(c)
	switch {
	case c.Broken() > 0:
		return errBroken
	case c.Checked < f.least:
		return fmt.Errorf("%d reads were judged, and it takes %d to tell anything (--least-probes)", c.Checked, f.least)
	}
	return nil
}

// local is where users connect to private servers. What was started for that is to be stopped, if stop is not nil.
func (f *checkFlags) local(ctx context.Context, l *lab.Lab) (o guarantees.Options, stop func() error, err error) {
	o = f.work()
	list := append([]client.Endpoint{l.Primary}, l.Replicas...)
	if !f.split {
		proxy, err := startBenchProxy(ctx, l, lab.Listener{Mode: "auto", Scope: "session"})
		if err != nil {
			return o, nil, err
		}
		stop = proxy.Stop
		list = []client.Endpoint{proxy.Endpoint("stickyproxy", 0, l.Primary)}
	}
	for _, e := range list {
		o.To = append(o.To, guarantees.Endpoint{Address: e.Address, User: e.User, Password: e.Password, TLS: e.TLS})
	}
	return o, stop, l.Exec(ctx, "DROP DATABASE "+lab.Schema) // the checker makes it itself, and removes it
}

// follow shows how much of the time is over, until done is called.
func (f *checkFlags) follow(p *progress) (done func()) {
	start, over := time.Now(), make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		tick := time.NewTicker(200 * time.Millisecond)
		defer tick.Stop()
		for {
			p.show("users work", time.Since(start), f.length)
			select {
			case <-tick.C:
			case <-over:
				return
			}
		}
	})
	return func() {
		close(over)
		wg.Wait()
	}
}
