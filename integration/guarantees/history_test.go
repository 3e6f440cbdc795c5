package guarantees

import (
	"math/rand/v2"
	"slices"
	"testing"
)

// court is a history whose violations are collected.
type court struct {
	*History
	found []Violation
}

func newCourt(cells int) *court {
	c := &court{}
	c.History = NewHistory(cells, func(v Violation) { c.found = append(c.found, v) })
	return c
}

// wants fails the test unless exactly these guarantees were broken since the last call.
func (c *court) wants(t *testing.T, want ...Guarantee) {
	t.Helper()
	var got []Guarantee
	for _, v := range c.found {
		got = append(got, v.Guarantee)
	}
	c.found = nil
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("violations: got %v, want %v", got, want)
	}
}

// wrote makes a write that is acknowledged with a version.
func wrote(s *Session, cell int, version uint64) *Write {
	w := s.BeginWrite(cell)
	w.Acknowledged(version)
	return w
}

func TestReadYourWrites(t *testing.T) {
	c := newCourt(2)
	a, b := c.NewSession("a"), c.NewSession("b")
	early := a.BeginRead()
	wrote(a, 0, 1)
	early.Got([]Row{{Cell: 0}}) // it was sent before
	b.BeginRead().Got([]Row{{Cell: 0}})
	c.wants(t)
	if v := a.BeginRead().Got([]Row{{Cell: 0}}); v.Checked != 1 || !v.Behind {
		t.Errorf("verdict %+v", v)
	}
	c.wants(t, ReadYourWrites)
	w := wrote(b, 0, 2)
	a.BeginRead().Got([]Row{{0, 2, w.Number}}) // newer than its own
	c.wants(t)
}

func TestMonotonicReads(t *testing.T) {
	c := newCourt(1)
	a, b := c.NewSession("a"), c.NewSession("b")
	one, two := wrote(a, 0, 1), wrote(a, 0, 2)
	b.BeginRead().Got([]Row{{0, 2, two.Number}})
	r := b.BeginRead()
	if v := r.Got([]Row{{0, 1, one.Number}}); !v.Behind {
		t.Error("not behind")
	}
	// The write that was seen was based on the first one; the one that is shown is not newer than that.
	c.wants(t, MonotonicReads)
	b.BeginRead().Got([]Row{{0, 0, 0}})
	c.wants(t, MonotonicReads, MonotonicWrites)
}

// Whoever sees a session's second write sees its first one, in the same answer and afterwards.
func TestMonotonicWrites(t *testing.T) {
	c := newCourt(3)
	a := c.NewSession("a")
	first, second := wrote(a, 0, 1), wrote(a, 1, 1)
	c.NewSession("b").BeginRead().Got([]Row{{0, 1, first.Number}, {1, 0, 0}})
	c.NewSession("c").BeginRead().Got([]Row{{0, 1, first.Number}, {1, 1, second.Number}})
	c.wants(t)
	c.NewSession("d").BeginRead().Got([]Row{{0, 0, 0}, {1, 1, second.Number}})
	c.wants(t, MonotonicWrites)
	e := c.NewSession("e")
	e.BeginRead().Got([]Row{{1, 1, second.Number}})
	c.wants(t)
	e.BeginRead().Got([]Row{{0, 0, 0}})
	c.wants(t, MonotonicWrites)

	wrote(a, 0, 1) // the cell is said to stand at 1 again
	c.wants(t, Intact, MonotonicWrites)
}

// Whoever sees an answer sees the question, whoever wrote it.
func TestWritesFollowReads(t *testing.T) {
	c := newCourt(3)
	asks, answers, adds := c.NewSession("asks"), c.NewSession("answers"), c.NewSession("adds")
	question := wrote(asks, 0, 1)
	answers.BeginRead().Got([]Row{{0, 1, question.Number}})
	answer := wrote(answers, 1, 1)
	adds.BeginRead().Got([]Row{{1, 1, answer.Number}})
	more := wrote(adds, 2, 1)
	c.wants(t)
	c.NewSession("x").BeginRead().Got([]Row{{0, 0, 0}, {1, 1, answer.Number}})
	c.wants(t, WritesFollowReads)
	c.NewSession("y").BeginRead().Got([]Row{{0, 0, 0}, {2, 1, more.Number}}) // by two steps
	c.wants(t, WritesFollowReads)
	answers.BeginRead().Got([]Row{{0, 1, question.Number}, {1, 1, answer.Number}})
	wrote(answers, 0, 1)
	c.wants(t, Intact, WritesFollowReads)
}

