package integration

import (
	"context"
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
	"testing"

	gomysql "github.com/go-mysql-org/go-mysql/mysql"

	"github.com/stickyproxy/stickyproxy/internal/mysqltest"
	"github.com/stickyproxy/stickyproxy/internal/mysqltest/clustertest"
	"github.com/stickyproxy/stickyproxy/mysqlwire"
)

// Every script gets, packet for packet, the same answers through the proxy as from the primary itself: by text and
// prepared, from clients with and without the two capabilities that change how a response looks.
func TestTransparent(t *testing.T) {
	clustertest.EachEngine(t, func(t *testing.T, e mysqltest.Engine) {
		p := sharedRig(t, e)
		stage(t, p)
		for _, caps := range []struct {
			name string
			caps mysqlwire.Capability
			wait bool // scripts that wait for the replicas too
		}{
			{"new", newCaps, true},
			{"old", plainCaps, true},
			{"tracking", plainCaps | mysqlwire.CapSessionTrack, false},
			{"no EOF", plainCaps | mysqlwire.CapDeprecateEOF, false},
		} {
			t.Run(caps.name, func(t *testing.T) {
				for _, s := range scripts {
					if (s.only == "" || s.only == e) && (caps.wait || !slices.Contains(s.steps, "~")) {
						t.Run(s.name, func(t *testing.T) { compare(t, p, caps.caps, s) })
					}
				}
			})
		}
	})
}

// stage makes what the scripts play with. Only the primary's own shell writes, so no client is pinned.
func stage(t *testing.T, p *rig) {
	t.Helper()
	const schema = `
		USE app;
		CREATE TABLE f (id INT PRIMARY KEY, v VARCHAR(20), n INT NULL);
		INSERT INTO f VALUES (1, 'one', 1), (2, 'two', NULL), (3, 'three', 3), (4, 'four', NULL);
		CREATE TABLE w (id INT AUTO_INCREMENT PRIMARY KEY, v VARCHAR(20));
		CREATE DATABASE app2;
		GRANT ALL ON app2.* TO app;
		CREATE TABLE app2.f (id INT PRIMARY KEY, v VARCHAR(20));
		INSERT INTO app2.f VALUES (1, 'uno');
		DELIMITER //
		CREATE PROCEDURE several() BEGIN SELECT v FROM f WHERE id = 1; SELECT id, v FROM f WHERE id < 3; UPDATE f SET v = 'one' WHERE id = 1; END//
		CREATE PROCEDURE failing() BEGIN SELECT v FROM f WHERE id = 1; SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'no'; END//
		CREATE PROCEDURE gives(OUT o INT) BEGIN SET o = 7; END//
		CREATE FUNCTION writes() RETURNS INT DETERMINISTIC MODIFIES SQL DATA BEGIN INSERT INTO w (v) VALUES ('f'); DELETE FROM w; RETURN 1; END//
		DELIMITER ;
		CREATE VIEW hides AS SELECT writes() AS x;`
	sql := schema
	if p.cluster.Engine() == mysqltest.MySQL {
		sql = "SET GLOBAL log_bin_trust_function_creators = 1;" + schema
	}
	if _, err := p.cluster.Primary.Exec(p.ctx, sql); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if _, err := p.cluster.Primary.Exec(context.Background(), "DROP DATABASE app2; REVOKE ALL ON app2.* FROM app;"); err != nil {
			t.Error(err)
		}
	})
	p.waitFresh()
}

// script is what one connection does. A step is SQL, or "~" to wait until replicas have everything. A step that begins
// with "r:" has to run on a replica, one that begins with "p:" on the primary.
type script struct {
	name  string
	only  mysqltest.Engine
	steps []string
	text  bool // its statements cannot be prepared
}

