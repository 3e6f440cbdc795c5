package session

import (
	"errors"
	"hash/maphash"
	"math"
	"time"

	"github.com/stickyproxy/stickyproxy/gtid"
)

const (
	// DefaultCapacity is the number of records of a store that is not told another.
	// A record takes about 165 bytes, and 200 with a GTID of its own.
	DefaultCapacity = 1 << 20

	// maxShards is how many locks a store has: more than cores of a usual machine,
	// so that clients seldom meet.
	maxShards = 16
)

// Options say how much a [Store] remembers.
type Options struct {
	// Capacity is the number of records the store keeps, at least 1. 0 means
	// [DefaultCapacity]. Records with a write in flight may exceed it.
	Capacity int

	// Window is how long the time of a write can matter; it must be greater than 0.
	// A time older than that is not carried over when a record is evicted, nor
	// handed to new sessions. It has to be the greatest of every consistency window
	// and every greatest lag in use: a replica that may be 30 s late does not show a
	// write of 20 s ago, although a window of 15 s has passed. Where no time is ever
	// proof, use the greatest Duration.
	Window time.Duration

	// Start is what every session must see of which the store knows nothing: the
	// writes before the store was made. Its Writing is ignored.
	Start Need

	// Now is the clock; nil means time.Now. Whoever compares an answer with a clock
	// reads the clock after the answer, else a time may be taken for expired a
	// moment early.
	Now func() time.Time

	// Hash places keys; nil means one with a seed of its own, so that a client cannot
	// choose names that meet in one shard or share a record. What has to happen in the
	// same way again, a simulation, gives one that does not change.
	Hash func(Key) uint64
}

// Validate returns an error for values that a store cannot work with.
func (o Options) Validate() error {
	if o.Capacity < 0 {
		return errors.New("session store: capacity is negative")
	}
	if o.Window <= 0 {
		return errors.New("session store: window must be greater than 0")
	}
	return nil
}

// Store is the records of all named sessions. All methods may be called by any
// goroutine; none of them blocks but for a lock that is held for about 100 ns.
// Need, Begin, End and Pin do not allocate for a session that has a record, but
// for what a new GTID takes. A Store has nothing to close.
type Store struct {
	hash   func(Key) uint64
	epoch  epoch
	window stamp
	now    func() time.Time
	shards []shard // a power of two
}

// NewStore returns an empty store.
func NewStore(o Options) (*Store, error) {
	if err := o.Validate(); err != nil {
		return nil, err
	}
	if o.Capacity == 0 {
		o.Capacity = DefaultCapacity
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Hash == nil {
		o.Hash = newHash()
	}
	count := maxShards
	for count > o.Capacity {
		count /= 2
	}
	s := &Store{
		hash:   o.Hash,
		epoch:  epoch{base: o.Now().Add(-1)}, // a write may be at this very moment
		window: stamp(o.Window),
		now:    o.Now,
		shards: make([]shard, count),
	}
	start := s.epoch.record(o.Start)
	for i := range s.shards {
		if err := s.shards[i].open(o.Capacity/count, start); err != nil {
			return nil, err
		}
	}
	return s, nil
}

// Need returns what the session must see. A session without a record must see the
// floor of its account; asking does not make a record.
func (s *Store) Need(k Key) Need {
	sh, hash := s.find(k)
	sh.mu.Lock()
	r, known := sh.get(k.Account, hash)
	if !known {
		r = sh.floor(k.Account)
	}
	sh.mu.Unlock()
	if !known && (r.wrote|r.unproven|r.asOf|r.readAt|r.since) != 0 {
		r = r.live(s.oldest())
	}
	return s.epoch.need(r)
}

// Begin notes that a write of the session is about to be sent: from now on reads
// of the session see Writing > 0.
func (s *Store) Begin(k Key) {
	s.update(k, func(r record) record {
		if r.writing == math.MaxInt32 {
			panic("BUG: session: too many writes in flight")
		}
		r.writing++
		return r
	})
}

// End notes how a write ended. Every End belongs to a Begin of the same key before
// it; End without one is a bug and panics, because it would release the reads of
// another connection's write.
func (s *Store) End(k Key, w Write) {
	at := s.stampOf(w.At)
	s.update(k, func(r record) record {
		if r.writing == 0 {
			panic("BUG: session: End without Begin")
		}
		r.writing--
		if w.None {
			return r
		}
		o := record{gtid: w.GTID, wrote: at}
		if !w.GTID.IsEmpty() {
			o.since = at
		}
		switch asked, waited := w.rest(); {
		case asked:
			o.asOf = at
		case waited:
			o.unproven = at
		}
		return r.merge(o)
	})
}

// Pin acts as if the session had written at the time at (zero: now), with an
// unknown GTID.
func (s *Store) Pin(k Key, at time.Time) {
	o := record{wrote: s.stampOf(at), unproven: s.stampOf(at)}
	s.update(k, func(r record) record { return r.merge(o) })
}

// Read notes a read of the session that ended.
func (s *Store) Read(k Key, r Read) {
	at := s.epoch.stamp(r.At)
	s.update(k, func(old record) record {
		by := r.By
		if !r.follows(old.readBy, s.epoch.time(old.readAt)) {
			by = 0
		}
		old.readAt, old.readBy = laterStamp(old.readAt, at), by
		return old
	})
}

// Raise adds n to what the session must see, but for its writes in flight.
func (s *Store) Raise(k Key, n Need) {
	o := s.epoch.record(n)
	s.update(k, func(r record) record { return r.merge(o) })
}

// RaiseAll adds n to what every session must see, known or not. It takes a few
// milliseconds for each 10,000 records, shard by shard, and is meant for the moment
// when it becomes known what was written through an earlier process.
func (s *Store) RaiseAll(n Need) {
	o := s.epoch.record(n)
	for i := range s.shards {
		s.shards[i].raiseAll(o)
	}
}

// Release ends the session's wait for transactions that were lost or never were:
// where it must see the GTIDs was, it must only see left from now on. A session that
// has written meanwhile is not touched.
func (s *Store) Release(k Key, was, left gtid.Set) {
	s.update(k, func(r record) record {
		if r.gtid.Equal(was) {
			r.gtid = left
		}
		return r
	})
}

// update replaces the session's record by what f makes of it, or of a new record.
// f must not keep anything.
func (s *Store) update(k Key, f func(record) record) {
	oldest := s.oldest()
	sh, hash := s.find(k)
	sh.mu.Lock()
	defer sh.mu.Unlock() // f may panic
	sh.update(k.Account, hash, oldest, f)
}

// newHash returns a hash of keys with a seed of its own.
func newHash() func(Key) uint64 {
	seed := maphash.MakeSeed()
	return func(k Key) uint64 { return maphash.Comparable(seed, k) }
}

// find returns the shard of the session and the hash of its key.
func (s *Store) find(k Key) (*shard, uint64) {
	hash := s.hash(k)
	return &s.shards[hash&uint64(len(s.shards)-1)], hash
}

// stampOf returns the stamp of at, or of now if at is zero.
func (s *Store) stampOf(at time.Time) stamp {
	if at.IsZero() {
		at = s.now()
	}
	return s.epoch.stamp(at)
}

// oldest returns the oldest stamp that still matters.
func (s *Store) oldest() stamp {
	now := s.epoch.stamp(s.now())
	if now < math.MinInt64+s.window {
		return math.MinInt64
	}
	return now - s.window
}
