package session

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
)

func TestKeyValidate(t *testing.T) {
	tests := []struct {
		name string
		key  Key
		want error
	}{
		{name: "usual", key: Key{Account: "app", Name: "user-42"}},
		{name: "no account", key: Key{Name: "user-42"}},
		{name: "any bytes", key: Key{Account: "app", Name: "\x00\xff\n"}},
		{name: "longest", key: Key{Account: "app", Name: strings.Repeat("n", MaxName)}},
		{name: "empty", key: Key{Account: "app"}, want: ErrNoName},
		{name: "too long", key: Key{Account: "app", Name: strings.Repeat("n", MaxName+1)}, want: ErrNameTooLong},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			err := tt.key.Validate()
			if !errors.Is(err, tt.want) {
				t.Errorf("got %v, want %v", err, tt.want)
			}
			if err != nil && strings.Contains(err.Error(), "nnn") {
				t.Errorf("the error repeats the name: %v", err)
			}
		})
	}
}

func TestKeyIsNotLoggedInFull(t *testing.T) {
	for _, name := range []string{"", "s", "jo", "secret", "a-very-secret-name"} {
		k := Key{Account: "app", Name: name}
		var logged bytes.Buffer
		slog.New(slog.NewJSONHandler(&logged, nil)).Info("session", "key", k)
		for _, text := range []string{k.String(), fmt.Sprintf("%v", k), fmt.Sprintf("%+v", k), logged.String()} {
			if name != "" && strings.Contains(text, name+"...") || len(name) > 2 && strings.Contains(text, name) {
				t.Errorf("%s holds the whole name %q", text, name)
			}
			if !strings.Contains(text, "app") {
				t.Errorf("%s does not hold the account", text)
			}
		}
	}
}
