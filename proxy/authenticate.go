package proxy

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"strings"

	"github.com/go-mysql-org/go-mysql/mysql"

	"github.com/stickyproxy/stickyproxy/backend"
	"github.com/stickyproxy/stickyproxy/mysqlwire"
)

// authenticate finds out the client's password and logs in to the primary with it. From outside, a user that does not
// exist and a wrong password are the same: the same packets, the same text.
//
//	the answer is right for a password we know   log in with it; that was the fast way
//	it is not, or the primary refuses            ask for the password itself, log in with it, remember it
func (l *login) authenticate() *LoginError {
	if done, failed := l.tryNative(); done || failed != nil {
		return failed
	}
	if mysqlwire.IsEmptyAnswer(l.answer) && !l.canSwitch() {
		return l.judge("")
	}
	if l.plugin != mysqlwire.PluginCachingSHA2 {
		if !l.canSwitch() {
			return tooOld()
		}
		if failed := l.switchTo(mysqlwire.PluginCachingSHA2); failed != nil {
			return failed
		}
	}
	if mysqlwire.IsEmptyAnswer(l.answer) {
		return l.judge("")
	}
	if done, failed := l.tryKnown(); done || failed != nil {
		return failed
	}
	password, failed := l.askPassword()
	if failed != nil {
		return failed
	}
	if failed := l.judge(password); failed != nil {
		return failed
	}
	l.Accounts.remember(l.client.Login.User, password)
	return nil
}

// tryNative lets in a client that uses mysql_native_password: older ones know nothing else. Its password is listed, or
// known from a login of the same account by another client, or the primary itself checks the answer. A wrong answer is
// not the end, so that it looks like that of any other user, unless the client cannot be asked to switch once more.
func (l *login) tryNative() (done bool, failed *LoginError) {
	if l.plugin != mysqlwire.PluginNative {
		return false, nil
	}
	// A client that chose this plugin against the greeting's offer has no answer yet: it waits to be asked.
	password, listed := l.Accounts.listed[l.client.Login.User]
	switched := listed && mysqlwire.IsEmptyAnswer(l.answer) && password != "" && l.canSwitch()
	if switched {
		if failed := l.switchTo(mysqlwire.PluginNative); failed != nil {
			return false, failed
		}
	}
	if done, failed := l.tryKnownNative(); done || failed != nil {
		return done, failed
	}
	if switched {
		return false, l.denied(errDenied, !mysqlwire.IsEmptyAnswer(l.answer))
	}
	return l.tryRelay()
}

// canSwitch reports whether the client can be asked to use another plugin.
func (l *login) canSwitch() bool { return l.client.Capabilities.Has(mysqlwire.CapPluginAuth) }

// tryKnownNative lets in a client whose answer fits a password that is known.
func (l *login) tryKnownNative() (done bool, failed *LoginError) {
	user := l.client.Login.User
	for _, password := range l.Accounts.known(user) {
		if !mysqlwire.CheckNative(l.answer, l.salt, password) {
			continue
		}
		failed, denied := l.connect(password)
		if failed != nil || denied == nil {
			return failed == nil, failed
		}
		if _, listed := l.Accounts.listed[user]; listed {
			return false, l.denied(denied, password != "")
		}
		l.Accounts.forget(user, password) // it was changed
	}
	return false, nil
}

// tryRelay lets the primary check an answer that was given to its own salt. The password stays unknown, so that no
// other server can be used.
func (l *login) tryRelay() (done bool, failed *LoginError) {
	if l.Relay == nil || mysqlwire.IsEmptyAnswer(l.answer) {
		return false, nil
	}
	if failed := l.tooManyGuesses(); failed != nil {
		return false, failed
	}
	conn, err := l.Relay(l.ctx, l.client.Login, l.answer)
	if errors.Is(err, backend.ErrOtherPlugin) {
		return false, nil
	}
	failed, denied := l.outcome(l.client.Login, conn, err)
	if denied != nil {
		return false, l.denied(denied, true)
	}
	l.client.Relayed = failed == nil
	return failed == nil, failed
}

// tryKnown lets in a client whose answer fits a password that is known, listed or remembered.
func (l *login) tryKnown() (done bool, failed *LoginError) {
	user := l.client.Login.User
	for _, password := range l.Accounts.known(user) {
		if !mysqlwire.CheckCachingSHA2(l.answer, l.salt, password) {
			continue
		}
		failed, denied := l.connect(password)
		if failed != nil {
			return false, failed
		}
		if denied == nil {
			l.queue(mysqlwire.AppendAuthMore(nil, mysqlwire.FastAuthOK))
			return true, nil
		}
		l.Accounts.forget(user, password) // it was changed
	}
	return false, nil
}

// switchTo makes the client answer by another plugin, to the same salt.
func (l *login) switchTo(plugin string) *LoginError {
	s := mysqlwire.AuthSwitch{Plugin: plugin, Salt: l.salt}
	l.queue(s.Append(nil))
	answer, failed := l.read()
	l.plugin, l.answer = plugin, answer
	return failed
}

