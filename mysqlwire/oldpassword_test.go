package mysqlwire

import (
	"fmt"
	"testing"
)

// What MariaDB's own tests say that servers keep of passwords (main.change_user, OLD_PASSWORD of func_crypt).
func TestOldHash(t *testing.T) {
	for password, want := range map[string]string{
		"oldpw": "09301740536db389", "test": "378b243e220ca493", "t e\tst": "378b243e220ca493",
	} {
		if h := oldHash([]byte(password)); fmt.Sprintf("%08x%08x", h[0], h[1]) != want {
			t.Errorf("%q: got %08x%08x, want %s", password, h[0], h[1], want)
		}
	}
}

// Answers of this form opened accounts of MariaDB 10.11.
func TestScrambleOld(t *testing.T) {
	for _, row := range []struct{ salt, password, want string }{
		{"12345678901234567890", "oldpw", "]NYFGYSO\x00"},
		{"12345678", "pass word", "FKMP\\PHN\x00"},
		{"12345678", "", "\x00"},
	} {
		if got, err := ScrambleOld([]byte(row.salt), row.password); err != nil || string(got) != row.want {
			t.Errorf("%q: got %q %v, want %q", row.password, got, err, row.want)
		}
	}
	if _, err := ScrambleOld([]byte("1234567"), "oldpw"); err == nil {
		t.Error("a salt that is too short was used")
	}
}
