package backend

import (
	"errors"
	"fmt"
	"strings"

	"github.com/go-mysql-org/go-mysql/mysql"

	"github.com/stickyproxy/stickyproxy/mysqlwire"
)

// isExpired tells whether a server answered so because the account's password has expired: it takes a new one, and
// refuses whatever else is asked.
// https://dev.mysql.com/doc/refman/en/expired-password-handling.html
func isExpired(err error) bool {
	var refused *mysqlwire.Error
	return errors.As(err, &refused) && refused.Code == mysql.ER_MUST_CHANGE_PASSWORD
}

// wideCollation tells whether the collation has no room in a login request, where its id has one byte.
func (c *Conn) wideCollation() bool { return c.Collation > 255 }

// collationSteps set a collation by its id, which servers take for the collation only; the character sets follow it.
const collationSteps = 2

// appendCollation appends what a COM_CHANGE_USER with a collation above 255 does, and a login cannot.
func (c *Conn) appendCollation(out []byte) []byte {
	if !c.wideCollation() {
		return out
	}
	out = c.appendQuery(out, fmt.Sprintf("SET collation_connection=%d", c.Collation))
	return c.appendQuery(out, "SET character_set_client=@@character_set_connection, character_set_results=@@character_set_connection")
}

// readCollation reads the answers to appendCollation. A collation that the server does not know leaves its default, as
// it does in a COM_CHANGE_USER.
func (c *Conn) readCollation() error {
	if !c.wideCollation() {
		return nil
	}
	for range collationSteps {
		if _, _, err := c.readResult(); err != nil && !answered(err) {
			return err
		}
	}
	return nil
}

// answered tells whether an error is a server's answer, after which the connection goes on.
func answered(err error) bool {
	var refused *mysqlwire.Error
	return errors.As(err, &refused)
}

// errOwnSocket says that who would be let in is not the client but the user of the operating system that we run as.
var errOwnSocket = &AccountError{Why: "may log in by the user of the operating system (unix_socket, auth_socket), and on a " +
	"unix socket the server would see the one that stickyproxy runs as; connect to the server directly, or let " +
	"stickyproxy reach it by TCP"}

// appendOwner appends the question how the account proves itself, where an answer could let in the wrong one: a server
// that is reached by a unix socket may take us, and whoever is behind us, for the user that we run as.
func (c *Conn) appendOwner(out []byte, l Login) []byte {
	if !c.asksOwner(l) {
		return out
	}
	out = c.appendQuery(out, "SHOW CREATE USER CURRENT_USER()")
	if c.MariaDB {
		return out
	}
	return c.appendQuery(out, endOwner)
}

// endOwner ends the transaction that the question has begun where sessions begin with autocommit off: it reads a table. In an
// open one, MySQL turns no tracker on. A session's completion_type does not matter to it.
const endOwner = "ROLLBACK AND NO CHAIN NO RELEASE"

func (c *Conn) asksOwner(l Login) bool { return l.From.Remote != nil && c.Server.network == "unix" }

// readOwner reads the answer to appendOwner. In doubt nobody gets in.
func (c *Conn) readOwner(l Login) error {
	if !c.asksOwner(l) {
		return nil
	}
	rows, _, err := c.readResult()
	if err != nil {
		return fmt.Errorf("asking how the account proves itself: %w", err)
	}
	if !c.MariaDB {
		if _, _, err := c.readResult(); err != nil {
			return fmt.Errorf("ending the question how the account proves itself: %w", err)
		}
	}
	for _, row := range rows.Values {
		for _, v := range row {
			if strings.Contains(v.String, "unix_socket") || strings.Contains(v.String, "auth_socket") {
				return errOwnSocket
			}
		}
	}
	return nil
}
