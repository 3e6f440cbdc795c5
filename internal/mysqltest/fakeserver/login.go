package fakeserver

import (
	"bytes"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/x509"
	"encoding/binary"
	"encoding/pem"
	"errors"
	"fmt"
	"sync"

	"github.com/go-mysql-org/go-mysql/mysql"
)

// The login of the server's side.
// https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_connection_phase.html

var errLogin = errors.New("malformed login")

const (
	saltSize           = 20
	collation          = 255  // utf8mb4_0900_ai_ci
	sslRequestSize     = 32   // a login that ends before the name asks for TLS
	authMore           = 0x01 // first byte of a packet in the middle of an authentication
	authSwitch         = 0xfe
	fastAuthOK         = 3 // caching_sha2_password
	fullAuthNeeded     = 4
	publicKeyRequested = 2
)

// login is one authentication of a connection: the first, or that of COM_CHANGE_USER.
type login struct {
	conn    *Conn
	options Options
	salt    []byte
}

// run goes from the greeting to the OK. The client gets error 1045 for a wrong password.
func (l *login) run() error {
	if err := l.newSalt(); err != nil {
		return err
	}
	if err := l.conn.Packet(l.greeting()); err != nil {
		return err
	}
	payload, err := l.conn.ReadPacket()
	if err == nil && len(payload) == sslRequestSize && l.options.TLS != nil {
		if err = l.conn.startTLS(l.options.TLS); err == nil {
			payload, err = l.conn.ReadPacket()
		}
	}
	if err != nil {
		return err
	}
	plugin, response, err := l.parseLogin(payload)
	if err != nil {
		return err
	}
	return l.authenticate(plugin, response)
}

// newSalt makes random bytes without NUL: clients take the salt for text.
func (l *login) newSalt() error {
	l.salt = make([]byte, saltSize)
	if _, err := rand.Read(l.salt); err != nil {
		return err
	}
	for i := range l.salt {
		l.salt[i] = l.salt[i]%127 + 1
	}
	return nil
}

// greeting is the packet HandshakeV10.
func (l *login) greeting() []byte {
	b := append([]byte{10}, l.options.Version...)
	b = append(b, 0)
	b = binary.LittleEndian.AppendUint32(b, l.conn.ID)
	b = append(b, l.salt[:8]...)
	b = append(b, 0)
	b = binary.LittleEndian.AppendUint16(b, uint16(l.options.Capabilities))
	b = append(b, collation)
	b = binary.LittleEndian.AppendUint16(b, mysql.SERVER_STATUS_AUTOCOMMIT)
	b = binary.LittleEndian.AppendUint16(b, uint16(l.options.Capabilities>>16))
	b = append(b, saltSize+1)
	b = append(b, make([]byte, 10)...)
	b = append(append(b, l.salt[8:]...), 0)
	return append(append(b, l.options.Plugin...), 0)
}

// parseLogin reads HandshakeResponse41 into the connection.
func (l *login) parseLogin(payload []byte) (plugin string, response []byte, err error) {
	if len(payload) < sslRequestSize {
		return "", nil, errLogin
	}
	l.conn.Capabilities = binary.LittleEndian.Uint32(payload) & l.options.Capabilities
	r := &reader{rest: payload[sslRequestSize:]}
	l.conn.User = r.text()
	switch {
	case l.conn.Has(mysql.CLIENT_PLUGIN_AUTH_LENENC_CLIENT_DATA):
		response = r.bytes(r.length())
	default:
		response = r.bytes(uint64(r.byte()))
	}
	if l.conn.Has(mysql.CLIENT_CONNECT_WITH_DB) {
		l.conn.Schema = r.text()
	}
	plugin = mysql.AUTH_NATIVE_PASSWORD
	if l.conn.Has(mysql.CLIENT_PLUGIN_AUTH) {
		plugin = r.text()
	}
	l.conn.Attributes = nil
	if l.conn.Has(mysql.CLIENT_CONNECT_ATTRS) && !r.failed {
		l.conn.Attributes = r.pairs()
	}
	if r.failed {
		return "", nil, errLogin
	}
	return plugin, response, nil
}

