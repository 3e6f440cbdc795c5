package session

import (
	"math"
	"sync"

	"github.com/hashicorp/golang-lru/v2/simplelru"
)

// id names a record within its shard: the number of its account in the upper 16
// bits and 48 bits of the key's hash below. 8 bytes instead of two strings are what
// lets a million sessions fit.
type id uint64

const hashBits = 48

// newID uses the upper bits of hash; the lowest have chosen the shard.
func newID(account int, hash uint64) id {
	return id(uint64(account)<<hashBits | hash>>(64-hashBits))
}

func (i id) account() int { return int(i >> hashBits) }

// shard is the records and floors of a part of the keys, under one lock. All
// methods but open and raiseAll want mu to be held.
type shard struct {
	mu       sync.Mutex
	capacity int
	writing  int // records with a write in flight
	evicted  uint64
	floored  uint64 // evicted records that still pinned

	// records never evicts by itself: trim does, which merges the record
	// into the floor in the same step. (lru.Cache would call back after its lock.)
	records  *simplelru.LRU[id, record]
	accounts accounts
}

// open makes the zero shard usable, before anyone else sees it.
func (s *shard) open(capacity int, start record) error {
	var err error
	s.capacity = capacity
	s.accounts = newAccounts(start)
	s.records, err = simplelru.NewLRU[id, record](math.MaxInt, nil)
	return err
}

// get returns the record of a session and marks it as used.
func (s *shard) get(account string, hash uint64) (record, bool) {
	return s.records.Get(newID(s.accounts.find(account), hash))
}

// floor returns what a session of the account without a record must see.
func (s *shard) floor(account string) record {
	return s.accounts.floor(s.accounts.find(account))
}

// update replaces the session's record by f of it. A session without a record gets
// one that starts with the floor of its account.
func (s *shard) update(account string, hash uint64, oldest stamp, f func(record) record) {
	number := s.accounts.claim(account, oldest)
	key := newID(number, hash)
	old, known := s.records.Peek(key)
	if !known {
		old = s.accounts.floor(number).live(oldest)
	}
	r := f(old)
	if !known {
		s.accounts.list[number].records++
	}
	s.records.Add(key, r)
	s.writing += inFlight(r) - inFlight(old)
	s.trim(oldest)
}

// raiseAll adds o to every record, floor and record to come.
func (s *shard) raiseAll(o record) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.accounts.raiseAll(o)
	for _, key := range s.records.Keys() { // from the oldest, so that the order stays
		r, _ := s.records.Peek(key)
		s.records.Add(key, r.merge(o))
	}
}

func inFlight(r record) int { return int(min(r.writing, 1)) }

// trim evicts the records used least recently that are beyond the capacity. Those
// with a write in flight are passed over, also when they alone are more than that.
func (s *shard) trim(oldest stamp) {
	for s.records.Len() > max(s.capacity, s.writing) {
		key, r, _ := s.records.GetOldest()
		if r.writing > 0 {
			s.records.Add(key, r) // now the newest, so each is passed once a round
			continue
		}
		s.evict(key, r, oldest)
	}
}

// evict forgets a record. The caller holds the lock throughout, so nobody can find
// the session without its record and without the floor that has its need.
func (s *shard) evict(key id, r record, oldest stamp) {
	if s.accounts.raise(key.account(), r.live(oldest)) {
		s.floored++
	}
	s.accounts.list[key.account()].records--
	s.records.Remove(key)
	s.evicted++
}
