// Package session remembers what each session must see: its own writes.
//
// A session is whoever must read its own writes: usually one user of the
// application. Its requests come over many connections of a pool, so it is named,
// by a [Key], and its record lives in a [Store] that all client connections share.
// A connection that names nobody is a session of its own, and its record, a
// [Local], lives in the connection.
//
// What a session must see is a [Need]: the GTIDs of its writes, the times of its
// writes, and whether one is on its way. A session whose Need holds its reads on
// the primary is pinned; the Need says until when: until a replica has the GTIDs,
// or, for a write whose GTID is not known, until enough time has passed. Whether a
// given replica satisfies a Need is not decided here.
//
// # One write
//
//	store.Begin(key)                    // before the statement is sent to the primary
//	... the primary answers ...
//	store.End(key, session.Write{...})  // before the client sees the answer
//
// Between the two, reads of the session on other connections see Writing > 0. The
// order matters: a client may act on an acknowledgement at once, elsewhere. When
// the answer never comes, End says so with Unproven: the write may have happened.
//
// # Why forgetting is safe
//
// The store holds a bounded number of records, the ones used last, and each account
// has a floor: what a session of the account without a record must see. When a
// record that still pins is evicted, it is merged into the floor, in the same
// critical section, so that at no moment the session is neither known nor under
// the floor. A new record starts with the floor as its Need: before it had a record
// the session may have been an evicted one. So whatever is forgotten is forgotten
// to the strict side: some sessions read from the primary, or wait for a newer
// replica, without need. A client that invents a million names makes the reads of
// its own account stricter; the floor is per account so that it does not reach the
// others, and it does not apply to connections without a name.
//
// What was written through a process that is gone is unknown too, so after a
// restart every session starts at [Options].Start.
//
// Records are found by a hash of account and name; the names are not kept. Two
// sessions with the same hash share a record and must see each other's writes,
// which is strict for both, and rare (2^-52 for a pair).
//
// # Limits
//
// A write in flight is never forgotten: its record stays, also beyond the
// capacity, and their number is bounded by the number of client connections.
// GTIDs do not expire here. The set of a record or a floor has an interval per
// source (server and tag, or domain and server id), and the sources of a cluster
// are few, because making up one takes a privilege on the primary.
package session
