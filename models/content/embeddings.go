package content

import (
	"fmt"
	"math"

	"github.com/attune-rec/attune/models"
	"github.com/attune-rec/attune/models/imported"
	"github.com/attune-rec/attune/models/linalg"
)

// Embeddings are item vectors that were made elsewhere, of pictures or texts:
// one more view of an item beside its terms. They are read when a model is
// fitted, and kept in it.
type Embeddings struct {
	File    string  `json:"file,omitempty"`     // safetensors with a float matrix, a row an item; "": none
	IDs     string  `json:"ids,omitempty"`      // which item a row is: a line each, or "number<tab>item"
	Tensor  string  `json:"tensor,omitempty"`   // needed where the file has several
	Weight  float64 `json:"weight"`             // of the view in the likeness of two items that have both, from 0 to 1; the terms have the rest
	MaxLost float64 `json:"max_lost,omitempty"` // share of vectors that may be of items which are not known
}

// mostNumbers is the length of a vector at most.
const mostNumbers = 4096

// rounding is the squared length at or below which what is left of a vector of
// length 1 less the mean is nothing but rounding.
const rounding = 1e-10

func (e *Embeddings) check() error {
	if (e.File == "") != (e.IDs == "") {
		return fmt.Errorf("%w: embeddings.file is %q and embeddings.ids is %q: expected both or neither", models.ErrParams, e.File, e.IDs)
	}
	if err := models.CheckRange("embeddings.weight", e.Weight, 0, 1); err != nil {
		return err
	}
	return models.CheckRange("embeddings.max_lost", e.MaxLost, 0, 1)
}

// read lays the vectors out by the rows of the items of these names; zeros
// where there is none.
func (e *Embeddings) read(names []string) (linalg.Matrix, error) {
	none := linalg.Matrix{}
	vectors, err := imported.ReadVectors(e.File, e.Tensor)
	if err != nil {
		return none, fmt.Errorf("embeddings: %s: %w", e.File, err)
	}
	ids, err := imported.ReadIDs(e.IDs)
	if err != nil {
		return none, fmt.Errorf("embeddings: %w", err)
	}
	if vectors.Cols > mostNumbers {
		return none, fmt.Errorf("embeddings: %s: an item has %d numbers: expected %d at most", e.File, vectors.Cols, mostNumbers)
	}
	for number, id := range ids {
		if number < 0 || number >= int64(vectors.Rows) {
			return none, fmt.Errorf("embeddings: %s: item %q is number %d, and %s has %d rows: expected the lines of that file", e.IDs, id, number, e.File, vectors.Rows)
		}
	}
	rows := make(map[string]int, len(names))
	for row, name := range names {
		rows[name] = row
	}
	out, lost, first := linalg.NewMatrix(len(names), vectors.Cols), 0, ""
	for number := range vectors.Rows {
		id, ok := ids[int64(number)]
		if !ok {
			return none, fmt.Errorf("embeddings: %s: row %d of %s has no item: add its line", e.IDs, number, e.File)
		}
		if n := linalg.Norm2(vectors.Row(number)); math.IsNaN(float64(n)) || math.IsInf(float64(n), 0) {
			return none, fmt.Errorf("embeddings: %s: the vector of item %q has length %v: expected finite numbers", e.File, id, n)
		}
		row, ok := rows[id]
		if !ok {
			if lost == 0 {
				first = id
			}
			lost++
			continue
		}
		copy(out.Row(row), vectors.Row(number))
	}
	if share := float64(lost) / float64(vectors.Rows); share > e.MaxLost {
		return none, fmt.Errorf("embeddings: %d of %d vectors are of items that are not known, such as %q: set embeddings.max_lost to %.2g to leave them out",
			lost, vectors.Rows, first, math.Ceil(share*100)/100)
	}
	centre(out)
	return out, nil
}

// centre takes the mean of all vectors, each of length 1, from each that there
// is, and gives what is left length 1: vectors of networks lie in a narrow
// cone, where everything is like everything.
func centre(m linalg.Matrix) {
	mean, n := make([]float64, m.Cols), 0.
	for i := range m.Rows {
		if linalg.Normalise(m.Row(i)) > 0 {
			n++
			for k, v := range m.Row(i) {
				mean[k] += float64(v)
			}
		}
	}
	for i := range m.Rows {
		row := m.Row(i)
		if blank(row) {
			continue
		}
		for k := range row {
			row[k] -= float32(mean[k] / n)
		}
		if linalg.Dot(row, row) <= rounding {
			clear(row)
		}
		linalg.Normalise(row)
	}
}

// join is both views side by side, by the roots of their weights, each row of
// length 1: the likeness of two items that have both is the weighted mean of
// the likenesses.
func join(terms, others linalg.Matrix, weight float64) linalg.Matrix {
	out := linalg.NewMatrix(terms.Rows, terms.Cols+others.Cols)
	own, of := float32(math.Sqrt(1-weight)), float32(math.Sqrt(weight))
	for i := range out.Rows {
		left, right := terms.Row(i), others.Row(i)
		a, b := own, of
		switch { // one view alone is all there is to say
		case blank(right):
			a = 1
		case blank(left):
			b = 1
		}
		linalg.Axpy(a, left, out.Row(i)[:terms.Cols])
		linalg.Axpy(b, right, out.Row(i)[terms.Cols:])
		linalg.Normalise(out.Row(i))
	}
	return out
}
