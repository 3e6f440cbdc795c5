package proxy

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stickyproxy/stickyproxy/backend"
	"github.com/stickyproxy/stickyproxy/mysqlwire"
)

// everything is what a primary announces that can do all there is.
const everything = ^mysqlwire.Capability(0)

// testKey is made once, because making it takes longer than any test. Call it outside of a synctest bubble first.
var testKey = RSAKey()

// fakePrimary lets in who has the right password.
type fakePrimary struct {
	mu        sync.Mutex
	passwords map[string]string
	refuse    error           // instead of an answer to the password, if not nil
	logins    []backend.Login // that were tried
	open      int             // connections that were not closed
}

func (p *fakePrimary) connect(ctx context.Context, l backend.Login) (*backend.Conn, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.logins = append(p.logins, l)
	if p.refuse != nil {
		return nil, p.refuse
	}
	if want, ok := p.passwords[l.User]; !ok || want != l.Password {
		return nil, mysqlwire.NewError(1045, "Access denied for user '%s'@'as.seen.from.the.primary'", l.User)
	}
	p.open++
	return &backend.Conn{Conn: fakeConn{p: p}, Status: mysqlwire.StatusAutocommit | mysqlwire.StatusStateChanged | noIndexUsed}, ctx.Err()
}

func (p *fakePrimary) tried() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.logins)
}

func (p *fakePrimary) set(user, password string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.passwords[user] = password
}

func (p *fakePrimary) fail(err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.refuse = err
}

// noIndexUsed is a status flag of one statement, which is none of a client's business at login.
const noIndexUsed mysqlwire.Status = 0x20

// fakeConn is a connection that is only ever closed.
type fakeConn struct {
	net.Conn
	p *fakePrimary
}

func (c fakeConn) Write(b []byte) (int, error)      { return len(b), nil }
func (c fakeConn) SetDeadline(time.Time) error      { return nil }
func (c fakeConn) SetWriteDeadline(time.Time) error { return nil }

func (c fakeConn) Close() error {
	c.p.mu.Lock()
	defer c.p.mu.Unlock()
	c.p.open--
	return nil
}

func newPrimary() *fakePrimary {
	return &fakePrimary{passwords: map[string]string{"app": "secret", "open": ""}}
}

func newAdmission(t testing.TB, p *fakePrimary, listed ...backend.Account) *Admission {
	t.Helper()
	if _, err := testKey(); err != nil {
		t.Fatal(err)
	}
	accounts, err := NewAccounts(listed, 10)
	if err != nil {
		t.Fatal(err)
	}
	return &Admission{Accounts: accounts, Key: testKey, Connect: p.connect}
}

func newTLS(t testing.TB) *tls.Config {
	t.Helper()
	certificate, err := SelfSigned()
	if err != nil {
		t.Fatal(err)
	}
	return ServerTLS(certificate, nil)
}

// outcome is how a login ended on our side.
type outcome struct {
	client *Client
	err    error
}

// startLogin serves one login at the other end of a pipe. It is over when the channel gives an outcome. Our end is
// closed after a login that failed, as its owner would do.
func startLogin(t testing.TB, a *Admission) (*rawClient, <-chan outcome) {
	t.Helper()
	ours, theirs := net.Pipe()
	done := make(chan outcome, 1)
	go func() {
		client, err := a.Login(context.Background(), ours, Hello{ConnectionID: 7, Version: "9.7.4", Capabilities: everything, Collation: 255})
		if err != nil {
			_ = ours.Close()
		}
		done <- outcome{client, err}
	}()
	t.Cleanup(func() { _ = ours.Close(); _ = theirs.Close() })
	return &rawClient{t: t, conn: theirs, capabilities: defaultCapabilities}, done
}

const defaultCapabilities = mysqlwire.CapProtocol41 | mysqlwire.CapSecureConnection | mysqlwire.CapPluginAuth |
	mysqlwire.CapLongPassword | mysqlwire.CapConnectAttrs | mysqlwire.CapSessionTrack | mysqlwire.CapDeprecateEOF

// rawClient is a client that keeps what the server said.
type rawClient struct {
	t            testing.TB
	conn         net.Conn
	seq          byte
	capabilities mysqlwire.Capability
	plugin       string // of the first answer, "" is the one that is offered
	noAnswer     bool   // the first answer is empty, as of a client that prefers another plugin than the one offered
	schema       string
	attributes   []byte
	salt         []byte
	secure       bool
	heard        [][]byte // payloads after the greeting
	greeting     mysqlwire.Greeting
}

func (c *rawClient) read() []byte {
	c.t.Helper()
	payload, seq, err := mysqlwire.ReadPacket(c.conn, 1<<20)
	if err != nil {
		c.t.Fatalf("client: %v", err)
	}
	if seq != c.seq {
		c.t.Fatalf("client: packet %d, expected %d", seq, c.seq)
	}
	c.seq++
	return payload
}

func (c *rawClient) write(payload []byte) {
	c.t.Helper()
	if _, err := c.conn.Write(mysqlwire.AppendPacket(nil, c.seq, payload)); err != nil {
		c.t.Fatalf("client: %v", err)
	}
	c.seq++
}

func (c *rawClient) hello() {
	c.t.Helper()
	g, err := mysqlwire.ParseGreeting(c.read())
	if err != nil {
		c.t.Fatal(err)
	}
	c.greeting, c.salt = g, g.Salt
	if c.plugin == "" {
		c.plugin = g.Plugin
	}
}

