package mysqlwire

import (
	"bytes"

	"github.com/go-mysql-org/go-mysql/mysql"
)

// ChangeUser is the command that logs in again on the same connection.
// https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_com_change_user.html
type ChangeUser struct {
	User       string
	Answer     []byte // to the salt of the greeting, as Plugin prescribes
	Schema     string // empty: none
	Collation  uint16 // here it is whole, other than in LoginRequest; 0 = the client does not say: keep the server's
	Plugin     string // empty: the client does not say
	Attributes []byte // connection attributes: see Attributes
}

// Append appends the payload, command byte included, for a connection with the negotiated capabilities. Answer has at
// most 255 bytes.
func (u *ChangeUser) Append(dst []byte, negotiated Capability) []byte {
	answer := u.Answer[:min(len(u.Answer), 255)]
	dst = appendNUL(append(dst, mysql.COM_CHANGE_USER), u.User)
	dst = append(append(dst, byte(len(answer))), answer...)
	dst = appendNUL(dst, u.Schema)
	dst = append(dst, byte(u.Collation), byte(u.Collation>>8))
	if negotiated.Has(CapPluginAuth) {
		dst = appendNUL(dst, u.Plugin)
	}
	if negotiated.Has(CapConnectAttrs) {
		dst = appendLenencBytes(dst, u.Attributes)
	}
	return dst
}

// ParseChangeUser reads a payload whose first byte, the command, the caller has seen. The collation and what follows it
// may be missing. The result does not refer to payload.
func ParseChangeUser(payload []byte, negotiated Capability) (ChangeUser, error) {
	var u ChangeUser
	c := cursor{b: payload}
	c.next(1)
	u.User = c.text()
	u.Answer = bytes.Clone(c.answer(negotiated &^ CapPluginAuthLenenc)) // the length is always one byte here
	u.Schema = c.tailText()
	if len(c.b) < 2 {
		return u, c.err()
	}
	u.Collation = c.uint16()
	if negotiated.Has(CapPluginAuth) {
		u.Plugin = c.tailText()
	}
	if negotiated.Has(CapConnectAttrs) && len(c.b) > 0 {
		u.Attributes = bytes.Clone(c.lenenc())
	}
	return u, c.err()
}
