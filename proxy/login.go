package proxy

import (
	"bytes"
	"context"
	"crypto/rsa"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/netip"
	"time"

	"github.com/go-mysql-org/go-mysql/mysql"

	"github.com/stickyproxy/stickyproxy/backend"
	"github.com/stickyproxy/stickyproxy/mysqlwire"
)

const (
	// DefaultConnectTimeout is MySQL's connect_timeout.
	DefaultConnectTimeout = 10 * time.Second

	// maxLoginPacket bounds one packet of a client that is not logged in, bytes. Connection attributes are the only part
	// of a login that may be long; servers take at most 64 KiB of them.
	maxLoginPacket = 64 << 10

	// farewell is how long a client that is turned away may take to read why.
	farewell = time.Second
	// maxUnread is how much of what it still sends is read, so that closing does not destroy the error on its way.
	maxUnread = 32 << 20
)

// Admission lets clients in: it is the server's side of their login. There is no list of users to keep: what a client
// proves is proved to the primary, by logging in there as that client. Towards the client this is
// caching_sha2_password, whatever the account's plugin on the server is, because it is the one that hands the password
// over, protected, when it has to and not when it need not.
//
// One value serves all clients; its fields are not changed after the first login. Safe for concurrent use.
type Admission struct {
	Accounts    *Accounts                                                   // passwords known already
	TLS         *tls.Config                                                 // nil: TLS is not offered
	TLSRequired bool                                                        // turn clients away that do not use TLS; a unix socket is as good
	Timeout     time.Duration                                               // for the whole login; 0 is DefaultConnectTimeout
	ProxyFrom   []netip.Prefix                                              // who may say, by the PROXY protocol, for whom a connection is
	Key         func() (*rsa.PrivateKey, error)                             // see RSAKey; nil: no passwords over plain TCP
	Connect     func(context.Context, backend.Login) (*backend.Conn, error) // logs in to the primary

	// Relay logs in to the primary with a client's answer of mysql_native_password to the greeting's salt; nil: nobody
	// could check that. See [backend.Reached.Relay] for its errors.
	Relay func(ctx context.Context, l backend.Login, answer []byte) (*backend.Conn, error)

	patience *patience // nil: who guesses passwords may do so as fast as he can
}

// Hello is what a client is greeted with.
type Hello struct {
	ConnectionID uint32               // of this client
	Version      string               // the primary's, as it announces it itself: drivers switch on it
	Capabilities mysqlwire.Capability // the primary's, as it announces them
	Collation    byte                 // the low byte of the primary's default collation
	Salt         []byte               // that the client answers to; nil: one of our own
}

// Client is a client that was let in.
type Client struct {
	net.Conn                          // what the dialogue goes on with: the accepted connection, TLS or compression over it; without deadline
	Capabilities mysqlwire.Capability // negotiated with the client
	MaxPacket    uint32               // the largest packet it takes, bytes; 0 = it did not say
	Login        backend.Login        // how to log in to a server as this client: user, password, schema, attributes ...
	Primary      *backend.Conn        // logged in as this client; the caller's, who closes it
	Salt         []byte               // of the greeting: a COM_CHANGE_USER answers to it again
	Relayed      bool                 // nobody but the client knows its password: no other server can be logged in to
}

// Login leads a client that has just connected through its login, up to the OK packet. The client's connection is the
// caller's to close, also when an error is returned, which is a *LoginError: the client has been told by then. Ctx
// ends a login early.
func (a *Admission) Login(ctx context.Context, nc net.Conn, h Hello) (*Client, error) {
	salt := h.Salt
	if len(salt) != mysqlwire.SaltSize {
		salt = mysqlwire.NewSalt()
	}
	l := a.begin(ctx, nc, salt)
	c, err := l.finish(l.run(h))
	if err != nil {
		return nil, err
	}
	c.Conn = mysqlwire.Compress(c.Conn, c.Capabilities, l.zstdLevel) // the OK packet was the last one without
	return c, nil
}

