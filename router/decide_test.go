package router

import (
	"fmt"
	"testing"
	"time"

	"github.com/stickyproxy/stickyproxy/gtid"
)

// now is the present of every row; at(-5s) is five seconds before.
var now = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

func at(d time.Duration) time.Time { return now.Add(d) }

func mustSet(t testing.TB, s string) gtid.Set {
	t.Helper()
	set, err := gtid.ParseMySQL(s)
	if err != nil {
		t.Fatal(err)
	}
	return set
}

func mustMariaDB(t testing.TB, s string) gtid.Set {
	t.Helper()
	set, err := gtid.ParseMariaDB(s)
	if err != nil {
		t.Fatal(err)
	}
	return set
}

const uuid = "3e11fa47-71ca-11e1-9e33-c80aa9429562"

// healthy is a replica that was fresh one second ago and has executed 1-10.
func healthy(t testing.TB, incarnation string) Replica {
	t.Helper()
	id := uint64(0)
	if incarnation != "" {
		id = uint64(incarnation[0]-'a') + 1
	}
	return Replica{
		Incarnation: incarnation, ID: id, Up: true, ReadOnly: true, Replicating: true,
		Executed: mustSet(t, uuid+":1-10"), FreshAsOf: at(-time.Second), Weight: 1,
	}
}

// aRead is the query of a session that has seen nothing yet.
func aRead() Query {
	return Query{
		Statement: Statement{Kind: Read, Reason: ReasonRead},
		Window:    15 * time.Second, MaxLag: 30 * time.Second, Now: now,
	}
}

