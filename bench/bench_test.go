package bench

import (
	"encoding/binary"
	"fmt"
	"testing"

	"golang.org/x/sync/errgroup"

	"github.com/stickyproxy/stickyproxy/bench/client"
	"github.com/stickyproxy/stickyproxy/mysqlwire"
)

const (
	pointText     = "SELECT c FROM points WHERE id=1000" // the id is changed in place
	pointPrepared = "SELECT c FROM points WHERE id=?"
	largeText     = "SELECT * FROM large"
)

// points is a client that selects one row after the other.
type points struct {
	*client.Conn
	packet   []byte
	prepared bool
	id       int
}

func newPoints(c *client.Conn, prepared bool) (*points, error) {
	p := &points{Conn: c, prepared: prepared, packet: client.Text(pointText), id: firstPoint}
	if prepared {
		statement, err := c.Prepare(pointPrepared)
		if err != nil {
			return nil, err
		}
		p.packet = client.Execute(statement, firstPoint)
	}
	_, err := p.next() // opens the connection to the replica, and prepares the statement there
	return p, err
}

// next selects the next row and returns the size of the response. Successive ids are far apart.
func (p *points) next() (int, error) {
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
	return p.Do(p.packet)
}

// run selects n rows.
func (p *points) run(n int) error {
	for range n {
		if _, err := p.next(); err != nil {
			return err
		}
	}
	return nil
}

func BenchmarkPointSelect(b *testing.B) {
	r := startRig(b)
	for _, form := range []string{"text", "prepared"} {
		for _, w := range r.ways() {
			for _, clients := range []int{1, 8} {
				b.Run(fmt.Sprintf("%s/%s/clients=%d", form, w.name, clients), func(b *testing.B) {
					r.benchmarkPoints(b, w, form == "prepared", clients)
				})
			}
		}
	}
}

// benchmarkPoints shares b.N point selects among clients, each with a goroutine of its own, whatever the number of
// processors is: an operation takes as long as the throughput of all of them says.
func (r *rig) benchmarkPoints(b *testing.B, w way, prepared bool, clients int) {
	var all []*points
	for range clients {
		p, err := newPoints(r.connect(b, w, client.Modern), prepared)
		if err != nil {
			b.Fatal(err)
		}
		all = append(all, p)
	}
	b.ReportAllocs()
	cpu := r.measured(b, w, b.N, func() error {
		var group errgroup.Group
		for i, p := range all {
			n := (b.N + i) / clients // all shares together are b.N
			group.Go(func() error { return p.run(n) })
		}
		return group.Wait()
	})
	if w.proxied {
		b.ReportMetric(float64(cpu.Nanoseconds())/float64(b.N), "proxy-cpu-ns/op")
	}
}

func BenchmarkLargeResult(b *testing.B) {
	r := startRig(b)
	r.fillLarge(b)
	for _, form := range []struct {
		name string
		caps mysqlwire.Capability
	}{{"deprecate-eof", client.Modern}, {"classic-eof", client.Classic}} {
		for _, w := range r.ways() {
			b.Run(form.name+"/"+w.name, func(b *testing.B) { r.benchmarkLarge(b, w, form.caps) })
		}
	}
}

// benchmarkLarge reads the 200,000 rows b.N times.
func (r *rig) benchmarkLarge(b *testing.B, w way, caps mysqlwire.Capability) {
	c := r.connect(b, w, caps)
	packet := client.Text(largeText)
	size, err := c.Do(packet)
	if err != nil {
		b.Fatal(err)
	}
	b.SetBytes(int64(size))
	b.ReportAllocs()
	cpu := r.measured(b, w, b.N, func() error {
		for range b.N {
			if _, err := c.Do(packet); err != nil {
				return err
			}
		}
		return nil
	})
	if w.proxied {
		gigabytes := float64(size) * float64(b.N) / 1e9
		b.ReportMetric(cpu.Seconds()/gigabytes, "proxy-cpu-s/GB")
	}
}

// BenchmarkLogin is a login whose password is known already, to the OK packet, and the end of the connection.
func BenchmarkLogin(b *testing.B) {
	r := startRig(b)
	for _, w := range r.ways()[:2] { // a login opens no connection to a replica
		b.Run(w.name, func(b *testing.B) {
			r.connect(b, w, client.Modern) // now it is known
			b.ReportAllocs()
			cpu := r.measured(b, w, 0, func() error {
				for range b.N {
					c, err := dial(w.address, r.cluster.App, client.Modern)
					if err != nil {
						return err
					}
					if err := c.Quit(); err != nil {
						return err
					}
				}
				return nil
			})
			if w.proxied {
				b.ReportMetric(float64(cpu.Nanoseconds())/float64(b.N), "proxy-cpu-ns/op")
			}
		})
	}
}

// The same statement has an answer of the same size on every way, so the benchmarks compare like with like; and the
// client of the benchmarks understands what it gets.
func TestWays(t *testing.T) {
	r := startRig(t)
	for _, caps := range []mysqlwire.Capability{client.Modern, client.Classic} {
		for _, prepared := range []bool{false, true} {
			var sizes []int
			for _, w := range r.ways() {
				p, err := newPoints(r.connect(t, w, caps), prepared)
				if err != nil {
					t.Fatal(err)
				}
				size, err := p.next()
				if err != nil {
					t.Fatal(err)
				}
				sizes = append(sizes, size)
			}
			if got, want := sizes[1:], sizes[0]; got[0] != want || got[1] != want {
				t.Errorf("prepared %v, capabilities %x: answers of %d bytes through the proxy, %d directly", prepared, caps, got, want)
			}
		}
	}
	n, err := r.proxy.onReplica()
	if err != nil || n == 0 {
		t.Errorf("%d statements went to the replica, error %v", n, err)
	}
}