// ChangeUser answers a COM_CHANGE_USER, whose payload and sequence number are given, with the same dialogue about the
// password as a login has. The new Client has the connection of the old one. Whether its Primary is that of the old
// one, which is still the caller's to close, is up to Connect. After an error the client is told, and is to be
// disconnected.
func (a *Admission) ChangeUser(ctx context.Context, c *Client, payload []byte, seq byte) (*Client, error) {
	l := a.begin(ctx, c.Conn, c.Salt)
	l.secure = l.secure || c.Login.TLS // compression hides it
	l.seq = seq + 1
	return l.finish(l.runAgain(c, payload))
}

// login is one login while it goes on. It belongs to the goroutine of its client.
type login struct {
	*Admission
	parent context.Context // its end is the proxy's
	ctx    context.Context // of this login alone
	cancel func()
	stop   func() bool // ends the watch over parent
	conn   net.Conn
	out    []byte // packets to send before the next one is read
	ahead  []byte // what was read of the next packet of the client already
	seq    byte   // of the next packet, in either direction
	salt   []byte
	secure bool    // nobody can listen: TLS or a unix socket
	client *Client // on its own: it outlives the login

	plugin string // of the answer
	answer []byte

	zstdLevel byte
}

// begin starts the clock. The client's connection gets a deadline, and a past one when ctx ends.
func (a *Admission) begin(ctx context.Context, nc net.Conn, salt []byte) *login {
	timeout := a.Timeout
	if timeout <= 0 {
		timeout = DefaultConnectTimeout
	}
	l := &login{Admission: a, parent: ctx, conn: nc, salt: salt, client: &Client{}}
	_, overTLS := nc.(*tls.Conn)
	l.secure = overTLS || isUnix(nc)
	_ = nc.SetDeadline(time.Now().Add(timeout)) // an error shows in the first write
	l.stop = context.AfterFunc(ctx, func() { _ = nc.SetDeadline(time.Unix(1, 0)) })
	l.ctx, l.cancel = context.WithTimeout(ctx, timeout)
	return l
}

func isUnix(nc net.Conn) bool {
	a := nc.LocalAddr()
	return a != nil && a.Network() == "unix"
}

// finish ends the login, good or bad.
func (l *login) finish(failed *LoginError) (*Client, error) {
	defer l.cancel()
	stopped := !l.stop()
	if p := l.client.Primary; failed == nil && !p.Capabilities.Has(l.client.Capabilities&mysqlwire.CapResultForm) {
		_ = p.Conn.Close() // another primary than the one that the greeting was of
		failed = &LoginError{Fault: FaultBackend, Err: errOlder, Sent: errUnreachable}
	}
	if failed == nil {
		failed = l.welcome(stopped)
	}
	if failed == nil {
		return l.client, nil
	}
	failed.User = l.client.Login.User
	if failed.denied && l.patience != nil {
		l.patience.failed(l.parent, origin(l.conn))
	}
	l.turnAway(failed)
	return nil, failed
}

// welcome sends the OK packet. It names the warnings, the status flags that say how statements read, the system variables of
// which the server's told, and the schema, and nothing that the server's login may have brought besides. (MariaDB's from 11.4
// on brings what proves the server's certificate to who knows the password: ours is another one.)
func (l *login) welcome(stopped bool) *LoginError {
	const flags = mysqlwire.StatusAutocommit | mysqlwire.Status(mysql.SERVER_STATUS_NO_BACKSLASH_ESCAPED)
	primary := l.client.Primary
	ok := mysqlwire.OK{Status: primary.Status & flags, Warnings: primary.Warnings}
	tracking := trackingOf(primary.Variables, primary.MariaDB)
	if session := primary.Told + string(tracking.atFirst(l.client.Login.Schema)); session != "" {
		ok.Session = []byte(session)
		ok.Status |= mysqlwire.StatusStateChanged
	}
	primary.Told = "" // who is idle later needs no memory for it
	l.queue(ok.Append(nil, false, l.client.Capabilities.Has(mysqlwire.CapSessionTrack)))
	err := l.flush()
	if err == nil && !stopped {
		err = l.conn.SetDeadline(time.Time{})
	}
	if err == nil && !stopped {
		l.client.Conn, l.client.Salt = l.conn, l.salt
		return nil
	}
	_ = l.client.Primary.Conn.Close()
	if stopped {
		return &LoginError{Fault: FaultProxy, Err: errStopping}
	}
	return &LoginError{Fault: FaultClient, Err: err}
}