// compare plays a script on the primary and then through the proxy.
func compare(t *testing.T, p *rig, caps mysqlwire.Capability, s script) {
	plays := []func(*raw, string) ([][]byte, int){playText, playPrepared}
	if s.text {
		plays = plays[:1]
	}
	for _, play := range plays {
		want := playAll(t, p.rawTo(p.cluster.Primary.Addr(), caps), play, s.steps)
		c := p.raw(caps)
		c.t = t
		for i, step := range s.steps {
			if step == "~" {
				p.waitFresh()
				continue
			}
			packets, traced := play(c, sqlOf(step))
			if got := show(c, packets); got != want[i] {
				t.Errorf("step %d: %s\n     got %s\n    want %s", i, step, got, want[i])
			}
			p.forget(traced - 1)
			where := p.next()
			if step != sqlOf(step) && where.replica != (step[0] == 'r') {
				t.Errorf("step %d: %s ran on %v", i, step, where)
			}
		}
		c.send(gomysql.COM_QUIT)
	}
}

// sqlOf is a step without where it has to run.
func sqlOf(step string) string {
	return strings.TrimPrefix(strings.TrimPrefix(step, "r:"), "p:")
}

// playAll plays a script on one server and returns what a client sees of each step.
func playAll(t *testing.T, c *raw, play func(*raw, string) ([][]byte, int), steps []string) []string {
	c.t = t
	seen := make([]string, len(steps))
	for i, step := range steps {
		if step != "~" {
			packets, _ := play(c, sqlOf(step))
			seen[i] = show(c, packets)
		}
	}
	c.send(gomysql.COM_QUIT)
	return seen
}

// playText runs a statement by the text protocol. It returns the packets and how many commands they answer.
func playText(c *raw, sql string) ([][]byte, int) {
	c.t.Helper()
	return c.query(sql), 1
}

// playPrepared prepares a statement, executes and closes it. The statement's id, which the server chooses, is masked.
func playPrepared(c *raw, sql string) ([][]byte, int) {
	c.t.Helper()
	packets := c.command(gomysql.COM_STMT_PREPARE, []byte(sql)...)
	if packets[0][0] == 0xFF {
		return packets, 1
	}
	id := append([]byte(nil), packets[0][1:5]...)
	copy(packets[0][1:5], "id  ")
	packets = append(packets, c.command(gomysql.COM_STMT_EXECUTE, append(append([]byte(nil), id...), 0, 1, 0, 0, 0)...)...)
	c.send(gomysql.COM_STMT_CLOSE, id...)
	return packets, 2
}

// show is a response as text, with the changes of the session in an order of their own: a server's is that of a hash.
func show(c *raw, packets [][]byte) string {
	var b strings.Builder
	for _, p := range packets {
		ok, err := mysqlwire.ParseOK(p, true)
		switch {
		case p[0] == 0xFF && len(p) > 3:
			fmt.Fprintf(&b, "\n      ERR %d %q", binary.LittleEndian.Uint16(p[1:]), p[3:])
		case p[0] == 0x00 && c.caps.Has(mysqlwire.CapSessionTrack) && err == nil && (len(p) == 7 || ok.Status&mysqlwire.StatusStateChanged != 0):
			fmt.Fprintf(&b, "\n      OK %d %d %#x %d %q %q", ok.AffectedRows, ok.LastInsertID,
				ok.Status&^mysqlwire.StatusStateChanged, ok.Warnings, ok.Info, changes(ok.Session))
		default:
			fmt.Fprintf(&b, "\n      %q", p)
		}
	}
	return b.String()
}

// changes lists the changes of a session, sorted, without those about a transaction's beginning.
func changes(session []byte) []string {
	var all []string
	for c := (mysqlwire.Changes{Rest: session}); c.Next(); {
		if c.Kind != mysqlwire.TrackTransaction && c.Kind != mysqlwire.TrackCharacteristic {
			all = append(all, fmt.Sprintf("%d %s=%s", c.Kind, c.Name, c.Value))
		}
	}
	slices.Sort(all)
	return all
}
