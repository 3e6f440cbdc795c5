package backend

import (
	"fmt"
	"net"

	"github.com/pires/go-proxyproto"
)

// announce tells a server for whom this connection is, before anything else is said on it: the header of the PROXY
// protocol, in its second version. A connection of our own is announced as that.
// https://www.haproxy.org/download/3.0/doc/proxy-protocol.txt
func announce(nc net.Conn, from Peer) error {
	h := proxyproto.HeaderProxyFromAddrs(2, from.Remote, from.Local) // without addresses it is a LOCAL one
	if _, err := h.WriteTo(nc); err != nil {
		return fmt.Errorf("PROXY header: %w", err)
	}
	return nil
}
