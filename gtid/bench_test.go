package gtid

import (
	"fmt"
	"strings"
	"testing"
)

// executedText is what a server with a history has: several former primaries, and
// the gaps that a parallel applier leaves.
func executedText(uuids, intervals int) string {
	var b strings.Builder
	for u := range uuids {
		fmt.Fprintf(&b, "%08x-71ca-11e1-9e33-c80aa9429562", 0x3e11fa47+u*0x01010101)
		for i := range intervals {
			fmt.Fprintf(&b, ":%d-%d", 1+i*100, 90+i*100)
		}
		b.WriteString(",\n")
	}
	return b.String()
}

// needText is one write of the middle uuid, in one of the last intervals.
func needText(uuids, intervals int) string {
	return fmt.Sprintf("%08x-71ca-11e1-9e33-c80aa9429562:%d", 0x3e11fa47+uuids/2*0x01010101, (intervals-1)*100+50)
}

func TestAllocations(t *testing.T) {
	executed := mustMySQL(t, executedText(3, 30))
	need := mustMySQL(t, needText(3, 30))
	missing := mustMySQL(t, needText(3, 60))
	if !executed.Contains(need) || executed.Contains(missing) {
		t.Fatal("the sets are not what the test needs")
	}
	text := needText(3, 30)
	tests := []struct {
		name string
		want float64
		run  func()
	}{
		{name: "contains", want: 0, run: func() { executed.Contains(need) }},
		{name: "does not contain", want: 0, run: func() { executed.Contains(missing) }},
		{name: "union that adds nothing", want: 0, run: func() { executed.Union(need) }},
		{name: "union with more", want: 0, run: func() { need.Union(executed) }},
		{name: "intersection that removes nothing", want: 0, run: func() { need.Intersect(executed) }},
		{name: "collapse of few", want: 0, run: func() { need.Collapse(1) }},
		{name: "parse of one write", want: 1, run: func() { must(t)(ParseMySQL(text)) }},
	}
	for _, tt := range tests {
		if got := testing.AllocsPerRun(100, tt.run); got != tt.want {
			t.Errorf("%s: got %v allocations, want %v", tt.name, got, tt.want)
		}
	}
}

func BenchmarkContains(b *testing.B) {
	for _, size := range []struct{ uuids, intervals int }{{1, 1}, {3, 1}, {3, 30}, {5, 100}, {20, 1000}} {
		b.Run(fmt.Sprintf("uuids=%d/intervals=%d", size.uuids, size.intervals), func(b *testing.B) {
			executed := mustMySQL(b, executedText(size.uuids, size.intervals))
			need := mustMySQL(b, needText(size.uuids, size.intervals))
			b.ReportAllocs()
			for b.Loop() {
				if !executed.Contains(need) {
					b.Fatal("not contained")
				}
			}
		})
	}
}

func BenchmarkContainsMariaDB(b *testing.B) {
	position, need := mustMariaDB(b, "0-1-1000,1-2-500,2-3-7"), mustMariaDB(b, "1-2-499")
	b.ReportAllocs()
	for b.Loop() {
		if !position.Contains(need) {
			b.Fatal("not contained")
		}
	}
}

func BenchmarkParse(b *testing.B) {
	for name, text := range map[string]string{"one": needText(3, 30), "executed": executedText(3, 30)} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := ParseMySQL(text); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkUnion(b *testing.B) {
	first, second := mustMySQL(b, "a:1-5"), mustMySQL(b, "a:9")
	b.ReportAllocs()
	for b.Loop() {
		first.Union(second)
	}
}
