package integration

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	gomysql "github.com/go-mysql-org/go-mysql/mysql"
	"github.com/go-sql-driver/mysql"

	"github.com/stickyproxy/stickyproxy/internal/mysqltest"
	"github.com/stickyproxy/stickyproxy/internal/mysqltest/clustertest"
	"github.com/stickyproxy/stickyproxy/mysqlwire"
	"github.com/stickyproxy/stickyproxy/proxy"
)

// counted counts the bytes that pass, in both directions, on the connections that are accepted from it.
type counted struct {
	net.Listener
	bytes *atomic.Int64
}

func (l counted) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	return countedConn{c, l.bytes}, err
}

type countedConn struct {
	net.Conn
	bytes *atomic.Int64
}

func (c countedConn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	c.bytes.Add(int64(n))
	return n, err
}

func (c countedConn) Write(b []byte) (int, error) {
	n, err := c.Conn.Write(b)
	c.bytes.Add(int64(n))
	return n, err
}

// serveCounted listens on another address and counts what passes there.
func (p *rig) serveCounted() (addr string, passed *atomic.Int64) {
	p.t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		p.t.Fatal(err)
	}
	passed = new(atomic.Int64)
	done := make(chan error, 1)
	go func() { done <- p.proxy.Serve(counted{l, passed}, p.policy) }()
	server := p.proxy
	p.t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		if err := errors.Join(server.Shutdown(ctx), <-done); err != nil {
			p.t.Errorf("the end of the proxy: %v", err)
		}
	})
	return l.Addr().String(), passed
}

// withTLS offers TLS to clients.
func withTLS(t *testing.T) func(*setup) {
	certificate, err := proxy.SelfSigned()
	if err != nil {
		t.Fatal(err)
	}
	return func(s *setup) { s.policy.TLS = proxy.ServerTLS(certificate, nil) }
}

// big is a text of n bytes that compresses to about half of them.
func big(n int) string {
	random := rand.New(rand.NewPCG(7, 7))
	b := make([]byte, n)
	for i := range b {
		b[i] = "0123456789abcdef"[random.IntN(16)]
	}
	return string(b)
}

// A driver that compresses, with and without TLS: rows and statements of more than 16 MiB, files, prepared statements.
func TestCompressedDriver(t *testing.T) {
	clustertest.EachEngine(t, func(t *testing.T, e mysqltest.Engine) {
		p := sharedRig(t, e, withTLS(t))
		addr, passed := p.serveCounted()
		for _, row := range []struct {
			parameters string
			size       int // of what is large
		}{{"compress=true", 17 << 20}, {"compress=true&tls=skip-verify", 1 << 20}} {
			t.Run(row.parameters, func(t *testing.T) {
				c := p.connectTo(addr, row.parameters+"&maxAllowedPacket=0")
				c.t = t
				playCompressed(t, p, c, row.size, passed)
			})
		}
	})
}

func playCompressed(t *testing.T, p *rig, c *client, size int, passed *atomic.Int64) {
	must := func(query string, args ...any) {
		t.Helper()
		if _, err := c.ExecContext(p.ctx, query, args...); err != nil {
			t.Fatalf("%.60s: %v", query, err)
		}
	}
	value := func(query string, args ...any) string {
		t.Helper()
		v, err := scan(c.QueryContext(p.ctx, query, args...))
		if err != nil {
			t.Fatalf("%.60s: %v", query, err)
		}
		return v
	}
	before := passed.Load()
	if got := value("SELECT REPEAT('abcdefgh', 1 << 17)"); got != strings.Repeat("abcdefgh", 1<<17) {
		t.Errorf("got %d bytes", len(got))
	}
	if n := passed.Load() - before; n > 100<<10 {
		t.Errorf("1 MiB that compresses well took %d bytes", n)
	}
	must("CREATE TEMPORARY TABLE z (id INT PRIMARY KEY, v LONGTEXT)") // the replicas do without these texts
	defer must("DROP TABLE z")
	want := big(size)
	must("INSERT INTO z VALUES (1, ?)", want)
	must("INSERT INTO z VALUES (2, '" + want + "')")
	for id := range 2 {
		if got := value("SELECT v FROM z WHERE id = ?", id+1); got != want {
			t.Errorf("row %d: got %d bytes, want %d", id+1, len(got), len(want))
		}
	}
	for _, size := range []int{0, 10, 1 << 20} {
		for _, pad := range []int{0, 100_000} {
			name := fmt.Sprintf("compressed%d-%d", size, pad)
			mysql.RegisterReaderHandler(name, func() io.Reader { return strings.NewReader(want[:size] + "\n") })
			must("DELETE FROM z")
			must(fmt.Sprintf("LOAD DATA LOCAL INFILE 'Reader::%s' INTO TABLE z FIELDS TERMINATED BY '-' (v) SET id = 3 /* %s */", name, want[:pad]))
			mysql.DeregisterReaderHandler(name)
			if got := value("SELECT v FROM z WHERE id = 3"); got != want[:size] {
				t.Errorf("a file of %d bytes after a statement of %d: got %d", size, pad, len(got))
			}
		}
	}
	if _, err := c.ExecContext(p.ctx, "SELEC"); err == nil {
		t.Error("no error")
	}
	rows, err := c.QueryContext(p.ctx, "SELECT 1 FROM z")
	if err != nil {
		t.Fatal(err)
	}
	if rows.Next(); rows.Close() != nil {
		t.Error("a result that is not read to its end")
	}
	if got := value("SELECT 2"); got != "2" {
		t.Errorf("got %s", got)
	}
}

