package mysqltest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"sync"
	"time"
)

const (
	// linkChunk is how much is passed on at once, bytes.
	linkChunk = 32 << 10
	// linkChunks bounds what is under way on a link: 8 MiB. A primary that writes more in the time of the delay waits.
	linkChunks = 256
)

// link is a network of its own between a replica and the primary: what the primary sends arrives later, in order and
// without loss. What the replica sends is not delayed, so the time of a round trip grows by the delay once.
type link struct {
	listener net.Listener
	target   string
	delay    time.Duration

	mu     sync.Mutex
	conns  map[net.Conn]bool
	closed bool
	all    sync.WaitGroup
}

// startLink opens a link to target on a free port of 127.0.0.1.
func startLink(target string, delay time.Duration) (*link, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	l := &link{listener: listener, target: target, delay: delay, conns: map[net.Conn]bool{}}
	l.all.Go(l.accept)
	return l, nil
}

func (l *link) port() int { return l.listener.Addr().(*net.TCPAddr).Port }

// accept serves replicas until the link is closed.
func (l *link) accept() {
	for {
		replica, err := l.listener.Accept()
		if err != nil {
			return
		}
		primary, err := net.Dial("tcp", l.target)
		if err != nil {
			replica.Close() // it tries again
			continue
		}
		if l.keep(replica) && l.keep(primary) {
			l.all.Go(func() { l.now(primary, replica) })
			l.all.Go(func() { l.later(replica, primary) })
		}
	}
}

// keep remembers a connection, to be closed with the link. One that comes too late is closed at once.
func (l *link) keep(c net.Conn) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		c.Close()
		return false
	}
	l.conns[c] = true
	return true
}

func (l *link) drop(conns ...net.Conn) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, c := range conns {
		c.Close()
		delete(l.conns, c)
	}
}

// now passes on without delay.
func (l *link) now(to, from net.Conn) {
	defer l.drop(to, from)
	_, _ = io.Copy(to, from) // its end is the end of the connection, whatever the reason
}

// chunk is what arrived at once, and when it is due.
type chunk struct {
	bytes []byte
	due   time.Time
}

// later passes on with the delay.
func (l *link) later(to, from net.Conn) {
	defer l.drop(to, from)
	underway := make(chan chunk, linkChunks)
	l.all.Go(func() {
		defer close(underway)
		for {
			b := make([]byte, linkChunk)
			n, err := from.Read(b)
			if n > 0 {
				underway <- chunk{b[:n], time.Now().Add(l.delay)}
			}
			if err != nil {
				return
			}
		}
	})
	var err error
	for c := range underway { // to its end, so that the reader is never stuck
		if err != nil {
			continue
		}
		time.Sleep(time.Until(c.due))
		if _, err = to.Write(c.bytes); err != nil {
			l.drop(to, from)
		}
	}
}

// close cuts all connections and waits for the end of all that serves them.
func (l *link) close() {
	l.listener.Close()
	l.mu.Lock()
	l.closed = true
	for c := range l.conns {
		c.Close()
	}
	l.mu.Unlock()
	l.all.Wait()
}

// errLinkGTID says for whom a link is.
var errLinkGTID = errors.New("a delayed link is for replicas that follow by GTID")

// DelayLink puts a network between the primary and a replica on which everything takes d longer to arrive, to the
// millisecond: the replica is late by d and what it is late by itself, with nothing about the servers changed. The
// servers' own delay ([Cluster.SetLag]) can do whole seconds only. The replica reconnects for it. A d of 0 takes the
// network away. It is gone with the cluster.
func (c *Cluster) DelayLink(ctx context.Context, replica *Server, d time.Duration) error {
	if !c.config.GTID {
		return errLinkGTID
	}
	if d < 0 {
		return fmt.Errorf("a link that is %v late", d)
	}
	port, fresh := c.Primary.hold.port, (*link)(nil)
	if d > 0 {
		var err error
		if fresh, err = startLink(c.Primary.Addr(), d); err != nil {
			return err
		}
		port = fresh.port()
	}
	_, err := replica.Exec(ctx, c.dialect().move(port))
	if err != nil {
		if fresh != nil {
			fresh.close()
		}
		return fmt.Errorf("move %s to another port: %w", replica.name, err)
	}
	if old := c.links.swap(replica, fresh); old != nil {
		old.close()
	}
	return nil
}

// move makes a replica follow on another port of the same primary. A change of the port makes the servers forget file
// and offset, which GTIDs make good.
func (d dialect) move(port int) string {
	options := []string{"HOST='127.0.0.1'", "PORT=" + strconv.Itoa(port)}
	if d.engine == MySQL {
		options = append(options, "AUTO_POSITION=1")
	} else {
		options = append(options, "USE_GTID=slave_pos")
	}
	return d.threads("STOP", "") + d.change(options...) + d.threads("START", "")
}

// links are those of a cluster, by the replica. The zero links are none.
type links struct {
	mu  sync.Mutex
	all map[*Server]*link
}

// swap replaces a replica's link and returns the one before.
func (l *links) swap(s *Server, fresh *link) *link {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.all == nil {
		l.all = map[*Server]*link{}
	}
	old := l.all[s]
	l.all[s] = fresh
	return old
}

// close closes all links.
func (l *links) close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for s, one := range l.all {
		if one != nil {
			one.close()
		}
		delete(l.all, s)
	}
}
