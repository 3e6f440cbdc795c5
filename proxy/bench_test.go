package proxy

import (
	"bytes"
	"testing"

	"github.com/go-mysql-org/go-mysql/mysql"

	"github.com/stickyproxy/stickyproxy/mysqlwire"
)

// BenchmarkPointSelect is the proxy's path alone, between a client and servers that give ready answers, all in this
// process and over TCP: here bytes and allocations an operation are the proxy's, and the time has the system calls of
// all three in it.
func BenchmarkPointSelect(b *testing.B) {
	answer := pointSelect(nil)
	for _, bm := range []struct {
		name    string
		caps    mysqlwire.Capability
		command []byte
	}{
		{"text/replica", modern, query("SELECT c FROM sbtest1 WHERE id=12345")},
		{"text/primary", modern, query("SELECT c FROM sbtest1 WHERE id=12345 FOR UPDATE")},
		{"text/classic-eof", modern &^ mysqlwire.CapDeprecateEOF, query("SELECT c FROM sbtest1 WHERE id=12345")},
		{"prepared/replica", modern, executeOf(cannedID)},
	} {
		b.Run(bm.name, func(b *testing.B) {
			p := startPath(b, bm.caps, prepareThen(answer))
			buf := make([]byte, 64<<10)
			prepare := mysqlwire.AppendPacket(nil, 0, append([]byte{mysql.COM_STMT_PREPARE}, "SELECT c FROM sbtest1 WHERE id=?"...))
			p.ask(b, prepare, buf, len(prepareOK(bm.caps)))
			size := answerSize(answer, bm.caps)
			b.ReportAllocs()
			for b.Loop() {
				p.ask(b, bm.command, buf, size)
			}
		})
	}
}

// BenchmarkLargeResult relays a result of 4 MiB.
func BenchmarkLargeResult(b *testing.B) {
	for _, bm := range []struct {
		name string
		caps mysqlwire.Capability
	}{
		{"deprecate-eof", modern},
		{"classic-eof", modern &^ mysqlwire.CapDeprecateEOF},
	} {
		b.Run(bm.name, func(b *testing.B) {
			answer := manyRows(4 << 20)
			p := startPath(b, bm.caps, prepareThen(answer))
			size := answerSize(answer, bm.caps)
			buf := make([]byte, size)
			command := query("SELECT c FROM sbtest1")
			b.SetBytes(int64(size))
			b.ReportAllocs()
			for b.Loop() {
				p.ask(b, command, buf, size)
			}
		})
	}
}

// answerSize is the size of a server's answer as a client with caps gets it: one with the classic EOF packets gets one
// behind the definitions too, and a last one that is 2 bytes shorter.
func answerSize(answer []byte, caps mysqlwire.Capability) int {
	if caps.Has(mysqlwire.CapDeprecateEOF) {
		return len(answer)
	}
	return len(answer) + mysqlwire.HeaderSize + 5 - 2
}

// manyRows is the answer of pointSelect with rows of 200 bytes, at least size bytes of them.
func manyRows(size int) []byte {
	row := append([]byte{199}, bytes.Repeat([]byte{'x'}, 199)...)
	b := pointSelect(nil)
	head := 0
	for range 2 { // the column count and the definition
		head += mysqlwire.HeaderSize + mysqlwire.FrameLen(b[head:])
	}
	b = b[:head]
	seq := byte(3)
	for ; len(b) < size; seq++ {
		b = mysqlwire.AppendPacket(b, seq, row)
	}
	return mysqlwire.AppendPacket(b, seq, (&mysqlwire.OK{Status: mysqlwire.StatusAutocommit}).Append(nil, true, true))
}