// shell runs statements in an engine's own shell.
func (p *rig) shell(t *testing.T, e mysqltest.Engine, addr, statements string, args ...string) string {
	t.Helper()
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		t.Fatal(err)
	}
	args = append([]string{"--host=" + host, "--port=" + port, "--user=" + p.account.User, "--password=" + p.account.Password,
		"--local-infile=1", "--max-allowed-packet=1G", "--unbuffered", "--batch", "--force", mysqltest.AppSchema}, args...)
	cmd, err := mysqltest.Shell(p.ctx, e, args...)
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(statements), &out, &out
	if err := cmd.Run(); err != nil && !strings.Contains(out.String(), "ERROR 1064") {
		t.Fatalf("%s %v: %v\n%.1000s", e, args, err, out.String())
	}
	return out.String()
}

// The shells of both engines, compressing, print what they print without compression on the primary itself. The
// statement about the file takes several frames, so that the numbers of the file's frames differ from those of the
// compressed ones.
func TestCompressedShells(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	const fileSize = 1 << 20
	if err := os.WriteFile(file, []byte(big(fileSize)+"\n1234\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	statements := strings.Join([]string{
		"CREATE TEMPORARY TABLE z (id INT AUTO_INCREMENT PRIMARY KEY, v LONGTEXT)", "SELECT 1", "SELECT REPEAT('ab', 60000)",
		fmt.Sprintf("LOAD DATA LOCAL INFILE '%s' INTO TABLE z (v) /* %s */", file, big(200_000)),
		fmt.Sprintf("LOAD DATA LOCAL INFILE '%s' INTO TABLE z (v)", file),
		"SELECT id, LENGTH(v), v FROM z", "SELEC 1", "SHOW WARNINGS", "SET @a = 1", "PREPARE s FROM 'SELECT ? + 1'", "EXECUTE s USING @a",
	}, ";\n") + ";\n"
	const last = "SELECT v FROM z WHERE id = 2;\nDROP TABLE z;\n"
	large := statements + "INSERT INTO z (v) VALUES ('" + big(17<<20) + "');\nSELECT MAX(v) FROM z;\n" + last
	statements += last
	clustertest.EachEngine(t, func(t *testing.T, e mysqltest.Engine) {
		p := sharedRig(t, e, withTLS(t))
		addr, passed := p.serveCounted()
		ways, largeWays := [][]string{{"--compress", "--ssl"}}, [][]string{{"--compress"}}
		if e == mysqltest.MySQL {
			ways = [][]string{
				{"--compression-algorithms=zlib"}, {"--compression-algorithms=zstd", "--zstd-compression-level=22"},
				{"--compression-algorithms=zlib,zstd,uncompressed"},
			}
			largeWays = [][]string{{"--compression-algorithms=zlib", "--ssl-mode=DISABLED"}, {"--compression-algorithms=zstd", "--ssl-mode=DISABLED"}}
		}
		play := func(statements string, ways [][]string) {
			want := p.shell(t, e, p.cluster.Primary.Addr(), statements)
			if !strings.Contains(want, "1234") {
				t.Fatalf("the shell says %.1000s", want)
			}
			for _, args := range ways {
				before := passed.Load()
				if got := p.shell(t, e, addr, statements, args...); got != want {
					t.Errorf("%v: got %d bytes, want %d: %.300s", args, len(got), len(want), got)
				}
				if n, plain := int(passed.Load()-before), len(statements)+2*fileSize+len(want); n > plain*3/4 {
					t.Errorf("%v: %d bytes on the way, about %d without compression", args, n, plain)
				}
			}
		}
		play(statements, ways)
		play(large, largeWays)
	})
}

// numbered begins to count its compressed frames anew with each command.
type numbered struct{ *mysqlwire.Compressed }

func (n numbered) Write(b []byte) (int, error) {
	if b[3] == 0 {
		n.Restart()
	}
	return n.Compressed.Write(b)
}

// compress goes on with compression after the login.
func (c *raw) compress() {
	c.t.Helper()
	z, ok := mysqlwire.Compress(c.conn, c.caps, 3).(*mysqlwire.Compressed)
	if !ok {
		c.t.Fatalf("no compression was negotiated: %#x", c.caps)
	}
	c.conn = numbered{z}
}

