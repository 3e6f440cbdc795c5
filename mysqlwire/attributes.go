package mysqlwire

import "iter"

// Attributes are the names and values in a block of connection attributes, as LoginRequest and ChangeUser have it,
// in the client's order. A malformed block ends where it stops making sense.
// https://dev.mysql.com/doc/refman/en/performance-schema-connection-attribute-tables.html
func Attributes(block []byte) iter.Seq2[string, string] {
	return func(yield func(string, string) bool) {
		for b := block; len(b) > 0; {
			name, rest, ok := cutLenencBytes(b)
			if !ok {
				return
			}
			value, rest, ok := cutLenencBytes(rest)
			if !ok || !yield(string(name), string(value)) {
				return
			}
			b = rest
		}
	}
}

// AppendAttribute appends one name and its value to a block.
func AppendAttribute(block []byte, name, value string) []byte {
	return appendLenencBytes(appendLenencBytes(block, []byte(name)), []byte(value))
}