// askPassword asks for the password itself. A client sends it as it is where nobody can listen, and encrypted
// elsewhere, if it has the key or asks for it first.
// https://dev.mysql.com/doc/dev/mysql-server/latest/page_caching_sha2_authentication_exchanges.html
func (l *login) askPassword() (string, *LoginError) {
	l.queue(mysqlwire.AppendAuthMore(nil, mysqlwire.FullAuth))
	answer, failed := l.read()
	if failed != nil {
		return "", failed
	}
	if len(answer) != 1 || answer[0] != mysqlwire.RequestKey {
		if l.secure {
			return mysqlwire.ParseClearPassword(answer), nil
		}
		return l.decrypt(answer)
	}
	if failed := l.sendKey(); failed != nil {
		return "", failed
	}
	if answer, failed = l.read(); failed != nil {
		return "", failed
	}
	return l.decrypt(answer)
}

// sendKey queues the public key.
func (l *login) sendKey() *LoginError {
	if l.Key == nil {
		return l.broken(errNoKey)
	}
	key, err := l.Key()
	if err != nil {
		return l.broken(err)
	}
	text, err := mysqlwire.AppendPublicKey(nil, &key.PublicKey)
	if err != nil {
		return l.broken(err)
	}
	l.queue(mysqlwire.AppendAuthMore(nil, text...))
	return nil
}

// decrypt reads a password that was encrypted with our key. What cannot be decrypted is a wrong password.
func (l *login) decrypt(answer []byte) (string, *LoginError) {
	if l.Key == nil {
		return "", l.broken(errNoKey)
	}
	key, err := l.Key()
	if err != nil {
		return "", l.broken(err)
	}
	password, err := mysqlwire.DecryptPassword(answer, l.salt, key)
	if err != nil {
		return "", l.denied(err, true)
	}
	return password, nil
}

// judge lets the primary judge a password that nobody knows to be right.
func (l *login) judge(password string) *LoginError {
	if failed := l.tooManyGuesses(); failed != nil {
		return failed
	}
	return l.mustConnect(password)
}

// tooManyGuesses turns away an address from which too many passwords were wrong.
func (l *login) tooManyGuesses() *LoginError {
	if l.patience != nil && l.patience.exhausted(origin(l.conn)) {
		return clientFault(errGuessing, mysql.ER_HOST_IS_BLOCKED, fmt.Sprintf(textGuessing, clientHost(l.conn)))
	}
	return nil
}

// mustConnect logs in to the primary; a refusal is the end.
func (l *login) mustConnect(password string) *LoginError {
	failed, denied := l.connect(password)
	if denied != nil {
		return l.denied(denied, password != "")
	}
	return failed
}

// connect logs in to the primary with a password. Denied is the primary's refusal of user or password, failed anything
// else that went wrong.
func (l *login) connect(password string) (failed *LoginError, denied error) {
	to := l.client.Login
	to.Password = password
	conn, err := l.Connect(l.ctx, to)
	return l.outcome(to, conn, err)
}

// outcome is what came of a login to the primary, as connect says it.
func (l *login) outcome(to backend.Login, conn *backend.Conn, err error) (failed *LoginError, denied error) {
	switch {
	case err == nil:
		l.client.Login, l.client.Primary = to, conn
		if l.patience != nil {
			l.patience.succeeded(origin(l.conn))
		}
		return nil, nil
	case isDenied(err):
		return nil, err
	}
	failed = backendFault(l.parent, err)
	if failed.Sent != nil {
		failed.Sent.Message = l.fromHere(failed.Sent)
	}
	return failed, nil
}

// fromHere is the text of a refusal with the host of the client, where the primary wrote the one from which it sees us.
func (l *login) fromHere(e *mysqlwire.Error) string {
	if e.Code != codeLocked && e.Code != codeBlocked {
		return e.Message
	}
	before, rest, found := strings.Cut(e.Message, "'@'")
	_, after, ends := strings.Cut(rest, "'")
	if !found || !ends {
		return e.Message
	}
	return fmt.Sprintf("%s'@'%.64s'%s", before, clientHost(l.conn), after)
}

// denied is the error of a wrong user or password. The text is our own, not the primary's: that one names the host from
// which the primary sees us, and the client would not know it. A client with a certificate is told that it did not get
// to the primary, because the account may require one.
func (l *login) denied(err error, withPassword bool) *LoginError {
	used := "NO"
	if withPassword {
		used = "YES"
	}
	text := fmt.Sprintf("Access denied for user '%.48s'@'%.64s' (using password: %s)", l.client.Login.User, clientHost(l.conn), used)
	if c, ok := l.conn.(*tls.Conn); ok && len(c.ConnectionState().PeerCertificates) > 0 {
		text += textCertificate
	}
	failed := clientFault(err, mysql.ER_ACCESS_DENIED_ERROR, text)
	failed.denied = true
	return failed
}

// broken is an error of our own.
func (l *login) broken(err error) *LoginError {
	return &LoginError{Fault: FaultProxy, Err: err, Sent: mysqlwire.NewError(mysql.ER_UNKNOWN_ERROR, textInternal)}
}

// clientHost is the client's host as MySQL names it.
func clientHost(nc net.Conn) string {
	if isUnix(nc) {
		return "localhost"
	}
	address := nc.RemoteAddr().String()
	if host, _, err := net.SplitHostPort(address); err == nil {
		return host
	}
	return address
}
