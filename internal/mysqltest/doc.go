// Package mysqltest runs real MySQL and MariaDB clusters: a primary and its replicas as ordinary
// private processes, with replication lag that can be set. Tests, the demo and the lag laboratory
// use it.
//
//	c, err := mysqltest.Start(ctx, mysqltest.Config{Engine: mysqltest.MariaDB, GTID: true, Lag: 2 * time.Second})
//	if err != nil { ... }
//	defer c.Close()
//	_, err = c.Primary.Exec(ctx, "CREATE TABLE app.t (id INT PRIMARY KEY)")
//	err = c.WaitCaughtUp(ctx)
//	// c.Primary.Addr(), c.Replicas[0].Addr(), c.App.User, c.App.Password: for any client.
//
// Nothing of the system is touched: every server has its own folder, a free port of 127.0.0.1 and
// its own socket, and all of it is gone after [Cluster.Close]. When the process that started a
// cluster is killed, the kernel kills the servers with it (Linux), and the next Start removes the
// folder that stayed behind.
//
// Start installs or fetches servers that are missing, see [EnsureInstalled].
//
// The servers are set up like a laboratory and not like a bank: small buffers and no fsync at
// commit. What they say on the wire, and what survives the kill of a process, is the same.
//
// Helpers that need a [testing.TB] are in the package clustertest; this one is part of the
// program. Only Linux is supported in full; other systems of the Unix family lack the guarantee
// about killed processes.
package mysqltest