// The other commands with compression: resets, a change of user, pipelined commands, and the good-bye of a proxy that
// goes.
func TestCompressedCommands(t *testing.T) {
	clustertest.EachEngine(t, func(t *testing.T, e mysqltest.Engine) {
		p := sharedRig(t, e, withTLS(t))
		for _, caps := range []mysqlwire.Capability{mysqlwire.CapCompress, mysqlwire.CapZstd, mysqlwire.CapCompress | mysqlwire.CapZstd} {
			for _, secure := range []bool{false, true} {
				t.Run(fmt.Sprintf("%#x, TLS %v", uint32(caps), secure), func(t *testing.T) { playCommands(t, p, newCaps|caps, secure) })
			}
		}
		c := p.raw(newCaps | mysqlwire.CapZstd)
		c.compress()
		c.query("SELECT 1")
		if err := p.proxy.Shutdown(p.ctx); err != nil {
			t.Fatal(err)
		}
		c.seq = 0
		if bye, err := c.read(); err != nil || bye[0] != 0xFF || mysqlwire.ParseError(bye).Code != gomysql.ER_SERVER_SHUTDOWN {
			t.Errorf("the good-bye is %q, %v", bye, err)
		}
	})
}

func playCommands(t *testing.T, p *rig, caps mysqlwire.Capability, secure bool) {
	c := dialRaw(t, p.addr)
	if secure {
		c.startTLS()
	}
	salt := c.mustLogin(p.account, caps)
	c.compress()
	one := func(want string, query string) {
		t.Helper()
		if got, err := c.values(c.query(query)); err != nil || len(got) != 1 || got[0] != want {
			t.Errorf("%s: got %q, %v; want %s", query, got, err, want)
		}
	}
	c.query("SET @x = 5")
	one("5", "SELECT @x")
	c.command(gomysql.COM_RESET_CONNECTION)
	one("NULL", "SELECT @x")
	c.query("SET @x = 5")
	c.changeUser(p.account, salt)
	one("NULL", "SELECT @x")
	one(mysqltest.AppSchema, "SELECT DATABASE()")
	c.send(gomysql.COM_STMT_CLOSE, 1, 0, 0, 0)
	c.send(gomysql.COM_STMT_CLOSE, 2, 0, 0, 0)
	one("7", "SELECT 7")
	if text := c.command(gomysql.COM_STATISTICS); !bytes.Contains(text[0], []byte("Uptime")) {
		t.Errorf("COM_STATISTICS: %q", text)
	}
	if answer := c.command(gomysql.COM_PING); answer[0][0] != 0 {
		t.Errorf("COM_PING: %q", answer)
	}
	if answer := c.command(gomysql.COM_QUERY, []byte("SELEC")...); answer[0][0] != 0xFF {
		t.Errorf("got %q", answer)
	}
	c.send(gomysql.COM_QUIT)
	if _, err := c.conn.Read(make([]byte, 1)); err != io.EOF {
		t.Errorf("after QUIT: %v", err)
	}
}

// startTLS asks for TLS and goes on over it; the greeting is read again by the login.
func (c *raw) startTLS() {
	c.t.Helper()
	greeting, err := c.read()
	if err != nil {
		c.t.Fatal(err)
	}
	r := mysqlwire.LoginRequest{Capabilities: plainCaps | mysqlwire.CapSSL, MaxPacket: 1 << 30, Collation: 45}
	if err := c.write(r.AppendSSLRequest(nil)); err != nil {
		c.t.Fatal(err)
	}
	c.conn = &replayed{tls.Client(c.conn, &tls.Config{InsecureSkipVerify: true}), bytes.NewReader(mysqlwire.AppendPacket(nil, 1, greeting))}
	c.seq = 1
}

// replayed gives first what was read before.
type replayed struct {
	net.Conn
	again *bytes.Reader
}

func (r *replayed) Read(b []byte) (int, error) {
	if r.again.Len() > 0 {
		return r.again.Read(b)
	}
	return r.Conn.Read(b)
}

// mustLogin logs in and returns the salt of the greeting.
func (c *raw) mustLogin(a mysqltest.Account, caps mysqlwire.Capability) []byte {
	c.t.Helper()
	seen := &tee{Conn: c.conn}
	c.conn = seen
	if err := c.login(a, caps, mysqltest.AppSchema); err != nil {
		c.t.Fatal(err)
	}
	c.conn = seen.Conn
	g, err := mysqlwire.ParseGreeting(seen.read.Bytes()[mysqlwire.HeaderSize:][:mysqlwire.FrameLen(seen.read.Bytes())])
	if err != nil {
		c.t.Fatal(err)
	}
	return g.Salt
}

// tee keeps what was read.
type tee struct {
	net.Conn
	read bytes.Buffer
}

func (c *tee) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	c.read.Write(b[:n])
	return n, err
}

// changeUser logs in again as a.
func (c *raw) changeUser(a mysqltest.Account, salt []byte) {
	c.t.Helper()
	u := []byte{gomysql.COM_CHANGE_USER}
	u = append(append(u, a.User...), 0)
	answer := mysqlwire.ScrambleCachingSHA2(salt, a.Password)
	u = append(append(u, byte(len(answer))), answer...)
	u = append(append(u, mysqltest.AppSchema...), 0, 45, 0)
	u = append(append(u, mysqlwire.PluginCachingSHA2...), 0)
	c.seq = 0
	if err := c.write(u); err != nil {
		c.t.Fatal(err)
	}
	if err := c.proveTo(a.Password, salt); err != nil {
		c.t.Fatal(err)
	}
}
