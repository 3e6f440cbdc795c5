package guarantees

import (
	"fmt"
	"slices"
	"sync"
)

// Guarantee is what a read or a write can break.
type Guarantee uint8

// The guarantees, and what no database may do.
const (
	ReadYourWrites Guarantee = iota
	MonotonicReads
	MonotonicWrites
	WritesFollowReads
	Intact // the data are what was written: no write twice, none that was rolled back, none from nowhere

	guarantees = int(Intact) + 1
)

var guaranteeNames = [guarantees]string{"read_your_writes", "monotonic_reads", "monotonic_writes", "writes_follow_reads", "intact"}

// String is a name for reports.
func (g Guarantee) String() string { return guaranteeNames[g] }

// Violation is one answer that broke a guarantee.
type Violation struct {
	Guarantee Guarantee `json:"guarantee"`
	Session   string    `json:"session"` // whose answer it was
	Cell      int       `json:"cell"`
	Got       uint64    `json:"got"`            // version
	Want      uint64    `json:"want,omitempty"` // the least version that would have been right; 0 where that says nothing
	Detail    string    `json:"detail"`         // for people
}

// Row is one cell in an answer.
type Row struct {
	Cell    int
	Version uint64
	Writer  uint64 // the number of the write that made the version; 0: the cell as it was made
}

// needs are the least versions that must be seen, by the guarantee that asks for it and the cell. Intact asks for nothing.
type needs [Intact][]uint32

func newNeeds(cells int) (n needs) {
	all := make([]uint32, len(n)*cells)
	for g := range n {
		n[g] = all[g*cells : (g+1)*cells : (g+1)*cells]
	}
	return n
}

// clone copies n.
func (n needs) clone() needs {
	c := newNeeds(len(n[0]))
	for g := range n {
		copy(c[g], n[g])
	}
	return c
}

// raise makes sure that at least these versions are asked for.
func raise(need, to []uint32) {
	for i, v := range to {
		need[i] = max(need[i], v)
	}
}

// outcome is what is known of a write.
type outcome uint8

const (
	unknown outcome = iota // it may happen, or have happened
	done                   // it was acknowledged
	failed                 // it did not happen and will not
)

// write is one write and what it was based on.
type write struct {
	cell    int
	outcome outcome
	version uint32   // 0: not known
	wrote   []uint32 // by cell: the versions that its session had written before
	seen    []uint32 // by cell: the versions that its session had seen otherwise
}

// History is what all sessions of a run did, and judges what they get. Safe for concurrent use. It keeps 8 bytes a cell
// for each write until the run ends.
type History struct {
	cells  int
	report func(Violation)

	mu       sync.Mutex
	writes   map[uint64]*write
	versions []map[uint32]uint64 // by cell: the write that made each version, as far as that is known
	newest   []uint32            // by cell: the newest version that was acknowledged or seen
	sessions uint32
}

// NewHistory returns a history of so many cells in which nothing has happened. Report is called with each violation, by
// one goroutine at a time; it must not call the history.
func NewHistory(cells int, report func(Violation)) *History {
	h := &History{cells: cells, report: report, writes: make(map[uint64]*write), newest: make([]uint32, cells)}
	for range cells {
		h.versions = append(h.versions, make(map[uint32]uint64))
	}
	return h
}

// Session is somebody who reads what they wrote. Safe for concurrent use: what was answered before a statement is sent
// counts for it.
type Session struct {
	history *History
	name    string
	number  uint32

	// Guarded by history.mu.
	need  needs
	count uint32 // of writes
}

// NewSession returns a session that has seen and written nothing.
func (h *History) NewSession(name string) *Session {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.sessions++
	return &Session{history: h, name: name, number: h.sessions, need: newNeeds(h.cells)}
}

// Read is one answer, or the answers of one transaction, while it is on the way.
type Read struct {
	session *Session
	need    needs
	newest  []uint32
}

// BeginRead is called before the statement is sent: what the session wrote and saw until then must be seen. Of a
// transaction it is called before its first statement.
func (s *Session) BeginRead() *Read {
	s.history.mu.Lock()
	defer s.history.mu.Unlock()
	return &Read{session: s, need: s.need.clone(), newest: slices.Clone(s.history.newest)}
}

// Verdict is what was found in one answer.
type Verdict struct {
	Checked int  // rows of which at least one version above the first had to be seen
	Behind  bool // a row lacks what somebody had been told before the read began: allowed, if it was somebody else
}

// Got judges the rows of one answer, which one server gave from one state of its data. It may be called again for the
// next statement of the same transaction.
func (r *Read) Got(rows []Row) (v Verdict) {
	h, s := r.session.history, r.session
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, row := range rows {
		if w := h.find(s, row); w != nil && row.Writer>>sessionShift != uint64(s.number) {
			// Whoever sees a write must see what it was based on, in this answer already. The writer must anyway.
			raise(r.need[MonotonicWrites], w.wrote)
			raise(r.need[WritesFollowReads], w.seen)
		}
	}
	for _, row := range rows {
		if h.judge(s, row, r.need) {
			v.Checked++
		}
		v.Behind = v.Behind || uint32(row.Version) < r.newest[row.Cell]
		r.need[MonotonicReads][row.Cell] = max(r.need[MonotonicReads][row.Cell], uint32(row.Version))
	}
	for g := range s.need {
		if Guarantee(g) != ReadYourWrites {
			raise(s.need[g], r.need[g])
		}
	}
	return v
}

