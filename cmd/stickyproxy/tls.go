package main

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/netip"
	"os"

	"github.com/goccy/go-yaml/ast"
	"github.com/spf13/pflag"

	"github.com/stickyproxy/stickyproxy/backend"
	"github.com/stickyproxy/stickyproxy/proxy"
)

// TLS is what a listener offers to its clients.
type TLS struct {
	Cert, Key string // files in PEM; both empty: a certificate is made at the start
	CA        string // file with whom to trust to vouch for clients; "": what certificates clients show is not checked
	Required  bool   // clients without TLS are refused

	at place
}

// ServerTLS says how a server is reached.
type ServerTLS struct {
	Mode       backend.TLSMode
	CA         string // file with the certificates to trust; "": those of the system
	ServerName string // name that the certificate must have; "": the host of the address
	Cert, Key  string // files with a certificate of ours; "": there is none

	at place
}

// readServerTLS reads a mode, or a mapping with one.
func (r *reader) readServerTLS(at place, n ast.Node) ServerTLS {
	t := ServerTLS{at: at}
	if !isMapping(n) {
		scalar(setTLSMode(&t.Mode))(r, at, n)
		return t
	}
	r.mapping(at, n,
		setting{name: "mode", set: scalar(setTLSMode(&t.Mode))},
		setting{name: "ca", set: text(r.setPath(&t.CA))},
		setting{name: "server_name", set: text(setText(&t.ServerName))},
		setting{name: "cert", set: text(r.setPath(&t.Cert))},
		setting{name: "key", set: text(r.setPath(&t.Key))})
	t.check(r)
	return t
}

// check finds settings that would have no effect.
func (t *ServerTLS) check(r *reader) {
	if (t.CA != "" && t.Mode < backend.TLSVerifyCA) || (t.ServerName != "" && t.Mode != backend.TLSVerifyIdentity) {
		r.found.add(t.at, "mode %s leaves ca or server_name without effect; use mode verify-identity, or verify-ca without server_name", t.Mode)
	}
	if (t.Cert == "") != (t.Key == "") {
		r.found.add(t.at, "cert and key go together; add the one that is missing")
	}
	if t.Cert != "" && t.Mode == backend.TLSDisabled {
		r.found.add(t.at, "mode disabled leaves cert and key without effect; remove them or use another mode")
	}
}

// setTLSMode takes the name of a mode.
func setTLSMode(dst *backend.TLSMode) parse {
	return func(text string) error {
		mode, err := backend.ParseTLSMode(text)
		*dst = mode
		return err
	}
}

// backend returns the settings with the files read.
func (t *ServerTLS) backend() (backend.TLS, error) {
	out := backend.TLS{Mode: t.Mode, ServerName: t.ServerName}
	var err error
	if t.CA != "" {
		if out.Roots, err = readRoots(t.CA); err != nil {
			return out, err
		}
	}
	if t.Cert == "" {
		return out, nil
	}
	own, err := tls.LoadX509KeyPair(t.Cert, t.Key)
	if err != nil {
		return out, fmt.Errorf("the certificate cannot be used: %w; cert and key must be files in PEM that belong together", err)
	}
	out.Certificates = []tls.Certificate{own}
	return out, nil
}

// tlsFlags are the flags of a command that say how it reaches servers.
type tlsFlags struct{ mode, ca string }

func (t *tlsFlags) define(f *pflag.FlagSet) {
	f.StringVar(&t.mode, "tls", "preferred", "TLS `MODE` towards the servers: disabled, preferred, required, verify-ca or verify-identity")
	f.StringVar(&t.ca, "tls-ca", "", "`FILE` with the certificates to trust, in PEM (default: those of the system)")
}

// backend returns what the flags say, with the file read.
func (t *tlsFlags) backend() (backend.TLS, error) {
	mode, err := backend.ParseTLSMode(t.mode)
	if err != nil {
		return backend.TLS{}, fmt.Errorf("--tls: %w", err)
	}
	if t.ca != "" && mode < backend.TLSVerifyCA {
		return backend.TLS{}, fmt.Errorf("--tls-ca has no effect with --tls %s; use verify-ca or verify-identity", mode)
	}
	s := ServerTLS{Mode: mode, CA: t.ca}
	tls, err := s.backend()
	if err != nil {
		return tls, fmt.Errorf("--tls-ca: %w", err)
	}
	return tls, nil
}

// readRoots reads a file with the certificates to trust.
func readRoots(file string) (*x509.CertPool, error) {
	pem, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("ca cannot be read: %w; check the path", err)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("%s has no certificate in PEM; name the file with the certificates to trust", file)
	}
	return roots, nil
}

// readTLS reads what a listener offers.
func (r *reader) readTLS(at place, n ast.Node) TLS {
	t := TLS{at: at}
	r.mapping(at, n,
		setting{name: "cert", set: text(r.setPath(&t.Cert))},
		setting{name: "key", set: text(r.setPath(&t.Key))},
		setting{name: "ca", set: text(r.setPath(&t.CA))},
		setting{name: "required", set: truth(&t.Required)})
	if (t.Cert == "") != (t.Key == "") {
		r.found.add(at, "cert and key go together; add the one that is missing, or remove both to have a certificate made at the start")
	}
	return t
}

// check loads the files.
func (t *TLS) check() error {
	if t.CA != "" {
		if _, err := readRoots(t.CA); err != nil {
			return err
		}
	}
	if t.Cert == "" {
		return nil
	}
	if _, err := tls.LoadX509KeyPair(t.Cert, t.Key); err != nil {
		return fmt.Errorf("the certificate cannot be used: %w; cert and key must be files in PEM that belong together", err)
	}
	return nil
}

// clientTLS returns what a listener offers to its clients, with a certificate
// made now when none is configured.
func clientTLS(t TLS) (*tls.Config, error) {
	var own tls.Certificate
	var roots *x509.CertPool
	var err error
	if t.Cert == "" {
		own, err = proxy.SelfSigned()
	} else {
		own, err = tls.LoadX509KeyPair(t.Cert, t.Key)
	}
	if err == nil && t.CA != "" {
		roots, err = readRoots(t.CA)
	}
	if err != nil {
		return nil, fmt.Errorf("load the certificate: %w", err)
	}
	return proxy.ServerTLS(own, roots), nil
}

// readProxyProtocol reads from whom a header of the PROXY protocol is taken.
func (r *reader) readProxyProtocol(at place, n ast.Node) []netip.Prefix {
	var from []netip.Prefix
	r.mapping(at, n, setting{
		name: "from", need: "add from: [10.0.0.0/8], the networks of the load balancers",
		set: list(scalar(func(text string) error {
			network, err := parseNetwork(text)
			from = append(from, network)
			return err
		})),
	})
	return from
}

var errNetwork = errors.New("it is not a network; write an address and the bits that count, like 10.0.0.0/8 or 10.1.2.3/32")

// parseNetwork reads a network, or one address.
func parseNetwork(text string) (netip.Prefix, error) {
	if a, err := netip.ParseAddr(text); err == nil && a.Zone() == "" {
		return netip.PrefixFrom(a.Unmap(), a.Unmap().BitLen()), nil
	}
	network, err := netip.ParsePrefix(text)
	if err != nil {
		return network, errNetwork
	}
	if network != network.Masked() {
		return network, fmt.Errorf("%s has bits set behind the ones that count; write %s", text, network.Masked())
	}
	return network, nil
}
