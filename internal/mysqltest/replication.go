package mysqltest

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
)

func (c *Cluster) dialect() dialect { return dialect{c.config.Engine, c.config.GTID} }

// SetLag makes a replica apply each change d after the primary made it, in whole seconds: that is
// all the servers' own delay can do. The replica receives and applies again afterwards, also if it
// was frozen or cut.
// https://dev.mysql.com/doc/refman/en/replication-delayed.html
func (c *Cluster) SetLag(ctx context.Context, replica *Server, d time.Duration) error {
	if err := validLag(d); err != nil {
		return err
	}
	_, err := replica.Exec(ctx, c.dialect().delay(d))
	return err
}

// Freeze stops a replica's applier: changes still arrive, and are only stored.
func (c *Cluster) Freeze(ctx context.Context, replica *Server) error {
	return c.replicaExec(ctx, replica, "STOP", "SQL_THREAD")
}

// Thaw starts the applier of a frozen replica again.
func (c *Cluster) Thaw(ctx context.Context, replica *Server) error {
	return c.replicaExec(ctx, replica, "START", "SQL_THREAD")
}

// Cut stops a replica's receiver: what the primary writes no longer arrives.
func (c *Cluster) Cut(ctx context.Context, replica *Server) error {
	return c.replicaExec(ctx, replica, "STOP", "IO_THREAD")
}

// Join starts the receiver of a cut replica again.
func (c *Cluster) Join(ctx context.Context, replica *Server) error {
	return c.replicaExec(ctx, replica, "START", "IO_THREAD")
}

func (c *Cluster) replicaExec(ctx context.Context, replica *Server, verb, thread string) error {
	_, err := replica.Exec(ctx, c.dialect().threads(verb, thread))
	return err
}

// Position returns what a server has executed, as text: on MySQL gtid_executed; on MariaDB
// gtid_binlog_pos of the primary and gtid_slave_pos of a replica. It is empty on MySQL without GTIDs.
func (c *Cluster) Position(ctx context.Context, s *Server) (string, error) {
	text, err := s.Exec(ctx, c.dialect().position(s == c.Primary))
	return strings.ReplaceAll(text, "\n", ""), err
}

// WaitCaughtUp waits until every running replica has applied what the primary had written when it
// was called. With a frozen or cut replica that is when ctx ends. A replica that cannot apply a
// change is an error at once.
func (c *Cluster) WaitCaughtUp(ctx context.Context) error {
	target, err := c.Primary.Exec(ctx, c.dialect().target())
	if err != nil {
		return err
	}
	wait, err := c.dialect().wait(target)
	if err != nil {
		return err
	}
	return eachServer(c.Replicas, func(s *Server) error {
		if s.PID() == 0 {
			return nil
		}
		return c.waitApplied(ctx, s, wait)
	})
}

// waitApplied repeats the wait statement, which is short because the server would go on with it
// when its shell is killed.
func (c *Cluster) waitApplied(ctx context.Context, s *Server, wait string) error {
	ticker := time.NewTicker(20 * time.Millisecond)
	defer ticker.Stop()
	for {
		answer, err := s.Exec(ctx, wait)
		if err != nil {
			return fmt.Errorf("has not caught up: %w", err)
		}
		if c.dialect().waited(answer) {
			return nil
		}
		if err := s.applierError(ctx); err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%s has not caught up: %w", s.name, ctx.Err())
		case <-ticker.C:
		}
	}
}

// applierError tells why a replica cannot apply a change, nil when it can or was stopped.
func (s *Server) applierError(ctx context.Context) error {
	status, err := s.replicaStatus(ctx)
	if text := status["Last_SQL_Error"]; err == nil && text != "" {
		err = fmt.Errorf("%s cannot apply a change: %s%s", s.name, text, s.workerErrors(ctx))
	}
	return err
}

// replicaStatus is SHOW REPLICA STATUS by the names of its columns. NULL is empty.
type replicaStatus map[string]string

// follows tells whether the replica is connected, applies, and is not told to be late.
func (r replicaStatus) follows() bool {
	yes := func(mysql, mariadb string) bool { return r[mysql] == "Yes" || r[mariadb] == "Yes" }
	return yes("Replica_IO_Running", "Slave_IO_Running") && yes("Replica_SQL_Running", "Slave_SQL_Running") && r["SQL_Delay"] == "0"
}

// replicaStatus asks; a server that is no replica has no status.
func (s *Server) replicaStatus(ctx context.Context) (replicaStatus, error) {
	results, err := s.script(ctx, "SHOW REPLICA STATUS")
	if err != nil {
		return nil, err
	}
	status := replicaStatus{}
	for _, row := range results[0].Values { // one at most
		for i, v := range row {
			status[results[0].Columns[i]] = v.String
		}
	}
	return status, nil
}

// workerErrors returns what SHOW REPLICA STATUS leaves out: MySQL's coordinator says only that a
// worker has failed.
func (s *Server) workerErrors(ctx context.Context) string {
	if s.programs.engine != MySQL {
		return ""
	}
	text, err := s.Exec(ctx, "SELECT last_error_message FROM performance_schema.replication_applier_status_by_worker WHERE last_error_number<>0")
	if err != nil {
		text = err.Error()
	}
	return "\n" + text
}

// Reset brings the cluster back to what Start made, apart from the data: all servers run, nothing
// is paused, frozen or cut, the lag is that of the configuration, and replicas have caught up.
func (c *Cluster) Reset(ctx context.Context) error {
	err := eachServer(c.Servers(), func(s *Server) error {
		s.Resume()
		return s.Start(ctx)
	})
	if err != nil {
		return err
	}
	return errors.Join(
		eachServer(c.Replicas, func(s *Server) error { return c.unlag(ctx, s) }),
		c.WaitCaughtUp(ctx),
		c.setConfiguredLag(ctx))
}

// unlag has a replica follow without lag, and waits until it is connected. One that does already is left alone.
func (c *Cluster) unlag(ctx context.Context, s *Server) error {
	ticker := time.NewTicker(10 * time.Millisecond)
	defer ticker.Stop()
	for told := false; ; {
		status, err := s.replicaStatus(ctx)
		if err != nil || status.follows() {
			return err
		}
		if !told {
			if err := c.SetLag(ctx, s, 0); err != nil {
				return err
			}
			told = true
			continue
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%s does not follow: %w: %s", s.name, ctx.Err(), status["Last_IO_Error"])
		case <-ticker.C:
		}
	}
}

// setConfiguredLag sets the lag of the configuration on every replica.
func (c *Cluster) setConfiguredLag(ctx context.Context) error {
	if c.config.Lag == 0 {
		return nil
	}
	return eachServer(c.Replicas, func(s *Server) error { return c.SetLag(ctx, s, c.config.Lag) })
}
