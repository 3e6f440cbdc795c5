package backend

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha512"
	"crypto/tls"
	"errors"
	"io"
	"os"
	"testing"

	"github.com/go-mysql-org/go-mysql/mysql"

	"github.com/stickyproxy/stickyproxy/mysqlwire"
)

const (
	testUser     = "app"
	testPassword = "pass word"
)

// Ensure that a login asks for what the client has and what we need, of what the server has, and passes on the rest.
func TestConnect(t *testing.T) {
	requests := make(chan mysqlwire.LoginRequest, 1)
	const announced = allCaps &^ mysqlwire.CapQueryAttributes
	f := startFake(t, func(c *fakeConn) {
		if c.greet(mysqlwire.PluginNative, announced) {
			requests <- c.login
			told := mysqlwire.OK{Status: mysqlwire.StatusAutocommit | mysqlwire.StatusStateChanged}
			told.Session = mysqlwire.AppendChange(nil, mysqlwire.TrackSystemVariable, []byte("a"), []byte("b"))
			told.Session = mysqlwire.AppendChange(told.Session, mysqlwire.TrackSchema, nil, []byte("shop"))
			c.send(told.Append(nil, false, true))
			c.setUp()
			c.hold()
		}
	})
	attributes := mysqlwire.AppendAttribute(nil, "program_name", "x")
	s := f.server(ServerConfig{})
	c := connect(t, s, Login{
		User: testUser, Password: testPassword, Schema: "shop", Collation: 33, Attributes: attributes,
		Capabilities: mysqlwire.CapInteractive | mysqlwire.CapFoundRows | mysqlwire.CapQueryAttributes | mysqlwire.CapZstd,
	})
	r := <-requests
	if r.User != testUser || r.Schema != "shop" || r.Collation != 33 || !bytes.Equal(r.Attributes, attributes) || !mysqlwire.CheckNative(r.Answer, testSalt, testPassword) {
		t.Errorf("request: %+v", r)
	}
	const want = mysqlwire.CapInteractive | mysqlwire.CapFoundRows | mysqlwire.CapSessionTrack | mysqlwire.CapConnectWithDB | mysqlwire.CapConnectAttrs
	const unwanted = mysqlwire.CapDeprecateEOF | mysqlwire.CapQueryAttributes | mysqlwire.CapZstd | mysqlwire.CapSSL | mysqlwire.CapMultiStatements | mysqlwire.CapLocalFiles | mysqlwire.CapIgnoreSpace
	if !c.Capabilities.Has(want) || c.Capabilities&unwanted != 0 || c.Capabilities != r.Capabilities {
		t.Errorf("capabilities %08x, sent %08x", c.Capabilities, r.Capabilities)
	}
	if c.ThreadID != 77 || c.Version != "8.4.3" || c.MariaDB || c.Schema != "shop" || c.Incarnation != "server-1" || c.Variables.Get("sql_mode") != "ANSI" ||
		c.Variables.Get("character_set_client") != "utf8mb4" || !c.Tracked || c.Server != s || c.Collation != 33 || c.Status != mysqlwire.StatusAutocommit ||
		c.Told != "\x00\x04\x01a\x01b" {
		t.Errorf("connection: %+v", c)
	}
	if g, ok := s.Greeting(); !ok || g.Version != "8.4.3" || g.Collation != 255 || g.Capabilities != announced {
		t.Errorf("greeting: %+v", g)
	}
}

// serveAuth is the server's side of one way to prove a password. It tells whether the proof was right.
type serveAuth func(c *fakeConn, key *rsa.PrivateKey) bool

// switchTo asks for another plugin and returns the answer.
func switchTo(c *fakeConn, plugin string, salt []byte) []byte {
	sw := mysqlwire.AuthSwitch{Plugin: plugin, Salt: salt}
	c.send(sw.Append(nil))
	return c.recv()
}

// fullAuth is caching_sha2_password's way for a password that the server has not in its cache.
func fullAuth(c *fakeConn, key *rsa.PrivateKey) bool {
	if !mysqlwire.CheckCachingSHA2(c.login.Answer, testSalt, testPassword) {
		return false
	}
	c.send(mysqlwire.AppendAuthMore(nil, mysqlwire.FullAuth))
	answer := c.recv()
	if _, ok := c.Conn.(*tls.Conn); ok {
		return mysqlwire.ParseClearPassword(answer) == testPassword
	}
	return bytes.Equal(answer, []byte{mysqlwire.RequestKey}) && decrypts(c, key)
}

