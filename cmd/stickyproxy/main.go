// Command stickyproxy is one address for a MySQL primary and its replicas:
// writes go to the primary, reads to replicas, and nobody reads data older than
// what they wrote themselves.
//
// Each subcommand has a file of its own: serve.go runs the proxy, check.go looks
// whether the servers are set up for it, explain.go tells where a statement would go and why, demo.go shows what it is for, version.go says what is running.
// Settings come from flags (flags.go) and a file (config_file.go) and meet in
// config.go.
package main

import (
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"
)

// The exit statuses.
const (
	exitOK      = 0
	exitFailure = 1 // it was understood, but did not work
	exitUsage   = 2 // the command line is wrong
)

// usageError is a mistake on the command line: the exit status is exitUsage, and
// the way to the help is shown.
type usageError struct{ err error }

// Error returns the text of the mistake.
func (e usageError) Error() string { return e.err.Error() }

// Unwrap returns the mistake.
func (e usageError) Unwrap() error { return e.err }

func main() {
	os.Exit(run(os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}

// run executes one command line and returns the exit status. An error is printed
// once, to stderr.
func run(args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	root := newRootCommand()
	root.SetArgs(args)
	root.SetIn(stdin)
	root.SetOut(stdout)
	root.SetErr(stderr)
	cmd, err := root.ExecuteC()
	if err == nil {
		return exitOK
	}
	fmt.Fprintf(stderr, "stickyproxy: %v\n", err)
	if _, ok := errors.AsType[usageError](err); ok {
		fmt.Fprintf(stderr, "Run '%s --help' for usage.\n", cmd.CommandPath())
		return exitUsage
	}
	return exitFailure
}

// newRootCommand returns the command line without anything run.
func newRootCommand() *cobra.Command {
	root := &cobra.Command{
		Use:   "stickyproxy",
		Short: "One address for a MySQL primary and its replicas, where everybody reads what they wrote",
		Args:  subcommandOnly,
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
		// Errors are printed by run, once, and without the help text.
		SilenceErrors:              true,
		SilenceUsage:               true,
		SuggestionsMinimumDistance: 2,
	}
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return usageError{err: err} })
	root.AddCommand(newServeCommand(), newDemoCommand(), newCheckCommand(), newExplainCommand(), newBenchCommand(), newVersionCommand())
	return root
}

// subcommandOnly refuses a word that is no command, and names the one that was
// probably meant.
func subcommandOnly(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	err := fmt.Errorf("there is no command %q", args[0])
	if near := cmd.SuggestionsFor(args[0]); len(near) > 0 {
		err = fmt.Errorf("%w; did you mean %q?", err, near[0])
	}
	return usageError{err: err}
}

// noArguments refuses arguments that are not flags.
func noArguments(_ *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	return usageError{err: fmt.Errorf("unexpected argument %q; settings are flags", args[0])}
}
