// Command conformance runs a driver's or a framework's own test suite twice, directly against a primary and through
// stickyproxy, and compares: a test that passes directly has to pass through the proxy.
//
//	go run ./integration/conformance [-engine mariadb] [-source DIR] [-keep] SUITE [ARGUMENT ...]
//
// A suite is a folder of suites/ with a script `run`, which gets what it needs (from the Debian archive, or what is in
// the Go module cache), runs the tests against the server that the environment names, and reports each test in a line
// of its own on descriptor 3: "ok NAME", "not ok NAME" or "skip NAME". Everything else that it prints goes to a file in
// the folder that is named at the start. Arguments are handed to the script, to run some of the tests only.
//
// The environment of a script:
//
//	HOST PORT SOCKET USER PASSWORD
//	                          of the server; the account may do everything but what a replica must refuse
//	ENGINE                    mariadb or mysql
//	CACHE                     a folder that stays, for what is expensive to get
//	WORK                      a folder that goes, for this run
//	SOURCE                    a checkout of the suite's source, where -source names one
//
// A suite that is written for servers which it starts itself has their options in the file server.cnf, and one that knows
// one engine only names it in the file engines. With server.cnf, the servers are reached by their sockets, so that
// accounts are those of localhost, as in such a suite. What its servers and tests find in their environment stands in the
// file environment, a line NAME=VALUE each.
//
// Differences that are known and argued for stand in the suite's file `differences`, one a line: the name of the test
// (path.Match patterns are understood), white space, and why. Anything else is an error, and so is a suite in which no
// test passed.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"github.com/stickyproxy/stickyproxy/internal/mysqltest"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Stdout)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "conformance:", err)
		os.Exit(1)
	}
}

// options are what the command line says.
type options struct {
	engines []mysqltest.Engine
	source  string
	keep    bool
	suite   string
	args    []string
}

// suites is where the suites are, from the root of the repository, in which `go run` has to be called.
const suites = "integration/conformance/suites"

// parse reads the command line.
func parse(args []string) (options, error) {
	o := options{engines: mysqltest.Engines()}
	flags := flag.NewFlagSet("conformance", flag.ContinueOnError)
	engine := flags.String("engine", "", "mariadb or mysql; both if not given")
	flags.StringVar(&o.source, "source", "", "folder of a checkout of the suite's source, for suites that no archive has")
	flags.BoolVar(&o.keep, "keep", false, "keep the folder with the output")
	if err := flags.Parse(args); err != nil {
		return o, err
	}
	if flags.NArg() == 0 {
		return o, errors.New("name a suite: a folder of " + suites)
	}
	o.suite, o.args = flags.Arg(0), flags.Args()[1:]
	if _, err := os.Stat(filepath.Join(suites, o.suite, "run")); err != nil {
		return o, fmt.Errorf("no such suite: %w", err)
	}
	if o.source != "" {
		var err error
		if o.source, err = filepath.Abs(o.source); err != nil {
			return o, err
		}
	}
	names := strings.Fields(*engine)
	if *engine == "" {
		text, err := os.ReadFile(filepath.Join(suites, o.suite, "engines"))
		if errors.Is(err, fs.ErrNotExist) {
			return o, nil
		}
		if err != nil {
			return o, err
		}
		names = strings.Fields(string(text))
	}
	o.engines = nil
	for _, name := range names {
		e, err := mysqltest.ParseEngine(name)
		if err != nil {
			return o, err
		}
		o.engines = append(o.engines, e)
	}
	return o, nil
}

// run runs a suite on each engine and reports to out.
func run(ctx context.Context, args []string, out io.Writer) error {
	o, err := parse(args)
	if err != nil {
		return err
	}
	known, err := readDifferences(filepath.Join(suites, o.suite, "differences"))
	if err != nil {
		return err
	}
	work, err := os.MkdirTemp("", "conformance-")
	if err != nil {
		return err
	}
	fmt.Fprintln(out, "output in", work)
	var errs []error
	for _, e := range o.engines {
		errs = append(errs, runEngine(ctx, o, e, work, known, out))
	}
	if err := errors.Join(errs...); err != nil || o.keep {
		return err // with the output, to find out why
	}
	return os.RemoveAll(work)
}

// runEngine runs the suite on one engine.
func runEngine(ctx context.Context, o options, e mysqltest.Engine, work string, known differences, out io.Writer) (err error) {
	l, err := startLab(ctx, o, e, filepath.Join(work, string(e)))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, l.close()) }()
	direct, err := l.play(ctx, o, "direct", l.primary())
	if err != nil {
		return err
	}
	if err := l.clean(ctx); err != nil {
		return err
	}
	through, err := l.play(ctx, o, "through", l.proxy)
	if err != nil {
		return err
	}
	onReplicas, all := l.reads()
	fmt.Fprintf(out, "%s on %s: %d tests passed directly, %d through the proxy; %d of %d statements ran on replicas\n",
		o.suite, e, direct.count(passed), through.count(passed), onReplicas, all)
	return judge(o, e, known, direct, through, out)
}

// judge tells the differences, and fails when there are some that are not known.
func judge(o options, e mysqltest.Engine, known differences, direct, through results, out io.Writer) error {
	if direct.count(passed) == 0 {
		return fmt.Errorf("%s on %s: no test passed directly", o.suite, e)
	}
	var unknown int
	for _, name := range slices.Sorted(direct.names()) {
		if direct[name] != passed || through[name] == passed {
			continue
		}
		why, ok := known.why(name)
		if !ok {
			why = "NOT KNOWN"
			unknown++
		}
		fmt.Fprintf(out, "  %s: %s through the proxy (%s)\n", name, through[name], why)
	}
	if unknown > 0 {
		return fmt.Errorf("%s on %s: %d differences", o.suite, e, unknown)
	}
	return nil
}
