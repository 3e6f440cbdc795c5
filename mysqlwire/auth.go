package mysqlwire

import (
	"crypto/ed25519"
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/sha512"
	"crypto/subtle"
	"crypto/x509"
	"encoding/pem"
	"errors"

	"github.com/go-mysql-org/go-mysql/mysql"
)

// SaltSize is the size of the random bytes that a server sends to be mixed with the password.
const SaltSize = 20

// The names of the ways to prove a password, as they travel in the login.
// https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_connection_phase_authentication_methods.html
const (
	PluginNative      = mysql.AUTH_NATIVE_PASSWORD       // SHA-1 of salt and password
	PluginCachingSHA2 = mysql.AUTH_CACHING_SHA2_PASSWORD // SHA-256 of them, else the password itself, encrypted
	PluginSHA256      = mysql.AUTH_SHA256_PASSWORD       // the password itself, encrypted
	PluginClear       = mysql.AUTH_CLEAR_PASSWORD        // the password itself
	PluginEd25519     = mysql.AUTH_MARIADB_ED25519       // a signature of the salt, MariaDB
	PluginParsec      = "parsec"                         // the same, by a key that is derived slowly; MariaDB from 11.6 on
	PluginOld         = "mysql_old_password"             // that of MySQL before 4.1, which MariaDB still has
)

// Bytes of the caching_sha2_password and sha256_password dialogues.
// https://dev.mysql.com/doc/dev/mysql-server/latest/page_caching_sha2_authentication_exchanges.html
const (
	FastAuthOK         byte = mysql.CACHE_SHA2_FAST_AUTH // server, in AuthMoreData: the scramble was right
	FullAuth           byte = mysql.CACHE_SHA2_FULL_AUTH // server, in AuthMoreData: send the password
	RequestKey         byte = 0x02                       // client, caching_sha2_password: send the public key first
	RequestKeySHA256   byte = 0x01                       // the same for sha256_password
	scrambleSizeNative      = 20
	scrambleSizeSHA2        = 32
	ed25519SaltSize         = 32
	parsecSaltSize          = 32
	parsecKDF               = 'P'  // PBKDF2 with SHA-512
	maxParsecRounds         = 10   // a power of two of 1,024 iterations: more take longer than a login may
	maxKeySize              = 2048 // bytes of a public key: a longer one only costs time
	pemPublicKey            = "PUBLIC KEY"
	pemRSAPublicKey         = "RSA PUBLIC KEY"
)

// Errors of the functions that handle a password or a key that came over the wire.
var (
	errBadKey    = errors.New("not an RSA public key in PEM form")
	errBadParsec = errors.New("the server derives keys in another way than is known")
	errBadSalt   = errors.New("salt of a wrong length")
	errBadCipher = errors.New("the encrypted password cannot be decrypted")
)

// NewSalt makes the salt of one login. No byte of it is NUL, where older clients would take it to end, or '$', which
// MySQL avoids too, and all are ASCII.
func NewSalt() []byte {
	salt := make([]byte, 0, SaltSize)
	for len(salt) < SaltSize {
		var b [SaltSize]byte
		_, _ = rand.Read(b[:]) // it never fails: the program ends instead
		for _, c := range b {
			if c &= 0x7F; c != 0 && c != '$' && len(salt) < SaltSize {
				salt = append(salt, c)
			}
		}
	}
	return salt
}

// ScrambleNative is the answer of mysql_native_password to salt, of which the first 20 bytes count. It is empty for an
// empty password.
// https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_connection_phase_authentication_methods_native_password_authentication.html
func ScrambleNative(salt []byte, password string) []byte {
	return mysql.CalcNativePassword(trimSalt(salt), []byte(password))
}

// CheckNative says whether answer is what a client with this password gives to salt.
func CheckNative(answer, salt []byte, password string) bool {
	if IsEmptyAnswer(answer) || password == "" {
		return IsEmptyAnswer(answer) && password == ""
	}
	return len(answer) == scrambleSizeNative && subtle.ConstantTimeCompare(answer, ScrambleNative(salt, password)) == 1
}

// ScrambleCachingSHA2 is the first answer of caching_sha2_password to salt, of which the first 20 bytes count. It is
// empty for an empty password.
// https://dev.mysql.com/doc/dev/mysql-server/latest/page_caching_sha2_authentication_exchanges.html
func ScrambleCachingSHA2(salt []byte, password string) []byte {
	return mysql.CalcCachingSha2Password(trimSalt(salt), []byte(password))
}

// CheckCachingSHA2 says whether answer is what a client with this password gives to salt.
func CheckCachingSHA2(answer, salt []byte, password string) bool {
	if IsEmptyAnswer(answer) || password == "" {
		return IsEmptyAnswer(answer) && password == ""
	}
	return len(answer) == scrambleSizeSHA2 && subtle.ConstantTimeCompare(answer, ScrambleCachingSHA2(salt, password)) == 1
}

