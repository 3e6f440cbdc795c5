package mysqlwire

import (
	"bytes"
	"fmt"
	"slices"
	"testing"
)

// walk lists the changes in b.
func walk(b []byte) (changes []string, bad bool) {
	c := Changes{Rest: b}
	for c.Next() {
		changes = append(changes, fmt.Sprintf("%d %s=%s", c.Kind, c.Name, c.Value))
	}
	return changes, c.Bad
}

// Ensure that every kind of change is read, and that a malformed rest is noticed and hides nothing before it.
func TestChanges(t *testing.T) {
	for _, row := range []struct {
		name, state string
		want        []string
		bad         bool
	}{
		{name: "nothing"},
		{name: "GTID of MySQL", state: "0329002731636133633032642d653735662d313166312d386131662d3032666330303030303030313a3133",
			want: []string{"3 =1ca3c02d-e75f-11f1-8a1f-02fc00000001:13"}},
		{name: "GTID of MariaDB", state: "0011096c6173745f6774696406302d312d3230", want: []string{"0 last_gtid=0-1-20"}},
		{name: "several", state: "000f0a6175746f636f6d6d6974034f4646020131", want: []string{"0 autocommit=OFF", "2 =1"}},
		{name: "two variables in one entry", state: "000801610162016301640105047769726502" + "0131",
			want: []string{"0 a=b", "0 c=d", "1 =wire", "2 =1"}},
		{name: "no schema", state: "010100", want: []string{"1 ="}},
		{name: "transaction", state: "050908545f5f5f5f5f5f5f040100", want: []string{"5 =T_______", "4 ="}},
		{name: "kind of the future", state: "2a02ffff020131", want: []string{"42 =\xff\xff", "2 =1"}},
		{name: "entry too long", state: "02013101090000", want: []string{"2 =1"}, bad: true},
		{name: "no length", state: "02013101", want: []string{"2 =1"}, bad: true},
		{name: "text too long", state: "01020500", bad: true},
		{name: "empty variable", state: "0000", bad: true},
		{name: "name without value", state: "00020161", bad: true},
		{name: "good pair, bad pair", state: "000501610162ff020131", want: []string{"0 a=b"}, bad: true},
		{name: "GTID in another encoding", state: "03030101" + "31", bad: true},
		{name: "GTID without encoding", state: "0300", bad: true},
	} {
		t.Run(row.name, func(t *testing.T) {
			got, bad := walk(mustHex(t, row.state))
			if !slices.Equal(got, row.want) || bad != row.bad {
				t.Errorf("got %q, bad %v, want %q", got, bad, row.want)
			}
		})
	}
}

// Ensure that a walk stays at its end.
func TestChangesEnd(t *testing.T) {
	for _, b := range [][]byte{nil, {2, 1, '1'}, {2, 5}} {
		c := Changes{Rest: b}
		for c.Next() {
		}
		if on := c.Next(); on || c.Next() {
			t.Errorf("%x: goes on", b)
		}
	}
}

// Ensure that any bytes are walked through, and that what was read is read again after it was written.
func FuzzChanges(f *testing.F) {
	f.Add([]byte("\x00\x0f\x0aautocommit\x03OFF\x02\x011"))
	f.Add([]byte("\x03\x05\x00\x03u:1\x05\x09\x08T_______"))
	f.Fuzz(func(t *testing.T, b []byte) {
		var written []byte
		for c := (Changes{Rest: b}); c.Next(); {
			if len(c.Name)+len(c.Value) > len(b) {
				t.Fatalf("%q and %q out of %d bytes", c.Name, c.Value, len(b))
			}
			written = AppendChange(written, c.Kind, c.Name, c.Value)
		}
		want, _ := walk(b)
		if got, bad := walk(written); bad || !slices.Equal(got, want) {
			t.Fatalf("got %q, bad %v, want %q", got, bad, want)
		}
		if again := rewrite(written); !bytes.Equal(again, written) {
			t.Fatalf("got %x, want %x", again, written)
		}
	})
}

// rewrite reads b and writes it again.
func rewrite(b []byte) (written []byte) {
	for c := (Changes{Rest: b}); c.Next(); {
		written = AppendChange(written, c.Kind, c.Name, c.Value)
	}
	return written
}
