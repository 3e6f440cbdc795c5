package integration

import (
	"context"
	"crypto/tls"
	"database/sql"
	"errors"
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"

	"github.com/stickyproxy/stickyproxy/internal/mysqltest"
	"github.com/stickyproxy/stickyproxy/internal/mysqltest/clustertest"
	"github.com/stickyproxy/stickyproxy/proxy"
)

// tlsOffered lets the proxy offer TLS to its clients.
func tlsOffered(t *testing.T) func(*setup) {
	t.Helper()
	certificate, err := proxy.SelfSigned()
	if err != nil {
		t.Fatal(err)
	}
	return func(s *setup) { s.policy.TLS = proxy.ServerTLS(certificate, nil) }
}

// open is a pool of go-sql-driver.
func (p *rig) open(network, addr, parameters string) *sql.DB {
	p.t.Helper()
	db, err := sql.Open("mysql", fmt.Sprintf("%s:%s@%s(%s)/%s?%s", p.account.User, p.account.Password, network, addr, mysqltest.AppSchema, parameters))
	if err != nil {
		p.t.Fatal(err)
	}
	p.t.Cleanup(func() { _ = db.Close() })
	return db
}

// The driver works over every kind of connection and with every option that changes the protocol.
func TestDriver(t *testing.T) {
	if err := mysql.RegisterTLSConfig("any", &tls.Config{InsecureSkipVerify: true}); err != nil {
		t.Fatal(err)
	}
	clustertest.EachEngine(t, func(t *testing.T, e mysqltest.Engine) {
		p := transactionRig(t, e, tlsOffered(t))
		socket := filepath.Join(t.TempDir(), "s")
		p.serve("unix", socket)
		for _, row := range []struct{ name, network, addr, parameters string }{
			{"plain", "tcp", p.addr, ""},
			{"TLS", "tcp", p.addr, "tls=any"},
			{"unix socket", "unix", socket, ""},
			{"interpolated", "tcp", p.addr, "interpolateParams=true"},
			{"several statements", "tcp", p.addr, "multiStatements=true&tls=preferred"},
			{"found rows", "tcp", p.addr, "clientFoundRows=true&parseTime=true&charset=utf8mb4&collation=utf8mb4_bin"},
			{"variables", "tcp", p.addr, "sql_mode=ANSI_QUOTES&time_zone=%27%2B00%3A00%27&autocommit=1&maxAllowedPacket=0"},
			{"compressed", "tcp", p.addr, "compress=true"},
		} {
			t.Run(row.name, func(t *testing.T) {
				db := p.open(row.network, row.addr, row.parameters)
				drive(t, p.ctx, db)
			})
		}
	})
}

// drive is what an application does with a pool of one connection.
func drive(t *testing.T, ctx context.Context, db *sql.DB) {
	t.Helper()
	db.SetMaxOpenConns(1)
	exec := func(query string, args ...any) sql.Result {
		t.Helper()
		r, err := db.ExecContext(ctx, query, args...)
		if err != nil {
			t.Fatalf("%s: %v", query, err)
		}
		return r
	}
	exec("DROP TABLE IF EXISTS d")
	exec("CREATE TABLE d (id INT AUTO_INCREMENT PRIMARY KEY, v VARCHAR(50), n DOUBLE NULL)")
	if id, err := exec("INSERT INTO d (v, n) VALUES (?, ?), ('b', NULL)", "a", 1.5).LastInsertId(); err != nil || id != 1 {
		t.Errorf("insert id %d, %v", id, err)
	}
	if n, err := exec("UPDATE d SET v = 'c' WHERE id = ?", 2).RowsAffected(); err != nil || n != 1 {
		t.Errorf("%d rows changed, %v", n, err)
	}
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tx.ExecContext(ctx, "DELETE FROM d"); err != nil {
		t.Error(err)
	}
	if err := tx.Rollback(); err != nil {
		t.Error(err)
	}
	tx, err = db.BeginTx(ctx, &sql.TxOptions{ReadOnly: true, Isolation: sql.LevelRepeatableRead})
	if err != nil {
		t.Fatal(err)
	}
	if got, err := scan(tx.QueryContext(ctx, "SELECT GROUP_CONCAT(v, COALESCE(n, 'null') ORDER BY id) FROM d WHERE id < ?", 10)); err != nil || got != "a1.5,cnull" {
		t.Errorf("got %s, %v", got, err)
	}
	if err := tx.Commit(); err != nil {
		t.Error(err)
	}
	if err := db.PingContext(ctx); err != nil {
		t.Error(err)
	}
}

