package router

import "strings"

// wordID names an entry of the word table; wordNone is a word that the table
// does not know.
type wordID uint16

const wordNone wordID = 0

// word is what the table knows of one unquoted word.
type word struct {
	name     string   // upper case
	key      key      // its part in the grammar, when it stands alone
	mysql    call     // what it means before a parenthesis
	mariadb  call     // the same in MariaDB
	variable variable // what it is after @@
	schema   schema   // what it is before a dot
	infoRead bool     // a table of information_schema that is the same on every server
	own      Name     // what it is to the proxy, as a user variable and in a hint
}

// wordTable is a hash table of words with open addressing. It is built once
// and then only read.
type wordTable struct {
	slots [tableSize]wordID
	list  []word
}

// tableSize is a power of two a few times the number of words.
const tableSize = 4096

var words = makeWords()

func makeWords() *wordTable {
	t := &wordTable{list: make([]word, 1, 1024)}
	for name, k := range keys {
		t.entry(name).key = k
	}
	for _, f := range functionLists {
		for name := range strings.FieldsSeq(f.names) {
			if w := t.entry(name); f.flavors&inMySQL != 0 {
				w.mysql = f.call
			}
			if w := t.entry(name); f.flavors&inMariaDB != 0 {
				w.mariadb = f.call
			}
		}
	}
	for name, v := range variables {
		t.entry(name).variable = v
	}
	for name, s := range schemas {
		t.entry(name).schema = s
	}
	for name := range strings.FieldsSeq(infoTables) {
		t.entry(name).infoRead = true
	}
	for n := NameNone + 1; n < nameCount; n++ {
		t.entry(strings.ToUpper(n.String())).own = n
	}
	return t
}

// entry is the entry of name, added if need be. It is valid until the next call.
func (t *wordTable) entry(name string) *word {
	h := hashName(name)
	if id := find(t, h, name); id != wordNone {
		return &t.list[id]
	}
	slot := h % tableSize
	for t.slots[slot] != wordNone {
		slot = (slot + 1) % tableSize
	}
	t.slots[slot] = wordID(len(t.list))
	t.list = append(t.list, word{name: name})
	return &t.list[len(t.list)-1]
}

const hashSeed = 2166136261

// hashByte adds one byte of a word to its hash, without regard to case.
func hashByte(h uint32, b byte) uint32 { return (h ^ uint32(b|0x20)) * 16777619 }

// hashName is the hash of a whole word.
func hashName[T string | []byte](name T) uint32 {
	h := uint32(hashSeed)
	for i := range len(name) {
		h = hashByte(h, name[i])
	}
	return h
}

// find looks for a word, in any case, whose hash is h.
func find[T string | []byte](t *wordTable, h uint32, name T) wordID {
	for slot := h % tableSize; t.slots[slot] != wordNone; slot = (slot + 1) % tableSize {
		if id := t.slots[slot]; foldEqual(t.list[id].name, name) {
			return id
		}
	}
	return wordNone
}

// lookup finds a name that was not hashed on the way, as a quoted one.
func lookup[T string | []byte](name T) *word {
	return &words.list[find(words, hashName(name), name)]
}

// foldEqual compares an upper-case ASCII name with one in any case.
func foldEqual[T string | []byte](upper string, name T) bool {
	if len(upper) != len(name) {
		return false
	}
	for i := range len(name) {
		b := name[i]
		if b >= 'a' && b <= 'z' {
			b -= 'a' - 'A'
		}
		if b != upper[i] {
			return false
		}
	}
	return true
}
