package backend

import (
	"bytes"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"fmt"
	"net"

	"github.com/stickyproxy/stickyproxy/mysqlwire"
)

// Login is what a connection to a server is opened with.
type Login struct {
	User, Password, Schema string
	Collation              uint16               // id of the connection's collation; above 255 it takes a SET NAMES after the login
	Capabilities           mysqlwire.Capability // as negotiated with the client; what the server does not have is left out
	Attributes             []byte               // connection attributes, a block as [mysqlwire.Attributes] reads it; nil: none
	TLS                    bool                 // the client came over TLS: the server is reached over TLS if it can
	From                   Peer                 // the client; zero for a login of our own
}

// Peer is the connection of a client, as it concerns servers.
type Peer struct {
	Remote net.Addr // the client's own address; nil: there is no client
	Local  net.Addr // that it connected to
}

const (
	// maxLoginPacket bounds what a server may send in one packet of the login: the largest thing is a certificate-sized
	// public key.
	maxLoginPacket = 64 << 10
	// maxLoginTurns bounds how often a server may ask for more; the longest honest dialogue has four turns.
	maxLoginTurns = 10
)

var (
	errProtocol = errors.New("the server does not speak the MySQL protocol")
	errTooOld   = errors.New("the server is older than MySQL 4.1")
	errNoTLS    = errors.New("TLS is required but the server does not offer it")
	errEarly    = errors.New("the server sent more than was asked for")
	errTurns    = errors.New("the server asks on and on for the password")
)

// dialogue is one login while it goes on. Nobody else uses its connection.
type dialogue struct {
	server   *Server
	conn     net.Conn // plain, then TLS
	reader   reader
	login    Login
	greeting mysqlwire.Greeting
	caps     mysqlwire.Capability
	seq      byte // of the next packet that we send
	secure   bool // nobody listens on the way: TLS or a unix socket
	plugin   string
	salt     []byte
	unknown  string // plugin that we left without an answer
	relayed  []byte // the client's answer to the greeting's salt, in place of one of ours; nil: none

	relayedTo []byte // the salt that it answers, where that may be asked for once more

	refusal bool // the server has ended it with an ERR
}

// logIn goes on behind the greeting. The connection is the caller's to close when that fails.
func (d *dialogue) logIn(l Login) (*Conn, error) {
	d.login = l
	if err := d.request(); err != nil {
		return nil, err
	}
	ok, err := d.prove()
	if err != nil {
		return nil, err
	}
	return newConn(d, ok), d.reader.empty()
}

// read reads the server's next packet. An ERR in any place ends the login.
func (d *dialogue) read() ([]byte, error) {
	p, seq, err := d.reader.packet(maxLoginPacket)
	if err != nil {
		return nil, err
	}
	d.seq = seq + 1
	return p, nil
}

// write sends one packet.
func (d *dialogue) write(payload []byte) error {
	_, err := d.conn.Write(mysqlwire.AppendPacket(nil, d.seq, payload))
	return err
}

// readGreeting reads the first packet and agrees on what the connection can do.
func (d *dialogue) readGreeting() error {
	p, err := d.read()
	if err != nil {
		return err
	}
	g, err := mysqlwire.ParseGreeting(p)
	if err != nil {
		return err
	}
	const needed = mysqlwire.CapProtocol41 | mysqlwire.CapSecureConnection
	if !g.Capabilities.Has(needed) {
		return errTooOld
	}
	d.greeting, d.plugin, d.salt = g, g.Plugin, g.Salt
	if d.plugin == "" {
		d.plugin = mysqlwire.PluginNative
	}
	d.server.greeting.Store(&Greeting{Version: g.Version, Capabilities: g.Capabilities, Collation: g.Collation})
	return d.reader.empty() // nothing may come before we answer; least of all before TLS
}