// Several results of one query are told apart.
func TestDriverSeveralResults(t *testing.T) {
	clustertest.EachEngine(t, func(t *testing.T, e mysqltest.Engine) {
		p := transactionRig(t, e)
		rows, err := p.open("tcp", p.addr, "multiStatements=true").QueryContext(p.ctx, "SELECT 1; SELECT v FROM t; SELECT 3")
		if err != nil {
			t.Fatal(err)
		}
		defer rows.Close()
		var got []int
		for more := true; more; more = rows.NextResultSet() {
			for rows.Next() {
				var n int
				if err := rows.Scan(&n); err != nil {
					t.Fatal(err)
				}
				got = append(got, n)
			}
		}
		if rows.Err() != nil || fmt.Sprint(got) != "[1 1 3]" {
			t.Errorf("got %v, %v", got, rows.Err())
		}
	})
}

// A query that is cancelled ends the connection, and what it did on the server.
func TestDriverCancels(t *testing.T) {
	clustertest.EachEngine(t, func(t *testing.T, e mysqltest.Engine) {
		p := bigRig(t, e)
		ctx, cancel := context.WithCancel(p.ctx)
		rows, err := p.connect().QueryContext(ctx, bigResult)
		if err != nil {
			t.Fatal(err)
		}
		cancel()
		for rows.Next() {
		}
		if err := errors.Join(rows.Err(), rows.Close()); err == nil {
			t.Error("the query was not cancelled")
		}
		for _, s := range p.cluster.Servers() {
			waitNobody(t, p, s)
		}
	})
}

// A pool of an unmodified application that writes and reads on one connection at a time never reads old data from it,
// while replicas are late, and connections come and go.
func TestDriverPool(t *testing.T) {
	clustertest.EachEngine(t, func(t *testing.T, e mysqltest.Engine) {
		p := transactionRig(t, e)
		p.lag(time.Second)
		db := p.open("tcp", p.addr, "")
		db.SetMaxIdleConns(4)
		done := make(chan error, 4)
		for worker := range 4 {
			go func() { done <- work(p.ctx, db, worker+10) }()
		}
		for range 4 {
			if err := <-done; err != nil {
				t.Error(err)
			}
		}
	})
}

// work writes and reads a row of its own.
func work(ctx context.Context, db *sql.DB, id int) error {
	for i := range 100 {
		conn, err := db.Conn(ctx)
		if err != nil {
			return err
		}
		if _, err := conn.ExecContext(ctx, "REPLACE INTO t VALUES (?, ?)", id, i); err != nil {
			return err
		}
		got, err := scan(conn.QueryContext(ctx, "SELECT v FROM t WHERE id = ?", id))
		if err != nil || got != fmt.Sprint(i) {
			return fmt.Errorf("worker %d wrote %d and reads %s, %w", id, i, got, err)
		}
		if err := conn.Close(); err != nil {
			return err
		}
	}
	return nil
}

// The driver learns why it is refused.
func TestDriverRefused(t *testing.T) {
	clustertest.EachEngine(t, func(t *testing.T, e mysqltest.Engine) {
		p := sharedRig(t, e)
		p.account.Password = "wrong"
		err := p.open("tcp", p.addr, "").PingContext(p.ctx)
		var refused *mysql.MySQLError
		if !errors.As(err, &refused) || refused.Number != 1045 {
			t.Errorf("got %v, want error 1045", err)
		}
	})
}
