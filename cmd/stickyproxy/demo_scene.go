package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/stickyproxy/stickyproxy/backend"
	"github.com/stickyproxy/stickyproxy/internal/mysqltest"
)

const (
	// people is how many post and reload at the same time, on each side.
	people = 96
	// thinkTime is the mean pause between two reloads of a page: many are shorter than the lag, and some are longer.
	thinkTime = 2 * time.Second
	// reloadsPerPost is how often a page is looked at, on average, between two comments of its owner.
	reloadsPerPost = 12
)

// tally counts what happened on one side.
type tally struct {
	reads, stale, replica atomic.Int64
}

// figures are the result of one side.
type figures struct {
	Reads        int64   `json:"reads"`
	Stale        int64   `json:"stale"`
	ReplicaShare float64 `json:"replica_share"`
}

func (t *tally) figures() figures {
	f := figures{Reads: t.reads.Load(), Stale: t.stale.Load()}
	if f.Reads > 0 {
		f.ReplicaShare = min(1, float64(t.replica.Load())/float64(f.Reads))
	}
	return f
}

// sceneResult is the outcome of the demo.
type sceneResult struct {
	Naive figures `json:"naive"`
	Proxy figures `json:"proxy"`
}

// verdict is an error if the proxy broke its promise.
func (r sceneResult) verdict() error {
	if r.Proxy.Stale > 0 {
		return errStale
	}
	return nil
}

// scene is the people, the two ways to their pages, and what was counted.
type scene struct {
	app          mysqltest.Account
	naive, proxy tally
	screen       *screen
}

// playScene lets people post and reload on both sides until the time is over.
func playScene(ctx context.Context, o demoOptions, cluster *mysqltest.Cluster, p *demoProxy, screen *screen) (sceneResult, error) {
	s := &scene{app: cluster.App, screen: screen}
	if err := s.makeTables(ctx, cluster); err != nil {
		return sceneResult{}, err
	}
	before := p.replicaReads()
	group, ctx := errgroup.WithContext(ctx)
	playing, done := context.WithTimeout(ctx, o.length)
	defer done()
	replicas := []string{cluster.Replicas[0].Addr(), cluster.Replicas[1].Addr()}
	for i := range people {
		group.Go(func() error {
			return s.live(ctx, playing.Done(), &person{id: i, table: "naive", tally: &s.naive, write: cluster.Primary.Addr(), read: replicas, split: true})
		})
		group.Go(func() error {
			return s.live(ctx, playing.Done(), &person{id: i, table: "sticky", tally: &s.proxy, write: p.address(), read: []string{p.address()}})
		})
	}
	group.Go(func() error {
		s.show(playing, o.length, func() { s.proxy.replica.Store(p.replicaReads() - before) })
		return nil
	})
	err := group.Wait()
	s.proxy.replica.Store(p.replicaReads() - before)
	result := sceneResult{Naive: s.naive.figures(), Proxy: s.proxy.figures()}
	s.screen.end(result)
	return result, err
}

// replicaReads is how many statements the proxy has sent to replicas.
func (p *demoProxy) replicaReads() (n int64) {
	for _, count := range p.metrics.Queries()["replica"] {
		n += int64(count)
	}
	return n
}

// makeTables makes a table of comments for each side and waits until the replicas have it.
func (s *scene) makeTables(ctx context.Context, cluster *mysqltest.Cluster) error {
	for _, table := range []string{"naive", "sticky"} {
		sql := fmt.Sprintf("CREATE TABLE %s.%s (person INT, n INT, comment VARCHAR(80), PRIMARY KEY (person, n))", mysqltest.AppSchema, table)
		if _, err := cluster.Primary.Exec(ctx, sql); err != nil {
			return err
		}
	}
	return cluster.WaitCaughtUp(ctx)
}