// request answers the greeting: who we are and the first proof of the password.
func (d *dialogue) request() error {
	r := mysqlwire.LoginRequest{
		Capabilities: d.wanted(), MaxPacket: mysqlwire.MaxFrame, Collation: byte(d.login.Collation),
		User: d.login.User, Schema: d.login.Schema, Attributes: d.login.Attributes,
	}
	if d.login.Collation > 255 {
		r.Collation = d.greeting.Collation
	}
	if r.Capabilities.Has(mysqlwire.CapSSL) {
		if err := d.startTLS(r.AppendSSLRequest(nil)); err != nil {
			return err
		}
	} else if d.server.cfg.TLS.Mode.must() {
		return errNoTLS
	}
	if !canAnswer(d.plugin) || d.relayed != nil {
		d.plugin = mysqlwire.PluginNative // the server asks again for what the account needs
	}
	answer, err := d.firstAnswer()
	if errors.Is(err, errNotSecure) {
		answer, err = nil, nil // this is only the server's default: the account may need something else
	}
	if err != nil {
		return err
	}
	r.Answer, r.Plugin = answer, d.plugin
	d.caps = r.Capabilities
	return d.write(r.Append(nil))
}

// wanted is the capabilities to ask for: the client's and ours, of those that the server has.
func (d *dialogue) wanted() mysqlwire.Capability {
	c := d.login.Capabilities.ForServer()
	if d.login.Schema != "" {
		c |= mysqlwire.CapConnectWithDB
	}
	if len(d.login.Attributes) > 0 {
		c |= mysqlwire.CapConnectAttrs
	}
	if d.server.cfg.TLS.Mode.wants(d.login) {
		c |= mysqlwire.CapSSL
	}
	return c & d.greeting.Capabilities
}

// startTLS goes on over TLS.
func (d *dialogue) startTLS(request []byte) error {
	if err := d.write(request); err != nil {
		return err
	}
	t := tls.Client(d.conn, d.server.tls)
	if err := t.Handshake(); err != nil {
		return fmt.Errorf("TLS: %w", err)
	}
	d.conn, d.secure = t, true
	d.reader.Reset(t)
	d.seq++
	return nil
}

// prove goes on about the password until the server is content, and returns its OK.
func (d *dialogue) prove() (mysqlwire.OK, error) {
	for range maxLoginTurns {
		p, err := d.read()
		if err != nil {
			return mysqlwire.OK{}, err
		}
		switch p[0] {
		case headerOK:
			if d.unknown != "" {
				return mysqlwire.OK{}, needsItsClient(d.unknown) // nobody has proved anything
			}
			return mysqlwire.ParseOK(p, d.caps.Has(mysqlwire.CapSessionTrack))
		case headerERR:
			d.refusal = true
			return mysqlwire.OK{}, d.refused(mysqlwire.ParseError(p))
		}
		if err := d.goOn(p); err != nil {
			return mysqlwire.OK{}, err
		}
	}
	if d.unknown != "" {
		return mysqlwire.OK{}, needsItsClient(d.unknown)
	}
	return mysqlwire.OK{}, errTurns
}

// goOn answers a packet that asks for more.
func (d *dialogue) goOn(p []byte) error {
	if d.relayed != nil {
		return d.relayAgain(p)
	}
	if d.unknown != "" && !mysqlwire.IsAuthSwitch(p) {
		return d.write([]byte(rand.Text())) // a question that we do not understand, and whatever it is this is not the answer
	}
	if more, ok := mysqlwire.ParseAuthMore(p); ok {
		return d.answerMore(more)
	}
	if !mysqlwire.IsAuthSwitch(p) {
		return fmt.Errorf("%w: a packet that begins with 0x%02x in the login", errProtocol, p[0])
	}
	sw, err := mysqlwire.ParseAuthSwitch(p)
	if err != nil {
		return err
	}
	d.plugin, d.unknown = sw.Plugin, ""
	if len(p) > 1 { // else it is the one of the greeting
		d.salt = sw.Salt
	}
	if !canAnswer(d.plugin) {
		return d.leave()
	}
	answer, err := d.firstAnswer()
	if err != nil {
		return err
	}
	return d.write(answer)
}

// relayAgain gives the client's answer once more to a server that asks for it behind a COM_CHANGE_USER, although it came
// with that.
func (d *dialogue) relayAgain(p []byte) error {
	sw, err := mysqlwire.ParseAuthSwitch(p)
	if err != nil || d.relayedTo == nil || sw.Plugin != mysqlwire.PluginNative || !bytes.Equal(sw.Salt, d.relayedTo) {
		return ErrOtherPlugin
	}
	d.relayedTo = nil
	return d.write(d.relayed)
}