// turnAway tells the client why. Then it reads for a moment what the client still sends, if there is reason to
// believe that it does: closing a connection with unread bytes makes the kernel throw away the error too.
func (l *login) turnAway(e *LoginError) {
	if e.Sent == nil {
		return
	}
	_ = l.conn.SetDeadline(time.Now().Add(farewell))
	l.queue(e.Sent.Append(nil))
	if err := l.flush(); err != nil || !e.unread {
		return
	}
	if c, ok := l.conn.(interface{ CloseWrite() error }); ok {
		_ = c.CloseWrite()
	}
	_, _ = io.CopyN(io.Discard, l.conn, maxUnread)
}

// run is the login from its first packet to the primary's consent.
func (l *login) run(h Hello) *LoginError {
	offered := h.Capabilities.Announced(l.TLS != nil)
	l.greet(h, offered)
	if failed := l.preamble(); failed != nil {
		return failed
	}
	r, failed := l.request(offered)
	if failed != nil {
		return failed
	}
	l.client.Login.User = r.User
	l.client.MaxPacket = r.MaxPacket
	l.zstdLevel = r.ZstdLevel
	l.client.Capabilities = r.Capabilities & offered
	if failed := l.check(&r); failed != nil {
		return failed
	}
	_, overTLS := l.conn.(*tls.Conn)
	l.client.Login = backend.Login{
		User: r.User, Schema: r.Schema, Collation: uint16(r.Collation), Capabilities: l.client.Capabilities,
		Attributes: r.Attributes, TLS: overTLS, From: backend.Peer{Remote: l.conn.RemoteAddr(), Local: l.conn.LocalAddr()},
	}
	l.answered(r.Plugin, r.Answer)
	return l.authenticate()
}

// answered notes the client's first answer.
func (l *login) answered(plugin string, answer []byte) {
	if !l.canSwitch() {
		plugin = mysqlwire.PluginNative // the only one before there were others to choose from
	}
	l.plugin, l.answer = plugin, answer
}

// runAgain is run for a client that is in already and wants to be somebody else.
func (l *login) runAgain(c *Client, payload []byte) *LoginError {
	u, err := mysqlwire.ParseChangeUser(payload, c.Capabilities)
	if err != nil {
		return malformed(err)
	}
	changed := *c
	l.client = &changed
	l.client.Primary, l.client.Relayed = nil, false
	l.client.Login = backend.Login{
		User: u.User, Schema: u.Schema, Collation: u.Collation, Capabilities: c.Capabilities,
		Attributes: u.Attributes, TLS: c.Login.TLS, From: c.Login.From,
	}
	l.answered(u.Plugin, u.Answer)
	if l.plugin == mysqlwire.PluginCachingSHA2 && mysqlwire.IsEmptyAnswer(l.answer) && l.canSwitch() {
		if failed := l.switchTo(pluginOf(c.Primary)); failed != nil {
			return failed
		}
	}
	return l.authenticate()
}

// pluginOf is the plugin that a client is asked to answer by which has left out its answer to a change of user, because a
// server would not look at it: the library of MySQL always does, and a client of MariaDB may, which has no such plugin as
// the greeting's.
// https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_com_change_user.html
// https://mariadb.com/kb/en/com_change_user/
func pluginOf(primary *backend.Conn) string {
	if primary != nil && primary.MariaDB {
		return mysqlwire.PluginNative
	}
	return mysqlwire.PluginCachingSHA2
}

