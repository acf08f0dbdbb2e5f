package models

import (
	"slices"

	"github.com/attune-rec/attune/features"
	"github.com/attune-rec/attune/features/dataset"
	"github.com/attune-rec/attune/models/linalg"
)

// Matrix is the users by items matrix of d under weigh: the weights of a user's
// interactions with an item are summed, and the pair is stored when the sum is
// above 0, so a return takes back its purchase. Rows and columns are those of
// d; columns ascend within a row.
//
// A nil weigh stores every pair once with the value 1 (Val is nil). The pairs
// that speak against an item are those of Matrix under the negated weights.
func Matrix(d *dataset.Dataset, weigh func(*features.Interaction) float32) linalg.CSR {
	m := linalg.CSR{Rows: d.NumUsers(), Cols: d.NumItems(), Ptr: make([]int64, d.NumUsers()+1), Idx: make([]int32, 0, len(d.Log))}
	if weigh != nil {
		m.Val = make([]float32, 0, len(d.Log))
	}
	type pair struct {
		row    features.Row
		weight float32
	}
	var pairs []pair
	for u := range d.Users {
		pairs = pairs[:0]
		history := d.History(u)
		for i := range history {
			w := float32(1)
			if weigh != nil {
				w = weigh(&history[i])
			}
			if w != 0 {
				pairs = append(pairs, pair{history[i].Row, w})
			}
		}
		slices.SortStableFunc(pairs, func(a, b pair) int { return int(a.row) - int(b.row) })
		for i := 0; i < len(pairs); {
			sum, j := float32(0), i
			for ; j < len(pairs) && pairs[j].row == pairs[i].row; j++ {
				sum += pairs[j].weight
			}
			if sum > 0 {
				m.Idx = append(m.Idx, int32(pairs[i].row))
				if weigh != nil {
					m.Val = append(m.Val, sum)
				}
			}
			i = j
		}
		m.Ptr[u+1] = int64(len(m.Idx))
	}
	return m
}
