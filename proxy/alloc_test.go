//go:build !race

package proxy

import (
	"testing"

	"github.com/go-mysql-org/go-mysql/mysql"

	"github.com/stickyproxy/stickyproxy/mysqlwire"
)

// Under the race detector sync.Pool drops what it is given now and then, so there is nothing to count there.

// A point select, on the replica and on the primary, in text and prepared, leaves nothing for the collector, and so
// does one whose end has to be written anew for the client.
func TestQueryAllocatesNothing(t *testing.T) {
	answer := pointSelect(nil)
	counted := pointSelect(mysqlwire.AppendChange(nil, mysqlwire.TrackSystemVariable, []byte("statement_id"), []byte("123")))
	old := mysqlwire.HeaderSize + 5 // the EOF behind the definitions of a classic client; its last EOF is 2 bytes shorter
	for _, tt := range []struct {
		name    string
		caps    mysqlwire.Capability
		command []byte
		size    int
		answer  []byte
	}{
		{"text on a replica", modern, query("SELECT c FROM sbtest1 WHERE id=12345"), len(answer), answer},
		{"with session state that the client does not want", modern, query("SELECT c FROM sbtest1 WHERE id=12345"), len(answer), counted},
		{"text on the primary", modern, query("SELECT c FROM sbtest1 WHERE id=12345 FOR UPDATE"), len(answer), answer},
		{"classic EOF", modern &^ mysqlwire.CapDeprecateEOF, query("SELECT c FROM sbtest1 WHERE id=12345"), len(answer) + old - 2, answer},
		{"prepared", modern, executeOf(cannedID), len(answer), answer},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := startPath(t, tt.caps, prepareThen(tt.answer))
			buf := make([]byte, 64<<10)
			p.ask(t, mysqlwire.AppendPacket(nil, 0, append([]byte{mysql.COM_STMT_PREPARE}, "SELECT c FROM sbtest1 WHERE id=?"...)), buf, len(prepareOK(tt.caps)))
			if got := testing.AllocsPerRun(200, func() { p.ask(t, tt.command, buf, tt.size) }); got != 0 {
				t.Errorf("got %v allocations a query, want 0", got)
			}
		})
	}
}
