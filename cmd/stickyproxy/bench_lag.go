package main

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/stickyproxy/stickyproxy/bench/client"
	"github.com/stickyproxy/stickyproxy/bench/lab"
	"github.com/stickyproxy/stickyproxy/bench/lag"
	"github.com/stickyproxy/stickyproxy/bench/report"
)

// benchLagOptions are the flags of bench lag.
type benchLagOptions struct {
	servers benchServers
	output  benchOutput
	options lag.Options
	storm   bool
}

func newBenchLagCommand() *cobra.Command {
	o := &benchLagOptions{}
	cmd := &cobra.Command{
		Use:   "lag {--local mariadb|mysql | --primary ADDRESS --replica ADDRESS ...}",
		Short: "Measure how stale reads are at a time after a write, and which window is safe",
		Long: `Write a row on the primary again and again, and find out for each write when a read from
each replica sees it. The result is t-visibility: the probability that a read t after an
acknowledged write sees that write, from 0.1 ms up, and the window that makes 99, 99.9
and 99.99 % of such reads fresh, with what it costs in reads on the primary.

With --storm it measures three times as long: before, during and after a load on the
primary that makes replicas late.`,
		Args: noArguments,
	}
	o.servers.flags(cmd)
	o.output.flags(cmd)
	f, l := cmd.Flags(), &o.options
	f.DurationVar(&l.Length, "for", 60*time.Second, "length of the measurement; with --storm of each of its three phases")
	f.DurationVar(&l.WarmUp, "warm-up", 2*time.Second, "time before that, which does not count")
	f.IntVar(&l.Rounds, "rounds", 6, "rounds into which that is divided, to see the spread")
	f.Float64Var(&l.Rate, "rate", 100, "writes a second of the measurement")
	f.DurationVar(&l.Settle, "settle", 10*time.Second, "how long the last write may take to be seen")
	f.IntVar(&l.Least, "least-probes", 200, "no result for a replica with fewer probes")
	f.BoolVar(&o.storm, "storm", false, "make the replicas late by large transactions in the second of three phases")
	f.Float64Var(&l.App.Writes, "app-writes", 100, "advice: writes a second of your application")
	f.Float64Var(&l.App.Reads, "app-reads", 1000, "advice: reads a second of your application")
	f.IntVar(&l.App.Sessions, "app-sessions", 1000, "advice: people who use it at the same time")
	f.Uint64Var(&l.Seed, "seed", 1, "of the random intervals between writes")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if err := o.validate(); err != nil {
			return usageError{err: err}
		}
		return benchRun(cmd, o.servers.open, &o.output, o.run)
	}
	return cmd
}

func (o *benchLagOptions) validate() error {
	if o.servers.local == "" && len(o.servers.replicas)+len(o.servers.targets) == 0 {
		return fmt.Errorf("which replica? use --replica for each one to measure")
	}
	if err := o.servers.validate(); err != nil {
		return err
	}
	return o.options.Validate()
}

// connectionSlack is how long after a run its connections are cut.
const connectionSlack = 5 * time.Second

// run measures.
func (o *benchLagOptions) run(ctx context.Context, l *lab.Lab, r *report.Report, p *progress) error {
	if err := l.MakeCounter(ctx); err != nil {
		return err
	}
	if o.storm {
		var err error
		if o.options.Storm, err = l.MakeStorm(ctx); err != nil {
			return err
		}
	}
	// A server that does not answer any more ends its reader, and not the run's patience.
	reading, cancel := context.WithTimeout(ctx, o.options.Longest()+connectionSlack)
	defer cancel()
	writer, err := lab.NewCounter(reading, l.Primary)
	if err != nil {
		return err
	}
	defer writer.Close()
	targets, err := o.servers.targetEndpoints(l.Primary)
	if err != nil {
		return err
	}
	o.options.Primary = writer
	for _, e := range append(append([]client.Endpoint{}, l.Replicas...), targets...) {
		reader, err := lab.NewCounter(reading, e)
		if err != nil {
			return err
		}
		defer reader.Close()
		o.options.Replicas = append(o.options.Replicas, lag.Replica{Name: e.Name, Reader: reader})
	}
	o.options.Progress = func(done, total time.Duration) { p.show("measuring", done, total) }
	if r.Result, err = lag.Run(ctx, o.options); err != nil {
		return err
	}
	r.Figures, r.Problems = r.Result.Figures, append(r.Problems, r.Result.Problems...)
	return nil
}
