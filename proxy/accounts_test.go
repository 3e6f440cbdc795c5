package proxy

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/stickyproxy/stickyproxy/backend"
)

func newAccounts(t *testing.T, room int, listed ...backend.Account) *Accounts {
	t.Helper()
	a, err := NewAccounts(listed, room)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func wantKnown(t *testing.T, a *Accounts, user string, want ...string) {
	t.Helper()
	if got := a.known(user); !slices.Equal(got, want) {
		t.Errorf("%q: got %q, want %q", user, got, want)
	}
}

func TestAccounts(t *testing.T) {
	a := newAccounts(t, 10, backend.Account{User: "app", Password: "listed"})
	wantKnown(t, a, "app", "listed")
	a.remember("app", "other")
	wantKnown(t, a, "app", "listed", "other")
	a.forget("app", "listed")
	wantKnown(t, a, "app", "listed", "other")
	a.forget("app", "other")
	wantKnown(t, a, "app", "listed")

	a.remember("u", "old")
	a.remember("u", "new")
	a.forget("u", "old")
	wantKnown(t, a, "u", "new")
	wantKnown(t, a, "")
}

// Ensure that what is remembered is bounded, in number and in size.
func TestAccountsAreBounded(t *testing.T) {
	a := newAccounts(t, 3)
	for i := range 100 {
		a.remember(fmt.Sprint(i), "p")
	}
	if got := a.remembered.Len(); got != 3 {
		t.Errorf("%d are remembered", got)
	}
	long := strings.Repeat("x", maxRemembered+1)
	a.remember(long, "p")
	a.remember("u", long)
	wantKnown(t, a, long)
	wantKnown(t, a, "u")
	wantKnown(t, newAccounts(t, -1), "u")
}

func TestAccountsListedTwice(t *testing.T) {
	if _, err := NewAccounts([]backend.Account{{User: "a"}, {User: "a"}}, 1); err == nil {
		t.Error("no error")
	}
}