// Ensure one replica serves exactly the reads that it may.
func TestDecideOneReplica(t *testing.T) {
	has, lacks := mustSet(t, uuid+":1-10"), mustSet(t, uuid+":11")
	hole, primary := mustSet(t, uuid+":8-15"), mustSet(t, uuid+":1-10:15-20")
	primaryHas := func(set gtid.Set, asked time.Duration) func(*View) {
		return func(v *View) {
			v.Replicas[0].Executed = mustSet(t, uuid+":1-10:15")
			v.PrimaryHas, v.PrimaryAsked = set, at(asked)
		}
	}
	earlier := mustMariaDB(t, "0-1-9")
	mariadb := func(replica, primary string) func(*View) {
		return func(v *View) {
			v.Replicas[0].Executed, v.PrimaryHas, v.PrimaryAsked = mustMariaDB(t, replica), mustMariaDB(t, primary), now
		}
	}
	rows := []struct {
		name  string
		query func(*Query)
		fleet func(*View)
		want  Reason // ReasonRead: the replica
	}{
		{name: "nothing to see", want: ReasonRead},
		{name: "no read", query: func(q *Query) { q.Statement = Statement{Reason: ReasonForUpdate} }, want: ReasonForUpdate},
		{name: "zero statement", query: func(q *Query) { q.Statement = Statement{} }, want: ReasonNotUnderstood},
		{name: "previous", query: func(q *Query) { q.Statement = Statement{Kind: Previous, Reason: ReasonPrevious} }, want: ReasonPrevious},
		{name: "held", query: func(q *Query) { q.Held = ReasonTemporaryTable }, want: ReasonTemporaryTable},
		{name: "statement before held", query: func(q *Query) { q.Held = ReasonXA; q.Statement = Statement{Reason: ReasonInto} }, want: ReasonInto},
		{name: "mode primary", query: func(q *Query) { q.Mode = PrimaryOnly }, want: ReasonPrimaryMode},
		{name: "unknown mode", query: func(q *Query) { q.Mode = 77 }, want: ReasonPrimaryMode},
		{name: "not monitored", fleet: func(v *View) { v.Monitored = false }, want: ReasonNoMonitor},
		{name: "writing", query: func(q *Query) { q.Need.Writing = true }, want: ReasonWriteInFlight},
		{name: "writing, eventual", query: func(q *Query) { q.Need.Writing, q.Mode = true, Eventual }, want: ReasonWriteInFlight},
		{name: "primary down", fleet: func(v *View) { v.PrimaryUp = false }, want: ReasonRead},

		{name: "no replicas", fleet: func(v *View) { v.Replicas = nil }, want: ReasonNoReplica},
		{name: "down", fleet: func(v *View) { v.Replicas[0].Up = false }, want: ReasonNoReplica},
		{name: "writable", fleet: func(v *View) { v.Replicas[0].ReadOnly = false }, want: ReasonNoReplica},
		{name: "not replicating", fleet: func(v *View) { v.Replicas[0].Replicating = false }, want: ReasonNoReplica},
		{name: "freshness unknown", fleet: func(v *View) { v.Replicas[0].FreshAsOf = time.Time{} }, want: ReasonReplicaLate},
		{name: "lag at the limit", fleet: func(v *View) { v.Replicas[0].FreshAsOf = at(-30 * time.Second) }, want: ReasonRead},
		{name: "lag above the limit", fleet: func(v *View) { v.Replicas[0].FreshAsOf = at(-30*time.Second - 1) }, want: ReasonReplicaLate},
		{name: "fresh as of the future", fleet: func(v *View) { v.Replicas[0].FreshAsOf = at(time.Second) }, want: ReasonRead},
		{name: "late, eventual", query: func(q *Query) { q.Mode = Eventual }, fleet: func(v *View) { v.Replicas[0].FreshAsOf = at(-time.Minute) }, want: ReasonReplicaLate},
		{name: "tried", query: func(q *Query) { q.Tried = 1 }, want: ReasonReplicaFailed},

		{name: "auto: has the write", query: func(q *Query) { q.Need = Need{GTID: has, WroteAt: at(-1)} }, want: ReasonRead},
		{name: "auto: lacks the write", query: func(q *Query) { q.Need = Need{GTID: lacks, WroteAt: at(-time.Hour)} }, want: ReasonReplicaBehind},
		{name: "auto: unproven in the window", query: func(q *Query) { q.Need.UnprovenAt = at(-15*time.Second + 1) }, want: ReasonWroteRecently},
		{name: "auto: unproven at the window's end", query: func(q *Query) { q.Need.UnprovenAt = at(-15 * time.Second) }, want: ReasonReadUnproven},
		{name: "auto: window over, replica older", query: func(q *Query) { q.Need.UnprovenAt = at(-15 * time.Second) }, fleet: func(v *View) { v.Replicas[0].FreshAsOf = at(-16 * time.Second) }, want: ReasonReplicaBehind},
		{name: "auto: window over, replica as old", query: func(q *Query) { q.Need.UnprovenAt = at(-15 * time.Second) }, fleet: func(v *View) { v.Replicas[0].FreshAsOf = at(-15 * time.Second) }, want: ReasonReplicaBehind},
		{name: "auto: unproven and lacking", query: func(q *Query) { q.Need = Need{GTID: lacks, UnprovenAt: at(-time.Second)} }, want: ReasonWroteRecently},
		{name: "auto: unproven over but lacking", query: func(q *Query) { q.Need = Need{GTID: lacks, UnprovenAt: at(-20 * time.Second)} }, want: ReasonReplicaBehind},

		{name: "window: wrote in it", query: func(q *Query) { q.Mode = Window; q.Need = Need{GTID: has, WroteAt: at(-14 * time.Second)} }, want: ReasonWroteRecently},
		{name: "window: passed", query: func(q *Query) { q.Mode = Window; q.Need = Need{GTID: lacks, WroteAt: at(-15 * time.Second)} }, want: ReasonRead},
		{name: "window: passed, replica older", query: func(q *Query) { q.Mode = Window; q.Need.WroteAt = at(-15 * time.Second) }, fleet: func(v *View) { v.Replicas[0].FreshAsOf = at(-20 * time.Second) }, want: ReasonReplicaBehind},
		{name: "window: never wrote", query: func(q *Query) { q.Mode = Window }, want: ReasonRead},
		{name: "window: none", query: func(q *Query) { q.Mode, q.Window = Window, 0; q.Need.WroteAt = at(-2 * time.Second) }, want: ReasonRead},
		{name: "window: wrote in the future", query: func(q *Query) { q.Mode = Window; q.Need.WroteAt = at(time.Second) }, want: ReasonWroteRecently},

		{name: "gtid: has the write", query: func(q *Query) { q.Mode = GTID; q.Need = Need{GTID: has, WroteAt: at(-1)} }, want: ReasonRead},
		{name: "gtid: lacks the write", query: func(q *Query) { q.Mode = GTID; q.Need.GTID = lacks }, want: ReasonReplicaBehind},
		{name: "gtid: unproven long ago", query: func(q *Query) { q.Mode = GTID; q.Need = Need{GTID: has, UnprovenAt: at(-time.Hour)} }, want: ReasonUnproven},
		{name: "gtid: unproven, in the window", query: func(q *Query) { q.Mode = GTID; q.Need = Need{GTID: has, UnprovenAt: at(-14 * time.Second)} }, fleet: primaryHas(primary, 0), want: ReasonWroteRecently},
		{name: "gtid: unproven, and as of then", query: func(q *Query) { q.Mode = GTID; q.Need = Need{GTID: has, UnprovenAt: at(-16 * time.Second)} }, fleet: primaryHas(primary, 0), want: ReasonReplicaBehind},
		{name: "gtid: unproven, and as of later", query: func(q *Query) { q.Mode = GTID; q.Need = Need{GTID: has, UnprovenAt: at(-16*time.Second - 1)} }, fleet: primaryHas(primary, 0), want: ReasonReadUnproven},

		{name: "eventual: just wrote", query: func(q *Query) { q.Mode = Eventual; q.Need = Need{GTID: lacks, WroteAt: at(-1), UnprovenAt: at(-1)} }, want: ReasonReadUnproven},

		{name: "never was, says the primary", query: func(q *Query) { q.Need = Need{GTID: hole, Since: at(-time.Second)} }, fleet: primaryHas(primary, -time.Millisecond), want: ReasonRead},
		{name: "never was, it said before", query: func(q *Query) { q.Need = Need{GTID: hole, Since: at(-time.Second)} }, fleet: primaryHas(primary, -time.Second), want: ReasonReplicaBehind},
		{name: "never was, it said too long ago", query: func(q *Query) { q.Need.GTID = hole }, fleet: primaryHas(primary, -time.Minute), want: ReasonReplicaBehind},
		{name: "the primary lacks it, too", query: func(q *Query) { q.Need.GTID = lacks }, fleet: primaryHas(has, 0), want: ReasonReplicaBehind},
		{name: "MariaDB: an earlier primary's", query: func(q *Query) { q.Need = Need{GTID: earlier, Since: at(-16 * time.Second)} }, fleet: mariadb("0-2-12", "0-1-9,0-2-12"), want: ReasonReadUnproven},
		{name: "MariaDB: an earlier primary's, recent", query: func(q *Query) { q.Need = Need{GTID: earlier, Since: at(-14 * time.Second)} }, fleet: mariadb("0-2-12", "0-1-9,0-2-12"), want: ReasonWroteRecently},
		{name: "MariaDB: an earlier primary's, gtid", query: func(q *Query) { q.Mode = GTID; q.Need = Need{GTID: earlier, Since: at(-16 * time.Second)} }, fleet: mariadb("0-2-12", "0-1-9,0-2-12"), want: ReasonUnproven},
		{name: "MariaDB: of the same, and lacking", query: func(q *Query) { q.Need = Need{GTID: earlier, Since: at(-16 * time.Second)} }, fleet: mariadb("0-1-8", "0-1-9"), want: ReasonReplicaBehind},

		{name: "read there", query: func(q *Query) { q.Need.ReadAt, q.Need.ReadBy = at(-1), 1 }, want: ReasonRead},
		{name: "read elsewhere before", query: func(q *Query) { q.Need.ReadAt, q.Need.ReadBy = at(-time.Second-1), 2 }, want: ReasonRead},
		{name: "read elsewhere since", query: func(q *Query) { q.Need.ReadAt, q.Need.ReadBy = at(-time.Second), 2 }, want: ReasonReadElsewhere},
		{name: "read by several", query: func(q *Query) { q.Need.ReadAt = at(-1) }, want: ReasonReadElsewhere},
		{name: "read by several, unknown replica", query: func(q *Query) { q.Need.ReadAt = at(-1) }, fleet: func(v *View) { v.Replicas[0].ID = 0 }, want: ReasonReadElsewhere},
		{name: "read elsewhere, eventual", query: func(q *Query) { q.Mode, q.Need.ReadAt = Eventual, at(-1) }, want: ReasonRead},
		{name: "read elsewhere, window", query: func(q *Query) { q.Mode, q.Need.ReadAt = Window, at(-1) }, want: ReasonReadElsewhere},

		{name: "as of earlier", query: func(q *Query) { q.Need.AsOf = at(-time.Second - 1) }, want: ReasonRead},
		{name: "as of now", query: func(q *Query) { q.Need.AsOf = at(-time.Second) }, want: ReasonReplicaBehind},
	}
	for _, r := range rows {
		t.Run(r.name, func(t *testing.T) {
			q, v := aRead(), View{Monitored: true, PrimaryUp: true, Replicas: []Replica{healthy(t, "a")}}
			if r.query != nil {
				r.query(&q)
			}
			if r.fleet != nil {
				r.fleet(&v)
			}
			want := Decision{Replica: -1, Reason: r.want}
			if r.want == ReasonRead || r.want == ReasonReadUnproven {
				want.Replica = 0
			}
			if got := Decide(&q, &v); got != want {
				t.Errorf("got %d %s, want %d %s", got.Replica, got.Reason, want.Replica, want.Reason)
			}
		})
	}
}

