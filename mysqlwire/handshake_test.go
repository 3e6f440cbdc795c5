package mysqlwire

import (
	"bytes"
	"encoding/hex"
	"errors"
	"reflect"
	"testing"
)

// Packets as real programs sent them.
const (
	greetingMySQL     = "0a392e372e342d3200f3070000412b6d2b7862251700ffffff0200ffdf15000000000000000000000b3d306b353029556f2e2a4d0063616368696e675f736861325f70617373776f726400"
	greetingMariaDB   = "0a352e352e352d31302e31312e31392d4d6172696144422d302b646562313275312d6c6f6700e807000032522a783f713d7700feff080200ff81150000000000001d000000646e7d4b3e34296d6b513450006d7973716c5f6e61746976655f70617373776f726400"
	loginMySQLShell   = "8da2bf1900000001ff000000000000000000000000000000000000000000000061707000201869b1bc8ce20afa301ed07d92291e7db47dce8852c9d0602200d60e9d3e01e773686f700063616368696e675f736861325f70617373776f72640072045f706964053231373432095f706c6174666f726d067838365f3634035f6f73054c696e75780c5f636c69656e745f6e616d65086c69626d7973716c076f735f7573657204726f6f740f5f636c69656e745f76657273696f6e05392e372e340c70726f6772616d5f6e616d65056d7973716c"
	loginMariaDBShell = "8da2bf000000100021000000000000000000000000000000000000000000000061707000204064f43d41e0835b636ac2902951f50e760345d92172a47ba79c9e5d8ccb374373686f700063616368696e675f736861325f70617373776f72640068035f6f73054c696e75780c5f636c69656e745f6e616d650a6c69626d617269616462045f7069640532323030300f5f636c69656e745f76657273696f6e06332e332e3230095f706c6174666f726d067838365f36340c70726f6772616d5f6e616d65056d7973716c"
	sslRequestMariaDB = "8daabf0000001000210000000000000000000000000000000000000000000000"

	allCapabilities = ^Capability(0)
)

func mustHex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// Ensure that greetings of real servers are read, and written again as they were.
func TestGreetingOfRealServers(t *testing.T) {
	for _, row := range []struct {
		name, packet, version, plugin string
		id                            uint32
		has, hasNot                   Capability
	}{
		{name: "MySQL 9.7", packet: greetingMySQL, version: "9.7.4-2", plugin: PluginCachingSHA2, id: 2035,
			has: CapLongPassword | CapSSL | CapQueryAttributes | CapDeprecateEOF},
		{name: "MariaDB 10.11", packet: greetingMariaDB, version: "5.5.5-10.11.19-MariaDB-0+deb12u1-log",
			plugin: PluginNative, id: 2024, has: CapDeprecateEOF | CapSessionTrack | CapExtendedMetadata,
			hasNot: CapLongPassword | CapQueryAttributes},
	} {
		t.Run(row.name, func(t *testing.T) {
			packet := mustHex(t, row.packet)
			g, err := ParseGreeting(packet)
			if err != nil {
				t.Fatal(err)
			}
			if g.Version != row.version || g.Plugin != row.plugin || g.ConnectionID != row.id || len(g.Salt) != SaltSize {
				t.Errorf("got %+v", g)
			}
			if !g.Capabilities.Has(row.has) || g.Capabilities&row.hasNot != 0 {
				t.Errorf("capabilities %#x", g.Capabilities)
			}
			if got := g.Append(nil); !bytes.Equal(got, packet) {
				t.Errorf("got  %x\nwant %x", got, packet)
			}
		})
	}
}

// Ensure that a server which refuses at once is understood: such an ERR has no SQLSTATE.
func TestGreetingRefused(t *testing.T) {
	_, err := ParseGreeting([]byte("\xff\x10\x04Too many connections"))
	var refused *Error
	if !errors.As(err, &refused) || refused.Code != 1040 || refused.State != "" || refused.Message != "Too many connections" {
		t.Errorf("got %v", err)
	}
}

