package policies

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"
)

// Workload is what the users do.
type Workload struct {
	Users      int           `json:"users"`
	Pool       int           `json:"pool"`              // connections that they share
	Rate       float64       `json:"actions_per_s"`     // of all users together
	Think      time.Duration `json:"think_ns"`          // mean time between two actions of a visit
	WriteShare float64       `json:"write_share"`       // of the actions
	OwnShare   float64       `json:"own_share"`         // of the reads that are of the user's own record
	Zipf       float64       `json:"zipf"`              // above 1: how much more often the most active users act and are read
	Visit      int           `json:"actions_per_visit"` // mean
	Seed       uint64        `json:"seed"`
}

// Usual is a workload for a start: a page that is looked at ten times as often as it is changed.
func Usual() Workload {
	return Workload{Users: 200, Pool: 16, Rate: 200, Think: 300 * time.Millisecond, WriteShare: 0.1, OwnShare: 0.5, Zipf: 1.2, Visit: 5, Seed: 1}
}

// Validate tells what is wrong with the workload.
func (w Workload) Validate() error {
	switch {
	case w.Users < 1 || w.Users > 1_000_000:
		return fmt.Errorf("%d users: use 1 to 1000000", w.Users)
	case w.Pool < 1 || w.Pool > 1000:
		return fmt.Errorf("a pool of %d connections: use 1 to 1000", w.Pool)
	case !(w.Rate > 0) || w.Rate > 100_000:
		return fmt.Errorf("%v actions a second: use more than 0 and at most 100000", w.Rate)
	case w.Think < 0:
		return fmt.Errorf("a think time of %v", w.Think)
	case !(w.WriteShare >= 0 && w.WriteShare <= 1) || !(w.OwnShare >= 0 && w.OwnShare <= 1):
		return errors.New("shares are between 0 and 1")
	case !(w.Zipf > 1):
		return fmt.Errorf("a Zipf exponent of %v: it is above 1", w.Zipf)
	case w.Visit < 1:
		return fmt.Errorf("visits of %d actions", w.Visit)
	}
	return nil
}

// Kind is what an action does.
type Kind uint8

// The kinds.
const (
	Write     Kind = iota // the user's own record
	ReadOwn               // it
	ReadOther             // somebody else's
)

// Action is one thing that a user does.
type Action struct {
	At    time.Duration // when it is due, since the slice began
	User  int
	Kind  Kind
	Other int // whose record is read
}

// Schedule draws the actions of a slice, in the order of their times. round makes each slice another one, and the
// same for every policy.
func (w Workload) Schedule(length time.Duration, round int) []Action {
	random := rand.New(rand.NewPCG(w.Seed, uint64(round)))
	popular := rand.NewZipf(random, w.Zipf, 1, uint64(w.Users-1))
	between := float64(time.Second) / w.Rate * float64(w.Visit) // two visits
	// Visits begin long before the slice, so that it begins in the middle of life.
	early := time.Duration(w.Visit*4) * w.Think
	var actions []Action
	for begin := -early; ; {
		begin += time.Duration(random.ExpFloat64() * between)
		if begin >= length {
			break
		}
		actions = append(actions, w.visit(random, popular, begin, length)...)
	}
	slices.SortStableFunc(actions, func(a, b Action) int { return int(a.At - b.At) })
	return actions
}

// visit draws one visit, without what is outside of the slice.
func (w Workload) visit(random *rand.Rand, popular *rand.Zipf, at, length time.Duration) []Action {
	var actions []Action
	user, wrote := int(popular.Uint64()), false
	for more := true; more && at < length; more = random.IntN(w.Visit) != 0 {
		a := Action{At: at, User: user, Kind: ReadOther, Other: int(popular.Uint64())}
		switch {
		case wrote:
			a.Kind = ReadOwn
		case random.Float64() < w.WriteShare:
			a.Kind = Write
		case random.Float64() < w.OwnShare:
			a.Kind = ReadOwn
		}
		wrote = a.Kind == Write
		if at >= 0 {
			actions = append(actions, a)
		}
		at += time.Duration(random.ExpFloat64() * float64(w.Think))
	}
	return actions
}
