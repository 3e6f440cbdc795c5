package proxy

import (
	"bytes"
	"context"
	"crypto/rsa"
	"errors"
	"io"
	"net"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stickyproxy/stickyproxy/backend"
	"github.com/stickyproxy/stickyproxy/mysqlwire"
)

// validRequest is a login request that is not refused for its form.
func validRequest() []byte { return requestWith(defaultCapabilities) }

func requestWith(capabilities mysqlwire.Capability) []byte {
	r := mysqlwire.LoginRequest{Capabilities: capabilities, User: "app", Plugin: mysqlwire.PluginCachingSHA2,
		Answer: make([]byte, 32)}
	return r.Append(nil)
}

// Ensure that every kind of bad packet is answered with an error that says what is wrong, and ends the login.
func TestLoginBadPackets(t *testing.T) {
	request := validRequest()
	ssl := (&mysqlwire.LoginRequest{Capabilities: defaultCapabilities}).AppendSSLRequest(nil)
	for _, row := range []struct {
		name  string
		send  []byte
		code  uint16
		state string
	}{
		{"a header of 16 MiB", []byte{0xFF, 0xFF, 0xFF, 1}, 1153, "08S01"},
		{"a bit too large", mysqlwire.AppendHeader(nil, maxLoginPacket+1, 1), 1153, "08S01"},
		{"HTTP", []byte("GET / HTTP/1.1\r\nHost: db\r\n\r\n"), 1153, "08S01"},
		{"TLS at once", []byte("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"), 1153, "08S01"},
		{"SSH", []byte("SSH-2.0-OpenSSH_9.2p1\r\n"), 1153, "08S01"},
		{"an empty packet", []byte{0, 0, 0, 1}, 1043, "08S01"},
		{"noise", mysqlwire.AppendPacket(nil, 1, bytes.Repeat([]byte{0xFF}, 100)), 1043, "08S01"},
		{"cut", mysqlwire.AppendPacket(nil, 1, request[:40]), 1043, "08S01"},
		{"out of order", mysqlwire.AppendPacket(nil, 0, request), 1156, "08S01"},
		{"TLS where it is not offered", mysqlwire.AppendPacket(nil, 1, ssl), 1043, "08S01"},
		{"no authentication plugins", mysqlwire.AppendPacket(nil, 1, requestWith(defaultCapabilities&^mysqlwire.CapPluginAuth)), 1251, "08004"},
		{"no secure connection", mysqlwire.AppendPacket(nil, 1, requestWith(defaultCapabilities&^mysqlwire.CapSecureConnection)), 1251, "08004"},
		{"before 4.1", mysqlwire.AppendPacket(nil, 1, []byte("\x05\x00\x00\x00\x00app\x00")), 1251, ""},
	} {
		t.Run(row.name, func(t *testing.T) {
			inBubble(t, func(t *testing.T) {
				p := newPrimary()
				c, done := startLogin(t, newAdmission(t, p))
				c.hello()
				go func() { _, _ = c.conn.Write(row.send) }() // a pipe holds nothing: the answer may come before the end
				payload, _, err := mysqlwire.ReadPacket(c.conn, 1<<20)
				if err != nil {
					t.Fatal(err)
				}
				if got := mysqlwire.ParseError(payload); got.Code != row.code || got.State != row.state {
					t.Errorf("got %v", got)
				}
				_ = c.conn.Close()
				mustEnd(t, done, FaultClient)
				if p.tried() != 0 {
					t.Error("the primary was asked")
				}
			})
		})
	}
}

// Ensure that a client which is turned away for what it sends may go on sending for a while, so that it gets to read
// why, but not for ever.
func TestLoginReadsOnAfterTheError(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		c, done := startLogin(t, newAdmission(t, newPrimary()))
		c.hello()
		start := time.Now()
		if _, err := c.conn.Write([]byte{0xFF, 0xFF, 0xFF, 1}); err != nil {
			t.Fatal(err)
		}
		if _, _, err := mysqlwire.ReadPacket(c.conn, 1<<20); err != nil {
			t.Fatal(err)
		}
		if _, err := c.conn.Write(make([]byte, 1<<20)); err != nil {
			t.Fatal(err)
		}
		mustEnd(t, done, FaultClient)
		if got := time.Since(start); got != farewell {
			t.Errorf("it took %v", got)
		}
	})
}

// Ensure that an announced size costs nothing before the bytes are there.
func TestLoginOversizeCostsNoMemory(t *testing.T) {
	a := newAdmission(t, newPrimary())
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for range 100 {
		c, done := startLogin(t, a)
		c.hello()
		if _, err := c.conn.Write([]byte{0xFE, 0xFF, 0xFF, 1}); err != nil {
			t.Fatal(err)
		}
		c.seq = 2
		if got := mysqlwire.ParseError(c.read()); got.Code != 1153 {
			t.Fatalf("got %v", got)
		}
		_ = c.conn.Close()
		mustEnd(t, done, FaultClient)
	}
	runtime.ReadMemStats(&after)
	if got := (after.TotalAlloc - before.TotalAlloc) / 100; got > 64<<10 {
		t.Errorf("%d bytes a login", got)
	}
}

