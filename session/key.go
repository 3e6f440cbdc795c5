package session

import (
	"errors"
	"fmt"
	"log/slog"
)

// MaxName is the greatest length of a session's name, in bytes.
const MaxName = 256

// Errors of [Key.Validate].
var (
	ErrNoName      = errors.New("session name is empty")
	ErrNameTooLong = errors.New("session name is too long")
)

// Key says whose session it is. Sessions of different accounts are different
// whatever their names: a client cannot reach into those of another account.
type Key struct {
	Account string // the MySQL account of the login
	Name    string // what the client calls the session: any bytes, 1 to MaxName of them
}

// Validate returns an error that wraps [ErrNoName] or [ErrNameTooLong], or nil.
// It does not repeat the name. A [Store] takes any key; whoever takes a name from
// a client validates it and tells the client.
func (k Key) Validate() error {
	if k.Name == "" {
		return ErrNoName
	}
	if len(k.Name) > MaxName {
		return fmt.Errorf("%w: %d bytes, at most %d are allowed", ErrNameTooLong, len(k.Name), MaxName)
	}
	return nil
}

// String returns the key for logs: the account and the beginning of the name, at
// most half of it and 4 bytes, because names may be people or secrets.
func (k Key) String() string {
	return fmt.Sprintf("%q/%q...(%d bytes)", k.Account, k.Name[:min(4, len(k.Name)/2)], len(k.Name))
}

// LogValue keeps the name out of structured logs; it is [Key.String].
func (k Key) LogValue() slog.Value { return slog.StringValue(k.String()) }
