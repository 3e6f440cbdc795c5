//go:build !unix

package netfd

// peek cannot look at a socket without reading from it here.
func peek(uintptr, []byte) (int, error) { return 0, ErrWait }