// find returns the write that a row shows, and judges whether there can be one like it. The caller holds h.mu.
func (h *History) find(s *Session, row Row) *write {
	broken := func(format string, args ...any) {
		h.report(Violation{Guarantee: Intact, Session: s.name, Cell: row.Cell, Got: row.Version, Detail: fmt.Sprintf(format, args...)})
	}
	if row.Writer == 0 {
		if row.Version != 0 {
			broken("version %d is said to be the first", row.Version)
		}
		return nil
	}
	w := h.writes[row.Writer]
	switch {
	case w == nil:
		broken("write %d was made by nobody", row.Writer)
		return nil
	case w.cell != row.Cell:
		broken("write %d was made to cell %d", row.Writer, w.cell)
		return nil
	case w.outcome == failed:
		broken("write %d did not happen, and is seen", row.Writer)
	case w.version != 0 && w.version != uint32(row.Version):
		broken("write %d made version %d", row.Writer, w.version)
	}
	h.place(s, row.Cell, uint32(row.Version), row.Writer, w)
	return w
}

// place notes which write made a version. The caller holds h.mu.
func (h *History) place(s *Session, cell int, version uint32, number uint64, w *write) {
	if other, ok := h.versions[cell][version]; ok && other != number {
		h.report(Violation{Guarantee: Intact, Session: s.name, Cell: cell, Got: uint64(version), Detail: fmt.Sprintf("writes %d and %d made the same version", other, number)})
	}
	h.versions[cell][version] = number
	w.version = version
	h.newest[cell] = max(h.newest[cell], version)
}

// judge compares a row with what must be seen. True: something had to be. The caller holds h.mu.
func (h *History) judge(s *Session, row Row, need needs) (checked bool) {
	for g := range need {
		want := need[g][row.Cell]
		checked = checked || want > 0
		if uint32(row.Version) < want {
			h.report(Violation{Guarantee: Guarantee(g), Session: s.name, Cell: row.Cell, Got: row.Version, Want: uint64(want), Detail: "a read showed an older version"})
		}
	}
	return checked
}

// sessionShift is where the number of the session stands in the number of a write: each has 24 bits.
const sessionShift = 24

// Write is one write while it is on the way. Exactly one of Acknowledged and Failed is called, or none: then its outcome
// is unknown.
type Write struct {
	Number uint64 // to be left in the cell

	session *Session
	write   *write
	before  needs
}

// BeginWrite is called before the statement is sent, and gives the write its number. With are the writes of the same
// transaction that were made before it.
func (s *Session) BeginWrite(cell int, with ...*Write) *Write {
	h := s.history
	h.mu.Lock()
	defer h.mu.Unlock()
	s.count++
	w := &write{cell: cell, wrote: slices.Clone(s.need[ReadYourWrites]), seen: slices.Clone(s.need[MonotonicReads])}
	raise(w.seen, s.need[MonotonicWrites])
	raise(w.seen, s.need[WritesFollowReads])
	for _, one := range with {
		w.wrote[one.write.cell] = max(w.wrote[one.write.cell], one.write.version)
	}
	out := &Write{Number: uint64(s.number)<<sessionShift | uint64(s.count), session: s, write: w, before: s.need.clone()}
	h.writes[out.Number] = w
	return out
}

// Makes says which version the write makes if it happens, where that is known before its outcome.
func (w *Write) Makes(version uint64) {
	w.session.history.mu.Lock()
	defer w.session.history.mu.Unlock()
	w.write.version = uint32(version)
}

// version is what Makes said.
func (w *Write) version() uint64 {
	w.session.history.mu.Lock()
	defer w.session.history.mu.Unlock()
	return uint64(w.write.version)
}

// Acknowledged says that the server confirmed the write, and the version that it made. From now on the session must see
// it.
func (w *Write) Acknowledged(version uint64) {
	s, h, cell := w.session, w.session.history, w.write.cell
	h.mu.Lock()
	defer h.mu.Unlock()
	w.write.outcome = done
	h.place(s, cell, uint32(version), w.Number, w.write)
	w.before.follows(cell, func(g Guarantee, after uint32) {
		if uint32(version) <= after {
			h.report(Violation{Guarantee: g, Session: s.name, Cell: cell, Got: version, Want: uint64(after) + 1, Detail: "a write was put before what it follows"})
		}
	})
	s.need[ReadYourWrites][cell] = max(s.need[ReadYourWrites][cell], uint32(version))
}

// follows calls put with the version of a cell that a write has to come after: once for what its session wrote, and once
// for what it saw.
func (n needs) follows(cell int, put func(g Guarantee, after uint32)) {
	put(MonotonicWrites, n[ReadYourWrites][cell])
	put(WritesFollowReads, max(n[MonotonicReads][cell], n[MonotonicWrites][cell], n[WritesFollowReads][cell]))
}

// Failed says that the write did not happen and never will.
func (w *Write) Failed() {
	w.session.history.mu.Lock()
	defer w.session.history.mu.Unlock()
	w.write.outcome = failed
}
