package mysqlwire

// TrackKind tells what a [Changes] entry is about.
// https://dev.mysql.com/doc/dev/mysql-server/latest/mysql__com_8h.html#a53f60000da139fc7d547db96635a2c02
type TrackKind byte

// The kinds of changes that servers report.
const (
	TrackSystemVariable TrackKind = 0 // Name, Value
	TrackSchema         TrackKind = 1 // Value: the new current schema
	TrackState          TrackKind = 2 // Value "1": something changed that makes the connection's state its own
	TrackGTIDs          TrackKind = 3 // Value: GTIDs of what was committed
	TrackCharacteristic TrackKind = 4 // Value: statements that would begin the same transaction elsewhere
	TrackTransaction    TrackKind = 5 // Value: eight letters, see the manual of session_track_transaction_info
)

// Changes walks through the session state of an OK packet:
//
//	for c := (Changes{Rest: ok.Session}); c.Next(); {
//		... c.Kind, c.Name, c.Value
//	}
//
// A malformed rest ends the walk and sets Bad.
type Changes struct {
	Rest  []byte // what was not walked through yet
	Kind  TrackKind
	Name  []byte // of a system variable
	Value []byte
	Bad   bool

	pairs []byte // more name and value pairs in the present entry: MariaDB puts several into one
}

// Next goes to the next change and reports whether there is one. Name and Value refer to the packet.
func (c *Changes) Next() bool {
	if len(c.pairs) > 0 {
		return c.pair()
	}
	if len(c.Rest) == 0 || c.Bad {
		return false
	}
	c.Kind, c.Name = TrackKind(c.Rest[0]), nil
	entry, rest, ok := cutLenencBytes(c.Rest[1:])
	if !ok {
		return c.fail()
	}
	c.Rest = rest
	switch c.Kind {
	case TrackSystemVariable:
		c.pairs = entry
		return c.pair()
	case TrackState:
		c.Value = entry // one character without a length, whatever the documentation says
		return true
	case TrackGTIDs:
		if len(entry) == 0 || entry[0] != 0 { // the encoding: 0 is text, and there is no other
			return c.fail()
		}
		entry = entry[1:]
	case TrackSchema, TrackCharacteristic, TrackTransaction:
	default:
		c.Value = entry // of a kind that is not known yet, as it is
		return true
	}
	if c.Value, _, ok = cutLenencBytes(entry); !ok {
		return c.fail()
	}
	return true
}

func (c *Changes) pair() bool {
	var ok bool
	if c.Name, c.pairs, ok = cutLenencBytes(c.pairs); !ok {
		return c.fail()
	}
	if c.Value, c.pairs, ok = cutLenencBytes(c.pairs); !ok {
		return c.fail()
	}
	return true
}

func (c *Changes) fail() bool {
	c.Bad, c.Rest, c.pairs, c.Name, c.Value = true, nil, nil, nil, nil
	return false
}

// AppendChange appends one change in the form that Changes reads.
func AppendChange(dst []byte, kind TrackKind, name, value []byte) []byte {
	var entry []byte
	switch kind {
	case TrackSystemVariable:
		entry = appendLenencBytes(appendLenencBytes(nil, name), value)
	case TrackGTIDs:
		entry = appendLenencBytes([]byte{0}, value)
	case TrackSchema, TrackCharacteristic, TrackTransaction:
		entry = appendLenencBytes(nil, value)
	default:
		entry = value
	}
	return appendLenencBytes(append(dst, byte(kind)), entry)
}
