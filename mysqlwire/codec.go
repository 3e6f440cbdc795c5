package mysqlwire

import (
	"compress/zlib"
	"errors"
	"fmt"
	"io"
	"sync"

	"github.com/klauspost/compress/zstd"
)

// errNoGain says that compressed bytes are not shorter.
var errNoGain = errors.New("no shorter")

// zlibCodec is the algorithm of CLIENT_COMPRESS. What we send is compressed at the fastest level: the others clear
// more than half a MiB of tables for each small answer.
type zlibCodec struct{}

var (
	deflaters = sync.Pool{New: newDeflater}
	inflaters = sync.Pool{New: func() any { return new(inflater) }}
)

// deflater is a compressor with the end of what it has written.
type deflater struct {
	z   *zlib.Writer
	out []byte
	max int
}

func newDeflater() any {
	z, err := zlib.NewWriterLevel(io.Discard, zlib.BestSpeed)
	if err != nil {
		panic("BUG: " + err.Error())
	}
	return &deflater{z: z}
}

// Write appends to what is written, up to the bound.
func (d *deflater) Write(b []byte) (int, error) {
	if len(d.out)+len(b) > d.max {
		return 0, errNoGain
	}
	d.out = append(d.out, b...)
	return len(b), nil
}

func (zlibCodec) compress(dst, src []byte) []byte {
	d := deflaters.Get().(*deflater)
	defer deflaters.Put(d)
	d.out, d.max = dst, len(dst)+len(src)
	d.z.Reset(d)
	_, err := d.z.Write(src)
	if err == nil {
		err = d.z.Close()
	}
	out := d.out
	d.out = nil
	if err != nil { // errNoGain: nothing else can fail
		return append(dst, src...)
	}
	return out
}

// inflater is a decompressor of zlib. A new one has no z.
type inflater struct{ z io.ReadCloser }

func (zlibCodec) open(p *payload, _ int) (io.ReadCloser, error) {
	f := inflaters.Get().(*inflater)
	var err error
	if f.z == nil {
		f.z, err = zlib.NewReader(p)
	} else {
		err = f.z.(zlib.Resetter).Reset(p, nil)
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrCompression, inFrame(err))
	}
	return f, nil
}

// Read decompresses. The end is io.EOF, after the checksum.
func (f *inflater) Read(b []byte) (int, error) {
	n, err := f.z.Read(b)
	if err != nil && err != io.EOF {
		err = fmt.Errorf("%w: %w", ErrCompression, err)
	}
	return n, err
}

// Close gives the decompressor back. It must not be used any more.
func (f *inflater) Close() error {
	inflaters.Put(f)
	return nil
}

// zstdCodec is the algorithm of CLIENT_ZSTD_COMPRESSION_ALGORITHM.
type zstdCodec struct{ level zstd.EncoderLevel }

// levelOf is the next best of what there is. Levels above 9 are taken for less than they are: tens of MiB for a
// compressor are not the client's to spend.
func levelOf(level byte) zstd.EncoderLevel {
	return min(zstd.EncoderLevelFromZstd(int(level)), zstd.SpeedBetterCompression)
}

// encoders are the compressors, by level.
var encoders [zstd.SpeedBetterCompression + 1]sync.Pool

func (c zstdCodec) compress(dst, src []byte) []byte {
	e, ok := encoders[c.level].Get().(*zstd.Encoder)
	if !ok {
		e = newEncoder(c.level)
	}
	defer encoders[c.level].Put(e)
	return e.EncodeAll(src, dst)
}

func newEncoder(level zstd.EncoderLevel) *zstd.Encoder {
	e, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(level), zstd.WithEncoderConcurrency(1),
		zstd.WithLowerEncoderMem(true), zstd.WithWindowSize(maxChunk), zstd.WithEncoderCRC(false),
		zstd.WithAllLitEntropyCompression(true)) // hashes and the like in hexadecimal repeat nothing and are half the size
	if err != nil {
		panic("BUG: " + err.Error())
	}
	return e
}

// decoders are the decompressors. They decompress whole frames into buffers of ours, so they hold little.
var decoders = sync.Pool{New: newDecoder}

func newDecoder() any {
	d, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecodeAllCapLimit(true))
	if err != nil {
		panic("BUG: " + err.Error())
	}
	return d
}

func (zstdCodec) open(p *payload, size int) (io.ReadCloser, error) {
	whole, err := p.whole()
	if err != nil {
		return nil, err
	}
	d := decoders.Get().(*zstd.Decoder)
	defer decoders.Put(d)
	buf := borrow(size)
	out, err := d.DecodeAll(whole, buf[:0:size])
	p.drop(len(whole))
	if err != nil {
		give(buf)
		return nil, fmt.Errorf("%w: %w", ErrCompression, err)
	}
	p.in.Release()
	return &decoded{buf: buf, rest: out}, nil
}

// decoded is a borrowed buffer that is read from.
type decoded struct{ buf, rest []byte }

// Read copies. The end is io.EOF.
func (d *decoded) Read(b []byte) (int, error) {
	if len(d.rest) == 0 {
		return 0, io.EOF
	}
	n := copy(b, d.rest)
	d.rest = d.rest[n:]
	return n, nil
}

// Close gives the buffer back.
func (d *decoded) Close() error {
	give(d.buf)
	d.buf = nil
	return nil
}
