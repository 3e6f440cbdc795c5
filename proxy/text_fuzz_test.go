package proxy

import (
	"testing"

	"github.com/stickyproxy/stickyproxy/backend"
	"github.com/stickyproxy/stickyproxy/mysqlwire"
	"github.com/stickyproxy/stickyproxy/router"
)

// FuzzStateOfText has texts of clients read for what they leave behind. A table that was noted is mentioned by the text that
// made it, and gone after a plain DROP of it.
func FuzzStateOfText(f *testing.F) {
	for _, sql := range []string{
		"CREATE TEMPORARY TABLE IF NOT EXISTS `a`.`t` (i INT)", "DROP TEMPORARY TABLE IF EXISTS a.t, `u`", "CREATE OR REPLACE TEMPORARY TABLE t LIKE u",
		"SET SESSION timestamp := DEFAULT", "SET @@session.timestamp=0, a = 1", "/*!50000 UPDATE */ t SET a = 1", "-- x\n# y\n/* z */ UPDATE t SET a = 1",
		"SET @@session_track_gtids = 'OWN_GTID', session_track_schema = 0", "FLUSH LOCAL STATUS",
	} {
		f.Add([]byte(sql))
	}
	f.Fuzz(func(t *testing.T, sql []byte) {
		s := newState(&backend.Conn{Tracked: true, Schema: "a"})
		s.hold(heldTimestamp)
		st := router.Classify(sql, s.context)
		s.ran(st, sql, false, false)
		s.clocked(router.ReadSettings(sql))
		for table := range s.temporary {
			if !s.temporary.mentioned(sql) {
				t.Fatalf("%q does not mention %v", sql, table)
			}
			if s.temporary.dropped([]byte("DROP TABLE `"+table.schema+"`.`"+table.name+"`"), "b"); s.temporary.mentioned([]byte(table.name)) && len(s.temporary) == 0 {
				t.Fatalf("%v is still there", table)
			}
		}
		flushesStatus(sql)
	})
}

// FuzzExecute has the parameters found in executions of a prepared statement. What is found lies within the bytes.
func FuzzExecute(f *testing.F) {
	f.Add([]byte("\x17\x01\x00\x00\x00\x00\x01\x00\x00\x00\x00\x01\x03\x00\x05\x00\x00\x00"), uint8(1), true)
	f.Add([]byte("\x17\x01\x00\x00\x00\x08\x01\x00\x00\x00\x01\x00\x01\x03\x00\x01a\x05\x00\x00\x00"), uint8(1), true)
	f.Add([]byte("\x17\x01\x00\x00\x00\x00\x01\x00\x00\x00\x00\x00"), uint8(3), false)
	f.Fuzz(func(t *testing.T, p []byte, params uint8, named bool) {
		if len(p) < executeHead {
			return
		}
		caps := mysqlwire.Capability(0)
		if named {
			caps = mysqlwire.CapQueryAttributes
		}
		s := statement{params: int(params)}
		if s.learnTypes(p, caps, maxTypes) != nil {
			return
		}
		if len(s.types) > len(p) {
			t.Fatalf("%d bytes of types in %d", len(s.types), len(p))
		}
		for _, v := range s.block(p, caps).All() {
			v.Text()
		}
	})
}