// A write that may have happened obliges nobody until it is seen; then it does.
func TestUnknownOutcome(t *testing.T) {
	c := newCourt(2)
	a := c.NewSession("a")
	lost := a.BeginWrite(0)
	a.BeginRead().Got([]Row{{0, 0, 0}})
	c.wants(t)
	a.BeginRead().Got([]Row{{0, 1, lost.Number}})
	c.wants(t)
	a.BeginRead().Got([]Row{{0, 0, 0}})
	c.wants(t, MonotonicReads)
	next := wrote(a, 1, 1)
	c.NewSession("b").BeginRead().Got([]Row{{0, 0, 0}, {1, 1, next.Number}})
	c.wants(t, WritesFollowReads)
}

func TestIntact(t *testing.T) {
	c := newCourt(2)
	a, b := c.NewSession("a"), c.NewSession("b")
	rolledBack := a.BeginWrite(0)
	rolledBack.Makes(1)
	rolledBack.Failed()
	made := wrote(a, 0, 1)
	for _, row := range []Row{
		{0, 1, rolledBack.Number}, // dirty, and the other one made this version
		{0, 5, 0}, {1, 1, made.Number}, {0, 2, made.Number}, {0, 1, 12345},
	} {
		newSession := c.NewSession("reader")
		newSession.BeginRead().Got([]Row{row})
		if len(c.found) == 0 || c.found[0].Guarantee != Intact {
			t.Errorf("%+v: got %v", row, c.found)
		}
		c.found = nil
	}
	wrote(b, 1, 1)
	wrote(c.NewSession("d"), 1, 1) // two servers took writes
	c.wants(t, Intact)
}

// In a transaction the second write follows the first.
func TestTransaction(t *testing.T) {
	c := newCourt(2)
	a := c.NewSession("a")
	one := a.BeginWrite(0)
	one.Makes(1)
	two := a.BeginWrite(1, one)
	two.Makes(1)
	one.Acknowledged(1)
	two.Acknowledged(1)
	b := c.NewSession("b")
	r := b.BeginRead()
	r.Got([]Row{{0, 0, 0}})
	c.wants(t)
	r.Got([]Row{{1, 1, two.Number}}) // a later statement may see more
	c.wants(t)
	r.Got([]Row{{0, 0, 0}})
	c.wants(t, MonotonicWrites)
}

// A database of one copy breaks nothing, and one with a copy that falls back breaks something, whatever happens in which
// order.
func TestRandomHistories(t *testing.T) {
	for seed := range uint64(200) {
		rng := rand.New(rand.NewPCG(seed, 1))
		const cells = 4
		c := newCourt(cells)
		sessions := []*Session{c.NewSession("a"), c.NewSession("b"), c.NewSession("c")}
		state := make([]Row, cells)
		old := make([]Row, cells)
		for i := range state {
			state[i].Cell, old[i].Cell = i, i
		}
		lost := []func(){}
		for range 300 {
			s, cell := sessions[rng.IntN(len(sessions))], rng.IntN(cells)
			switch rng.IntN(4) {
			case 0:
				w := s.BeginWrite(cell)
				apply := func() { state[cell] = Row{cell, state[cell].Version + 1, w.Number} }
				switch rng.IntN(4) {
				case 0:
					w.Failed()
				case 1:
					lost = append(lost, apply) // it happens later, or never
				default:
					apply()
					w.Acknowledged(state[cell].Version)
				}
			case 1:
				if len(lost) > 0 {
					lost[0]()
					lost = lost[1:]
				}
			default:
				s.BeginRead().Got(slices.Clone(state[:1+rng.IntN(cells)]))
			}
		}
		if len(c.found) > 0 {
			t.Fatalf("seed %d, one copy: %+v", seed, c.found[0])
		}
		s := sessions[0]
		s.BeginRead().Got(slices.Clone(state))
		c.found = nil
		s.BeginRead().Got(old)
		if len(c.found) == 0 {
			t.Fatalf("seed %d, an old copy: nothing found", seed)
		}
	}
}
