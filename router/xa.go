package router

import (
	"bytes"
	"encoding/hex"
	"math/big"
	"strconv"
)

// XAVerb is what an XA statement does with a branch of a distributed transaction.
type XAVerb uint8

const (
	// XAOther: it neither prepares the branch nor decides about it.
	XAOther XAVerb = iota
	// XAPrepare: what was written in the branch is safe, and nobody can see it.
	XAPrepare
	// XADecide: COMMIT or ROLLBACK.
	XADecide
)

// XAStatement is an XA statement.
type XAStatement struct {
	Verb XAVerb
	ID   XID // of verbs other than XAOther
}

// XID names a branch on a server.
// https://dev.mysql.com/doc/refman/en/xa-statements.html
type XID struct {
	GTRID, BQUAL string // bytes, however they were written
	Format       uint64
}

// ReadXA returns the XA statements of a text that [Classify] says has some, in their order. It is false if
// there may be others, or what they name could not be read.
func ReadXA(sql []byte, c Context) (list []XAStatement, ok bool) {
	p := newOwnParser(sql, &c)
	for p.advance(); p.tok.kind != tokenEnd; p.advance() {
		if p.before.kind != ';' && p.before.end > 0 || p.key() != keyXA {
			continue
		}
		p.advance()
		x, read := p.xa()
		if !read {
			return list, false
		}
		list = append(list, x)
		if p.tok.kind == tokenEnd {
			break
		}
	}
	return list, !p.lex.odd && p.lex.seen == 0
}

// xa reads an XA statement from its verb on.
func (p *ownParser) xa() (x XAStatement, ok bool) {
	switch p.key() {
	case keyPrepare:
		x.Verb = XAPrepare
	case keyCommit, keyRollback:
		x.Verb = XADecide
	default:
		return XAStatement{}, true
	}
	p.advance()
	x.ID, ok = p.xid()
	return x, ok
}

// xid reads 'gtrid' [, 'bqual' [, formatID]].
func (p *ownParser) xid() (id XID, ok bool) {
	id.Format = 1
	if id.GTRID, ok = p.bytes(); !ok || p.tok.kind != ',' {
		return id, ok
	}
	p.advance()
	if id.BQUAL, ok = p.bytes(); !ok || p.tok.kind != ',' {
		return id, ok
	}
	p.advance()
	if p.tok.kind != tokenNumber {
		return id, false
	}
	n, err := strconv.ParseUint(string(p.text(p.tok)), 0, 64)
	if text := p.text(p.tok); text[0] == '0' && len(text) > 1 && text[1] != 'x' {
		return id, false // for strconv it is octal
	}
	p.advance()
	id.Format = n
	return id, err == nil
}

// bytes reads 'text', X'hex', 0xhex, B'bits' or 0bbits.
// https://dev.mysql.com/doc/refman/en/hexadecimal-literals.html
func (p *ownParser) bytes() (string, bool) {
	text := p.text(p.tok)
	switch {
	case p.tok.kind == tokenString:
		value := string(p.unescape(nil))
		p.advance()
		return value, true
	case p.tok.kind == tokenNumber && bytes.HasPrefix(text, []byte("0x")):
		p.advance()
		return unhex(text[2:])
	case p.tok.kind == tokenNumber && bytes.HasPrefix(text, []byte("0b")):
		p.advance()
		return unbit(text[2:])
	case p.tok.kind != tokenWord || len(text) != 1:
		return "", false
	}
	radix, end := text[0]|0x20, p.tok.end
	p.advance()
	if p.tok.kind != tokenString || p.tok.start != end+1 {
		return "", false
	}
	text = p.text(p.tok)
	p.advance()
	switch radix {
	case 'x':
		if len(text)%2 != 0 {
			return "", false
		}
		return unhex(text)
	case 'b':
		return unbit(text)
	}
	return "", false
}

func unhex(digits []byte) (string, bool) {
	if len(digits)%2 != 0 {
		digits = append([]byte{'0'}, digits...)
	}
	value, err := hex.DecodeString(string(digits))
	return string(value), err == nil
}

func unbit(digits []byte) (string, bool) {
	if len(digits) > maxXIDBits {
		return "", false
	}
	n, ok := new(big.Int).SetString(string(digits), 2)
	if !ok {
		return "", false
	}
	return string(n.FillBytes(make([]byte, (len(digits)+7)/8))), true
}

// maxXIDBits is as many bits as a part of an xid has at most.
const maxXIDBits = 64 * 8
