package proxy

import (
	"fmt"

	lru "github.com/hashicorp/golang-lru/v2"

	"github.com/stickyproxy/stickyproxy/backend"
)

// maxRemembered is the largest user name, and the largest password, that is remembered, in bytes. MySQL has no longer
// names; an anonymous account takes any.
const maxRemembered = 256

// Accounts is what is known about passwords: those from the configuration, and those with which the primary let
// somebody in. They are in memory only. A password here never opens anything by itself: the primary is logged in to
// with it each time. Safe for concurrent use.
type Accounts struct {
	listed     map[string]string
	remembered *lru.Cache[string, string]
}

// NewAccounts returns the accounts listed in the configuration and room for remembering others, at least one, of which
// those not used for longest are forgotten first.
func NewAccounts(listed []backend.Account, room int) (*Accounts, error) {
	remembered, err := lru.New[string, string](max(room, 1))
	if err != nil {
		return nil, fmt.Errorf("accounts: %w", err)
	}
	a := &Accounts{listed: make(map[string]string, len(listed)), remembered: remembered}
	for _, l := range listed {
		if _, twice := a.listed[l.User]; twice {
			return nil, fmt.Errorf("accounts: %q is listed twice", l.User)
		}
		a.listed[l.User] = l.Password
	}
	return a, nil
}

// known returns the passwords that user may have, the listed one first.
func (a *Accounts) known(user string) []string {
	var passwords []string
	if p, ok := a.listed[user]; ok {
		passwords = append(passwords, p)
	}
	if p, ok := a.remembered.Get(user); ok {
		passwords = append(passwords, p)
	}
	return passwords
}

// remember keeps a password with which the primary has just let user in.
func (a *Accounts) remember(user, password string) {
	if len(user) <= maxRemembered && len(password) <= maxRemembered {
		a.remembered.Add(user, password)
	}
}

// forget drops a password that the primary refused, unless another one has taken its place.
func (a *Accounts) forget(user, password string) {
	if p, ok := a.remembered.Peek(user); ok && p == password {
		a.remembered.Remove(user)
	}
}
