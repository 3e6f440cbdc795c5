// Package policies runs one workload of application users under several ways to reach a primary and its replicas, and
// counts what each costs: stale reads, reads on the primary, latency.
//
// The users share a pool of connections, as behind a web application: whatever connection is free serves the next action
// of anybody. A visit is a few actions of one user with time to think between them. An action writes the user's own
// record, reads it back, or reads somebody else's record; whoever has just written looks at the result next.
//
// The load is open: the actions of a slice and their times are drawn before it begins, the same for every policy, and
// latency counts from the time an action was due, not from when a connection was free. So a policy that is too slow for
// the load shows it, instead of slowing the load down ("coordinated omission").
//
// A read of a user's own record is stale when it shows less than the last write of that user that was acknowledged
// before the read was sent, whichever connection that was on. Policies take turns, a slice each, round after round, each
// with records of its own.
package policies
