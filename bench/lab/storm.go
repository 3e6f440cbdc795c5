package lab

import (
	"context"
	"fmt"
	"math/rand/v2"

	"golang.org/x/sync/errgroup"

	"github.com/stickyproxy/stickyproxy/bench/client"
)

// Storm is a load on the primary as it makes replicas late in practice: large transactions, which the primary makes at
// its leisure and a replica begins to apply only when they are over. What is written meanwhile waits behind them.
type Storm struct {
	primary client.Endpoint
	Clients int // that write at the same time
	Rows    int // that a transaction changes
}

const (
	stormTable = Schema + ".storm"
	// stormClients and stormRows make a machine with two processors some hundred milliseconds late.
	stormClients, stormRows = 2, 10_000
)

// MakeStorm makes the table for a storm.
func (l *Lab) MakeStorm(ctx context.Context) (*Storm, error) {
	s := &Storm{primary: l.Primary, Clients: stormClients, Rows: stormRows}
	err := l.Exec(ctx,
		"CREATE TABLE "+stormTable+" (client INT, id INT, n INT, pad CHAR(200), PRIMARY KEY (client, id))")
	for i := 0; err == nil && i < s.Clients; i++ {
		err = l.Exec(ctx, fmt.Sprintf("INSERT INTO %s SELECT %d, (@i:=@i+1), 0, REPEAT('x', 200) FROM (SELECT @i:=0) z, %s a, %[3]s b, %[3]s c, %[3]s d", stormTable, i, ten))
	}
	if err != nil {
		return nil, fmt.Errorf("make the table for the storm: %w", err)
	}
	return s, l.Settle(ctx)
}

// ten is a table of ten rows.
const ten = "(SELECT 0 x UNION ALL SELECT 1 UNION ALL SELECT 2 UNION ALL SELECT 3 UNION ALL SELECT 4 UNION ALL SELECT 5 UNION ALL SELECT 6 UNION ALL SELECT 7 UNION ALL SELECT 8 UNION ALL SELECT 9)"

// Run makes the storm until ctx ends.
func (s *Storm) Run(ctx context.Context) error {
	group, ctx := errgroup.WithContext(ctx)
	for i := range s.Clients {
		group.Go(func() error { return s.client(ctx, i) })
	}
	err := group.Wait()
	if ctx.Err() != nil && context.Cause(ctx) == ctx.Err() {
		return nil
	}
	return err
}

func (s *Storm) client(ctx context.Context, i int) error {
	c, err := client.Dial(ctx, s.primary, client.Modern)
	if err != nil {
		return unless(ctx, err)
	}
	defer c.Close()
	for ctx.Err() == nil {
		sql := fmt.Sprintf("UPDATE %s SET n = n + 1, pad = REPEAT('%c', 200) WHERE client = %d AND id <= %d",
			stormTable, 'a'+rand.IntN(26), i, s.Rows)
		if _, err := c.Do(client.Text(sql)); err != nil {
			return unless(ctx, err)
		}
	}
	return nil
}