// decrypts sends the key and tells whether the password comes encrypted with it.
func decrypts(c *fakeConn, key *rsa.PrivateKey) bool {
	pem, err := mysqlwire.AppendPublicKey(nil, &key.PublicKey)
	if err != nil {
		return false
	}
	c.send(mysqlwire.AppendAuthMore(nil, pem...))
	password, err := mysqlwire.DecryptPassword(c.recv(), testSalt, key)
	return err == nil && password == testPassword
}

func isClear(answer []byte) bool {
	return bytes.Equal(answer, mysqlwire.AppendClearPassword(nil, testPassword))
}

// authRow is one way to prove a password.
type authRow struct {
	name   string
	plugin string // of the greeting
	tls    bool
	serve  serveAuth
	fails  bool
}

// authRows are the ways to prove a password that a server may ask for.
func authRows() []authRow {
	long := bytes.Repeat([]byte{7}, 32)
	endsInNUL := append(bytes.Repeat([]byte{7}, 31), 0)
	ed := func(salt, sent []byte) serveAuth {
		return func(c *fakeConn, _ *rsa.PrivateKey) bool {
			want, err := mysqlwire.SignEd25519(salt, testPassword)
			c.send(append(append([]byte{0xFE}, "client_ed25519\x00"...), sent...))
			return err == nil && bytes.Equal(c.recv(), want)
		}
	}
	return []authRow{
		{name: "native", plugin: mysqlwire.PluginNative, serve: func(c *fakeConn, _ *rsa.PrivateKey) bool {
			return c.login.Plugin == mysqlwire.PluginNative && mysqlwire.CheckNative(c.login.Answer, testSalt, testPassword)
		}},
		{name: "caching_sha2 fast", plugin: mysqlwire.PluginCachingSHA2, serve: func(c *fakeConn, _ *rsa.PrivateKey) bool {
			c.send(mysqlwire.AppendAuthMore(nil, mysqlwire.FastAuthOK))
			return mysqlwire.CheckCachingSHA2(c.login.Answer, testSalt, testPassword)
		}},
		{name: "caching_sha2 RSA", plugin: mysqlwire.PluginCachingSHA2, serve: fullAuth},
		{name: "caching_sha2 TLS", plugin: mysqlwire.PluginCachingSHA2, tls: true, serve: fullAuth},
		{name: "sha256 RSA", plugin: mysqlwire.PluginSHA256, serve: func(c *fakeConn, key *rsa.PrivateKey) bool {
			return bytes.Equal(c.login.Answer, []byte{mysqlwire.RequestKeySHA256}) && decrypts(c, key)
		}},
		{name: "sha256 TLS", plugin: mysqlwire.PluginSHA256, tls: true, serve: func(c *fakeConn, _ *rsa.PrivateKey) bool {
			return isClear(c.login.Answer)
		}},
		{name: "switch to native", plugin: mysqlwire.PluginCachingSHA2, serve: func(c *fakeConn, _ *rsa.PrivateKey) bool {
			salt := []byte("ABCDEFGHIJKLMNOPQRST")
			return mysqlwire.CheckNative(switchTo(c, mysqlwire.PluginNative, salt), salt, testPassword)
		}},
		{name: "unknown default, switch to caching_sha2", plugin: "made_up", serve: func(c *fakeConn, _ *rsa.PrivateKey) bool {
			salt := []byte("ABCDEFGHIJKLMNOPQRST")
			ok := mysqlwire.CheckCachingSHA2(switchTo(c, mysqlwire.PluginCachingSHA2, salt), salt, testPassword)
			c.send(mysqlwire.AppendAuthMore(nil, mysqlwire.FastAuthOK))
			return ok
		}},
		{name: "switch to ed25519", plugin: mysqlwire.PluginNative, serve: ed(long, long)},
		{name: "ed25519 with a salt that ends in NUL", plugin: mysqlwire.PluginNative, serve: ed(endsInNUL, endsInNUL)},
		{name: "switch to parsec", plugin: mysqlwire.PluginNative, serve: func(c *fakeConn, _ *rsa.PrivateKey) bool {
			salt := bytes.Repeat([]byte{7}, 32)
			if len(switchTo(c, mysqlwire.PluginParsec, salt)) > 0 {
				return false
			}
			c.send([]byte("\x01P\x00some salt"))
			seed, err := pbkdf2.Key(sha512.New, testPassword, []byte("some salt"), 1024, ed25519.SeedSize)
			answer := c.recv()
			return err == nil && len(answer) == 96 &&
				ed25519.Verify(ed25519.NewKeyFromSeed(seed).Public().(ed25519.PublicKey), append(salt, answer[:32]...), answer[32:])
		}},
		{name: "parsec in another way", plugin: mysqlwire.PluginNative, fails: true, serve: func(c *fakeConn, _ *rsa.PrivateKey) bool {
			switchTo(c, mysqlwire.PluginParsec, bytes.Repeat([]byte{7}, 32))
			c.send([]byte("\x01P\xffsome salt"))
			return c.recv() != nil
		}},
		{name: "switch to old over TLS", plugin: mysqlwire.PluginCachingSHA2, tls: true, serve: func(c *fakeConn, _ *rsa.PrivateKey) bool {
			salt := []byte("ABCDEFGHIJKLMNOPQRST")
			want, err := mysqlwire.ScrambleOld(salt, testPassword)
			return err == nil && bytes.Equal(switchTo(c, mysqlwire.PluginOld, salt), want)
		}},
		{name: "short switch to old over TLS", plugin: mysqlwire.PluginNative, tls: true, serve: func(c *fakeConn, _ *rsa.PrivateKey) bool {
			c.send([]byte{0xFE})
			want, err := mysqlwire.ScrambleOld(testSalt, testPassword)
			return err == nil && bytes.Equal(c.recv(), want)
		}},
		{name: "old", plugin: mysqlwire.PluginNative, fails: true, serve: func(c *fakeConn, _ *rsa.PrivateKey) bool {
			c.send([]byte{0xFE})
			return c.recv() != nil
		}},
		{name: "clear over TLS", plugin: mysqlwire.PluginNative, tls: true, serve: func(c *fakeConn, _ *rsa.PrivateKey) bool {
			return isClear(switchTo(c, mysqlwire.PluginClear, nil))
		}},
		{name: "clear", plugin: mysqlwire.PluginNative, fails: true, serve: func(c *fakeConn, _ *rsa.PrivateKey) bool {
			return switchTo(c, mysqlwire.PluginClear, nil) != nil
		}},
		{name: "clear as the default", plugin: mysqlwire.PluginClear, serve: func(c *fakeConn, _ *rsa.PrivateKey) bool {
			return len(c.login.Answer) == 0 && mysqlwire.CheckNative(switchTo(c, mysqlwire.PluginNative, testSalt), testSalt, testPassword)
		}},
		{name: "switch to the unknown", plugin: mysqlwire.PluginNative, fails: true, serve: func(c *fakeConn, _ *rsa.PrivateKey) bool {
			return switchTo(c, "made_up", testSalt) != nil
		}},
	}
}

