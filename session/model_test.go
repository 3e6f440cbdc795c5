package session

import (
	"flag"
	"fmt"
	"hash/fnv"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stickyproxy/stickyproxy/gtid"
)

// -seed repeats a run that failed: it prints its seed.
var seedFlag = flag.Uint64("seed", 0, "seed of the first random run of the model tests; 0: a random one")

func firstSeed() uint64 {
	if *seedFlag != 0 {
		return *seedFlag
	}
	return rand.Uint64()
}

// naive is a store that forgets nothing: the truth that a Store must not go below.
type naive map[Key]Need

// weaker says what of want is missing in got, or "". Times that have expired may be
// missing.
func weaker(got, want Need, now time.Time, window time.Duration) string {
	expired := func(t time.Time) bool { return t.IsZero() || now.Sub(t) > window }
	switch {
	case !got.GTID.Contains(want.GTID):
		return fmt.Sprintf("GTIDs %q lack some of %q", got.GTID, want.GTID)
	case got.Writing < want.Writing:
		return fmt.Sprintf("%d writes in flight instead of %d", got.Writing, want.Writing)
	case !expired(want.WroteAt) && got.WroteAt.Before(want.WroteAt):
		return fmt.Sprintf("wrote at %v instead of %v", got.WroteAt, want.WroteAt)
	case !expired(want.AsOf) && got.AsOf.Before(want.AsOf):
		return fmt.Sprintf("as of %v instead of %v", got.AsOf, want.AsOf)
	case !expired(want.UnprovenAt) && got.UnprovenAt.Before(want.UnprovenAt):
		return fmt.Sprintf("unproven at %v instead of %v", got.UnprovenAt, want.UnprovenAt)
	}
	return ""
}

// modelTest runs random steps on a Store and on the truth.
type modelTest struct {
	*testing.T
	r       *rand.Rand
	options Options
	clock   *clock
	store   *Store
	truth   naive
	last    [2]int // GTIDs given out so far
	trace   []string
}

const modelWindow = time.Minute

func newModelTest(t *testing.T, seed uint64, capacity int) *modelTest {
	m := &modelTest{T: t, r: rand.New(rand.NewPCG(seed, uint64(capacity))), clock: newClock(), truth: naive{}}
	m.options = Options{Capacity: capacity, Window: modelWindow, Now: m.clock.Now}
	m.open()
	m.log("-seed=%d, capacity %d", seed, capacity)
	return m
}

// open makes a store whose hash is the same in each run, and the same for user-2 and
// user-12, so that some sessions share a record.
func (m *modelTest) open() {
	m.store = mustStore(m.T, m.options)
	m.store.hash = func(k Key) uint64 {
		h := fnv.New64a()
		h.Write([]byte(k.Account + "/" + strings.Replace(k.Name, "user-1", "user-", 1)))
		return h.Sum64()
	}
}

func (m *modelTest) key() Key {
	return Key{Account: fmt.Sprint("account-", m.r.IntN(3)), Name: fmt.Sprint("user-", m.r.IntN(20))}
}

// gtid returns the next GTID of one of two servers, sometimes a tagged one.
func (m *modelTest) gtid() gtid.Set {
	server := m.r.IntN(2)
	m.last[server]++
	tag := ""
	if m.r.IntN(8) == 0 {
		tag = "tag:"
	}
	return mustMySQL(m.T, fmt.Sprintf("%s:%s%d", []string{uuidA, uuidB}[server], tag, m.last[server]))
}

func (m *modelTest) log(format string, args ...any) {
	m.trace = append(m.trace, fmt.Sprintf(format, args...))
}

// step does one thing that may happen.
func (m *modelTest) step() {
	k := m.key()
	switch n := m.r.IntN(100); {
	case n < 30:
		m.log("begin %s %s", k.Account, k.Name)
		m.begin(k)
	case n < 65:
		m.endSome()
	case n < 70:
		at := m.clock.Now()
		m.log("pin %s %s", k.Account, k.Name)
		m.store.Pin(k, at)
		m.truth[k] = naiveMerge(m.truth[k], Need{WroteAt: at, UnprovenAt: at})
	case n < 97:
		d := time.Duration(m.r.Int64N(int64(modelWindow / 4)))
		m.log("%v pass", d)
		m.clock.Advance(d)
	case n < 99:
		d := modelWindow + time.Duration(m.r.IntN(2))
		m.log("%v pass", d)
		m.clock.Advance(d)
	default:
		m.restart()
	}
}

func (m *modelTest) begin(k Key) {
	m.store.Begin(k)
	n := m.truth[k]
	n.Writing++
	m.truth[k] = n
}

