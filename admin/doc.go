// Package admin tells an operator, a load balancer and Prometheus how the
// proxy is doing, over plain HTTP on an address of its own:
//
//	/healthz  200 while the process is alive; nothing else is looked at
//	/readyz   200 while clients may be sent here, else 503 and the reason
//	/metrics  Prometheus, from a registry of its own
//	/status   the same facts as one JSON object, for people and scripts
//
// The package knows nothing of MySQL: what it shows comes from a Metrics, which
// the query path counts in, and from the functions of a Sources, which are
// called when somebody asks. So a proxy that nobody asks pays two atomic
// additions and one histogram observation a query.
//
// Nothing here is protected by a password. Nothing here shows a statement, a
// session name or a password either, but addresses of servers are shown: listen
// on a loopback address unless the network is trusted.
package admin
