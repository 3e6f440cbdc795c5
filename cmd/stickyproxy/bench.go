package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/stickyproxy/stickyproxy/bench/lab"
	"github.com/stickyproxy/stickyproxy/bench/report"
)

func newBenchCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "bench",
		Short: "Measure replication: how stale reads are, what policies and proxies cost",
		Long: `The lag laboratory, for anyone who runs MySQL or MariaDB replication.

  lag        how stale are reads at a time after a write, and which window is safe
  policies   what does each way to read what one wrote cost, in staleness and load
  modes      what does each mode of stickyproxy cost before replicas that are late
  load       what do endpoints cost, in one interleaved run
  check      does an endpoint keep the session guarantees
  compare    what changed between two reports, and is it more than noise

It needs no stickyproxy in production. The servers are private ones that are started
for the run (--local mariadb) or your own (--primary, --replica), where it writes in
the schema ` + lab.Schema + ` only, and removes that at the end.`,
		Args: subcommandOnly,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },

		SuggestionsMinimumDistance: 2,
	}
	cmd.AddCommand(newBenchCheckCommand(), newBenchLagCommand(), newBenchPoliciesCommand(), newBenchLoadCommand(), newBenchCompareCommand(), newBenchModesCommand())
	return cmd
}

// benchOutput is where the results of a run go.
type benchOutput struct {
	json, html string
}

func (o *benchOutput) flags(cmd *cobra.Command) {
	cmd.Flags().StringVar(&o.json, "json", "", "write all figures to this file; - is the output, in place of the table")
	cmd.Flags().StringVar(&o.html, "html", "", "write a page to look at to this file")
}

// check finds out before the run that a file cannot be written after it.
func (o *benchOutput) check() error {
	for _, path := range []string{o.json, o.html} {
		if path == "" || path == "-" {
			continue
		}
		_, missing := os.Stat(path)
		f, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY, 0o644)
		if err != nil {
			return fmt.Errorf("the report cannot be written: %w", err)
		}
		f.Close()
		if missing != nil {
			os.Remove(path) // there may be no report
		}
	}
	return nil
}

// write writes the report wherever it is wanted.
func (o *benchOutput) write(r *report.Report, out io.Writer) error {
	switch o.json {
	case "-":
		if err := r.Write(out); err != nil {
			return err
		}
	case "":
		r.Table(out)
	default:
		r.Table(out)
		if err := r.WriteFile(o.json); err != nil {
			return err
		}
	}
	if o.html != "" {
		return r.WritePage(o.html)
	}
	return nil
}

// benchRun is one run from the first server to the report. Open starts the servers, or looks at those of the user; measure
// fills the report.
func benchRun(cmd *cobra.Command, open func(ctx context.Context, in io.Reader, p *progress) (*lab.Lab, error), output *benchOutput,
	measure func(ctx context.Context, l *lab.Lab, r *report.Report, p *progress) error) (err error) {
	if err := output.check(); err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(cmd.Context(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	p := newProgress(cmd.ErrOrStderr())
	l, err := open(ctx, cmd.InOrStdin(), p)
	if err != nil {
		return interrupted(ctx, err)
	}
	defer func() { err = errors.Join(err, l.Close()) }()
	r := &report.Report{
		Command: cmd.Name(), Format: report.Format, Repeat: repeat(cmd), Started: time.Now().UTC().Truncate(time.Second),
		Version: version(), Go: runtime.Version(), Machine: report.ThisMachine(), LagText: l.LagText, Problems: l.Problems,
	}
	for _, s := range l.Servers {
		r.Servers = append(r.Servers, report.Server(s))
	}
	start := time.Now()
	err = measure(ctx, l, r, p)
	p.clear()
	if err != nil && !errors.Is(err, errBroken) {
		return interrupted(ctx, err)
	}
	r.Seconds = time.Since(start).Round(10 * time.Millisecond).Seconds()
	return errors.Join(err, output.write(r, cmd.OutOrStdout()))
}

// errInterrupted is the end by a signal. There is no result then.
var errInterrupted = errors.New("interrupted; everything was removed again, and there is no result")

func interrupted(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return errInterrupted
	}
	return err
}

// repeat is the command line as it was given, quoted for a shell.
func repeat(cmd *cobra.Command) string {
	words := []string{cmd.CommandPath()}
	cmd.Flags().Visit(func(f *pflagFlag) {
		for _, v := range flagValues(f) {
			words = append(words, "--"+f.Name+"="+shellQuote(v))
		}
	})
	return strings.Join(words, " ")
}

// shellQuote puts a word in quotes where a shell would see more than a word.
func shellQuote(s string) string {
	if s != "" && strings.IndexFunc(s, func(r rune) bool {
		return !strings.ContainsRune("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-/:=,@%+", r)
	}) < 0 {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}
