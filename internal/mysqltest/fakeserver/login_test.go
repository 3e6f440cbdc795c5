package fakeserver_test

import (
	"bytes"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/go-mysql-org/go-mysql/client"
	"github.com/go-mysql-org/go-mysql/mysql"

	"github.com/stickyproxy/stickyproxy/internal/mysqltest/fakeserver"
)

func TestLogin(t *testing.T) {
	certificates := newCertificates(t)
	for _, row := range []struct {
		name    string
		options fakeserver.Options
		tls     bool
	}{
		{"caching_sha2", fakeserver.Options{}, false},
		{"caching_sha2 by RSA", fakeserver.Options{FullAuth: true}, false},
		{"caching_sha2 over TLS", fakeserver.Options{FullAuth: true, TLS: certificates}, true},
		{"native", fakeserver.Options{Plugin: mysql.AUTH_NATIVE_PASSWORD}, false},
		{"native over TLS", fakeserver.Options{Plugin: mysql.AUTH_NATIVE_PASSWORD, TLS: certificates}, true},
	} {
		t.Run(row.name, func(t *testing.T) {
			row.options.Users = map[string]string{"app": "secret", "empty": ""}
			s := fakeserver.Start(t, row.options)
			var options []client.Option
			if row.tls {
				options = append(options, func(c *client.Conn) error {
					c.SetTLSConfig(&tls.Config{InsecureSkipVerify: true})
					return nil
				})
			}
			for _, login := range []struct {
				user, password string
				ok             bool
			}{{"app", "secret", true}, {"app", "wrong", false}, {"app", "", false}, {"empty", "", true}, {"nobody", "x", false}} {
				c, err := client.Connect(s.Addr(), login.user, login.password, "app", options...)
				if err == nil {
					err = errors.Join(c.Ping(), c.Close())
				}
				if (err == nil) != login.ok {
					t.Errorf("%s/%s: error %v", login.user, login.password, err)
				}
				if err != nil && !strings.Contains(err.Error(), "1045") {
					t.Errorf("%s/%s: error %v, want 1045", login.user, login.password, err)
				}
			}
		})
	}
}

func TestAuthSwitch(t *testing.T) {
	s := fakeserver.Start(t, fakeserver.Options{Plugin: mysql.AUTH_NATIVE_PASSWORD, Users: map[string]string{"app": "secret"}})
	c, err := client.Connect(s.Addr(), "app", "secret", "", func(c *client.Conn) error {
		c.SetAttributes(map[string]string{"program_name": "test"})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	waitForConns(t, s, 1)
	conns := s.Conns()
	if len(conns) != 1 || conns[0].User != "app" || conns[0].Attributes["program_name"] != "test" {
		t.Errorf("connections %+v", conns)
	}
}

func TestChangeUser(t *testing.T) {
	c := newRawClient(t, fakeserver.Options{
		Capabilities: basic,
		Users:        map[string]string{"app": "", "other": "secret"},
	})
	for _, row := range []struct {
		password string
		want     byte // first byte of the last packet
	}{{"secret", 0x00}, {"wrong", 0xff}} {
		c.write(0, append([]byte{mysql.COM_CHANGE_USER}, "other\x00\x00app\x00"...))
		request := c.read()
		plugin, salt, _ := bytes.Cut(request[1:], []byte{0})
		if request[0] != 0xfe || string(plugin) != "caching_sha2_password" || len(salt) != 21 {
			t.Fatalf("no auth switch: % x", request)
		}
		c.write(2, mysql.CalcCachingSha2Password(salt[:20], []byte(row.password)))
		last := c.read()
		if last[0] == 1 && last[1] == 4 { // not what the server expects: it wants to see it
			c.write(4, []byte{2})
			c.write(6, encryptedPassword(t, c.read(), salt[:20], row.password))
			last = c.read()
		} else if last[0] == 1 {
			last = c.read()
		}
		if last[0] != row.want {
			t.Errorf("password %s: % x", row.password, last)
		}
	}
}

func encryptedPassword(t *testing.T, packet, salt []byte, password string) []byte {
	t.Helper()
	block, _ := pem.Decode(packet[1:])
	if block == nil {
		t.Fatalf("no public key: %q", packet)
	}
	key, err := x509.ParsePKIXPublicKey(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := mysql.EncryptPassword(password, salt, key.(*rsa.PublicKey))
	if err != nil {
		t.Fatal(err)
	}
	return secret
}

func newCertificates(t *testing.T) *tls.Config {
	t.Helper()
	s := httptest.NewTLSServer(nil)
	t.Cleanup(s.Close)
	return &tls.Config{Certificates: s.TLS.Certificates}
}
