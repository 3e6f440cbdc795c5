package guarantees

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-mysql-org/go-mysql/mysql"

	"github.com/stickyproxy/stickyproxy/mysqlwire"
)

// Schema is what a run makes and removes.
const Schema = "stickyproxy_bench"

// cleanUpLimit bounds the removal of the schema, which happens after an interruption too.
const cleanUpLimit = 30 * time.Second

// ErrSchemaExists says that the schema is there already: from a run that was killed, or one that still goes on.
var ErrSchemaExists = errors.New("the schema " + Schema + " exists; if no other run is going on, remove it: DROP DATABASE " + Schema)

// run is one run of the checker.
type run struct {
	options Options
	mark    uint64 // tells what this run wrote, and its sessions, from those of another: 1 to 32767
	history *History
	pool    *pool
	turns   atomic.Int64

	mu     sync.Mutex
	report Report
}

// Run makes the schema, lets the users work until the time or ctx is over, removes the schema, and reports. Violations
// are not an error; one means that the run did not take place as it should.
func Run(ctx context.Context, o Options) (_ *Report, err error) {
	if err := o.Validate(); err != nil {
		return nil, err
	}
	o.Seed = orElse(o.Seed, rand.Uint64())
	r := &run{options: o, mark: 1 + rand.Uint64N(1<<15-1)}
	r.history, r.pool = NewHistory(o.cells(), r.violated), newPool(&r.options)
	r.report = Report{Hints: o.Hints, Split: o.Split, Seed: o.Seed, Errors: map[string]int64{}, Violations: map[string]int64{}}
	for g := range guarantees {
		r.report.Violations[Guarantee(g).String()] = 0
	}
	if err := r.makeSchema(ctx); err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, r.removeSchema(ctx)) }()
	if err := r.waitForReplicas(ctx); err != nil {
		return nil, err
	}
	if o.Ready != nil {
		if err := o.Ready(); err != nil {
			return nil, err
		}
	}
	start := time.Now()
	r.play(ctx)
	r.report.Seconds = time.Since(start).Seconds()
	return &r.report, nil
}

// play lets the users work and waits for them.
func (r *run) play(ctx context.Context) {
	over, cancel := context.WithTimeout(ctx, r.options.Duration)
	defer cancel()
	var wg sync.WaitGroup
	if r.options.Until != nil {
		wg.Go(func() {
			select {
			case <-r.options.Until:
				cancel()
			case <-over.Done():
			}
		})
	}
	for i := range r.options.users() {
		u := &user{run: r, id: i, hint: r.options.hint(i), rng: rand.New(rand.NewPCG(r.options.Seed, uint64(i)))}
		wg.Go(func() { u.work(ctx, over) })
	}
	wg.Wait()
	r.pool.drop(everybody)
}

// setup is where the schema is made.
func (r *run) setup() Endpoint {
	if r.options.Setup != nil {
		return *r.options.Setup
	}
	return r.options.To[0]
}

// makeSchema makes the schema with its table. When that fails half way it is removed again.
func (r *run) makeSchema(ctx context.Context) error {
	c, err := r.dialSetup(ctx, "")
	if err != nil {
		return err
	}
	defer c.close()
	_, err = c.do(ctx, cleanUpLimit, statement{sql: "CREATE DATABASE " + Schema})
	var refused *mysqlwire.Error
	if errors.As(err, &refused) && refused.Code == mysql.ER_DB_CREATE_EXISTS {
		return ErrSchemaExists
	}
	if err != nil {
		return fmt.Errorf("making the schema %s: %w", Schema, err)
	}
	values := make([]string, r.options.cells())
	for i := range values {
		values[i] = fmt.Sprintf("(%d, 0, %d)", i, r.mark<<markShift)
	}
	for _, sql := range []string{
		"CREATE TABLE " + Schema + ".cells (id BIGINT NOT NULL PRIMARY KEY, version BIGINT NOT NULL, writer BIGINT NOT NULL) ENGINE=InnoDB",
		"INSERT INTO " + Schema + ".cells VALUES " + strings.Join(values, ", "),
	} {
		if _, err := c.do(ctx, cleanUpLimit, statement{sql: sql}); err != nil {
			return errors.Join(fmt.Errorf("making the table: %w", err), r.removeSchema(ctx))
		}
	}
	return nil
}

func (r *run) dialSetup(ctx context.Context, schema string) (*conn, error) {
	ctx, cancel := context.WithTimeout(ctx, r.options.timeout())
	defer cancel()
	return dial(ctx, r.setup(), schema, "")
}

// removeSchema removes what was made, also when ctx has ended.
func (r *run) removeSchema(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanUpLimit)
	defer cancel()
	for {
		err := r.drop(ctx)
		if err == nil {
			return nil
		}
		if pause(ctx, time.Second); ctx.Err() != nil {
			return fmt.Errorf("the schema %s is left behind, remove it by hand: %w", Schema, err)
		}
	}
}

func (r *run) drop(ctx context.Context) error {
	c, err := r.dialSetup(ctx, "")
	if err != nil {
		return err
	}
	defer c.close()
	_, err = c.do(ctx, cleanUpLimit, statement{sql: "DROP DATABASE IF EXISTS " + Schema})
	return err
}

// waitForReplicas waits until every endpoint has the table: before that a reader would only see errors.
func (r *run) waitForReplicas(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	for _, e := range r.options.To {
		for {
			err := r.hasTable(ctx, e)
			if err == nil {
				break
			}
			if pause(ctx, 20*time.Millisecond); ctx.Err() != nil {
				return fmt.Errorf("waiting for the table at %s: %w", e.Address, err)
			}
		}
	}
	return nil
}

func (r *run) hasTable(ctx context.Context, e Endpoint) error {
	c, err := dial(ctx, e, Schema, "")
	if err != nil {
		return err
	}
	defer c.close()
	a, err := c.do(ctx, r.options.timeout(), statement{sql: "SELECT id, version, writer FROM cells"})
	if err != nil {
		return err
	}
	rows, err := a.cells(nil, r.mark)
	if err == nil && len(rows) != r.options.cells() {
		err = fmt.Errorf("%d rows of %d", len(rows), r.options.cells())
	}
	return err
}

// turn counts a turn. False: there have been enough.
func (r *run) turn() bool { return r.turns.Add(1) <= r.options.turns() }

// pause waits, or until ctx ends.
func pause(ctx context.Context, d time.Duration) {
	if d <= 0 {
		return
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-t.C:
	}
}

// read counts an answer.
func (r *run) read(v Verdict) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.report.Reads++
	if v.Checked > 0 {
		r.report.Checked++
	}
	if v.Behind {
		r.report.Behind++
	}
}

// wrote counts a write by what came of it, and says so to the history where it is sure that nothing did.
func (r *run) wrote(w *Write, err error) {
	switch {
	case err == nil:
		r.mu.Lock()
		defer r.mu.Unlock()
		r.report.Writes++
	case isHarmless(err):
		w.Failed()
	default:
		r.unknown()
	}
}

// unknown counts a write of which nobody knows.
func (r *run) unknown() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.report.Unknown++
}

// failed counts an error that a user met.
func (r *run) failed(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.report.count(err)
}

// violated notes a violation.
func (r *run) violated(v Violation) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.report.Violations[v.Guarantee.String()]++
	if len(r.report.Samples) < maxSamples {
		r.report.Samples = append(r.report.Samples, v)
		if r.options.Violated != nil {
			r.options.Violated(v)
		}
	}
}
