package session

// Stats are figures of a [Store] for metrics.
type Stats struct {
	Records int    // sessions that have a record
	Writing int    // records with a write in flight
	Floors  int    // floors in force, of all shards: at most 16 an account
	Evicted uint64 // records forgotten since the store was made
	Floored uint64 // of these, how many still pinned and raised a floor
}

// Stats returns the figures. It takes the locks one after the other, so figures of
// different shards may be of different moments.
func (s *Store) Stats() Stats {
	var all Stats
	oldest := s.oldest()
	for i := range s.shards {
		sh := &s.shards[i]
		sh.mu.Lock()
		all.Records += sh.records.Len()
		all.Writing += sh.writing
		all.Floors += sh.accounts.sweep(oldest)
		all.Evicted += sh.evicted
		all.Floored += sh.floored
		sh.mu.Unlock()
	}
	return all
}

// Len returns the number of sessions that have a record.
func (s *Store) Len() int { return s.Stats().Records }

// Floors returns the number of floors in force.
func (s *Store) Floors() int { return s.Stats().Floors }
