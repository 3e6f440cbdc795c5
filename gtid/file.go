package gtid

import (
	"fmt"
	"math"
	"strings"
	"unique"
)

const (
	fileKind = "binlog position"

	// offsetBits leaves 31 bits for the number of the file, which is as far as
	// servers count. A file is not meant to grow beyond 4 GiB, see
	// https://dev.mysql.com/doc/refman/8.4/en/replication-options-binary-log.html#sysvar_max_binlog_cache_size.
	offsetBits = 33
	maxOffset  = 1<<offsetBits - 1
)

// ParseFile makes a position of the name of a binary log file, such as
// "binlog.000123", and the offset in it in bytes, below 8 GiB. Positions compare
// by the number after the last dot, then by the offset; files with different base
// names do not compare. The error is a [*SyntaxError] about the name, or one that
// says the offset is too great.
func ParseFile(file string, offset uint64) (Set, error) {
	dot := strings.LastIndexByte(file, '.')
	p := parser{kind: fileKind, text: file, at: dot + 1}
	if dot < 1 {
		p.fail(len(file), "expected a name, a dot and a number")
	}
	number := p.number(math.MaxInt32)
	if p.at < len(p.text) {
		p.fail(p.at, "expected a digit of the file's number")
	}
	if p.err != nil {
		return Set{}, p.err
	}
	if offset > maxOffset {
		return Set{}, fmt.Errorf("%s: offset %d is greater than %d", fileKind, offset, uint64(maxOffset))
	}
	from := origin{flavor: flavorFile, name: file[:dot]}
	return newSet([]span{{source: unique.Make(from), last: number<<offsetBits | offset}}), nil
}

// appendFile appends the text of s: the file's name, a colon and the offset.
func appendFile(dst []byte, s span) []byte {
	return fmt.Appendf(dst, "%s.%06d:%d", s.source.Value().name, s.last>>offsetBits, s.last&maxOffset)
}