// Ensure that a client which stops in the middle is given up in time, wherever it stops.
func TestLoginSlowClient(t *testing.T) {
	overTLS := (&mysqlwire.LoginRequest{Capabilities: defaultCapabilities | mysqlwire.CapSSL}).AppendSSLRequest(nil)
	whole := mysqlwire.AppendPacket(nil, 1, validRequest())
	for _, row := range []struct {
		name    string
		send    []byte
		answers int // packets that come before the error
		silent  bool
	}{
		{"says nothing", nil, 0, false},
		{"half a header", []byte{40, 0}, 0, false},
		{"half a request", whole[:50], 0, false},
		{"no password", whole, 1, false},
		{"no TLS handshake", mysqlwire.AppendPacket(nil, 1, overTLS), 0, true},
		{"half a TLS handshake", append(mysqlwire.AppendPacket(nil, 1, overTLS), 0x16, 3, 1, 0), 0, true},
	} {
		t.Run(row.name, func(t *testing.T) {
			inBubble(t, func(t *testing.T) {
				a := newAdmission(t, newPrimary())
				a.TLS, a.Timeout = newTLS(t), 3*time.Second
				c, done := startLogin(t, a)
				c.hello()
				start := time.Now()
				if _, err := c.conn.Write(row.send); err != nil {
					t.Fatal(err)
				}
				c.seq = 1 + byte(min(row.answers, 1))
				for range row.answers {
					c.read()
				}
				if !row.silent {
					payload, _, err := mysqlwire.ReadPacket(c.conn, 1<<20)
					if got := mysqlwire.ParseError(payload); err != nil || got.Code != 1159 || got.State != "08S01" {
						t.Errorf("got %v %v", got, err)
					}
				}
				mustEnd(t, done, FaultClient)
				if got := time.Since(start); got != a.Timeout {
					t.Errorf("it took %v", got)
				}
			})
		})
	}
}

// Ensure that a client that says nothing for too long is told so, and not that the proxy stops.
func TestServerTellsASlowClient(t *testing.T) {
	r := startRig(t, rigOptions{options: Options{ConnectTimeout: time.Second}}) // in which the greeting has to come as well
	nc, err := net.Dial("tcp", r.address)
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	c := &rawClient{t: t, conn: nc}
	c.hello()
	if got := mysqlwire.ParseError(c.read()); got.Code != 1159 {
		t.Errorf("got %v", got)
	}
}

// Ensure that a client that does not even read costs no more than the time of a login.
func TestLoginClientDoesNotRead(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		_, done := startLogin(t, newAdmission(t, newPrimary()))
		start := time.Now()
		mustEnd(t, done, FaultClient)
		if got := time.Since(start); got > DefaultConnectTimeout+farewell {
			t.Errorf("it took %v", got)
		}
	})
}

// Ensure that a primary that does not answer is given up in time, and the client told.
func TestLoginSlowPrimary(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		a := newAdmission(t, newPrimary())
		a.Connect = func(ctx context.Context, _ backend.Login) (*backend.Conn, error) {
			<-ctx.Done()
			return nil, ctx.Err()
		}
		mustRefuse(t, a, "open", "", codeUnreachable, FaultBackend)
	})
}

// Ensure that a client that hangs up anywhere is no more than a client that hung up.
func TestLoginClientHangsUp(t *testing.T) {
	whole := mysqlwire.AppendPacket(nil, 1, validRequest())
	for n := range len(whole) {
		inBubble(t, func(t *testing.T) {
			c, done := startLogin(t, newAdmission(t, newPrimary()))
			c.hello()
			if _, err := c.conn.Write(whole[:n]); err != nil {
				t.Fatal(err)
			}
			_ = c.conn.Close()
			e := mustEnd(t, done, FaultClient)
			if e.Sent != nil || !errors.Is(e, io.EOF) && !errors.Is(e, io.ErrUnexpectedEOF) {
				t.Errorf("after %d bytes: %v", n, e)
			}
		})
	}
}

// Ensure that what comes in place of an encrypted password is a wrong password.
func TestLoginBadCipher(t *testing.T) {
	for _, cipher := range [][]byte{{}, {0}, []byte("secret\x00"), make([]byte, 256), bytes.Repeat([]byte{0xFF}, 256), make([]byte, 4096)} {
		for _, askKey := range []bool{false, true} {
			inBubble(t, func(t *testing.T) {
				p := newPrimary()
				c, done := startLogin(t, newAdmission(t, p))
				c.hello()
				c.write(validRequest())
				c.read()
				if askKey {
					c.write([]byte{mysqlwire.RequestKey})
					c.read()
				}
				c.write(cipher)
				if got := mysqlwire.ParseError(c.read()); got.Code != 1045 || got.Message != "Access denied for user 'app'@'pipe' (using password: YES)" {
					t.Errorf("%d bytes: got %v", len(cipher), got)
				}
				mustEnd(t, done, FaultClient)
				if p.tried() != 0 {
					t.Error("the primary was asked")
				}
			})
		}
	}
}

