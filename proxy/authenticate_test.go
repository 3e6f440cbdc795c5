package proxy

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"math/big"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/stickyproxy/stickyproxy/backend"
	"github.com/stickyproxy/stickyproxy/mysqlwire"
)

// Ensure that a client learns why an account cannot log in through us, and what to do.
func TestLoginOfAccountThatNeedsItsClient(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		p := newPrimary()
		p.fail(fmt.Errorf("login to 10.1.2.3:3306: %w", &backend.AccountError{Why: "uses the plugin 'dialog'"}))
		c := mustRefuse(t, newAdmission(t, p), "app", "secret", 1251, FaultClient)
		if got := mysqlwire.ParseError(c.heard[len(c.heard)-1]).Message; got != "the account uses the plugin 'dialog'" {
			t.Errorf("got %q", got)
		}
	})
}

// Ensure that the text of a refusal names the client's host and not ours.
func TestLoginOfLockedAccount(t *testing.T) {
	for _, row := range []struct {
		name, message, want string
		code                uint16
	}{
		{"MySQL", "Access denied for user 'app'@'10.1.2.3'. Account is locked.", "Access denied for user 'app'@'pipe'. Account is locked.", 3118},
		{"MariaDB", "Access denied, this account is locked", "Access denied, this account is locked", 4151},
		{"blocked", "Access denied for user 'app'@'10.1.2.3'. Account is blocked for 1 day(s)", "Access denied for user 'app'@'pipe'. Account is blocked for 1 day(s)", 3955},
		{"the account's host", "Access denied for user 'app'@'%' to database 'x'", "Access denied for user 'app'@'%' to database 'x'", 1044},
		{"another text", "locked: '@'", "locked: '@'", 3118},
	} {
		t.Run(row.name, func(t *testing.T) {
			inBubble(t, func(t *testing.T) {
				p := newPrimary()
				p.fail(mysqlwire.NewError(row.code, "%s", row.message))
				c := mustRefuse(t, newAdmission(t, p), "app", "secret", row.code, FaultClient)
				if got := mysqlwire.ParseError(c.heard[len(c.heard)-1]).Message; got != row.want {
					t.Errorf("got %q, want %q", got, row.want)
				}
			})
		})
	}
}

// Ensure that client certificates are checked where they are to be, and that a client whose login fails is told that
// its certificate went no further.
func TestClientCertificates(t *testing.T) {
	for _, row := range []struct {
		name  string
		check bool
		shows string
		fails bool
		told  bool
	}{
		{name: "none", check: true},
		{name: "none, not checked"},
		{name: "any, not checked", shows: "stranger", told: true},
		{name: "one that is vouched for", check: true, shows: "friend", told: true},
		{name: "a stranger's", check: true, shows: "stranger", fails: true},
	} {
		t.Run(row.name, func(t *testing.T) {
			inBubble(t, func(t *testing.T) {
				certificates := map[string][]tls.Certificate{"friend": {newCertificate(t)}, "stranger": {newCertificate(t)}}
				var trusted *x509.CertPool
				if row.check {
					trusted = x509.NewCertPool()
					trusted.AddCert(certificates["friend"][0].Leaf)
				}
				a := newAdmission(t, newPrimary())
				a.TLS = ServerTLS(newCertificate(t), trusted)
				c, done := startLogin(t, a)
				c.hello()
				c.capabilities |= mysqlwire.CapSSL
				r := mysqlwire.LoginRequest{Capabilities: c.capabilities}
				c.write(r.AppendSSLRequest(nil))
				conn := tls.Client(c.conn, &tls.Config{InsecureSkipVerify: true, MaxVersion: tls.VersionTLS12, Certificates: certificates[row.shows]})
				if err := conn.Handshake(); (err != nil) != row.fails {
					t.Fatalf("got %v, want an error: %v", err, row.fails)
				}
				if row.fails {
					mustEnd(t, done, FaultClient)
					return
				}
				c.conn, c.secure = conn, true
				refused := c.login("app", "wrong")
				if refused == nil || refused.Code != 1045 || strings.Contains(refused.Message, "REQUIRE X509") != row.told {
					t.Errorf("got %v", refused)
				}
				<-done
			})
		})
	}
}

// newCertificate is one for servers and for clients, that signs itself.
func newCertificate(t testing.TB) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}
}

// startLoginFrom is startLogin with our end of the pipe as wrapped.
func startLoginFrom(t testing.TB, a *Admission, wrapped func(net.Conn) net.Conn) (*rawClient, <-chan outcome) {
	t.Helper()
	ours, theirs := net.Pipe()
	done := make(chan outcome, 1)
	go func() {
		client, err := a.Login(t.Context(), wrapped(ours), Hello{Version: "9.7.4", Capabilities: everything})
		if err != nil {
			_ = ours.Close()
		}
		done <- outcome{client, err}
	}()
	t.Cleanup(func() { _ = ours.Close(); _ = theirs.Close() })
	return &rawClient{t: t, conn: theirs, capabilities: defaultCapabilities}, done
}
