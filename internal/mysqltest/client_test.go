package mysqltest_test

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/go-mysql-org/go-mysql/client"
	"github.com/go-mysql-org/go-mysql/mysql"

	"github.com/stickyproxy/stickyproxy/internal/mysqltest"
	"github.com/stickyproxy/stickyproxy/internal/mysqltest/clustertest"
)

// Ensure that the accounts can log in by TCP, with a certificate that its authority vouches for
// and without TLS, and that replicas refuse an ordinary account's write.
func TestAccountsLogIn(t *testing.T) {
	clustertest.EachEngine(t, func(t *testing.T, e mysqltest.Engine) {
		c := clustertest.Shared(t, e)
		for _, s := range c.Servers() {
			for _, account := range []mysqltest.Account{c.App, c.Monitor, c.Replication, c.Root} {
				mustConnect(t, s, account, nil).Close()
			}
			secure := mustConnect(t, s, c.App, &tls.Config{RootCAs: c.CertPool(), ServerName: "127.0.0.1"})
			result, err := secure.Execute("SHOW STATUS LIKE 'Ssl_version'")
			if err != nil {
				t.Fatal(err)
			}
			if version, _ := result.GetString(0, 1); !strings.HasPrefix(version, "TLS") {
				t.Errorf("%s: TLS version %q", s.Name(), version)
			}
			_, err = secure.Execute("CREATE TABLE app.t (a INT)")
			secure.Close()
			if s == c.Primary {
				if err != nil {
					t.Error(err)
				}
			} else if my := new(mysql.MyError); !errors.As(err, &my) || my.Code != mysql.ER_OPTION_PREVENTS_STATEMENT {
				t.Errorf("%s: a write's error is %v, want that the server is read only", s.Name(), err)
			}
		}
		if _, err := os.Stat(c.CAFile()); err != nil {
			t.Error(err)
		}
	})
}

// Ensure that a monitor's account can ask for what a monitor needs, and the application's cannot
// see other schemas.
func TestMonitorPrivileges(t *testing.T) {
	clustertest.EachEngine(t, func(t *testing.T, e mysqltest.Engine) {
		c := clustertest.Shared(t, e)
		monitor := mustConnect(t, c.Replicas[0], c.Monitor, nil)
		defer monitor.Close()
		result, err := monitor.Execute("SHOW REPLICA STATUS")
		if err != nil {
			t.Fatal(err)
		}
		if got, err := result.GetIntByName(0, map[mysqltest.Engine]string{
			mysqltest.MySQL: "Source_Port", mysqltest.MariaDB: "Master_Port",
		}[e]); err != nil || !strings.HasSuffix(c.Primary.Addr(), ":"+strconv.FormatInt(got, 10)) {
			t.Errorf("source's port %d, error %v, want that of %s", got, err, c.Primary.Addr())
		}
		app := mustConnect(t, c.Replicas[0], c.App, nil)
		defer app.Close()
		if _, err := app.Execute("SELECT * FROM mysql.user"); err == nil {
			t.Error("the application's account reads mysql.user")
		}
	})
}

// Ensure that a start that is given up leaves nothing.
func TestStartEndsWithContext(t *testing.T) {
	dir := shortDir(t)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	result := make(chan error, 1)
	go func() {
		c, err := mysqltest.Start(ctx, mysqltest.Config{Engine: mysqltest.MySQL, Dir: dir})
		if err == nil {
			err = errors.Join(c.Close(), errors.New("it started"))
		}
		result <- err
	}()
	clustertest.WaitFor(clustertest.Context(t), t, "the cluster's folder", func() (bool, error) { return len(folders(t, dir)) > 0, nil })
	cancel()
	if err := <-result; !errors.Is(err, context.Canceled) {
		t.Errorf("error %v, want %v", err, context.Canceled)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) != 0 {
		t.Errorf("left behind: %v, error %v", left, err)
	}
}

func mustConnect(t *testing.T, s *mysqltest.Server, a mysqltest.Account, config *tls.Config) *client.Conn {
	t.Helper()
	c, err := client.Connect(s.Addr(), a.User, a.Password, "", func(c *client.Conn) error {
		if config != nil {
			c.SetTLSConfig(config)
		}
		return nil
	})
	if err != nil {
		t.Fatalf("%s as %s: %v", s.Name(), a.User, err)
	}
	return c
}

// Ensure that Shell is the engine's own program and reaches a server by TCP.
func TestShell(t *testing.T) {
	clustertest.EachEngine(t, func(t *testing.T, e mysqltest.Engine) {
		c, ctx := clustertest.Shared(t, e), clustertest.Context(t)
		host, port, err := net.SplitHostPort(c.Primary.Addr())
		if err != nil {
			t.Fatal(err)
		}
		cmd, err := mysqltest.Shell(ctx, e, "--host="+host, "--port="+port, "--user="+c.App.User, "--batch", "--skip-column-names", "--execute=SELECT CURRENT_USER()")
		if err != nil {
			t.Fatal(err)
		}
		cmd.Env = append(cmd.Env, "MYSQL_PWD="+c.App.Password)
		if got, err := cmd.Output(); err != nil || string(got) != "app@%\n" {
			t.Errorf("answer %q, error %v", got, err)
		}
	})
}