// Ensure the session's reads stay where the last one was, or go where all is that it
// could have seen.
func TestDecideReads(t *testing.T) {
	read := at(-time.Second / 2)
	shows := func(v *View, set string, at time.Time) {
		v.Replicas[1].Shown, v.Replicas[1].ShownAt = mustSet(t, set), at
	}
	rows := []struct {
		name   string
		prefer string
		fleet  func(*View)
		want   int
	}{
		{name: "stays", want: 1},
		{name: "stays in spite of the connection", prefer: "a", want: 1},
		{name: "the connection's has it all", prefer: "a", fleet: func(v *View) { v.Replicas[0].FreshAsOf = now }, want: 0},
		{name: "down", fleet: func(v *View) { v.Replicas[1].Up = false }, want: -1},
		{name: "down, and another is fresh", fleet: func(v *View) { v.Replicas[1].Up, v.Replicas[2].FreshAsOf = false, now }, want: 2},
		{name: "late, and another has what it had since", fleet: func(v *View) {
			v.Replicas[1].Replicating = false
			shows(v, uuid+":1-10", now)
			v.Replicas[0].Up = false
		}, want: 2},
		{name: "late, and another has what it had before", fleet: func(v *View) { v.Replicas[1].Replicating = false; shows(v, uuid+":1-10", read) }, want: -1},
		{name: "late, and nobody has what it had since", fleet: func(v *View) { v.Replicas[1].Replicating = false; shows(v, uuid+":1-11", now) }, want: -1},
	}
	for _, r := range rows {
		t.Run(r.name, func(t *testing.T) {
			v := View{Monitored: true, Replicas: []Replica{healthy(t, "a"), healthy(t, "b"), healthy(t, "c")}}
			if r.fleet != nil {
				r.fleet(&v)
			}
			for i := range uint64(20) {
				q := aRead()
				q.Rand, q.Prefer, q.Need.ReadAt, q.Need.ReadBy = i, r.prefer, read, 2
				if got := Decide(&q, &v); got.Replica != r.want {
					t.Fatalf("got %d %s, want %d", got.Replica, got.Reason, r.want)
				}
			}
		})
	}
}

