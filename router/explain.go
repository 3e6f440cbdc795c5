package router

import "time"

// Explain tells where a statement would go, "primary" or "replica", and why:
// on a clean connection with autocommit on, nothing to see for the session, and
// a replica that may serve any read. A statement about the one before it is for
// the primary then. It is for people; a proxy uses [Classify] and [Decide].
func Explain(sql []byte, c Context) (target string, r Reason) {
	st := Classify(sql, c)
	if st.Kind == BeginReadOnly {
		return "replica", st.Reason
	}
	now := time.Unix(1, 0)
	v := View{Monitored: true, PrimaryUp: true, Replicas: []Replica{
		{Up: true, ReadOnly: true, Replicating: true, FreshAsOf: now, Weight: 1},
	}}
	d := Decide(&Query{Statement: st, Now: now}, &v)
	if d.Replica < 0 {
		return "primary", d.Reason
	}
	return "replica", d.Reason
}
