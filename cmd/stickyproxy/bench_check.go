package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/stickyproxy/stickyproxy/integration/guarantees"
)

// errBroken makes the exit status tell of violations; they have been printed.
var errBroken = errors.New("a session guarantee was broken")

// checkFlags are the flags of bench check as they were written.
type checkFlags struct {
	to                         []string
	hints                      []string
	setup, user                string
	tls                        tlsFlags
	users, cells               int
	length, think              time.Duration
	writes                     float64
	seed                       uint64
	split, text, asJSON, agree bool
	autocommit                 bool
}

func newBenchCheckCommand() *cobra.Command {
	f := checkFlags{}
	cmd := &cobra.Command{
		Use:   "check --to ADDRESS[,ADDRESS] --user NAME [flags]",
		Short: "Look for reads that break a session guarantee",
		Long: `Let users work on one or several endpoints of a replicated database, and judge every
answer by what the user who got it had written and read before: read your writes,
monotonic reads, monotonic writes, writes follow reads. An endpoint may be any that
speaks the MySQL protocol.

It works in the schema ` + guarantees.Schema + `, which it makes and removes again, also when it is
interrupted; the account needs all privileges on that schema and no others. Its
password is in ` + benchPasswordVariable + `.

The exit status is 0 if nothing was broken, else 1. An error or a write with an
unknown outcome is not a violation; they are counted apart.`,
		Example: `  stickyproxy bench check --to 127.0.0.1:6033 --user app
  stickyproxy bench check --to proxy1:6033,proxy2:6033 --hint token --user app --for 1m
  stickyproxy bench check --to primary:3306,replica:3306 --split --user app`,
		Args: noArguments,
	}
	f.define(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		options, err := f.options()
		if err != nil {
			return usageError{err: err}
		}
		if err := f.consent(cmd.InOrStdin(), cmd.ErrOrStderr()); err != nil {
			return err
		}
		ctx, stop := signal.NotifyContext(cmd.Context(), os.Interrupt, syscall.SIGTERM)
		defer stop()
		return runCheck(ctx, options, f.asJSON, cmd.OutOrStdout())
	}
	return cmd
}

func (f *checkFlags) define(cmd *cobra.Command) {
	set := cmd.Flags()
	set.StringSliceVar(&f.to, "to", nil, "where users connect: `ADDRESS`, several with commas between them")
	set.StringVar(&f.setup, "setup", "", "make the schema at `ADDRESS` (default: the first of --to)")
	set.StringVar(&f.user, "user", "", "account, `NAME`; its password is in "+benchPasswordVariable)
	f.tls.define(set)
	set.StringSliceVar(&f.hints, "hint", []string{string(guarantees.ByConnection)}, "how a session is named, `HINT`: connection, nothing, variable, comment, attribute, connection_attribute or token; users take turns with several")
	set.BoolVar(&f.split, "split", false, "what naive applications do: write to the first address, read from the others")
	set.DurationVar(&f.length, "for", 10*time.Second, "how long users work")
	set.IntVar(&f.users, "users", 8, "how many users work at the same time")
	set.IntVar(&f.cells, "cells", 16, "how many rows they share")
	set.Float64Var(&f.writes, "write-share", 0.2, "share of turns that write, 0 to 1")
	set.DurationVar(&f.think, "think", 0, "pause of a user between two turns")
	set.BoolVar(&f.text, "text", false, "prepare no statements")
	set.BoolVar(&f.autocommit, "autocommit", false, "begin no transactions")
	set.Uint64Var(&f.seed, "seed", 0, "of what users do; 0: another one each time")
	set.BoolVar(&f.asJSON, "json", false, "print the result as one JSON object")
	set.BoolVar(&f.agree, "yes", false, "do not ask before the schema "+guarantees.Schema+" is made")
}

// options are what the flags say.
func (f *checkFlags) options() (guarantees.Options, error) {
	o := guarantees.Options{
		Duration: f.length, Split: f.split, Users: f.users, Cells: f.cells, Prepared: !f.text,
		Transactions: !f.autocommit, WriteShare: f.writes, Think: f.think, Seed: f.seed,
	}
	if f.user == "" {
		return o, errors.New("--user is missing: an account with all privileges on the schema " + guarantees.Schema)
	}
	for _, hint := range f.hints {
		o.Hints = append(o.Hints, guarantees.Hint(hint))
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
	tls, err := f.tls.backend()
	return guarantees.Endpoint{
		Address: address, User: f.user, Password: os.Getenv(benchPasswordVariable), TLS: tls,
	}, err
}

// consent says what will be written, and asks whether it may be.
func (f *checkFlags) consent(in io.Reader, out io.Writer) error {
	if f.agree {
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

// runCheck runs the checker and prints what came of it.
func runCheck(ctx context.Context, o guarantees.Options, asJSON bool, out io.Writer) error {
	r, err := guarantees.Run(ctx, o)
	if err != nil {
		return err
	}
	if asJSON {
		e := json.NewEncoder(out)
		e.SetIndent("", "  ")
		err = e.Encode(r)
	} else {
		err = r.Table(out)
	}
	switch {
	case err != nil:
		return fmt.Errorf("writing the result: %w", err)
	case r.Broken() > 0:
		return errBroken
	case r.Reads == 0:
		return errors.New("nothing was read, so that nothing is proven")
	}
	return nil
}
