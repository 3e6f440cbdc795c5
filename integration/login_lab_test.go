package integration

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"database/sql"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	bignum "math/big"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"

	"github.com/stickyproxy/stickyproxy/internal/mysqltest"
	"github.com/stickyproxy/stickyproxy/internal/mysqltest/clustertest"
	"github.com/stickyproxy/stickyproxy/mysqlwire"
)

// loginCaps is what a client asks for that looks at the login alone.
const loginCaps = plainCaps &^ mysqlwire.CapLocalFiles

// loginSecret is the password of every account that the tests of the login make.
const loginSecret = "pass word"

// loginAccount is an account with it.
func loginAccount(user string) mysqltest.Account {
	return mysqltest.Account{User: user, Password: loginSecret}
}

// accounts runs statements that make accounts, which are dropped when the test ends: those are the words after CREATE
// USER. PW stands for the password.
func (p *rig) accounts(statements ...string) {
	p.t.Helper()
	for _, s := range statements {
		if rest, ok := strings.CutPrefix(s, "CREATE USER "); ok {
			name, _, _ := strings.Cut(rest, " ")
			p.t.Cleanup(func() {
				if _, err := p.cluster.Primary.Exec(context.Background(), "DROP USER "+name+";"); err != nil {
					p.t.Error(err)
				}
			})
		}
	}
	p.root(statements...)
}

// root runs statements as root on the primary and waits for the replicas.
func (p *rig) root(statements ...string) {
	p.t.Helper()
	text := strings.ReplaceAll(strings.Join(statements, ";\n")+";", "PW", "'"+loginSecret+"'")
	if _, err := p.cluster.Primary.Exec(p.ctx, text); err != nil {
		p.t.Fatal(err)
	}
	p.waitFresh()
}

// attempt logs in on plain TCP and returns the client, how many packets it took, and the refusal.
func (p *rig) attempt(addr string, a mysqltest.Account, caps mysqlwire.Capability, schema string) (*raw, int, *mysqlwire.Error) {
	p.t.Helper()
	c := dialRaw(p.t, addr)
	err := c.login(a, caps, schema)
	var refused *mysqlwire.Error
	if err != nil && !errors.As(err, &refused) {
		p.t.Fatalf("login of %s at %s: %v", a.User, addr, err)
	}
	return c, int(c.seq), refused
}

// mustEnter logs in through the proxy and returns how many packets it took.
func (p *rig) mustEnter(a mysqltest.Account) int {
	p.t.Helper()
	_, packets, refused := p.attempt(p.addr, a, loginCaps, "")
	if refused != nil {
		p.t.Fatalf("login of %s: %v", a.User, refused)
	}
	return packets
}

// mustNotEnter fails to log in through the proxy as it fails to log in to the primary, and returns how many packets it
// took.
func (p *rig) mustNotEnter(a mysqltest.Account, caps mysqlwire.Capability, schema string) int {
	p.t.Helper()
	_, _, want := p.attempt(p.cluster.Primary.Addr(), a, caps, schema)
	_, packets, got := p.attempt(p.addr, a, caps, schema)
	if want == nil || got == nil || *got != *want {
		p.t.Errorf("login of %s: got %v, directly %v", a.User, got, want)
	}
	return packets
}

// withDriver logs in with go-sql-driver and runs a query of one value. Parameters are those of its DSN.
func (p *rig) withDriver(network, addr string, a mysqltest.Account, query, parameters string) (string, error) {
	p.t.Helper()
	db, err := sql.Open("mysql", fmt.Sprintf("%s:%s@%s(%s)/?%s", a.User, a.Password, network, addr, parameters))
	if err != nil {
		p.t.Fatal(err)
	}
	defer db.Close()
	conn, err := db.Conn(p.ctx)
	if err != nil {
		return "", err
	}
	defer conn.Close()
	return scan(conn.QueryContext(p.ctx, query))
}

// overTLS is the parameter of a DSN for TLS with this certificate of the client; nil: none.
func overTLS(t testing.TB, certificate *tls.Certificate) string {
	t.Helper()
	c := &tls.Config{InsecureSkipVerify: true}
	if certificate != nil {
		c.Certificates = []tls.Certificate{*certificate}
	}
	name := strings.NewReplacer("/", "-", " ", "-").Replace(t.Name())
	if err := mysql.RegisterTLSConfig(name, c); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { mysql.DeregisterTLSConfig(name) })
	return "tls=" + name
}

// refusedBy is the server's error in err, which has to be one.
func refusedBy(t testing.TB, err error) *mysql.MySQLError {
	t.Helper()
	var refused *mysql.MySQLError
	if !errors.As(err, &refused) {
		t.Fatalf("got %v, want an error of a server", err)
	}
	return refused
}

