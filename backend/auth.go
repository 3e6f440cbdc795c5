package backend

import (
	"crypto/tls"
	"fmt"

	"github.com/stickyproxy/stickyproxy/mysqlwire"
)

// errNotSecure says that a server wants a password as it is, or in a form that hides nothing, on a connection that others can
// listen to.
var errNotSecure = &AccountError{Why: "needs the password in clear (mysql_clear_password), or hardly hidden " +
	"(mysql_old_password), which stickyproxy sends only over TLS or a unix socket; connect to it with TLS, or set tls.mode " +
	"of the server to required"}

// AccountError says that an account of the server cannot log in through anybody but its own client, whatever the
// password is.
type AccountError struct {
	Why string // completes a sentence about the account, and says what to do; free of addresses
}

// Error is the sentence.
func (e *AccountError) Error() string { return "the account " + e.Why }

// needsItsClient is the error of an account that has to prove itself in a way that takes more than the password: a
// dialogue with a person, a ticket, a key.
func needsItsClient(plugin string) error {
	return &AccountError{Why: fmt.Sprintf("uses the authentication plugin '%.64s', which needs the client itself and cannot "+
		"pass through stickyproxy; connect to the server directly, or give the account a plugin that takes a password", plugin)}
}

// leave gives no answer to a plugin that is not known. An account of MariaDB may have several, of which the next one is
// tried then. https://mariadb.com/kb/en/create-user/#identified-viawith-authentication_plugin
func (d *dialogue) leave() error {
	if !isMariaDB(d.greeting) {
		return needsItsClient(d.plugin)
	}
	d.unknown = d.plugin
	return d.write(nil)
}

// refused is the server's ERR, or what explains it.
func (d *dialogue) refused(e *mysqlwire.Error) error {
	if d.unknown != "" {
		return needsItsClient(d.unknown)
	}
	return e
}

// canAnswer tells whether firstAnswer knows the plugin.
func canAnswer(plugin string) bool {
	switch plugin {
	case mysqlwire.PluginNative, mysqlwire.PluginCachingSHA2, mysqlwire.PluginSHA256, mysqlwire.PluginClear,
		mysqlwire.PluginEd25519, mysqlwire.PluginParsec, mysqlwire.PluginOld:
		return true
	}
	return false
}

// firstAnswer is the first proof of the password that the current plugin wants.
func (d *dialogue) firstAnswer() ([]byte, error) {
	if d.relayed != nil {
		return d.relayed, nil
	}
	switch d.plugin {
	case mysqlwire.PluginNative:
		return mysqlwire.ScrambleNative(d.salt, d.login.Password), nil
	case mysqlwire.PluginCachingSHA2:
		return mysqlwire.ScrambleCachingSHA2(d.salt, d.login.Password), nil
	case mysqlwire.PluginEd25519:
		return mysqlwire.SignEd25519(d.salt, d.login.Password)
	case mysqlwire.PluginParsec:
		return nil, nil // it asks how the key is derived
	case mysqlwire.PluginOld:
		if !d.secure && d.login.Password != "" {
			return nil, errNotSecure
		}
		return mysqlwire.ScrambleOld(d.salt, d.login.Password)
	case mysqlwire.PluginSHA256:
		if d.overTLS() || d.login.Password == "" {
			return d.clearPassword()
		}
		return []byte{mysqlwire.RequestKeySHA256}, nil
	default: // PluginClear
		return d.clearPassword()
	}
}

// clearPassword is the password as it is, where nobody listens.
func (d *dialogue) clearPassword() ([]byte, error) {
	if !d.secure && d.login.Password != "" {
		return nil, errNotSecure
	}
	return mysqlwire.AppendClearPassword(nil, d.login.Password), nil
}

// overTLS tells whether the connection is encrypted. To sha256_password, other than to its successor, a unix socket does
// not count as safe.
func (d *dialogue) overTLS() bool {
	_, ok := d.conn.(*tls.Conn)
	return ok
}

// answerMore answers what the current plugin's server side says beyond its first question.
// https://dev.mysql.com/doc/dev/mysql-server/latest/page_caching_sha2_authentication_exchanges.html
func (d *dialogue) answerMore(data []byte) error {
	switch {
	case d.plugin == mysqlwire.PluginCachingSHA2 && len(data) == 1 && data[0] == mysqlwire.FastAuthOK:
		return nil // the OK follows
	case d.plugin == mysqlwire.PluginCachingSHA2 && len(data) == 1 && data[0] == mysqlwire.FullAuth:
		if d.secure {
			return d.write(mysqlwire.AppendClearPassword(nil, d.login.Password))
		}
		return d.write([]byte{mysqlwire.RequestKey})
	case d.plugin == mysqlwire.PluginCachingSHA2 && !d.secure, d.plugin == mysqlwire.PluginSHA256 && !d.overTLS():
		return d.writeEncrypted(data)
	case d.plugin == mysqlwire.PluginParsec:
		answer, err := mysqlwire.SignParsec(d.salt, data, d.login.Password)
		if err != nil {
			return fmt.Errorf("%s: %w", d.plugin, err)
		}
		return d.write(answer)
	}
	return fmt.Errorf("%w: an unexpected question of %s", errProtocol, d.plugin)
}

// writeEncrypted sends the password encrypted with the key that the server just sent.
func (d *dialogue) writeEncrypted(pem []byte) error {
	key, err := mysqlwire.ParsePublicKey(pem)
	if err != nil {
		return err
	}
	hidden, err := mysqlwire.EncryptPassword(d.login.Password, d.salt, key)
	if err != nil {
		return fmt.Errorf("encrypting the password: %w", err)
	}
	return d.write(hidden)
}
