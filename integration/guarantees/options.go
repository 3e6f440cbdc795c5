package guarantees

import (
	"errors"
	"fmt"
	"time"
)

// Options say what runs. To and Duration are required.
type Options struct {
	To       []Endpoint
	Setup    *Endpoint       // where the schema is made and removed; nil: the first of To
	Duration time.Duration   // how long users work
	Until    <-chan struct{} // users stop earlier when it is closed; nil: they do not
	Least    int64           // how many turns they take at least, all together, whatever time that takes
	Turns    int64           // how many turns they take at most; 0 is a million

	Hints        []Hint // how sessions are named; users take turns with them; none is ByConnection
	Split        bool   // naive: writes to the first of To, reads to the others; the account must be allowed to write there
	Users        int    // 0 is 8
	Cells        int    // 0 is 16
	Prepared     bool   // every other statement is prepared
	Transactions bool   // some reads and writes are transactions
	WriteShare   float64
	Renewal      int           // turns, on average, after which a user comes back as somebody new; 0 is 200
	Think        time.Duration // mean pause of a user between two turns
	Timeout      time.Duration // for one statement; 0 is 20 s
	Seed         uint64        // of what users do; 0: another one each time

	// Ready is called when the schema is there, before users begin; an error ends the run. Nil does nothing.
	Ready func() error
	// Violated is called with the first violations, by one goroutine at a time; nil: nobody.
	Violated func(Violation)
}

// Limits of a run: memory is bounded by the turns, and a user is a goroutine and a few connections.
const (
	maxUsers = 10_000
	maxCells = 1024
	maxTurns = 1_000_000
	// maxSamples is how many violations a report has in full.
	maxSamples = 20
)

// Validate tells what is wrong with the options.
func (o *Options) Validate() error {
	switch {
	case len(o.To) == 0:
		return errors.New("no endpoint is given")
	case o.Split && len(o.To) < 2:
		return errors.New("a naive split takes the primary and at least one replica")
	case o.Duration <= 0:
		return fmt.Errorf("the duration %v is not positive", o.Duration)
	case o.Users < 0 || o.Users > maxUsers:
		return fmt.Errorf("%d users: use 1 to %d", o.Users, maxUsers)
	case o.Cells != 0 && (o.Cells < 3 || o.Cells > maxCells):
		return fmt.Errorf("%d cells: use 3 to %d", o.Cells, maxCells)
	case o.Turns < 0 || o.Turns > maxTurns || o.Least < 0 || o.Least > o.turns():
		return fmt.Errorf("%d turns: use 1 to %d", o.Turns, maxTurns)
	case o.WriteShare < 0 || o.WriteShare > 1:
		return fmt.Errorf("a share of writes of %v: use 0 to 1", o.WriteShare)
	case o.Renewal < 0:
		return fmt.Errorf("%d turns of a session: use 1 or more", o.Renewal)
	case o.Think < 0 || o.Timeout < 0:
		return errors.New("a time is negative")
	}
	for _, h := range o.Hints {
		if _, err := ParseHint(string(h)); err != nil {
			return err
		}
	}
	return nil
}

// hint is how a user's sessions are named.
func (o *Options) hint(user int) Hint {
	if len(o.Hints) == 0 {
		return ByConnection
	}
	return o.Hints[user%len(o.Hints)]
}

func (o *Options) users() int             { return orElse(o.Users, 8) }
func (o *Options) cells() int             { return orElse(o.Cells, 16) }
func (o *Options) turns() int64           { return orElse(o.Turns, maxTurns) }
func (o *Options) renewal() int           { return orElse(o.Renewal, 200) }
func (o *Options) timeout() time.Duration { return orElse(o.Timeout, 20*time.Second) }
func (o *Options) writeShare() float64    { return orElse(o.WriteShare, 0.2) }

// afterError is how long a user waits after an error: a server that is away is not asked in a tight loop.
func (o *Options) afterError() time.Duration { return max(o.Think, 20*time.Millisecond) }

// orElse is v, or other if v is zero.
func orElse[T comparable](v, other T) T {
	var zero T
	if v == zero {
		return other
	}
	return v
}
