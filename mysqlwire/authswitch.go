package mysqlwire

import "bytes"

// AuthSwitch is the server's request to prove the password in another way than the client began with.
// https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_connection_phase_packets_protocol_auth_switch_request.html
type AuthSwitch struct {
	Plugin string
	Salt   []byte // without the NUL that ends one of SaltSize on the wire
}

// Append appends the payload.
func (s *AuthSwitch) Append(dst []byte) []byte {
	dst = append(appendNUL(append(dst, headerSwitch), s.Plugin), s.Salt...)
	if len(s.Salt) == SaltSize {
		return append(dst, 0)
	}
	return dst
}

// IsAuthSwitch says whether a payload, received in answer to a login request, is an AuthSwitch.
func IsAuthSwitch(payload []byte) bool { return len(payload) > 0 && payload[0] == headerSwitch }

// ParseAuthSwitch reads the payload. One that has nothing but its first byte asks for PluginOld, with the salt of the
// greeting, and the result has none. A NUL ends a salt of SaltSize bytes and no other: MariaDB's ed25519 and parsec have 32
// bytes of any value, and nothing behind them. The result does not refer to payload.
// https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_connection_phase_packets_protocol_old_auth_switch_request.html
func ParseAuthSwitch(payload []byte) (AuthSwitch, error) {
	if !IsAuthSwitch(payload) {
		return AuthSwitch{}, errHandshake
	}
	if len(payload) == 1 {
		return AuthSwitch{Plugin: PluginOld}, nil
	}
	c := cursor{b: payload[1:]}
	s := AuthSwitch{Plugin: c.tailText(), Salt: bytes.Clone(c.b)}
	if len(s.Salt) == SaltSize+1 {
		s.Salt = bytes.TrimSuffix(s.Salt, []byte{0})
	}
	return s, nil
}

// AppendAuthMore appends the payload with which a server goes on about the password: FastAuthOK, FullAuth, a key.
// https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_connection_phase_packets_protocol_auth_more_data.html
func AppendAuthMore(dst []byte, data ...byte) []byte {
	return append(append(dst, headerMore), data...)
}

// ParseAuthMore returns what a payload of AppendAuthMore says; ok is false when it is another packet. The result refers
// to payload.
func ParseAuthMore(payload []byte) (data []byte, ok bool) {
	if len(payload) == 0 || payload[0] != headerMore {
		return nil, false
	}
	return payload[1:], true
}
