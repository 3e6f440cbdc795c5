package gtid

import (
	"math"
	"strconv"
	"unique"
)

const mariadbKind = "MariaDB GTID list"

// ParseMariaDB reads a GTID list of MariaDB as @@gtid_slave_pos or last_gtid
// prints it: "0-1-9,1-2-3", each one a domain, a server id and a sequence number.
// White space around the parts does not matter. Of several GTIDs of the same
// domain and server the highest counts. The error is a [*SyntaxError].
//
// See https://mariadb.com/docs/server/ha-and-performance/standard-replication/gtid.
func ParseMariaDB(s string) (Set, error) {
	p := parser{kind: mariadbKind, text: s}
	var few [8]span
	spans := few[:0]
	for p.next() {
		spans = append(spans, p.mariadbItem())
	}
	if p.err != nil {
		return Set{}, p.err
	}
	return newSet(normalise(spans)), nil
}

// mariadbItem reads "domain-server-sequence".
func (p *parser) mariadbItem() span {
	from := origin{flavor: flavorMariaDB, hi: p.number(math.MaxUint32)}
	if !p.accept('-') {
		p.fail(p.at, "expected '-' after the domain")
	}
	from.lo = p.number(math.MaxUint32)
	if !p.accept('-') {
		p.fail(p.at, "expected '-' after the server id")
	}
	return span{source: unique.Make(from), last: p.number(math.MaxUint64)}
}

// appendMariaDB appends the text of s.
func appendMariaDB(dst []byte, s span) []byte {
	o := s.source.Value()
	dst = append(strconv.AppendUint(dst, o.hi, 10), '-')
	dst = append(strconv.AppendUint(dst, o.lo, 10), '-')
	return strconv.AppendUint(dst, s.last, 10)
}
