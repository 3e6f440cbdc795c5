package gtid

import "testing"

func TestParseMariaDB(t *testing.T) {
	tests := []struct {
		name, in, want string
	}{
		{name: "empty", in: "", want: ""},
		{name: "one", in: "0-1-9", want: "0-1-9"},
		{name: "two domains", in: "1-2-3,0-1-9", want: "0-1-9,1-2-3"},
		{name: "two servers of a domain", in: "0-2-10,0-1-9", want: "0-1-9,0-2-10"},
		{name: "the same source twice", in: "0-1-9,0-1-12,0-1-3", want: "0-1-12"},
		{name: "white space", in: " 0-1-9 ,\n1-2-3\t", want: "0-1-9,1-2-3"},
		{name: "sequence zero", in: "0-1-0", want: "0-1-0"},
		{name: "greatest numbers", in: "4294967295-4294967295-18446744073709551615", want: "4294967295-4294967295-18446744073709551615"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			set := mustMariaDB(t, tt.in)
			checkNormal(t, set)
			if got := set.String(); got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

func TestParseMariaDBErrors(t *testing.T) {
	tests := []struct {
		name, in string
		offset   int
	}{
		{name: "garbage", in: "x", offset: 0},
		{name: "one number", in: "0", offset: 1},
		{name: "two numbers", in: "0-1", offset: 3},
		{name: "missing sequence", in: "0-1-", offset: 4},
		{name: "domain beyond 32 bits", in: "4294967296-1-1", offset: 0},
		{name: "server id beyond 32 bits", in: "0-4294967296-1", offset: 2},
		{name: "sequence beyond 64 bits", in: "0-1-18446744073709551616", offset: 4},
		{name: "four numbers", in: "0-1-9-4", offset: 5},
		{name: "second item", in: "0-1-9,1-x", offset: 8},
		{name: "MySQL set", in: uuidLow + ":1", offset: 1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := ParseMariaDB(tt.in)
			checkSyntaxError(t, err, tt.offset)
		})
	}
}

func TestMariaDBContains(t *testing.T) {
	tests := []struct {
		name, a, b string
		want       bool
	}{
		{name: "itself", a: "0-1-9", b: "0-1-9", want: true},
		{name: "an older one", a: "0-1-9", b: "0-1-8", want: true},
		{name: "a newer one", a: "0-1-9", b: "0-1-10", want: false},
		{name: "another server of the domain is no proof", a: "0-2-10", b: "0-1-9", want: false},
		{name: "another domain", a: "0-1-10", b: "1-1-9", want: false},
		{name: "all domains", a: "0-1-9,1-2-3", b: "1-2-3,0-1-1", want: true},
		{name: "one domain missing", a: "0-1-9", b: "0-1-1,1-2-3", want: false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			a, b := mustMariaDB(t, tt.a), mustMariaDB(t, tt.b)
			if got := a.Contains(b); got != tt.want {
				t.Errorf("%q contains %q: got %v, want %v", a, b, got, tt.want)
			}
		})
	}
}

func TestMariaDBUnion(t *testing.T) {
	tests := []struct {
		name, a, b, want string
	}{
		{name: "the higher number stays", a: "0-1-9", b: "0-1-3", want: "0-1-9"},
		{name: "an older one does not move it back", a: "0-1-3", b: "0-1-9", want: "0-1-9"},
		{name: "both servers stay", a: "0-1-9", b: "0-2-10", want: "0-1-9,0-2-10"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			a, b := mustMariaDB(t, tt.a), mustMariaDB(t, tt.b)
			if got := a.Union(b).String(); got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
			if a.String() != tt.a || b.String() != tt.b {
				t.Errorf("operands changed: %q and %q", a, b)
			}
		})
	}
}