// endSome ends one write of a session that has one in flight.
func (m *modelTest) endSome() {
	keys := slices.SortedFunc(maps.Keys(m.truth), func(a, b Key) int {
		return strings.Compare(a.Account+a.Name, b.Account+b.Name)
	})
	for _, i := range m.r.Perm(len(keys)) {
		k := keys[i]
		n := m.truth[k]
		if n.Writing == 0 {
			continue
		}
		w := Write{At: m.clock.Now(), None: m.r.IntN(5) == 0, Unproven: m.r.IntN(5) == 0, Answered: m.r.IntN(3) == 0}
		if m.r.IntN(3) > 0 {
			w.GTID = m.gtid()
		}
		m.log("end %s %s GTID %s unproven %v answered %v none %v", k.Account, k.Name, w.GTID, w.Unproven, w.Answered, w.None)
		m.store.End(k, w)
		n.Writing--
		if !w.None {
			n = naiveMerge(n, Need{GTID: w.GTID, WroteAt: w.At})
			switch more := w.Unproven || w.GTID.IsEmpty(); {
			case more && w.Answered:
				n.AsOf = w.At
			case more:
				n.UnprovenAt = w.At
			}
		}
		m.truth[k] = n
		return
	}
}

// restart replaces the store by one that starts at what the primary has. Writes in
// flight are lost to the store, and may have happened.
func (m *modelTest) restart() {
	at := m.clock.Advance(time.Second)
	m.log("restart")
	m.options.Start = Need{WroteAt: at, UnprovenAt: at, AsOf: at}
	for k, n := range m.truth {
		m.options.Start.GTID = m.options.Start.GTID.Union(n.GTID)
		if n.Writing > 0 {
			n.Writing, n.WroteAt, n.UnprovenAt = 0, at, at
			m.truth[k] = n
		}
	}
	m.open()
}

func naiveMerge(a, b Need) Need {
	return Need{
		GTID:       a.GTID.Union(b.GTID),
		WroteAt:    later(a.WroteAt, b.WroteAt),
		UnprovenAt: later(a.UnprovenAt, b.UnprovenAt),
		AsOf:       later(a.AsOf, b.AsOf),
		Writing:    a.Writing + b.Writing,
	}
}

// check compares the sessions that are asked for with the truth, and the bounds.
func (m *modelTest) check(keys ...Key) {
	m.Helper()
	writing := 0 // sessions; records are fewer where sessions share one
	for _, n := range m.truth {
		writing += min(n.Writing, 1)
	}
	stats := m.store.Stats()
	if stats.Records > m.options.Capacity+writing || stats.Writing > writing || stats.Floors > 3*16 {
		m.fail("got %+v, with %d in flight and capacity %d", stats, writing, m.options.Capacity)
	}
	for _, k := range keys {
		got := m.store.Need(k)
		if missing := weaker(got, m.truth[k], m.clock.Now(), modelWindow); missing != "" {
			m.fail("%s %s: %s", k.Account, k.Name, missing)
		}
	}
}

func (m *modelTest) fail(format string, args ...any) {
	m.Helper()
	m.Log(m.trace[0])
	for _, line := range m.trace[max(1, len(m.trace)-40):] {
		m.Log(line)
	}
	m.Fatalf(format, args...)
}

// TestModel asserts the promise: whatever is evicted, expires or is restarted, the
// answer is never weaker than that of a store which forgets nothing.
func TestModel(t *testing.T) {
	for _, capacity := range []int{1, 3, 16, 40, 1000} {
		t.Run(fmt.Sprint("capacity=", capacity), func(t *testing.T) {
			seed := firstSeed()
			for i := range 20 {
				m := newModelTest(t, seed+uint64(i), capacity)
				for range 500 {
					m.step()
					m.check(m.key(), m.key(), m.key())
				}
				for k := range m.truth {
					m.check(k)
				}
			}
		})
	}
}

// TestModelExact asserts that a store that never has to evict is not stricter than
// needed either, but for the one interval a source.
func TestModelExact(t *testing.T) {
	seed := firstSeed()
	t.Logf("-seed=%d", seed)
	m := newModelTest(t, seed, 10_000)
	m.store.hash = newHash() // nobody shares a record
	for range 2000 {
		k := m.key()
		switch m.r.IntN(3) {
		case 0:
			m.begin(k)
		case 1:
			m.endSome()
		default:
			m.clock.Advance(time.Duration(1 + m.r.Int64N(int64(modelWindow))))
		}
		want := m.truth[k]
		want.GTID = want.GTID.Collapse(1)
		checkNeed(t, m.store.Need(k), want)
	}
}
