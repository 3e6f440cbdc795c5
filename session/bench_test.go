package session

import (
	"fmt"
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stickyproxy/stickyproxy/gtid"
)

// benchKeys returns n keys of one account.
func benchKeys(n int) []Key {
	keys := make([]Key, n)
	for i := range keys {
		keys[i] = Key{Account: "app", Name: fmt.Sprintf("user-%d", i)}
	}
	return keys
}

func BenchmarkNeed(b *testing.B) {
	for _, sessions := range []int{1, 1000, 1_000_000} {
		b.Run(fmt.Sprintf("sessions=%d", sessions), func(b *testing.B) {
			s := mustStore(b, Options{Window: time.Minute})
			keys := benchKeys(sessions)
			for _, k := range keys {
				s.Pin(k, time.Time{})
			}
			b.ReportAllocs()
			i := 0
			for b.Loop() {
				s.Need(keys[i])
				if i += 7919; i >= len(keys) {
					i %= len(keys)
				}
			}
		})
	}
}

func BenchmarkNeedUnknown(b *testing.B) {
	s := mustStore(b, Options{Window: time.Minute})
	k := Key{Account: "app", Name: "nobody"}
	b.ReportAllocs()
	for b.Loop() {
		s.Need(k)
	}
}

func BenchmarkBeginEnd(b *testing.B) {
	s := mustStore(b, Options{Window: time.Minute})
	keys := benchKeys(1000)
	set := mustMySQL(b, uuidA+":7")
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		k := keys[i%len(keys)]
		s.Begin(k)
		s.End(k, Write{GTID: set})
		i++
	}
}

// BenchmarkBeginEndParsed is a write as it comes: its GTID arrives as text and is a
// new one.
func BenchmarkBeginEndParsed(b *testing.B) {
	s := mustStore(b, Options{Window: time.Minute})
	keys := benchKeys(1000)
	b.ReportAllocs()
	i := 0
	text := []byte(uuidA + ":")
	for b.Loop() {
		k := keys[i%len(keys)]
		i++
		s.Begin(k)
		set, err := gtid.ParseMySQL(string(fmt.Appendf(text[:len(uuidA)+1], "%d", i)))
		if err != nil {
			b.Fatal(err)
		}
		s.End(k, Write{GTID: set})
	}
}

// BenchmarkEvict writes under a new name each time, as an attacker would.
func BenchmarkEvict(b *testing.B) {
	s := mustStore(b, Options{Window: time.Minute, Capacity: 10_000})
	keys := benchKeys(1_000_000)
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		s.Pin(keys[i], time.Time{})
		if i++; i == len(keys) {
			i = 0
		}
	}
}

func BenchmarkParallel(b *testing.B) {
	s := mustStore(b, Options{Window: time.Minute})
	keys := benchKeys(100_000)
	for _, k := range keys {
		s.Pin(k, time.Time{})
	}
	var next atomic.Int64
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		i := int(next.Add(10_007)) % len(keys)
		for pb.Next() {
			s.Need(keys[i])
			if i++; i == len(keys) {
				i = 0
			}
		}
	})
}

// BenchmarkMemory reports the bytes of live heap a session takes, in a store of a
// million, with and without a GTID of its own. Names are made and dropped.
func BenchmarkMemory(b *testing.B) {
	const sessions = 1_000_000
	run := func(name string, write func(s *Store, k Key, i int)) {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				before := liveHeap()
				s := mustStore(b, Options{Window: time.Minute, Capacity: sessions + sessions/10})
				for i := range sessions {
					write(s, Key{Account: "app", Name: fmt.Sprintf("user-%d", i)}, i)
				}
				after := liveHeap()
				b.ReportMetric(float64(after-before)/sessions, "B/session")
				b.ReportMetric(float64(s.Len()), "sessions")
			}
		})
	}
	run("pin", func(s *Store, k Key, _ int) { s.Pin(k, time.Time{}) })
	run("gtid", func(s *Store, k Key, i int) {
		for n := range 3 {
			s.Begin(k)
			set, err := gtid.ParseMySQL(fmt.Sprintf("%s:%d", uuidA, 1+i+n*sessions))
			if err != nil {
				b.Fatal(err)
			}
			s.End(k, Write{GTID: set})
		}
	})
}

func liveHeap() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}
