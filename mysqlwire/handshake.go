package mysqlwire

import (
	"bytes"
	"encoding/binary"
	"errors"
)

// Sizes in the packets of the login.
const (
	protocolVersion = 10 // the only one in use since MySQL 3.21
	saltPart1       = 8  // the salt travels in two parts, for clients older than 4.1
	greetingFiller  = 6  // behind which there are four bytes for MariaDB's additional capabilities, or zeros
	requestFiller   = 19 // and so in the client's answer
	sslRequestSize  = 4 + 4 + 1 + requestFiller + 4
	headerSwitch    = 0xFE
	headerMore      = 0x01
)

// CollationUTF8MB4 is the id of utf8mb4_general_ci, which every server has, for clients of our own.
const CollationUTF8MB4 = 45

// errHandshake is the error of every decoder here: who sends such a packet does not speak the protocol.
var errHandshake = errors.New("malformed packet in the login")

// Greeting is the first packet of a connection, from server to client ("HandshakeV10").
// https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_connection_phase_packets_protocol_handshake_v10.html
type Greeting struct {
	Version      string // the server's, without NUL; MariaDB 10 begins it with "5.5.5-"
	ConnectionID uint32
	Salt         []byte // without the NUL that ends it on the wire; Append wants SaltSize bytes
	Capabilities Capability
	Collation    byte // the low byte of the server's default collation
	Status       Status
	Plugin       string // of the answer that the server expects
}

// Append appends the payload. It is the client's fault to not know CapPluginAuth and CapSecureConnection, which are
// taken to be in Capabilities.
func (g *Greeting) Append(dst []byte) []byte {
	salt := make([]byte, SaltSize+1)
	copy(salt[:SaltSize], g.Salt)
	dst = append(appendNUL(append(dst, protocolVersion), g.Version), byte(g.ConnectionID), byte(g.ConnectionID>>8),
		byte(g.ConnectionID>>16), byte(g.ConnectionID>>24))
	dst = append(append(dst, salt[:saltPart1]...), 0, byte(g.Capabilities), byte(g.Capabilities>>8), g.Collation,
		byte(g.Status), byte(g.Status>>8), byte(g.Capabilities>>16), byte(g.Capabilities>>24), byte(len(salt)))
	dst = append(dst, make([]byte, greetingFiller)...)
	dst = binary.LittleEndian.AppendUint32(dst, g.Capabilities.settled().mariaDB())
	return appendNUL(append(dst, salt[saltPart1:]...), g.Plugin)
}

// ParseGreeting reads the payload of a greeting. An ERR in its place (a server that takes no more connections) is the
// *Error it carries. The result does not refer to payload. A server without CapPluginAuth gives an empty Plugin,
// which means PluginNative.
func ParseGreeting(payload []byte) (Greeting, error) {
	var g Greeting
	if len(payload) > 0 && payload[0] == headerERR {
		return g, ParseError(payload)
	}
	c := cursor{b: payload}
	if c.byte() != protocolVersion {
		return g, errHandshake
	}
	g.Version = c.text()
	g.ConnectionID = c.uint32()
	salt := bytes.Clone(c.next(saltPart1))
	c.next(1)
	g.Capabilities = Capability(c.uint16())
	if c.bad || len(c.b) == 0 {
		g.Salt = salt
		return g, c.err() // the greeting of a server before 4.1 ends here
	}
	g.Collation = c.byte()
	g.Status = Status(c.uint16())
	g.Capabilities |= Capability(c.uint16()) << 16
	saltSize := int(c.byte())
	c.next(greetingFiller)
	g.Capabilities = (g.Capabilities | Capability(c.uint32())<<mariaDBShift).settled()
	if g.Capabilities.Has(CapSecureConnection) {
		// The second part has at least 13 bytes, whatever the announced size, and ends with a NUL that does not count.
		salt = append(salt, c.upTo(max(13, saltSize-saltPart1))...)
		salt = bytes.TrimSuffix(salt, []byte{0})
	}
	g.Salt = salt
	if g.Capabilities.Has(CapPluginAuth) {
		g.Plugin = c.text()
	}
	return g, c.err()
}

