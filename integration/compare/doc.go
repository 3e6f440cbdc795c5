// Package compare tests that a client cannot tell stickyproxy from the primary: what it does is done twice, on a
// connection to the primary and on one through the proxy, and every packet of every response has to be the same, but for
// connection ids, the ids of prepared statements and timings.
//
//   - scripts_test.go plays the scripts of testdata, one for each thing that proxies are known to get wrong;
//     script_test.go describes how they are written. Those in testdata/open, if there are any, show what is still wrong,
//     and are not played.
//   - random_test.go plays random ones, made by generate_test.go. One that fails is made shorter and printed, in the
//     form of the scripts.
//
// All of it runs on MariaDB and on MySQL, behind which there are two replicas that follow without lag; a script waits
// for them where it says so.
package compare
