package router

import "time"

// Explain tells where a statement would go, "primary" or "replica", and why, or
// "proxy" for one that no server sees:
// on a clean connection with autocommit on, nothing to see for the session, and
// a replica that may serve any read. A statement about the one before it is for
// the primary then. It is for people; a proxy uses [Classify] and [Decide].
func Explain(sql []byte, c Context) (target string, r Reason) {
	st := Classify(sql, c)
	if st.Ours.Has(Addressed) && isOwn(sql, c) {
		return "proxy", ReasonOwn
	}
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

// isOwn tells whether a text with our variables is for us alone, if only to be
// refused.
func isOwn(sql []byte, c Context) bool {
	parts, err := Split(sql, c)
	for i := range parts {
		if parts[i].SQL != nil {
			return false
		}
	}
	return err == nil || len(parts) == 0
}