func TestNeedLost(t *testing.T) {
	mysql := mustSet(t, uuid+":5-9")
	rows := []struct {
		name      string
		need, has gtid.Set
		asked     time.Duration
		left      gtid.Set
		lost      bool
	}{
		{name: "there", need: mysql, has: mustSet(t, uuid+":1-10"), left: mysql},
		{name: "a gap", need: mysql, has: mustSet(t, uuid+":1-6:8-10"), left: mysql},
		{name: "the last", need: mysql, has: mustSet(t, uuid+":1-8"), left: mustSet(t, uuid+":5-8"), lost: true},
		{name: "all", need: mysql, has: mustSet(t, uuid+":1-4"), lost: true},
		{name: "asked before", need: mysql, has: mustSet(t, uuid+":1-4"), asked: -2 * time.Second, left: mysql},
		{name: "not known", need: mysql, left: mysql},
		{name: "MariaDB", need: mustMariaDB(t, "0-1-9"), has: mustMariaDB(t, "0-1-8"), left: mustMariaDB(t, "0-1-8"), lost: true},
		{name: "MariaDB does not tell", need: mustMariaDB(t, "0-1-9"), has: mustMariaDB(t, "0-2-12"), left: mustMariaDB(t, "0-1-9")},
	}
	for _, r := range rows {
		n, v := Need{GTID: r.need, Since: at(-time.Second)}, View{PrimaryHas: r.has, PrimaryAsked: at(r.asked)}
		if left, lost := n.Lost(&v, now, time.Minute); lost != r.lost || !left.Equal(r.left) {
			t.Errorf("%s: got %q lost %v, want %q lost %v", r.name, left, lost, r.left, r.lost)
		}
	}
	if _, lost := (&Need{GTID: mysql}).Lost(&View{PrimaryHas: mustSet(t, uuid+":1"), PrimaryAsked: at(-time.Hour)}, now, time.Minute); lost {
		t.Error("lost, says a primary that is not heard of any more")
	}
}

