package router

// number reads a literal. What sticks to its end (1FOR, 1a, 1.5e) is read in
// several ways by the servers.
func (l *lexer) number(t *token) {
	t.kind = tokenNumber
	if l.last.kind == '.' {
		l.odd = true // the part of a name that starts with a digit
	}
	if l.peek(0) == '0' && l.radix() {
		return
	}
	l.digits()
	if l.peek(0) == '.' {
		l.pos++
		l.digits()
	}
	if e := l.peek(0); e == 'e' || e == 'E' {
		sign := 1
		if s := l.peek(1); s == '+' || s == '-' {
			sign = 2
		}
		if byteClass[l.peek(sign)] == byteDigit {
			l.pos += sign
			l.digits()
		}
	}
	if wordByte(l.peek(0)) || l.peek(0) == '.' {
		l.odd = true
	}
}

// radix reads 0x1F and 0b01 where nothing else sticks to them.
func (l *lexer) radix() bool {
	hex := l.peek(1) == 'x'
	if !hex && l.peek(1) != 'b' {
		return false
	}
	i := l.pos + 2
	for i < len(l.sql) && radixDigit(l.sql[i], hex) {
		i++
	}
	if i == l.pos+2 {
		return false
	}
	l.pos = i
	if wordByte(l.peek(0)) || l.peek(0) == '.' {
		l.odd = true
	}
	return true
}

func radixDigit(b byte, hex bool) bool {
	if !hex {
		return b == '0' || b == '1'
	}
	return byteClass[b] == byteDigit || b|0x20 >= 'a' && b|0x20 <= 'f'
}

func (l *lexer) digits() {
	for byteClass[l.peek(0)] == byteDigit {
		l.pos++
	}
}

// point reads .5; after a name a part that starts with a digit is meant.
func (l *lexer) point(t *token) {
	if l.last.kind == tokenWord && l.last.id == wordNone || l.last.kind == tokenQuoted {
		l.odd = true
	}
	t.kind = tokenNumber
	l.pos--
	l.last.kind = tokenNumber
	l.number(t)
}
