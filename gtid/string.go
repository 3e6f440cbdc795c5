package gtid

// String returns the set as a server prints it, sorted and on one line: what the
// parser of its flavor reads again. A file position reads "binlog.000123:456".
// The empty set is "".
func (a Set) String() string { return string(a.Append(nil)) }

// Append appends what [Set.String] returns to dst and returns the result.
func (a Set) Append(dst []byte) []byte {
	spans := a.list()
	for i := 0; len(spans) > 0; i++ {
		if i > 0 {
			dst = append(dst, ',')
		}
		switch spans[0].source.Value().flavor {
		case flavorMySQL:
			dst, spans = appendMySQL(dst, spans)
		case flavorMariaDB:
			dst, spans = appendMariaDB(dst, spans[0]), spans[1:]
		case flavorFile:
			dst, spans = appendFile(dst, spans[0]), spans[1:]
		}
	}
	return dst
}