// Ensure that each way to prove a password is answered as servers expect it, and none gives a password away.
func TestAuthentication(t *testing.T) {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range authRows() {
		t.Run(row.name, func(t *testing.T) {
			proved := make(chan bool, 1)
			caps := allCaps
			if row.tls {
				caps |= mysqlwire.CapSSL
			}
			f := startFake(t, func(c *fakeConn) {
				right := c.greet(row.plugin, caps) && row.serve(c, key)
				proved <- right
				if right {
					c.ok()
					c.setUp()
				} else {
					c.err(mysql.ER_ACCESS_DENIED_ERROR, "denied")
				}
				c.hold()
			})
			f.tls, _ = testCertificate(t)
			c, err := f.server(ServerConfig{}).Connect(t.Context(), Login{User: testUser, Password: testPassword, TLS: true})
			if got := <-proved; got == row.fails {
				t.Errorf("proved: got %v, want %v", got, !row.fails)
			}
			if (err != nil) != row.fails {
				t.Fatalf("got %v, want an error: %v", err, row.fails)
			}
			if err != nil {
				return
			}
			defer c.Close()
			if _, got := c.Conn.(*tls.Conn); got != row.tls {
				t.Errorf("over TLS: got %v, want %v", got, row.tls)
			}
			if !c.Alive() {
				t.Error("not alive")
			}
		})
	}
}

