package proxy

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"math/big"
	"sync"
	"time"
)

const (
	// certificateLife is that of the certificates that MySQL makes for itself at start.
	certificateLife = 10 * 365 * 24 * time.Hour
	clockSkew       = time.Hour // of a client whose clock is late
	keyBits         = 2048      // as MySQL's; a client fills exactly 256 bytes
)

// SelfSigned makes a certificate for clients that want TLS where none is configured. It protects from who listens, not
// from who stands in between: no client can verify it.
func SelfSigned() (tls.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("make a TLS key: %w", err)
	}
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("make a TLS certificate: %w", err)
	}
	now := time.Now()
	template := &x509.Certificate{
		SerialNumber:          serial,
		Subject:               pkix.Name{CommonName: "stickyproxy, made at start"},
		NotBefore:             now.Add(-clockSkew),
		NotAfter:              now.Add(certificateLife),
		KeyUsage:              x509.KeyUsageDigitalSignature,
		ExtKeyUsage:           []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("make a TLS certificate: %w", err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, nil
}

// ServerTLS is the configuration of TLS towards clients with a certificate, from SelfSigned or from files. A client may
// show a certificate too, as it may to a server. It ends here, because nobody but its owner can show it to the
// primary; with clients not nil somebody of those has to vouch for it.
func ServerTLS(certificate tls.Certificate, clients *x509.CertPool) *tls.Config {
	c := &tls.Config{Certificates: []tls.Certificate{certificate}, MinVersion: tls.VersionTLS12, ClientAuth: tls.RequestClientCert}
	if clients != nil {
		c.ClientAuth, c.ClientCAs = tls.VerifyClientCertIfGiven, clients
	}
	return c
}

// RSAKey returns the source of the key with which clients encrypt their password on a connection without TLS. The key
// is made in the first call, which takes a fraction of a second; a program makes that call in the background at start.
// Safe for concurrent use.
func RSAKey() func() (*rsa.PrivateKey, error) {
	return sync.OnceValues(func() (*rsa.PrivateKey, error) {
		key, err := rsa.GenerateKey(rand.Reader, keyBits)
		if err != nil {
			return nil, fmt.Errorf("make an RSA key: %w", err)
		}
		return key, nil
	})
}
