package mysqlwire

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha512"
	"crypto/x509"
	"encoding/pem"
	"strings"
	"testing"
)

func newKey(t testing.TB) *rsa.PrivateKey {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func TestNewSalt(t *testing.T) {
	seen := map[string]bool{}
	for range 1000 {
		salt := NewSalt()
		if len(salt) != SaltSize || bytes.ContainsAny(salt, "\x00$") || seen[string(salt)] {
			t.Fatalf("bad salt %q", salt)
		}
		for _, c := range salt {
			if c >= 0x80 {
				t.Fatalf("salt is not ASCII: %q", salt)
			}
		}
		seen[string(salt)] = true
	}
}

// Ensure that the scrambles are those of real programs, as the mysql shell 9.7 and the mariadb shell 10.11 sent them.
func TestScrambles(t *testing.T) {
	const password = "apppw"
	for _, row := range []struct {
		name         string
		salt, answer string
		scramble     func([]byte, string) []byte
		check        func(answer, salt []byte, password string) bool
	}{
		{PluginNative, "32522a783f713d77646e7d4b3e34296d6b513450", "fd372620a5a48f6f65577ce1b6666c4eb3d9eab7",
			ScrambleNative, CheckNative},
		{PluginCachingSHA2, "412b6d2b786225170b3d306b353029556f2e2a4d",
			"cf8e70c7a118452cf3d27752fc2d9de55cca4ff27858918fe278f3541c71c8b1", ScrambleCachingSHA2, CheckCachingSHA2},
	} {
		t.Run(row.name, func(t *testing.T) {
			salt, answer := mustHex(t, row.salt), mustHex(t, row.answer)
			if got := row.scramble(append(bytes.Clone(salt), 0), password); !bytes.Equal(got, answer) {
				t.Errorf("got %x, want %x", got, answer)
			}
			for _, c := range []struct {
				name           string
				answer         []byte
				salt, password string
				want           bool
			}{
				{"right", answer, string(salt), password, true},
				{"wrong", answer, string(salt), "Apppw", false},
				{"empty answer", nil, string(salt), password, false},
				{"empty password", answer, string(salt), "", false},
				{"both empty", nil, string(salt), "", true},
				{"both empty, libmysqlclient", []byte{0}, string(salt), "", true},
				{"cut", answer[1:], string(salt), password, false},
				{"longer", append(bytes.Clone(answer), 0), string(salt), password, false},
				{"short salt", answer, string(salt[:3]), password, false},
				{"no salt", answer, "", password, false},
			} {
				if got := row.check(c.answer, []byte(c.salt), c.password); got != c.want {
					t.Errorf("%s: got %v", c.name, got)
				}
			}
		})
	}
}

// Ensure that a password survives the way through RSA, whatever is in it but a NUL.
func TestEncryptPassword(t *testing.T) {
	key, salt := newKey(t), NewSalt()
	for _, password := range []string{"", "a", "pässwörd", strings.Repeat("x", 213)} {
		cipher, err := EncryptPassword(password, salt, &key.PublicKey)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := DecryptPassword(cipher, salt, key); err != nil || got != password {
			t.Errorf("got %q %v, want %q", got, err, password)
		}
	}
	if _, err := EncryptPassword(strings.Repeat("x", 214), salt, &key.PublicKey); err == nil {
		t.Error("a password that does not fit was encrypted")
	}
	if _, err := EncryptPassword("a", salt[:19], &key.PublicKey); err == nil {
		t.Error("a short salt was taken")
	}
	for _, cipher := range [][]byte{nil, {1}, make([]byte, 256), make([]byte, 257), bytes.Repeat([]byte{0xFF}, 256)} {
		if _, err := DecryptPassword(cipher, salt, key); err == nil {
			t.Errorf("%d bytes were decrypted", len(cipher))
		}
	}
}

func TestPublicKey(t *testing.T) {
	key := newKey(t)
	text, err := AppendPublicKey(nil, &key.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := ParsePublicKey(text); err != nil || !got.Equal(&key.PublicKey) {
		t.Errorf("got %v %v", got, err)
	}
	old := pem.EncodeToMemory(&pem.Block{Type: pemRSAPublicKey, Bytes: x509.MarshalPKCS1PublicKey(&key.PublicKey)})
	if got, err := ParsePublicKey(old); err != nil || !got.Equal(&key.PublicKey) {
		t.Errorf("PKCS #1: got %v %v", got, err)
	}
	elliptic, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKIXPublicKey(&elliptic.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	for name, bad := range map[string][]byte{
		"nothing":     nil,
		"no PEM":      []byte("Access denied"),
		"empty block": pem.EncodeToMemory(&pem.Block{Type: pemPublicKey}),
		"another key": pem.EncodeToMemory(&pem.Block{Type: pemPublicKey, Bytes: der}),
		"cut":         text[:len(text)/2],
	} {
		if _, err := ParsePublicKey(bad); err == nil {
			t.Errorf("%s was taken for a key", name)
		}
	}
}

func TestSignEd25519(t *testing.T) {
	salt := bytes.Repeat([]byte{7}, ed25519SaltSize)
	signature, err := SignEd25519(salt, "secret")
	if err != nil || len(signature) != 64 {
		t.Fatalf("%d bytes, %v", len(signature), err)
	}
	for _, size := range []int{0, 20, 31} {
		if _, err := SignEd25519(salt[:size], "secret"); err == nil {
			t.Errorf("a salt of %d bytes was taken", size)
		}
	}
}

// A server that knows the public key takes the answer, whatever the client's random bytes are.
func TestSignParsec(t *testing.T) {
	salt := bytes.Repeat([]byte{7}, parsecSaltSize)
	for rounds := range byte(3) {
		key := append([]byte{'P', rounds}, "eighteen bytes 123"...)
		seed, err := pbkdf2.Key(sha512.New, "secret", key[2:], 1024<<rounds, ed25519.SeedSize)
		if err != nil {
			t.Fatal(err)
		}
		answer, err := SignParsec(salt, key, "secret")
		if err != nil || len(answer) != 96 {
			t.Fatalf("%d bytes, %v", len(answer), err)
		}
		signed := append(bytes.Clone(salt), answer[:32]...)
		if !ed25519.Verify(ed25519.NewKeyFromSeed(seed).Public().(ed25519.PublicKey), signed, answer[32:]) {
			t.Errorf("%d: the signature is wrong", rounds)
		}
		again, err := SignParsec(salt, key, "secret")
		if err != nil || bytes.Equal(again, answer) {
			t.Errorf("%d: the same answer twice, %v", rounds, err)
		}
	}
	for name, bad := range map[string]struct{ salt, key string }{
		"short salt": {"7777", "P\x00salt"}, "no key": {string(salt), ""}, "another way": {string(salt), "Q\x00salt"},
		"no salt of the key": {string(salt), "P\x00"}, "too many rounds": {string(salt), "P\x0bsalt"},
	} {
		if _, err := SignParsec([]byte(bad.salt), []byte(bad.key), "secret"); err == nil {
			t.Errorf("%s: taken", name)
		}
	}
}

func TestClearPassword(t *testing.T) {
	if got := AppendClearPassword(nil, "pw"); string(got) != "pw\x00" {
		t.Errorf("got %q", got)
	}
	for payload, want := range map[string]string{"pw\x00": "pw", "pw": "pw", "": "", "\x00": "", "p\x00w": "p"} {
		if got := ParseClearPassword([]byte(payload)); got != want {
			t.Errorf("%q: got %q", payload, got)
		}
	}
}
