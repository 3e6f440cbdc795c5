package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/stickyproxy/stickyproxy/bench/client"
	"github.com/stickyproxy/stickyproxy/bench/lab"
	"github.com/stickyproxy/stickyproxy/bench/policies"
	"github.com/stickyproxy/stickyproxy/bench/report"
)

// benchPoliciesOptions are the flags of bench policies.
type benchPoliciesOptions struct {
	servers benchServers
	output  benchOutput
	options policies.Options
	length  time.Duration
	windows []time.Duration
}

func newBenchPoliciesCommand() *cobra.Command {
	o := &benchPoliciesOptions{options: policies.Options{Workload: policies.Usual()}}
	cmd := &cobra.Command{
		Use:   "policies {--local mariadb|mysql | --primary ADDRESS --replica ADDRESS ...}",
		Short: "Measure what each way to read what one wrote costs, in staleness and load",
		Long: `Run one workload of application users (a pool of connections, time to think, popular
people, reads that depend on what the user wrote) under each policy in turn:

  naive        writes to the primary, reads to the replicas at random
  window-X     the same, but for X after a write of a user all of their reads go to the
               primary, as applications do it that know their servers
  auto         through stickyproxy, which is started for the run and told in a comment
               of each statement whose it is
  auto-global  through stickyproxy with the scope for applications that do not tell
  primary      everything to the primary
  NAME         through --target NAME=ADDRESS, a proxy of yours or of somebody else

The load is open: actions are due at times that are drawn before, and latency counts
from then.`,
		Args: noArguments,
	}
	o.servers.flags(cmd)
	o.output.flags(cmd)
	f, w := cmd.Flags(), &o.options.Workload
	f.DurationVar(&o.length, "for", 20*time.Second, "time that each policy is measured, all rounds together")
	f.DurationVar(&o.options.WarmUp, "warm-up", time.Second, "time before each of its turns, which does not count")
	f.IntVar(&o.options.Rounds, "rounds", 5, "turns of each policy")
	f.IntVar(&o.options.Least, "least-probes", 200, "no result with fewer reads of users' own data")
	f.DurationSliceVar(&o.windows, "window", []time.Duration{100 * time.Millisecond, time.Second, 5 * time.Second}, "windows to try")
	f.IntVar(&w.Users, "users", w.Users, "users")
	f.IntVar(&w.Pool, "pool", w.Pool, "connections that they share")
	f.Float64Var(&w.Rate, "rate", w.Rate, "actions a second of all users together")
	f.DurationVar(&w.Think, "think", w.Think, "mean time between two actions of a visit")
	f.IntVar(&w.Visit, "visit", w.Visit, "mean number of actions of a visit")
	f.Float64Var(&w.WriteShare, "writes", w.WriteShare, "share of actions that write")
	f.Float64Var(&w.OwnShare, "own", w.OwnShare, "share of reads that are of the user's own data")
	f.Float64Var(&w.Zipf, "zipf", w.Zipf, "exponent of the popularity of users, above 1")
	f.Uint64Var(&w.Seed, "seed", w.Seed, "of the random actions")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if err := o.validate(); err != nil {
			return usageError{err: err}
		}
		return benchRun(cmd, o.servers.open, &o.output, o.run)
	}
	return cmd
}

func (o *benchPoliciesOptions) validate() error {
	if o.servers.local == "" && len(o.servers.replicas) == 0 {
		return errors.New("which replicas? use --replica for each one")
	}
	for _, w := range o.windows {
		if w <= 0 {
			return fmt.Errorf("--window %v: a window has a length", w)
		}
	}
	o.options.Slice = o.length / time.Duration(max(o.options.Rounds, 1))
	o.options.Policies = make([]policies.Policy, 1) // to be replaced: there is at least one
	return errors.Join(o.servers.validate(), o.options.Validate())
}

// run measures.
func (o *benchPoliciesOptions) run(ctx context.Context, l *lab.Lab, r *report.Report, p *progress) (err error) {
	proxy, err := startBenchProxy(ctx, l, lab.Listener{Mode: "auto", Scope: "session"}, lab.Listener{Mode: "auto", Scope: "global"})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, proxy.Stop()) }()
	if o.options.Policies, err = o.policies(l, proxy); err != nil {
		return err
	}
	if err := l.Exec(ctx, policies.Table(len(o.options.Policies), o.options.Workload.Users)...); err != nil {
		return fmt.Errorf("make the users' records: %w", err)
	}
	if err := l.Settle(ctx); err != nil {
		return err
	}
	o.options.Selects = l.Selects
	o.options.Progress = func(what string, done, total time.Duration) { p.show(what, done, total) }
	if r.Policies, err = policies.Run(ctx, o.options); err != nil {
		return err
	}
	r.Figures, r.Problems = r.Policies.Figures, append(r.Problems, r.Policies.Problems...)
	return nil
}

// policies are those to be compared.
func (o *benchPoliciesOptions) policies(l *lab.Lab, proxy *lab.Proxy) ([]policies.Policy, error) {
	primary := l.Primary.In(lab.Schema)
	var replicas []client.Endpoint
	for _, e := range l.Replicas {
		replicas = append(replicas, e.In(lab.Schema))
	}
	list := []policies.Policy{{Name: "naive", Primary: primary, Replicas: replicas}}
	for _, w := range o.windows {
		list = append(list, policies.Policy{Name: "window-" + w.String(), Primary: primary, Replicas: replicas, Window: w})
	}
	list = append(list,
		policies.Policy{Name: "auto", Primary: proxy.Endpoint("auto", 0, primary), Proxy: true},
		policies.Policy{Name: "auto-global", Primary: proxy.Endpoint("auto-global", 1, primary), Proxy: true},
		policies.Policy{Name: "primary", Primary: primary})
	targets, err := o.servers.targetEndpoints(primary)
	for _, e := range targets {
		list = append(list, policies.Policy{Name: e.Name, Primary: e, Proxy: true})
	}
	return list, err
}

// startBenchProxy starts this program as a proxy in front of the servers.
func startBenchProxy(ctx context.Context, l *lab.Lab, listeners ...lab.Listener) (*lab.Proxy, error) {
	program, err := os.Executable()
	if err != nil {
		return nil, err
	}
	return l.StartProxy(ctx, program, listeners)
}
