package store

import (
	"context"
	"database/sql"
	"errors"
	"sync"
)

// mostPrepared bounds the queries that are kept prepared: the store has fewer
// of its own.
const mostPrepared = 256

// reader is the connections that only read. A query is prepared once on each
// of them, since preparing a short one costs several times as much as running
// it. It is safe for concurrent use.
type reader struct {
	db *sql.DB

	mu    sync.RWMutex
	stmts map[string]*sql.Stmt // nil once closed
}

func newReader(db *sql.DB) *reader { return &reader{db: db, stmts: map[string]*sql.Stmt{}} }

// stmt is the prepared query; nil where it could not be prepared or is one too
// many.
func (r *reader) stmt(ctx context.Context, query string) *sql.Stmt {
	r.mu.RLock()
	s := r.stmts[query]
	r.mu.RUnlock()
	if s != nil {
		return s
	}
	s, err := r.db.PrepareContext(ctx, query)
	if err != nil {
		return nil // the query itself says what is wrong
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	before := r.stmts[query]
	if before == nil && r.stmts != nil && len(r.stmts) < mostPrepared {
		r.stmts[query] = s
		return s
	}
	_ = s.Close() //nolint:sqlclosecheck // only one that is not kept is closed here, and nothing was run by it
	return before
}

// QueryContext is that of a database.
func (r *reader) QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error) {
	if s := r.stmt(ctx, query); s != nil { //nolint:sqlclosecheck // the reader keeps its statements and closes them at the end
		return s.QueryContext(ctx, args...)
	}
	return r.db.QueryContext(ctx, query, args...)
}

// QueryRowContext is that of a database.
func (r *reader) QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row {
	if s := r.stmt(ctx, query); s != nil { //nolint:sqlclosecheck // likewise
		return s.QueryRowContext(ctx, args...)
	}
	return r.db.QueryRowContext(ctx, query, args...)
}

// Close ends the connections.
func (r *reader) Close() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	var errs []error
	for _, s := range r.stmts {
		errs = append(errs, s.Close())
	}
	r.stmts = nil
	return errors.Join(append(errs, r.db.Close())...)
}
