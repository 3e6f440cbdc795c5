package guarantees

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"

	"github.com/go-mysql-org/go-mysql/mysql"

	"github.com/stickyproxy/stickyproxy/mysqlwire"
)

// The statements. Rows have the columns id, version and writer, all BIGINT and none NULL. The first UPDATE leaves the
// new version in its OK packet.
const (
	readOne   = "SELECT id, version, writer FROM cells WHERE id = ?"
	readThree = "SELECT id, version, writer FROM cells WHERE id IN (?, ?, ?)"
	lockOne   = "SELECT id, version, writer FROM cells WHERE id = ? FOR UPDATE"
	writeNext = "UPDATE cells SET version = LAST_INSERT_ID(version + 1), writer = ? WHERE id = ?"
	writeThis = "UPDATE cells SET version = ?, writer = ? WHERE id = ?"
)

// user is one user of the application: a goroutine that takes turns on connections.
type user struct {
	run     *run
	id      int
	hint    Hint
	rng     *rand.Rand
	session *Session
	name    string // of the session
	token   string // to be shown to the next endpoint; "": none
	last    int    // the cell of the last turn
	renewed int
}

// work takes turns until the time is over and enough have been taken. A turn that has begun then is finished, unless
// ctx ends.
func (u *user) work(ctx, over context.Context) {
	u.renew()
	for ctx.Err() == nil && (over.Err() == nil || u.run.turns.Load() < u.run.options.Least) && u.run.turn() {
		if u.rng.IntN(u.run.options.renewal()) == 0 {
			u.renew()
		}
		if err := u.takeTurn(ctx); err != nil && ctx.Err() == nil {
			u.run.failed(err)
			pause(ctx, u.run.options.afterError())
		}
		pause(ctx, u.run.options.Think)
	}
	u.run.pool.drop(u.id)
}

// renew makes the user somebody new, who has seen and written nothing.
func (u *user) renew() {
	u.renewed++
	u.name = fmt.Sprintf("check-%d-%d-%d", u.run.mark, u.id, u.renewed)
	u.token = ""
	u.session = u.run.history.NewSession(u.name)
	u.run.pool.drop(u.id)
}

// errNotWritten is an UPDATE that found no row.
var errNotWritten = errors.New("an UPDATE of a cell changed nothing")

// errNoAttributes is an endpoint that cannot be told the session in this way: a read there would prove nothing.
var errNoAttributes = errors.New("the endpoint takes no query attributes")

// takeTurn does one thing that users do.
func (u *user) takeTurn(ctx context.Context) (err error) {
	action, write := u.choose()
	if u.hint == ByConnection && !u.run.options.Split && !u.run.pool.has(u) {
		u.renew() // nobody knows any more who that was
	}
	c, err := u.run.pool.take(ctx, u, write)
	if err != nil {
		return err
	}
	defer u.run.pool.give(u, c)
	if err := u.introduce(ctx, c); err != nil {
		return err
	}
	if err := action(ctx, c); err != nil {
		u.undo(ctx, c, err)
		return err
	}
	if err := u.part(ctx, c); err != nil {
		u.renew() // what was done is in no token
		return err
	}
	return nil
}

// undo ends what may be open after a failure, or gives the connection up.
func (u *user) undo(ctx context.Context, c *conn, err error) {
	var refused *mysqlwire.Error
	if !errors.As(err, &refused) {
		c.broken = true
		return
	}
	if _, err := u.send(ctx, c, statement{sql: "ROLLBACK"}); err != nil {
		c.broken = true
	}
}

// choose draws what to do next, and tells whether it writes.
func (u *user) choose() (action func(context.Context, *conn) error, write bool) {
	if u.rng.Float64() < u.run.options.writeShare() {
		if u.run.options.Transactions && u.rng.IntN(3) == 0 {
			return u.transaction, true
		}
		return u.write, true
	}
	if u.run.options.Transactions && u.rng.IntN(5) == 0 {
		return u.readTransaction, false
	}
	return u.read, false
}

// cell draws a cell: often that of the last turn.
func (u *user) cell() int {
	if u.rng.IntN(2) == 0 {
		u.last = u.rng.IntN(u.run.options.cells())
	}
	return u.last
}

// send sends a statement as it is.
func (u *user) send(ctx context.Context, c *conn, s statement) (answer, error) {
	a, err := c.do(ctx, u.run.options.timeout(), s)
	if err != nil {
		return a, fmt.Errorf("%.60s: %w", s.sql, err)
	}
	return a, nil
}

// ask sends a statement with the session's name, prepared or not.
func (u *user) ask(ctx context.Context, c *conn, sql string, params ...uint64) (answer, error) {
	if u.hint == ByAttribute && !c.caps.Has(mysqlwire.CapQueryAttributes) {
		return answer{}, errNoAttributes
	}
	return u.send(ctx, c, u.mark(statement{sql: sql, params: params, prepared: u.run.options.Prepared && u.rng.IntN(2) == 0}))
}

// read reads one cell, or three.
func (u *user) read(ctx context.Context, c *conn) error {
	return u.readIn(ctx, c, u.session.BeginRead())
}

func (u *user) readIn(ctx context.Context, c *conn, r *Read) error {
	sql, params := readOne, []uint64{uint64(u.cell())}
	if u.rng.IntN(3) == 0 {
		sql, params = readThree, append(params, uint64(u.rng.IntN(u.run.options.cells())), uint64(u.cell()))
	}
	a, err := u.ask(ctx, c, sql, params...)
	if err != nil {
		return err
	}
	rows, err := a.cells(params, u.run.mark)
	if err != nil {
		return err
	}
	u.run.read(r.Got(rows))
	return nil
}

