//go:build !unix

package backend

// quiet cannot look at a socket without reading from it here: what is wrong with it shows when it is used.
func quiet(uintptr) bool { return true }
