package proxy

import "fmt"

// Scope is whose writes a read must see.
type Scope uint8

const (
	// ScopeSession: those of its own session.
	ScopeSession Scope = iota
	// ScopeGlobal: all that were made through this proxy. Every client works for one session, so that unmodified
	// applications may write on one connection of their pool and read on another. Writes made elsewhere are not covered.
	ScopeGlobal
	// ScopeFleet: all that were acknowledged anywhere before the read arrived. Servers are asked for their positions
	// after that, one question for all reads that arrived before it was sent: the price is a round trip or two.
	ScopeFleet
)

var scopeNames = [...]string{"session", "global", "fleet"}

// String is the scope as the configuration writes it.
func (s Scope) String() string { return scopeNames[s] }

// ParseScope reads a scope as the configuration writes it.
func ParseScope(text string) (Scope, error) {
	for i, name := range scopeNames {
		if text == name {
			return Scope(i), nil
		}
	}
	return ScopeSession, fmt.Errorf("unknown scope %q: want session, global or fleet", text)
}
