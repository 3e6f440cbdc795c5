// Package bench measures what the proxy costs: what a point select, a large result and a login take directly and
// through the proxy, and how much processor time the proxy itself spends on each.
//
// The benchmarks start a real MySQL primary with a replica and the proxy as a process of its own, as an operator runs
// it. The load comes from the process of the benchmark, so ns/op is what a client sees, and the processor time of the
// proxy, read from the kernel for that process alone, is a figure of its own: proxy-cpu-ns/op. Bytes and allocations an
// operation are those of the client, which is made to need none; those of the proxy are measured by the benchmarks of
// package proxy, where its path runs in the same process.
//
// README.md in this folder says how to run them, how to read them, and what they said so far.
package bench
