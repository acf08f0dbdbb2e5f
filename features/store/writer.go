package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"maps"
	"sync"
	"sync/atomic"
	"time"
)

// groupEvents is how many events one transaction takes at most, so that nobody
// waits long for the others.
const groupEvents = 8192

// writer is the one goroutine that changes the database. What waits when it is
// free is committed together and acknowledged together: one fsync for many.
type writer struct {
	conn  *sql.Conn
	stmts map[string]*sql.Stmt
	jobs  chan *job

	written atomic.Int64 // pages of the database, about

	mu     sync.RWMutex // held for reading while handing over, so that close waits
	closed bool
	ended  chan struct{}
}

// job is a change, or the appending of events.
type job struct {
	run    func(*transaction) error // nil: events are appended
	events *appending
	after  func() // in the writer's goroutine, once durable and before it is acknowledged
	done   chan error
	err    error
}

// transaction is what a job may do; it is valid while the job runs.
type transaction struct {
	w     *writer
	moves map[*shopLog]int // links that waited and are in the table now
}

func newWriter(ctx context.Context, db *sql.DB) (*writer, error) {
	conn, err := db.Conn(ctx)
	if err != nil {
		return nil, err
	}
	w := &writer{conn: conn, stmts: map[string]*sql.Stmt{}, jobs: make(chan *job, 1024), ended: make(chan struct{})}
	go w.loop()
	return w, nil
}

// do runs f in a transaction, by itself within the group: when it fails,
// nothing of it is kept and the others are not touched. It returns once f's
// changes are durable. When ctx ends first, they may be made nonetheless.
func (w *writer) do(ctx context.Context, f func(*transaction) error) error {
	return w.hand(ctx, &job{run: f})
}

// doThen is do, with after run in the writer's goroutine once durable.
func (w *writer) doThen(ctx context.Context, f func(*transaction) error, after func()) error {
	return w.hand(ctx, &job{run: f, after: after})
}

