//go:build !race

package mysqlwire

import (
	"io"
	"testing"
)

// Under the race detector sync.Pool drops what it is given now and then, so there is nothing to count there.

// Ensure that small packets cost no allocation.
func TestCompressedAllocations(t *testing.T) {
	for _, a := range algorithms {
		t.Run(a.name, func(t *testing.T) {
			b, message := make([]byte, 2000), text(1000)
			s := &stored{}
			c := Compress(s, a.caps, a.level).(*Compressed)
			packed := frame(0, len(message), a.pack(t, message))
			roundTrip := func() {
				s.in.Write(packed)
				if _, err := io.ReadFull(c, b[:len(message)]); err != nil {
					t.Fatal(err)
				}
				s.out.Reset()
				if _, err := c.Write(message); err != nil {
					t.Fatal(err)
				}
			}
			roundTrip()
			if n := testing.AllocsPerRun(100, roundTrip); n > 2 {
				t.Errorf("%v allocations", n)
			}
		})
	}
}
