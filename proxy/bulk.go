package proxy

import (
	"bytes"
	"encoding/binary"

	"github.com/stickyproxy/stickyproxy/mysqlwire"
	"github.com/stickyproxy/stickyproxy/router"
)

const (
	// bulkHead is the size of COM_STMT_BULK_EXECUTE before its types and rows: command, id, flags.
	// https://mariadb.com/kb/en/com_stmt_bulk_execute/
	bulkHead = 7
	// bulkTypes of the flags: the types of the parameters are sent.
	bulkTypes = 0x80
)

// executeBulk serves MariaDB's COM_STMT_BULK_EXECUTE: a statement that changes data, for many rows of parameters at once.
func (c *conn) executeBulk(r *request) error {
	st := c.find(r)
	if st == nil || len(r.payload()) < bulkHead {
		return c.unknownStatement(r, "mysqld_stmt_bulk_execute")
	}
	r.stmt, r.hints = st, st.hints
	r.class = c.keepTemporary(st.class, st.text)
	if r.class.Kind != router.Primary {
		r.class.Kind, r.class.Reason = router.Primary, router.ReasonCommand // no server does that with a read
	}
	before := len(st.types)
	if refusal := st.learnBulkTypes(r.payload(), c.statements.room(st)); refusal != nil {
		return c.answer(refusal)
	}
	c.statements.bytes += len(st.types) - before
	if refused := c.obey(&r.hints); refused != nil {
		return c.refuse(r, refused)
	}
	if st.part != nil {
		return c.refuse(r, errOwnInBulk)
	}
	err := c.run(r)
	st.long = false
	return err
}

// learnBulkTypes remembers the types that a COM_STMT_BULK_EXECUTE brings along, at most room bytes of them.
func (s *statement) learnBulkTypes(p []byte, room int) *mysqlwire.Error {
	if !sendsBulkTypes(p) {
		return nil
	}
	types := p[bulkHead:]
	n := 2 * s.params
	switch {
	case n > len(types):
		return errMalformed
	case n > room:
		return errTooManyTypes
	case !bytes.Equal(s.types, types[:n]):
		s.types = bytes.Clone(types[:n])
	}
	s.typesNo++ // whether the server keeps them for a COM_STMT_EXECUTE is its own affair: that will send them again
	return nil
}

func sendsBulkTypes(p []byte) bool { return binary.LittleEndian.Uint16(p[5:])&bulkTypes != 0 }
