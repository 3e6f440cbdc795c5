package mysqltest

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"
	"time"
)

// Cluster is a running primary with its replicas. Its methods may be called from any goroutine.
// Whoever started it calls Close.
type Cluster struct {
	Primary  *Server
	Replicas []*Server

	// App may do everything in the schema [AppSchema] and nothing elsewhere. Monitor has what SHOW
	// REPLICA STATUS needs: REPLICATION CLIENT, and on MariaDB REPLICA MONITOR. Replication may read
	// the binlog. Root may do everything.
	App, Monitor, Replication, Root Account

	config   Config
	programs programs
	folder   *folder
	keeper   *keeper
	pool     *x509.CertPool
	links    links
	closing  sync.Once
	closeErr error
}

// startLimit bounds a start when the caller's context does not. A healthy one takes seconds; a
// machine with many more busy processes than processors needs far longer.
const startLimit = 5 * time.Minute

// Start starts a cluster and returns when the replicas follow. The first start on a machine takes
// longer: programs are installed or fetched (see [EnsureInstalled]) and a data directory is
// initialised. ctx bounds the start only. On an error nothing stays behind.
func Start(ctx context.Context, cfg Config) (*Cluster, error) {
	if err := cfg.Validate(); err != nil {
		return nil, fmt.Errorf("start a cluster: %w", err)
	}
	cfg.Log = orDiscard(cfg.Log)
	p, err := ensure(ctx, cfg.Engine, cfg.Log)
	if err != nil {
		return nil, fmt.Errorf("start a %s cluster: %w", cfg.Engine, err)
	}
	ctx, cancel := context.WithTimeout(ctx, startLimit)
	defer cancel()
	template, err := dataTemplate(ctx, p, cfg.Log)
	if err != nil {
		return nil, fmt.Errorf("start a %s cluster: initialise a data directory: %w", cfg.Engine, err)
	}
	c, err := newCluster(cfg, p)
	if err != nil {
		return nil, fmt.Errorf("start a %s cluster: %w", cfg.Engine, err)
	}
	if err := c.start(ctx, template); err != nil {
		return nil, fmt.Errorf("start a %s cluster: %w", cfg.Engine, errors.Join(err, c.Close()))
	}
	return c, nil
}

// newCluster makes the cluster's folder and its servers, and starts nothing.
func newCluster(cfg Config, p programs) (*Cluster, error) {
	c := &Cluster{
		config: cfg, programs: p, keeper: newKeeper(),
		App: newAccount("app"), Monitor: newAccount("monitor"), Replication: newAccount("repl"), Root: newAccount("root"),
	}
	var err error
	if c.folder, err = newFolder(cfg.Dir, cfg.Log); err != nil {
		c.keeper.close()
		return nil, err
	}
	if err := c.addServers(); err != nil {
		return nil, errors.Join(err, c.Close())
	}
	return c, nil
}

func (c *Cluster) addServers() error {
	tls := filepath.Join(c.folder.path, tlsFolder)
	if err := os.Mkdir(tls, 0o700); err != nil {
		return err
	}
	var err error
	if c.pool, err = makeCertificates(tls); err != nil {
		return fmt.Errorf("make certificates: %w", err)
	}
	for i := range 1 + c.config.replicas() {
		hold, err := holdPort()
		if err != nil {
			return err
		}
		s := &Server{name: "primary", dir: filepath.Join(c.folder.path, "p"), programs: c.programs, keeper: c.keeper, hold: hold}
		if i == 0 {
			c.Primary = s
			continue
		}
		s.name, s.dir = fmt.Sprintf("replica %d", i), filepath.Join(c.folder.path, fmt.Sprintf("r%d", i))
		c.Replicas = append(c.Replicas, s)
	}
	return nil
}

func (c *Cluster) start(ctx context.Context, template string) error {
	index := make(map[*Server]int)
	for i, s := range c.Servers() {
		index[s] = i
	}
	err := eachServer(c.Servers(), func(s *Server) error {
		if err := s.prepare(template, s.optionFile(c.config, index[s])); err != nil {
			return err
		}
		return s.Start(ctx)
	})
	if err != nil {
		return err
	}
	if _, err := c.Primary.Exec(ctx, c.dialect().accounts(c.App, c.Monitor, c.Replication, c.Root)); err != nil {
		return fmt.Errorf("make accounts: %w", err)
	}
	follow := c.dialect().follow(c.Primary.hold.port, c.Replication, c.CAFile())
	err = eachServer(c.Replicas, func(s *Server) error {
		_, err := s.Exec(ctx, follow)
		return err
	})
	if err != nil {
		return fmt.Errorf("set up replication: %w", err)
	}
	if err := errors.Join(c.WaitCaughtUp(ctx), c.setConfiguredLag(ctx)); err != nil {
		return err
	}
	fmt.Fprintf(c.config.Log, "%s %s: primary %s, %d replicas\n", c.config.Engine, c.programs.version, c.Primary.Addr(), len(c.Replicas))
	return nil
}

// Servers returns the primary and then the replicas.
func (c *Cluster) Servers() []*Server {
	if c.Primary == nil {
		return nil
	}
	return append([]*Server{c.Primary}, c.Replicas...)
}

// Engine returns what the servers are.
func (c *Cluster) Engine() Engine { return c.config.Engine }

// Version returns the servers' version as their program tells it, as in "9.7.0".
func (c *Cluster) Version() string { return c.programs.version }

// CAFile is the path of the authority's certificate that signed the servers' (PEM).
func (c *Cluster) CAFile() string { return filepath.Join(c.folder.path, tlsFolder, caFile) }

// CertPool returns the authority that signed the servers' certificates, which are for 127.0.0.1
// and localhost. Not to be changed.
func (c *Cluster) CertPool() *x509.CertPool { return c.pool }

// Close kills all servers, waits for their end and removes all their files. There is no orderly
// shutdown, because there is nothing to save. It may be called again.
func (c *Cluster) Close() error {
	c.closing.Do(func() {
		_ = eachServer(c.Servers(), func(s *Server) error { // always nil
			s.close()
			s.hold.release()
			return nil
		})
		c.links.close()
		c.keeper.close()
		c.closeErr = c.folder.remove()
	})
	return c.closeErr
}

// eachServer runs f for all servers at once and waits for all.
func eachServer(servers []*Server, f func(*Server) error) error {
	errs := make([]error, len(servers))
	var wg sync.WaitGroup
	for i, s := range servers {
		wg.Go(func() { errs[i] = f(s) })
	}
	wg.Wait()
	return errors.Join(errs...)
}

var _ io.Closer = (*Cluster)(nil)
