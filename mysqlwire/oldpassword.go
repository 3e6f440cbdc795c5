package mysqlwire

// oldSaltSize is how many bytes of a salt mysql_old_password uses, and how many its answer has.
const oldSaltSize = 8

// ScrambleOld is the answer of mysql_old_password, the way of MySQL before 4.1, to salt, of which the first 8 bytes count.
// Whoever hears both finds out what opens the account: to be sent where a password may be sent as it is.
// https://mariadb.com/kb/en/authentication-plugin-mysql_old_password/
func ScrambleOld(salt []byte, password string) ([]byte, error) {
	if len(salt) < oldSaltSize {
		return nil, errBadSalt
	}
	if password == "" {
		return []byte{0}, nil
	}
	p, s := oldHash([]byte(password)), oldHash(salt[:oldSaltSize])
	r := oldRandom{(p[0] ^ s[0]) % oldModulus, (p[1] ^ s[1]) % oldModulus}
	answer := make([]byte, oldSaltSize+1) // a NUL ends it
	for i := range oldSaltSize {
		answer[i] = r.below31() + 64
	}
	extra := r.below31()
	for i := range oldSaltSize {
		answer[i] ^= extra
	}
	return answer, nil
}

// oldHash is what servers keep of such a password: two numbers of 31 bits.
func oldHash(text []byte) [2]uint32 {
	a, b, add := uint32(1345345333), uint32(0x12345671), uint32(7)
	for _, c := range text {
		if c == ' ' || c == '\t' {
			continue
		}
		a ^= (a&63+add)*uint32(c) + a<<8
		b += b<<8 ^ a
		add += uint32(c)
	}
	const bits31 = 1<<31 - 1
	return [2]uint32{a & bits31, b & bits31}
}

// oldRandom makes the numbers that are mixed into the answer.
type oldRandom [2]uint32

const oldModulus = 0x3FFFFFFF

// below31 is the next number, from 0 to 30.
func (r *oldRandom) below31() byte {
	r[0] = (r[0]*3 + r[1]) % oldModulus
	r[1] = (r[0] + r[1] + 33) % oldModulus
	return byte(float64(r[0]) / oldModulus * 31)
}
