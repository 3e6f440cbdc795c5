package backend

import (
	"context"
	"crypto/tls"
	"fmt"

	"github.com/stickyproxy/stickyproxy/mysqlwire"
)

// noPlugin is the name of no plugin: a server that is told it asks for what the account needs, with a new salt.
const noPlugin = "none"

// ChangeUser logs in as somebody else, or anew, on the same connection: it keeps its thread, and nothing of the session
// (COM_CHANGE_USER). The result takes the place of c, which is not to be used any more; after an error the connection is
// closed, because servers end it too. Bounded by ctx; the error is that of [Server.Connect].
// https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_com_change_user.html
func (c *Conn) ChangeUser(ctx context.Context, l Login) (*Conn, error) {
	release := bound(ctx, c.Conn)
	next, err := c.changeUser(l)
	if err == nil {
		err = next.setUp(l)
	}
	if err = release(err); err != nil {
		_ = c.Close()
		return nil, fmt.Errorf("change of user on %s: %w", c.Server.cfg.Address, err)
	}
	return next, nil
}

// changeUser is the dialogue of ChangeUser.
func (c *Conn) changeUser(l Login) (*Conn, error) {
	_, overTLS := c.Conn.(*tls.Conn)
	d := &dialogue{server: c.Server, conn: c.Conn, login: l, caps: c.Capabilities, secure: overTLS || c.Server.network == "unix"}
	d.reader.Reset(c.Conn)
	u := mysqlwire.ChangeUser{User: l.User, Schema: l.Schema, Collation: l.Collation, Plugin: noPlugin, Attributes: l.Attributes}
	if err := d.write(u.Append(nil, c.Capabilities)); err != nil {
		return nil, err
	}
	ok, err := d.prove()
	if err != nil {
		return nil, err
	}
	next := &Conn{
		Conn: c.Conn, Server: c.Server, ThreadID: c.ThreadID, Version: c.Version, MariaDB: c.MariaDB,
		Capabilities: c.Capabilities, Collation: l.Collation, Status: ok.Status, Schema: l.Schema, close: c.close,
	}
	next.reader.Reset(c.Conn)
	next.preparePeek()
	return next, d.reader.empty()
}
