// Package integration tests what stickyproxy promises, on real servers: a primary with two replicas, of MariaDB and of
// MySQL, with replication lag where the promise is about lag. There is one file for each promise:
//
//   - causal_test.go: nobody reads older data than what they themselves wrote;
//   - mode_test.go: what the consistency modes change about that;
//   - transaction_test.go, prepared_test.go: transactions, and prepared statements that move between servers;
//   - compare: whatever a client asks, it gets what the primary itself would have answered;
//   - hint_test.go, wait_test.go, guarantees_kept_test.go: sessions that span connections and proxies;
//   - servers: logins, positions and health of servers, and servers that are not set up as the promise needs it;
//   - failure_test.go: servers that die, hang, are late or are replaced;
//   - client_test.go: clients that speak garbage, go away or are slow;
//   - bulk_test.go, idle_test.go: large results, large packets and many clients, in bounded memory;
//   - driver_test.go, shell_test.go: the programs that people connect with;
//   - drain_test.go: the end of a proxy.
//
// A test is told where a statement ran by the proxy's trace hook, or sees its text pass on the way to a server
// ([way]); no test measures time.
package integration