// Ensure that a key that cannot be made is our fault and nobody else's.
func TestLoginWithoutKey(t *testing.T) {
	for name, key := range map[string]func() (*rsa.PrivateKey, error){
		"none":   nil,
		"broken": func() (*rsa.PrivateKey, error) { return nil, errors.New("no entropy") },
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T) {
				a := newAdmission(t, newPrimary())
				a.Key = key
				mustRefuse(t, a, "app", "secret", 1105, FaultProxy)
				c, done := startLogin(t, a)
				c.hello()
				c.write(validRequest())
				c.read()
				c.write(make([]byte, 256))
				if got := mysqlwire.ParseError(c.read()); got.Code != 1105 {
					t.Errorf("got %v", got)
				}
				mustEnd(t, done, FaultProxy)
			})
		})
	}
}

func TestChangeUserMalformed(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		a := newAdmission(t, newPrimary())
		c, client := mustLogin(t, a, "app", "secret")
		done := make(chan error, 1)
		go func() {
			_, err := a.ChangeUser(context.Background(), client, []byte{0x11, 'a'}, 0)
			done <- err
		}()
		c.seq = 1
		if got := mysqlwire.ParseError(c.read()); got.Code != 1043 {
			t.Errorf("got %v", got)
		}
		_ = c.conn.Close()
		if err := <-done; err == nil {
			t.Error("no error")
		}
	})
}

// FuzzLogin sends anything at all in place of a client. Nobody gets in whom the primary did not let in, and nothing
// stays behind: the bubble fails on a goroutine that does.
func FuzzLogin(f *testing.F) {
	ssl := (&mysqlwire.LoginRequest{Capabilities: defaultCapabilities | mysqlwire.CapSSL}).AppendSSLRequest(nil)
	whole := mysqlwire.AppendPacket(nil, 1, validRequest())
	native := mysqlwire.LoginRequest{Capabilities: defaultCapabilities, User: "app", Plugin: mysqlwire.PluginNative}
	open := mysqlwire.LoginRequest{Capabilities: defaultCapabilities, User: "open", Plugin: mysqlwire.PluginCachingSHA2}
	f.Add([]byte{})
	f.Add([]byte{0xFF, 0xFF, 0xFF, 1})
	f.Add(mysqlwire.AppendPacket(bytes.Clone(whole), 3, []byte{mysqlwire.RequestKey}))
	f.Add(mysqlwire.AppendPacket(mysqlwire.AppendPacket(bytes.Clone(whole), 3, []byte{mysqlwire.RequestKey}), 5, make([]byte, 256)))
	f.Add(mysqlwire.AppendPacket(mysqlwire.AppendPacket(nil, 1, native.Append(nil)), 3, make([]byte, 20)))
	f.Add(mysqlwire.AppendPacket(nil, 1, open.Append(nil)))
	f.Add(append(mysqlwire.AppendPacket(nil, 1, ssl), "\x16\x03\x01\x00\x05\x01\x00\x00\x01\x03"...))
	if _, err := testKey(); err != nil {
		f.Fatal(err)
	}
	certificate := newTLS(f)
	f.Fuzz(func(t *testing.T, data []byte) {
		synctest.Test(t, func(t *testing.T) {
			p := newPrimary()
			a := newAdmission(t, p, backend.Account{User: "app", Password: "secret"})
			a.TLS = certificate
			c, done := startLogin(t, a)
			go func() {
				_, _ = c.conn.Write(data) // our side may hang up before the end
				_ = c.conn.Close()
			}()
			go func() { _, _ = io.Copy(io.Discard, c.conn) }()
			o := <-done
			if o.client != nil {
				_ = o.client.Close()
			}
			var e *LoginError
			if (o.client == nil) == (o.err == nil) || o.err != nil && !errors.As(o.err, &e) {
				t.Fatalf("got %+v %v", o.client, o.err)
			}
			if want := min(1, p.open); (o.client != nil) != (want == 1) {
				t.Fatalf("%d connections to the primary, client %v", p.open, o.client)
			}
		})
	})
}

// Ensure that nothing which was sent in the clear counts as sent over TLS, where somebody in between could slip it in.
func TestLoginPlaintextBehindTLSRequest(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		p := newPrimary()
		a := newAdmission(t, p)
		a.TLS = newTLS(t)
		c, done := startLogin(t, a)
		c.hello()
		ssl := mysqlwire.LoginRequest{Capabilities: defaultCapabilities}
		open := mysqlwire.LoginRequest{Capabilities: defaultCapabilities | mysqlwire.CapSSL, User: "open", Plugin: c.plugin}
		go func() {
			sent := mysqlwire.AppendPacket(nil, 1, ssl.AppendSSLRequest(nil))
			_, _ = c.conn.Write(mysqlwire.AppendPacket(sent, 2, open.Append(nil)))
		}()
		go func() { _, _ = io.Copy(io.Discard, c.conn) }()
		mustEnd(t, done, FaultClient)
		_ = c.conn.Close()
		if p.tried() != 0 {
			t.Error("the primary was asked")
		}
	})
}