// loginLab is a server alone, with every plugin there is, that trusts an authority of the test's own and expects PROXY
// headers where it can.
func loginLab(t *testing.T, e mysqltest.Engine) (*mysqltest.Cluster, tls.Certificate) {
	t.Helper()
	authority, client := clientCertificate(t)
	extra := []string{"ssl_ca=" + authority}
	switch {
	case e == mysqltest.MySQL:
		extra = append(extra, "plugin_load_add=auth_socket.so")
	case newerMariaDB():
		extra = append(extra, "plugin_load_add=auth_ed25519", "plugin_load_add=auth_parsec", "proxy_protocol_networks=127.0.0.1,localhost")
	default:
		extra = append(extra, "plugin_dir="+mariaDBPlugins(t), "plugin_load_add=auth_ed25519", "plugin_load_add=auth_pam_v1",
			"proxy_protocol_networks=127.0.0.1,localhost")
	}
	return clustertest.Start(t, mysqltest.Config{Engine: e, Replicas: -1, GTID: true, ExtraConfig: extra}), client
}

// newerMariaDB reports whether the tests use the MariaDB of Debian's next suite, which is unpacked with its plugins.
func newerMariaDB() bool { return os.Getenv("STICKYPROXY_MARIADB_SUITE") != "" }

// clientCertificate makes an authority, which is written to a file, and a certificate for clients.
func clientCertificate(t testing.TB) (authority string, client tls.Certificate) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	ca := &x509.Certificate{
		SerialNumber: bignum.NewInt(1), NotAfter: time.Now().Add(24 * time.Hour), IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageCertSign,
	}
	ca.Subject.CommonName = "clients"
	caDER, err := x509.CreateCertificate(rand.Reader, ca, ca, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	own := &x509.Certificate{SerialNumber: bignum.NewInt(2), NotAfter: ca.NotAfter, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}
	own.Subject.CommonName = "client"
	der, err := x509.CreateCertificate(rand.Reader, own, ca, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	authority = filepath.Join(t.TempDir(), "clients.pem")
	if err := os.WriteFile(authority, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: caDER}), 0o600); err != nil {
		t.Fatal(err)
	}
	return authority, tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// mariaDBPlugins is a folder with the plugins of the installed MariaDB, which Debian has in a package of their own. It
// is fetched once into the cache folder.
func mariaDBPlugins(t testing.TB) string {
	t.Helper()
	cache, err := mysqltest.CacheDir()
	if err != nil {
		t.Fatal(err)
	}
	version, err := exec.CommandContext(t.Context(), "dpkg-query", "-W", "-f", "${Version}", "mariadb-server-core").Output()
	if err != nil {
		t.Fatalf("which MariaDB is installed (it has to be Debian's mariadb-server-core): %v", err)
	}
	dir := filepath.Join(cache, "mariadb-server-"+strings.ReplaceAll(string(version), ":", "_"))
	if _, err := os.Stat(dir); err != nil {
		if err := fetchPackage(t.Context(), "mariadb-server="+string(version), cache, dir); err != nil {
			t.Fatalf("get Debian's package mariadb-server %s (needs apt-get, dpkg-deb and Debian's archive): %v", version, err)
		}
	}
	return filepath.Join(dir, "usr/lib/mysql/plugin")
}

// fetchPackage downloads and unpacks a package beside dir and renames it then, so that dir is there as a whole or not at
// all.
func fetchPackage(ctx context.Context, name, cache, dir string) error {
	work, err := os.MkdirTemp(cache, "package-*.tmp")
	if err != nil {
		return err
	}
	defer os.RemoveAll(work)
	if out, err := runIn(ctx, work, "apt-get", "download", name); err != nil {
		return fmt.Errorf("%w\n%s", err, out)
	}
	debs, err := filepath.Glob(filepath.Join(work, "*.deb"))
	if err != nil || len(debs) != 1 {
		return fmt.Errorf("found %d packages after the download", len(debs))
	}
	unpacked := filepath.Join(work, "unpacked")
	if out, err := runIn(ctx, work, "dpkg-deb", "-x", debs[0], unpacked); err != nil {
		return fmt.Errorf("%w\n%s", err, out)
	}
	if err := os.Rename(unpacked, dir); !errors.Is(err, fs.ErrExist) {
		return err
	}
	return nil // another test run was faster
}

func runIn(ctx context.Context, dir, name string, args ...string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = dir
	return cmd.CombinedOutput()
}
