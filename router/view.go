package router

import (
	"fmt"
	"time"

	"github.com/stickyproxy/stickyproxy/gtid"
)

// Replica is what was last known of one replica. It is immutable once it is
// in a [View].
type Replica struct {
	// Name is the replica's address, for people.
	Name string
	// Incarnation names the server that answered (server_uuid; on MariaDB
	// server id, host, port and start time). Empty means unknown.
	Incarnation string
	// ID is the Incarnation as a number, the same in every process; 0 means
	// unknown.
	ID uint64
	// Up: the last probe succeeded and no failure was reported since.
	Up bool
	// ReadOnly: the server refuses writes.
	ReadOnly bool
	// Replicating: the replication threads run.
	Replicating bool
	// Executed is what the replica had executed when it was asked.
	// The question was sent at AskedAt.
	Executed gtid.Set
	AskedAt  time.Time
	// FreshAsOf: every write that the primary acknowledged before this
	// instant was there. Zero means unknown, which is never fresh.
	FreshAsOf time.Time
	// Shown is no less than what reads on the replica had seen by ShownAt.
	// Zero ShownAt means unknown.
	Shown   gtid.Set
	ShownAt time.Time
	// Weight is the relative share of reads; below 1 counts as 1.
	Weight int
	// Zone is where the replica is; Decide does not look at it.
	Zone string
}

// View is an immutable snapshot of the fleet. It may be read by any number of
// goroutines.
type View struct {
	// Monitored is false when there is no monitor account: then nothing in
	// Replicas is to be trusted.
	Monitored bool
	// PrimaryUp is for people and metrics: reads do not depend on it.
	PrimaryUp bool
	// PrimaryHas is what the primary had executed when it was asked at
	// PrimaryAsked; empty where its transactions have no GTIDs.
	PrimaryHas   gtid.Set
	PrimaryAsked time.Time
	// Replicas in an order that the owner of the View chooses;
	// [Decision].Replica is an index into it.
	Replicas []Replica
	// Heaviest is the greatest Weight of Replicas; 0: it was not looked at, and
	// then each choice among them looks at all.
	Heaviest int
}

// Mode is when a read may use a replica.
type Mode uint8

const (
	// Auto: the replica has everything the session must see, by GTID; for a
	// write whose GTID is not known, the window has passed.
	Auto Mode = iota
	// Window: the session has not written for one window.
	Window
	// GTID: by GTID only; after a write without one, a replica needs what the
	// primary had one window later.
	GTID
	// Eventual: always, as long as the replica is healthy and not late.
	Eventual
	// PrimaryOnly: never.
	PrimaryOnly
	modeCount
)

var modeNames = [modeCount]string{"auto", "window", "gtid", "eventual", "primary"}

// String is the mode as the configuration writes it, or "invalid".
func (m Mode) String() string {
	if m >= modeCount {
		return "invalid"
	}
	return modeNames[m]
}

// ParseMode reads a mode as the configuration writes it: auto, window, gtid,
// eventual or primary. Anything else is an error that lists these.
func ParseMode(s string) (Mode, error) {
	for i, name := range modeNames {
		if s == name {
			return Mode(i), nil
		}
	}
	return PrimaryOnly, fmt.Errorf("unknown mode %q: want auto, window, gtid, eventual or primary", s)
}
