// Package load compares endpoints in one interleaved run: A B C A B C and so on, so that whatever else happens on the
// machine happens to all of them. It measures point selects as text and prepared, a large result, logins and idle
// clients; and of an endpoint whose process is on this machine what these cost that process alone, by the clock that the
// kernel keeps for it.
//
// Its clients are as cheap as clients can be and always busy (a closed load): the figure is what an endpoint can do, not
// what somebody would wait for; package policies has an open load.
package load
