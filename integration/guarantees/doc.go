// Package guarantees is a checker of session guarantees that cannot be fooled: it runs the users of an application
// against one or several endpoints of a replicated database, and judges every answer by what the user who got it had
// written and read before. The guarantees are those of Terry et al., "Session Guarantees for Weakly Consistent Replicated
// Data" (1994):
//
//	read your writes      a read shows what its session wrote before, or something newer
//	monotonic reads       a read shows what its session read before, or something newer
//	monotonic writes      whoever sees a write of a session sees the writes that the session had made before it
//	writes follow reads   whoever sees a write of a session sees what the session had read before it
//
// # How it judges
//
// The data are numbered cells. Each write adds one to the version of a cell under the row lock of the one server that
// takes writes, so that the versions of a cell are in the order of the writes, and leaves its own number in the cell. A
// [History] knows of each write, when it begins, which version of every cell its session had written and seen until then.
// A read that shows a version lower than its session must see breaks a guarantee; one that shows a write obliges the
// session, and the other rows of the same answer, to all that the write was based on. So the last two guarantees are
// judged by any reader, not by asking the servers.
//
// A write whose answer did not arrive may have happened or not, now or later: it obliges nobody until somebody sees it.
// A write that is known not to have happened, a number that nobody gave out and two writes with the same version are
// told as broken data.
//
// # What runs
//
// [Run] makes the schema [Schema], lets [Options].Users work over pools of connections for a time, and removes the schema
// again. Statements are sent as text and prepared, on their own and in transactions. A [Hint] says how the proxy is told
// whose statement it is: by the connection alone, by each of the hints, or by tokens that go from endpoint to endpoint.
// [Options].Split does what naive applications do (writes to the first endpoint, reads to the others), where violations
// have to be found as soon as replicas are late.
package guarantees
