package mysqlwire

import (
	"errors"
	"fmt"
	"io"
)

const (
	// HeaderSize is the size of a frame's header: three bytes of length and one of sequence number.
	HeaderSize = 4
	// MaxFrame is the largest payload of one frame. A frame of exactly this size is continued by the next one.
	// https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_basic_packets.html#sect_protocol_basic_packets_sending_mt_16mb
	MaxFrame = 1<<24 - 1
)

// ErrTooLarge says that a packet is larger than its reader allows.
var ErrTooLarge = errors.New("packet too large")

// AppendHeader appends the header of a frame with n bytes of payload, n <= MaxFrame.
func AppendHeader(dst []byte, n int, seq byte) []byte {
	return append(dst, byte(n), byte(n>>8), byte(n>>16), seq)
}

// AppendPacket appends payload as a whole packet whose first frame has the sequence number seq.
func AppendPacket(dst []byte, seq byte, payload []byte) []byte {
	for ; len(payload) >= MaxFrame; seq++ {
		dst = append(AppendHeader(dst, MaxFrame, seq), payload[:MaxFrame]...)
		payload = payload[MaxFrame:]
	}
	return append(AppendHeader(dst, len(payload), seq), payload...)
}

// ReadPacket reads one whole packet and not a byte more. It returns the payload, which is the caller's, and the
// sequence number of the last frame. A packet of more than limit bytes is ErrTooLarge; memory grows with what has
// arrived, not with what was announced. An end between two packets is io.EOF, within one io.ErrUnexpectedEOF.
//
// It is for the login, where packets are few and small; commands and responses go through a [Reader].
func ReadPacket(r io.Reader, limit int) (payload []byte, seq byte, err error) {
	for {
		var h [HeaderSize]byte
		if _, err := io.ReadFull(r, h[:]); err != nil {
			if payload != nil && err == io.EOF {
				err = io.ErrUnexpectedEOF
			}
			return nil, seq, err
		}
		n := FrameLen(h[:])
		seq = h[3]
		if len(payload)+n > limit {
			return nil, seq, fmt.Errorf("%w: more than %d bytes", ErrTooLarge, limit)
		}
		if payload, err = appendFull(payload, r, n); err != nil {
			return nil, seq, err
		}
		if n < MaxFrame {
			return payload, seq, nil
		}
	}
}

// appendFull reads n bytes and appends them to dst, in steps, so that an announced length alone costs no memory.
func appendFull(dst []byte, r io.Reader, n int) ([]byte, error) {
	const step = 64 << 10
	if dst == nil {
		dst = make([]byte, 0, min(n, step))
	}
	for n > 0 {
		k := min(n, step)
		at := len(dst)
		dst = append(dst, make([]byte, k)...)
		if _, err := io.ReadFull(r, dst[at:]); err != nil {
			if err == io.EOF {
				err = io.ErrUnexpectedEOF
			}
			return nil, err
		}
		n -= k
	}
	return dst, nil
}

// FrameLen is the payload length in the header h, which has at least three bytes.
func FrameLen(h []byte) int {
	return int(h[0]) | int(h[1])<<8 | int(h[2])<<16
}

// Lenenc reads a length-encoded integer at the beginning of b. Size is the number of bytes it takes, 0 when b is too
// short or begins with 0xFB (NULL) or 0xFF.
// https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_basic_dt_integers.html#sect_protocol_basic_dt_int_le
func Lenenc(b []byte) (v uint64, size int) {
	if len(b) == 0 {
		return 0, 0
	}
	switch c := b[0]; {
	case c < 0xFB:
		return uint64(c), 1
	case c == 0xFC:
		size = 3
	case c == 0xFD:
		size = 4
	case c == 0xFE:
		size = 9
	default:
		return 0, 0
	}
	if len(b) < size {
		return 0, 0
	}
	for i := size - 1; i > 0; i-- {
		v = v<<8 | uint64(b[i])
	}
	return v, size
}

// appendLenenc appends v as a length-encoded integer.
func appendLenenc(dst []byte, v uint64) []byte {
	switch {
	case v < 0xFB:
		return append(dst, byte(v))
	case v < 1<<16:
		return append(dst, 0xFC, byte(v), byte(v>>8))
	case v < 1<<24:
		return append(dst, 0xFD, byte(v), byte(v>>8), byte(v>>16))
	}
	return append(dst, 0xFE, byte(v), byte(v>>8), byte(v>>16), byte(v>>24), byte(v>>32), byte(v>>40), byte(v>>48), byte(v>>56))
}

// appendLenencBytes appends s as a length-encoded string.
func appendLenencBytes(dst, s []byte) []byte {
	return append(appendLenenc(dst, uint64(len(s))), s...)
}

// cutLenencBytes splits b into the length-encoded string at its beginning and what follows.
func cutLenencBytes(b []byte) (s, rest []byte, ok bool) {
	n, size := Lenenc(b)
	if size == 0 || n > uint64(len(b)-size) {
		return nil, nil, false
	}
	return b[size : size+int(n)], b[size+int(n):], true
}
