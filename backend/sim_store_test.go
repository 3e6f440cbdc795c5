package backend

import (
	"slices"
	"time"

	"github.com/stickyproxy/stickyproxy/session"
)

// plainStore keeps a few sessions as session.Store does, in a plain way, and can do without the rules that make
// forgetting safe.
type plainStore struct {
	records map[session.Key]session.Need
	used    []session.Key           // the ones used last are at the end
	floors  map[string]session.Need // by account; nil: what is forgotten is gone
	starts  bool                    // a new record starts with the floor
}

func newPlainStore(floors, starts bool) *plainStore {
	s := &plainStore{records: map[session.Key]session.Need{}, starts: starts}
	if floors {
		s.floors = map[string]session.Need{}
	}
	return s
}

func (s *plainStore) Need(k session.Key) session.Need {
	if n, known := s.records[k]; known {
		return n
	}
	return s.floors[k.Account]
}

func (s *plainStore) change(k session.Key, f func(*session.Need)) {
	n, known := s.records[k]
	if !known && s.starts {
		n = s.floors[k.Account]
	}
	f(&n)
	s.records[k] = n
	s.used = append(slices.DeleteFunc(s.used, func(o session.Key) bool { return o == k }), k)
	for i := 0; len(s.used) > 3 && i < len(s.used); i++ {
		if s.records[s.used[i]].Writing == 0 {
			s.evict(i)
			i--
		}
	}
}

func (s *plainStore) evict(i int) {
	k := s.used[i]
	if s.floors != nil {
		s.floors[k.Account] = s.floors[k.Account].Merge(s.records[k])
	}
	delete(s.records, k)
	s.used = slices.Delete(s.used, i, i+1)
}

func (s *plainStore) Begin(k session.Key) { s.change(k, func(n *session.Need) { n.Writing++ }) }

func (s *plainStore) End(k session.Key, w session.Write) {
	s.change(k, func(n *session.Need) {
		var l session.Local
		l.Begin()
		l.End(w)
		writing := n.Writing - 1
		*n = n.Merge(l.Need())
		n.Writing = writing
	})
}

func (s *plainStore) Pin(k session.Key, at time.Time) {
	s.change(k, func(n *session.Need) { *n = n.Merge(session.Need{WroteAt: at, UnprovenAt: at}) })
}

func (s *plainStore) Read(k session.Key, r session.Read) {
	s.change(k, func(n *session.Need) { *n = n.Merge(session.Need{ReadAt: r.At, ReadBy: r.By}) })
}

func (s *plainStore) Raise(k session.Key, o session.Need) {
	o.Writing = 0
	s.change(k, func(n *session.Need) { *n = n.Merge(o) })
}

func (s *plainStore) RaiseAll(o session.Need) {
	for k, n := range s.records {
		s.records[k] = n.Merge(o)
	}
	for k, n := range s.floors {
		s.floors[k] = n.Merge(o)
	}
}

func (s *plainStore) Release(k session.Key, was, left gtidSet) {
	s.change(k, func(n *session.Need) {
		if n.GTID.Equal(was) {
			n.GTID = left
		}
	})
}