// changeUser reads COM_CHANGE_USER, whose password is for the salt of the greeting or, as here, of
// an auth switch.
func (l *login) changeUser(payload []byte) error {
	r := &reader{rest: payload}
	l.conn.User = r.text()
	r.bytes(uint64(r.byte()))
	l.conn.Schema = r.text()
	if r.failed {
		return errLogin
	}
	if err := l.newSalt(); err != nil {
		return err
	}
	return l.authenticate("", nil)
}

// authenticate ends a login: it changes to the account's plugin if need be, checks the password,
// and answers OK or error 1045, after which it returns an error.
func (l *login) authenticate(plugin string, response []byte) error {
	if plugin != l.options.Plugin {
		request := append([]byte{authSwitch}, l.options.Plugin...)
		request = append(append(append(request, 0), l.salt...), 0)
		if err := l.conn.Packet(request); err != nil {
			return err
		}
		var err error
		if response, err = l.conn.ReadPacket(); err != nil {
			return err
		}
	}
	right, err := l.passwordRight(response)
	if err != nil {
		return err
	}
	if !right {
		message := fmt.Sprintf("Access denied for user '%s'@'localhost' (using password: YES)", l.conn.User)
		return errors.Join(l.conn.Error(mysql.ER_ACCESS_DENIED_ERROR, "28000", message), errors.New(message))
	}
	return l.conn.OK(OK{})
}

func (l *login) passwordRight(response []byte) (bool, error) {
	want, known := l.options.Users[l.conn.User]
	if l.options.Plugin == mysql.AUTH_NATIVE_PASSWORD {
		if l.options.Users == nil {
			return true, nil
		}
		return known && bytes.Equal(response, mysql.CalcNativePassword(l.salt, []byte(want))), nil
	}
	if len(response) == 0 {
		return l.options.Users == nil || known && want == "", nil
	}
	fast := known && bytes.Equal(response, mysql.CalcCachingSha2Password(l.salt, []byte(want)))
	if !l.options.FullAuth && (fast || l.options.Users == nil) {
		return true, l.conn.Packet([]byte{authMore, fastAuthOK})
	}
	password, err := l.wholePassword()
	if err != nil {
		return false, err
	}
	return l.options.Users == nil || known && password == want, nil
}

// wholePassword asks for the password itself: as it is over TLS and unix sockets, else encrypted
// with the server's public key.
func (l *login) wholePassword() (string, error) {
	if err := l.conn.Packet([]byte{authMore, fullAuthNeeded}); err != nil {
		return "", err
	}
	answer, err := l.conn.ReadPacket()
	if err != nil {
		return "", err
	}
	if l.conn.encrypted() {
		return string(bytes.TrimSuffix(answer, []byte{0})), nil
	}
	keys, err := passwordKey()
	if err != nil {
		return "", err
	}
	if len(answer) == 1 && answer[0] == publicKeyRequested {
		if err := l.conn.Packet(append([]byte{authMore}, keys.public...)); err != nil {
			return "", err
		}
		if answer, err = l.conn.ReadPacket(); err != nil {
			return "", err
		}
	}
	plain, err := rsa.DecryptOAEP(sha1.New(), nil, keys.private, answer, nil)
	if err != nil {
		return "", fmt.Errorf("password not encrypted with our key: %w", err)
	}
	for i := range plain {
		plain[i] ^= l.salt[i%len(l.salt)]
	}
	return string(bytes.TrimSuffix(plain, []byte{0})), nil
}

// passwordKey makes the key for passwords, once: it takes a tenth of a second.
var passwordKey = sync.OnceValues(func() (passwordKeys, error) {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return passwordKeys{}, err
	}
	der, err := x509.MarshalPKIXPublicKey(&key.PublicKey)
	return passwordKeys{key, pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})}, err
})

// passwordKeys are the private key and the public one as the protocol sends it.
type passwordKeys struct {
	private *rsa.PrivateKey
	public  []byte
}