// IsEmptyAnswer says whether a client's answer stands for an empty password: nothing, or (libmysqlclient) one NUL.
func IsEmptyAnswer(answer []byte) bool {
	return len(answer) == 0 || len(answer) == 1 && answer[0] == 0
}

// SignEd25519 is the answer of MariaDB's client_ed25519 to a salt of 32 bytes.
// https://mariadb.com/kb/en/connection/#client_ed25519-plugin
func SignEd25519(salt []byte, password string) ([]byte, error) {
	if len(salt) > ed25519SaltSize {
		salt = salt[:ed25519SaltSize]
	}
	if len(salt) < ed25519SaltSize {
		return nil, errBadSalt
	}
	return mysql.CalcEd25519Password(salt, password)
}

// SignParsec is the answer of MariaDB's parsec to a salt of 32 bytes and the AuthMoreData that answers an empty packet, which
// says how the key is derived from the password: random bytes, and a signature of both. It takes about a millisecond, or
// twice as much, and so on, as the server wants it.
// https://mariadb.com/kb/en/authentication-plugin-parsec/
func SignParsec(salt, key []byte, password string) ([]byte, error) {
	if len(salt) != parsecSaltSize {
		return nil, errBadSalt
	}
	if len(key) < 3 || key[0] != parsecKDF || key[1] > maxParsecRounds {
		return nil, errBadParsec
	}
	seed, err := pbkdf2.Key(sha512.New, password, key[2:], 1024<<key[1], ed25519.SeedSize)
	if err != nil {
		return nil, err
	}
	answer := make([]byte, parsecSaltSize, parsecSaltSize+ed25519.SignatureSize)
	_, _ = rand.Read(answer) // it never fails: the program ends instead
	signed := append(append([]byte(nil), salt...), answer...)
	return append(answer, ed25519.Sign(ed25519.NewKeyFromSeed(seed), signed)...), nil
}

// trimSalt leaves out the NUL that ends a salt on the wire.
func trimSalt(salt []byte) []byte {
	return salt[:min(len(salt), SaltSize)]
}

// AppendClearPassword appends the password as it is sent where the connection itself is secure.
func AppendClearPassword(dst []byte, password string) []byte {
	return append(append(dst, password...), 0)
}

// ParseClearPassword reads what AppendClearPassword wrote: everything up to the first NUL, or to the end.
func ParseClearPassword(payload []byte) string {
	s, _ := cutNUL(payload)
	return string(s)
}

// EncryptPassword hides a password from who listens: mixed with the salt, of which the first 20 bytes count, and
// encrypted with the server's key. A password too long for the key (214 bytes for 2048 bits) is an error.
func EncryptPassword(password string, salt []byte, key *rsa.PublicKey) ([]byte, error) {
	if len(salt) < SaltSize {
		return nil, errBadSalt
	}
	return mysql.EncryptPassword(password, trimSalt(salt), key)
}

// DecryptPassword is the inverse of EncryptPassword, for the holder of the key. Its error does not tell why.
func DecryptPassword(cipher, salt []byte, key *rsa.PrivateKey) (string, error) {
	if len(salt) < SaltSize {
		return "", errBadSalt
	}
	mixed, err := rsa.DecryptOAEP(sha1.New(), nil, key, cipher, nil)
	if err != nil {
		return "", errBadCipher
	}
	return ParseClearPassword(mysql.Xor(mixed, trimSalt(salt))), nil
}

// AppendPublicKey appends key in the form in which a server sends it.
func AppendPublicKey(dst []byte, key *rsa.PublicKey) ([]byte, error) {
	der, err := x509.MarshalPKIXPublicKey(key)
	if err != nil {
		return dst, err
	}
	return append(dst, pem.EncodeToMemory(&pem.Block{Type: pemPublicKey, Bytes: der})...), nil
}

// ParsePublicKey reads the key that a server sent.
func ParsePublicKey(text []byte) (*rsa.PublicKey, error) {
	block, _ := pem.Decode(text)
	if block == nil {
		return nil, errBadKey
	}
	if block.Type == pemRSAPublicKey {
		key, err := x509.ParsePKCS1PublicKey(block.Bytes)
		return checkKey(key, err)
	}
	parsed, err := x509.ParsePKIXPublicKey(block.Bytes)
	key, _ := parsed.(*rsa.PublicKey)
	return checkKey(key, err)
}

func checkKey(key *rsa.PublicKey, err error) (*rsa.PublicKey, error) {
	if err != nil || key == nil || key.Size() > maxKeySize {
		return nil, errBadKey
	}
	return key, nil
}
