package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/stickyproxy/stickyproxy/internal/mysqltest"
	"github.com/stickyproxy/stickyproxy/router"
)

// demoOptions are the flags of the demo.
type demoOptions struct {
	engine string
	lag    time.Duration
	length time.Duration
	listen string
	json   bool
}

// errStale is the demo's one way to fail that matters.
var errStale = errors.New("somebody read data older than what they had written, through stickyproxy")

func newDemoCommand() *cobra.Command {
	o := demoOptions{}
	cmd := &cobra.Command{
		Use:   "demo [--engine mariadb|mysql] [--lag 2s] [--for 15s] [--json]",
		Short: "Show what the proxy is for, on private servers",
		Long: `Start a private primary and two late replicas, put the proxy in front, and watch
people post a comment and reload the page: once with a naive split (writes to the
primary, reads to the replicas in turn), once through stickyproxy. Then all of it
stays up to be tried, until Ctrl-C, and leaves nothing behind.

With --json it ends after the scene; the last line of standard output is an object
with the figures.`,
		Args: noArguments,
	}
	cmd.Flags().StringVar(&o.engine, "engine", "mariadb", "servers to start: mariadb or mysql")
	cmd.Flags().DurationVar(&o.lag, "lag", 2*time.Second, "how late the replicas apply a change, in whole seconds")
	cmd.Flags().DurationVar(&o.length, "for", 15*time.Second, "length of the scene")
	cmd.Flags().StringVar(&o.listen, "listen", defaultListen, "where the proxy listens; another port if it is taken")
	cmd.Flags().BoolVar(&o.json, "json", false, "end after the scene with the figures as JSON")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if err := o.validate(); err != nil {
			return usageError{err: err}
		}
		ctx, stop := signal.NotifyContext(cmd.Context(), os.Interrupt, syscall.SIGTERM)
		defer stop()
		return runDemo(ctx, o, cmd.OutOrStdout(), cmd.ErrOrStderr())
	}
	return cmd
}

// validate finds what is wrong with the flags.
func (o demoOptions) validate() error {
	if o.length < time.Second {
		return fmt.Errorf("--for %v: the scene takes at least a second", o.length)
	}
	return mysqltest.Config{Engine: mysqltest.Engine(o.engine), Lag: o.lag}.Validate()
}

// runDemo is the demo from the first server to the last. Progress goes to progress, the scene and its result to out.
func runDemo(ctx context.Context, o demoOptions, out, progress io.Writer) (err error) {
	fmt.Fprintf(progress, "starting a private %s primary and two replicas that are %v late ...\n", o.engine, o.lag)
	cluster, err := mysqltest.Start(ctx, mysqltest.Config{
		Engine: mysqltest.Engine(o.engine), GTID: true, Lag: o.lag, Log: progress,
		ExtraConfig: []string{fmt.Sprintf("max_connections=%d", 4*people)}, // two each on the primary, and room for guests
	})
	if err != nil {
		return unlessOver(ctx, err) // Ctrl-C is the usual way to end it
	}
	defer func() { err = errors.Join(err, cluster.Close()) }()

	s, ended, err := startDemoProxy(ctx, o, cluster)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.stop(ended)) }()
	if err := s.waitForReplicas(ctx); err != nil {
		return unlessOver(ctx, err)
	}

	result, err := playScene(ctx, o, cluster, s, newScreen(out, o.json))
	if err != nil || ctx.Err() != nil {
		return unlessOver(ctx, err)
	}
	if o.json {
		return errors.Join(json.NewEncoder(out).Encode(result), result.verdict())
	}
	invite(out, cluster, s)
	<-ctx.Done()
	return result.verdict()
}

// demoProxy is the proxy of the demo, and how to end it.
type demoProxy struct {
	*service
	signals chan os.Signal
}

// startDemoProxy puts the proxy in front of the cluster, as serve would.
func startDemoProxy(ctx context.Context, o demoOptions, cluster *mysqltest.Cluster) (*demoProxy, <-chan error, error) {
	config := newConfig()
	config.Listeners = []Listener{{Address: freeAddress(o.listen), Mode: router.Auto}}
	config.Primary = Server{Address: cluster.Primary.Addr(), Weight: 1}
	for _, r := range cluster.Replicas {
		config.Replicas = append(config.Replicas, Server{Address: r.Addr(), Weight: 1})
	}
	config.Monitor = &Account{Name: cluster.Monitor.User, Password: cluster.Monitor.Password}
	config.DrainTimeout = time.Second
	s, err := newService(config, slog.New(slog.DiscardHandler))
	if err != nil {
		return nil, nil, err
	}
	if err := s.listen(ctx); err != nil {
		s.closeListeners()
		return nil, nil, err
	}
	p := &demoProxy{service: s, signals: make(chan os.Signal, 1)}
	ended := make(chan error, 1)
	go func() { ended <- s.run(context.WithoutCancel(ctx), p.signals) }()
	return p, ended, nil
}

// address is where the proxy listens.
func (p *demoProxy) address() string { return p.fronts[0].listener.Addr().String() }

// stop ends the proxy and waits for it.
func (p *demoProxy) stop(ended <-chan error) error {
	p.signals <- syscall.SIGTERM
	return <-ended
}

// waitForReplicas returns when a read may go to every replica.
func (p *demoProxy) waitForReplicas(ctx context.Context) error {
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		ready := 0
		for _, s := range p.fleet.Status() {
			if s.Up && s.Problem == "" {
				ready++
			}
		}
		if ready == 1+len(p.config.Replicas) {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
	}
}

// freeAddress is address, or a free port of the same host if somebody has it.
func freeAddress(address string) string {
	l, err := net.Listen("tcp", address)
	if err == nil {
		l.Close()
		return address
	}
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return address // serve says what is wrong with it
	}
	return net.JoinHostPort(host, "0")
}

// invite says how to go on by hand.
func invite(out io.Writer, cluster *mysqltest.Cluster, p *demoProxy) {
	host, port, _ := net.SplitHostPort(p.address())
	fmt.Fprintf(out, `
It is all still there. Write something and read it back, from several terminals:

    %s -h %s -P %s -u %s -p%s %s

Reads go to a replica unless this connection wrote what the replica does not have yet.
Ctrl-C ends it and leaves nothing behind.
`, shell(cluster.Engine()), host, port, cluster.App.User, cluster.App.Password, mysqltest.AppSchema)
}

// shell is how to start a client program of this engine: by its name if it is on the PATH, else where the servers came
// from.
func shell(e mysqltest.Engine) string {
	name := string(e) // MariaDB's is called mariadb and MySQL's mysql
	if _, err := exec.LookPath(name); err == nil {
		return name
	}
	cmd, err := mysqltest.Shell(context.Background(), e)
	if err != nil {
		return name
	}
	return strings.Join(cmd.Args, " ")
}
