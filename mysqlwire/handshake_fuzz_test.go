package mysqlwire

import (
	"bytes"
	"reflect"
	"testing"
)

// Each target reads what it is given, and what could be read must come back unchanged when written and read again.

func FuzzGreeting(f *testing.F) {
	f.Add(mustHex(f, greetingMySQL))
	f.Add(mustHex(f, greetingMariaDB))
	f.Fuzz(func(t *testing.T, data []byte) {
		g, err := ParseGreeting(data)
		if err != nil || len(g.Salt) != SaltSize {
			return
		}
		g.Capabilities |= CapSecureConnection | CapPluginAuth
		again, err := ParseGreeting(g.Append(nil))
		if err != nil || !reflect.DeepEqual(again, g) {
			t.Errorf("got %+v %v, want %+v", again, err, g)
		}
	})
}

func FuzzLoginRequest(f *testing.F) {
	f.Add(mustHex(f, loginMySQLShell), ^uint32(0))
	f.Add(mustHex(f, loginMariaDBShell), uint32(CapPluginAuth|CapSecureConnection))
	f.Add(mustHex(f, sslRequestMariaDB), ^uint32(0))
	f.Fuzz(func(t *testing.T, data []byte, announced uint32) {
		r, err := ParseLoginRequest(data, Capability(announced))
		if err != nil || !r.Capabilities.Has(CapProtocol41) || IsSSLRequest(data) {
			return
		}
		for range Attributes(r.Attributes) { //nolint:revive // only that it ends
		}
		r.Capabilities |= CapSecureConnection | CapPluginAuthLenenc | CapPluginAuth | CapConnectWithDB | CapConnectAttrs | CapZstd
		packet := r.Append(nil)
		again, err := ParseLoginRequest(packet, allCapabilities&^CapLongPassword)
		if err != nil || !bytes.Equal(again.Append(nil), packet) || again.User != r.User || !bytes.Equal(again.Answer, r.Answer) {
			t.Errorf("got %+v %v, want %+v", again, err, r)
		}
	})
}

func FuzzChangeUser(f *testing.F) {
	f.Add([]byte("\x11app\x00\x02xyshop\x00\x2f\x01mysql_native_password\x00\x04\x01a\x01b"), ^uint32(0))
	f.Add([]byte("\x11app\x00\x00"), uint32(CapSecureConnection))
	f.Fuzz(func(t *testing.T, data []byte, negotiated uint32) {
		u, err := ParseChangeUser(data, Capability(negotiated))
		if err != nil || len(u.Answer) > 255 {
			return
		}
		packet := u.Append(nil, allCapabilities)
		again, err := ParseChangeUser(packet, allCapabilities)
		if err != nil || !bytes.Equal(again.Append(nil, allCapabilities), packet) || again.User != u.User || again.Schema != u.Schema {
			t.Errorf("got %+v %v, want %+v", again, err, u)
		}
	})
}

func FuzzAuthSwitch(f *testing.F) {
	f.Add([]byte("\xfecaching_sha2_password\x0012345678901234567890\x00"))
	f.Add([]byte{0xFE})
	f.Fuzz(func(t *testing.T, data []byte) {
		s, err := ParseAuthSwitch(data)
		if err != nil {
			return
		}
		if again, err := ParseAuthSwitch(s.Append(nil)); err != nil || again.Plugin != s.Plugin || !bytes.Equal(again.Salt, s.Salt) {
			t.Errorf("got %+v %v, want %+v", again, err, s)
		}
	})
}

func FuzzAttributes(f *testing.F) {
	f.Add([]byte("\x01a\x01b\x00\x00"))
	f.Fuzz(func(t *testing.T, data []byte) {
		var block []byte
		for name, value := range Attributes(data) {
			block = AppendAttribute(block, name, value)
		}
		for name, value := range Attributes(block) {
			again := AppendAttribute(nil, name, value)
			if !bytes.HasPrefix(block, again) {
				t.Fatalf("%q is not the beginning of %q", again, block)
			}
			block = block[len(again):]
		}
		if len(block) > 0 {
			t.Errorf("left over: %q", block)
		}
	})
}

func FuzzError(f *testing.F) {
	f.Add([]byte("\xff\x15\x04#28000Access denied"))
	f.Add([]byte("\xff\x10\x04Too many connections"))
	f.Fuzz(func(t *testing.T, data []byte) {
		e := ParseError(data)
		if e.State == "" && len(e.Message) > stateSize && e.Message[0] == stateMarker {
			t.Fatalf("a state was left in the message: %+v", e)
		}
		if again := ParseError(e.Append(nil)); *again != *e {
			t.Errorf("got %+v, want %+v", again, e)
		}
	})
}

func FuzzPublicKey(f *testing.F) {
	key := newKey(f)
	text, err := AppendPublicKey(nil, &key.PublicKey)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(text, []byte("12345678901234567890"))
	f.Fuzz(func(t *testing.T, text, salt []byte) {
		public, err := ParsePublicKey(text)
		if err != nil {
			return
		}
		_, _ = EncryptPassword("secret", salt, public) // a server may send a key that cannot encrypt: an error, no panic
	})
}

func FuzzDecryptPassword(f *testing.F) {
	key := newKey(f)
	f.Add(make([]byte, 256), []byte("12345678901234567890"))
	f.Fuzz(func(t *testing.T, cipher, salt []byte) {
		if password, err := DecryptPassword(cipher, salt, key); err == nil {
			t.Errorf("%q was decrypted", password)
		}
	})
}