// Ensure that login requests of real clients are read, and written again as they were.
func TestLoginRequestOfRealClients(t *testing.T) {
	for _, row := range []struct {
		name, packet string
		collation    byte
		attributes   int
		maxPacket    uint32
	}{
		{"mysql 9.7", loginMySQLShell, 255, 7, 16 << 20},
		{"mariadb 10.11", loginMariaDBShell, 33, 6, 1 << 30},
	} {
		t.Run(row.name, func(t *testing.T) {
			packet := mustHex(t, row.packet)
			r, err := ParseLoginRequest(packet, allCapabilities)
			if err != nil {
				t.Fatal(err)
			}
			if r.User != "app" || r.Schema != "shop" || r.Plugin != PluginCachingSHA2 || len(r.Answer) != 32 {
				t.Errorf("got %+v", r)
			}
			if r.Collation != row.collation {
				t.Errorf("collation %d, want %d", r.Collation, row.collation)
			}
			got := map[string]string{}
			for name, value := range Attributes(r.Attributes) {
				got[name] = value
			}
			if len(got) != row.attributes || got["program_name"] != "mysql" {
				t.Errorf("attributes %v", got)
			}
			if again := r.Append(nil); !bytes.Equal(again, packet) {
				t.Errorf("got  %x\nwant %x", again, packet)
			}
		})
	}
}

func TestSSLRequest(t *testing.T) {
	packet := mustHex(t, sslRequestMariaDB)
	if !IsSSLRequest(packet) || IsSSLRequest(mustHex(t, loginMySQLShell)) || IsSSLRequest(packet[:31]) || IsSSLRequest(nil) {
		t.Error("not told apart")
	}
	r, err := ParseLoginRequest(packet, allCapabilities)
	if err != nil || r.Collation != 33 || r.MaxPacket != 1<<20 {
		t.Fatalf("%+v %v", r, err)
	}
	if got := r.AppendSSLRequest(nil); !bytes.Equal(got, packet) {
		t.Errorf("got %x", got)
	}
}

// Ensure that a field whose capability was not announced is not looked for: libmysqlclient sets such flags and leaves
// the fields out.
func TestLoginRequestFieldsFollowTheAnnouncement(t *testing.T) {
	r := LoginRequest{Capabilities: CapProtocol41 | CapSecureConnection | CapPluginAuth, User: "u", Answer: []byte("a"), Plugin: "p"}
	packet := r.Append(nil)
	packet[0] |= byte(CapConnectWithDB)
	got, err := ParseLoginRequest(packet, allCapabilities&^CapConnectWithDB)
	if err != nil || got.Schema != "" || got.Plugin != "p" {
		t.Errorf("%+v %v", got, err)
	}
}

func TestLoginRequestOfOldAndBrokenClients(t *testing.T) {
	whole := mustHex(t, loginMySQLShell)
	for _, row := range []struct {
		name    string
		packet  []byte
		wantErr bool
	}{
		{"empty", nil, true},
		{"one byte", []byte{1}, true},
		{"before 4.1", []byte("\x05\x00\x00\x00\x00root\x00"), false},
		{"the user does not end", whole[:34], true},
		{"the answer is cut", whole[:40], true},
		{"the plugin is cut", whole[:80], false},
		{"the attributes are cut", whole[:len(whole)-1], true},
	} {
		t.Run(row.name, func(t *testing.T) {
			r, err := ParseLoginRequest(row.packet, allCapabilities)
			if (err != nil) != row.wantErr {
				t.Errorf("%+v %v", r, err)
			}
		})
	}
}

func TestChangeUserWithAndWithoutTail(t *testing.T) {
	u := ChangeUser{User: "app", Answer: []byte("12345678901234567890"), Schema: "shop", Collation: 303, Plugin: PluginNative,
		Attributes: AppendAttribute(nil, "sticky_session", "user-42")}
	const negotiated = CapSecureConnection | CapPluginAuth | CapConnectAttrs | CapPluginAuthLenenc
	packet := u.Append(nil, negotiated)
	if got, err := ParseChangeUser(packet, negotiated); err != nil || !reflect.DeepEqual(got, u) {
		t.Errorf("got %+v %v", got, err)
	}
	short := packet[:1+4+1+20+5]
	got, err := ParseChangeUser(short, negotiated)
	if err != nil || got.Schema != "shop" || got.Collation != 0 || got.Plugin != "" {
		t.Errorf("got %+v %v", got, err)
	}
}

