package backend

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"

	"github.com/stickyproxy/stickyproxy/mysqlwire"
)

// ErrNeedsNew says that a connection cannot become that of a login, because of what it was opened with. It is as it was.
var ErrNeedsNew = errors.New("the login needs a connection of its own")

// StayedError is the refusal of a COM_CHANGE_USER by a MariaDB: there the connection goes on as that of the user that it
// was of, in a fresh session with the schema of the old one. It is usable, and its fields are as after [Conn.Reset].
// https://mariadb.com/kb/en/com_change_user/
type StayedError struct{ Err error }

// Error is the refusal.
func (e *StayedError) Error() string { return e.Err.Error() }

// Unwrap returns the refusal.
func (e *StayedError) Unwrap() error { return e.Err }

// nobodysPlugin is named in place of an authentication plugin to have the server say which one the account has, and a
// fresh salt: the one of the greeting may have been used up.
const nobodysPlugin = "stickyproxy"

// ChangeUser makes the connection that of another login (COM_CHANGE_USER): the old session ends as with a new
// connection, but the thread of the server, and so its id, stays. The fields of c are then as after a login. L.TLS and
// l.From are not asked for again. After any error but [ErrNeedsNew] and [StayedError] the connection is in no known state:
// close it.
// https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_com_change_user.html
func (c *Conn) ChangeUser(ctx context.Context, l Login) error {
	needed := mysqlwire.CapPluginAuth
	if len(l.Attributes) > 0 {
		needed |= mysqlwire.CapConnectAttrs
	}
	if !c.Capabilities.Has(needed) {
		return ErrNeedsNew
	}
	return c.changeUserAs(ctx, l, nil, nil)
}

// RelayUser is [Conn.ChangeUser] for a client whose password nobody knows but who has answered a salt, as
// mysql_native_password does. With that of the server's greeting on this connection it works: servers ask for an answer to
// it once more. The error is [ErrOtherPlugin] when the account has another plugin, or the server another salt.
func (c *Conn) RelayUser(ctx context.Context, l Login, salt, answer []byte) error {
	if len(l.Attributes) > 0 && !c.Capabilities.Has(mysqlwire.CapConnectAttrs) {
		return ErrNeedsNew
	}
	return c.changeUserAs(ctx, l, salt, answer)
}

func (c *Conn) changeUserAs(ctx context.Context, l Login, salt, answer []byte) error {
	release := bound(ctx, c.Conn)
	err := c.changeUser(l, salt, answer)
	var stayed *StayedError
	if errors.As(err, &stayed) {
		err = nil // the connection is in use again
	}
	if err = release(err); err == nil && stayed != nil {
		err = stayed
	}
	if err != nil {
		return fmt.Errorf("change of user at %s: %w", c.Server.cfg.Address, err)
	}
	return nil
}

// changeUser is ChangeUser, or RelayUser of an answer, without the bounds.
func (c *Conn) changeUser(l Login, salt, answer []byte) error {
	_, overTLS := c.Conn.(*tls.Conn)
	d := dialogue{
		server: c.Server, conn: c.Conn, login: l, caps: c.Capabilities, secure: overTLS || c.Server.network == "unix",
		plugin: nobodysPlugin, relayed: answer, relayedTo: salt,
	}
	if answer != nil {
		d.plugin = mysqlwire.PluginNative
	}
	d.greeting.Version = c.Version
	if !c.MariaDB {
		d.greeting.Capabilities = mysqlwire.CapLongPassword // see isMariaDB
	}
	d.reader.Reset(c.Conn)
	if err := d.write((&mysqlwire.ChangeUser{
		User: l.User, Answer: answer, Schema: l.Schema, Collation: l.Collation, Plugin: d.plugin, Attributes: l.Attributes,
	}).Append(nil, c.Capabilities)); err != nil {
		return err
	}
	ok, err := d.prove()
	if err != nil && !(d.refusal && c.MariaDB) {
		return err
	}
	if empty := d.reader.empty(); empty != nil {
		return errors.Join(err, empty)
	}
	if err != nil {
		return c.stay(err)
	}
	c.Collation, c.Schema, c.Status, c.Tracked = l.Collation, l.Schema, ok.Status, false
	return c.setUp(l)
}

// stay makes the session ours again that a refusal has left.
func (c *Conn) stay(refused error) error {
	if _, err := c.Conn.Write(c.appendSetUp(nil)); err != nil {
		return errors.Join(refused, err)
	}
	if err := c.readSetUp(); err != nil {
		return errors.Join(refused, err)
	}
	return &StayedError{refused}
}
