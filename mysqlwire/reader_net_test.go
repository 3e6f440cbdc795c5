package mysqlwire

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"math/big"
	"net"
	"path/filepath"
	"testing"
	"time"
)

// networks are the kinds of connections that a Reader reads from.
var networks = map[string]func(testing.TB) (conn, peer net.Conn){
	"tcp": connectTCP, "unix": connectUnix, "pipe": connectPipe, "tls": connectTLS,
}

func connectTCP(t testing.TB) (conn, peer net.Conn) {
	t.Helper()
	return connectOver(t, "tcp", "127.0.0.1:0")
}

func connectUnix(t testing.TB) (conn, peer net.Conn) {
	t.Helper()
	return connectOver(t, "unix", filepath.Join(t.TempDir(), "s"))
}

func connectOver(t testing.TB, network, address string) (conn, peer net.Conn) {
	t.Helper()
	l, err := net.Listen(network, address)
	if err != nil {
		t.Fatal(err)
	}
	peer, err = net.Dial(network, l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	if conn, err = l.Accept(); err != nil {
		t.Fatal(err)
	}
	_ = l.Close()
	closeAtEnd(t, conn, peer)
	return conn, peer
}

func connectPipe(t testing.TB) (conn, peer net.Conn) {
	t.Helper()
	conn, peer = net.Pipe()
	closeAtEnd(t, conn, peer)
	return conn, peer
}

func connectTLS(t testing.TB) (conn, peer net.Conn) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), DNSNames: []string{"test"}}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AddCert(certificate)
	a, b := connectTCP(t)
	server := tls.Server(a, &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}})
	client := tls.Client(b, &tls.Config{RootCAs: roots, ServerName: "test"})
	done := make(chan error, 1)
	go func() { done <- client.Handshake() }()
	if err := server.Handshake(); err != nil {
		t.Fatal(err)
	}
	mustWrite(t, done)
	return server, client
}

func closeAtEnd(t testing.TB, conns ...net.Conn) {
	t.Helper()
	t.Cleanup(func() {
		for _, c := range conns {
			_ = c.Close()
		}
	})
}

// write writes b on a goroutine of its own, whose end is waited for with mustWrite: a pipe has no buffer.
func write(c net.Conn, b []byte) chan error {
	done := make(chan error, 1)
	go func() {
		_, err := c.Write(b)
		done <- err
	}()
	return done
}

func mustWrite(t testing.TB, done <-chan error) {
	t.Helper()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
}

func mustDeadline(t testing.TB, c net.Conn, at time.Time) {
	t.Helper()
	if err := c.SetReadDeadline(at); err != nil {
		t.Fatal(err)
	}
}
