package lab

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/stickyproxy/stickyproxy/bench/client"
	"github.com/stickyproxy/stickyproxy/internal/mysqltest"
)

// Schema is the only schema that is written to.
const Schema = "stickyproxy_bench"

// cleanLimit bounds the removal of the schema, which is done even when the run was interrupted.
const cleanLimit = 30 * time.Second

// Lab is the servers of a run. Whoever opened it closes it. Its methods are for one goroutine.
type Lab struct {
	Primary  client.Endpoint
	Replicas []client.Endpoint
	Servers  []Server // what they are, the primary first
	LagText  string   // how private replicas are made late; "" with servers of the user
	Problems []string // what is odd about the servers, and does not keep from measuring

	cluster *mysqltest.Cluster // nil: the servers are not ours
	freezer *freezer
	guard   *client.Conn // holds the lock, and is used for the schema
	run     string       // a name of this run, unlike any other
	made    bool         // the schema is ours to remove
}

// Server is what a report says about one server.
type Server struct {
	Role    string `json:"role"` // primary, replica, or endpoint where that is not known
	Name    string `json:"name"`
	Address string `json:"address"`
	Version string `json:"version"`
}

// Private starts servers of our own, with the account of their root.
func Private(ctx context.Context, engine mysqltest.Engine, lag Lag, replicas int, log io.Writer) (*Lab, error) {
	cluster, err := mysqltest.Start(ctx, mysqltest.Config{Engine: engine, GTID: true, Replicas: replicas, Log: log})
	if err != nil {
		return nil, err
	}
	root := func(name, address string) client.Endpoint {
		return client.Endpoint{Name: name, Address: address, User: cluster.Root.User, Password: cluster.Root.Password}
	}
	l := &Lab{Primary: root("primary", cluster.Primary.Addr()), LagText: lag.describe(), cluster: cluster}
	for _, r := range cluster.Replicas {
		l.Replicas = append(l.Replicas, root(r.Name(), r.Addr()))
	}
	if err := l.open(ctx); err != nil {
		return nil, errors.Join(err, l.Close())
	}
	if err := lag.apply(ctx, cluster); err != nil {
		return nil, errors.Join(err, l.Close())
	}
	if lag.Freeze > 0 {
		l.freezer = startFreezer(cluster, lag.Freeze)
	}
	return l, nil
}

// Attach uses the servers of somebody. It is an error if they are not a primary and its replicas, or the account may not
// what it has to. Nothing has been written before consent was asked for and given; nil is given.
func Attach(ctx context.Context, primary client.Endpoint, replicas []client.Endpoint, consent func() error) (*Lab, error) {
	l := &Lab{Primary: primary, Replicas: replicas}
	if err := l.check(ctx); err != nil {
		return nil, err
	}
	if consent != nil {
		if err := consent(); err != nil {
			return nil, err
		}
	}
	if err := l.open(ctx); err != nil {
		return nil, errors.Join(err, l.Close())
	}
	return l, nil
}

// Look asks endpoints what they are, and makes nothing: there is no schema then, and nothing to close.
func Look(ctx context.Context, endpoints []client.Endpoint) (*Lab, error) {
	l := new(Lab)
	for _, e := range endpoints {
		if err := l.withServer(ctx, e, "endpoint", func(*client.Conn) error { return nil }); err != nil {
			return nil, fmt.Errorf("endpoint %s: %w", e.Address, err)
		}
	}
	return l, nil
}

// check looks at all servers and writes nothing.
func (l *Lab) check(ctx context.Context) error {
	if err := l.checkPrimary(ctx); err != nil {
		return fmt.Errorf("primary %s: %w", l.Primary.Address, err)
	}
	for _, r := range l.Replicas {
		if err := l.checkReplica(ctx, r); err != nil {
			return fmt.Errorf("replica %s: %w", r.Address, err)
		}
	}
	return nil
}

// open takes the lock and makes the schema.
func (l *Lab) open(ctx context.Context) error {
	if l.cluster != nil {
		if err := l.check(ctx); err != nil {
			return err
		}
	}
	l.run = rand.Text()
	var err error
	// The guard lives longer than ctx: it removes the schema when the run was interrupted.
	if l.guard, err = client.Dial(context.WithoutCancel(ctx), l.Primary, client.Modern); err != nil {
		return err
	}
	if err := l.lock(ctx); err != nil {
		return err
	}
	if err := l.makeSchema(ctx); err != nil {
		return err
	}
	return l.Settle(ctx)
}

// lock keeps other runs away for as long as the guard is connected.
func (l *Lab) lock(ctx context.Context) error {
	rows, err := l.guard.Query(ctx, "SELECT GET_LOCK('"+Schema+"', 0)")
	if err != nil {
		return fmt.Errorf("lock the schema: %w", err)
	}
	if rows.Values[0][0].String != "1" {
		return errors.New("another run of the laboratory is going on on this primary; wait for its end")
	}
	return nil
}

// Close removes the schema, or the private servers as a whole. It may be called again.
func (l *Lab) Close() error {
	ctx, cancel := context.WithTimeout(context.Background(), cleanLimit)
	defer cancel()
	var errs []error
	if l.freezer != nil {
		errs = append(errs, l.freezer.end())
		l.freezer = nil
	}
	if l.made && l.cluster == nil {
		errs = append(errs, l.removeSchema(ctx))
	}
	l.made = false
	if l.guard != nil {
		errs = append(errs, l.guard.Close())
		l.guard = nil
	}
	if l.cluster != nil {
		errs = append(errs, l.cluster.Close())
	}
	return errors.Join(errs...)
}

// Exec runs statements on the primary, in the schema.
func (l *Lab) Exec(ctx context.Context, statements ...string) error {
	for _, s := range statements {
		if err := l.guard.Exec(ctx, s); err != nil {
			return err
		}
	}
	return nil
}

// PID is the process of a private server, 0 of others: role is "primary".
func (l *Lab) PID() int {
	if l.cluster == nil {
		return 0
	}
	return l.cluster.Primary.PID()
}

// Monitor is an account that may ask servers for their replication.
func (l *Lab) Monitor() (user, password string) {
	if l.cluster != nil {
		return l.cluster.Monitor.User, l.cluster.Monitor.Password
	}
	return l.Primary.User, l.Primary.Password
}
