// Package doctor looks whether the servers are set up so that the proxy can keep its promise, and says what is not and
// what to do about it. Nothing fails open in silence: what makes the proxy send all reads to the primary, and what it
// cannot see from answers to reads (a replica that skips errors, say), is found here.
//
//	for _, f := range doctor.Examine(ctx, options) {
//		fmt.Println(f.Severity, f.Server, f.Found, f.Advice)
//	}
//
// [Examine] logs in to every server with the monitor account, reads, and judges. It writes nothing, needs no more than
// the account that the monitor needs, and takes what an account may not ask as a finding of its own.
//
// visit.go asks one server and makes its chart, chart.go is what was said, examine.go brings the charts together, and
// the judge_*.go files read them: judge_server.go those of one server, judge_replica.go how a replica follows,
// judge_fleet.go what differs between the servers, judge_account.go what accounts may do.
package doctor
