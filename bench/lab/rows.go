package lab

import (
	"context"
	"strconv"

	"github.com/stickyproxy/stickyproxy/bench/client"
)

// Counter is a row that is counted up on the primary and read on replicas, for package lag.
type Counter struct {
	conn   *client.Conn
	packet []byte
}

// counterTable has the one row.
const counterTable = Schema + ".counter"

// MakeCounter makes the row.
func (l *Lab) MakeCounter(ctx context.Context) error {
	err := l.Exec(ctx, "CREATE TABLE "+counterTable+" (id INT PRIMARY KEY, n BIGINT)", "INSERT INTO "+counterTable+" VALUES (1, 0)")
	if err != nil {
		return err
	}
	return l.Settle(ctx)
}

// NewCounter connects to the row at an endpoint. The caller closes it; ctx cuts it.
func NewCounter(ctx context.Context, e client.Endpoint) (*Counter, error) {
	c, err := client.Dial(ctx, e, client.Modern)
	if err != nil {
		return nil, err
	}
	return &Counter{conn: c, packet: client.Text("SELECT n FROM " + counterTable + " WHERE id=1")}, nil
}

// Write sets the number.
func (c *Counter) Write(n int64) error {
	_, err := c.conn.Do(client.Text("UPDATE " + counterTable + " SET n=" + strconv.FormatInt(n, 10) + " WHERE id=1"))
	return err
}

// Read returns the number as this endpoint has it.
func (c *Counter) Read() (int64, error) {
	n, _, err := c.conn.Int(c.packet)
	return n, err
}

// Close closes the connection.
func (c *Counter) Close() error { return c.conn.Close() }
