package load

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
	"golang.org/x/sync/errgroup"

	"github.com/stickyproxy/stickyproxy/bench/client"
)

// newHistogram is for microseconds up to ten minutes.
func newHistogram() *hdrhistogram.Histogram { return hdrhistogram.New(1, 10*60*1_000_000, 3) }

// point is a client that selects one row after the other.
type point struct {
	conn     *client.Conn
	packet   []byte
	prepared bool
	id       int
}

func newPoint(ctx context.Context, e Endpoint, prepared bool) (*point, error) {
	conn, err := client.Dial(ctx, e.Endpoint, client.Modern)
	if err != nil {
		return nil, err
	}
	p := &point{conn: conn, prepared: prepared, packet: client.Text("SELECT c FROM points WHERE id=1000"), id: firstPoint}
	if prepared {
		statement, err := conn.Prepare("SELECT c FROM points WHERE id=?")
		if err != nil {
			return nil, errors.Join(err, conn.Close())
		}
		p.packet = client.Execute(statement, firstPoint)
	}
	return p, nil
}

// next selects the next row. Successive ids are far apart.
func (p *point) next() error {
	if p.id += 1741; p.id > lastPoint {
		p.id -= lastPoint - firstPoint + 1
	}
	if p.prepared {
		binary.LittleEndian.PutUint64(p.packet[len(p.packet)-8:], uint64(p.id))
	} else {
		digits := p.packet[len(p.packet)-4:]
		for i, n := len(digits)-1, p.id; i >= 0; i, n = i-1, n/10 {
			digits[i] = byte('0' + n%10)
		}
	}
	_, err := p.conn.Do(p.packet)
	return err
}

func textSelects(ctx context.Context, e Endpoint, o *Options) (work, error) {
	return selects(ctx, e, o, false)
}

func preparedSelects(ctx context.Context, e Endpoint, o *Options) (work, error) {
	return selects(ctx, e, o, true)
}

// selects lets all clients select points for a slice.
func selects(ctx context.Context, e Endpoint, o *Options, prepared bool) (work, error) {
	var points []*point
	defer func() {
		for _, p := range points {
			p.conn.Close()
		}
	}()
	for range o.Clients {
		p, err := newPoint(ctx, e, prepared)
		if err != nil {
			return work{}, err
		}
		points = append(points, p)
		if err := p.next(); err != nil { // a proxy connects and prepares for the first one
			return work{}, err
		}
	}
	total, start := newHistogram(), time.Now()
	var mu sync.Mutex
	group, ctx := errgroup.WithContext(ctx)
	for _, p := range points {
		group.Go(func() error {
			h := newHistogram()
			err := p.run(ctx, h, start.Add(o.Slice))
			mu.Lock()
			defer mu.Unlock()
			total.Merge(h)
			return err
		})
	}
	err := group.Wait()
	n := total.TotalCount()
	return work{done: float64(n), times: int(n), took: time.Since(start), hist: total}, err
}

// run selects points until a time.
func (p *point) run(ctx context.Context, h *hdrhistogram.Histogram, until time.Time) error {
	for begin := time.Now(); begin.Before(until) && ctx.Err() == nil; {
		if err := p.next(); err != nil {
			return err
		}
		end := time.Now()
		_ = h.RecordValue(min(max(end.Sub(begin).Microseconds(), 1), h.HighestTrackableValue())) // always in the range
		begin = end
	}
	return nil
}

// largeResults reads the large table again and again.
func largeResults(ctx context.Context, e Endpoint, o *Options) (work, error) {
	conn, err := client.Dial(ctx, e.Endpoint, client.Modern)
	if err != nil {
		return work{}, err
	}
	defer conn.Close()
	packet, w, start := client.Text("SELECT * FROM large"), work{}, time.Now()
	for w.times == 0 || time.Since(start) < o.Slice {
		n, err := conn.Do(packet)
		if err != nil {
			return work{}, err
		}
		w.done += float64(n)
		w.times++
	}
	w.took = time.Since(start)
	return w, nil
}

// logins logs in and out again and again: from the first packet to the OK, and the end. The account's password is known
// to the server and the proxy by then (caching_sha2_password's fast way): it is what a pool pays, not the first login of
// an account.
func logins(ctx context.Context, e Endpoint, o *Options) (work, error) {
	start := time.Now()
	for range o.Logins {
		conn, err := client.Dial(ctx, e.Endpoint, client.Modern)
		if err != nil {
			return work{}, err
		}
		if err := conn.Quit(); err != nil {
			return work{}, err
		}
	}
	return work{done: float64(o.Logins), times: o.Logins, took: time.Since(start)}, nil
}

// measureMemory looks at the memory of an endpoint's process, alone and with idle clients.
func (r *runner) measureMemory(ctx context.Context, e Endpoint) error {
	if e.PID == 0 {
		return nil
	}
	before, err := Memory(e.PID)
	if err != nil {
		return err
	}
	r.memory[e.Name] = append(r.memory[e.Name], float64(before)/1e6)
	if r.Idle == 0 {
		return nil
	}
	conns, err := idle(ctx, e, r.Idle)
	defer func() {
		for _, c := range conns {
			c.Close()
		}
	}()
	if err != nil {
		return fmt.Errorf("%d idle clients: %w", r.Idle, err)
	}
	after, err := Memory(e.PID)
	if err != nil {
		return err
	}
	r.idle[e.Name] = append(r.idle[e.Name], max(0, float64(after-before)/1000/float64(r.Idle)))
	return nil
}

// idle connects clients that each have asked for something once.
func idle(ctx context.Context, e Endpoint, n int) (conns []*client.Conn, err error) {
	for range n {
		p, err := newPoint(ctx, e, false)
		if err != nil {
			return conns, err
		}
		conns = append(conns, p.conn)
		if err := p.next(); err != nil {
			return conns, err
		}
	}
	return conns, nil
}
