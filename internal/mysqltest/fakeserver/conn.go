package fakeserver

import "net"

// Conn is one client's connection. The exported fields are set by the login; they and the methods
// belong to the handler.
type Conn struct {
	*Wire
	ID           uint32 // connection id of the greeting
	Capabilities uint32 // what both sides have
	User, Schema string
	Attributes   map[string]string // connection attributes
}

func newConn(nc net.Conn, id uint32) *Conn { return &Conn{Wire: newWire(nc), ID: id} }

// Has tells whether both sides have all of these capabilities.
func (c *Conn) Has(capabilities uint32) bool { return c.Capabilities&capabilities == capabilities }
