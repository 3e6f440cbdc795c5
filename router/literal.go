package router

import "bytes"

// introducer passes what may stand before a string: _utf8mb4 or N.
func (p *ownParser) introducer() bool {
	word := p.text(p.tok)
	next := p.lex
	var t token
	if next.next(&t); t.kind != tokenString || word[0] != '_' && string(word) != "N" && string(word) != "n" {
		return false
	}
	p.advance()
	return true
}

// strings reads a string; several in a row are one.
func (p *ownParser) strings() (string, bool) {
	if p.tok.kind != tokenString {
		return "", false
	}
	var value []byte
	for p.tok.kind == tokenString {
		value = p.unescape(value)
		p.advance()
	}
	return string(value), true
}

// unescape appends the value of the current string or quoted name.
// https://dev.mysql.com/doc/refman/9.4/en/string-literals.html
func (p *ownParser) unescape(dst []byte) []byte {
	text, quote := p.text(p.tok), p.lex.sql[p.tok.start-1]
	escapes := p.tok.kind == tokenString && !p.lex.noBackslash
	for i := 0; i < len(text); i++ {
		b := text[i]
		switch {
		case p.lex.wide && b >= 0x80 && i+1 < len(text):
			dst = append(dst, b)
			i++
			b = text[i]
		case b == quote:
			i++ // it is doubled
		case b == '\\' && escapes && i+1 < len(text):
			i++
			if b = text[i]; b == '%' || b == '_' {
				dst = append(dst, '\\')
			}
			b = unescaped(b)
		}
		dst = append(dst, b)
	}
	return dst
}

// unescaped is what a backslash and b stand for.
func unescaped(b byte) byte {
	switch b {
	case '0':
		return 0
	case 'b':
		return '\b'
	case 'n':
		return '\n'
	case 'r':
		return '\r'
	case 't':
		return '\t'
	case 'Z':
		return 26
	}
	return b
}

// mentionsVariable tells whether a text that mentions us has a user variable so.
func mentionsVariable(text []byte) bool {
	for i, b := range text {
		if b != '@' {
			continue
		}
		rest := bytes.TrimLeft(text[i+1:], "`'\"\\")
		if len(rest) >= len(prefix) && foldEqual(prefix, rest[:len(prefix)]) {
			return true
		}
	}
	return false
}
