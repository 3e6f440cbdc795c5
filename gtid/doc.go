// Package gtid holds replication positions as immutable values: what a server
// has executed, what a write was given, what a reader must see.
//
// A [Set] is made from the text a server sends:
//
//	executed, err := gtid.ParseMySQL("3e11fa47-71ca-11e1-9e33-c80aa9429562:1-77:79")
//	wrote, err := gtid.ParseMySQL("3e11fa47-71ca-11e1-9e33-c80aa9429562:78")
//	executed.Contains(wrote) // false: 78 is the gap
//
// and is never changed afterwards: [Set.Union] and its like return other sets.
// So sets may be copied, shared between goroutines and kept for ever without a
// lock.
//
// # One representation for three kinds of position
//
// Every position is a sorted list of spans, a span being a range of numbers that
// one source gave out. Spans of a source neither overlap nor touch, so a range
// that is contained at all is contained in one span, which a binary search finds.
//
//   - MySQL: the source is a server's uuid and, since 8.3, a tag; the spans are
//     the intervals of gtid_executed, gaps included.
//   - MariaDB: the source is a domain and a server id; the span is 0 to the
//     sequence number. Another server id in the same domain is another source, so
//     0-2-10 is no proof of 0-1-9, although its number is higher: server 2 may
//     have started from a copy that lacked it.
//   - Files, for servers that have no GTIDs: the source is the base name of the
//     binary log files of one server; the span is 0 to the position, which is
//     the file's number and the offset in it as one number.
//
// # Proof
//
// [Set.Contains] answers true only when everything asked for is there. Whatever
// does not compare (another source, another kind of position) is not contained,
// and everything that is not exact errs to that side: a union never has less than
// its parts. The empty set is contained in every set, so a position that could
// not be parsed must not be replaced by the empty one where it is a need.
//
// A file position says nothing about which server it belongs to: all of them call
// their files binlog.000001. Compare only positions of the same server.
package gtid
