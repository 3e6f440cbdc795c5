package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/stickyproxy/stickyproxy/bench/lab"
	"github.com/stickyproxy/stickyproxy/bench/policies"
	"github.com/stickyproxy/stickyproxy/internal/mysqltest"
	"github.com/stickyproxy/stickyproxy/router"
)

// benchModesOptions are the flags of bench modes.
type benchModesOptions struct {
	local   string
	lags    []string
	length  time.Duration
	options policies.Options
}

// measuredModes are the modes of the table, in its order.
var measuredModes = []router.Mode{router.Auto, router.Window, router.PrimaryOnly, router.Eventual}

func newBenchModesCommand() *cobra.Command {
	o := &benchModesOptions{options: policies.Options{Workload: policies.Usual(), WarmUp: time.Second}}
	cmd := &cobra.Command{
		Use:   "modes [--local mariadb|mysql] [--lags 0s,5ms,100ms,2s]",
		Short: "Measure what each consistency mode of stickyproxy costs before replicas that are late",
		Long: `Run the workload of bench policies through stickyproxy in each of its modes, before
private replicas that are late by each of the lags in turn, and print a table: the
share of reads that replicas served, of reads of users' own data that were stale,
and what the proxy adds to the time of a read from the primary without it.`,
		Args: noArguments,
	}
	f, w := cmd.Flags(), &o.options.Workload
	f.StringVar(&o.local, "local", "mariadb", "servers to start: mariadb or mysql")
	f.StringSliceVar(&o.lags, "lags", []string{"0s", "5ms", "100ms", "2s"}, "how late the replicas are")
	f.DurationVar(&o.length, "for", 20*time.Second, "time that each mode is measured with each lag, all rounds together")
	f.IntVar(&o.options.Rounds, "rounds", 4, "turns of each mode")
	f.IntVar(&o.options.Least, "least-probes", 200, "no result with fewer reads of users' own data")
	f.Float64Var(&w.Rate, "rate", w.Rate, "actions a second of all users together")
	f.DurationVar(&w.Think, "think", w.Think, "mean time between two actions of a visit")
	f.Float64Var(&w.WriteShare, "writes", w.WriteShare, "share of actions that write")
	f.Uint64Var(&w.Seed, "seed", w.Seed, "of the random actions")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		engine, lags, err := o.validate()
		if err != nil {
			return usageError{err: err}
		}
		ctx, stop := signal.NotifyContext(cmd.Context(), os.Interrupt, syscall.SIGTERM)
		defer stop()
		return interrupted(ctx, o.run(ctx, engine, lags, cmd.OutOrStdout(), newProgress(cmd.ErrOrStderr())))
	}
	return cmd
}

// validate finds what is wrong with the flags.
func (o *benchModesOptions) validate() (mysqltest.Engine, []lab.Lag, error) {
	engine, err := mysqltest.ParseEngine(o.local)
	if err != nil {
		return engine, nil, fmt.Errorf("--local: %w", err)
	}
	var lags []lab.Lag
	for _, text := range o.lags {
		lag, err := lab.ParseLag(text)
		if err != nil {
			return engine, nil, fmt.Errorf("--lags: %w", err)
		}
		lags = append(lags, lag)
	}
	if len(lags) == 0 {
		return engine, nil, errors.New("--lags: none is given")
	}
	o.options.Slice = o.length / time.Duration(max(o.options.Rounds, 1))
	o.options.Policies = make([]policies.Policy, 1) // to be replaced: there is at least one
	return engine, lags, o.options.Validate()
}

// run measures with one lag after the other, and prints the table line by line.
func (o *benchModesOptions) run(ctx context.Context, engine mysqltest.Engine, lags []lab.Lag, out io.Writer, p *progress) error {
	w := tabwriter.NewWriter(out, 0, 0, 1, ' ', 0)
	fmt.Fprintln(w, "| lag\t| mode\t| reads on replicas\t| stale reads of one's own\t| p50 added\t| p99 added\t|")
	fmt.Fprintln(w, "|---\t|---\t|---\t|---\t|---\t|---\t|")
	for i, lag := range lags {
		r, err := o.measure(ctx, engine, lag, p)
		p.clear()
		if err != nil {
			return fmt.Errorf("with a lag of %s: %w", o.lags[i], err)
		}
		for _, problem := range r.Problems {
			fmt.Fprintln(p, problem)
		}
		modeRows(w, o.lags[i], r.Policies)
	}
	return w.Flush()
}

// direct is the policy that the others are compared with: the primary, without a proxy.
const direct = "direct"

// measure runs all modes before servers of their own with one lag.
func (o *benchModesOptions) measure(ctx context.Context, engine mysqltest.Engine, lag lab.Lag, p *progress) (_ *policies.Result, err error) {
	l, err := lab.Private(ctx, engine, lag, 2, p)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, l.Close()) }()
	var listeners []lab.Listener
	for _, m := range measuredModes {
		listeners = append(listeners, lab.Listener{Mode: m.String(), Scope: "session"})
	}
	proxy, err := startBenchProxy(ctx, l, listeners...)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, proxy.Stop()) }()
	primary := l.Primary.In(lab.Schema)
	options := o.options
	options.Policies = []policies.Policy{{Name: direct, Primary: primary}}
	for i, m := range measuredModes {
		options.Policies = append(options.Policies, policies.Policy{Name: m.String(), Primary: proxy.Endpoint(m.String(), i, primary), Proxy: true})
	}
	if err := l.Exec(ctx, policies.Table(len(options.Policies), options.Workload.Users)...); err != nil {
		return nil, fmt.Errorf("make the users' records: %w", err)
	}
	if err := l.Settle(ctx); err != nil {
		return nil, err
	}
	options.Selects, options.Progress = l.Selects, p.show
	return policies.Run(ctx, options)
}

// modeRows prints the rows of one lag.
func modeRows(w io.Writer, lag string, outcomes []policies.Outcome) {
	var base policies.Latencies
	for _, o := range outcomes {
		if o.Policy == direct {
			base = o.Read
			continue
		}
		share := "?"
		if o.ReplicaShare != nil {
			share = fmt.Sprintf("%.0f %%", 100**o.ReplicaShare)
		}
		fmt.Fprintf(w, "| %s\t| `%s`\t| %s\t| %d of %d\t| %s\t| %s\t|\n", lag, o.Policy, share, o.Stale, o.Own, added(o.Read.P50, base.P50), added(o.Read.P99, base.P99))
	}
}

// added is a difference of two times in milliseconds.
func added(ms, base float64) string { return fmt.Sprintf("%+.2f ms", ms-base) }
