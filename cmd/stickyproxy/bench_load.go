package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/stickyproxy/stickyproxy/bench/client"
	"github.com/stickyproxy/stickyproxy/bench/lab"
	benchload "github.com/stickyproxy/stickyproxy/bench/load"
	"github.com/stickyproxy/stickyproxy/bench/report"
)

// benchLoadOptions are the flags of bench load.
type benchLoadOptions struct {
	servers benchServers
	output  benchOutput
	options benchload.Options
	rows    int
}

func newBenchLoadCommand() *cobra.Command {
	o := &benchLoadOptions{}
	cmd := &cobra.Command{
		Use:   "load {--local mariadb|mysql | --primary ADDRESS} [--target NAME=ADDRESS[,pid=N] ...]",
		Short: "Compare what endpoints cost, in one interleaved run",
		Long: `Measure point selects (text and prepared), a large result and logins at each endpoint
in turn, A B C A B C and so on: at the primary ("direct"), through stickyproxy, which is
started for the run, to the primary and to a replica, and at each --target.

Of an endpoint whose process is on this machine and known (stickyproxy's is; others by
NAME=ADDRESS,pid=N) it also tells the processor time of that process alone, its memory,
and the memory of an idle client.`,
		Args: noArguments,
	}
	o.servers.flags(cmd)
	o.output.flags(cmd)
	f, l := cmd.Flags(), &o.options
	f.DurationVar(&l.Slice, "slice", time.Second, "time that one kind of query is measured at one endpoint in a round")
	f.IntVar(&l.Rounds, "rounds", 5, "rounds")
	f.IntVar(&l.Clients, "clients", 8, "clients that ask at the same time")
	f.IntVar(&l.Logins, "logins", 100, "logins of a round")
	f.IntVar(&l.Idle, "idle", 200, "idle clients whose memory is measured; 0: none")
	f.IntVar(&l.Least, "least-probes", 100, "no result with fewer queries in a slice")
	f.IntVar(&o.rows, "rows", 100_000, "rows of the large result, of about 210 bytes each")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if err := o.validate(); err != nil {
			return usageError{err: err}
		}
		return benchRun(cmd, o.servers.open, &o.output, o.run)
	}
	return cmd
}

func (o *benchLoadOptions) validate() error {
	if o.rows < 1 || o.rows > 10_000_000 {
		return fmt.Errorf("--rows %d: use 1 to 10000000", o.rows)
	}
	for _, t := range o.servers.targets {
		if _, err := parseLoadTarget(t, client.Endpoint{}); err != nil {
			return err
		}
	}
	o.options.Endpoints = []benchload.Endpoint{{}} // to be replaced: there is at least one
	return errors.Join(o.servers.validate(), o.options.Validate())
}

// run measures.
func (o *benchLoadOptions) run(ctx context.Context, l *lab.Lab, r *report.Report, p *progress) (err error) {
	listeners := []lab.Listener{{Mode: "primary", Scope: "session"}}
	if len(l.Replicas) > 0 {
		listeners = append(listeners, lab.Listener{Mode: "auto", Scope: "session"})
	}
	proxy, err := startBenchProxy(ctx, l, listeners...)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, proxy.Stop()) }()
	if o.options.Endpoints, err = o.endpoints(l, proxy); err != nil {
		return err
	}
	fmt.Fprintln(p, "filling the tables ...")
	if err := l.Exec(ctx, benchload.Tables(o.rows)...); err != nil {
		return fmt.Errorf("fill the tables: %w", err)
	}
	if err := l.Settle(ctx); err != nil {
		return err
	}
	o.options.Progress = func(what string, done, total time.Duration) { p.show(what, done, total) }
	if r.Load, err = benchload.Run(ctx, o.options); err != nil {
		return err
	}
	r.Figures, r.Problems = r.Load.Figures, append(r.Problems, r.Load.Problems...)
	return nil
}

// endpoints are those to be compared.
func (o *benchLoadOptions) endpoints(l *lab.Lab, proxy *lab.Proxy) ([]benchload.Endpoint, error) {
	primary := l.Primary.In(lab.Schema)
	direct := primary
	direct.Name = "direct"
	list := []benchload.Endpoint{
		{Endpoint: direct, PID: l.PID()},
		{Endpoint: proxy.Endpoint("stickyproxy to primary", 0, primary), PID: proxy.PID()},
	}
	if len(l.Replicas) > 0 {
		list = append(list, benchload.Endpoint{Endpoint: proxy.Endpoint("stickyproxy to replica", 1, primary), PID: proxy.PID()})
	}
	for _, t := range o.servers.targets {
		e, err := parseLoadTarget(t, primary)
		if err != nil {
			return nil, err
		}
		list = append(list, e)
	}
	o.options.Endpoints = list
	return list, o.options.Validate()
}

// parseLoadTarget reads NAME=ADDRESS or NAME=ADDRESS,pid=N.
func parseLoadTarget(s string, like client.Endpoint) (benchload.Endpoint, error) {
	target, pid, ok := strings.Cut(s, ",pid=")
	e, err := parseTarget(target, like)
	if err != nil || !ok {
		return benchload.Endpoint{Endpoint: e}, err
	}
	n, err := strconv.Atoi(pid)
	if err != nil || n < 1 {
		return benchload.Endpoint{}, fmt.Errorf("%q: pid is the number of a process", s)
	}
	return benchload.Endpoint{Endpoint: e, PID: n}, nil
}
