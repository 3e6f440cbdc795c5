package integration

import (
	"bytes"
	"io"
	"net"
	"sync"
	"testing"
	"time"
)

// way is the network between the proxy and one server: it forwards connections to a server that can be changed, sees
// what passes on the way there (where there is no TLS), and can be closed for what comes back.
type way struct {
	t        testing.TB
	listener net.Listener
	wg       sync.WaitGroup

	mu     sync.Mutex
	target string
	conns  map[net.Conn]struct{}
	seen   []byte        // what clients sent, all connections together
	news   chan struct{} // closed and replaced when seen grew
}

// newWay forwards to target until the test ends.
func newWay(t testing.TB, target string) *way {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	w := &way{t: t, listener: l, target: target, conns: make(map[net.Conn]struct{}), news: make(chan struct{})}
	w.wg.Go(w.accept)
	t.Cleanup(func() {
		_ = l.Close()
		w.cut()
		w.wg.Wait()
	})
	return w
}

func (w *way) addr() string { return w.listener.Addr().String() }

func (w *way) accept() {
	for {
		in, err := w.listener.Accept()
		if err != nil {
			return
		}
		w.mu.Lock()
		out, err := net.DialTimeout("tcp", w.target, 10*time.Second)
		if err != nil {
			_ = in.Close()
		} else {
			w.conns[in], w.conns[out] = struct{}{}, struct{}{}
			w.wg.Go(func() { w.forward(out, in, true) })
			w.wg.Go(func() { w.forward(in, out, false) })
		}
		w.mu.Unlock()
	}
}

// forward copies one direction and closes both ends.
func (w *way) forward(to, from net.Conn, record bool) {
	defer from.Close()
	defer to.Close()
	var out io.Writer = to
	if record {
		out = io.MultiWriter(recorder{w}, to)
	}
	_, _ = io.Copy(out, from) // either side may end it
}

type recorder struct{ w *way }

func (r recorder) Write(b []byte) (int, error) {
	r.w.mu.Lock()
	defer r.w.mu.Unlock()
	r.w.seen = append(r.w.seen, b...)
	close(r.w.news)
	r.w.news = make(chan struct{})
	return len(b), nil
}

// turn leads new connections to another server and cuts the old ones.
func (w *way) turn(target string) {
	w.mu.Lock()
	w.target = target
	w.mu.Unlock()
	w.cut()
}

// cut closes all connections.
func (w *way) cut() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for c := range w.conns {
		_ = c.Close()
		delete(w.conns, c)
	}
}

// waitSeen waits until the text has passed on one of the ways, and returns which.
func waitSeen(t testing.TB, text string, ways ...*way) int {
	t.Helper()
	deadline := time.NewTimer(time.Minute)
	defer deadline.Stop()
	for {
		var news []chan struct{}
		for i, w := range ways {
			w.mu.Lock()
			found := bytes.Contains(w.seen, []byte(text))
			news = append(news, w.news)
			w.mu.Unlock()
			if found {
				return i
			}
		}
		any := make(chan struct{}, len(news))
		stop := make(chan struct{})
		for _, n := range news {
			go awaitNews(n, any, stop)
		}
		select {
		case <-any:
			close(stop)
		case <-deadline.C:
			close(stop)
			t.Fatalf("%q was sent to no server", text)
		}
	}
}

func awaitNews(news, any, stop chan struct{}) {
	select {
	case <-news:
		any <- struct{}{}
	case <-stop:
	}
}

// overWays puts a way before each replica and then one before the primary.
func overWays(t testing.TB, ways *[]*way) func(*setup) {
	return func(s *setup) {
		for i := range s.fleet.Replicas {
			w := newWay(t, s.fleet.Replicas[i].Address)
			*ways = append(*ways, w)
			s.fleet.Replicas[i].Address = w.addr()
		}
		w := newWay(t, s.fleet.Primary.Address)
		*ways = append(*ways, w)
		s.fleet.Primary.Address = w.addr()
	}
}
