package models

import (
	"context"

	"github.com/attune-rec/attune/features"
)

// Hit is a found row and its inner product with the query.
type Hit struct {
	Row   features.Row
	Score float32
}

// Degraded is an error that comes beside hits which are good, though a component
// did not do its part in finding them: a search elsewhere that was answered from
// a local index instead, or from the tail alone. Whoever gets one uses the hits
// and passes it on.
type Degraded struct {
	Component string // what did not do its part
	Why       string // as in pipeline.Degradation
	Err       error  // what went wrong
}

// Error implements error.
func (d *Degraded) Error() string { return d.Component + ": " + d.Why + ": " + d.Err.Error() }

// Unwrap is what went wrong.
func (d *Degraded) Unwrap() error { return d.Err }

// Where narrows a search.
type Where struct {
	Allow *features.Bitmap // nil: all rows
	Deny  *features.Bitmap // nil: none
	// Attr says in words what Allow says by row, for an index that lives elsewhere:
	// of each attribute, of which a row may have several values, one of these. It
	// never narrows by itself: who sets it sets Allow too, which decides, also where
	// the words that the index was given have changed since. An index that cannot
	// read words refuses it alone.
	Attr map[string][]string
}

// Passes reports whether row is allowed and not denied.
func (w *Where) Passes(row features.Row) bool {
	return (w.Allow == nil || w.Allow.Has(row)) && !w.Deny.Has(row)
}

// Index finds the vectors with the largest inner product: a frozen base, an
// exact tail of newer rows and tombstones of deleted ones. Hits come by
// descending inner product, ties by row. It is safe for concurrent use.
type Index interface {
	// Search appends at most k hits to dst. vec has the index's dimension and
	// no NaN, else an error names the mistake. With a Degraded error, the hits
	// are good.
	Search(ctx context.Context, vec []float32, k int, w Where, dst []Hit) ([]Hit, error)
	// SearchMany searches len(vecs)/dim vectors; dst[i] receives the hits of
	// the i-th as Search would give them.
	SearchMany(ctx context.Context, vecs []float32, k int, w Where, dst [][]Hit) error
	// Len is the number of rows, tail included, tombstones excluded.
	Len() int
	Close() error
}

// Tail takes the items that are newer than the index's base, and deletions.
type Tail interface {
	// Upsert puts row's vector in; a row of the base is masked and replaced.
	Upsert(row features.Row, vec []float32) error
	// Delete makes row unfindable.
	Delete(row features.Row)
}
