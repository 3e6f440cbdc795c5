package policies

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strconv"
	"time"

	"github.com/stickyproxy/stickyproxy/bench/client"
)

// Policy is a way to reach the servers.
type Policy struct {
	Name string
	// Primary takes the writes, and every read that does not go to one of Replicas. It may be a proxy.
	Primary client.Endpoint
	// Replicas take reads, in no order, as an application does that knows its servers; none when Primary decides.
	Replicas []client.Endpoint
	// Window is for how long a user's own reads and others go to the primary after a write of theirs.
	Window time.Duration
	// Proxy says that where a read went is to be asked of the servers.
	Proxy bool
}

// Table is the statements that make the records of so many users for so many policies, in the current schema.
func Table(policies, users int) []string {
	statements := []string{"CREATE TABLE users (policy INT, id INT, n BIGINT NOT NULL, pad CHAR(100) NOT NULL, PRIMARY KEY (policy, id))"}
	const batch = 1000
	for policy := range policies {
		for from := 0; from < users; from += batch {
			sql := "INSERT INTO users VALUES "
			for id := from; id < min(from+batch, users); id++ {
				if id > from {
					sql += ","
				}
				sql += fmt.Sprintf("(%d,%d,0,REPEAT('x',100))", policy, id)
			}
			statements = append(statements, sql)
		}
	}
	return statements
}

// conns are one worker's connections to the endpoints of one policy.
type conns struct {
	policy   *Policy
	index    int // of the policy, and so of its records
	primary  *client.Conn
	replicas []*client.Conn
	packet   []byte
	text     []byte
}

// connect opens the connections. The caller closes them, also after an error.
func connect(ctx context.Context, p *Policy, index int) (*conns, error) {
	c := &conns{policy: p, index: index}
	var err error
	if c.primary, err = client.Dial(ctx, p.Primary, client.Modern); err != nil {
		return c, err
	}
	for _, e := range p.Replicas {
		r, err := client.Dial(ctx, e, client.Modern)
		if err != nil {
			return c, err
		}
		c.replicas = append(c.replicas, r)
	}
	return c, nil
}

func (c *conns) close() {
	if c.primary != nil {
		c.primary.Close()
	}
	for _, r := range c.replicas {
		r.Close()
	}
}

// session begins a statement with whose it is. Servers and proxies that do not know the hint see a comment.
func (c *conns) session(user int) []byte {
	b := append(c.text[:0], "/* sticky_session=user-"...)
	b = strconv.AppendInt(b, int64(user), 10)
	return append(b, " */ "...)
}

// write sets the user's record to n, unless it is further already: two writes of one user may overtake each other.
func (c *conns) write(user int, n int64) error {
	b := append(c.session(user), "UPDATE users SET n = GREATEST(n, "...)
	b = strconv.AppendInt(b, n, 10)
	_, err := c.primary.Do(c.finish(append(b, ") WHERE policy="...), user))
	return err
}

// finish ends a statement that ends with "policy=" with the record it is about, and makes the packet.
func (c *conns) finish(b []byte, id int) []byte {
	b = strconv.AppendInt(b, int64(c.index), 10)
	b = append(b, " AND id="...)
	b = strconv.AppendInt(b, int64(id), 10)
	c.text = b
	c.packet = client.AppendText(c.packet, b)
	return c.packet
}

// read reads the record of id on behalf of user. pinned says that the user has written less than a window ago.
func (c *conns) read(user, id int, pinned bool) (n int64, replica bool, err error) {
	conn := c.primary
	if len(c.replicas) > 0 && !pinned {
		conn, replica = c.replicas[rand.IntN(len(c.replicas))], true
	}
	n, found, err := conn.Int(c.finish(append(c.session(user), "SELECT n FROM users WHERE policy="...), id))
	if err == nil && !found {
		err = fmt.Errorf("the record of user %d is not there", id)
	}
	return n, replica, err
}