// greet sends the first packet.
func (l *login) greet(h Hello, offered mysqlwire.Capability) {
	g := mysqlwire.Greeting{
		Version: h.Version, ConnectionID: h.ConnectionID, Salt: l.salt, Capabilities: offered, Collation: h.Collation,
		Status: mysqlwire.StatusAutocommit, Plugin: mysqlwire.PluginCachingSHA2,
	}
	l.queue(g.Append(nil))
}

// request reads the login request, through TLS if the client asks for it.
func (l *login) request(offered mysqlwire.Capability) (mysqlwire.LoginRequest, *LoginError) {
	for {
		payload, failed := l.read()
		if failed != nil {
			return mysqlwire.LoginRequest{}, failed
		}
		if mysqlwire.IsSSLRequest(payload) {
			if failed := l.startTLS(); failed != nil {
				return mysqlwire.LoginRequest{}, failed
			}
			continue
		}
		r, err := mysqlwire.ParseLoginRequest(payload, offered)
		if err != nil {
			return r, malformed(err)
		}
		return r, nil
	}
}

// startTLS goes on over TLS. What the client sent before is read to the last byte, and not a byte further: nothing
// that came in the clear can count as sent over TLS.
func (l *login) startTLS() *LoginError {
	if _, already := l.conn.(*tls.Conn); already || l.TLS == nil {
		return malformed(errTLSAgain)
	}
	conn := tls.Server(l.conn, l.TLS)
	if err := conn.Handshake(); err != nil {
		failed := ioFault(l.parent, err)
		failed.Sent = nil // it would not be understood in the midst of a TLS handshake
		return failed
	}
	l.conn, l.secure = conn, true
	return nil
}

// check turns away who cannot or may not log in, whatever the password is.
func (l *login) check(r *mysqlwire.LoginRequest) *LoginError {
	const needed = mysqlwire.CapProtocol41 | mysqlwire.CapSecureConnection
	if !r.Capabilities.Has(needed) {
		failed := tooOld()
		if !r.Capabilities.Has(mysqlwire.CapProtocol41) {
			failed.Sent.State = "" // before 4.1 there was none in the packet
		}
		return failed
	}
	if l.TLSRequired && !l.secure {
		return clientFault(errInsecure, codeInsecure, textInsecure)
	}
	return nil
}

// tooOld is the error of a client that cannot prove its password in a way that we could check.
func tooOld() *LoginError {
	return clientFault(errOld, mysql.ER_NOT_SUPPORTED_AUTH_MODE, textOldClient)
}

// queue puts a packet out, to be sent with the next flush or before the next read.
func (l *login) queue(payload []byte) {
	l.out = mysqlwire.AppendPacket(l.out, l.seq, payload)
	l.seq++
}

func (l *login) flush() error {
	if len(l.out) == 0 {
		return nil
	}
	n, err := l.conn.Write(l.out)
	if n == 0 {
		l.seq = l.out[3] // nothing was sent, because the time is over: what says so comes first
	}
	l.out = nil
	return err
}

// read sends what is queued and reads the client's next packet.
func (l *login) read() ([]byte, *LoginError) {
	if err := l.flush(); err != nil {
		return nil, ioFault(l.parent, err)
	}
	payload, seq, err := mysqlwire.ReadPacket(io.MultiReader(bytes.NewReader(l.ahead), l.conn), maxLoginPacket)
	l.ahead = nil
	if err != nil {
		if errors.Is(err, mysqlwire.ErrTooLarge) {
			l.seq = seq + 1
		}
		return nil, ioFault(l.parent, err)
	}
	inOrder := seq == l.seq
	l.seq = seq + 1
	if !inOrder {
		failed := clientFault(errOrder, mysql.ER_NET_PACKETS_OUT_OF_ORDER, textOutOfOrder)
		failed.unread = true
		return nil, failed
	}
	return payload, nil
}
