// Package factor scores items by the inner product of their vectors with a
// request's: what every model that is an Embedder has in common.
//
// It imports models and what lies below. Start reading at Table.
package factor

import (
	"math"

	"github.com/attune-rec/attune/features"
	"github.com/attune-rec/attune/models"
	"github.com/attune-rec/attune/models/linalg"
)

// Table is the items' vectors, row-major. It is read-only and safe for
// concurrent use.
type Table struct {
	Items, Dim int
	Data       []float32
}

// Matrix is the table as a matrix that shares its data.
func (t Table) Matrix() linalg.Matrix { return linalg.MatrixOf(t.Items, t.Dim, t.Data) }

// Row is the vector of row.
func (t Table) Row(row features.Row) []float32 { return t.Data[int(row)*t.Dim:][:t.Dim] }

// Score fills out as models.Scorer has it: NaN for rows outside the table, and
// for all of them when e has no vector for r. The vector is made once a
// request and shared through r.Scratch by whoever else scores with e, which
// must be comparable.
func (t Table) Score(e models.Embedder, r *features.Request, items []features.Row, out []float32) {
	scratch := r.Workspace()
	vec, ok := scratch.Vector(e, t.Dim, func(dst []float32) bool { return e.Embed(r, dst) })
	if !ok {
		fillNaN(out)
		return
	}
	t.dot(vec, items, out, scratch)
}

// ScoreMany fills out as models.BatchScorer has it.
func (t Table) ScoreMany(e models.Embedder, rs []*features.Request, items []features.Row, out []float32) {
	lo, contiguous := Contiguous(items, t.Items)
	if !contiguous {
		for i, r := range rs {
			t.Score(e, r, items, out[i*len(items):][:len(items)])
		}
		return
	}
	const block = 64
	vecs := make([]float32, min(block, len(rs))*t.Dim)
	known := make([]bool, min(block, len(rs)))
	for from := 0; from < len(rs); from += block {
		part := rs[from:min(from+block, len(rs))]
		for i, r := range part {
			dst := vecs[i*t.Dim:][:t.Dim]
			if known[i] = e.Embed(r, dst); !known[i] {
				clear(dst)
			}
		}
		answers := out[from*len(items):][:len(part)*len(items)]
		linalg.DotRowsMany(vecs[:len(part)*t.Dim], len(part), t.Data[lo*t.Dim:][:len(items)*t.Dim], t.Dim, answers)
		for i := range part {
			if !known[i] {
				fillNaN(answers[i*len(items):][:len(items)])
			}
		}
	}
}

// Contiguous reports whether items are ascending rows below n without a gap,
// and the first.
func Contiguous(items []features.Row, n int) (int, bool) {
	if len(items) == 0 || items[0] < 0 || int(items[0])+len(items) > n {
		return 0, false
	}
	for i, row := range items {
		if row != items[0]+features.Row(i) { // #nosec G115 -- rows are int32 by contract
			return 0, false
		}
	}
	return int(items[0]), true
}

func (t Table) dot(vec []float32, items []features.Row, out []float32, scratch *features.Scratch) {
	if lo, ok := Contiguous(items, t.Items); ok {
		linalg.DotRows(vec, t.Data[lo*t.Dim:][:len(items)*t.Dim], out)
		return
	}
	rows, outside := scratch.Ints(len(items)), false
	for i, row := range items {
		if row < 0 || int(row) >= t.Items {
			outside = true
			continue
		}
		rows[i] = int32(row)
	}
	if t.Items == 0 {
		fillNaN(out)
		return
	}
	linalg.DotGather(vec, t.Data, rows, out)
	if !outside {
		return
	}
	for i, row := range items {
		if row < 0 || int(row) >= t.Items {
			out[i] = float32(math.NaN())
		}
	}
}

func fillNaN(out []float32) {
	for i := range out {
		out[i] = float32(math.NaN())
	}
}

// Known is those of items that a table of so many has, with their weights, as
// linalg.AxpyGather takes them. Both belong to scratch.
func Known(items []features.Row, weights []float32, table int, scratch *features.Scratch) (rows []int32, own []float32) {
	rows, own = scratch.Ints(len(items)), scratch.Floats(len(items))
	n := 0
	for i, row := range items {
		if row >= 0 && int(row) < table {
			rows[n], own[n] = int32(row), weights[i]
			n++
		}
	}
	return rows[:n], own[:n]
}
