package integration

import (
	"errors"
	"strings"
	"testing"

	gomysql "github.com/go-mysql-org/go-mysql/mysql"

	"github.com/stickyproxy/stickyproxy/backend"
	"github.com/stickyproxy/stickyproxy/internal/mysqltest"
	"github.com/stickyproxy/stickyproxy/internal/mysqltest/clustertest"
	"github.com/stickyproxy/stickyproxy/mysqlwire"
)

// A server connection becomes that of an account of any plugin and keeps its thread, over each transport; nothing of the
// session before is left, and all of the new one is known.
func TestBackendChangeUser(t *testing.T) {
	clustertest.EachEngine(t, func(t *testing.T, e mysqltest.Engine) {
		cluster, _ := loginLab(t, e)
		p := startRig(t, cluster)
		for user, statement := range loginPlugins(e) {
			p.accounts(statement)
			for transport, config := range map[string]backend.ServerConfig{
				"TCP":  {Address: cluster.Primary.Addr()},
				"TLS":  {Address: cluster.Primary.Addr(), TLS: backend.TLS{Mode: backend.TLSRequired}},
				"unix": {Address: "unix:" + cluster.Primary.Socket()},
			} {
				t.Run(user+"/"+transport, func(t *testing.T) {
					t.Parallel() // MariaDB takes a second to refuse one
					changesUser(t, config, cluster.App, user)
				})
			}
		}
	})
}

func changesUser(t *testing.T, config backend.ServerConfig, first mysqltest.Account, user string) {
	s, err := backend.NewServer(config)
	if err != nil {
		t.Fatal(err)
	}
	all := ^mysqlwire.Capability(0)
	c, err := s.Connect(clustertest.Context(t), backend.Login{
		User: first.User, Password: first.Password, Schema: mysqltest.AppSchema, Collation: 45, Capabilities: all,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	if _, err := c.Query(clustertest.Context(t), "SET @x = 1, sql_mode = 'ANSI_QUOTES'"); err != nil {
		t.Fatal(err)
	}
	to := backend.Login{User: user, Password: loginSecret, Collation: 45, Capabilities: all}
	thread, incarnation := c.ThreadID, c.Incarnation
	if err := c.ChangeUser(clustertest.Context(t), to); err != nil {
		t.Fatal(err)
	}
	if c.ThreadID != thread || c.Incarnation != incarnation || !c.Tracked || c.Schema != "" || !c.Alive() {
		t.Errorf("got %+v", c)
	}
	const question = "SELECT CONCAT_WS(' ', CURRENT_USER(), CONNECTION_ID(), IFNULL(@x, 'no'), @@sql_mode LIKE '%ANSI_QUOTES%')"
	rows, err := c.Query(clustertest.Context(t), question)
	if err != nil {
		t.Fatal(err)
	}
	if got := rows.Values[0][0].String; !strings.HasPrefix(got, user+"@% ") || !strings.HasSuffix(got, " no 0") {
		t.Errorf("got %s", got)
	}
	to.Password = "wrong"
	err = c.ChangeUser(clustertest.Context(t), to)
	var refused *mysqlwire.Error
	if !errors.As(err, &refused) || refused.Code != gomysql.ER_ACCESS_DENIED_ERROR {
		t.Errorf("a wrong password: %v", err)
	}
}