func (c *rawClient) startTLS() {
	c.t.Helper()
	c.capabilities |= mysqlwire.CapSSL
	r := mysqlwire.LoginRequest{Capabilities: c.capabilities}
	c.write(r.AppendSSLRequest(nil))
	conn := tls.Client(c.conn, &tls.Config{InsecureSkipVerify: true})
	if err := conn.Handshake(); err != nil {
		c.t.Fatal(err)
	}
	c.conn, c.secure = conn, true
}

// login is the whole dialogue of an honest client. A nil error is an OK.
func (c *rawClient) login(user, password string) *mysqlwire.Error {
	c.t.Helper()
	if c.greeting.Version == "" {
		c.hello()
	}
	r := mysqlwire.LoginRequest{Capabilities: c.capabilities, MaxPacket: 1 << 24, Collation: 45, User: user, Schema: c.schema,
		Plugin: c.plugin, Attributes: c.attributes}
	if !c.noAnswer {
		r.Answer = c.answer(password)
	}
	c.write(r.Append(nil))
	return c.goOn(password)
}

func (c *rawClient) answer(password string) []byte {
	if c.plugin == mysqlwire.PluginNative {
		return mysqlwire.ScrambleNative(c.salt, password)
	}
	return mysqlwire.ScrambleCachingSHA2(c.salt, password)
}

// goOn answers until the server has decided.
func (c *rawClient) goOn(password string) *mysqlwire.Error {
	c.t.Helper()
	for {
		p := c.read()
		c.heard = append(c.heard, p)
		more, isMore := mysqlwire.ParseAuthMore(p)
		switch {
		case p[0] == 0xFF:
			return mysqlwire.ParseError(p)
		case p[0] == 0x00:
			return nil
		case mysqlwire.IsAuthSwitch(p):
			s, err := mysqlwire.ParseAuthSwitch(p)
			if err != nil {
				c.t.Fatal(err)
			}
			c.plugin, c.salt = s.Plugin, s.Salt
			c.write(c.answer(password))
		case isMore && len(more) == 1 && more[0] == mysqlwire.FastAuthOK:
		case isMore && len(more) == 1 && more[0] == mysqlwire.FullAuth && c.secure:
			c.write(mysqlwire.AppendClearPassword(nil, password))
		case isMore && len(more) == 1 && more[0] == mysqlwire.FullAuth:
			c.write([]byte{mysqlwire.RequestKey})
		case isMore:
			key, err := mysqlwire.ParsePublicKey(more)
			if err != nil {
				c.t.Fatal(err)
			}
			cipher, err := mysqlwire.EncryptPassword(password, c.salt, key)
			if err != nil {
				c.t.Fatal(err)
			}
			c.write(cipher)
		default:
			c.t.Fatalf("client: unexpected packet %x", p)
		}
	}
}

// inBubble runs a test where time is its own and a goroutine that stays behind is a failure.
func inBubble(t *testing.T, test func(t *testing.T)) {
	t.Helper()
	if _, err := testKey(); err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, test)
}

func mustLogin(t testing.TB, a *Admission, user, password string, prepare ...func(*rawClient)) (*rawClient, *Client) {
	t.Helper()
	c, done := startLogin(t, a)
	for _, p := range prepare {
		p(c)
	}
	if refused := c.login(user, password); refused != nil {
		t.Fatalf("%s: %v", user, refused)
	}
	o := <-done
	if o.err != nil {
		t.Fatalf("%s: %v", user, o.err)
	}
	return c, o.client
}

// mustRefuse is a login that fails, with this error for the client and this fault.
func mustRefuse(t testing.TB, a *Admission, user, password string, code uint16, fault Fault, prepare ...func(*rawClient)) *rawClient {
	t.Helper()
	c, done := startLogin(t, a)
	for _, p := range prepare {
		p(c)
	}
	refused := c.login(user, password)
	if refused == nil || refused.Code != code {
		t.Fatalf("%s: got %v, want error %d", user, refused, code)
	}
	mustEnd(t, done, fault)
	return c
}

// mustEnd waits for our side of a login that failed.
func mustEnd(t testing.TB, done <-chan outcome, fault Fault) *LoginError {
	t.Helper()
	o := <-done
	var e *LoginError
	if !errors.As(o.err, &e) || e.Fault != fault || o.client != nil {
		t.Fatalf("got %v (%+v), want a fault of the %v", o.err, e, fault)
	}
	return e
}

// steps is the kinds of packets that a client heard after the greeting, for comparing dialogues.
func steps(c *rawClient) string {
	var s string
	for _, p := range c.heard {
		more, isMore := mysqlwire.ParseAuthMore(p)
		switch {
		case isMore && len(more) == 1 && more[0] == mysqlwire.FastAuthOK:
			s += "fast "
		case isMore && len(more) == 1:
			s += "full "
		case isMore:
			s += "key "
		case mysqlwire.IsAuthSwitch(p):
			s += "switch "
		case p[0] == 0xFF:
			s += "error"
		default:
			s += "ok"
		}
	}
	return s
}

func wantSteps(t testing.TB, c *rawClient, want string) {
	t.Helper()
	if got := steps(c); got != want {
		t.Errorf("got steps %q, want %q", got, want)
	}
}
