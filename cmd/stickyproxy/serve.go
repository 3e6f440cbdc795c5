package main

import (
	"context"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"

	"github.com/spf13/cobra"
)

func newServeCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "serve [--config FILE] [flags]",
		Short: "Run the proxy",
		Long: `Run the proxy until it gets SIGTERM or SIGINT. Then no new clients are taken, and
each client is let go at its next quiet moment, within --drain-timeout; a second
signal ends it at once.`,
		Example: `  stickyproxy serve --primary 10.0.0.1:3306 --replica 10.0.0.2:3306 --monitor-user sticky
  stickyproxy serve --config /etc/stickyproxy.yaml`,
		Args: noArguments,
	}
	flags := addServeFlags(cmd.Flags())
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		config, err := loadConfig(flags, os.LookupEnv)
		if err != nil {
			return err
		}
		// Both signals of an impatient operator must fit, or the second is lost.
		signals := make(chan os.Signal, 2)
		signal.Notify(signals, syscall.SIGTERM, os.Interrupt)
		defer signal.Stop(signals)
		setCollector()
		return serve(cmd.Context(), config, newLogger(config.Log, cmd.ErrOrStderr()), signals)
	}
	return cmd
}

// collectEarly is the garbage that is left lying, in percent of the memory in use. Go's default of 100 doubles what an
// idle client costs. The path of a query leaves no garbage, only a login does, so half of that costs next to nothing.
const collectEarly = 50

// setCollector sets how early garbage is collected, unless the operator has.
func setCollector() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(collectEarly)
	}
}

// serve runs the proxy until the first signal or failure, and ends in order.
func serve(ctx context.Context, config *Config, logger *slog.Logger, signals <-chan os.Signal) error {
	s, err := newService(config, logger)
	if err != nil {
		return err
	}
	if err := s.listen(ctx); err != nil {
		s.closeListeners()
		return err
	}
	s.logStart()
	return s.run(ctx, signals)
}

// newLogger returns the logger that the configuration asks for.
func newLogger(l Log, w io.Writer) *slog.Logger {
	options := &slog.HandlerOptions{Level: l.Level}
	if l.JSON {
		return slog.New(slog.NewJSONHandler(w, options))
	}
	return slog.New(slog.NewTextHandler(w, options))
}