func TestAuthSwitch(t *testing.T) {
	s := AuthSwitch{Plugin: PluginCachingSHA2, Salt: []byte("12345678901234567890")}
	packet := s.Append(nil)
	if want := "\xfecaching_sha2_password\x0012345678901234567890\x00"; string(packet) != want {
		t.Errorf("got %q", packet)
	}
	if got, err := ParseAuthSwitch(packet); err != nil || !IsAuthSwitch(packet) || !reflect.DeepEqual(got, s) {
		t.Errorf("got %+v %v", got, err)
	}
	for _, last := range []byte{0, 1} {
		salt := append(bytes.Repeat([]byte{7}, ed25519SaltSize-1), last) // all of its bytes count
		if got, err := ParseAuthSwitch(append([]byte("\xfeclient_ed25519\x00"), salt...)); err != nil || !bytes.Equal(got.Salt, salt) {
			t.Errorf("got %+v %v", got, err)
		}
	}
	if got, err := ParseAuthSwitch([]byte{headerSwitch}); err != nil || got.Plugin != PluginOld || got.Salt != nil {
		t.Errorf("the request for the way of MySQL before 4.1: got %+v %v", got, err)
	}
	if data, ok := ParseAuthMore(AppendAuthMore(nil, FullAuth)); !ok || !bytes.Equal(data, []byte{FullAuth}) {
		t.Errorf("got %v %v", data, ok)
	}
}

// Ensure that an iteration over attributes ends where they are malformed, and when the caller has seen enough.
func TestAttributes(t *testing.T) {
	block := AppendAttribute(AppendAttribute(nil, "a", "1"), "b", "2")
	for _, row := range []struct {
		name  string
		block []byte
		want  string
	}{
		{"none", nil, ""},
		{"two", block, "a=1 b=2 "},
		{"cut in a value", block[:7], "a=1 "},
		{"a name without a value", block[:6], "a=1 "},
		{"NULL for a name", append([]byte{0xFB}, block...), ""},
		{"a length beyond all bounds", []byte("\xfe\xff\xff\xff\xff\xff\xff\xff\xffx"), ""},
	} {
		t.Run(row.name, func(t *testing.T) {
			var got string
			for name, value := range Attributes(row.block) {
				got += name + "=" + value + " "
			}
			if got != row.want {
				t.Errorf("got %q, want %q", got, row.want)
			}
		})
	}
	for name := range Attributes(block) {
		if name != "a" {
			t.Errorf("went on with %q", name)
		}
		break
	}
}

func TestCapabilities(t *testing.T) {
	mariadb := allCapabilities &^ (CapLongPassword | CapQueryAttributes)
	announced := mariadb.Announced(false)
	if !announced.Has(CapPluginAuth|CapConnectAttrs|CapDeprecateEOF|CapProgress|CapBulkExecute|CapExtendedMetadata) || announced&(CapSSL|CapQueryAttributes|CapLongPassword) != 0 {
		t.Errorf("announced %#x", announced)
	}
	if old := (mariadb &^ (CapProgress | CapBulkExecute | CapExtendedMetadata)).Announced(false); !old.Has(CapLongPassword) || old.mariaDB() != 0 {
		t.Errorf("announced %#x for an old server", old)
	}
	if mysql := allCapabilities.Announced(false); !mysql.Has(CapLongPassword) || mysql.mariaDB() != 0 {
		t.Errorf("announced %#x for MySQL", mysql)
	}
	if !mariadb.Announced(true).Has(CapSSL) {
		t.Error("TLS is not announced")
	}
	asked := (CapProtocol41 | CapFoundRows | CapMultiStatements | CapProgress).ForServer()
	if !asked.Has(CapFoundRows|CapMultiStatements|CapSessionTrack|CapProgress) || asked&(CapIgnoreSpace|CapQueryAttributes|CapConnectWithDB|CapDeprecateEOF) != 0 {
		t.Errorf("asked %#x", asked)
	}
}