func (w *writer) hand(ctx context.Context, j *job) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	j.done = make(chan error, 1)
	if err := w.queue(ctx, j); err != nil {
		return err
	}
	select {
	case err := <-j.done:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (w *writer) queue(ctx context.Context, j *job) error {
	w.mu.RLock()
	defer w.mu.RUnlock()
	if w.closed {
		return ErrClosed
	}
	select {
	case w.jobs <- j:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// close lets the goroutine finish what was handed over, and ends it.
func (w *writer) close() error {
	w.mu.Lock()
	if !w.closed {
		w.closed = true
		close(w.jobs)
	}
	w.mu.Unlock()
	<-w.ended
	var errs []error
	for _, s := range w.stmts {
		errs = append(errs, s.Close())
	}
	w.stmts = nil
	return errors.Join(append(errs, w.conn.Close())...)
}

func (w *writer) loop() {
	defer close(w.ended)
	g := &group{w: w, pending: map[*shopLog]*pendingLog{}, linked: map[*shopLog]int64{}}
	var last pace
	for {
		j, ok := g.next()
		if !ok {
			return
		}
		g.jobs = append(g.jobs[:0], j)
		g.gather(last.expect())
		began := time.Now()
		n := len(g.jobs)
		g.commit()
		last.jobs = [2]int{n, last.jobs[0]}
		last.took = time.Since(began)
	}
}

// next is the next job that is handed over; where there is none, links move
// until there is, a quarter of the time.
func (g *group) next() (j *job, ok bool) {
	for {
		select {
		case j, ok = <-g.w.jobs:
			return j, ok
		default:
		}
		var rested <-chan time.Time // never, with nothing to move
		if rest := time.Until(g.rest); rest > 0 && g.moves {
			rested = time.After(rest)
		} else {
			began := time.Now()
			if g.moves = g.idle(); g.moves {
				g.rest = time.Now().Add(movesRest * time.Since(began))
				continue
			}
		}
		select {
		case j, ok = <-g.w.jobs:
			return j, ok
		case <-rested:
		}
	}
}

// idle moves some links that wait to their table, and reports whether there were
// any to move.
func (g *group) idle() bool {
	for l, now := range g.linked {
		if some, _ := l.fresh.next(now, movesIdle); len(some) == 0 {
			continue
		}
		move := &job{done: make(chan error, 1), run: func(tx *transaction) error { return tx.settleSome(l, now, movesIdle) }}
		g.jobs = append(g.jobs[:0], move)
		g.commit()
		if err := <-move.done; err != nil {
			delete(g.linked, l) // until the next link comes
			l.store.log.Warn("links of sessions stay where they wait", "shop", string(l.shop), "error", err)
		}
		return true
	}
	return false
}

// mostLinger is how long the first job of a group waits for others at most.
const mostLinger = 4 * time.Millisecond

// pace is how the last two groups went.
type pace struct {
	jobs [2]int
	took time.Duration // by the last
}

// expect is how many jobs the next group is to have, and how long it may wait
// for them. Callers who wait for an answer before they send again come back
// together: left alone, the first of them would be committed by itself, with
// the others waiting, and so on in turns. As many as make the next two groups
// alike are waited for, while the commit that is spared takes longer than that.
func (p *pace) expect() (jobs int, linger time.Duration) {
	return (p.jobs[0] + p.jobs[1]) / 2, min(p.took/2, mostLinger)
}

// gather takes the jobs that wait, and waits for others until there are so many.
func (g *group) gather(jobs int, linger time.Duration) {
	n := g.jobs[0].weight()
	var late <-chan time.Time
	for n < groupEvents {
		var next *job
		var ok bool
		select {
		case next, ok = <-g.w.jobs:
		default:
			if len(g.jobs) >= jobs {
				return
			}
			if late == nil {
				timer := time.NewTimer(linger)
				defer timer.Stop()
				late = timer.C
			}
			select {
			case next, ok = <-g.w.jobs:
			case <-late:
				return
			}
		}
		if !ok {
			return
		}
		g.jobs = append(g.jobs, next)
		n += next.weight()
	}
}

func (j *job) weight() int {
	if j.events == nil {
		return 1
	}
	return 1 + len(j.events.events)
}

// group is the jobs of one transaction.
type group struct {
	w       *writer
	jobs    []*job
	pending map[*shopLog]*pendingLog
	moves   bool               // there were links to move
	rest    time.Time          // until when none are moved
	linked  map[*shopLog]int64 // that have links to move, or had: when the newest came, in milliseconds
}

func (g *group) commit() {
	tx := &transaction{w: g.w}
	err := full(g.run(tx))
	if err == nil {
		for l, n := range tx.moves {
			l.fresh.moved(n)
		}
		for l, p := range g.pending {
			l.publish(p)
			if len(p.linked) > 0 {
				g.linked[l] = p.linkedAt
			}
		}
	}
	g.w.written.Add(g.pages(tx))
	clear(g.pending)
	for _, j := range g.jobs {
		if err != nil {
			j.done <- err
			continue
		}
		if j.err == nil && j.after != nil {
			j.after()
		}
		j.done <- j.err
	}
	clear(g.jobs)
}

// pages is about how many pages of the database the group changed: some with
// every commit, one for each pageEvents events, and two for a link that moved,
// which is at a random place of a table and of its index.
func (g *group) pages(tx *transaction) int64 {
	n := int64(4 + len(g.jobs))
	for _, p := range g.pending {
		n += int64(len(p.events) / pageEvents)
	}
	for _, moved := range tx.moves {
		n += 2 * int64(max(0, moved))
	}
	return n
}

func (g *group) run(tx *transaction) error {
	if _, err := tx.exec("BEGIN IMMEDIATE"); err != nil {
		return fmt.Errorf("begin: %w", err)
	}
	if err := g.fill(tx); err != nil {
		_, undo := tx.exec("ROLLBACK")
		return errors.Join(err, undo)
	}
	if _, err := tx.exec("COMMIT"); err != nil {
		_, undo := tx.exec("ROLLBACK")
		return errors.Join(fmt.Errorf("commit: %w", err), undo)
	}
	return nil
}

// fill runs the jobs. Jobs with a run function keep their own error; only what
// spoils the whole transaction is returned.
func (g *group) fill(tx *transaction) error {
	for _, j := range g.jobs {
		if j.events != nil {
			l := j.events.log
			p := g.pending[l]
			if p == nil {
				p = l.pending()
				g.pending[l] = p
			}
			if err := p.take(j.events); err != nil {
				return err
			}
			continue
		}
		if err := g.isolate(tx, j); err != nil {
			return err
		}
	}
	for l, p := range g.pending {
		if err := l.write(tx, p); err != nil {
			return err
		}
		if err := l.writeLinks(tx, p); err != nil {
			return err
		}
	}
	return nil
}

func (g *group) isolate(tx *transaction, j *job) (spoilt error) {
	j.err, spoilt = tx.isolate(j.run)
	return spoilt
}

// isolate runs f by itself: when it fails, nothing of it is kept. What spoils
// the whole transaction is told apart.
func (tx *transaction) isolate(f func(*transaction) error) (failed, spoilt error) {
	if _, err := tx.exec("SAVEPOINT job"); err != nil {
		return nil, err
	}
	moves := maps.Clone(tx.moves)
	if failed = f(tx); failed != nil {
		tx.moves = moves
		if _, err := tx.exec("ROLLBACK TO job"); err != nil {
			return failed, errors.Join(failed, err)
		}
	}
	_, spoilt = tx.exec("RELEASE job")
	return failed, spoilt
}

func (tx *transaction) stmt(query string) (*sql.Stmt, error) {
	if s := tx.w.stmts[query]; s != nil {
		return s, nil
	}
	s, err := tx.w.conn.PrepareContext(context.Background(), query)
	if err != nil {
		return nil, err
	}
	tx.w.stmts[query] = s
	return s, nil
}

// exec runs a statement, which is prepared once.
func (tx *transaction) exec(query string, args ...any) (sql.Result, error) {
	s, err := tx.stmt(query) //nolint:sqlclosecheck // the writer keeps its statements and closes them at the end
	if err != nil {
		return nil, err
	}
	return s.ExecContext(context.Background(), args...)
}

// get runs a query of one row and reads it into dst.
func (tx *transaction) get(dst []any, query string, args ...any) error {
	s, err := tx.stmt(query) //nolint:sqlclosecheck // likewise
	if err != nil {
		return err
	}
	return s.QueryRowContext(context.Background(), args...).Scan(dst...)
}

// query runs a query of several rows, which the caller closes.
func (tx *transaction) query(query string, args ...any) (*sql.Rows, error) {
	s, err := tx.stmt(query) //nolint:sqlclosecheck // likewise
	if err != nil {
		return nil, err
	}
	return s.QueryContext(context.Background(), args...)
}