// Ensure the replica used last is used again while it may be, wherever it
// stands in the view, and that a replica is not tried twice.
func TestDecidePreferAndTried(t *testing.T) {
	rows := []struct {
		name     string
		prefer   string
		preferAt int
		tried    uint64
		down     []int
		want     map[int]bool
	}{
		{name: "prefer", prefer: "c", want: map[int]bool{2: true}},
		{name: "prefer with its place", prefer: "c", preferAt: 2, want: map[int]bool{2: true}},
		{name: "prefer with a wrong place", prefer: "c", preferAt: 1, want: map[int]bool{2: true}},
		{name: "prefer with a place outside", prefer: "c", preferAt: 99, want: map[int]bool{2: true}},
		{name: "prefer with a negative place", prefer: "c", preferAt: -1, want: map[int]bool{2: true}},
		{name: "preferred is gone", prefer: "z", want: map[int]bool{0: true, 1: true, 2: true}},
		{name: "preferred is down", prefer: "c", down: []int{2}, want: map[int]bool{0: true, 1: true}},
		{name: "preferred was tried", prefer: "c", tried: 1 << 2, want: map[int]bool{0: true, 1: true}},
		{name: "two were tried", tried: 1<<0 | 1<<1, want: map[int]bool{2: true}},
		{name: "all were tried", tried: 7, want: map[int]bool{-1: true}},
		{name: "no preference", want: map[int]bool{0: true, 1: true, 2: true}},
	}
	for _, r := range rows {
		t.Run(r.name, func(t *testing.T) {
			v := View{Monitored: true, Replicas: []Replica{healthy(t, "a"), healthy(t, "b"), healthy(t, "c")}}
			for _, i := range r.down {
				v.Replicas[i].Up = false
			}
			got := map[int]bool{}
			for i := range uint64(200) {
				q := aRead()
				q.Prefer, q.PreferAt, q.Tried, q.Rand = r.prefer, r.preferAt, r.tried, i
				got[Decide(&q, &v).Replica] = true
			}
			if fmt.Sprint(got) != fmt.Sprint(r.want) {
				t.Errorf("got %v, want %v", got, r.want)
			}
		})
	}
}

// Ensure an unknown incarnation is nobody's preference.
func TestDecideUnknownIncarnation(t *testing.T) {
	v := View{Monitored: true, Replicas: []Replica{healthy(t, ""), healthy(t, "")}}
	got := map[int]bool{}
	for i := range uint64(100) {
		q := aRead()
		q.Rand = i
		got[Decide(&q, &v).Replica] = true
	}
	if !got[0] || !got[1] {
		t.Errorf("got replicas %v, want both", got)
	}
}

// Ensure no replica from the 65th on is tried twice.
func TestDecideManyTried(t *testing.T) {
	v := View{Monitored: true}
	for i := range 70 {
		v.Replicas = append(v.Replicas, healthy(t, fmt.Sprint(i)))
	}
	for i := range uint64(1000) {
		q := aRead()
		q.Rand, q.Tried = i, 1<<3
		if got := Decide(&q, &v).Replica; got < 0 || got == 3 || got >= 64 {
			t.Fatalf("got replica %d with replica 3 tried", got)
		}
	}
	q := aRead()
	q.Tried = ^uint64(0)
	if got, want := Decide(&q, &v), (Decision{Replica: -1, Reason: ReasonReplicaFailed}); got != want {
		t.Errorf("got %v, want %v", got, want)
	}
}

// Ensure reads are shared by weight, and that a weight below 1 counts as 1.
func TestDecideWeights(t *testing.T) {
	v := View{Monitored: true}
	weights := []int{1, 3, 0, 5}
	for i, w := range weights {
		r := healthy(t, fmt.Sprint(i))
		r.Weight = w
		v.Replicas = append(v.Replicas, r)
	}
	const n = 100_000
	count := make([]int, len(weights))
	for i := range uint64(n) {
		q := aRead()
		q.Rand = mix(i)
		count[Decide(&q, &v).Replica]++
	}
	for i, want := range []float64{0.1, 0.3, 0.1, 0.5} {
		if got := float64(count[i]) / n; got < want-0.01 || got > want+0.01 {
			t.Errorf("replica %d: got share %.3f, want %.1f", i, got, want)
		}
	}
}

