package mysqlwire

import (
	"net"
	"testing"
)

// Bytes can be taken out of the middle and the end of what is buffered, and reading goes on behind it.
func TestReaderRemove(t *testing.T) {
	near, far := net.Pipe()
	defer near.Close()
	defer far.Close()
	go func() {
		for _, s := range []string{"0123456789", "abc"} {
			if _, err := far.Write([]byte(s)); err != nil {
				return
			}
		}
	}()
	r := NewReader(near)
	defer r.Close()
	if err := r.Need(10); err != nil {
		t.Fatal(err)
	}
	r.Discard(1)
	r.Remove(2, 3)
	r.Remove(5, 1)
	if got, want := string(r.Bytes()), "12678"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if err := r.Need(8); err != nil {
		t.Fatal(err)
	}
	if got, want := string(r.Bytes()), "12678abc"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}