// LoginRequest is the client's answer to the greeting ("HandshakeResponse41").
// https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_connection_phase_packets_protocol_handshake_response.html
type LoginRequest struct {
	Capabilities Capability // what the client wants; it may name what was not announced, which then does not count
	MaxPacket    uint32     // the largest packet the client takes, bytes; 0 = it does not say
	// Collation is the connection's. The packet has room for its low byte only: MySQL 9.7 and MariaDB 10.11 do not
	// read the byte after it, which some clients fill. A collation above 255 comes with SET NAMES after the login.
	Collation  byte
	User       string
	Answer     []byte // to the salt, as Plugin prescribes
	Schema     string // empty: none
	Plugin     string // empty: the client does not say
	Attributes []byte // connection attributes: see Attributes
	ZstdLevel  byte
}

// IsSSLRequest says whether the payload is the short form of a login request, after which TLS begins.
// https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_connection_phase_packets_protocol_ssl_request.html
func IsSSLRequest(payload []byte) bool {
	return len(payload) == sslRequestSize && Capability(binary.LittleEndian.Uint32(payload)).Has(CapSSL)
}

// AppendSSLRequest appends the payload that asks for TLS, with which the login request goes on.
func (r *LoginRequest) AppendSSLRequest(dst []byte) []byte {
	return r.appendHead(dst, r.Capabilities|CapSSL)
}

// appendHead appends the fields that both forms have.
func (r *LoginRequest) appendHead(dst []byte, caps Capability) []byte {
	dst = binary.LittleEndian.AppendUint32(dst, uint32(caps))
	dst = binary.LittleEndian.AppendUint32(dst, r.MaxPacket)
	dst = append(append(dst, r.Collation), make([]byte, requestFiller)...)
	return binary.LittleEndian.AppendUint32(dst, caps.settled().mariaDB())
}

// Append appends the payload. CapConnectWithDB, CapPluginAuth, CapConnectAttrs and CapZstd in Capabilities say whether
// the field that belongs to them is there; CapSecureConnection is taken to be in it. Without CapPluginAuthLenenc,
// Answer has at most 255 bytes.
func (r *LoginRequest) Append(dst []byte) []byte {
	dst = r.appendHead(dst, r.Capabilities)
	dst = appendNUL(dst, r.User)
	if r.Capabilities.Has(CapPluginAuthLenenc) {
		dst = appendLenencBytes(dst, r.Answer)
	} else {
		answer := r.Answer[:min(len(r.Answer), 255)]
		dst = append(append(dst, byte(len(answer))), answer...)
	}
	if r.Capabilities.Has(CapConnectWithDB) {
		dst = appendNUL(dst, r.Schema)
	}
	if r.Capabilities.Has(CapPluginAuth) {
		dst = appendNUL(dst, r.Plugin)
	}
	if r.Capabilities.Has(CapConnectAttrs) {
		dst = appendLenencBytes(dst, r.Attributes)
	}
	if r.Capabilities.Has(CapZstd) {
		dst = append(dst, r.ZstdLevel)
	}
	return dst
}

// ParseLoginRequest reads the payload of a login request, or as much of it as an SSL request has. Announced are the
// capabilities of the greeting: a field whose capability was not offered is not in the packet, whatever the client's
// flags say. A client without CapProtocol41 gets no further than its Capabilities, which is no error here: the format
// of the rest is another one. A packet that ends where a text begins has an empty text, as it has for servers.
// The result does not refer to payload.
func ParseLoginRequest(payload []byte, announced Capability) (LoginRequest, error) {
	var r LoginRequest
	if len(payload) >= 2 && !Capability(binary.LittleEndian.Uint16(payload)).Has(CapProtocol41) {
		r.Capabilities = Capability(binary.LittleEndian.Uint16(payload))
		return r, nil
	}
	c := cursor{b: payload}
	r.Capabilities = Capability(c.uint32())
	r.MaxPacket = c.uint32()
	r.Collation = c.byte()
	c.next(requestFiller)
	if more := Capability(c.uint32()) << mariaDBShift; !announced.Has(CapLongPassword) {
		r.Capabilities = (r.Capabilities | more).settled()
	}
	if c.bad || IsSSLRequest(payload) {
		return r, c.err()
	}
	has := r.Capabilities & announced
	r.User = c.text()
	r.Answer = bytes.Clone(c.answer(has))
	if has.Has(CapConnectWithDB) {
		r.Schema = c.tailText()
	}
	if has.Has(CapPluginAuth) {
		r.Plugin = c.tailText()
	}
	if has.Has(CapConnectAttrs) && len(c.b) > 0 {
		r.Attributes = bytes.Clone(c.lenenc())
	}
	if has.Has(CapZstd) && len(c.b) > 0 {
		r.ZstdLevel = c.byte()
	}
	return r, c.err()
}