// markShift is where the mark of the run stands in what is left in a cell, above the number of the write.
const markShift = 48

// number is what a write leaves in its cell.
func (u *user) number(w *Write) uint64 { return u.run.mark<<markShift | w.Number }

// cells reads the rows of an answer to a question for some cells. A cell that is missing is one that was never written,
// and so is one of an earlier run, whose schema a replica that is late may still have.
func (a answer) cells(asked []uint64, mark uint64) ([]Row, error) {
	var rows []Row
	for _, texts := range a.rows {
		var n [3]uint64
		if len(texts) != len(n) {
			return nil, errMalformed
		}
		for i := range n {
			var err error
			if n[i], err = strconv.ParseUint(texts[i], 10, 64); err != nil {
				return nil, errMalformed
			}
		}
		if asked != nil && !slices.Contains(asked, n[0]) {
			return nil, errMalformed
		}
		if n[2]>>markShift == mark {
			rows = append(rows, Row{int(n[0]), n[1], n[2] & (1<<markShift - 1)})
		}
	}
	for _, cell := range asked {
		if !slices.ContainsFunc(rows, func(r Row) bool { return r.Cell == int(cell) }) {
			rows = append(rows, Row{Cell: int(cell)})
		}
	}
	return rows, nil
}

// readTransaction reads some cells in one transaction.
func (u *user) readTransaction(ctx context.Context, c *conn) error {
	r := u.session.BeginRead()
	begin := "START TRANSACTION READ ONLY"
	if u.rng.IntN(2) == 0 {
		begin = "BEGIN"
	}
	if _, err := u.send(ctx, c, statement{sql: begin}); err != nil {
		return err
	}
	for range 1 + u.rng.IntN(3) {
		if err := u.readIn(ctx, c, r); err != nil {
			return err
		}
	}
	_, err := u.send(ctx, c, statement{sql: "COMMIT"})
	return err
}

// write writes one cell in a statement of its own.
func (u *user) write(ctx context.Context, c *conn) error {
	cell := u.cell()
	w := u.session.BeginWrite(cell)
	a, err := u.ask(ctx, c, writeNext, u.number(w), uint64(cell))
	switch {
	case err != nil:
		u.run.wrote(w, err)
		return err
	case a.affected != 1 || a.insertID == 0:
		u.run.wrote(w, errNotWritten)
		return errNotWritten
	}
	u.run.wrote(w, nil)
	w.Acknowledged(a.insertID)
	return nil
}

// transaction writes one or two cells, and sometimes thinks better of it. COMMIT and ROLLBACK carry no hint.
func (u *user) transaction(ctx context.Context, c *conn) error {
	begin, end := "BEGIN", ""
	if u.rng.IntN(3) == 0 {
		begin, end = "SET autocommit = 0", "SET autocommit = 1"
	}
	if _, err := u.send(ctx, c, statement{sql: begin}); err != nil {
		return err
	}
	writes, err := u.writeAll(ctx, c)
	if err != nil {
		for _, w := range writes {
			w.Failed() // nobody has asked for a commit
		}
	} else {
		err = u.settle(ctx, c, writes)
	}
	if end == "" {
		return err
	}
	if err == nil {
		_, err = u.send(ctx, c, statement{sql: end})
	}
	// With autocommit off the end must not be told: it would commit what is open. The server rolls it back with the
	// connection.
	c.broken = c.broken || err != nil
	return err
}

// writeAll makes the writes of a transaction, in the order of the cells so that two of them do not wait for each other.
func (u *user) writeAll(ctx context.Context, c *conn) (writes []*Write, err error) {
	cells := []int{u.cell()}
	if other := u.rng.IntN(u.run.options.cells()); other != cells[0] {
		cells = append(cells, other)
	}
	slices.Sort(cells)
	for _, cell := range cells {
		a, err := u.ask(ctx, c, lockOne, uint64(cell))
		if err != nil {
			return writes, err
		}
		rows, err := a.cells([]uint64{uint64(cell)}, u.run.mark)
		if err != nil {
			return writes, err
		}
		w := u.session.BeginWrite(cell, writes...)
		writes = append(writes, w)
		version := rows[0].Version + 1
		if a, err = u.ask(ctx, c, writeThis, version, u.number(w), uint64(cell)); err != nil {
			return writes, err
		}
		if a.affected != 1 {
			return writes, errNotWritten
		}
		w.Makes(version)
	}
	return writes, nil
}

// settle ends a transaction.
func (u *user) settle(ctx context.Context, c *conn, writes []*Write) error {
	if u.rng.IntN(8) == 0 {
		for _, w := range writes {
			w.Failed()
		}
		_, err := u.send(ctx, c, statement{sql: "ROLLBACK"})
		return err
	}
	_, err := u.send(ctx, c, statement{sql: "COMMIT"})
	for _, w := range writes {
		if err != nil {
			u.run.unknown()
			continue
		}
		u.run.wrote(w, nil)
		w.Acknowledged(w.version())
	}
	return err
}

// harmless are errors after which a statement on its own has certainly not written: a lock that was not got, a deadlock,
// and servers that take no writes.
var harmless = []uint16{
	mysql.ER_LOCK_WAIT_TIMEOUT, mysql.ER_LOCK_DEADLOCK, mysql.ER_OPTION_PREVENTS_STATEMENT,
	mysql.ER_CANT_EXECUTE_IN_READ_ONLY_TRANSACTION, mysql.ER_READ_ONLY_MODE,
}

// isHarmless tells whether err says that nothing was written.
func isHarmless(err error) bool {
	var refused *mysqlwire.Error
	return errors.Is(err, errNotWritten) || errors.Is(err, errNoAttributes) || errors.As(err, &refused) && slices.Contains(harmless, refused.Code)
}
