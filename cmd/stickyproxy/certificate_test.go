package main

import (
	"crypto/x509"
	"encoding/pem"
	"path/filepath"
	"testing"

	"github.com/stickyproxy/stickyproxy/proxy"
)

// certificatePEM returns a new certificate and its key.
func certificatePEM(t *testing.T) (cert, key string) {
	t.Helper()
	made, err := proxy.SelfSigned()
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(made.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: made.Certificate[0]})),
		string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
}

func TestClientTLS(t *testing.T) {
	dir := t.TempDir()
	writeCertificate(t, dir)
	for _, row := range []struct {
		name string
		tls  TLS
	}{
		{"made at the start", TLS{}},
		{"from files", TLS{Cert: filepath.Join(dir, "cert.pem"), Key: filepath.Join(dir, "key.pem")}},
	} {
		t.Run(row.name, func(t *testing.T) {
			cfg, err := clientTLS(row.tls)
			if err != nil {
				t.Fatal(err)
			}
			if got := len(cfg.Certificates); got != 1 {
				t.Errorf("certificates: got %d, want 1", got)
			}
		})
	}
	if _, err := clientTLS(TLS{Cert: "none", Key: "none"}); err == nil {
		t.Error("files that are not there: got no error")
	}
}
