package integration

import (
	"fmt"
	"testing"
	"time"

	"github.com/stickyproxy/stickyproxy/internal/mysqltest"
	"github.com/stickyproxy/stickyproxy/internal/mysqltest/clustertest"
	"github.com/stickyproxy/stickyproxy/router"
)

// lag is how late the replicas are in the scene.
const lag = 2 * time.Second

// The scene: people write something and read it again, before replicas that are two seconds late.
func TestScene(t *testing.T) {
	clustertest.EachEngine(t, func(t *testing.T, e mysqltest.Engine) {
		p := sharedRig(t, e)
		p.do("CREATE TABLE posts (id INT PRIMARY KEY, text VARCHAR(100))", "INSERT INTO posts VALUES (1, 'old')")
		p.waitFresh()
		p.lag(lag)
		scene(t, p, 2)
	})
}

// readers are the ways in which a client reads the post: by text and prepared.
func readers(c *client) []func() (string, ran) {
	st := c.prepare("SELECT text FROM posts WHERE id = ?")
	return []func() (string, ran){
		func() (string, ran) { return c.text("SELECT text FROM posts WHERE id = 1") },
		func() (string, ran) { return st.query(1) },
	}
}

// scene lets one client write and read until its reads go to replicas again, while another one only reads.
func scene(t *testing.T, p *rig, writes int) {
	t.Helper()
	author, visitor := p.connect(), p.connect()
	mine, theirs := readers(author), readers(visitor)
	pace := time.NewTicker(5 * time.Millisecond) // the machine has other tests to run
	defer pace.Stop()
	for i := range writes {
		want := fmt.Sprintf("post %d", i)
		if where := author.exec("UPDATE posts SET text = '" + want + "' WHERE id = 1"); where.replica {
			t.Fatal("the write went to a replica")
		}
		reads := 0
		for released := false; !released; reads++ {
			<-pace.C
			released = true
			for _, read := range mine {
				got, where := read()
				if got != want {
					t.Fatalf("read %d after the write: got %q from %v, want %q", reads, got, where, want)
				}
				released = released && where.replica
			}
			for _, read := range theirs {
				if _, where := read(); !where.replica {
					t.Errorf("a client that wrote nothing read on %v", where)
				}
			}
		}
		if reads < 2 {
			t.Error("a replica that is 2 s late has the write at once")
		}
	}
}

// A replica that has not got the write does not answer its author, and does answer others, whatever time passes.
func TestReleaseByProof(t *testing.T) {
	clustertest.EachEngine(t, func(t *testing.T, e mysqltest.Engine) {
		p := sharedRig(t, e, func(s *setup) { s.proxy.Window = time.Millisecond })
		author, visitor := p.connect(), p.connect()
		author.exec("CREATE TABLE t (v INT)", "INSERT INTO t VALUES (1)")
		p.waitFresh()
		p.late()
		author.exec("UPDATE t SET v = 2")
		author.wants("SELECT v FROM t", "2", false)
		visitor.wants("SELECT v FROM t", "1", true)
		visitor.exec("INSERT INTO t (v) SELECT 3 FROM t WHERE v = 4") // it writes nothing, and is no proof of anything
		p.lag(0)
		p.waitFresh()
		author.wants("SELECT v FROM t", "2", true)
		visitor.wants("SELECT v FROM t", "2", true)
	})
}

// Proof is per replica: the one that has the write serves the author's reads, whatever the other one is doing.
func TestReleasePerReplica(t *testing.T) {
	clustertest.EachEngine(t, func(t *testing.T, e mysqltest.Engine) {
		p := sharedRig(t, e)
		c := p.connect()
		c.exec("CREATE TABLE t (v INT)", "INSERT INTO t VALUES (1)")
		p.waitFresh()
		if err := p.cluster.SetLag(p.ctx, p.cluster.Replicas[0], time.Hour); err != nil {
			t.Fatal(err)
		}
		c.exec("UPDATE t SET v = 2")
		for where := (ran{}); !where.replica; {
			var got string
			if got, where = c.text("SELECT v FROM t"); got != "2" {
				t.Fatalf("got %s from %v, want 2", got, where)
			}
		}
		for range 20 {
			c.wants("SELECT v FROM t", "2", true)
		}
	})
}

// Servers without GTIDs (MySQL) or that do not replicate by them (MariaDB): the window and the position by file.
func TestSceneWithoutGTIDs(t *testing.T) {
	clustertest.EachEngine(t, func(t *testing.T, e mysqltest.Engine) {
		p := startRig(t, clustertest.Start(t, mysqltest.Config{Engine: e}), func(s *setup) { s.proxy.Window = time.Second })
		p.do("CREATE TABLE posts (id INT PRIMARY KEY, text VARCHAR(100))", "INSERT INTO posts VALUES (1, 'old')")
		p.waitFresh()
		p.lag(lag)
		scene(t, p, 1)

		// The window has passed long ago for a replica that never gets the write.
		p.waitFresh()
		p.late()
		c := p.connect()
		c.exec("UPDATE posts SET text = 'new' WHERE id = 1")
		for where := (ran{}); where.reason != router.ReasonReplicaBehind; {
			var got string
			if got, where = c.text("SELECT text FROM posts WHERE id = 1"); got != "new" || where.replica {
				t.Fatalf("got %s from %v", got, where)
			}
		}
	})
}
