// Package vector finds the vectors with the largest inner product: Exact by
// scanning, and WithTail, which puts newer rows and deletions in front of any
// index.
//
// It imports models, models/linalg and features. Start reading at exact.go,
// which says how a scan over 8-bit codes can be exact; models/vectortest is
// the suite that every index passes.
package vector

import (
	"errors"
	"fmt"
)

// ErrQuery is returned for a query that cannot be searched.
var ErrQuery = errors.New("bad vector query")

// ErrVectors is returned for vectors that cannot be indexed.
var ErrVectors = errors.New("bad vectors")

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