// Ensure that a refusal comes through as the server said it, in each place where it may come.
func TestRefusals(t *testing.T) {
	for _, row := range []struct {
		name  string
		serve func(*fakeConn)
		code  uint16
	}{
		{"in place of the greeting", func(c *fakeConn) { c.err(mysql.ER_CON_COUNT_ERROR, "Too many connections") }, mysql.ER_CON_COUNT_ERROR},
		{"after the login request", func(c *fakeConn) {
			c.greet(mysqlwire.PluginNative, allCaps)
			c.err(mysql.ER_BAD_DB_ERROR, "no db")
		}, mysql.ER_BAD_DB_ERROR},
		{"after an answer", func(c *fakeConn) {
			c.greet(mysqlwire.PluginNative, allCaps)
			switchTo(c, mysqlwire.PluginNative, testSalt)
			c.err(mysql.ER_ACCESS_DENIED_ERROR, "denied")
		}, mysql.ER_ACCESS_DENIED_ERROR},
		{"in the set-up", func(c *fakeConn) {
			c.greet(mysqlwire.PluginNative, allCaps)
			c.ok()
			c.command()
			c.err(mysql.ER_SERVER_SHUTDOWN, "bye")
		}, mysql.ER_SERVER_SHUTDOWN},
	} {
		t.Run(row.name, func(t *testing.T) {
			f := startFake(t, func(c *fakeConn) {
				row.serve(c)
				c.hold()
			})
			_, err := f.server(ServerConfig{}).Connect(t.Context(), Login{User: testUser, Password: testPassword})
			if got := refusal(t, err); got.Code != row.code {
				t.Errorf("got %v, want code %d", got, row.code)
			}
		})
	}
}

// Ensure that what is no MySQL server is an error.
func TestNoServer(t *testing.T) {
	for _, row := range []struct {
		name  string
		serve func(*fakeConn)
	}{
		{"hangs up", func(*fakeConn) {}},
		{"speaks HTTP", func(c *fakeConn) { _, _ = io.WriteString(c, "HTTP/1.1 400 Bad Request\r\n\r\n") }},
		{"speaks SSH", func(c *fakeConn) { _, _ = io.WriteString(c, "SSH-2.0-OpenSSH_9.2\r\n") }},
		{"an empty packet", func(c *fakeConn) { c.send(nil); c.hold() }},
		{"a huge packet", func(c *fakeConn) { _, _ = c.Write([]byte{0xff, 0xff, 0xff, 0}); c.hold() }},
		{"a greeting cut short", func(c *fakeConn) { c.send([]byte("\x0a8.4.3\x00\x01\x02")); c.hold() }},
		{"too old", func(c *fakeConn) { c.caps = mysqlwire.CapLongPassword; c.greetAs("3.23", ""); c.hold() }},
		{"speaks out of turn", func(c *fakeConn) {
			g := mysqlwire.Greeting{Version: "8", Salt: testSalt, Capabilities: allCaps}
			b := mysqlwire.AppendPacket(nil, 0, g.Append(nil))
			_, _ = c.Write(mysqlwire.AppendPacket(b, 2, []byte{0, 0, 0, 2, 0, 0, 0}))
			c.hold()
		}},
		{"an empty packet for the login", func(c *fakeConn) { c.greet(mysqlwire.PluginNative, allCaps); c.send(nil); c.hold() }},
		{"an unexpected question", func(c *fakeConn) {
			c.greet(mysqlwire.PluginNative, allCaps)
			c.send(mysqlwire.AppendAuthMore(nil, 9))
			c.hold()
		}},
		{"a key that is none", func(c *fakeConn) {
			c.greet(mysqlwire.PluginCachingSHA2, allCaps)
			c.send(mysqlwire.AppendAuthMore(nil, mysqlwire.FullAuth))
			c.recv()
			c.send(mysqlwire.AppendAuthMore(nil, []byte("-----BEGIN")...))
			c.hold()
		}},
		{"asks on and on", func(c *fakeConn) {
			c.greet(mysqlwire.PluginNative, allCaps)
			for switchTo(c, mysqlwire.PluginNative, testSalt) != nil {
			}
		}},
		{"does not say who it is", func(c *fakeConn) {
			c.greet(mysqlwire.PluginNative, allCaps)
			c.ok()
			c.command()
			c.ok()
			c.command()
			c.rows("inc", "", "db", "", "mode", "", "cs", "")
			c.hold()
		}},
	} {
		t.Run(row.name, func(t *testing.T) {
			f := startFake(t, row.serve)
			c, err := f.server(ServerConfig{}).Connect(t.Context(), Login{User: testUser, Password: testPassword})
			if err == nil {
				c.Close()
				t.Fatal("no error")
			}
			var refused *mysqlwire.Error
			if errors.As(err, &refused) {
				t.Errorf("taken for an error of a server: %v", err)
			}
		})
	}
}

