//go:build !unix

package mysqlwire

const canReadRaw = false

func (r *Reader) readRaw(uintptr) bool { return true }
