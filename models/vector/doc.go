// Package vector finds the vectors with the largest inner product: Exact by
// scanning, HNSW by walking a graph, Build by whichever suits, and WithTail,
// which puts newer rows and deletions in front of any index. Build's indexes
// are written to files that Open searches where they lie.
//
// It imports models, models/linalg and features; milvus, below it, is the same
// contract on a Milvus cluster. Start reading at auto.go, then exact.go, which
// says how a scan over 8-bit codes can be exact; models/vectortest is the suite
// that every index passes.
package vector

import (
	"errors"
	"fmt"
	"math"

	"github.com/attune-rec/attune/models"
)

// ErrQuery is returned for a query that cannot be searched.
var ErrQuery = errors.New("bad vector query")

// ErrVectors is returned for vectors that cannot be indexed.
var ErrVectors = errors.New("bad vectors")

// ErrFile is returned for bytes that are not an index file, or not all of one.
var ErrFile = errors.New("bad vector index file")

func checkQuery(vec []float32, dim int) error {
	if len(vec) != dim {
		return fmt.Errorf("%w: it has %d numbers, the index has dimension %d", ErrQuery, len(vec), dim)
	}
	for i, v := range vec {
		if v-v != 0 {
			return fmt.Errorf("%w: number %d is %v: expected finite numbers", ErrQuery, i, v)
		}
	}
	return nil
}

// checkWhere refuses attributes without the rows that they stand for: to leave
// them out would let through what they exclude.
func checkWhere(w models.Where) error {
	if len(w.Attr) > 0 && w.Allow == nil {
		return fmt.Errorf("%w: it narrows by attributes alone: set the rows that they allow too", ErrQuery)
	}
	return nil
}

func checkVectors(vecs []float32, dim int) error {
	if dim <= 0 || dim > 65536 || len(vecs)%dim != 0 || len(vecs)/dim > math.MaxInt32 {
		return fmt.Errorf("%w: %d numbers are not rows of dimension %d", ErrVectors, len(vecs), dim)
	}
	for i, v := range vecs {
		if v-v != 0 {
			return fmt.Errorf("%w: row %d has %v: expected finite numbers", ErrVectors, i/dim, v)
		}
	}
	return nil
}