// show draws the figures until ctx ends.
func (s *scene) show(ctx context.Context, length time.Duration, refresh func()) {
	start := time.Now()
	tick := time.NewTicker(s.screen.every())
	defer tick.Stop()
	for {
		refresh()
		s.screen.draw(min(time.Since(start), length), length, s.naive.figures(), s.proxy.figures())
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// person posts comments and reloads the page with them. Split says that it knows primary and replicas itself; else
// there is one address and one connection.
type person struct {
	id     int
	table  string
	tally  *tally
	write  string
	read   []string
	split  bool
	posted int // number of the last comment

	conns map[string]*backend.Conn
}

// live is a person's time at the screen. A page that is being loaded when the time is over is still looked at: ctx ends
// that only when the scene is given up.
func (s *scene) live(ctx context.Context, over <-chan struct{}, p *person) error {
	defer p.hangUp()
	if err := p.connect(ctx, s.app); err != nil {
		return unlessOver(ctx, err)
	}
	for turn := 0; !closed(over); turn++ {
		if rand.IntN(reloadsPerPost) == 0 {
			if err := p.post(ctx); err != nil {
				return unlessOver(ctx, err)
			}
		}
		stale, err := p.reload(ctx, turn)
		if err != nil {
			return unlessOver(ctx, err)
		}
		if stale {
			s.screen.missed(p)
		}
		pause(over, time.Duration(rand.ExpFloat64()*float64(thinkTime)))
	}
	return nil
}

// unlessOver is err, but for an end that was to be.
func unlessOver(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return nil
	}
	return err
}

func closed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

// pause waits, but not longer than until over is closed.
func pause(over <-chan struct{}, d time.Duration) {
	select {
	case <-over:
	case <-time.After(d):
	}
}

// connect opens one connection to each address.
func (p *person) connect(ctx context.Context, app mysqltest.Account) error {
	p.conns = make(map[string]*backend.Conn)
	for _, address := range append([]string{p.write}, p.read...) {
		if p.conns[address] != nil {
			continue
		}
		server, err := backend.NewServer(backend.ServerConfig{Address: address, Weight: 1})
		if err != nil {
			return err
		}
		c, err := server.Connect(ctx, backend.Login{User: app.User, Password: app.Password, Schema: mysqltest.AppSchema})
		if err != nil {
			return err
		}
		p.conns[address] = c
	}
	return nil
}

func (p *person) hangUp() {
	for _, c := range p.conns {
		c.Close()
	}
}

// post writes the next comment.
func (p *person) post(ctx context.Context) error {
	sql := fmt.Sprintf("INSERT INTO %s VALUES (%d, %d, 'comment %d')", p.table, p.id, p.posted+1, p.posted+1)
	if _, err := p.conns[p.write].Query(ctx, sql); err != nil {
		return fmt.Errorf("post a comment: %w", err)
	}
	p.posted++
	return nil
}

// reload looks at the page and tells whether the person's last comment is missing on it.
func (p *person) reload(ctx context.Context, turn int) (stale bool, err error) {
	address := p.read[turn%len(p.read)]
	rows, err := p.conns[address].Query(ctx, fmt.Sprintf("SELECT MAX(n) FROM %s WHERE person = %d", p.table, p.id))
	if err != nil {
		return false, fmt.Errorf("reload the page: %w", err)
	}
	if len(rows.Values) != 1 || len(rows.Values[0]) != 1 {
		return false, errors.New("reload the page: the answer is not one number")
	}
	seen := 0
	if v := rows.Values[0][0]; v.Valid {
		if seen, err = strconv.Atoi(v.String); err != nil {
			return false, fmt.Errorf("reload the page: %w", err)
		}
	}
	p.tally.reads.Add(1)
	if p.split {
		p.tally.replica.Add(1)
	}
	if stale = seen < p.posted; stale {
		p.tally.stale.Add(1)
	}
	return stale, nil
}

// names are the people of the demo.
var names = [...]string{"Ada", "Ben", "Cho", "Dana", "Eli", "Fay", "Gil", "Hana", "Ivo", "Jun", "Kim", "Lea"}

// lastMissed is the newest thing that went wrong, for the screen.
type lastMissed struct {
	mu   sync.Mutex
	text string
}

func (l *lastMissed) set(text string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.text = text
}

func (l *lastMissed) get() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text
}