// Ensure a choice among many is fair too, in proportion to the weights of those that are eligible.
func TestDecideWeightsOfMany(t *testing.T) {
	v := View{Monitored: true, Heaviest: 4}
	total := 0
	for i := range 40 {
		r := healthy(t, fmt.Sprintf("%c%d", 'a'+i%26, i))
		r.Weight = []int{0, 1, 2, 4}[i%4]
		if r.Up = i%3 > 0; r.Up {
			total += max(r.Weight, 1)
		}
		v.Replicas = append(v.Replicas, r)
	}
	const n = 400_000
	count := make([]int, len(v.Replicas))
	for i := range uint64(n) {
		q := aRead()
		q.Rand = mix(i)
		count[Decide(&q, &v).Replica]++
	}
	for i := range v.Replicas {
		want := 0.0
		if r := &v.Replicas[i]; r.Up {
			want = float64(max(r.Weight, 1)) / float64(total)
		}
		if got := float64(count[i]) / n; got < want*0.93 || got > want*1.07 {
			t.Errorf("replica %d: got share %.4f, want %.4f", i, got, want)
		}
	}
}

// Ensure the reason is that of the replica which came nearest.
func TestDecideMostTelling(t *testing.T) {
	down, late, behind := healthy(t, "a"), healthy(t, "b"), healthy(t, "c")
	down.Up = false
	late.FreshAsOf = at(-time.Hour)
	q := aRead()
	q.Need.GTID = mustSet(t, uuid+":11")
	rows := []struct {
		name  string
		fleet []Replica
		want  Reason
	}{
		{"down", []Replica{down}, ReasonNoReplica},
		{"down and late", []Replica{late, down}, ReasonReplicaLate},
		{"down, late and behind", []Replica{down, behind, late}, ReasonReplicaBehind},
	}
	for _, r := range rows {
		if got := Decide(&q, &View{Monitored: true, Replicas: r.fleet}); got.Replica != -1 || got.Reason != r.want {
			t.Errorf("%s: got %d %s, want -1 %s", r.name, got.Replica, got.Reason, r.want)
		}
	}
}

// Ensure Decide allocates nothing.
func TestDecideAllocatesNothing(t *testing.T) {
	v := manyReplicas(t, 100)
	q := aRead()
	q.Need = Need{GTID: mustSet(t, uuid+":1-5"), WroteAt: at(-1)}
	if n := testing.AllocsPerRun(100, func() { q.Rand++; Decide(&q, v) }); n != 0 {
		t.Errorf("got %.1f allocations, want 0", n)
	}
}

func manyReplicas(t testing.TB, n int) *View {
	t.Helper()
	v := &View{Monitored: true, PrimaryUp: true, Heaviest: 1}
	for i := range n {
		v.Replicas = append(v.Replicas, healthy(t, fmt.Sprintf("3e11fa47-71ca-11e1-9e33-c80aa94%05d", i)))
		v.Replicas[i].ID = uint64(i) + 1
	}
	return v
}

// BenchmarkDecide is the usual case, a session that keeps its replica, and the
// first read of a session.
func BenchmarkDecide(b *testing.B) {
	for _, n := range []int{1, 10, 100} {
		v := manyReplicas(b, n)
		q := aRead()
		q.Need = Need{GTID: mustSet(b, uuid+":7"), Since: at(-1), WroteAt: at(-1)}
		b.Run(fmt.Sprintf("first/replicas=%d", n), func(b *testing.B) {
			for b.Loop() {
				q.Rand++
				Decide(&q, v)
			}
		})
		q.Prefer, q.PreferAt = v.Replicas[n-1].Incarnation, n-1
		q.Need.ReadAt, q.Need.ReadBy = now, v.Replicas[n-1].ID
		b.Run(fmt.Sprintf("kept/replicas=%d", n), func(b *testing.B) {
			for b.Loop() {
				Decide(&q, v)
			}
		})
		q.PreferAt = 0
		b.Run(fmt.Sprintf("searched/replicas=%d", n), func(b *testing.B) {
			for b.Loop() {
				Decide(&q, v)
			}
		})
	}
}