// Ensure that a hanging server holds nobody longer than the context says, wherever it hangs.
func TestHangingServer(t *testing.T) {
	for _, row := range []struct {
		name  string
		serve func(*fakeConn)
	}{
		{"before the greeting", func(*fakeConn) {}},
		{"after the greeting", func(c *fakeConn) { c.greet(mysqlwire.PluginNative, allCaps) }},
		{"in TLS", func(c *fakeConn) { c.caps = allCaps | mysqlwire.CapSSL; c.greetAs("8", ""); c.recv() }},
		{"in the set-up", func(c *fakeConn) { c.greet(mysqlwire.PluginNative, allCaps); c.ok(); c.command() }},
	} {
		t.Run(row.name, func(t *testing.T) {
			hanging := make(chan struct{})
			f := startFake(t, func(c *fakeConn) {
				row.serve(c)
				close(hanging)
				c.hold()
			})
			ctx, cancel := context.WithCancelCause(t.Context())
			reason := errors.New("the client went away")
			go func() {
				<-hanging
				cancel(reason)
			}()
			if _, err := f.server(ServerConfig{}).Connect(ctx, Login{User: testUser, TLS: true}); !errors.Is(err, reason) {
				t.Errorf("got %v, want %v", err, reason)
			}
		})
	}
	f := startFake(t, (*fakeConn).hold)
	ctx, cancel := context.WithTimeout(t.Context(), 1)
	defer cancel()
	if _, err := f.server(ServerConfig{}).Connect(ctx, Login{}); !errors.Is(err, context.DeadlineExceeded) && !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("got %v, want deadline exceeded", err)
	}
	if _, err := f.server(ServerConfig{}).Connect(canceled(), Login{}); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want canceled", err)
	}
}

// Ensure that TLS is used when it is configured or the client uses it, and checked when there is something to check with.
func TestTLS(t *testing.T) {
	cert, pool := testCertificate(t)
	_, otherPool := testCertificate(t)
	for _, row := range []struct {
		name   string
		config TLS
		client bool
		server bool // can do TLS
		want   bool // over TLS
		fails  bool
	}{
		{name: "nobody wants it", server: true},
		{name: "the client has it", client: true, server: true, want: true},
		{name: "the client has it but the server cannot", client: true},
		{name: "disabled", config: TLS{Mode: TLSDisabled}, client: true, server: true},
		{name: "preferred", config: TLS{Mode: TLSPreferred}, server: true, want: true},
		{name: "preferred but the server cannot", config: TLS{Mode: TLSPreferred}, client: true},
		{name: "required", config: TLS{Mode: TLSRequired, Roots: otherPool}, server: true, want: true},
		{name: "required but the server cannot", config: TLS{Mode: TLSRequired}, fails: true},
		{name: "the right CA", config: TLS{Mode: TLSVerifyCA, Roots: pool}, server: true, want: true},
		{name: "the right CA, another name", config: TLS{Mode: TLSVerifyCA, Roots: pool, ServerName: "db.example"}, server: true, want: true},
		{name: "another CA", config: TLS{Mode: TLSVerifyCA, Roots: otherPool}, server: true, fails: true},
		{name: "the system's CAs", config: TLS{Mode: TLSVerifyCA}, server: true, fails: true},
		{name: "the right name", config: TLS{Mode: TLSVerifyIdentity, Roots: pool}, server: true, want: true},
		{name: "another name", config: TLS{Mode: TLSVerifyIdentity, Roots: pool, ServerName: "db.example"}, server: true, fails: true},
		{name: "the right name, another CA", config: TLS{Mode: TLSVerifyIdentity, Roots: otherPool}, server: true, fails: true},
		{name: "the right name, the system's CAs", config: TLS{Mode: TLSVerifyIdentity}, server: true, fails: true},
		{name: "verified but the server cannot", config: TLS{Mode: TLSVerifyIdentity, Roots: pool}, fails: true},
	} {
		t.Run(row.name, func(t *testing.T) {
			caps := allCaps
			if row.server {
				caps |= mysqlwire.CapSSL
			}
			f := startFake(t, func(c *fakeConn) {
				if c.greet(mysqlwire.PluginNative, caps) {
					c.ok()
					c.setUp()
					c.hold()
				}
			})
			f.tls = cert
			c, err := f.server(ServerConfig{TLS: row.config}).Connect(t.Context(), Login{User: testUser, TLS: row.client})
			if (err != nil) != row.fails {
				t.Fatalf("got %v, want an error: %v", err, row.fails)
			}
			if err != nil {
				return
			}
			defer c.Close()
			if _, got := c.Conn.(*tls.Conn); got != row.want {
				t.Errorf("over TLS: got %v, want %v", got, row.want)
			}
		})
	}
}
