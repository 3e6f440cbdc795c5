package backend

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"strings"
)

// TLSMode says when a server is reached over TLS, and how its certificate is checked.
type TLSMode uint8

// The modes. All but the first are those of MySQL's own clients.
// https://dev.mysql.com/doc/refman/en/connection-options.html#option_general_ssl-mode
const (
	TLSAsClient       TLSMode = iota // for a login that wants it ([Login.TLS]), if the server can; any certificate
	TLSDisabled                      // never
	TLSPreferred                     // if the server can; any certificate
	TLSRequired                      // always; any certificate
	TLSVerifyCA                      // always; a certificate that somebody vouches for who is trusted
	TLSVerifyIdentity                // the same, and it is for the name by which the server is reached
)

var tlsModes = [...]string{"as-client", "disabled", "preferred", "required", "verify-ca", "verify-identity"}

// String is the mode as [ParseTLSMode] reads it.
func (m TLSMode) String() string {
	if int(m) < len(tlsModes) {
		return tlsModes[m]
	}
	return fmt.Sprintf("TLSMode(%d)", uint8(m))
}

// ParseTLSMode reads the name of a mode.
func ParseTLSMode(s string) (TLSMode, error) {
	for m, name := range tlsModes {
		if s == name {
			return TLSMode(m), nil
		}
	}
	return 0, fmt.Errorf("%q is not a TLS mode; use %s", s, strings.Join(tlsModes[:], ", "))
}

// TLS says how a server is reached over TLS.
type TLS struct {
	Mode         TLSMode
	Roots        *x509.CertPool    // who is trusted to vouch for the server; nil: whom the system trusts
	ServerName   string            // for which its certificate has to be; "": the host of the address
	Certificates []tls.Certificate // ours, for servers that ask for one: it speaks for every client
}

// validate tells what is wrong for a server at this address.
func (t *TLS) validate(network string) error {
	switch {
	case int(t.Mode) >= len(tlsModes):
		return fmt.Errorf("unknown TLS mode %d", t.Mode)
	case t.Mode == TLSVerifyIdentity && t.ServerName == "" && network == "unix":
		return errors.New("a unix socket has no host name to check; give a server name or use verify-ca")
	}
	return nil
}

// config makes what [tls.Client] needs for a server at this address.
func (t *TLS) config(network, target string) *tls.Config {
	c := &tls.Config{
		Certificates:       t.Certificates,
		ServerName:         t.ServerName,
		RootCAs:            t.Roots,
		MinVersion:         tls.VersionTLS12,
		InsecureSkipVerify: t.Mode != TLSVerifyIdentity, // what is checked instead is below
		ClientSessionCache: tls.NewLRUClientSessionCache(0),
	}
	if c.ServerName == "" && network == "tcp" {
		c.ServerName, _, _ = net.SplitHostPort(target)
	}
	switch t.Mode {
	case TLSAsClient, TLSPreferred:
		c.MinVersion = tls.VersionTLS10 // all that some old servers have, and more than nothing
	case TLSVerifyCA:
		c.VerifyConnection = func(s tls.ConnectionState) error { return verifyChain(s, t.Roots) }
	}
	return c
}

// verifyChain checks a server's certificate, whatever name it is for. It is called for resumed sessions too.
func verifyChain(s tls.ConnectionState, roots *x509.CertPool) error {
	o := x509.VerifyOptions{Roots: roots, Intermediates: x509.NewCertPool()}
	for _, c := range s.PeerCertificates[1:] {
		o.Intermediates.AddCert(c)
	}
	_, err := s.PeerCertificates[0].Verify(o)
	return err
}

// wants tells whether a login should go over TLS where the server can.
func (m TLSMode) wants(l Login) bool { return m > TLSDisabled || m == TLSAsClient && l.TLS }

// must tells whether a login fails where the server cannot.
func (m TLSMode) must() bool { return m >= TLSRequired }
